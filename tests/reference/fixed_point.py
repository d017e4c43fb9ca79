"""The fixed-point semantics once more: one number at a time, in Python ints, with decimals for the tables.

Written from docs/fixed-point.md, sharing no code with zkds.circuits (only the network's canonical bytes and the probe's exact
rational constants are read). Tensors are dictionaries from index tuples to ints.
"""

import math
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from functools import cache

from tests.reference.implicit import Weight, matrix
from tests.reference.operators.registry import OPERATORS
from tests.reference.operators.semantics import Kind
from zkds_verify.graph import Network, own_parameters
from zkds_verify.integers import box, fits, nearest, rounded

F = Fraction


@cache
def exponential_entry(numerator, bits, unit=2**48):
    """round(unit exp(-numerator / 2^bits))"""
    with localcontext(prec=60):
        return int((unit * (Decimal(-numerator) / 2**bits).exp()).to_integral_value(rounding=ROUND_HALF_UP))


@cache
def natural_log(fraction):
    """round(2^48 ln(fraction))"""
    with localcontext(prec=60):
        return int(
            (2**48 * (Decimal(fraction.numerator) / fraction.denominator).ln()).to_integral_value(rounding=ROUND_HALF_UP)
        )


def logarithm(number, f=48, mu=48):
    k = 0
    while number * 2**k < 2**127:
        k += 1
    mantissa = number * 2**k // 2 ** (128 - mu)
    c = mantissa // 2 ** (mu - 17) - 2**16
    inverse = math.ceil(F(2**48, 2**16 + c))
    y = rounded(mantissa * inverse - 2 ** (mu + 31), mu + 31 - f)[0]
    y2 = rounded(y * y, f + 1)[0]
    return 2 ** (f - 48) * ((127 - k) * natural_log(F(2)) + natural_log(F(2**32, inverse))) + y - y2


def loss_scale(loss, batch):
    """k: the largest number up to 40 with 2^k L < 2^c, 0 if there is none; c of the batch's size."""
    c = 48 + batch.bit_length()
    return max([k for k in range(41) if 2**k * loss < 2**c], default=0)


def softmax(z, batch, classes):
    """(first maximum, first product and remainder, exponential and remainder, sum)"""
    maximum, first, first_remainder, e, e_remainder, total = {}, {}, {}, {}, {}, {}
    for b in range(batch):
        maximum[(b,)] = max(range(classes), key=lambda i: z[b, i, 0, 0])
        for i in range(classes):
            u = z[b, maximum[(b,)], 0, 0] - z[b, i, 0, 0]
            whole, high, low = u // 2**32, u // 2**16 % 2**16, u % 2**16
            both = exponential_entry(whole, 0, 2**58) * exponential_entry(high, 16)
            first[b, i], first_remainder[b, i] = rounded(both, 48)
            e[b, i], e_remainder[b, i] = rounded(first[b, i] * exponential_entry(low, 32), 48)
        total[(b,)] = sum(e[b, i] for i in range(classes))
    return maximum, first, first_remainder, e, e_remainder, total


def forward(network, weights, x):
    """The output of the input and every node, and what else a node's tensors hold, node by node."""
    outputs, values = [x], []
    for node in network.nodes:
        own = own_parameters(node, weights)
        output, others = node.operator.forward(node.place, [outputs[i] for i in node.inputs], own)
        outputs.append(output)
        values.append(others)
    return outputs, values


def one_pass(network, weights, x, labels, scale, kind):
    """All tensors of a pass by name; those of nodes and, as pairs, of parameters' gradients in dictionaries of their own.

    scale: that of deltas, a function of the losses.
    """
    batch = len(labels)
    outputs, values = forward(network, weights, x)
    z, classes = outputs[-1], network.classes
    names = (
        "maximum",
        "exponential_product",
        "exponential_product_remainder",
        "exponential",
        "exponential_remainder",
        "exponential_sum",
    )
    found = dict(zip(names, softmax(z, batch, classes), strict=True))
    losses = []
    ordered = [sorted(z[b, i, 0, 0] for i in range(classes)) for b in range(batch)]
    found["margins"] = [largest - second for *_, second, largest in ordered]
    for b in range(batch):
        u = z[b, found["maximum"][(b,)], 0, 0] - z[b, labels[b], 0, 0]
        losses.append(logarithm(found["exponential_sum"][(b,)], 58, 64) - 58 * 2**10 * natural_log(F(2)) + 2**26 * u)
    found["losses"], scale = losses, scale(losses)
    delta, remainder = {}, {}
    for b, i in box(batch, classes):
        e, total = found["exponential"][b, i], found["exponential_sum"][(b,)]
        numerator = 2 * scale * (e - (total if labels[b] == i else 0)) + batch * total
        delta[b, i], remainder[b, i] = divmod(numerator, 2 * batch * total)
    found["logit_delta"], found["logit_delta_remainder"] = delta, remainder
    behind = {(b, i, 0, 0): value for (b, i), value in delta.items()}
    found["nodes"], found["gradients"] = backward(network, outputs, values, weights, behind, kind)
    return found


