"""Sums of squares over committed w_0, a, d and D, with their digits and rounded values: a circuit of its own for the tests."""

from __future__ import annotations

from dataclasses import dataclass
from unittest.mock import patch

import numpy as np

from tests.harness.circuit import Operands, circuit_of
from tests.harness.limbs import completed
from zkds.circuits.operators.convolution.low_rank import Patches
from zkds.circuits.operators.convolution.windows import Window, one_by_one
from zkds.identities import product_squares
from zkds.identities.balanced_digits import BalancedColumns, BalancedDigits, BalancedFormat, Decomposition
from zkds.identities.gadget import make_blocks
from zkds.identities.gram_squares import GramSquares
from zkds.identities.product_squares import ProductSquares
from zkds.identities.rounded_value import RoundedValue
from zkds.integers.intervals import Interval
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import LimbFormat
from zkds.tensors.circuit import Component
from zkds.tensors.tensor import Committed

WEIGHT_SHIFT, GRADIENT_SHIFT, WIDTH = 100, 64, 112
WEIGHT = Interval(-(2**43), 2**43 - 1)
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


@dataclass
class StepSquares:
    """V of weights that are given for every step, (T, M, C, kernel), at patches of images: overlapping ones, with padding."""

    steps: int = 3
    log: int = 40

    def __post_init__(self):
        rows, columns = Window(3, 2, 1, 1, 3), Window(2, 1, 1, 0, 2)
        batch, channels, outputs = 2, 3, 5
        self.shape = (outputs, channels, 2, 1)
        self.a = committed("a", (2 * self.steps - 1, batch, channels, 3, 2))
        self.d = committed("d", (2 * self.steps - 1, batch, outputs, 3, 2))
        self.weights = BalancedColumns("w", BalancedFormat.holding(3**5, WEIGHT), (self.steps, *self.shape))
        self.inputs = BalancedDigits("a digits", self.a, 3, (self.steps, *self.a.shape[1:]))
        self.deltas = BalancedDigits("d digits", self.d, 3, (self.steps, *self.d.shape[1:]))
        self.views = Patches(batch, channels, (rows, columns)), Patches(batch, outputs, tuple(map(one_by_one, (3, 2))))
        with patch.object(product_squares, "LARGEST_CHUNK_LOG", self.log):
            self.products = ProductSquares("V", self.weights, self.inputs, self.deltas, None, rows=self.views)
        self.rounded = RoundedValues(RoundedValue("V", self.products.coefficients, 3, WEIGHT_SHIFT, WIDTH, "chains"))
        self.decomposition = Decomposition("digits", [self.inputs, self.deltas])
        operands = Operands(self.a, self.d, self.weights)
        self.relation = circuit_of(operands, self.decomposition, self.products, self.rounded)

    def values(self):
        rng = np.random.default_rng(3)
        bits = {"w": 43, "a": 20, "d": 20}
        return {o.name: rng.integers(-(1 << bits[o.name]), 1 << bits[o.name], o.shape) for o in (self.weights, self.a, self.d)}

    def columns(self, values):
        return self.relation.witness({}, values)

    def after_digits(self, columns):
        """The columns of everything that follows from digits, of these digits."""
        return completed(columns, self.products, self.rounded)

    def gradient(self, a, d):
        """sum over records and positions of d[b, o, y, x] times what tap (e, 0) of channel c meets, as Python ints."""
        g = np.zeros(self.shape, dtype=object)
        for b, y, x, e in np.ndindex(2, 3, 2, 2):
            if 0 <= y + e - 1 < 3:
                g[:, :, e, 0] += np.multiply.outer(d[b, :, y, x].astype(object), a[b, :, y + e - 1, x].astype(object))
        return g

    def exact(self, values):
        """V_t, exact integers."""
        w, a, d = (values[name].astype(object) for name in "wad")
        return [int(((w[t] * self.gradient(a[t], d[t])) ** 2).sum()) for t in range(self.steps)]


def outer(left, right):
    """sum_s left[s][o] right[s][k]."""
    return sum(np.multiply.outer(x, y) for x, y in zip(left, right, strict=True))
