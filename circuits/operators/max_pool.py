"""Max pooling (with or without ReLU) of entries that are themselves never committed.

For every window of entries z_k in row-major order, committed are a selector m_k for each entry, the result a, and

    diff_k = a - z_k - 1 + c_k >= 0            c_k = m_0 + ... + m_k

so that z_k = a + c_k - 1 - diff_k is virtual: another component's identity fixes it, and so everything here. Proved:

    m_k (m_k - 1) = 0,    m_k diff_k = 0            for every entry
    s (s - 1) = 0,        (s - 1) a = 0             for every window, s = sum_k m_k; without ReLU: s = 1

and, by range checks, diff_k >= 0 and, with ReLU, a >= 0. All of these products are below 2^61 - 1 in absolute value, so they
vanish over the integers if they do modulo p; selectors are 0 or 1 as elements of F, whatever a prover commits, and need no
range check.

If s = 1 and m_j = 1: diff_j = 0 says a = z_j, and diff_k >= 0 says z_k < a for k < j and z_k <= a for k > j: j is the first
maximum and, with ReLU, a >= 0. If s = 0: a = 0 and diff_k >= 0 says z_k <= -1 for all k. Exactly one of the two holds for
given z, and fixes all cells.

Where windows lie side by side and are all entries of a convolution's output, z is that output: it needs no cell of its own
(`MaxPool`). Where they overlap, leave entries out or reach into padding, z is proved to be the unfolded entries (unfold.py), by
one more identity (`UnfoldedMaxPool`). In the padding these are -2^(width - 1) - 1, below every value of `width` signed bits: no
a is so small, so nothing there is ever selected, whatever the entries are.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np

from zkds import sumcheck
from zkds.circuits.operators.masked import BIT, Masked
from zkds.circuits.operators.pooling import (
    Window,
    as_windows,
    pooled_axes,
    pooled_shape,
    repeat_entries,
    repeated_axes,
    window_suffixes,
    window_sums,
)
from zkds.circuits.operators.unfold import Folded, Unfolded, Unfolding
from zkds.claims import Value
from zkds.errors import PlanRejected
from zkds.field import ONE, K, P
from zkds.hidden import Hidden
from zkds.identities.equal import Equal
from zkds.identities.zero_check import ZeroCheck
from zkds.integers.identity import DIGIT_BITS
from zkds.integers.intervals import Interval
from zkds.integers.limb_columns import LimbColumns, Points
from zkds.integers.limbs import I64, LimbFormat
from zkds.native import U32
from zkds.soundness import algebraic
from zkds.tensors.axes import VectorAxis, eq_axes, ones, padded
from zkds.tensors.circuit import Component
from zkds.tensors.field_tables import field_table
from zkds.tensors.linear import LinearTensor, Term
from zkds.tensors.tensor import (
    SCHWARTZ_ZIPPEL,
    Book,
    Committed,
    Context,
    ProverContext,
    Reader,
    Tensor,
    TensorClaim,
    VerifierContext,
    draw_points,
    value_weights,
)


class MaxPool(Component):
    """The cells and constraints of a max pool whose windows lie side by side.

    shape    of the entries, (P, B, C, H, W), multiples of the window's in the last two
    window   its rows and columns
    width    of the entries in bits, signed
    padded   whether an entry may be -2^(width - 1) - 1 as well
    output   the result, (P, B, C, H / rows, W / columns)
    mask     the selectors, of `shape`
    values   the entries as a virtual tensor
    """

    def __init__(
        self, name: str, shape: tuple[int, ...], window: Window, width: int, *, relu: bool, padded: bool = False
    ) -> None:
        self.name = name
        self.shape = shape
        self.window = window
        self.relu = relu
        number = LimbFormat(DIGIT_BITS, width - 1, signed=False) if relu else LimbFormat(DIGIT_BITS, width, signed=True)
        self.output = Committed(LimbColumns(f"{name}: output", number, pooled_shape(shape, window)))
        self.mask = Committed(LimbColumns(f"{name}: mask", BIT, shape), checked=False)
        number = LimbFormat(DIGIT_BITS, width + padded, signed=False)  # from the least entry to the greatest, and 1 more
        self.difference = Committed(LimbColumns(f"{name}: difference", number, shape))
        self.values: LinearTensor = MaxPoolInput(f"{name}: input", self)

    @property
    def tensors(self) -> tuple[Committed, ...]:
        return self.output, self.mask, self.difference

    def check(self) -> None:
        """Raise PlanRejected unless every product in the constraints stays below p."""
        largest = max(self.output.interval.magnitude(), self.difference.interval.magnitude())
        rows, columns = self.window
        if rows * columns * largest >= P:
            raise PlanRejected(f"{self.name}: windows of {rows} x {columns} are too large")

    # ---- protocol ----------------------------------------------------------------------------------------------------

    def prove(self, context: ProverContext) -> None:
        """The prover's side, after the root: claims on mask, difference and output."""
        beta, points, window_points = self._draw(context)
        (mask,) = self.mask.tables(context.reader)
        tables = (_small_table(mask), field_table(self.difference.integers(context.reader)))
        check = ZeroCheck(f"{self.name}: selection", self.shape, _selection_terms(beta))
        self._selection_claims(context.book, *check.prove(context, points, tables))
        if self.relu:
            tables = (_small_table(window_sums(mask, self.window)), field_table(self.output.integers(context.reader)))
            check = ZeroCheck(f"{self.name}: windows", self.output.shape, _window_terms(beta))
            self._window_claims(context.book, *check.prove(context, window_points, tables))
        else:
            self._add_sums(context.book, window_points, ones(self.output.shape, window_points))

    def verify(self, context: VerifierContext) -> None:
        """The verifier's side."""
        beta, points, window_points = self._draw(context)
        check = ZeroCheck(f"{self.name}: selection", self.shape, _selection_terms(beta))
        self._selection_claims(context.book, *check.verify(context, points))
        if self.relu:
            check = ZeroCheck(f"{self.name}: windows", self.output.shape, _window_terms(beta))
            self._window_claims(context.book, *check.verify(context, window_points))
        else:
            self._add_sums(context.book, window_points, Hidden.public(ones(self.output.shape, window_points)))

    def _draw(self, context: Context) -> tuple[K, Points, Points]:
        """beta, which combines two constraints on the same entries, a point of the entries, a point of the windows."""
        beta = context.channel.challenge(algebraic(f"{self.name}: beta", 1, "1 / |K|", SCHWARTZ_ZIPPEL))
        points = draw_points(context, f"{self.name}: selection", self.shape)
        return beta, points, draw_points(context, f"{self.name}: windows", self.output.shape)

    def _selection_claims(self, book: Book[Value], points: Points, values: Sequence[Value]) -> None:
        axes = eq_axes(self.shape, points)
        book.add(self.mask, axes, [ONE], values[0])
        book.add(self.difference, axes, value_weights(self.difference), values[1])

    def _window_claims(self, book: Book[Value], points: Points, values: Sequence[Value]) -> None:
        self._add_sums(book, points, values[0])
        book.add(self.output, eq_axes(self.output.shape, points), value_weights(self.output), values[1])

    def _add_sums(self, book: Book[Value], points: Points, value: Value) -> None:
        """The claim that the windows' numbers of selected entries have this value at a point."""
        book.add(self.mask, repeated_axes(eq_axes(self.output.shape, points), self.window), [ONE], value)


