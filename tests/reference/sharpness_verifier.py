"""A slow verifier of a certificate's relation, from the bytes of its statement and a recorded conversation to the claims on the
vector.

Written from docs/protocol.md, sections 3, 10 and 15 to 21, sharing no code with zkds but the elements of K.

`verify(statement, script)` reads a script of (kind, label, count, content) to its end and returns the `Ledger`: equations and
claims on the vector. Kinds are hidden, elements, bytes, challenge (count: |K| times its error) and equation (count: None). The
checks on commitments and Merkle trees of sections 10 and 19 are not repeated here.
"""

from tests.reference.claims_blocks import Block
from tests.reference.claims_commitments import membership, private_model, public_model
from tests.reference.claims_ledger import (
    Axis,
    Ledger,
    bits,
    eqs,
    on_columns,
    powers,
    product,
    product_of_totals,
    reduce_committed,
    split,
    total,
    weights_at,
    windows,
)
from tests.reference.shape_layers import Sum
from tests.reference.shape_plans import P
from tests.reference.sharpness_shape import Shape
from zkds.field import ONE, ZERO, K

BLOCKS = {"S": "scalars", "Q": "sums", "P": "parameters"}


def verify(encoding, script):
    shape, ledger = Shape(encoding), Ledger(script)
    membership(ledger, shape)
    (private_model if shape.s.private else public_model)(ledger, shape)
    for part in shape.stack.parts:
        (rounded_sum if isinstance(part, Sum) else max_pool)(ledger, part)
    for block, name in BLOCKS.items():
        Block(ledger, name, shape.scalars.identities[block], digit_weights, carry_weights).verify()
    reduce_claims(ledger, shape)
    assert not ledger.waiting
    assert next(ledger.script, None) is None
    return ledger


# ---- sections 3 and 16: rounded sums -----------------------------------------------------------------------------------


def digit_weights(groups, gamma, count):
    weights, f = [K(pow(2, 16 * d, P)) for d in range(count)], 0
    for g, k in enumerate(groups):
        for i in range(min(k, count - f)):
            weights[f + i] = weights[f + i] + gamma ** (g + 1) * 2 ** (16 * i)
        f += k
    return weights


def carry_weights(groups, gamma):
    last = len(groups) - 1
    return [gamma ** (g + 2) * int(g < last) - gamma ** (g + 1) * 2 ** (16 * k) for g, k in enumerate(groups)]


