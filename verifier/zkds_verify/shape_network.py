"""The tensors and components of a network's passes: written from docs/specification/certificate.md, sections 16 and 20."""

from math import prod

from zkds_verify.claims_ledger import Axis, product_of_totals, total
from zkds_verify.claims_tensors import linear, sum_of
from zkds_verify.dataset import affine
from zkds_verify.field import ONE, ZERO, K
from zkds_verify.graph import own_parameters
from zkds_verify.shape_plans import NONE, columnwise, committed, hull, plus, times, with_zero


class Parameter:
    """A parameter's tensors; `name` with a probe's prefix, `short` without. `start`: one that is there, else committed here."""

    def __init__(self, s, name, shape, formats, start=None, prefix=""):
        update, perturbation = formats
        self.short, self.shape, self.count, self.T = name, tuple(shape), prod(shape), s.T
        name = self.name = prefix + name
        self.start = start or committed(f"{name}: start", 44, shape, signed=True)
        self.gradient = committed(f"{name}: gradient", 48, (s.T, *shape), signed=True)
        self.update = committed(f"{name}: update", update, (s.T - 1, *shape), signed=True)
        self.perturbation = committed(f"{name}: perturbation", perturbation, (s.T - 1, *shape), signed=True)
        self.passes = self.sums("passes", 2 * s.T - 1, self.perturbation)
        self.first = self.sums("first passes", s.T, NONE)

    def sums(self, kind, passes, perturbation):
        def of(start, update, e):
            return plus(start, with_zero(times(update, -(self.T - 1))), with_zero(e))

        parts = (self.start, self.update, perturbation)
        digits = columnwise(of, [tensor.digits for tensor in parts])
        sources = [tensor for tensor in parts if tensor is not NONE]
        interval = of(*(tensor.interval for tensor in parts))
        return linear(f"{self.name}: {kind}", (passes, *self.shape), digits, interval, sources, self.terms)

    def terms(self, claim):
        """W_p = w0 - sum of U_u [+ E_t]"""
        by_pass, *rest = claim.axes
        w, every = by_pass.weights, len(by_pass) > self.T
        of_step = [w[t] + (w[self.T + t] if every and t < self.T - 1 else ZERO) for t in range(self.T)]
        later = Axis(total(of_step[u + 1 :]) for u in range(self.T - 1))
        found = [
            (self.start, rest, [by_pass.total() * mu for mu in claim.mu[: len(self.start.digits)]]),
            (self.update, [later, *rest], [-mu for mu in claim.mu[: len(self.update.digits)]]),
        ]
        if every:
            found.append((self.perturbation, [Axis(w[self.T :]), *rest], claim.mu[: len(self.perturbation.digits)]))
        return found, ZERO


def balanced(number, count):
    """Balanced digits, the top one takes what is left."""
    digits = []
    for _ in range(count - 1):
        digits.append((number + 2**15) % 2**16 - 2**15)
        number = (number - digits[-1]) // 2**16
    return [*digits, number]


def input_tensor(s, elements, prefix=""):
    """m u + n, by channel."""
    maps = [affine(s.schema, c) for c in range(s.schema.shape[0])]
    count = 1
    while any(not -(2**15) <= balanced(number, count)[-1] < 2**15 for pair in maps for number in pair):
        count += 1
    stored = (0, 255 if s.schema.element == 0 else 65535)

    def of_all(pairs):
        return hull(*(plus(times(stored, m), (n, n)) for m, n in pairs))

    slopes, constants = ([balanced(number, count) for number in numbers] for numbers in zip(*maps, strict=True))
    digits = [of_all([(m[j], n[j]) for m, n in zip(slopes, constants, strict=True)]) for j in range(count)]

    def terms(claim):
        by_pass, batch, channels, y, x = claim.axes
        w = by_pass.weights
        folded = Axis(w[t] + (w[s.T + t] if t < s.T - 1 else ZERO) for t in range(s.T))
        scale, constant = (
            [
                c * total(mu * d for mu, d in zip(claim.mu, own, strict=True))
                for c, own in zip(channels.weights, by_channel, strict=True)
            ]
            for by_channel in (slopes, constants)
        )
        axes = [folded, batch, Axis(scale), y, x]
        if len(s.schema.shape) == 1:
            factor = y.total() * x.total()
            axes = [folded, batch, Axis(factor * c for c in scale)]
        axes += [Axis([ONE, K(256)])] * s.schema.element
        return [(elements, axes, [ONE])], total(constant) * product_of_totals([by_pass, batch, y, x])

    shape = (2 * s.T - 1, s.B, *s.network.shape)
    return linear(f"{prefix}input", shape, digits, of_all(maps), [elements], terms)


class Passes:
    """All nodes over all passes; `components` in order; after `backwards` the layers `implicit`, from the last to the first.

    It is the `scope` of the operators' twins.
    """

    def __init__(self, s, e2, limb, inputs, parameters):
        self.T, self.B, self.e2, self.limb = s.T, s.B, e2, limb
        self.network, self.inputs, self.parameters = s.network, inputs, parameters
        self.components, self.built, self.signs, self.implicit = [], {}, set(), []
        self.numbers = {node.place.name: number for number, node in enumerate(self.network.nodes, 1)}
        for number, node in enumerate(self.network.nodes, 1):
            if number not in self.built:
                sources = [self.of(source) for source in node.inputs]
                self.built[number] = node.operator.build(node.place, self, sources, own_parameters(node, parameters))
            self.components += self.built[number].components

    @property
    def logits(self):
        return self.of(len(self.network.nodes))

    def of(self, number):
        return self.built[number].output if number else self.inputs

    def shape(self, of_record):
        return (2 * self.T - 1, self.B, *of_record)

    def output(self, place):
        """The rounded output of a node: the tensor by which the one node that takes it represents it, or a committed one."""
        number = self.numbers[place.name]
        takers = self.network.consumers[number]
        if len(takers) == 1:
            taker = self.network.nodes[takers[0] - 1]
            others = [source for source in taker.inputs if source != number]
            if all(source == 0 or source in self.built for source in others):
                sources = [None if source == number else self.of(source) for source in taker.inputs]
                built = taker.operator.represent(taker.place, self, sources)
                if built:
                    self.built[takers[0]] = built
                    return built.supplied
        return committed(f"{place.name}: output", 43, self.shape(place.output), signed=True)

    def claim_sign(self, tensor):
        """Whether this is the first lookup of the tensor's sign."""
        first = tensor.name not in self.signs
        self.signs.add(tensor.name)
        return first

    def backwards(self, logit_delta):
        back = {number: [] for number in range(len(self.network.nodes) + 1)}
        back[len(self.network.nodes)].append((logit_delta, 0))
        for number in range(len(self.network.nodes), 0, -1):
            node = self.network.nodes[number - 1]
            if not self.network.learns[number]:
                continue
            bits = node.place.delta_bits
            delta = back[number][0][0]
            if len(back[number]) > 1:
                delta = sum_of(f"{node.place.name}: delta of output", [(d, bits - own, 1) for d, own in back[number]])
            deltas, components = self.built[number].back(delta)
            self.components += components
            for source, found in zip(node.inputs, deltas, strict=True):
                if found:
                    back[source].append((found, node.operator.delta_bits(bits)))