def _selection_terms(beta: K) -> list[sumcheck.Term]:
    """m (m - 1) + beta m diff"""
    return [(ONE, (0, 0)), (K(-1), (0,)), (beta, (0, 1))]


def _window_terms(beta: K) -> list[sumcheck.Term]:
    """(s - 1) (s + beta a)"""
    return [(ONE, (0, 0)), (K(-1), (0,)), (beta, (0, 1)), (-beta, (1,))]


class UnfoldedMaxPool:
    """A max pool over any windows: one over the unfolded entries of `values`.

    width        of the values in bits, signed; an entry that is not selected may have more
    entries      of all windows, virtual
    pool, tie    the components: the max pool, and that its `values` are the entries
    """

    def __init__(self, name: str, values: Tensor, unfolding: Unfolding, width: int, *, relu: bool) -> None:
        self.unfolding = unfolding
        self.entries = Unfolded(f"{name}: entries", values, unfolding, padding_value(width))
        padded = unfolding.is_padded
        self.pool = MaxPool(name, self.entries.shape, unfolding.window, width, relu=relu, padded=padded)
        self.tie = Equal(f"{name}: unfolding", self.pool.values, self.entries)


def input_delta(name: str, pool: MaxPool, unfolding: Unfolding, delta: Tensor) -> Tensor:
    """The deltas of what a max pool runs on, from those of its output: exact, virtual."""
    if unfolding.is_tiling:
        return Masked(name, pool.mask, delta, pool.window)
    return Folded(name, Masked(f"{name}, unfolded", pool.mask, delta, pool.window), unfolding)


