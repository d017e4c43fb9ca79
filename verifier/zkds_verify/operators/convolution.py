"""Convolution: docs/specification/certificate.md, section 16.1."""

from itertools import product
from math import prod

from zkds_verify.claims_ledger import Axis, bits_of, eq, product_of_totals, total
from zkds_verify.components import Linear, Products, RoundedSum
from zkds_verify.field import ONE, ZERO
from zkds_verify.operators.implicit import ImplicitWeight
from zkds_verify.operators.implicit import build as build_implicit
from zkds_verify.operators.implicit_rule import kind_of
from zkds_verify.operators.operator import Built, Operator
from zkds_verify.operators.windows import contracted, most
from zkds_verify.shape_plans import committed


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

    def work(self, inputs):
        return sum(kernel * max(sizes) for kernel, *sizes in zip(self.kernel, self.outputs, inputs[1:], strict=True))

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
