"""The columns and lookups of a certificate from the bytes of its statement alone: written from docs/protocol.md, sections 3, 10
and 14 to 20, sharing no code with zkds. Python ints, one tensor after the other.

`shape_of(statement)` returns (columns, lookups): columns are (name, shape); lookups (table, primary, secondary names), a table
being ("range", bits), ("sign", bits of the top limb) or the name of one of section 18: EXP_LO, EXP_HI, EXP_INT, LOGT, 2^b.
"""

from tests.reference.shape_gadgets import Scalars
from tests.reference.shape_layers import Parameter, Stack
from tests.reference.shape_plans import committed
from tests.reference.shape_statement import nearest, parse


def shape_of(encoding):
    shape = Shape(encoding)
    return shape.columns(), shape.lookups()


class Shape:
    """All tensors: of membership `records`, of the layers `stack`, of the gadgets `scalars`, `parameters`, `private`."""

    def __init__(self, encoding):
        s = self.s = parse(encoding)
        e2 = max(e for e in range(80) if s.lr * 2**e <= 2**43)
        rho_int = nearest(s.rho * 2**32)
        normalised = (2**8 * rho_int + 1).bit_length() + 1
        formats = (88 - e2, normalised + 4 * s.perturbs_adaptively)
        self.parameters = {}
        for layer in s.layers:
            shapes = {"weight": (layer.co, layer.ci, *layer.kernel)} | ({"bias": (layer.co,)} if layer.bias else {})
            for kind, shape in shapes.items():
                self.parameters[f"{layer.name}.{kind}"] = Parameter(s, f"{layer.name}.{kind}", shape, formats)
        self.records = membership(s)
        delta = committed("logit delta", 46, (2 * s.T - 1, s.B, s.layers[-1].co, 1, 1), signed=True)
        self.stack = Stack(s, self.parameters, delta, e2)
        parameters = list(self.parameters.values())
        scale = nearest(s.lr * 2**e2)
        self.scalars = Scalars(s, self.stack.logits, self.records[1], delta, parameters, rho_int, normalised, scale)
        self.private = private_model(s, self.parameters) if s.private else []

    @property
    def _of_layers(self):
        return [*self.stack.sums, *self.stack.convolutions, *self.stack.deltas]

    @property
    def _of_parameters(self):
        for p in self.parameters.values():
            yield from ([] if self.s.private else [p.start]) + [p.gradient, p.update, p.perturbation]

    def columns(self):
        """Section 20."""
        tensors = [*self.records, *self._of_layers, *self.scalars.tensors, *self.scalars.carries]
        tensors += [*self._of_parameters, *self.private]
        return list({name: (name, tensor.shape) for tensor in tensors for name, _ in tensor.columns}.values())

    def lookups(self):
        """Section 20."""
        first = [*ranges(self.records), *self.scalars.lookups, *ranges(self.scalars.carries)]
        first += [*self.stack.signs, *ranges(self.private)]
        done = {name for _, primary, secondary in first for name in (primary, *secondary)}
        rest = ranges([*self._of_layers, *self._of_parameters])
        return first + [lookup for lookup in rest if lookup[1] not in done]


def membership(s):
    """Section 10."""
    randomness = -(-(61 * 128 + 256 + (s.N**2 - 1).bit_length()) // 8)
    two = (2,) * s.schema.element
    shapes = {
        "record elements": (*s.schema.shape, *two),
        "record labels": (2,) * (s.schema.classes > 256),
        "record randomness": (randomness,),
    }
    tensors = [committed(name, 8, (s.T, s.B, *shape)) for name, shape in shapes.items()]
    return [tensor._replace(columns=[(tensor.name, 8)]) for tensor in tensors]


def private_model(s, parameters):
    """Section 19."""
    size = 6 * sum(parameter.count for parameter in parameters.values())
    chunk = 2**12
    while chunk < 2**16 and 64 * chunk < size:
        chunk *= 2
    count = -(-size // chunk)
    randomness = -(-(61 * 128 + 256 + (count**2 - 1).bit_length()) // 8)
    bytes_ = [committed(f"weights {p.name}: bytes", 44, p.shape, signed=True, limb=8) for p in parameters.values()]
    return [*bytes_, committed("model randomness", 8, (count, randomness), limb=8)]


def ranges(tensors):
    return [(("range", width), name, ()) for tensor in tensors for name, width in tensor.columns if width is not None]
