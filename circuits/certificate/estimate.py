"""What a proof will be and take, from its statement alone, before it is made: cells, lookups, bytes, memory, seconds.

Cells, lookups and bytes are counted (zkds/proof_size.py). Seconds are a model: every stage of a proof takes some times each of
a few counts, and one of a count takes as long as a kernel that is run here and now (calibration.py) takes for one of its units:

    seconds of a stage = sum of factor x count x seconds of the unit

The factors say how much of a kernel's work a stage does for one of a count, such as 19 sums, shifts and masks for a cell of the
witness. They were fitted to measured proofs by `python -m bench.estimate --fit`, which prints how far off the model is.

    cells      of the committed vector
    encoded    points of all rows' codewords
    points     of one row's
    leaves     of the lookup argument's trees
    columns    committed tensors' limbs
    messages   hidden ones: there is a round of a sumcheck for every two or three
    macs       products of rounded sums: those of the network's passes
    entries    of all tensors' digits
    products   of blocks of identities: entries of the tables that they are proved by
    squared    entries of implicit weights, in every step, whose products are squared
    outer      these times the rows of which they are sums
    parameters entries of the model
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zkds.circuits.certificate.calibration import Rates
from zkds.circuits.certificate.relation import DirectionalSharpness
from zkds.circuits.certificate.resources import blocks_of, prover_bytes
from zkds.circuits.certificate.statement import SharpnessStatement
from zkds.circuits.certificate.work import Work
from zkds.identities.product_squares import ProductSquares
from zkds.identities.rounded_sum import RoundedSum
from zkds.lookup.plan import cut_into_chunks
from zkds.proof_size import proof_sizes
from zkds.statement import Statement
from zkds.tensors.field_tables import flat_length

# Stage -> count -> (unit, factor). "once" counts 1.
COSTS: Mapping[str, Mapping[str, tuple[str, float]]] = {
    "model": {"once": ("message", 5000.0), "parameters": ("entry", 20.0)},  # once: modules are loaded
    "probe": {
        "columns": ("message", 36.0),
        "macs": ("mac", 6.0),
        "cells": ("entry", 20.0),
        "squared": ("position", 18.0),
        "outer": ("position", 0.5),
    },
    "commitment": {"encoded": ("encoded", 0.65)},
    "directional sharpness": {
        "messages": ("message", 4.0),
        "entries": ("entry", 15.0),
        "products": ("position", 1.8),
        "squared": ("position", 10.5),
        "outer": ("position", 0.06),
    },
    "lookups": {"once": ("message", 2200.0), "leaves": ("leaf", 0.8)},
    "batching": {"messages": ("message", 0.25), "cells": ("entry", 2.7)},
    "opening": {"points": ("encoded", 2.1)},
    "zero knowledge": {"messages": ("message", 4.3)},
    "columns": {"once": ("message", 1200.0), "encoded": ("encoded", 0.65)},
}
COUNTED = ("mac",)  # units whose factors are known: exact products of whole numbers once, of their digits five times

# Seconds of one of each on the machine of docs/performance.md, one thread: what the stages' shares are told by before a
# calibration is worth its time.
USUAL = Rates(encoded=2.5e-8, leaf=3.5e-8, position=8e-9, mac=7e-11, entry=1.3e-9, message=1.6e-5)
MESSAGES_A_COLUMN = 4.5  # about: counting them takes a run of the verifier's protocol


@dataclass(frozen=True)
class Counts:
    """As above."""

    cells: int
    encoded: int
    points: int
    leaves: int
    columns: int
    messages: int
    macs: int
    entries: int
    products: int
    squared: int
    outer: int
    parameters: int

    @classmethod
    def of(cls, relation: DirectionalSharpness, statement: Statement, messages: int) -> Counts:
        code, checked = statement.parameters.code, statement.layout.checked_cells
        sums = [part for part in relation.components if isinstance(part, RoundedSum)]
        squares = [part for part in relation.components if isinstance(part, ProductSquares)]
        lefts = [left for block in blocks_of(relation) for left in block.products]
        return cls(
            cells=statement.layout.cells,
            encoded=code.rows * code.points,
            points=code.points,
            leaves=sum(1 << chunk.log_size for chunk in cut_into_chunks(checked)),
            columns=len(relation.columns),
            messages=messages,
            macs=sum(math.prod(part.output.shape) * own.products.terms for part in sums for own in part.products),
            entries=sum(math.prod(tensor.shape) * len(tensor.digits) for tensor in relation.tensors),
            products=sum(left.digits * flat_length(left.shape) for left in lefts),
            squared=sum(part.step_count * flat_length(part.shape) for part in squares),
            outer=sum(part.step_count * flat_length(part.shape) * part.rank for part in squares),
            parameters=relation.statement.network.tensor_count,
        )

    def seconds(self, rates: Rates) -> dict[str, float]:
        """Of every stage of `zkds prove`, in order."""
        return {
            stage: sum(factor * getattr(self, name, 1) * getattr(rates, unit) for name, (unit, factor) in terms.items())
            for stage, terms in COSTS.items()
        }


@dataclass(frozen=True)
class Estimate:
    """All of it.

    cells      committed
    lookups    of them, range checks and tables
    messages   hidden ones
    sizes      the proof's bytes by label; exact but for Merkle paths of positions that are still to be drawn
    memory     bytes that the prover needs
    seconds    of each stage of `zkds prove`
    verifier   what verifying takes at most
    counts     what the seconds are computed from
    """

    cells: int
    lookups: int
    messages: int
    counts: Counts
    sizes: Mapping[str, int]
    memory: int
    seconds: Mapping[str, float]
    verifier: Work

    @property
    def proof_bytes(self) -> int:
        return sum(self.sizes.values())

    @property
    def prove_seconds(self) -> float:
        """Of the whole, from reading the model to the proof's bytes."""
        return sum(self.seconds.values())

    def content(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {
            "cells": self.cells,
            "lookups": self.lookups,
            "messages": self.messages,
            "proof_bytes": self.proof_bytes,
            "proof_bytes_by_part": dict(self.sizes),
            "memory_bytes": self.memory,
            "prove_seconds": self.prove_seconds,
            "seconds": dict(self.seconds),
            "verify_seconds_at_most": self.verifier.seconds,
            "verify_memory_bytes_at_most": self.verifier.memory,
            "max_work": self.verifier.ratio,
        }


def estimate_certificate(statement: SharpnessStatement, rates: Rates) -> Estimate:
    """Compile, and run the verifier's protocol once without a proof. Raises PlanRejected if there is no sound plan."""
    relation = DirectionalSharpness(statement)
    whole = Statement(relation)
    sizes, constraints = proof_sizes(whole)
    counts = Counts.of(relation, whole, constraints.messages)
    return Estimate(
        cells=counts.cells,
        lookups=whole.layout.checked_cells,
        messages=counts.messages,
        counts=counts,
        sizes=sizes,
        memory=prover_bytes(relation),
        seconds=counts.seconds(rates),
        verifier=Work.of(statement).with_columns(relation.columns),
    )


def stage_shares(statement: SharpnessStatement) -> dict[str, float]:
    """What part of a proof's time every stage will take, in usual seconds: in much less time than `estimate_certificate`."""
    relation = DirectionalSharpness(statement)
    messages = round(MESSAGES_A_COLUMN * len(relation.columns))
    return Counts.of(relation, Statement(relation), messages).seconds(USUAL)
