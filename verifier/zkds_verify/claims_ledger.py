"""What the verifier of a relation keeps: axis weights, claims on tensors and on the vector.

docs/specification/certificate.md, section 15.
"""

from collections import namedtuple

from zkds_verify.field import ONE, ZERO, dot, eq_table, powers
from zkds_verify.rejection import sound
from zkds_verify.sumcheck import sumcheck

Claim = namedtuple("Claim", "axes mu value")
Weights = namedtuple("Weights", "column axes scale")  # scale * sum_x prod_d axes_d(x_d) cell(x)


def product(factors):
    result = ONE
    for factor in factors:
        result = result * factor
    return result


def total(values):
    return sum(values, ZERO)


def bits_of(length):
    return (length - 1).bit_length()


def bits(shape):
    return sum(map(bits_of, shape))


def split(shape, coordinates):
    """The points of the axes; the last axis has the lowest bits."""
    points, rest = [], list(coordinates)
    for length in reversed(shape):
        points.insert(0, rest[: bits_of(length)])
        rest = rest[bits_of(length) :]
    return points


class Axis:
    """Weights along an axis, elements of K; of a point maybe with its coordinates."""

    def __init__(self, weights, *, is_point=False, coordinates=None):
        self.weights, self.is_point, self.coordinates = list(weights), is_point, coordinates

    def __len__(self):
        return len(self.weights)

    def total(self):
        return total(self.weights)

    def at(self, point):
        """sum_x w(x) eq(point, x)"""
        return dot(self.weights, eq(len(self), point).weights)


def eq(length, point):
    return Axis(eq_table(point)[:length], is_point=True, coordinates=list(point))


def eqs(shape, points):
    return [eq(length, point) for length, point in zip(shape, points, strict=True)]


def windows(axis, size):
    """Sums over windows, and for every entry that of its window from it on."""
    groups = [axis.weights[i : i + size] for i in range(0, len(axis), size)]
    return [total(group) for group in groups], [total(group[i:]) for group in groups for i in range(size)]


def product_of_totals(axes):
    return product(axis.total() for axis in axes)


class Ledger:
    """What follows from a conversation.

    channel     its messages and challenges
    waiting     claims on tensors, by name
    on_vector   (list of Weights, value)
    """

    def __init__(self, channel):
        self.channel = channel
        self.hidden, self.elements, self.bytes = channel.hidden, channel.elements, channel.bytes
        self.challenge, self.challenges, self.equation = channel.challenge, channel.challenges, channel.equation
        self.waiting, self.on_vector = {}, []

    def sumcheck(self, name, variables, degree, claim, eq_point=None):
        return sumcheck(self.channel, name, variables, degree, claim, eq_point)

    def claim(self, tensor, axes, mu, value):
        sound(tuple(map(len, axes)) == tensor.shape and len(mu) == len(tensor.digits), tensor.name)
        self.waiting.setdefault(tensor.name, []).append(Claim(list(axes), list(mu), value))

    def take(self, tensor):
        return self.waiting.pop(tensor.name, [])

    def one_if_many(self, tensor, claims):
        """Section 16: more than 8 claims on a linear tensor become one."""
        if len(claims) <= 8:
            return claims
        combined = self.combination(tensor, claims)
        r, e = self.sumcheck(tensor.name, bits(tensor.shape), 2, total(power * claim.value for power, claim in combined))
        points = split(tensor.shape, r)
        return [Claim(eqs(tensor.shape, points), weights_at(combined, points, len(tensor.digits)), e)]

    def combination(self, tensor, claims):
        """All claims with powers of chi: pairs (power, claim)."""
        chi = self.challenge(f"{tensor.name}: chi", len(claims) - 1) if len(claims) > 1 else ONE
        return list(zip(powers(chi, len(claims)), claims, strict=True))


def is_direct(tensor, axes):
    return bool(tensor.columns) and all(axis.is_point for axis in axes[1:])


def offset(tensor, axes, mu):
    """What a claim on digits has to gain to be one on the columns, in which the least digit is 0."""
    return total(-w * low for w, (low, _) in zip(mu, tensor.digits, strict=True)) * product_of_totals(axes)


def on_columns(tensor, axes, mu):
    """The weights of a claim on a committed tensor, and what its offsets add to the value."""
    scales = [scale * 2 ** (max(0, tensor.limb - 16) * j) for j, scale in enumerate(mu)]
    weights = [Weights(name, axes, scale) for (name, _), scale in zip(tensor.columns, scales, strict=True)]
    return weights, offset(tensor, axes, mu)


def weights_at(combined, points, count):
    """A_j~(r)"""
    found = [ZERO] * count
    for power, claim in combined:
        scale = power * product(axis.at(point) for axis, point in zip(claim.axes, points, strict=True))
        found = [a + scale * mu for a, mu in zip(found, claim.mu, strict=True)]
    return found


def reduce_committed(ledger, tensor):
    """Section 15."""
    claims = ledger.take(tensor)
    few = len(claims) <= tensor.separate
    others = [claim for claim in claims if not (few and is_direct(tensor, claim.axes))]
    for claim in claims:
        if few and is_direct(tensor, claim.axes):
            weights, gained = on_columns(tensor, claim.axes, claim.mu)
            ledger.on_vector.append((weights, claim.value + gained))
    if not others:
        return
    combined = ledger.combination(tensor, others)
    value = total(power * (claim.value + offset(tensor, claim.axes, claim.mu)) for power, claim in combined)
    r, e = ledger.sumcheck(tensor.name, bits(tensor.shape), 2, value)
    points = split(tensor.shape, r)
    weights, _ = on_columns(tensor, eqs(tensor.shape, points), weights_at(combined, points, len(tensor.digits)))
    ledger.on_vector.append((weights, e))
