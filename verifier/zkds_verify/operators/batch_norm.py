"""Batch norm: docs/specification/certificate.md, section 16.7."""

from fractions import Fraction
from math import prod
from struct import pack, unpack

from zkds_verify.claims_ledger import Axis, product_of_totals
from zkds_verify.claims_tensors import linear, sum_of
from zkds_verify.components import Linear, Products, RoundedSum
from zkds_verify.field import ONE, ZERO
from zkds_verify.operators.convolution import placed
from zkds_verify.operators.operator import Built, Operator
from zkds_verify.shape_plans import committed


class BatchNorm(Operator):
    rounds = True

    def __init__(self, channels, eps):
        self.channels = channels
        (self.eps,) = unpack("<d", pack("<Q", eps))

    def parameters(self):
        return {"weight": (self.channels,), "bias": (self.channels,)}

    def constants(self):
        return {"running_mean": (self.channels,), "running_var": (self.channels,)}

    def build(self, place, scope, inputs, parameters):
        gamma, beta, mean, r = (parameters[word] for word in ("weight", "bias", "running_mean", "running_var"))
        (x,), name, bits = inputs, place.name, place.input_bits[0]
        passes, channels = gamma.passes.shape
        c = committed(f"{name}: scale", 44, (passes, channels), signed=True)

        def mean_terms(claim):
            rest = product_of_totals([axis for d, axis in enumerate(claim.axes) if d != 2])
            return [(mean, [claim.axes[2]], [rest * mu for mu in claim.mu])], ZERO

        means = linear(f"{name}: mean", x.shape, mean.digits, mean.interval, [mean], mean_terms)
        centred = sum_of(f"{name}: centred", [(means, bits - 32, -1), (x, 0, 1)])
        output = scope.output(place)

        def bias_claim(axes):
            rest = product_of_totals([axes[1], axes[3], axes[4]])
            return [Axis(w * rest for w in axes[0].weights), axes[2]]

        scale = RoundedSum(c.name, c, 40, [by_constant(gamma.passes, r, 0, passes)])
        forward = [by_channel(c, centred)], Linear(beta.passes, bits - 8, 1, bias_claim)
        components = [scale, RoundedSum(f"{name}: forward", output, bits, *forward, scope.limb)]
        return Built(output, components, lambda delta: self.back(place, scope, (c, centred, r), (gamma, beta), delta))

    def back(self, place, scope, tensors, parameters, delta):
        (c, centred, r), (gamma, beta), name = tensors, parameters, place.name
        components, found, more = [], None, place.delta_bits
        if place.wanted[0]:
            found = committed(f"{name}: input delta", 46, delta.shape, signed=True)
            components.append(RoundedSum(f"{name}: input gradient", found, 32 + more, [by_channel(c, delta)], None, scope.limb))

        def claims(axes, at):
            return at, [times(axes[0], at[0]), at[1], times(axes[1], at[2]), *at[3:]]

        ones = [delta.shape[1], *delta.shape[3:]]
        products = Products(centred, delta, prod(ones), delta.shape, claims)
        dc = committed(f"{name}: scale delta", 60, c.shape, signed=True)
        components.append(RoundedSum(dc.name, dc, place.input_bits[0] + more - 4, [products]))
        for kind, first, count, e, bits in (
            ("gradient", 0, scope.T, 44, 44),
            ("update", scope.T, scope.T - 1, scope.e2, 40),
        ):
            out = getattr(gamma, kind)
            components.append(RoundedSum(out.name, out, e + 36 - bits, [by_constant(dc, r, first, count)]))

            def bias_claim(axes, first=first):
                batch, *positions = [Axis([ONE] * length) for length in ones]
                return [placed(axes[0], first, delta.shape[0]), batch, axes[1], *positions]

            out = getattr(beta, kind)
            sums = Linear(delta, 32, prod(ones), bias_claim)
            components.append(RoundedSum(out.name, out, 32 + e + more - bits, (), sums))
        return [found], components


def times(a, b):
    """The product of two points; of length 1 it is one."""
    return Axis((x * y for x, y in zip(a.weights, b.weights, strict=True)), is_point=len(a) == 1)


def by_constant(values, constant, first, count):
    """Those of passes first, ..., first + count - 1."""

    def claims(axes, at):
        return [placed(axes[0], first, values.shape[0]), times(axes[1], at[0])], at

    return Products(values, constant, 1, list(constant.shape), claims)


def by_channel(factor, values):
    def claims(axes, at):
        return [times(axes[0], at[0]), times(axes[2], at[1])], [at[0], axes[1], at[1], axes[3], axes[4]]

    return Products(factor, values, 1, list(factor.shape), claims)


def inverse_deviation(variance, eps):
    """The integer r with r - 1/2 <= 2^32 / sqrt(variance + eps) < r + 1/2, by bisection."""
    total = Fraction(variance) + Fraction(eps)
    low, high = 0, 2**64
    while low < high:  # the least r with 2^32 / sqrt(total) < r + 1/2
        middle = (low + high) // 2
        if Fraction(2**64) < (middle + Fraction(1, 2)) ** 2 * total:
            high = middle
        else:
            low = middle + 1
    return low
