"""The fixed-point semantics once more: one number at a time, in Python ints, with decimals for the tables.

Written from docs/fixed-point.md, sharing no code with zkds.circuits (only the description of the network and the probe's
exact rational constants are read). Tensors are dictionaries from index tuples to ints.
"""

import math
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from functools import cache
from itertools import product

F = Fraction


def box(*lengths):
    return product(*(range(length) for length in lengths))


def rounded(value, shift):
    """(quotient, remainder)"""
    return divmod(value + 2 ** (shift - 1), 2**shift)


def nearest(fraction):
    return math.floor(fraction + F(1, 2))


@cache
def exponential_entry(numerator, bits):
    """round(2^48 exp(-numerator / 2^bits))"""
    with localcontext(prec=60):
        return int((2**48 * (Decimal(-numerator) / 2**bits).exp()).to_integral_value(rounding=ROUND_HALF_UP))


@cache
def natural_log(fraction):
    """round(2^48 ln(fraction))"""
    with localcontext(prec=60):
        return int(
            (2**48 * (Decimal(fraction.numerator) / fraction.denominator).ln()).to_integral_value(rounding=ROUND_HALF_UP)
        )


def logarithm(number):
    k = 0
    while number * 2**k < 2**127:
        k += 1
    mantissa = number * 2**k // 2**80
    c = mantissa // 2**31 - 2**16
    inverse = math.ceil(F(2**48, 2**16 + c))
    y = rounded(mantissa * inverse - 2**79, 31)[0]
    y2 = rounded(y * y, 49)[0]
    return (127 - k) * natural_log(F(2)) + natural_log(F(2**32, inverse)) + y - y2


