"""Blocks of integer identities (zkds/identities/block.py), in whole proofs: true ones are accepted, and no cell is free."""

from __future__ import annotations

import numpy as np
import pytest

from tests.harness.blocks_relation import BlocksRelation
from tests.harness.forgery import forged_carries
from tests.harness.limbs import join
from tests.harness.sweeps import long_but
from tests.harness.whole_proof import LIGERO_REASON, reject
from zkds.errors import PlanRejected
from zkds.field import P
from zkds.identities.block import Block
from zkds.identities.expressions import ONLY, Along, Expression, Identity, Over, UpTo, at, tensor
from zkds.integers.intervals import Interval
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import LimbFormat
from zkds.prover import prove
from zkds.tensors.tensor import Committed
from zkds.verifier import verify

STEPS = 3
PARAMETER = (5, 7)


def committed(name: str, width: int, shape: tuple[int, ...], signed: bool = True) -> Committed:
    return Committed(LimbColumns(name, LimbFormat(16, width, signed), shape))


def split(source: Committed, values: np.ndarray) -> dict[str, np.ndarray]:
    return source.columns.split(np.asarray(values).astype(np.int64))


class Example:
    """v = round(w g, 40), e = round(kappa g, 32), sums of squares of v and prefix sums: all kinds of operands."""

    def __init__(self) -> None:
        shape = (STEPS, *PARAMETER)
        self.w = committed("w", 44, (2 * STEPS - 1, *PARAMETER))
        self.g = committed("g", 48, shape)
        self.v = committed("v", 48, shape)
        self.remainder = committed("remainder", 40, shape, False)
        self.kappa = committed("kappa", 60, (STEPS, 1), False)
        self.e = committed("e", 44, (STEPS - 1, *PARAMETER))
        self.e_remainder = committed("e remainder", 32, (STEPS - 1, *PARAMETER), False)
        self.squares = [committed(f"V{i}", 48, (STEPS,), False) for i in range(3)]
        self.prefixes = committed("prefixes", 60, (5, STEPS))
        self.product = committed("product low", 48, (5, STEPS), False), committed("product high", 57, (5, STEPS))
        prefixes = tensor(self.v, 1, UpTo(0), Over((1, 0, 2, 0, 0, 0, -3)))
        product = tensor(self.product[0]) + tensor(self.product[1]) * (1 << 48)
        v, g, scale = tensor(self.v), tensor(self.g), 1 << 40
        kappa = tensor(self.kappa, Along(0), ONLY)
        identities = [
            Identity("v", shape, g * tensor(self.w) + (scale >> 1) - tensor(self.remainder) - v * scale),
            Identity(
                "e",
                (STEPS - 1, *PARAMETER),
                tensor(self.g, 0, 1, 2) * kappa + (1 << 31) - tensor(self.e_remainder) - tensor(self.e) * (1 << 32),
                Interval.signed(80),
            ),
            Identity("prefixes", (5, STEPS), prefixes - tensor(self.prefixes)),
            Identity("product", (5, STEPS), prefixes * tensor(self.v, 1, at(2, 5), at(0, 7)) - product),
        ]
        total = sum((tensor(part) * (1 << 48 * i) for i, part in enumerate(self.squares)), Expression([]))
        self.pointwise = Block("pointwise", identities)
        self.sums = Block("sums", [Identity("V", (STEPS,), (v * v).summed(*PARAMETER) - total)])
        self.tensors = [self.w, self.g, self.v, self.remainder, self.kappa, self.e, self.e_remainder]
        self.tensors += [*self.squares, self.prefixes, *self.product]
        self.relation = BlocksRelation([self.pointwise, self.sums], self.tensors)

    def columns(self, seed: int = 1, round_down: bool = False) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(seed)
        w = rng.integers(-(2**43), 2**43, self.w.shape)
        g = rng.integers(-(2**40), 2**40, self.g.shape)
        kappa = rng.integers(0, 2**34, self.kappa.shape)
        v, remainder = rounded(w[:STEPS].astype(object) * g, 40, round_down)
        e, e_remainder = rounded(kappa[: STEPS - 1, :, None].astype(object) * g[: STEPS - 1], 32, round_down)
        squares = (v.astype(object) ** 2).sum(axis=(1, 2))
        weighted = (v * np.array([1, 0, 2, 0, 0, 0, -3])).sum(axis=2)
        values = [w, g, v, remainder, kappa, e, e_remainder, *((squares >> 48 * i) % 2**48 for i in range(3))]
        prefixes = np.cumsum(weighted, axis=1).T
        product = prefixes.astype(object) * v[:, 2, 0]
        values += [prefixes, product % 2**48, product >> 48]
        return {k: c for t, value in zip(self.tensors, values, strict=True) for k, c in split(t, value).items()}


