"""Hidden values, affine in the prover's pads, and the equations between them: docs/specification/proof-system.md, section 9."""

from zkds_verify.field import ONE, ZERO, K, of
from zkds_verify.rejection import require


class Hidden:
    """constant + sum of coefficient times variable: pad j is variable j, product t of two pads is variable -1 - t."""

    __slots__ = ("coefficients", "constant", "equations")

    def __init__(self, equations, constant, coefficients):
        self.equations, self.constant, self.coefficients = equations, constant, coefficients

    def __add__(self, other):
        if type(other) is not Hidden:
            return Hidden(self.equations, self.constant + other, self.coefficients)
        merged = dict(self.coefficients)
        for variable, coefficient in other.coefficients.items():
            merged[variable] = merged[variable] + coefficient if variable in merged else coefficient
        return Hidden(self.equations, self.constant + other.constant, merged)

    __radd__ = __add__

    def __neg__(self):
        return self * -1

    def __sub__(self, other):
        return self + -other

    def __rsub__(self, other):
        return -self + other

    def __mul__(self, other):
        if type(other) is Hidden:
            return self.equations.product(self, other)
        return Hidden(self.equations, self.constant * other, {v: c * other for v, c in self.coefficients.items()})

    __rmul__ = __mul__


class Equations:
    """messages   how many elements were received
    products   (i, j) -> number t of the product of two pads, i <= j
    found      (reason, Hidden) in order; of public ones nothing is kept but their place
    """

    def __init__(self):
        self.messages, self.products, self.found = 0, {}, []

    def received(self, encrypted):
        """`encrypted` is the value plus its pad."""
        self.messages += 1
        return Hidden(self, encrypted, {self.messages - 1: -ONE})

    def product(self, left, right):
        """Of multiples of two messages and public constants."""
        ((i, a),), ((j, b),) = left.coefficients.items(), right.coefficients.items()
        number = self.products.setdefault((min(i, j), max(i, j)), len(self.products))
        result = Hidden(self, left.constant * right.constant, {-1 - number: a * b})
        return result + Hidden(self, ZERO, {i: a * right.constant}) + Hidden(self, ZERO, {j: left.constant * b})

    def require_zero(self, reason, value):
        if type(value) is not Hidden:
            value = Hidden(self, of(value), {})
        if not value.coefficients:
            require(not value.constant, reason, "0", "another value")
        self.found.append((reason, value))

    def require_constants(self):
        """In plain mode, in which all pads are zero."""
        for reason, value in self.found:
            require(not value.constant, reason, "0", "another value")


def is_public(value):
    return type(value) is K
