"""The sums of squares of a weight that is implicit: Q = |g|^2 and, for ASAM sharpness, V = |w o g|^2 of its gradients, rounded.

g_t = d_t^T a_t and w_t = w_0 - sum_(u < t) D^_u^T a_(T + u) are exact products of small tensors. These are committed a second
time, in balanced digits, so that the sums are values of polynomials with small coefficients; a carry chain rounds them to 88
fractional bits. V takes digits of base 3 (zkds/identities/product_squares.py), and of w_0 of base 81, in which it is committed
alone; that of a private model, whose bytes are, a second time. Of a weight whose updates are rounded it takes w_t of every
step, in digits in which it is committed alone, and a and d of first passes. Q alone takes a and d of first passes, in the
largest base whose coefficients fit (zkds/identities/gram_squares.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from zkds.circuits.arithmetic.fixed_point import SQUARES_WIDTH, Configuration
from zkds.circuits.operators.implicit import BASE, START_BASE
from zkds.identities.balanced_digits import BalancedColumns, BalancedDigits, BalancedValue, Decomposition
from zkds.identities.expressions import ONLY
from zkds.identities.gadget import Gadgets
from zkds.identities.gram_squares import GramSquares, RowView
from zkds.identities.product_squares import ProductSquares
from zkds.identities.rounded_value import RoundedValue
from zkds.integers.limb_columns import LimbColumns
from zkds.tensors.circuit import Component
from zkds.tensors.tensor import Reader, Tensor

BASES = (256, 128, 64, 32, 16, 8, 4, BASE)  # for Q alone


@dataclass(frozen=True)
class LowRankWeight:
    """A weight and what moves it.

    start      w_0 (M, C, kernel) [40]; for V, if its digits are all that is committed of it, a `BalancedValue`
    inputs     (P, B, C, H, W)
    deltas     d (P, B, M, Y, X), of the layer's outputs
    rows       of both: patches a of the inputs, and what d has at each output
    updates    D^ (T - 1, B, M, Y, X)
    exponent   e: w_t is 2^e w_0 - sum_(u < t) D^_u^T a_(T + u), on the grid of the latter
    squares_shift, scaled_squares_shift   from |g|^2 and |w o g|^2 to 88 fractional bits
    weights    w_t (T, M, C, kernel), if updates are rounded
    """

    name: str
    start: Tensor
    inputs: Tensor
    deltas: Tensor
    rows: tuple[RowView, RowView]
    updates: Tensor
    exponent: int
    squares_shift: int
    scaled_squares_shift: int
    weights: BalancedColumns | None = None


class LayerSquares:
    """Q and V of one weight.

    components       what proves them, in order
    squares          Q (T,)
    scaled_squares   V (T,), None unless the sharpness is ASAM
    """

    def __init__(self, configuration: Configuration, weight: LowRankWeight) -> None:
        name = weight.name
        self.scaled_squares: RoundedValue | None = None
        if configuration.sharpness == "ASAM":
            make = self._both if weight.weights is None else self._of_steps
            digits, gram, products = make(configuration, weight)
            self.scaled_squares = self._rounded(f"{name}: scaled squares", products, weight.scaled_squares_shift)
            parts: list[Component] = [gram, products]
        else:
            digits, gram = self._gram(configuration, weight)
            parts = [gram]
        self.squares = self._rounded(f"{name}: squares", gram, weight.squares_shift)
        values = [self.squares] if self.scaled_squares is None else [self.squares, self.scaled_squares]
        self.components: list[Component] = [Decomposition(f"{name}: digits", digits), *parts, Values(f"{name}: sums", values)]

    @staticmethod
    def _gram(configuration: Configuration, weight: LowRankWeight) -> tuple[list[BalancedDigits], GramSquares]:
        """Q alone, from the fewest digits."""
        for base in BASES:
            inputs, deltas = digits = _first_digits(configuration, weight, base)
            gram = GramSquares(f"{weight.name}: gradient", inputs, deltas, weight.rows)
            if gram.fits:
                break
        return digits, gram

    @staticmethod
    def _of_steps(
        configuration: Configuration, weight: LowRankWeight
    ) -> tuple[list[BalancedDigits], GramSquares, ProductSquares]:
        """Both, with w_t as it is."""
        inputs, deltas = digits = _first_digits(configuration, weight, BASE)
        gram = GramSquares(f"{weight.name}: gradient", inputs, deltas, weight.rows)
        assert weight.weights is not None
        name = f"{weight.name}: scaled gradient"
        return digits, gram, ProductSquares(name, weight.weights, inputs, deltas, None, rows=weight.rows)

    @staticmethod
    def _both(configuration: Configuration, weight: LowRankWeight) -> tuple[list[BalancedDigits], GramSquares, ProductSquares]:
        """Both, from the same digits."""
        name, steps, batch, outputs = weight.name, configuration.steps, configuration.batch_size, weight.start.shape[0]
        dense = (0, 1, 2, ONLY, ONLY)
        inputs = BalancedDigits(f"{name}: input digits", weight.inputs, BASE)
        deltas = BalancedDigits(f"{name}: delta digits", weight.deltas, BASE, (steps, batch, outputs), dense)
        start = _start_digits(weight)
        updates = BalancedDigits(f"{name}: update digits", weight.updates, BASE, (steps - 1, batch, outputs), dense)
        gram = GramSquares(f"{name}: gradient", inputs, deltas)
        products = ProductSquares(f"{name}: scaled gradient", start, inputs, deltas, updates, weight.exponent)
        tied = [start] if isinstance(start, BalancedDigits) else []
        return [inputs, deltas, *tied, updates], gram, products

    @staticmethod
    def _rounded(name: str, sums: GramSquares | ProductSquares, shift: int) -> RoundedValue:
        return RoundedValue(name, sums.coefficients, sums.base, shift, SQUARES_WIDTH, name)


def _first_digits(configuration: Configuration, weight: LowRankWeight, base: int) -> list[BalancedDigits]:
    """Of a and d of first passes."""
    named = (("input digits", weight.inputs), ("delta digits", weight.deltas))
    steps = configuration.steps
    return [BalancedDigits(f"{weight.name}: {word}", own, base, (steps, *own.shape[1:])) for word, own in named]


def _start_digits(weight: LowRankWeight) -> BalancedColumns:
    if isinstance(weight.start, BalancedValue):
        return weight.start.source
    return BalancedDigits(f"{weight.name}: start digits", weight.start, START_BASE)


class Values(Gadgets):
    """Rounded values of polynomials, with the blocks of their identities."""

    def __init__(self, name: str, values: Sequence[RoundedValue]) -> None:
        super().__init__(name, values)
        self.values = tuple(values)

    def witness(self, reader: Reader) -> Iterator[tuple[str | LimbColumns, NDArray[Any]]]:
        """The columns of digits and carries, from a reader of the coefficients."""
        for value in self.values:
            yield from value.witness(reader).items()
        yield from super().witness(reader)
