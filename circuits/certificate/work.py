"""What verifying a statement costs, from the statement alone, before anything of that size is done.

Whoever verifies reads a statement from a stranger, and a few bytes may name a network, a configuration and a data set that
keep a verifier busy for an hour. So the cost is counted first: from the sizes of the network, the batches and the data set,
then from the shapes of the columns. Seconds, on one core, and bytes are upper bounds: every count times more than one of it
costs (`python -m bench.work` measures both beside it, for random statements and for hostile ones).

    nodes           plans of identities, sumchecks of a node that rounds; four others count as one, and so do two forwards
    windows         pairs of outputs and taps of windows along an axis, and its entries (convolution/windows.py)
    sides           channels, rows and columns of what nodes take and make, for each of their inputs, and of what they unfold:
                    claims bring weights along them, which are kept until a tensor has all of its claims
    tables          operators of different kinds with tables of their own: making and evaluating them
    table_rows      of tables for the quotients of average pools
    boxes           of all columns (zkds/commit/layout.py)
    lengths         of all columns along all dimensions: weights along axes are added up
    pieces          of all claims on the vector: boxes times the claims on a column, and slices of it, one by one
    rounds          of sumchecks: of the circuit and of the lookup argument
    parameters      entries of the weights
    coefficients    of the equations of a private model's weights, six each
    records         hashed, with their Merkle paths
    record_bytes    columns of the matrix A, each of 128 numbers
    large_steps     steps of large parameters: two blocks of identities each
    implicit_steps  steps of implicit layers: bounds of polynomials, two sumchecks each
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from zkds.circuits.certificate.statement import SharpnessStatement
from zkds.circuits.metric.sam import is_large
from zkds.circuits.networks.graph import Node
from zkds.circuits.operators.implicit import ImplicitBits, Movement
from zkds.circuits.operators.operator import Placed
from zkds.commit.layout import Column
from zkds.errors import ProofRejected
from zkds.tensors.tensor import MOST_SEPARATE_CLAIMS

DEFAULT_SECONDS = 20  # on one core
DEFAULT_BYTES = 1 << 30
CHUNK = 1 << 26  # cells of one tree of the lookup argument (zkds/lookup/argument.py)

# Claims on a tensor's column, by the last word of its name: at points of the whole column, and on slices of it, so many for
# each index of the first dimension. At most; the second number is what makes many steps expensive.
CLAIMS = {
    "carry": (1, 0),
    "remainder": (2, 0),
    "gap": (2, 0),
    "delta": (6, 5),
    "digits": (6, 5),
    "coefficients": (6, 5),
    "bit": (6, 0),
    "mask": (6, 0),
    "selectors": (2, 3),
    "input": (6, 0),
    "output": (8, 2),
    "difference": (6, 0),
    "elements": (6, 0),
    "randomness": (6, 0),
    "bytes": (MOST_SEPARATE_CLAIMS, 0),
    "start": (MOST_SEPARATE_CLAIMS, 0),
    "kappa": (140, 140),  # one for each parameter, and for each large one on slices; of either 128 at most
    "gradient": (4, 3),
    "update": (2, 4),
    "scaled": (3, 3),
    "perturbation": (2, 3),
    "weights": (MOST_SEPARATE_CLAIMS, 5),  # of implicit layers whose updates are rounded: users, and slices by squares of steps
    "q": (1, 3),
    "W": (1, 9),
}
OTHERS = (8, 2)

# The same for a large parameter, whose identities are proved step by step (metric/sam.py): a block of each step makes claims on
# its slices, and on w_t, hence on the start and on all updates before.
LARGE_CLAIMS = {
    "remainder": (2, 1),
    "gradient": (4, 4),
    "scaled": (3, 5),
    "normalised": (2, 3),
    "perturbation": (2, 5),
    "update": (2, MOST_SEPARATE_CLAIMS),
    "start": (MOST_SEPARATE_CLAIMS, 0),
}
LARGE_MESSAGES = 300  # of the two blocks of a step
IMPLICIT_MESSAGES = 250  # of a step: four for each of 26 variables of the squares, and the records

# On what a node takes or makes, with weights of their own along channels, rows and columns. An implicit layer makes the most:
# one of its sum, two of each Gram matrix, two of the corrections, two of the digits.
CLAIMS_ALONG_SIDES = 9

# seconds and bytes: of any verification, then of one of each
BASE = (0.8, 100 << 20)
COSTS = {
    "nodes": (0.01, 1 << 18),
    "windows": (3e-7, 0),
    "widest": (0.0, 100),
    "sides": (1e-6, 16 * CLAIMS_ALONG_SIDES),
    "tables": (0.5, 16 << 20),
    "table_rows": (2e-7, 16),
    "boxes": (2e-5, 1500),
    "pieces": (9e-6, 520),
    "rounds": (1e-4, 1500),
    "lengths": (4e-8, 0),
    "parameters": (2e-8, 4),
    "coefficients": (9e-8, 22),
    "records": (1.2e-4, 3000),
    "record_bytes": (5e-6, 1200),
    "large_steps": (0.04, 1 << 18),
    "implicit_steps": (0.2, 1 << 20),
}


class WorkRejected(ProofRejected):
    """Verifying this statement would take more time or memory than the verifier allows."""


@dataclass(frozen=True)
class Work:
    """Counts, as above; `boxes`, `lengths`, `pieces` and `rounds` are 0 until the columns are known.

    fan_out   the most nodes that take one output
    widest    the most entries of `windows` of one axis, which are in memory at a time
    """

    nodes: int
    windows: int
    widest: int
    sides: int
    fan_out: int
    tables: int
    table_rows: int
    parameters: int
    coefficients: int
    records: int
    record_bytes: int
    large_steps: int
    implicit_steps: int
    boxes: int = 0
    lengths: int = 0
    pieces: int = 0
    rounds: int = 0

    @classmethod
    def of(cls, statement: SharpnessStatement) -> Work:
        """What the statement says by itself."""
        network = statement.network
        nodes = list(zip(network.nodes, network.placed, strict=True))
        windows = [entries for node, placed in nodes for entries in node.operator.windows(placed.inputs)]
        rounded = sum(node.operator.rounds for node in network.nodes)
        parameters, steps = network.tensor_count, statement.configuration.steps
        implicit = network.implicit(statement.configuration)
        evaluations, probes = statement.evaluations, statement.probes
        copies = probes + len(evaluations)
        counted = rounded + -(-(len(network.nodes) - rounded) // 4)
        return cls(
            counted * probes + -(-counted * len(evaluations) // 2),
            sum(windows) * copies,
            max(windows, default=0),
            sum(_sides(node, placed, _claims(node, implicit, steps)) for node, placed in nodes) * copies,
            max(map(len, network.consumers)),
            len({node.operator.KIND for node in network.nodes if node.operator.TABLES}),
            sum(node.operator.table_rows(placed) for node, placed in nodes),
            parameters,
            6 * parameters if statement.private_model else 0,
            statement.samples + sum(evaluation.samples for evaluation in evaluations),
            sum(root.committed_bytes for root in (*[statement.root] * probes, *statement.roots[1:])),
            probes * steps * sum(is_large(shape) for name, shape in network.parameters if name not in implicit),
            probes * steps * len(implicit),
        )

    def with_columns(self, columns: Sequence[Column]) -> Work:
        """And what follows from the shapes of the columns."""
        pieces = [pieces_of(column, self.fan_out) for column in columns]
        boxes = sum(math.prod(length.bit_count() for length in column.shape) for column in columns)
        cells = sum(column.cells for column in columns)
        trees = -(-cells // CHUNK)
        rounds = 1000 + 250 * self.nodes + trees * cells.bit_length() ** 2
        rounds += LARGE_MESSAGES * self.large_steps + IMPLICIT_MESSAGES * self.implicit_steps
        lengths = sum(sum(column.shape) for column in columns)
        return replace(self, boxes=boxes, lengths=lengths, pieces=sum(pieces), rounds=rounds)

    @property
    def seconds(self) -> float:
        """At most, on one core."""
        return BASE[0] + float(sum(getattr(self, name) * seconds for name, (seconds, _) in COSTS.items()))

    @property
    def memory(self) -> int:
        """Bytes, at most."""
        return BASE[1] + int(sum(getattr(self, name) * size for name, (_, size) in COSTS.items()))

    @property
    def ratio(self) -> float:
        """To what is allowed by default: 20 seconds on one core, and 1 GiB."""
        return max(self.seconds / DEFAULT_SECONDS, self.memory / DEFAULT_BYTES)

    def require(self, most: float) -> None:
        """Raise WorkRejected if the ratio is above `most`, saying which would do; ValueError unless `most` is above 0."""
        if isinstance(most, bool) or not isinstance(most, int | float) or not most > 0:
            raise ValueError(f"max_work: expected a positive number, got {most!r}")
        if self.ratio > most:
            raise WorkRejected(
                "work: verifying takes too much",
                f"at most {most * DEFAULT_SECONDS:g} s and {most * DEFAULT_BYTES / (1 << 30):g} GiB",
                f"up to {self.seconds:.0f} s and {self.memory / (1 << 30):.1f} GiB; "
                f"--max-work {math.ceil(self.ratio)} (max_work= in Python) allows it",
            )


def _claims(node: Node, implicit: Mapping[str, ImplicitBits], steps: int) -> int:
    """On what it takes or makes: if a weight's updates are rounded, one more for each step, of its sum of squares."""
    bits = implicit.get(f"{node.name}.weight")
    return CLAIMS_ALONG_SIDES + (steps if bits is not None and bits.movement is Movement.ROUNDED else 0)


