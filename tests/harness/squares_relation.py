"""Sums of squares over committed w_0, a, d and D, with their digits and rounded values: a circuit of its own for the tests."""

from __future__ import annotations

from dataclasses import dataclass
from unittest.mock import patch

import numpy as np

from tests.harness.circuit import Operands, circuit_of
from tests.harness.limbs import completed
from zkds.identities import product_squares
from zkds.identities.balanced_digits import BalancedDigits, Decomposition
from zkds.identities.gadget import make_blocks
from zkds.identities.gram_squares import GramSquares
from zkds.identities.product_squares import ProductSquares
from zkds.identities.rounded_value import RoundedValue
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import LimbFormat
from zkds.tensors.circuit import Component
from zkds.tensors.tensor import Committed

WEIGHT_SHIFT, GRADIENT_SHIFT, WIDTH = 100, 64, 112
WIDTHS = {"w": 44, "a": 43, "d": 46, "D": 15}


def committed(name, shape):
    return Committed(LimbColumns(name, LimbFormat(16, WIDTHS[name], True), shape))


class RoundedValues(Component):
    """The owner of gadgets of rounded values."""

    name = "rounded values"

    def __init__(self, *gadgets):
        self.gadgets = gadgets
        self.blocks = make_blocks(gadgets)

    @property
    def tensors(self):
        return [tensor for part in (*self.gadgets, *self.blocks) for tensor in part.tensors]

    @property
    def lookups(self):
        return [lookup for part in (*self.gadgets, *self.blocks) for lookup in part.lookups]

    def check(self):
        for block in self.blocks:
            block.check()

    def witness(self, reader):
        columns = {name: cells for gadget in self.gadgets for name, cells in gadget.witness(reader).items()}
        reader.add(columns)
        for block in self.blocks:
            reader.add(block.witness(reader))
        return columns

    def prove(self, context):
        for block in self.blocks:
            block.prove(context)

    def verify(self, context):
        for block in self.blocks:
            block.verify(context)


@dataclass
class SquaresRelation:
    """All of it; deltas have passes beyond the first T, of which no digits are taken.

    log   of the largest chunk: more of them than the bounds ask for, at a size for slow twins
    """

    shape: tuple[int, ...] = (5, 3, 2, 1)
    steps: int = 3
    batch: int = 2
    base: int = 4
    stride: int = 5
    exponent: int = 3
    log: int = 40

    def __post_init__(self):
        rows, *inner = self.shape
        passes, batch, steps = 2 * self.steps - 1, self.batch, self.steps
        self.w = committed("w", self.shape)
        self.a = committed("a", (passes, batch, *inner))
        self.d = committed("d", (passes, batch, rows))
        self.weights = BalancedDigits("w digits", self.w, self.base**self.stride)
        self.inputs = BalancedDigits("a digits", self.a, self.base)
        self.deltas = BalancedDigits("d digits", self.d, self.base, (steps, batch, rows))
        self.operands, self.updates = [self.w, self.a, self.d], None
        digits = [self.weights, self.inputs, self.deltas]
        if steps > 1:
            self.operands.append(committed("D", (steps - 1, batch, rows)))
            self.updates = BalancedDigits("D digits", self.operands[-1], self.base)
            digits.append(self.updates)
        self.decomposition = Decomposition("digits", digits)
        with patch.object(product_squares, "LARGEST_CHUNK_LOG", self.log):
            factors = (self.weights, self.inputs, self.deltas, self.updates)
            self.products = ProductSquares("V", *factors, self.exponent)
        self.grams = GramSquares("Q", self.inputs, self.deltas)
        self.rounded = RoundedValues(
            RoundedValue("V", self.products.coefficients, self.base, WEIGHT_SHIFT, WIDTH, "chains"),
            RoundedValue("Q", self.grams.coefficients, self.base, GRADIENT_SHIFT, WIDTH, "chains"),
        )
        self.relation = circuit_of(Operands(*self.operands), self.decomposition, self.products, self.grams, self.rounded)

    def values(self, seed=1, bits=None):
        """Random values of all operands, small enough for the rounded values' width."""
        rng = np.random.default_rng(seed)
        bits = bits or {"w": 40, "a": 20, "d": 20, "D": 12}
        return {o.name: rng.integers(-(1 << bits[o.name] - 1), 1 << bits[o.name] - 1, o.shape) for o in self.operands}

    def columns(self, values):
        return self.relation.witness({}, values)

    def after_digits(self, columns):
        """The columns of everything that follows from digits, of these digits."""
        return completed(columns, self.products, self.grams, self.rounded)

    def exact(self, values):
        """[(V_t, Q_t)], exact integers from the values themselves."""
        w, a, d = (values[name].astype(object) for name in "wad")
        found = []
        for t in range(self.steps):
            weight = w * 2**self.exponent
            for u in range(t):
                weight = weight - outer(values["D"][u].astype(object), a[self.steps + u])
            g = outer(d[t], a[t])
            found.append((int(((weight * g) ** 2).sum()), int((g**2).sum())))
        return found


def outer(left, right):
    """sum_s left[s][o] right[s][k]."""
    return sum(np.multiply.outer(x, y) for x, y in zip(left, right, strict=True))
