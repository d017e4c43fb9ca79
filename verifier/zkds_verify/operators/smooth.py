"""Smooth functions: docs/specification/certificate.md, section 16.12, and docs/fixed-point.md.

Tables by decimals; derivatives are those of truncated power series, not of formulas.
"""

from decimal import ROUND_HALF_UP, Decimal, localcontext
from functools import cache, partial

from zkds_verify.claims_blocks import block, rounding
from zkds_verify.claims_tensors import sum_of
from zkds_verify.components import Component, equal, nothing
from zkds_verify.operators.operator import Built, Operator
from zkds_verify.shape_gadgets import entry as expression
from zkds_verify.shape_gadgets import minus, mul, number, scaled
from zkds_verify.shape_plans import committed

DIGITS = 60
BOUND = {"sigmoid": 24, "tanh": 13, "gelu": 8, "gelu tanh": 8, "silu": 27}  # B
CELL_BITS = {"sigmoid": 10, "tanh": 11, "gelu": 11, "gelu tanh": 11, "silu": 10}  # j
IDENTITY = ("gelu", "gelu tanh", "silu")  # x on the right


# ---- power series in h with decimal coefficients, to h^3 --------------------------------------------------------------------


def times(a, b):
    return [sum((a[i] * b[n - i] for i in range(n + 1)), Decimal(0)) for n in range(4)]


def plus(a, b):
    return [x + y for x, y in zip(a, b, strict=True)]


def stretched(a, factor):
    return [x * factor for x in a]


def exponential(a):
    """exp(a0) (1 + u + u^2 / 2 + u^3 / 6), u = a - a0."""
    u = [Decimal(0), *a[1:]]
    square = times(u, u)
    total = plus(plus(constant(1), u), plus(stretched(square, Decimal("0.5")), stretched(times(square, u), 1 / Decimal(6))))
    return stretched(total, a[0].exp())


def inverse(a):
    """1 / a, coefficient by coefficient."""
    found = [1 / a[0]]
    for n in range(1, 4):
        found.append(-sum((a[k] * found[n - k] for k in range(1, n + 1)), Decimal(0)) / a[0])
    return found


def constant(value):
    return [Decimal(value), *[Decimal(0)] * 3]


def sigmoid(x):
    return inverse(plus(constant(1), exponential(stretched(x, Decimal(-1)))))


@cache
def pi():
    """Gauss and Legendre."""
    a, b, t, p = Decimal(1), 1 / Decimal(2).sqrt(), Decimal("0.25"), Decimal(1)
    for _ in range(8):
        a, b, t, p = (a + b) / 2, (a * b).sqrt(), t - p * ((a - b) / 2) ** 2, 2 * p
    return (a + b) ** 2 / (4 * t)


def normal(x):
    """The normal distribution function of x = m + h: density(m) sum_n m^(2n+1) / (1 3 5 ..), and the density's integral."""
    m = x[0]
    density = stretched(exponential(stretched(times(x, x), Decimal("-0.5"))), 1 / (2 * pi()).sqrt())
    term, total, n = m, m, 1
    while abs(term) > Decimal(10) ** -DIGITS:
        n += 2
        term = term * m * m / n
        total += term
    return [Decimal("0.5") + density[0] * total, *(density[n - 1] / n for n in range(1, 4))]


def real_function(name, x):
    """The power series of f(m + h), x = [m, 1, 0, 0]."""
    if name == "sigmoid":
        return sigmoid(x)
    if name == "tanh":
        up, down = exponential(x), exponential(stretched(x, Decimal(-1)))
        return times(plus(up, stretched(down, Decimal(-1))), inverse(plus(up, down)))
    if name == "silu":
        return times(x, sigmoid(x))
    if name == "gelu":
        return times(x, normal(x))
    inner = stretched(plus(x, stretched(times(times(x, x), x), Decimal("0.044715"))), (2 / pi()).sqrt())
    return times(stretched(x, Decimal("0.5")), plus(constant(1), real_function("tanh", inner)))


@cache
def entry(name, c):
    """(value, first, second, third) of cell c."""
    bound, j = BOUND[name], CELL_BITS[name]
    if c < 2**j:
        return (-(2**32) if name == "tanh" else 0, 0, 0, 0)
    if c >= (2 * bound - 1) * 2**j:
        middle = (2 * c + 1) * 2 ** (31 - j) - bound * 2**32
        return (middle, 2**30, 0, 0) if name in IDENTITY else (2**32, 0, 0, 0)
    with localcontext(prec=DIGITS + 10):
        middle = Decimal(2 * c + 1) / 2 ** (j + 1) - bound
        f = real_function(name, [middle, Decimal(1), Decimal(0), Decimal(0)])
        factors = (2**32, 2**30, 2 * 2 ** (16 + j), -(2**8) * 3)
        return tuple(int((a * b).to_integral_value(rounding=ROUND_HALF_UP)) for a, b in zip(f, factors, strict=True))


# ---- the operator -----------------------------------------------------------------------------------------------------------


