"""Addition: docs/specification/certificate.md, section 16.8."""

from zkds_verify.claims_tensors import sum_of
from zkds_verify.operators.operator import Built, Operator


class Add(Operator):
    def build(self, place, scope, inputs, parameters):
        addends = [(x, place.output_bits - bits, 1) for x, bits in zip(inputs, place.input_bits, strict=True)]
        return self.built(place, sum_of(f"{place.name}: output", addends))

    def represent(self, place, scope, inputs):
        if any(bits != 32 for bits in place.input_bits):
            return None
        output = scope.output(place)
        addends = [(output, 0, 1), *((x, 0, -1) for x in inputs if x is not None)]
        return self.built(place, output, sum_of(f"{place.name}: last branch", addends))

    def built(self, place, output, supplied=None):
        return Built(output, [], lambda delta: ([delta if wanted else None for wanted in place.wanted], []), supplied)