def backward(network, outputs, values, weights, logit_delta, kind):
    """All tensors of nodes, by name; the gradients of parameters."""
    tensors, gradients = {}, {}
    back = {number: [] for number in range(len(outputs))}
    back[len(network.nodes)].append((logit_delta, 0))
    for number, node in reversed(list(enumerate(network.nodes, 1))):
        found = {"output": outputs[number], **values[number - 1]}
        if network.learns[number]:
            bits = node.place.delta_bits
            (delta, own), *others = back[number]
            delta = {at: value * 2 ** (bits - own) for at, value in delta.items()}
            for other, own in others:
                delta = {at: value + other[at] * 2 ** (bits - own) for at, value in delta.items()}
                assert fits(delta, 46 + bits)
            inputs, of_node = [outputs[i] for i in node.inputs], own_parameters(node, weights)
            deltas, more, gained = node.operator.backward(node.place, inputs, values[number - 1], of_node, delta, kind)
            found |= more
            gradients |= {f"{node.name}.{word}": pairs for word, pairs in gained.items()}
            for source, of_input in zip(node.inputs, deltas, strict=True):
                if of_input:
                    back[source].append((of_input, node.operator.delta_bits(bits)))
        tensors |= {f"{node.place.name}: {name}": tensor for name, tensor in found.items()}
    return tensors, gradients


def elementwise(function, *tensors):
    return {place: function(*(tensor[place] for tensor in tensors)) for place in tensors[0]}


def times(kappa, pairs):
    return elementwise(lambda pair: rounded(kappa * pair[0], 32), pairs)


def run(network, weights, inputs, labels, configuration):
    """(passes, steps, results): a list of P dictionaries of `one_pass`, a list of T dictionaries, a dictionary.

    weights: parameter or constant -> tensor; inputs: T tensors; labels: T lists.
    """
    network = Network(network.encode(), OPERATORS)
    steps, batch = configuration.steps, configuration.batch_size
    rho, rate, eps = configuration.rho, configuration.learning_rate, configuration.eps
    e2 = max(e for e in range(200) if rate * 2**e <= 2**43)
    rho_int, s2, eps_int = nearest(rho * 2**32), nearest(rate * 2**e2), nearest(eps * 2**56 / (batch * rho**2))
    firsts, seconds, records = [], [], []
    constants = {name: weights[name] for name in network.constants}
    found = network.implicit((steps, batch, configuration.perturbation == "ASAM", configuration.sharpness == "ASAM"))
    nodes = {name: node for name, (node, _) in found.items()}
    implicit = {name: Weight(node.place, e2, matrix(weights[name]), kind) for name, (node, kind) in found.items()}
    weights = {name: weights[name] for name in network.parameters if name not in implicit}
    for t in range(steps):

        def scaled(losses):
            return 2 ** (44 + loss_scale(max(sum(losses), 1), batch))

        first = one_pass(network, weights | implicit | constants, inputs[t], labels[t], scaled, Kind(44, 44))
        first["products"] = {nodes[name].name: weight.products for name, weight in implicit.items()}
        g = {name: first["gradients"][name] for name in weights}
        record = {"gradient": g}
        record["squares"] = {name: weight.squares() for name, weight in implicit.items()}
        record["scaled squares"] = {name: weight.scaled_squares() for name, weight in implicit.items()}
        v = {name: elementwise(lambda w, pair: rounded(w * pair[0], 40), weights[name], g[name]) for name in weights}
        record["scaled"] = v
        sums = {}
        for kind, pairs, others in (("SAM", g, "squares"), ("ASAM", v, "scaled squares")):
            sums[kind] = sum(pair[0] ** 2 for tensor in pairs.values() for pair in tensor.values())
            sums[kind] += sum(pair[0] for pair in record[others].values())
        record["loss_sum"] = sum(first["losses"])
        loss = max(record["loss_sum"], 1)
        record["sharpness_squares"] = sums[configuration.sharpness]
        record["loss_scale"] = k = loss_scale(loss, batch)
        record["scaled_eps"] = rounded(eps_int * 2 ** (2 * k) * loss, 10)[0]
        argument = 2**16 * sums[configuration.sharpness] + record["scaled_eps"]
        record["log_ratio"] = logarithm(argument) - logarithm(loss) - 2 * k * natural_log(F(2))
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
        factors = {name: weight.perturbation_factor(kappa) for name, weight in implicit.items()}
        record["perturbation factor"] = factors
        there = {name: weight.perturbed(factors[name][0], weight.inputs) for name, weight in implicit.items()}
        second = one_pass(network, moved | there | constants, inputs[t], labels[t], lambda losses: s2, Kind(e2, 40))
        second["products"] = {nodes[name].name: weight.products for name, weight in there.items()}
        seconds.append(second)
        record["update factor"] = factors = {name: weight.update_factor() for name, weight in there.items()}
        record["moved"] = {}
        for name, weight in implicit.items():
            update = factors[name][0], there[name].inputs
            implicit[name] = weight.updated(*update)
            if weight.kind == "rounded":
                record["moved"][name] = (implicit[name].start, weight.rounded_update(*update)[1])
        record["update"] = u = {name: second["gradients"][name] for name in weights}
        weights = {name: elementwise(lambda w, pair: w - pair[0], weights[name], u[name]) for name in weights}
    ratios = [record["log_ratio"] for record in records]
    spread = math.isqrt(steps * sum(r * r for r in ratios) - sum(ratios) ** 2)
    correct = sum(first["maximum"][(b,)] == labels[t][b] for t, first in enumerate(firsts) for b in range(batch))
    total = rounded(sum(record["loss_sum"] for record in records), 10)[0]
    found = {"value": spread // steps, "total_loss": total, "correct": correct}
    found["saturated"] = sum(F(max(record["loss_sum"], 1), 2**58 * batch) < F(1, 2**44) for record in records)
    found["distinct_labels"] = len({label for batch in labels for label in batch})
    found["largest_margin"] = max(math.ceil(F(margin, 2**32)) for first in firsts for margin in first["margins"])
    found["below_eps"] = sum(2**16 * r["sharpness_squares"] < r["scaled_eps"] for r in records)
    return firsts + seconds, records, found