class MaxPoolInput(LinearTensor):
    """The entries, z = a + c - 1 - diff, in digits: those of a and diff, and c - 1 in the lowest one.

    c is linear in the selectors: sum_x w(x) c(x) counts selector (i, j) of a window with the weights of the places from (i, j)
    on, a sum of two products over the axes: rows after i with all columns, row i with the columns from j on.
    """

    def __init__(self, name: str, pool: MaxPool) -> None:
        self.name = name
        self.shape = pool.shape
        self.pool: MaxPool = pool
        self.sources = (pool.output, pool.mask, pool.difference)
        count = Interval(-1, 0)  # c - 1
        pairs = zip_longest(pool.output.digits, pool.difference.digits, fillvalue=Interval(0, 0))
        differences = [a - b for a, b in pairs]
        self.digits = (differences[0] + count, *differences[1:])
        self.interval = pool.output.interval - pool.difference.interval + count

    def tables(self, reader: Reader) -> list[I64]:
        pool = self.pool
        (mask,) = pool.mask.tables(reader)
        digits = [-digit for digit in pool.difference.tables(reader)]
        for j, digit in enumerate(pool.output.tables(reader)):
            digits[j] += repeat_entries(digit, pool.window)
        digits[0] += prefix_sums(mask, pool.window) - 1
        return digits

    def terms(self, claim: TensorClaim[Value]) -> tuple[list[Term], K]:
        """What a claim asks of the output, twice of the mask, and of the difference; the constant is that of c - 1."""
        pool = self.pool
        *lead, rows, columns = claim.axes
        lowest = [claim.digit_weights[0]]
        column_places = window_suffixes(columns, pool.window[1])
        from_column = interleaved(column_places)
        all_columns = interleaved(column_places[:1] * pool.window[1])
        row_places: list[VectorAxis] = window_suffixes(rows, pool.window[0])
        rows_after = interleaved([*row_places[1:], zero_axis(pool.output.shape[-2])])
        constant = -claim.digit_weights[0]
        for axis in claim.axes:
            constant = constant * axis.total()
        negated = [-weight for weight in claim.digit_weights[: len(pool.difference.digits)]]
        return [
            Term(pool.output, pooled_axes(claim.axes, pool.window), claim.digit_weights[: len(pool.output.digits)]),
            Term(pool.mask, [*lead, rows_after, all_columns], lowest),
            Term(pool.mask, [*lead, rows, from_column], lowest),
            Term(pool.difference, claim.axes, negated),
        ], constant


def padding_value(width: int) -> int:
    """What stands for an entry in the padding: less than every value of `width` signed bits."""
    return -(1 << (width - 1)) - 1


def forward(values: I64, unfolding: Unfolding, *, relu: bool) -> tuple[I64, I64]:
    """(.., H, W) -> the largest entry of each window, (.., h, w); selectors of the unfolded entries, (.., h kh, w kw)."""
    entries = unfolding.unfold(values, np.iinfo(np.int64).min)
    mask = first_maximum(entries, unfolding.window, relu=relu)
    return window_sums(mask * entries, unfolding.window), mask


def backward(mask: I64, delta: I64, unfolding: Unfolding) -> I64:
    """The deltas of the values, (.., H, W), from the selectors and the deltas of the output."""
    return unfolding.fold(mask * repeat_entries(delta, unfolding.window))


def interleaved(places: Sequence[VectorAxis]) -> VectorAxis:
    """An axis whose window h has the weights places[0][h], places[1][h], ...."""
    return VectorAxis(np.ascontiguousarray(np.stack([place.vector() for place in places], axis=1)).reshape(-1, 2))


def zero_axis(length: int) -> VectorAxis:
    return VectorAxis(np.zeros((length, 2), dtype=np.uint64))


def first_maximum(values: I64, window: Window, *, relu: bool) -> I64:
    """The selectors: 1 at the first maximum of each window in row-major order; with ReLU, only if it is >= 0."""
    windows = _row_major(as_windows(values, window))
    first = windows.argmax(axis=-1)[..., None]
    chosen = np.arange(windows.shape[-1]) == first
    if relu:
        chosen &= np.take_along_axis(windows, first, axis=-1) >= 0
    return _from_row_major(chosen.astype(np.int64), window)


def differences(values: I64, mask: I64, output: I64, window: Window) -> I64:
    """diff of every entry."""
    found: I64 = repeat_entries(output, window) - values - 1 + prefix_sums(mask, window)
    return found


def prefix_sums(mask: I64, window: Window) -> I64:
    """For every entry, the number of selected ones in its window up to it and including it, row-major."""
    return _from_row_major(np.cumsum(_row_major(as_windows(mask, window)), axis=-1), window)


def _row_major(windows: I64) -> I64:
    """(.., H / h, h, W / w, w) -> (.., H / h, W / w, h w)"""
    *lead, height, rows, width, columns = windows.shape
    return windows.swapaxes(-3, -2).reshape(*lead, height, width, rows * columns)


def _from_row_major(windows: I64, window: Window) -> I64:
    """(.., H / h, W / w, h w) -> (.., H, W)"""
    *lead, height, width, _ = windows.shape
    rows, columns = window
    return windows.reshape(*lead, height, width, rows, columns).swapaxes(-3, -2).reshape(*lead, height * rows, width * columns)


def _small_table(values: I64) -> U32:
    return padded(values.astype(np.uint32), values.shape)
