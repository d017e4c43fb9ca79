"""The conversation of a certificate's relation from the bytes of its statement alone, up to the claims on the vector: written
from docs/protocol.md, sections 10 and 15 to 21, sharing no code with zkds.

`conversation_of(statement)` returns (entries, claims). Entries, in order: ("hidden", label, elements), ("elements", label,
elements), ("bytes", label, bytes), ("challenge", label, |K| times its error), ("equation", reason). A claim on the vector is
the set of the columns that it is about.
"""

from tests.reference.shape_layers import Sum
from tests.reference.sharpness_shape import Shape

POINT, VECTOR = "point", "vector"
BLOCKS = {"S": "scalars", "Q": "sums", "P": "parameters"}


def conversation_of(encoding):
    shape = Shape(encoding)
    talk = Talk()
    membership(talk, shape)
    if shape.s.private:
        private_model(talk, shape)
    else:
        public_model(talk, shape)
    for part in shape.stack.parts:
        rounded_sum(talk, part) if isinstance(part, Sum) else max_pool(talk, part)
    for block, name in BLOCKS.items():
        prove_block(talk, name, shape.scalars.identities[block])
    reduce_claims(talk, shape)
    assert not talk.waiting
    return talk.entries, talk.claims


def bits(shape):
    return sum((length - 1).bit_length() for length in shape)


def names(*tensors):
    return [name for tensor in tensors for name, _ in tensor.columns]


class Talk:
    """What was said, the claims on tensors that wait (the kinds of their axes), the claims on the vector."""

    def __init__(self):
        self.entries, self.waiting, self.claims = [], {}, []

    def hidden(self, label, count):
        self.entries.append(("hidden", label, count))

    def challenge(self, label, error, count=1):
        self.entries += [("challenge", label, error)] * count

    def equation(self, reason):
        self.entries.append(("equation", reason))

    def sumcheck(self, name, variables, degree):
        for _ in range(variables):
            self.hidden(f"{name}: round polynomial", degree)
            self.challenge(f"{name}: sumcheck round", degree)

    def claim(self, tensor, *kinds):
        assert len(kinds) == len(tensor.shape), tensor.name
        self.waiting.setdefault(tensor.name, []).append(kinds)

    def take(self, tensor):
        return self.waiting.pop(tensor.name, [])

    def on_vector(self, columns):
        self.claims.append(frozenset(columns))


def is_direct(tensor, kinds):
    return bool(tensor.columns) and all(kind == POINT for kind in kinds[1:])


def points(tensor):
    return (POINT,) * len(tensor.shape)


# ---- sections 10 and 19 ------------------------------------------------------------------------------------------------


def membership(talk, shape):
    talk.entries.append(("bytes", "membership: commitments", 8 * 128 * shape.s.T * shape.s.B))
    talk.entries.append(("bytes", "membership: Merkle proof", None))
    talk.equation("membership: canonical commitments")
    talk.equation("membership: Merkle root")
    talk.challenge("membership: row coordinate", 1, 7)
    talk.challenge("membership: record coordinate", 1, bits((shape.s.T, shape.s.B)))
    talk.sumcheck("membership", max(bits(tensor.shape[2:]) for tensor in shape.records), 2)
    talk.hidden("membership: values", 3)
    talk.equation("membership: linear claim")
    for tensor in shape.records:
        talk.on_vector(names(tensor))


def public_model(talk, shape):
    starts = [p.start for p in shape.parameters.values()]
    talk.challenge("public model: challenge", 3, 1 + max(bits(start.shape) for start in starts))
    talk.entries.append(("elements", "public model: evaluations", len(starts)))
    for start in starts:
        talk.claim(start, *points(start))


def private_model(talk, shape):
    *weights, randomness = shape.private
    count = randomness.shape[0]
    talk.entries.append(("bytes", "private model: commitments", 8 * 128 * count))
    talk.equation("private model: canonical commitments")
    talk.equation("private model: root")
    talk.challenge("private model: coordinate", 1, 7 + bits((count,)))
    for tensor, name in zip(weights, shape.parameters, strict=True):
        talk.hidden(f"private model: weights {name}", 1)
        talk.sumcheck(f"private model: weights {name}", bits(tensor.shape), 2)
        talk.on_vector(names(tensor))
    talk.hidden("private model: randomness", 1)
    talk.equation("private model: linear claim")
    talk.claim(randomness, POINT, VECTOR)


# ---- section 16 --------------------------------------------------------------------------------------------------------


