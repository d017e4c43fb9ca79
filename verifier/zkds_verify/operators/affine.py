"""Affine maps of channels: docs/specification/certificate.md, section 16.15."""

from zkds_verify.claims_ledger import Axis, product_of_totals
from zkds_verify.claims_tensors import linear
from zkds_verify.components import Linear, RoundedSum
from zkds_verify.field import ZERO
from zkds_verify.operators.operator import Built, Operator
from zkds_verify.shape_plans import columnwise, committed, hull, plus, times


class Affine(Operator):
    rounds = True

    def __init__(self, *numbers):
        signed = [n - 2**64 if n >= 2**63 else n for n in numbers]
        self.scale, self.shift = signed[: len(signed) // 2], signed[len(signed) // 2 :]

    def build(self, place, scope, inputs, parameters):
        (x,), bits, output = inputs, place.input_bits[0], scope.output(place)
        total = self.mapped(f"{place.name}: map", x, [b * 2**bits for b in self.shift])
        forward = RoundedSum(f"{place.name}: forward", output, 8 + bits, (), itself(total), scope.limb)

        def back(delta):
            if not place.wanted[0]:
                return [None], []
            found = committed(f"{place.name}: input delta", 46, x.shape, signed=True)
            mapped = self.mapped(f"{place.name}: delta", delta, [0] * len(self.scale))
            bits = 40 + place.delta_bits
            return [found], [RoundedSum(f"{place.name}: input gradient", found, bits, (), itself(mapped), scope.limb)]

        return Built(output, [forward], back)

    def mapped(self, name, x, shift):
        scales, shifts = digits_of(self.scale), digits_of(shift)
        digits = [hull(*((value, value) for value in digit)) for digit in shifts]
        for s, scale in enumerate(scales):
            shares = [product_of(hull(*((value, value) for value in scale)), digit) for digit in x.digits]
            digits = columnwise(plus, [digits, [(0, 0)] * s + shares])
        interval = hull(*(plus(times(x.interval, a), (b, b)) for a, b in zip(self.scale, shift, strict=True)))

        def terms(claim):
            found = []
            for s, scale in enumerate(scales):
                channels = Axis(w * a for w, a in zip(claim.axes[2].weights, scale, strict=True))
                found.append((x, [*claim.axes[:2], channels, *claim.axes[3:]], claim.mu[s : s + len(x.digits)]))
            constant = ZERO
            for mu, shift_digit in zip(claim.mu, shifts, strict=False):
                for w, b in zip(claim.axes[2].weights, shift_digit, strict=True):
                    constant = constant + mu * w * b
            return found, constant * product_of_totals([*claim.axes[:2], *claim.axes[3:]])

        return linear(name, x.shape, digits, interval, [x], terms)


def digits_of(constants):
    """Of all constants: digit s of each, of its own sign."""
    count = max(1, *(-(-abs(c).bit_length() // 16) for c in constants))
    return [[(abs(c) >> 16 * s) % 2**16 * (1 if c >= 0 else -1) for c in constants] for s in range(count)]


def product_of(a, b):
    ends = [x * y for x in a for y in b]
    return min(ends), max(ends)


def itself(tensor):
    return Linear(tensor, 0, 1, lambda axes: axes)