def forward(layer, a_bits, weight, bias, a, batch, shape):
    """(z, its remainders, mask, output, bits of the output, shape of z, shape of the output)"""
    _, height, width = shape
    (kh, kw), (sh, sw), (ph, pw) = layer.kernel, layer.stride, layer.padding
    size = layer.pool.size if layer.pool else 1
    oh, ow = ((height + 2 * ph - kh) // sh + 1) // size, ((width + 2 * pw - kw) // sw + 1) // size
    z, remainder = {}, {}
    for b, o, y, x in box(batch, layer.channels_out, oh * size, ow * size):
        total = 2**a_bits * bias[(o,)] if bias else 0
        for i, dy, dx in box(layer.channels_in, kh, kw):
            v, u = y * sh + dy - ph, x * sw + dx - pw
            if 0 <= v < height and 0 <= u < width:
                total += weight[o, i, dy, dx] * a[b, i, v, u]
        z[b, o, y, x], remainder[b, o, y, x] = rounded(total, 40 + a_bits - 32)
        assert -(2**40) <= z[b, o, y, x] < 2**40
    mask = {place: int(value >= 0 or not layer.relu) for place, value in z.items()}
    output = {}
    for b, o, y, x in box(batch, layer.channels_out, oh, ow):
        window = [(b, o, y * size + dy, x * size + dx) for dy, dx in box(size, size)]
        if layer.pool and layer.pool.kind == "max":
            first = max(window, key=lambda place: z[place])  # the first of the largest
            for place in window:
                mask[place] = mask[place] if place == first else 0
        output[b, o, y, x] = sum(mask[place] * z[place] for place in window)
    average = 2 * int(math.log2(size)) if layer.pool and layer.pool.kind == "average" else 0
    return z, remainder, mask, output, average, (oh * size, ow * size), (layer.channels_out, oh, ow)


def softmax(z, batch, classes):
    """(first maximum, first product and remainder, exponential and remainder, sum)"""
    maximum, first, first_remainder, e, e_remainder, total = {}, {}, {}, {}, {}, {}
    for b in range(batch):
        maximum[(b,)] = max(range(classes), key=lambda i: z[b, i, 0, 0])
        for i in range(classes):
            u = z[b, maximum[(b,)], 0, 0] - z[b, i, 0, 0]
            whole, high, low = u // 2**32, u // 2**16 % 2**16, u % 2**16
            both = exponential_entry(whole, 0) * exponential_entry(high, 16)
            first[b, i], first_remainder[b, i] = rounded(both, 48)
            e[b, i], e_remainder[b, i] = rounded(first[b, i] * exponential_entry(low, 32), 48)
        total[(b,)] = sum(e[b, i] for i in range(classes))
    return maximum, first, first_remainder, e, e_remainder, total


def one_pass(network, weights, x, labels, scale, e_bits, result_bits):
    """All tensors of a pass by name; per layer under (name, layer index), per parameter under (name, parameter)."""
    batch = len(labels)
    found, averages, a_bits_of = {}, [], []
    a, a_bits, shape = x, 32, network.input_shape
    activations, shapes, sizes = [x], [shape], []
    for index, layer in enumerate(network.layers):
        weight, bias = weights[f"{layer.name}.weight"], weights.get(f"{layer.name}.bias")
        z, remainder, mask, a, average, size, shape = forward(layer, a_bits, weight, bias, a, batch, shape)
        found["convolution", index], found["convolution_remainder", index] = z, remainder
        found["mask", index], found["activation", index] = mask, a
        averages.append(average)
        a_bits_of.append(a_bits)
        activations.append(a)
        shapes.append(shape)
        sizes.append(size)
        a_bits = 32 + average
    classes = network.layers[-1].channels_out
    names = (
        "maximum",
        "exponential_product",
        "exponential_product_remainder",
        "exponential",
        "exponential_remainder",
        "exponential_sum",
    )
    found.update(zip(names, softmax(z, batch, classes), strict=True))
    delta, remainder = {}, {}
    for b, i in box(batch, classes):
        e, total = found["exponential"][b, i], found["exponential_sum"][(b,)]
        numerator = 2 * scale * (e - (total if labels[b] == i else 0)) + batch * total
        delta[b, i], remainder[b, i] = divmod(numerator, 2 * batch * total)
    found["logit_delta"], found["logit_delta_remainder"] = delta, remainder
    losses = []
    for b in range(batch):
        u = z[b, found["maximum"][(b,)], 0, 0] - z[b, labels[b], 0, 0]
        losses.append(logarithm(found["exponential_sum"][(b,)]) - 48 * natural_log(F(2)) + 2**16 * u)
    found["losses"] = losses
    behind = {(b, i, 0, 0): value for (b, i), value in delta.items()}
    for index in reversed(range(len(network.layers))):
        behind = backward(
            network.layers[index],
            index,
            found,
            weights,
            behind,
            batch,
            shapes[index],
            sizes[index],
            activations[index],
            averages[index],
            a_bits_of[index],
            e_bits,
            result_bits,
        )
    return found


def backward(layer, index, found, weights, behind, batch, shape, size, a, average, a_bits, e_bits, result_bits):
    """Records dz, gradients and dx of a layer; returns dx."""
    _, height, width = shape
    (sh, sw), (ph, pw) = layer.stride, layer.padding
    pool = layer.pool.size if layer.pool else 1
    weight = weights[f"{layer.name}.weight"]
    dz = {(b, o, y, x): m * behind[b, o, y // pool, x // pool] for (b, o, y, x), m in found["mask", index].items()}
    found["output_delta", index] = dz
    shift = a_bits + e_bits + average - result_bits
    gradient = dict.fromkeys(weight, 0)
    dx = dict.fromkeys(box(batch, *shape), 0)
    for b, o, y, x in dz:
        for i, ky, kx in box(layer.channels_in, *layer.kernel):
            v, u = y * sh + ky - ph, x * sw + kx - pw
            if 0 <= v < height and 0 <= u < width:
                gradient[o, i, ky, kx] += a[b, i, v, u] * dz[b, o, y, x]
                dx[b, i, v, u] += weight[o, i, ky, kx] * dz[b, o, y, x]
    found["gradient", f"{layer.name}.weight"] = {place: rounded(value, shift) for place, value in gradient.items()}
    if layer.bias:
        sums = {(o,): 2**a_bits * sum(v for place, v in dz.items() if place[1] == o) for o in range(layer.channels_out)}
        found["gradient", f"{layer.name}.bias"] = {place: rounded(value, shift) for place, value in sums.items()}
    pairs = {place: rounded(value, 40 + average) for place, value in dx.items()}
    found["input_delta", index] = {place: pair[0] for place, pair in pairs.items()}
    found["input_delta_remainder", index] = {place: pair[1] for place, pair in pairs.items()}
    return found["input_delta", index]


def elementwise(function, *tensors):
    return {place: function(*(tensor[place] for tensor in tensors)) for place in tensors[0]}


def times(kappa, pairs):
    return elementwise(lambda pair: rounded(kappa * pair[0], 32), pairs)


def run(network, weights, inputs, labels, configuration):
    """(passes, steps, results): a list of P dictionaries of `one_pass`, a list of T dictionaries, a dictionary.

    weights: parameter -> tensor; inputs: T tensors; labels: T lists.
    """
    steps, batch = configuration.steps, configuration.batch_size
    rho, rate, eps = configuration.rho, configuration.learning_rate, configuration.eps
    e2 = max(e for e in range(200) if rate * 2**e <= 2**43)
    rho_int, s2, eps_int = nearest(rho * 2**32), nearest(rate * 2**e2), nearest(eps * 2**56 / (batch * rho**2))
    firsts, seconds, records = [], [], []
    for t in range(steps):
        first = one_pass(network, weights, inputs[t], labels[t], 2**44, 44, 44)
        g = {name: first["gradient", name] for name in weights}
        record = {"gradient": g}
        v = {name: elementwise(lambda w, pair: rounded(w * pair[0], 40), weights[name], g[name]) for name in weights}
        record["scaled"] = v
        sums = {}
        for kind, pairs in (("SAM", g), ("ASAM", v)):
            sums[kind] = sum(pair[0] ** 2 for tensor in pairs.values() for pair in tensor.values())
        record["loss_sum"] = sum(first["losses"])
        loss = max(record["loss_sum"], 1)
        record["sharpness_squares"] = sums[configuration.sharpness]
        record["log_ratio"] = logarithm(2**16 * sums[configuration.sharpness] + eps_int * loss) - logarithm(loss)
        firsts.append(first)
        records.append(record)
        if t == steps - 1:
            break
        record["perturbation_squares"] = sums[configuration.perturbation]
        record["norm"] = y = math.isqrt(record["perturbation_squares"])
        record["kappa"] = kappa = rho_int * 2**40 // y if y else 0
        if configuration.perturbation == "SAM":
            e = {name: times(kappa, g[name]) for name in weights}
        else:
            n = {name: times(kappa, v[name]) for name in weights}
            record["normalised"] = n
            e = {name: elementwise(lambda w, pair: rounded(w * pair[0], 40), weights[name], n[name]) for name in weights}
        record["perturbation"] = e
        moved = {name: elementwise(lambda w, pair: w + pair[0], weights[name], e[name]) for name in weights}
        second = one_pass(network, moved, inputs[t], labels[t], s2, e2, 40)
        seconds.append(second)
        record["update"] = u = {name: second["gradient", name] for name in weights}
        weights = {name: elementwise(lambda w, pair: w - pair[0], weights[name], u[name]) for name in weights}
    ratios = [record["log_ratio"] for record in records]
    spread = math.isqrt(steps * sum(r * r for r in ratios) - sum(ratios) ** 2)
    correct = sum(first["maximum"][(b,)] == labels[t][b] for t, first in enumerate(firsts) for b in range(batch))
    total = sum(record["loss_sum"] for record in records)
    found = {"value": spread // steps, "total_loss": total, "correct": correct}
    found["saturated"] = sum(F(record["loss_sum"], 2**48 * batch) < F(1, 2**32) for record in records)
    found["below_eps"] = sum(2**16 * r["sharpness_squares"] < eps_int * max(r["loss_sum"], 1) for r in records)
    return firsts + seconds, records, found