def rounded_sum(talk, part):
    name, out = part.name, part.out
    forward = name.endswith(": forward")
    talk.challenge(f"{name}: gamma", max(1, len(part.own) - 1))
    talk.challenge(f"{name}: point", 1, bits(out.shape))
    talk.hidden(f"{name}: values", (not out.columns) + bool(part.linear) + bool(part.products))
    if not out.columns:
        talk.claim(out, *points(out))
    if part.linear:
        talk.claim(part.linear[0], *((VECTOR, POINT) if forward else (VECTOR, VECTOR, POINT, VECTOR, VECTOR)))
    talk.on_vector(names(*part.own, out))
    if not part.products:
        return
    left, right, _ = part.products
    inner = list(left.shape)
    del inner[1 if forward else 2]
    gradient = not forward and not name.endswith(": input gradient")
    if gradient:
        inner[0] = out.shape[0]
    n = len(left.digits)
    talk.sumcheck(name, bits(inner), 2)
    talk.hidden(f"{name}: factors", 2 * n)
    talk.equation(f"{name}: products of the factors")
    talk.challenge(f"{name}: factors", max(1, n - 1))
    talk.claim(left, VECTOR, POINT, POINT, POINT, POINT)
    talk.claim(right, VECTOR if gradient else POINT, POINT, POINT, VECTOR, VECTOR)


def max_pool(talk, tensors):
    out, mask, difference = tensors
    name, relu = out.name.removesuffix(": output"), out.digits[-1][0] == 0
    talk.challenge(f"{name}: beta", 1)
    talk.challenge(f"{name}: selection: point", 1, bits(mask.shape))
    talk.challenge(f"{name}: windows: point", 1, bits(out.shape))
    checks = [("selection", mask, (mask, difference))] + [("windows", out, (out,))] * relu
    for check, index, claimed in checks:
        talk.sumcheck(f"{name}: {check}", bits(index.shape), 2)
        talk.hidden(f"{name}: {check}: values", 2)
        talk.equation(f"{name}: {check}")
        if check == "windows":
            talk.claim(mask, POINT, POINT, POINT, VECTOR, VECTOR)
        for tensor in claimed:
            talk.claim(tensor, *points(tensor))
    if not relu:
        talk.claim(mask, POINT, POINT, POINT, VECTOR, VECTOR)


def masked(talk, tensor, mask, values, size):
    claims = talk.take(tensor)
    if not claims:
        return
    if len(claims) > 1:
        talk.challenge(f"{tensor.name}: chi", len(claims) - 1)
    talk.sumcheck(tensor.name, bits(tensor.shape), 3)
    talk.hidden(f"{tensor.name}: factors", 2)
    talk.equation(f"{tensor.name}: product of the factors")
    talk.claim(mask, *points(mask))
    talk.claim(values, *((POINT,) * 3 + (VECTOR,) * 2 if size > 1 else points(values)))


# ---- section 17 --------------------------------------------------------------------------------------------------------


def prove_block(talk, name, identities):
    groups = max(len(identity.carries) for identity in identities)
    talk.challenge(f"{name}: gamma", groups, groups > 0)
    talk.challenge(f"{name}: rho", len(identities) - 1, len(identities) > 1)
    lefts = {}
    for identity in identities:
        for _, operands, inner in identity.terms:
            if len(operands) == 2:
                key = (operands[0].tensor.name, repr(operands[0].uses), identity.shape, inner)
                lefts.setdefault(key, (operands[0], identity.shape, inner, []))[3].append(operands[1])
    summed = any(inner for _, _, inner, _ in lefts.values())
    variables = max(bits(identity.shape) for identity in identities)
    talk.challenge(f"{name}: point", 1, variables)
    if lefts:
        talk.hidden(f"{name}: sum", 1)
    settle(talk, name, [linear_forms(identities)])
    if summed:
        variables = max(bits((*outer, *inner)) for _, outer, inner, _ in lefts.values())
    talk.sumcheck(name, variables, 2)
    count = 2 * sum(len(left.tensor.digits) for left, *_ in lefts.values())
    talk.hidden(f"{name}: factors", count)
    talk.equation(f"{name}: products of the factors")
    talk.challenge(f"{name}: psi", count - 1)
    equations = []
    for left, outer, inner, rights in lefts.values():
        axes = [(length, VECTOR if summed and length > 1 else POINT) for length in outer] + [(n, POINT) for n in inner]
        equations.append([form(left, [(length, POINT) for length, _ in axes])])
        equations.append([form(right, axes) for right in rights])
    settle(talk, name, equations)


def linear_forms(identities):
    forms = []
    for identity in identities:
        axes = [(length, POINT) for length in identity.shape]
        forms += [form(operands[0], axes) for _, operands, _ in identity.terms if len(operands) == 1]
        forms += [(carry, (POINT,) * len(axes)) for carry in identity.carries]
    return forms


