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
    s = parse(encoding)
    e2 = max(e for e in range(80) if s.lr * 2**e <= 2**43)
    rho_int = nearest(s.rho * 2**32)
    normalised = (2**8 * rho_int + 1).bit_length() + 1
    formats = (16 * -(-(88 - e2) // 16), normalised + 4 * s.perturbs_adaptively)
    parameters = {}
    for layer in s.layers:
        shapes = {"weight": (layer.co, layer.ci, *layer.kernel)} | ({"bias": (layer.co,)} if layer.bias else {})
        for kind, shape in shapes.items():
            parameters[f"{layer.name}.{kind}"] = Parameter(s, f"{layer.name}.{kind}", shape, formats)
    records = membership(s)
    delta = committed("logit delta", 46, (2 * s.T - 1, s.B, s.layers[-1].co, 1, 1), signed=True)
    stack = Stack(s, parameters, delta, e2)
    scalars = Scalars(s, stack.logits, records[1], delta, list(parameters.values()), rho_int, normalised, nearest(s.lr * 2**e2))
    private = private_model(s, parameters) if s.private else []
    return columns(s, records, stack, scalars, parameters, private), lookups(s, records, stack, scalars, parameters, private)


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


def of_parameters(s, parameters):
    for p in parameters.values():
        yield from ([] if s.private else [p.start]) + [p.gradient, p.update, p.perturbation]


def columns(s, records, stack, scalars, parameters, private):
    """Section 20."""
    tensors = [*records, *stack.sums, *stack.convolutions, *stack.deltas, *scalars.tensors, *scalars.carries]
    tensors += [*of_parameters(s, parameters), *private]
    return list({name: (name, tensor.shape) for tensor in tensors for name, _ in tensor.columns}.values())


def lookups(s, records, stack, scalars, parameters, private):
    """Section 20."""
    first = [(("range", 8), tensor.name, ()) for tensor in records]
    first += [*scalars.lookups, *ranges(scalars.carries), *stack.signs, *ranges(private)]
    done = {name for _, primary, secondary in first for name in (primary, *secondary)}
    rest = [*stack.sums, *stack.convolutions, *stack.deltas, *of_parameters(s, parameters)]
    return first + [lookup for lookup in ranges(rest) if lookup[1] not in done]


def ranges(tensors):
    return [(("range", width), name, ()) for tensor in tensors for name, width in tensor.columns if width is not None]
