"""Sums around a matrix that moves by products of small ones, through whole proofs, against Python integers."""

import functools
from dataclasses import dataclass

import numpy as np
import pytest

from tests.harness.circuit import Operands, circuit_of
from tests.harness.limbs import completed
from tests.harness.whole_proof import assert_rejected_in_both_modes
from tests.reference.rounding import round_half_up
from zkds.circuits.operators.convolution.low_rank import (
    InputCorrections,
    OutputCorrections,
    RowProducts,
    StartBackward,
    StartForward,
)
from zkds.circuits.operators.convolution.windows import Geometry, Window, one_by_one
from zkds.identities.products import Scaled
from zkds.identities.rounded_sum import RoundedSum
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import LimbFormat
from zkds.lookup import multiplicities
from zkds.prover import prove
from zkds.statement import Statement
from zkds.tensors.circuit import Circuit
from zkds.tensors.tensor import Committed
from zkds.verifier import verify

STEPS, BATCH = 3, 3
PASSES = 2 * STEPS - 1
RECORD, OUTPUTS = (2, 3, 1), 5
PAIRS = [(p, u) for p in range(PASSES) for u in range(p if p < STEPS else p - STEPS)]
SECOND = [(STEPS + t, t) for t in range(STEPS - 1)]
WINDOWS = Window(3, 3, 1, 0, 1), Window(1, 1, 1, 0, 1)  # of a dense layer: the whole record
GEOMETRY = Geometry(STEPS, BATCH, RECORD[0], OUTPUTS, *WINDOWS)
ONES = one_by_one(1), one_by_one(1)
ROW = (BATCH, 1, 1)


@dataclass
class Case:
    relation: Circuit
    columns: dict
    sums: dict


def rows(values):
    """(P, B, ...) -> (P, B, n) of Python ints."""
    return values.reshape(*values.shape[:2], -1).astype(object)


def gram(left, right, pairs):
    return np.array([[[int(x @ y) for y in right[b]] for x in left[a]] for a, b in pairs], dtype=object)


def corrected(grams, moved, passes, shape):
    """For every pair q of a pass, gram_q times the rows that belong to it."""
    total, grams = np.zeros(shape, dtype=object), grams.reshape(-1, BATCH, BATCH)
    for matrix, row, p in zip(grams, moved, passes, strict=True):
        total[p] += matrix.astype(object) @ row
    return total


@functools.cache
def make_case(cheat=None):
    """cheat: which sum is not what belongs there."""
    generator = np.random.default_rng(5)
    tensors, values = {}, {}

    def operand(name, width, shape):
        values[name] = generator.integers(-(1 << (width - 8)), 1 << (width - 8), shape)
        tensors[name] = Committed(LimbColumns(name, LimbFormat(16, width, signed=True), shape))
        return tensors[name]

    start, inputs = operand("start", 44, (OUTPUTS, *RECORD)), operand("inputs", 43, (PASSES, BATCH, *RECORD))
    deltas = operand("deltas", 46, (PASSES, BATCH, OUTPUTS, 1, 1))
    moves = operand("moves", 15, (STEPS - 1, BATCH, OUTPUTS, 1, 1))
    grams = operand("grams", 50, (len(PAIRS), *ROW, *ROW))
    others = operand("other grams", 50, (len(SECOND), *ROW, *ROW))
    a, d, m = rows(values["inputs"]), rows(values["deltas"]), rows(values["moves"])
    w = values["start"].reshape(OUTPUTS, -1).astype(object)
    first, second = zip(*PAIRS, strict=True)
    passes, steps = zip(*SECOND, strict=True)
    forward = [
        Scaled(StartForward(GEOMETRY, start, inputs)),
        Scaled(OutputCorrections(moves, grams, second, first, PASSES), 17, -1, "updates"),
        Scaled(OutputCorrections(moves, others, steps, passes, PASSES), 14, 1, "perturbation"),
    ]
    backward = [
        Scaled(StartBackward(GEOMETRY, start, deltas), 21),
        Scaled(InputCorrections(inputs, grams, [STEPS + u for u in second], first, PASSES, WINDOWS), 3, -1, "updates"),
        Scaled(InputCorrections(inputs, others, steps, passes, PASSES, WINDOWS), 0, 1, "perturbation"),
    ]
    rows_of = second if cheat != "rows of another step" else second[::-1]
    places = first if cheat != "a pair of another pass" else (*first[1:], first[0])
    weight = w if cheat != "a stale start" else w + 1
    pairs = PAIRS if cheat != "gram of another pair" else PAIRS[::-1]
    kept = 0 if cheat == "corrections left out" else 1
    later = [(p, STEPS + u) for p, u in pairs]
    z, dx = deltas.shape, inputs.shape
    exact = {
        "forward": (forward, 48, z, a @ weight.T
                    - kept * (corrected(values["grams"], m[list(rows_of)], places, d.shape) << 17)
                    + (corrected(values["other grams"], m[list(steps)], passes, d.shape) << 14)),
        "backward": (backward, 50, dx, (d @ weight << 21)
                     - kept * (corrected(values["grams"], a[[STEPS + u for u in rows_of]], places, a.shape) << 3)
                     + corrected(values["other grams"], a[list(steps)], passes, a.shape)),
        "inputs of pairs": (RowProducts(inputs, inputs, first, [STEPS + u for u in second], WINDOWS), 40,
                            (len(PAIRS), *ROW, *ROW), gram(a, a, later)),
        "deltas and moves": (RowProducts(deltas, moves, first, second, ONES), 20,
                             (len(PAIRS), *ROW, *ROW), gram(d, m, pairs)),
    }  # fmt: skip
    identities, remainders, results = [], {}, {}
    for name, (products, shift, shape, sums) in exact.items():
        results[name] = Committed(LimbColumns(f"{name}: out", LimbFormat(16, 60, signed=True), shape))
        values[f"{name}: out"] = np.array([round_half_up(v, shift) for v in sums.ravel()], dtype=np.int64).reshape(shape)
        remainders[name] = np.array([(v + (1 << shift - 1)) % (1 << shift) for v in sums.ravel()], dtype=np.int64).reshape(
            shape
        )
        identities.append(RoundedSum(name, results[name], shift, products))
    columns = {}
    for tensor in (*tensors.values(), *results.values()):
        columns |= tensor.columns.split(values[tensor.name].reshape(tensor.shape))
    for identity in identities:
        columns |= identity.remainder.split(remainders[identity.name])
    circuit = circuit_of(*identities, Operands(*tensors.values(), *results.values()))
    return Case(circuit, completed(columns, *identities), exact)