def form(operand, axes):
    """(tensor, kinds of its axes)"""
    kinds = []
    for use, length in zip(operand.uses, operand.tensor.shape, strict=True):
        if isinstance(use, list):
            kinds.append(POINT if use == [1] else VECTOR)
        elif isinstance(use, tuple) and use[0] == "up to":
            kinds.append(VECTOR)
        else:
            runs, kind = axes[use[1] if isinstance(use, tuple) else use]
            kinds.append(kind if runs == length else VECTOR)
    return operand.tensor, tuple(kinds)


def settle(talk, name, equations):
    sent, direct, claims = 0, [], []
    for forms in equations:
        found = [tensor for tensor, kinds in forms if is_direct(tensor, kinds)]
        others = [(tensor, kinds) for tensor, kinds in forms if not is_direct(tensor, kinds)]
        sent += len(others) - (not found)
        direct += found
        claims += others
    if sent:
        talk.hidden(f"{name}: parts", sent)
    for tensor, kinds in claims:
        talk.claim(tensor, *kinds)
    if direct:
        talk.on_vector(names(*direct))


# ---- sections 15, 16 and 20: claims on tensors ---------------------------------------------------------------------------


def reduce_claims(talk, shape):
    for back in shape.stack.backs:
        reduce_delta(talk, back)
    for place in reversed(shape.stack.places):
        reduce_output(talk, place)
    for parameter in shape.parameters.values():
        reduce_weights(talk, parameter)
    elements, labels, _ = shape.records
    image = len(shape.s.schema.shape) == 3
    for _, batch, _, *spatial in talk.take(shape.stack.places[0].inputs):
        talk.claim(elements, VECTOR, batch, VECTOR, *(spatial if image else []), *[VECTOR] * shape.s.schema.element)
    for bytes_, parameter in zip(shape.private, shape.parameters.values(), strict=False):
        for kinds in talk.take(parameter.start):
            talk.claim(bytes_, *kinds)
    pools = [tensor for place in shape.stack.places if place.pool for tensor in (place.pool[1], place.pool[0], place.pool[2])]
    rest = [*shape.private, *shape.stack.convolutions, *shape.stack.deltas, *pools, *shape.scalars.tensors]
    rest += [*shape.scalars.carries, elements, labels]
    rest += [t for p in shape.parameters.values() for t in ([] if shape.private else [p.start]) + [p.gradient, p.update]]
    for tensor in rest:
        reduce_committed(talk, tensor)


def reduce_committed(talk, tensor):
    claims = talk.take(tensor)
    others = [kinds for kinds in claims if not is_direct(tensor, kinds)]
    for _ in range(len(claims) - len(others)):
        talk.on_vector(names(tensor))
    if not others:
        return
    if len(others) > 1:
        talk.challenge(f"{tensor.name}: chi", len(others) - 1)
    talk.sumcheck(tensor.name, bits(tensor.shape), 2)
    talk.on_vector(names(tensor))


def reduce_delta(talk, back):
    place, delta, behind = back.place, back.delta, back.behind
    if delta is behind:
        return
    if place.layer.relu or place.pool:
        masked(talk, delta, place.pool[1] if place.pool else place.bit, behind, place.layer.size)
        return
    for *kinds, _, _ in talk.take(delta):
        talk.claim(behind, *kinds, VECTOR, VECTOR)


def reduce_output(talk, place):
    if place.layer.pool == "average":
        for *kinds, _, _ in talk.take(place.output):
            talk.claim(place.unpooled, *kinds, VECTOR, VECTOR)
    if place.bit:
        masked(talk, place.unpooled, place.bit, place.z, 1)
    if place.pool:
        out, mask, difference = place.pool
        for p, b, c, y, x in talk.take(place.z):
            talk.hidden(f"{place.z.name}: shares", 3)
            talk.claim(out, p, b, c, VECTOR, VECTOR)
            talk.claim(mask, p, b, c, VECTOR, VECTOR)
            talk.claim(mask, p, b, c, y, VECTOR)
            talk.claim(difference, p, b, c, y, x)


def reduce_weights(talk, parameter):
    for _, *kinds in talk.take(parameter.passes):
        talk.hidden(f"{parameter.name}: passes: shares", 2)
        talk.claim(parameter.start, *kinds)
        talk.claim(parameter.update, VECTOR, *kinds)
        talk.claim(parameter.perturbation, VECTOR, *kinds)
    for _, *kinds in talk.take(parameter.first):
        talk.hidden(f"{parameter.name}: first passes: shares", 1)
        talk.claim(parameter.start, *kinds)
        talk.claim(parameter.update, VECTOR, *kinds)