def shifted(weights, exponent, count):
    """The weights of the digits of 2^exponent times a number."""
    return [w * 2 ** (exponent % 16) for w in weights[exponent // 16 : exponent // 16 + count]]


def contracted(triples, weights, target, length):
    """Along an axis: sum over the triples with this target of the two others' weights. `weights`: by place in the triple."""
    result = [ZERO] * length
    for triple in triples:
        result[triple[target]] = result[triple[target]] + product(w[triple[i]] for i, w in weights.items())
    return Axis(result)


def times(a, b):
    return Axis(x * y for x, y in zip(a.weights, b.weights, strict=True))


def placed(axis, first, length):
    return Axis([ZERO] * first + axis.weights + [ZERO] * (length - first - len(axis)))


def rounded_sum(ledger, part):
    name, out, place = part.name, part.out, part.place
    kind = name.rsplit(": ", 1)[1]
    passes = place.shape[0]
    first = (passes + 1) // 2 if kind == "update" else 0
    gamma = ledger.challenge(f"{name}: gamma", max(1, len(part.groups)))
    z = [ledger.challenges(f"{name}: point", 1, bits((length,))) for length in out.shape]
    axes, weights = eqs(out.shape, z), digit_weights(part.groups, gamma, 40)
    values = ledger.hidden(f"{name}: values", (not out.columns) + bool(part.linear) + bool(part.products))
    unused = iter(values)
    mu = shifted(weights, part.shift, len(out.digits))
    if not out.columns:
        ledger.claim(out, axes, [-w for w in mu], next(unused))
    if part.linear:
        tensor, exponent, _ = part.linear
        by_pass = placed(axes[0], first, passes)
        if kind == "forward":
            rest = product_of_totals([axes[1], axes[3], axes[4]])
            own = [Axis(w * rest for w in axes[0].weights), axes[2]]
        else:
            ones = [Axis([ONE] * length) for length in (tensor.shape[1], *tensor.shape[3:])]
            own = [by_pass, ones[0], axes[1], *ones[1:]]
        ledger.claim(tensor, own, shifted(weights, exponent, len(tensor.digits)), next(unused))
    remainder, *carries = part.own
    terms, _ = on_columns(remainder, axes, weights[: len(remainder.digits)])
    constant = shifted(weights, part.shift - 1, 1)[0]
    for carry, weight in zip(carries, carry_weights(part.groups, gamma), strict=True):
        scales = [-weight * 2 ** (16 * j) for j in range(len(carry.digits))]
        terms += on_columns(carry, axes, scales)[0]
        constant = constant + scales[-1] * -carry.digits[-1][0]
    if out.columns:
        terms += on_columns(out, axes, mu)[0]
        constant = constant + mu[-1] * -out.digits[-1][0]
    ledger.on_vector.append((terms, total(values) + constant * product_of_totals(axes)))
    if part.products:
        prove_products(ledger, part, kind, first, weights, (axes, values[-1]))


def prove_products(ledger, part, kind, first, weights, found):
    (axes, claim), place = found, part.place
    left, right, _ = part.products
    inner = list(left.shape)
    del inner[1 if kind == "forward" else 2]
    if kind in ("gradient", "update"):
        inner[0] = part.out.shape[0]
    n = len(left.digits)
    r, e = ledger.sumcheck(part.name, bits(inner), 2, claim)
    factors = ledger.hidden(f"{part.name}: factors", 2 * n)
    ledger.equation(
        f"{part.name}: products of the factors", e - total(a * b for a, b in zip(factors[:n], factors[n:], strict=True))
    )
    rho = powers(ledger.challenge(f"{part.name}: factors", max(1, n - 1)), n)
    at = eqs(inner, split(inner, r))
    both = times(axes[0], at[0])
    lengths = right.shape[3:]
    if kind == "forward":
        own = [both, axes[2], *at[1:]]
        spatial = [{0: axes[3 + i].weights, 1: at[2 + i].weights} for i in range(2)]
        others, target = [at[0], axes[1], at[1]], 2
    elif kind == "input gradient":
        own = [both, at[1], axes[2], *at[2:]]
        spatial = [{2: axes[3 + i].weights, 1: at[2 + i].weights} for i in range(2)]
        others, target = [at[0], axes[1], at[1]], 0
    else:
        passes = place.shape[0]
        own = [placed(both, first, passes), at[1], axes[1], *at[2:]]
        spatial = [{1: axes[3 + i].weights, 0: at[2 + i].weights} for i in range(2)]
        others, target = [placed(at[0], first, passes), at[1], axes[2]], 2
    kernels = [contracted(place.triples[i], spatial[i], target, lengths[i]) for i in range(2)]
    ledger.claim(left, own, rho, total(a * b for a, b in zip(rho, factors[:n], strict=True)))
    hankel = [total(a * b for a, b in zip(rho, weights[j : j + n], strict=True)) for j in range(len(right.digits))]
    ledger.claim(right, [*others, *kernels], hankel, total(a * b for a, b in zip(rho, factors[n:], strict=True)))


# ---- section 16: max pools, masks, weights -----------------------------------------------------------------------------


def value_weights(tensor):
    return [K(2 ** (16 * j)) for j in range(len(tensor.digits))]


def repeated(axis, size):
    return Axis(w for w in axis.weights for _ in range(size))


def max_pool(ledger, tensors):
    out, mask, difference = tensors
    name, size = out.name.removesuffix(": output"), mask.shape[-1] // out.shape[-1]
    beta = ledger.challenge(f"{name}: beta", 1)
    z = [ledger.challenges(f"{name}: selection: point", 1, bits((length,))) for length in mask.shape]
    z_windows = [ledger.challenges(f"{name}: windows: point", 1, bits((length,))) for length in out.shape]
    flat, flat_windows = ([c for point in reversed(points) for c in point] for points in (z, z_windows))
    r, e = ledger.sumcheck(f"{name}: selection", bits(mask.shape), 2, ZERO, flat)
    m, d = ledger.hidden(f"{name}: selection: values", 2)
    ledger.equation(f"{name}: selection", e - m * m + m - beta * m * d)
    axes = eqs(mask.shape, split(mask.shape, r))
    ledger.claim(mask, axes, [ONE], m)
    ledger.claim(difference, axes, value_weights(difference), d)
    axes = eqs(out.shape, z_windows)
    s = product_of_totals(axes)
    if out.digits[-1][0] == 0:
        r, e = ledger.sumcheck(f"{name}: windows", bits(out.shape), 2, ZERO, flat_windows)
        s, a = ledger.hidden(f"{name}: windows: values", 2)
        ledger.equation(f"{name}: windows", e - s * s + s - beta * s * a + beta * a)
        axes = eqs(out.shape, split(out.shape, r))
    ledger.claim(mask, [*axes[:3], *(repeated(axis, size) for axis in axes[3:])], [ONE], s)
    if out.digits[-1][0] == 0:
        ledger.claim(out, axes, value_weights(out), a)


def pooled(axes, size):
    return axes if size == 1 else [*axes[:3], *(Axis(windows(axis, size)[0]) for axis in axes[3:])]


def masked(ledger, tensor, mask, values, size):
    claims = ledger.take(tensor)
    if not claims:
        return
    combined = ledger.combination(tensor, claims)
    r, e = ledger.sumcheck(tensor.name, bits(tensor.shape), 3, total(power * claim.value for power, claim in combined))
    m, y = ledger.hidden(f"{tensor.name}: factors", 2)
    ledger.equation(f"{tensor.name}: product of the factors", e - m * y)
    points = split(tensor.shape, r)
    axes = eqs(tensor.shape, points)
    ledger.claim(mask, axes, [ONE], m)
    ledger.claim(values, pooled(axes, size), weights_at(combined, points, len(tensor.digits)), y)


def reduce_delta(ledger, back):
    place, delta, behind = back.place, back.delta, back.behind
    if delta is behind:
        return
    if place.layer.relu or place.pool:
        masked(ledger, delta, place.pool[1] if place.pool else place.bit, behind, place.layer.size)
        return
    for claim in ledger.take(delta):
        ledger.claim(behind, pooled(claim.axes, place.layer.size), claim.mu, claim.value)


def reduce_output(ledger, place):
    size = place.layer.size
    if place.layer.pool == "average":
        for claim in ledger.take(place.output):
            axes = [*claim.axes[:3], *(repeated(axis, size) for axis in claim.axes[3:])]
            ledger.claim(place.unpooled, axes, claim.mu, claim.value)
    if place.bit:
        masked(ledger, place.unpooled, place.bit, place.z, 1)
    if place.pool:
        for claim in ledger.take(place.z):
            reduce_pool_input(ledger, place, claim)


def reduce_pool_input(ledger, place, claim):
    out, mask, difference = place.pool
    size, (*lead, y, x) = place.layer.size, claim.axes
    mu_0 = claim.mu[0]
    a, c_1, c_2 = ledger.hidden(f"{place.z.name}: shares", 3)
    sums, from_x = windows(x, size)
    _, from_y = windows(y, size)
    after_y = [from_y[i] - w for i, w in enumerate(y.weights)]
    ledger.claim(out, pooled(claim.axes, size), claim.mu[: len(out.digits)], a)
    ledger.claim(mask, [*lead, Axis(after_y), repeated(Axis(sums), size)], [mu_0], c_1)
    ledger.claim(mask, [*lead, y, Axis(from_x)], [mu_0], c_2)
    value = claim.value + mu_0 * product_of_totals(claim.axes) - a - c_1 - c_2
    ledger.claim(difference, claim.axes, [-mu for mu in claim.mu[: len(difference.digits)]], value)


def reduce_weights(ledger, tensor, parameter, steps):
    every = tensor is parameter.passes
    for claim in ledger.take(tensor):
        by_pass, *rest = claim.axes
        shares = ledger.hidden(f"{tensor.name}: shares", 1 + every)
        w, last = by_pass.weights, claim.value - total(shares)
        of_step = [w[t] + (w[steps + t] if every and t < steps - 1 else ZERO) for t in range(steps)]
        later = Axis(total(of_step[u + 1 :]) for u in range(steps - 1))
        values = [*shares, last]
        start, update, e = parameter.start, parameter.update, parameter.perturbation
        ledger.claim(start, rest, [by_pass.total() * mu for mu in claim.mu[: len(start.digits)]], values[0])
        ledger.claim(update, [later, *rest], [-mu for mu in claim.mu[: len(update.digits)]], values[1])
        if every:
            ledger.claim(e, [Axis(w[steps:]), *rest], claim.mu[: len(e.digits)], values[2])


# ---- section 20: all claims --------------------------------------------------------------------------------------------


def reduce_claims(ledger, shape):
    for back in shape.stack.backs:
        reduce_delta(ledger, back)
    for place in reversed(shape.stack.places):
        reduce_output(ledger, place)
    for p in shape.parameters.values():
        reduce_weights(ledger, p.passes, p, shape.s.T)
        reduce_weights(ledger, p.first, p, shape.s.T)
    reduce_input(ledger, shape)
    for bytes_, parameter in zip(shape.private, shape.parameters.values(), strict=False):
        for claim in ledger.take(parameter.start):
            mu = [w * factor for w in claim.mu for factor in (1, 256)]
            ledger.claim(bytes_, claim.axes, mu, claim.value)
    elements, labels, _ = shape.records
    pools = [tensor for place in shape.stack.places if place.pool for tensor in (place.pool[1], place.pool[0], place.pool[2])]
    rest = [*shape.private, *shape.stack.convolutions, *shape.stack.deltas, *pools, *shape.scalars.tensors]
    rest += [*shape.scalars.carries, elements, labels]
    rest += [t for p in shape.parameters.values() for t in ([] if shape.private else [p.start]) + [p.gradient, p.update]]
    for tensor in rest:
        reduce_committed(ledger, tensor)


def reduce_input(ledger, shape):
    elements, steps = shape.records[0], shape.s.T
    slopes, constants = shape.stack.input_digits
    for claim in ledger.take(shape.stack.places[0].inputs):
        by_pass, batch, channels, y, x = claim.axes
        w = by_pass.weights
        folded = Axis(w[t] + (w[steps + t] if t < steps - 1 else ZERO) for t in range(steps))
        scale, constant = (
            [
                c * total(mu * d for mu, d in zip(claim.mu, digits, strict=True))
                for c, digits in zip(channels.weights, by_c, strict=True)
            ]
            for by_c in (slopes, constants)
        )
        value = claim.value - total(constant) * product_of_totals([by_pass, batch, y, x])
        axes = [folded, batch, Axis(scale), y, x]
        if len(shape.s.schema.shape) == 1:
            factor = y.total() * x.total()
            axes = [folded, batch, Axis(factor * c for c in scale)]
        ledger.claim(elements, [*axes, *[Axis([ONE, K(256)])] * shape.s.schema.element], [ONE], value)
