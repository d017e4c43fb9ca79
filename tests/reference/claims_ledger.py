"""What a slow verifier of certificates keeps: axis weights, claims on tensors and on the vector, the script of a conversation.

Written from docs/protocol.md, sections 5 and 15, sharing no code with zkds but the elements of K.
"""

from collections import namedtuple

from zkds.field import ONE, ZERO, K

Claim = namedtuple("Claim", "axes mu value")
Weights = namedtuple("Weights", "column axes scale")  # scale * sum_x prod_d axes_d(x_d) cell(x)


def product(factors):
    result = ONE
    for factor in factors:
        result = result * factor
    return result


def powers(base, count):
    return [base**j for j in range(count)]


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
        return total(a * b for a, b in zip(self.weights, eq(len(self), point).weights, strict=True))


def eq(length, point):
    assert len(point) == bits_of(length)
    table = [ONE]
    for z in point:
        table = [w * (1 - z) for w in table] + [w * z for w in table]
    return Axis(table[:length], is_point=True, coordinates=list(point))


def eqs(shape, points):
    return [eq(length, point) for length, point in zip(shape, points, strict=True)]


def windows(axis, size):
    """Sums over windows, and for every entry that of its window from it on."""
    groups = [axis.weights[i : i + size] for i in range(0, len(axis), size)]
    return [total(group) for group in groups], [total(group[i:]) for group in groups for i in range(size)]


def product_of_totals(axes):
    return product(axis.total() for axis in axes)


class Ledger:
    """A recorded conversation, read entry by entry, and what follows from it.

    waiting     claims on tensors, by name
    on_vector   (list of Weights, value)
    residues    (reason, value that has to be zero)
    """

    def __init__(self, script):
        self.script = iter(script)
        self.waiting, self.on_vector, self.residues = {}, [], []

    def _next(self, kind, label, count):
        found = next(self.script)
        assert found[:3] == (kind, label, count), (found[:3], (kind, label, count))
        return found[3]

    def hidden(self, label, count):
        return self._next("hidden", label, count)

    def elements(self, label, count):
        return self._next("elements", label, count)

    def bytes(self, label, count):
        return self._next("bytes", label, count)

    def challenge(self, label, error):
        return self._next("challenge", label, error)

    def challenges(self, label, error, count):
        return [self.challenge(label, error) for _ in range(count)]

    def equation(self, reason, value=ZERO):
        self._next("equation", reason, None)
        self.residues.append((reason, value))

    def sumcheck(self, name, variables, degree, claim, eq_point=None):
        """Section 5: the point, by index bit, and the last claim."""
        point = [ZERO] * variables
        order = range(variables) if variables <= 3 else [*range(3, variables), 0, 1, 2]
        for bit in order:
            message = self.hidden(f"{name}: round polynomial", degree)
            r = point[bit] = self.challenge(f"{name}: sumcheck round", degree)
            if eq_point is None:
                one = claim - message[0]
            else:
                one = (claim - (1 - eq_point[bit]) * message[0]) * eq_point[bit].inverse()
            leading = message[1] if degree > 1 else ZERO
            claim = interpolate(
                [message[0], one, *message[2:]][:degree] if degree > 1 else [message[0], one], leading, degree, r
            )
        return point, claim

    def claim(self, tensor, axes, mu, value):
        assert tuple(map(len, axes)) == tensor.shape and len(mu) == len(tensor.digits), tensor.name
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


def interpolate(values, leading, degree, r):
    """h(r) of h with h(0), h(1), ..., of degree `degree` with this leading coefficient; of degree 1, of two values."""
    if degree == 1:
        return values[0] + r * (values[1] - values[0])
    nodes = range(degree)
    result, last = ZERO, leading
    for j in nodes:
        basis = ONE
        for k in nodes:
            if k != j:
                basis = basis * (r - k) * K(j - k).inverse()
        result = result + values[j] * basis
        last = last * (r - j)
    return result + last


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
