"""What the compiler made of a network and a configuration: columns, cells, lookups, messages, bytes of the proof."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.circuits.certificate.evaluations import Evaluation
from zkds.circuits.certificate.relation import DirectionalSharpness
from zkds.circuits.certificate.statement import SharpnessStatement
from zkds.circuits.metric.results import Results
from zkds.circuits.networks.graph import Network
from zkds.dataset.root import DataRoot
from zkds.dataset.sampling import SEED_BYTES
from zkds.dataset.schema import Schema
from zkds.dataset.tree import DIGEST_BYTES
from zkds.identities.rounded_sum import RoundedSum
from zkds.proof_size import proof_sizes
from zkds.statement import Statement

SUPPOSED_RECORDS = 1 << 16  # of a data set that is not known yet; proofs depend on it by a few Merkle nodes


@dataclass(frozen=True)
class Group:
    """The columns whose names begin alike: a layer's, a parameter's, a gadget's.

    cells     committed
    lookups   of them, range checks and tables
    """

    name: str
    columns: int
    cells: int
    lookups: int


@dataclass(frozen=True)
class RoundedTensor:
    """One rounded tensor of the layers: its entries, and the cells that its identity commits for each (output not counted)."""

    name: str
    shape: tuple[int, ...]
    shift: int
    terms: int
    remainder_cells: int
    carry_cells: int


@dataclass(frozen=True)
class Summary:
    """All of it.

    messages, products   encrypted elements of K, and products of two of them, in the zero-knowledge proof
    proof_bytes          exact but for Merkle paths, whose length is chance; a data set of 2^16 records is supposed
    """

    groups: tuple[Group, ...]
    rounded: tuple[RoundedTensor, ...]
    columns: int
    cells: int
    lookups: int
    messages: int
    products: int
    proof_bytes: int


def supposed_schema(network: Network) -> Schema:
    """Bytes of the network's input shape, as many classes as it has outputs."""
    channels, height, width = network.input_shape
    vector = (height, width) == (1, 1)
    shape = (channels,) if vector else network.input_shape
    return Schema("vector" if vector else "image", shape, "uint8", max(2, network.classes))


def supposed_statement(
    network: Network,
    configuration: Configuration,
    root: DataRoot | None = None,
    *,
    seed: bytes = bytes(SEED_BYTES),
    private_model: bool = False,
    hidden_value: bool = False,
    evaluations: Sequence[tuple[DataRoot, int]] = (),
    probes: int = 1,
) -> SharpnessStatement:
    """A statement about results and a model that do not exist, and without a root a data set: what is asked of it is its size.

    evaluations: data roots, and how many of their records are evaluated
    Raises StatementError if network, configuration and data sets do not fit together, ValueError for too many records.
    """
    root = root if root is not None else DataRoot(SUPPOSED_RECORDS, supposed_schema(network), bytes(DIGEST_BYTES))
    shown: dict[str, Any] = {"threshold": 0} if hidden_value else {"values": (0,) * probes}
    found = tuple(Evaluation(evaluated, samples) for evaluated, samples in evaluations)
    model, results = bytes(DIGEST_BYTES), Results(0, 0, 0, 0, 0, 0, **shown)
    return SharpnessStatement(network, configuration, root, seed, False, model, private_model, results, found, probes)


def summarise(network: Network, configuration: Configuration) -> Summary:
    """Compile, and run the verifier's protocol once without a proof. Raises PlanRejected if there is no sound plan."""
    relation = DirectionalSharpness(supposed_statement(network, configuration))
    statement = Statement(relation)
    sizes, shape = proof_sizes(statement)
    looked_up = {lookup.primary for lookup in relation.lookups}
    groups: dict[str, list[tuple[int, int]]] = {}
    for column in relation.columns:
        name = column.name.partition(":")[0].partition("/")[0]
        groups.setdefault(name, []).append((column.cells, column.cells if column.name in looked_up else 0))
    return Summary(
        tuple(
            Group(name, len(found), sum(cells for cells, _ in found), sum(lookups for _, lookups in found))
            for name, found in groups.items()
        ),
        tuple(_rounded(part) for part in relation.components if isinstance(part, RoundedSum)),
        len(relation.columns),
        statement.layout.cells,
        sum(column.cells for column in relation.columns if column.name in looked_up),
        shape.messages,
        len(shape.products),
        sum(sizes.values()),
    )


def _rounded(rounding: RoundedSum) -> RoundedTensor:
    return RoundedTensor(
        rounding.name,
        rounding.output.shape,
        rounding.shift,
        sum(part.products.terms for part in rounding.products) or 1,
        rounding.remainder.format.limbs,
        rounding.plan.carry_limbs,
    )


def entries(tensor: RoundedTensor) -> int:
    """The number of rounded values."""
    return math.prod(tensor.shape)