def rounded(exact: np.ndarray, shift: int, down: bool) -> tuple[np.ndarray, np.ndarray]:
    """Nearest, or with `down` the floor, with the remainder that makes the identity true as far as possible."""
    shifted = exact + (1 << (shift - 1))
    out = exact >> shift if down else shifted >> shift
    return out.astype(np.int64), np.clip(shifted - (out << shift), 0, (1 << shift) - 1).astype(np.int64)


EXAMPLE = Example()


def forged(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return forged_carries(EXAMPLE.relation.blocks, columns)


@pytest.mark.parametrize("zero_knowledge", [False, True])
def test_true_identities_are_accepted(zero_knowledge):
    columns = EXAMPLE.relation.complete(EXAMPLE.columns())
    data = prove(EXAMPLE.relation, columns, zero_knowledge=zero_knowledge)
    assert verify(data, EXAMPLE.relation, allow_plain=True).bits >= 100


def changed_cells() -> list[object]:
    """The first and the last cell of every column, but not w's in second passes nor the last kappa, which nothing reads.

    `make test` tries the first cells of every third column.
    """
    names = [column.name for column in EXAMPLE.relation.columns]
    last = [pytest.param(name, True, marks=pytest.mark.long) for name in names if not name.startswith(("w/", "kappa/"))]
    first = [(name, False) for name in names]
    return [*long_but(first[::3], first), *last]


@pytest.mark.parametrize(("name", "last"), changed_cells())
def test_no_cell_is_free(name, last):
    columns = EXAMPLE.relation.complete(EXAMPLE.columns())
    cells = columns[name].copy()
    index = (-1,) * cells.ndim if last else (0,) * cells.ndim
    cells[index] ^= 1
    error = reject(prove(EXAMPLE.relation, columns | {name: cells}, zero_knowledge=False), EXAMPLE.relation, allow_plain=True)
    assert error.reason == "batching: final claim"


def test_rounding_down_is_rejected():
    columns = forged(EXAMPLE.columns(round_down=True))
    assert reject(prove(EXAMPLE.relation, columns), EXAMPLE.relation).reason == LIGERO_REASON
    plain = prove(EXAMPLE.relation, columns, zero_knowledge=False)
    assert reject(plain, EXAMPLE.relation, allow_plain=True).reason == "batching: final claim"


def test_a_multiple_of_p_is_not_zero():
    """out and rem changed so that the value changes by a multiple of p: divisible by p, not by 2^32."""
    columns = EXAMPLE.columns()
    digits = {t.name: join(t.columns.format, t.columns.limbs(columns)) for t in (EXAMPLE.v, EXAMPLE.remainder)}
    v, remainder = digits["v"], digits["remainder"]
    v.flat[0] += (P + 1) >> 40  # 2^61 = p + 1
    remainder.flat[0] -= 1
    assert remainder.flat[0] >= 0
    changed = forged(columns | split(EXAMPLE.v, v) | split(EXAMPLE.remainder, remainder))
    plain = prove(EXAMPLE.relation, changed, zero_knowledge=False)
    assert reject(plain, EXAMPLE.relation, allow_plain=True).reason == "batching: final claim"


def test_a_witness_that_is_false_is_named():
    columns = EXAMPLE.columns(round_down=True)
    with pytest.raises(ValueError, match=r"^v: identity: digits 0 to 1 do not sum"):
        EXAMPLE.relation.complete(columns)


def test_what_is_no_identity_is_refused():
    v, w, squares = tensor(EXAMPLE.v), tensor(EXAMPLE.w), EXAMPLE.squares[0]
    shape = (STEPS, *PARAMETER)
    with pytest.raises(ValueError, match="w: an axis of 5 cannot run along one of 6"):
        Identity("i", (6, *PARAMETER), w)
    with pytest.raises(ValueError, match="V0: no axis 4"):
        Identity("i", shape, tensor(squares, 4))
    with pytest.raises(ValueError, match="expected uses of 3 axes, got 1"):
        tensor(EXAMPLE.v, 0)
    with pytest.raises(ValueError, match="two of its axes run along one axis"):
        tensor(EXAMPLE.v, 0, 1, 1)
    with pytest.raises(ValueError, match="expected 7 weights, got 2"):
        tensor(EXAMPLE.v, 0, 1, Over((1, 1)))
    with pytest.raises(ValueError, match="expected products of two operands"):
        Identity("i", shape, v * v * v)
    with pytest.raises(ValueError, match="both factors are broadcast"):
        Identity("i", (STEPS,), (tensor(squares, 0) * tensor(squares, 0)).summed(3))
    with pytest.raises(ValueError, match="only products are summed"):
        Identity("i", (STEPS,), tensor(squares, 0).summed(3))
    with pytest.raises(ValueError, match="a product before a sum"):
        (v * v).summed(7) * v
    with pytest.raises(ValueError, match="products to be summed once"):
        (v * v).summed(7).summed(7)
    with pytest.raises(ValueError, match="identities of different names"):
        Block("b", [])
    with pytest.raises(PlanRejected, match=r"^wide: identity: a value of"):
        Block("b", [Identity("wide", shape, v * (1 << 300))])