def test_sums_of_python_ints_are_proved():
    case = make_case()
    verify(prove(case.relation, case.columns, zero_knowledge=False), case.relation, allow_plain=True)
    verify(prove(case.relation, case.columns), case.relation)


SUMS, GRAMS = ("forward", "backward"), ("inputs of pairs", "deltas and moves")
CHEATS = {
    "rows of another step": SUMS,
    "a pair of another pass": SUMS,
    "a stale start": SUMS,
    "corrections left out": SUMS,
    "gram of another pair": GRAMS,
}


@pytest.mark.usefixtures("lenient")
@pytest.mark.parametrize(("cheat", "name"), [(cheat, name) for cheat, names in CHEATS.items() for name in names])
def test_wrong_sums_are_rejected(cheat, name):
    """One wrong sum among honest ones, its output, its remainder and its carries the best that there are."""
    honest, wrong = make_case(), make_case(cheat)
    columns = dict(honest.columns)
    changed = [column for column in columns if column.startswith(f"{name}: ")]
    assert any((columns[column] != wrong.columns[column]).any() for column in changed)
    columns |= {column: wrong.columns[column] for column in changed if ": carry" in column or ": remainder" in column}
    statement = Statement(honest.relation)
    vector = statement.vector(columns)
    multiplicities(statement.lookups, statement.layout, vector)
    assert_rejected_in_both_modes(honest.relation, vector, "batching: final claim")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Scaled(None, -1), "expected an exponent of 0 or more"),
        (lambda: Scaled(None, 1, 2, "updates"), "updates: expected an exponent of 0 or more and a sign 1 or -1"),
        (lambda: StartForward(GEOMETRY, *two((5, 2, 3, 1), (5, 3, 2, 4, 1))), "x: expected shape .5, 3, 2, 3, 1."),
        (lambda: StartBackward(GEOMETRY, *two((5, 2, 3, 1), (5, 3, 4, 1, 1))), "x: expected shape .5, 3, 5, 1, 1."),
        (lambda: RowProducts(*two((2, 3, 4, 1, 1), (2, 3, 5, 1, 1)), [0], [0], ONES), "expected images of one shape"),
        (lambda: RowProducts(*two((2, 3, 4, 1, 1), (2, 3, 4, 1, 1)), [0], [0, 1], ONES), "expected as many indices of each"),
        (lambda: OutputCorrections(*two((2, 3, 4, 1, 1), (2, *ROW, *ROW)), [0], [0], 2), "expected products of rows"),
    ],
)
def test_misuse_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def two(*shapes):
    return (Committed(LimbColumns("x", LimbFormat(16, 20, True), shape)) for shape in shapes)
