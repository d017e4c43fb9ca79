"""Convolution: docs/specification/certificate.md, section 16.1."""

from itertools import product
from math import prod

import numpy as np

from tests.reference.claims_ledger import Axis, bits_of, eq, product_of_totals, total
from tests.reference.components import Linear, Products, RoundedSum
from tests.reference.implicit import Weight, kind_of
from tests.reference.integers import box, fits, rounded
from tests.reference.operators.implicit import ImplicitWeight
from tests.reference.operators.implicit import build as build_implicit
from tests.reference.operators.operator import Built, Operator
from tests.reference.operators.windows import contracted, most
from tests.reference.shape_plans import committed
from zkds.field import ONE, ZERO


class Convolution(Operator):
    rounds = True

    def __init__(self, channels_out, channels_in, *rest):
        self.co, self.ci = channels_out, channels_in
        *pairs, self.bias, self.groups = rest
        sizes = (tuple(pairs[i : i + 2]) for i in (0, 2, 4, 6, 8))
        self.kernel, self.outputs, self.stride, self.before, self.dilation = sizes

    def output(self, inputs):
        return (self.co, *self.outputs)

    def parameters(self):
        weight = {"weight": (self.co, self.ci // self.groups, *self.kernel)}
        return weight | ({"bias": (self.co,)} if self.bias else {})

    def implicit(self, inputs, input_bits, probe):
        is_dense = (self.kernel, self.outputs, self.before, self.dilation) == (inputs[1:], (1, 1), (0, 0), (1, 1))
        entries = prod(inputs) + self.co * prod(self.outputs)
        kind = kind_of(probe, self.co, self.ci, prod(self.kernel), prod(self.outputs), entries, input_bits, is_dense)
        return {"weight": kind} if self.groups == 1 and kind else {}

    def meetings(self, inputs):
        """For rows and columns: the triples (output, tap, input) that belong together."""
        return [
            [
                (y, d, y * step + d * distance - before)
                for y, d in product(range(count), range(taps))
                if 0 <= y * step + d * distance - before < length
            ]
            for length, taps, step, before, count, distance in zip(
                inputs[1:], self.kernel, self.stride, self.before, self.outputs, self.dilation, strict=True
            )
        ]

    def channels(self):
        """(output, input, the input's place in its group), wherever they are in one group."""
        outer, inner = self.co // self.groups, self.ci // self.groups
        return [(o, o // outer * inner + i, i) for o in range(self.co) for i in range(inner)]

    # ---- fixed point

    def forward(self, place, inputs, weights):
        (a,), bits = inputs, place.input_bits[0]
        batch = 1 + max(b for b, *_ in a)
        sums = {at: 2**bits * weights["bias"][(at[1],)] if self.bias else 0 for at in box(batch, *place.output)}
        if isinstance(weights["weight"], Weight):
            rows = weights["weight"].forward(self.patches(place, a)).reshape(batch, *self.outputs, self.co)
            sums = {(b, o, y, x): sums[b, o, y, x] + value for (b, y, x, o), value in np.ndenumerate(rows)}
        else:
            rows, columns = self.meetings(place.inputs[0])
            for (y, d, v), (x, e, u) in product(rows, columns):
                for b, (o, i, k) in product(range(batch), self.channels()):
                    sums[b, o, y, x] += weights["weight"][o, k, d, e] * a[b, i, v, u]
        pairs = {at: rounded(value, 40 + bits - 32) for at, value in sums.items()}
        z = {at: pair[0] for at, pair in pairs.items()}
        assert fits(z, 43)
        return z, {"forward: remainder": {at: pair[1] for at, pair in pairs.items()}}

    def backward(self, place, inputs, values, weights, delta, kind):
        if isinstance(weights["weight"], Weight):
            return self.implicit_backward(place, weights["weight"], delta, kind)
        (a,), shift = inputs, place.input_bits[0] + kind.delta_bits + place.delta_bits - kind.bits
        rows, columns = self.meetings(place.inputs[0])
        batch = 1 + max(b for b, *_ in delta)
        gradient, dx = dict.fromkeys(weights["weight"], 0), dict.fromkeys(a, 0)
        for (y, d, v), (x, e, u) in product(rows, columns):
            for b, (o, i, k) in product(range(batch), self.channels()):
                gradient[o, k, d, e] += a[b, i, v, u] * delta[b, o, y, x]
                dx[b, i, v, u] += weights["weight"][o, k, d, e] * delta[b, o, y, x]
        gradients = {"weight": {at: rounded(value, shift) for at, value in gradient.items()}}
        return self.backward_results(place, (dx, 40 + place.delta_bits), gradients | self.bias_gradient(place, delta, kind))

    def implicit_backward(self, place, weight, delta, kind):
        """The same with a weight that moves implicitly: it has no rounded gradient."""
        batch = 1 + max(b for b, *_ in delta)
        rows = [delta[b, o, y, x] for b, y, x, o in box(batch, *self.outputs, self.co)]
        weight.backward(np.array(rows, dtype=object).reshape(-1, self.co))
        if not place.wanted[0]:
            return self.backward_results(place, None, self.bias_gradient(place, delta, kind))
        parts, shift = weight.input_gradient()
        parts = parts.reshape(batch, *self.outputs, self.ci, *self.kernel)
        dx = dict.fromkeys(box(batch, *place.inputs[0]), 0)
        for (y, d, v), (x, e, u) in product(*self.meetings(place.inputs[0])):
            for b, i in product(range(batch), range(self.ci)):
                dx[b, i, v, u] += parts[b, y, x, i, d, e]
        return self.backward_results(place, (dx, shift), self.bias_gradient(place, delta, kind))

    def patches(self, place, a):
        """(B Y X, C_in taps): what the kernel meets at every output, 0 outside the input."""
        batch = 1 + max(b for b, *_ in a)
        found = np.zeros((batch, *self.outputs, self.ci, *self.kernel), dtype=object)
        for (y, d, v), (x, e, u) in product(*self.meetings(place.inputs[0])):
            for b, i in product(range(batch), range(self.ci)):
                found[b, y, x, i, d, e] = a[b, i, v, u]
        return found.reshape(batch * prod(self.outputs), -1)

    def bias_gradient(self, place, delta, kind):
        if not self.bias:
            return {}
        shift = place.input_bits[0] + kind.delta_bits + place.delta_bits - kind.bits
        sums = {(o,): sum(value for at, value in delta.items() if at[1] == o) for o in range(self.co)}
        return {"bias": {at: rounded(2 ** place.input_bits[0] * value, shift) for at, value in sums.items()}}

    def backward_results(self, place, dx, gradients):
        """dx: the sums, and by how many bits they are rounded."""
        if not place.wanted[0]:
            return [None], {}, gradients
        pairs = {at: rounded(value, dx[1]) for at, value in dx[0].items()}
        found, remainder = ({at: pair[i] for at, pair in pairs.items()} for i in range(2))
        return [found], {"input delta": found, "input gradient: remainder": remainder}, gradients

    # ---- float64

    def evaluate(self, inputs, parameters):
        weight, output = parameters["weight"], np.zeros((self.co, *self.outputs))
        rows, columns = self.meetings(inputs[0].shape)
        for (y, d, v), (x, e, u) in product(rows, columns):
            for o, i, k in self.channels():
                output[o, y, x] += weight[o, k, d, e] * inputs[0][i, v, u]
        return output + parameters["bias"][:, None, None] if self.bias else output

    # ---- relation

    def build(self, place, scope, inputs, parameters):
        weight, bias, (a,) = parameters["weight"], parameters.get("bias"), inputs
        if isinstance(weight, ImplicitWeight):
            return build_implicit(self, place, scope, a, parameters)
        triples, bits, output = self.meetings(place.inputs[0]), place.input_bits[0], scope.output(place)
        products = self.forward_products(weight.passes, a, triples)
        forward = RoundedSum(f"{place.name}: forward", output, 8 + bits, [products], self.bias_term(bias, bits), scope.limb)
        return Built(output, [forward], lambda delta: self.back(place, scope, a, delta, triples, (weight, bias)))

    def forward_products(self, weights, a, triples):
        def claims(axes, at):
            high, low = cut(axes[2], self.groups)
            left = [times(axes[0], at[0]), combined(at[1], at[3], low), at[2], *at[4:]]
            spatial = [contracted(triples[k], {0: axes[3 + k], 1: at[4 + k]}, 2, a.shape[3 + k]) for k in range(2)]
            return left, [at[0], axes[1], by_group(at, high), *spatial]

        n = self.ci // self.groups * most(triples[0], 0) * most(triples[1], 0)
        inner = [a.shape[0], self.groups, self.ci // self.groups, runs(self.co, self.groups), *self.kernel]
        return Products(weights, a, n, inner, claims)

    def backward_products(self, weights, delta, triples, exponent=0):
        def claims(axes, at):
            high, low = cut(axes[2], self.groups)
            left = [times(axes[0], at[0]), combined(at[1], at[2]), combined(at[3], low), *at[4:]]
            spatial = [contracted(triples[k], {2: axes[3 + k], 1: at[4 + k]}, 0, delta.shape[3 + k]) for k in range(2)]
            return left, [at[0], axes[1], by_group(at, high), *spatial]

        n = self.co // self.groups * most(triples[0], 2) * most(triples[1], 2)
        inner = [delta.shape[0], self.groups, self.co // self.groups, runs(self.ci, self.groups), *self.kernel]
        return Products(weights, delta, n, inner, claims, exponent)

    def gradient_products(self, delta, a, triples, first, count):
        """Of `count` passes from `first` on; of deltas of these alone, or of all passes."""

        def claims(axes, at):
            channels = axes[1]
            if self.groups > 1:
                size = self.co // self.groups
                channels = Axis(w * at[2].weights[o // size] for o, w in enumerate(axes[1].weights))
            steps = times(axes[0], at[0])
            steps = steps if delta.shape[0] == count else placed(steps, first, delta.shape[0])
            left = [steps, at[1], channels, *at[3:]]
            spatial = [contracted(triples[k], {1: axes[3 + k], 0: at[3 + k]}, 2, a.shape[3 + k]) for k in range(2)]
            return left, [placed(at[0], first, a.shape[0]), at[1], combined(at[2], axes[2]), *spatial]

        n = delta.shape[1] * most(triples[0], 1) * most(triples[1], 1)
        return Products(delta, a, n, [count, delta.shape[1], self.groups, *delta.shape[3:]], claims)

    def bias_term(self, bias, bits):
        def claim(axes):
            rest = product_of_totals([axes[1], axes[3], axes[4]])
            return [Axis(w * rest for w in axes[0].weights), axes[2]]

        return Linear(bias.passes, bits, 1, claim) if bias else None

    def back(self, place, scope, a, delta, triples, parameters):
        weight, bias = parameters
        components, found = [], None
        if place.wanted[0]:
            found = committed(f"{place.name}: input delta", 46, a.shape, signed=True)
            products = self.backward_products(weight.passes, delta, triples)
            components.append(
                RoundedSum(f"{place.name}: input gradient", found, 40 + place.delta_bits, [products], None, scope.limb)
            )
        for kind in self.kinds(place, scope):
            components += [
                self.gradient(weight, kind, a, delta, triples, scope.limb),
                *self.bias_gradient_sum(bias, kind, delta, place),
            ]
        return [found], components

    @staticmethod
    def kinds(place, scope):
        """Name, first pass, number of passes, shift."""
        bits = place.input_bits[0] + place.delta_bits
        return ("gradient", 0, scope.T, bits), ("update", scope.T, scope.T - 1, bits + scope.e2 - 40)

    def gradient(self, weight, kind, a, delta, triples, limb):
        name, first, count, shift = kind
        products = self.gradient_products(delta, a, triples, first, count)
        return RoundedSum(f"{weight.name}: {name}", getattr(weight, name), shift, [products], None, limb)

    def bias_gradient_sum(self, bias, kind, delta, place):
        """Its sum, if there is a bias."""
        name, first, _, shift = kind
        lengths = (delta.shape[1], *delta.shape[3:])

        def claim(axes):
            ones = [Axis([ONE] * length) for length in lengths]
            return [placed(axes[0], first, delta.shape[0]), ones[0], axes[1], *ones[1:]]

        linear = Linear(delta, place.input_bits[0], prod(lengths), claim)
        return [RoundedSum(f"{bias.name}: {name}", getattr(bias, name), shift, (), linear)] if bias else []


def low_run(channels, groups):
    """How many values l has: the largest power of two that divides the channels of a group; with one group all of them."""
    size = channels // groups
    return size if groups == 1 else size & -size


def runs(channels, groups):
    """How many values h has."""
    return channels // groups // low_run(channels, groups)


def cut(axis, groups):
    """A point of channels (g, h, l) as one of (g, h) and one of l."""
    low = low_run(len(axis), groups)
    return eq(len(axis) // low, axis.coordinates[bits_of(low) :]), eq(low, axis.coordinates[: bits_of(low)])


def by_group(at, high):
    """s(g) eq(r_g, g) eq(r_k, k) on the channels (g, k); at: p, g, k, h, ..."""
    _, groups, own, h, *_ = at
    if len(groups) == 1:
        return own
    s = [total(a * b for a, b in zip(h.weights, high.weights[g * len(h) :], strict=False)) for g in range(len(groups))]
    return Axis(s[g] * w * v for g, w in enumerate(groups.weights) for v in own.weights)


def combined(*parts):
    """The product along one axis, the last part running fastest."""
    first, *others = [part for part in parts if len(part) > 1] or parts[-1:]
    weights = first.weights
    for part in others:
        weights = [a * b for a in weights for b in part.weights]
    return Axis(weights, is_point=all(len(part) == 2 ** bits_of(len(part)) for part in others))


def times(a, b):
    return Axis(x * y for x, y in zip(a.weights, b.weights, strict=True))


def placed(axis, first, length):
    return Axis([ZERO] * first + axis.weights + [ZERO] * (length - first - len(axis)))