class Smooth(Operator):
    def __init__(self, name):
        self.name = name

    def bits(self, inputs):
        return 32

    def delta_bits(self, bits):
        return 0

    def build(self, place, scope, inputs, parameters):
        built = self.represent(place, scope, inputs)
        return built._replace(components=[*built.components, self.tie(place, built.supplied, inputs[0])])

    def tie(self, place, argument, x):
        extra = place.input_bits[0] - 32
        if not extra:
            return equal(f"{place.name}: copy", argument, x)
        name = f"{place.name}: argument"
        remainder = committed(f"{name}: remainder", extra, x.shape)
        return block(name, [(name, rounding(expression(x), extra, expression(argument), remainder))])

    def represent(self, place, scope, inputs):
        name, shape, tensors = place.name, scope.shape(place.output), {}
        bound, j, identity = BOUND[self.name], CELL_BITS[self.name], self.name in IDENTITY
        w = 1 + ((bound if identity else 2) * 2**16).bit_length()
        formats = {  # width, signed, limb
            "whole": (11, True, 16),
            "unit": ((2 * bound - 1).bit_length(), False, 16),
            **({"excess": (10, False, 16)} if identity else {}),
            "cell": (j, False, 16),
            "part": (8, False, 16),
            "rest": (24 - j, False, 16),
            "row": (16, False, 16),
            "value low": (16, False, 16),
            "value high": (w, True, w),
            "third": (10, True, 16),
            "row and third": (26, False, 32),
            "first": (31, False, 32),
            "second": (17 + j, False, 32),
            "curvature": (16, True, 16),
            "slope": (31, False, 16),
            "slope: remainder": (18 + j, False, 16),
            "step": (24, True, 16),
            "step: remainder": (31, False, 16),
        }
        for word, (width, signed, limb) in formats.items():
            tensors[word] = committed(f"{name}: {word}", width, shape, signed=signed, limb=limb)
        addends = [("rest", 0), ("part", 24 - j), ("cell", 32 - j), ("whole", 32)]
        argument = sum_of(f"{name}: argument", [(tensors[word], shift, 1) for word, shift in addends])
        addends = [("value low", 0), ("value high", 16), ("step", 0), *([("excess", 32)] if identity else [])]
        output = sum_of(f"{name}: output", [(tensors[word], shift, 1) for word, shift in addends])
        components = [
            Component(list(tensors.values()), nothing, self.lookups(tensors)),
            block(f"{name}: forward", [(f"{name}: {one}", terms) for one, terms in self.identities(tensors).items()]),
        ]
        return Built(output, components, lambda delta: self.back(place, tensors["slope"], delta), argument)

    def lookups(self, tensors):
        whole = (("unit", BOUND[self.name], self.name in IDENTITY), ["whole", "unit", "excess"])
        rows = (("derivatives", self.name), ["row and third", "first", "second"])
        values = (("values", self.name), ["row", "value low", "value high"])
        for table, words in (whole, rows, values):
            primary, *others = (tensors[word].columns[0][0] for word in words if word in tensors)
            yield table, primary, tuple(others)

    def identities(self, tensors):
        j = CELL_BITS[self.name]
        entries = {word: expression(tensor) for word, tensor in tensors.items()}
        part, third, first, slope, step = (entries[word] for word in ("part", "third", "first", "slope", "step"))
        r = minus(scaled(part, 2 ** (24 - j)) + entries["rest"], number(2 ** (31 - j)))
        bent = mul(r, minus(entries["second"], number(2 ** (16 + j)), entries["curvature"]))
        mean = mul(r, minus(first + slope, number(2**30)))
        packed = scaled(entries["row"], 2**10) + third + number(512)
        return {
            "row": minus(scaled(entries["unit"], 2**j) + entries["cell"], entries["row"]),
            "row and third": minus(packed, entries["row and third"]),
            "curvature": minus(mul(minus(part, number(128)), third), entries["curvature"]),
            "slope": rounding(bent, 18 + j, minus(slope, first), tensors["slope: remainder"]),
            "step": rounding(mean, 31, step, tensors["step: remainder"]),
        }

    def back(self, place, slope, delta):
        if not place.wanted[0]:
            return [None], []
        name, shift = f"{place.name}: input gradient", 30 + place.delta_bits
        found = committed(f"{place.name}: input delta", 46, delta.shape, signed=True)
        remainder = committed(f"{name}: remainder", shift, delta.shape)
        exact = mul(minus(expression(slope), number(2**29)), expression(delta))
        return [found], [block(name, [(name, rounding(exact, shift, expression(found), remainder))])]


FUNCTIONS = {name: partial(Smooth, name) for name in BOUND}


# ---- tables


def unit_rows(bound, identity):
    """whole, unit, excess"""
    rows = []
    for whole in range(-(2**10), 2**10):
        unit = min(max(whole + bound, 0), 2 * bound - 1)
        excess = (max(whole - (bound - 1), 0),) if identity else ()
        rows.append((whole + 2**10, unit, *excess))
    return rows


def rows_of(name):
    return range(2 * BOUND[name] << CELL_BITS[name])


def derivative_rows(name):
    """row and third, first, second"""
    rows = []
    for c in rows_of(name):
        _, first, second, third = entry(name, c)
        rows.append((2**10 * c + third + 512, first + 2**29, second + 2 ** (16 + CELL_BITS[name])))
    return rows


def value_rows(name):
    """row, value low, value high"""
    w = 1 + ((BOUND[name] if name in IDENTITY else 2) * 2**16).bit_length()
    rows = []
    for c in rows_of(name):
        value = entry(name, c)[0]
        rows.append((c, value % 2**16, value // 2**16 + 2 ** (w - 1)))
    return rows