def _sides(node: Node, placed: Placed, claims: int) -> int:
    """Of one node, as many times as there are that many claims."""
    own = sum(sum(taken) + sum(placed.output) for taken in placed.inputs) + sum(node.operator.unfolded(placed.inputs))
    return own * -(-claims // CLAIMS_ALONG_SIDES)


def pieces_of(column: Column, fan_out: int = 1) -> int:
    """The most pieces of all claims on a column (`Layout.pieces`, `Layout.slice_pieces`).

    fan_out: how many nodes take one output. More than MOST_SEPARATE_CLAIMS claims become one, at a point.
    """
    kind = _kind(column.name)
    points, slices = CLAIMS.get(kind, OTHERS)
    if kind in LARGE_CLAIMS and is_large(column.shape if kind == "start" else column.shape[1:]):
        points, slices = LARGE_CLAIMS[kind]
    slices = min(slices * fan_out, max(slices, MOST_SEPARATE_CLAIMS))
    first, *rest = column.shape
    of_slice = math.prod(length.bit_count() for length in rest)
    return (points * first.bit_count() + slices * first) * of_slice


def _kind(name: str) -> str:
    """Of "c1: forward: carry 0/2", carry; of "c1: input delta/0", delta."""
    words = name.rpartition(": ")[2].partition("/")[0].split()
    return words[-1] if not words[-1].isdigit() or len(words) == 1 else words[-2]
