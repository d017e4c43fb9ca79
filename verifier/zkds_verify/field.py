"""F = F_p and K = F[i] / (i^2 + 1): docs/specification/proof-system.md, section 1."""

from functools import cache
from operator import mul

P = 2**61 - 1


class K:
    """re + im i, both reduced. Sums and products with integers, too."""

    __slots__ = ("im", "re")

    def __init__(self, re=0, im=0):
        self.re, self.im = re % P, im % P

    def __repr__(self):
        return f"K({self.re}, {self.im})"

    def __eq__(self, other):
        other = of(other)
        return other is not NotImplemented and (self.re, self.im) == (other.re, other.im)

    def __hash__(self):
        return hash((self.re, self.im))

    def __bool__(self):
        return bool(self.re or self.im)

    def __neg__(self):
        return K(-self.re, -self.im)

    def __add__(self, other):
        if type(other) is K:
            return K(self.re + other.re, self.im + other.im)
        return K(self.re + other, self.im) if isinstance(other, int) else NotImplemented

    __radd__ = __add__

    def __sub__(self, other):
        if type(other) is K:
            return K(self.re - other.re, self.im - other.im)
        return K(self.re - other, self.im) if isinstance(other, int) else NotImplemented

    def __rsub__(self, other):
        return -self + other

    def __mul__(self, other):
        if type(other) is K:
            a, b, c, d = self.re, self.im, other.re, other.im
            return K(a * c - b * d, a * d + b * c)
        return K(self.re * other, self.im * other) if isinstance(other, int) else NotImplemented

    __rmul__ = __mul__

    def __pow__(self, exponent):
        result, base = ONE, self
        while exponent:
            if exponent & 1:
                result = result * base
            base, exponent = base * base, exponent >> 1
        return result

    def conjugate(self):
        return K(self.re, -self.im)

    def inverse(self):
        """Raises ZeroDivisionError for zero."""
        norm = (self.re * self.re + self.im * self.im) % P
        if not norm:
            raise ZeroDivisionError("zero has no inverse")
        factor = pow(norm, -1, P)
        return K(self.re * factor, -self.im * factor)

    def to_bytes(self):
        return self.re.to_bytes(8, "little") + self.im.to_bytes(8, "little")


def of(value):
    return value if type(value) is K else K(value) if isinstance(value, int) else NotImplemented


ZERO, ONE, UNIT = K(), K(1), K(0, 1)
HALF = K(2).inverse()


@cache
def generator():
    """Of the group of norm 1, whose order is 2^61."""
    c = 3
    while (root := K(c, 1) ** ((P - 1) // 2)) ** 2**61 != -1:
        c += 1
    g = root * root
    return g if g**2**59 == UNIT else g.conjugate()


@cache
def root_of_unity(k):
    """Of order 2^k."""
    return generator() ** 2 ** (61 - k)


def powers(base, count):
    found, power = [], ONE
    for _ in range(count):
        found.append(power)
        power = power * base
    return found


def dot(left, right):
    """sum_j left_j right_j of two lists of elements, reduced once."""
    re = im = 0
    for x, y in zip(left, right, strict=True):
        a, b, c, d = x.re, x.im, y.re, y.im
        re += a * c - b * d
        im += a * d + b * c
    return K(re, im)


def dot_integers(weights, integers):
    """sum_j weights_j integers_j, weights elements of K."""
    re = sum(map(mul, [w.re for w in weights], integers))
    return K(re, sum(map(mul, [w.im for w in weights], integers)))


def inverses(elements):
    """Of all, none of which is zero, by one inversion."""
    before, product = [], ONE
    for element in elements:
        before.append(product)
        product = product * element
    rest, found = product.inverse(), []
    for element, ahead in zip(reversed(elements), reversed(before), strict=True):
        found.append(rest * ahead)
        rest = rest * element
    return found[::-1]


def eq_table(point):
    """eq(point, x) for all x, bit 0 the first coordinate."""
    table = [ONE]
    for z in point:
        high = [w * z for w in table]
        table = [w - h for w, h in zip(table, high, strict=True)] + high
    return table


def eq_at(point, index):
    result = ONE
    for bit, z in enumerate(point):
        result = result * (z if index >> bit & 1 else 1 - z)
    return result


def eq_points(left, right):
    """prod_b (z_b r_b + (1 - z_b)(1 - r_b))"""
    result = ONE
    for z, r in zip(left, right, strict=True):
        both = z * r
        result = result * (both + both - z - r + 1)
    return result
