"""ReLU: docs/specification/certificate.md, section 16.2."""

from zkds_verify.claims_tensors import masked
from zkds_verify.components import Component, equal, nothing
from zkds_verify.operators.operator import Built, Operator
from zkds_verify.shape_plans import committed


class Relu(Operator):
    def build(self, place, scope, inputs, parameters):
        (x,), name, components = inputs, place.name, []
        if not x.columns or x.digits[-1][0] == 0 or not scope.claim_sign(x):
            copy = committed(f"{name}: input", signed_width(x.interval), x.shape, signed=True)
            components.append(equal(f"{name}: copy", copy, x))
            scope.claim_sign(copy)
            x = copy
        bit = committed(f"{name}: bit", 1, x.shape)
        components.append(sign(x, bit))
        digits = [*x.digits[:-1], (0, x.digits[-1][1])]
        output = masked(f"{name}: output", bit, x, digits=digits, interval=(0, x.interval[1]))

        def back(delta):
            return [masked(f"{name}: delta", bit, delta) if place.wanted[0] else None], []

        return Built(output, components, back)


def sign(x, bit):
    """The bit [x >= 0], looked up with the top limb."""
    top, width = x.columns[-1]
    return Component([x, bit], nothing, [(("sign", width), top, (bit.columns[0][0],))])


def signed_width(interval):
    """The least width of a signed format that holds an interval."""
    width = 1
    while not -(2 ** (width - 1)) <= interval[0] <= interval[1] < 2 ** (width - 1):
        width += 1
    return width
