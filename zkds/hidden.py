"""Hidden values: what the verifier holds of a message that was sent encrypted.

In a zero-knowledge proof every message of the prover is sent as `value + pad`, with a uniform pad of K committed beforehand
(protocol.md, section 9). The verifier computes on `Hidden` values: affine expressions in the pads. Sums and products with
public scalars are free; the product of two messages needs one committed product of pads; and a check becomes a
constraint, shown at the end by the Ligero proof. In plain mode all pads are zero and the same constraints are
evaluated directly.

Variables are numbered: j >= 0 is the pad of message j, and -1 - t is the product of the pads of the t-th product.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from zkds.field import ONE, ZERO, K, Scalar

MINUS_ONE = K(-1)


class Hidden:
    """constant + sum_j coefficients[j] * variable_j, immutable."""

    __slots__ = ("coefficients", "constant", "message")

    def __init__(self, constant: K, coefficients: Mapping[int, K], message: int | None = None) -> None:
        self.constant = constant
        self.coefficients = coefficients
        self.message = message  # the message's number, when the value is exactly one message

    @classmethod
    def public(cls, value: Scalar) -> Hidden:
        """A value that everybody knows."""
        return cls(value if isinstance(value, K) else K(value), {})

    @classmethod
    def received(cls, encrypted: K, message: int) -> Hidden:
        """Message number `message`, received as value + pad."""
        return cls(encrypted, {message: MINUS_ONE}, message)

    def __add__(self, other: Hidden | Scalar) -> Hidden:
        if not isinstance(other, Hidden):
            return Hidden(self.constant + other, self.coefficients)
        coefficients = dict(self.coefficients)
        for variable, coefficient in other.coefficients.items():
            coefficients[variable] = coefficients[variable] + coefficient if variable in coefficients else coefficient
        return Hidden(self.constant + other.constant, coefficients)

    __radd__ = __add__

    def __mul__(self, scalar: Scalar) -> Hidden:
        """A public multiple; the product of two hidden values needs `channel.product`."""
        if not isinstance(scalar, (K, int)):
            return NotImplemented
        return Hidden(self.constant * scalar, {v: c * scalar for v, c in self.coefficients.items()})

    __rmul__ = __mul__

    def __neg__(self) -> Hidden:
        return self * MINUS_ONE

    def __sub__(self, other: Hidden | Scalar) -> Hidden:
        return self + (-other)

    def __rsub__(self, other: Scalar) -> Hidden:
        return (-self) + other

    def evaluate(self, variables: Mapping[int, K]) -> K:
        """The value, for somebody who knows the variables."""
        return sum((c * variables[v] for v, c in self.coefficients.items()), self.constant)


def combine(values: Iterable[Hidden], coefficients: Iterable[K]) -> Hidden:
    """sum_k coefficients[k] * values[k], in time linear in the number of terms."""
    constant = ZERO
    combined: dict[int, K] = {}
    for value, coefficient in zip(values, coefficients, strict=True):
        constant = constant + value.constant * coefficient
        for variable, factor in value.coefficients.items():
            product = factor * coefficient
            combined[variable] = combined[variable] + product if variable in combined else product
    return Hidden(constant, combined)


@dataclass
class Constraints:
    """What the verifier's code asked for: the statement of the Ligero proof.

    messages   number of encrypted messages, hence of pads
    products   pairs (i, j): variable -1 - t is pad_i * pad_j for products[t] = (i, j)
    equations  (reason, expression that must be 0)
    """

    messages: int = 0
    products: list[tuple[int, int]] = field(default_factory=list)
    equations: list[tuple[str, Hidden]] = field(default_factory=list)
    _product_index: dict[tuple[int, int], int] = field(default_factory=dict)

    def product(self, left: Hidden, right: Hidden) -> Hidden:
        """left * right, both single messages: (e - p)(f - q) = e f - e q - f p + p q."""
        if left.message is None or right.message is None:
            raise TypeError("product: expected two received messages, got a computed expression")
        pair = (min(left.message, right.message), max(left.message, right.message))
        if pair not in self._product_index:
            self._product_index[pair] = len(self.products)
            self.products.append(pair)
        coefficients = {-1 - self._product_index[pair]: ONE, left.message: -right.constant}
        coefficients[right.message] = coefficients.get(right.message, ZERO) - left.constant
        return Hidden(left.constant * right.constant, coefficients)

    def variables(self, pads: Sequence[K]) -> dict[int, K]:
        """The value of every variable, from the pads."""
        values = {j: pads[j] for j in range(self.messages)}
        for t, (i, j) in enumerate(self.products):
            values[-1 - t] = pads[i] * pads[j]
        return values
