"""Layers whose weight is implicit: docs/specification/certificate.md, section 16.16."""

from collections import namedtuple
from math import prod

from zkds_verify.claims_ledger import Axis, total
from zkds_verify.claims_squares import balanced_columns, balanced_value
from zkds_verify.claims_tensors import linear
from zkds_verify.components import Linear, Products, RoundedSum, equal
from zkds_verify.field import ONE, ZERO
from zkds_verify.operators.operator import Built
from zkds_verify.operators.windows import contracted, most
from zkds_verify.shape_plans import committed, plus, times

# What norms need: the weight's tensors, a and d with how their rows lie in them, ib and db
Layer = namedtuple("Layer", "weight inputs deltas patches outputs input_bits delta_bits")


class Rows:
    """Rows (b, y, x) of images (B, C, H, W): patches (c, d, e).

    positions, taps   how many, along both axes
    triples           (output, tap, input) of both axes
    """

    def __init__(self, images, positions, taps, triples):
        batch, self.channels, *self.size = images
        self.triples, self.taps = triples, taps
        self.index = (batch, *positions)
        self.entries = (self.channels, *taps)

    @property
    def n(self):
        """The most entries of a patch that are there."""
        return self.channels * prod(most(triples, 0) for triples in self.triples)

    def axes(self, row, entry):
        """The weights on (B, C, H, W)."""
        spatial = [met(*axis) for axis in zip(self.triples, row[1:], entry[1:], self.size, strict=True)]
        return [row[0], entry[0], *spatial]


def met(triples, output, tap, length):
    """The weights on inputs: a point if each output sees one input, or one output all of them, each at one tap."""
    if (len(output), len(tap)) == (length, 1) and triples == [(i, 0, i) for i in range(length)]:
        return output
    if (len(output), len(tap)) == (1, length) and triples == [(0, i, i) for i in range(length)]:
        return tap
    return contracted(triples, {0: output, 1: tap}, 2, length)


class ImplicitWeight:
    """The tensors of a weight. `start`: the one of a private model or of the first probe; else committed here, for ASAM in
    `digits`, which all probes share.

    If its updates are rounded (`kind`), `digits` are of the weights of all steps, and `given` is what else has its start.
    """

    def __init__(self, s, name, shape, e2, positions, kind, start=None):
        factors = (s.T - 1, s.B, shape[0], *positions)
        self.name, self.shape = name, tuple(shape)
        self.digits, self.rounded, self.given = None, kind == "rounded", start
        if self.rounded:
            rows = s.B * prod(positions)
            self.base = 3 ** next(stride for most, stride in ((32, 7), (64, 6), (128, 5)) if rows <= most)
            weights = balanced_columns(f"{name}: weights", self.base, (-(2**43), 2**43 - 1), (s.T, *shape))
            self.digits = weights._replace(separate=8 + s.T)
            first = balanced_value(f"{name}: first passes", self.base, self.digits)
            self.passes = of_passes(f"{name}: passes", first)
            self.moved = differences(f"{name}: update", first)
            start = first_entry(f"{name}: start", first)
        elif start and start.sources and start.sources[0].name == f"{start.name} digits":
            self.digits = start.sources[0]
        elif s.adaptive and not start:
            self.digits = balanced_columns(f"{name}: start digits", 81, (-(2**43), 2**43 - 1), shape)
            start = balanced_value(f"{name}: start", 81, self.digits)
        self.start = start or committed(f"{name}: start", 44, shape, signed=True)
        self.update = committed(f"{name}: update factor", 84 - e2, factors, signed=True)
        self.perturbation = committed(f"{name}: perturbation factor", 44, factors, signed=True)


def build(convolution, place, scope, a, parameters):
    """`Built`, the bias's sums being those of the convolution."""
    weight, bias, ib = parameters["weight"], parameters.get("bias"), place.input_bits[0]
    triples, output = convolution.meetings(place.inputs[0]), scope.output(place)
    passes, steps = pairs(scope.T)
    second, firsts = [scope.T + t for t in range(scope.T - 1)], list(range(scope.T - 1))
    moved = [scope.T + u for u in steps]
    patches = Rows(a.shape[1:], convolution.outputs, convolution.kernel, triples)
    alone = [[(i, 0, i) for i in range(length)] for length in convolution.outputs]
    outputs = Rows((scope.B, convolution.co, *convolution.outputs), convolution.outputs, (1, 1), alone)
    products = products_of(f"{place.name}: input products", len(passes), patches)
    perturbed = products_of(f"{place.name}: perturbed input products", len(firsts), patches)
    exponent = ib - 28
    components, sums = [], []
    if weight.rounded:
        sums.append(convolution.forward_products(weight.passes, a, triples))
    else:
        components.append(RoundedSum(products.name, products, 2 * ib - 30, [of_rows(a, passes, a, moved, patches)]))
        sums.append(forwards(weight.start, a, patches))
        sums.append(output_rows(weight.update, steps, products, passes, exponent, -1, "updates"))
    sums.append(output_rows(weight.perturbation, firsts, perturbed, second, exponent, 1, "perturbation"))
    components += [
        RoundedSum(perturbed.name, perturbed, 2 * ib - 30, [of_rows(a, second, a, firsts, patches)]),
        RoundedSum(f"{place.name}: forward", output, 8 + ib, sums, convolution.bias_term(bias, ib), scope.limb),
    ]

    def back(delta):
        scope.implicit.append(Layer(weight, a, delta, patches, outputs, ib, place.delta_bits))
        found, made = None, [update_factor(scope, weight, delta, place.delta_bits)]
        if weight.rounded:
            own = convolution.gradient_products(weight.update, a, triples, scope.T, scope.T - 1)
            made.append(RoundedSum(weight.moved.name, weight.moved, ib - 2, [own], None, scope.limb))
            made += [equal(weight.start.name, weight.start, weight.given)] if weight.given else []
        if place.wanted[0]:
            found = committed(f"{place.name}: input delta", 46, a.shape, signed=True)
            made += input_gradient(found, a, delta)
        for kind in convolution.kinds(place, scope):
            made += convolution.bias_gradient_sum(bias, kind, delta, place)
        return [found], made

    def input_gradient(found, a, delta):
        db = place.delta_bits
        products = products_of(f"{place.name}: delta products", len(passes), outputs)
        perturbed = products_of(f"{place.name}: perturbed delta products", len(firsts), outputs)
        common = max(40, ib + 4)
        exponent = common + db - 4 - ib
        made, sums = [], []
        if weight.rounded:
            sums.append(convolution.backward_products(weight.passes, delta, triples, common - 40))
        else:
            of_updates = of_rows(delta, passes, weight.update, steps, outputs)
            made.append(RoundedSum(products.name, products, 34 + db, [of_updates]))
            sums.append(backwards(weight.start, delta, triples, common - 40))
            sums.append(input_rows(a, moved, products, passes, patches, exponent, -1, "updates"))
        sums.append(input_rows(a, firsts, perturbed, second, patches, exponent, 1, "perturbation"))
        return [
            *made,
            RoundedSum(perturbed.name, perturbed, 34 + db, [of_rows(delta, second, weight.perturbation, firsts, outputs)]),
            RoundedSum(f"{place.name}: input gradient", found, common + db, sums, None, scope.limb),
        ]

    return Built(output, components, back)


def first_entry(name, source):
    def terms(claim):
        return [(source, [Axis([ONE] + [ZERO] * (source.shape[0] - 1)), *claim.axes], claim.mu)], ZERO

    return linear(name, source.shape[1:], source.digits, source.interval, [source], terms)


def of_passes(name, source):
    """Of every pass what belongs to its step."""
    steps = source.shape[0]

    def terms(claim):
        w = claim.axes[0].weights
        of_step = Axis(w[t] + (w[steps + t] if t < steps - 1 else ZERO) for t in range(steps))
        return [(source, [of_step, *claim.axes[1:]], claim.mu)], ZERO

    shape = (2 * steps - 1, *source.shape[1:])
    return linear(name, shape, source.digits, source.interval, [source], terms)


def differences(name, source):
    """Each entry less the next one."""

    def less(interval):
        return plus(interval, times(interval, -1))

    def terms(claim):
        w = claim.axes[0].weights
        own = Axis(a - b for a, b in zip([*w, ZERO], [ZERO, *w], strict=True))
        return [(source, [own, *claim.axes[1:]], claim.mu)], ZERO

    shape = (source.shape[0] - 1, *source.shape[1:])
    return linear(name, shape, list(map(less, source.digits)), less(source.interval), [source], terms)


def pairs(steps):
    """Two lists: the passes, and for each the steps before its own."""
    step_of = [*range(steps), *range(steps - 1)]
    found = [(p, u) for p, step in enumerate(step_of) for u in range(step)]
    return [p for p, _ in found], [u for _, u in found]


def products_of(name, count, rows):
    return committed(name, 50, (count, *rows.index, *rows.index), signed=True)


def update_factor(scope, weight, delta, db):
    def claim(axes):
        return [Axis([ZERO] * scope.T + axes[0].weights), *axes[1:]]

    return RoundedSum(weight.update.name, weight.update, scope.e2 - 38 + db, (), Linear(delta, 0, 1, claim))


# ---- the kinds of sums


def forwards(weight, a, patches):
    """z = (p, b, o, y, x): the weight at the start of all passes."""

    def claims(axes, at):
        return [axes[2], *at], [axes[0], *patches.axes([axes[1], *axes[3:]], at)]

    return Products(weight, a, patches.n, patches.entries, claims)


def backwards(weight, delta, triples, exponent):
    """z = (p, b, c, u, v)."""
    outputs, n = weight.shape[0], weight.shape[0] * prod(most(axis, 2) for axis in triples)

    def claims(axes, at):
        spatial = [contracted(triples[k], {2: axes[3 + k], 1: at[1 + k]}, 0, delta.shape[3 + k]) for k in range(2)]
        return [at[0], axes[2], *at[1:]], [*axes[:2], at[0], *spatial]

    return Products(weight, delta, n, [outputs, *weight.shape[2:]], claims, exponent)


def of_rows(left, of_left, right, of_right, rows):
    """z = (q, r, s): all rows r of left[f_q] with all rows s of right[g_q]."""

    def claims(axes, at):
        by_pair = [w * v for w, v in zip(axes[0].weights, at[0].weights, strict=True)]
        of_q = gathered(by_pair, of_left, left.shape[0]), gathered(at[0].weights, of_right, right.shape[0])
        return [of_q[0], *rows.axes(axes[1:4], at[1:])], [of_q[1], *rows.axes(axes[4:], at[1:])]

    return Products(left, right, rows.n, [len(of_left), *rows.entries], claims)


def output_rows(x, of_x, products, passes, exponent, sign, label):
    """z = (p, b, o, y, x): the rows s of x[v_q] times products[q, r, s], for the pairs q of the pass."""
    count, *index = products.shape[:4]

    def claims(axes, at):
        left = [gathered(at[0].weights, of_x, x.shape[0]), at[1], axes[2], *at[2:]]
        return left, [of_pairs(axes, at, passes), axes[1], *axes[3:], *at[1:]]

    n = prod(index) * max(passes.count(p) for p in passes)
    return Products(x, products, n, [count, *index], claims, exponent, sign, label)


def input_rows(a, of_a, products, passes, patches, exponent, sign, label):
    """z = (p, b, c, u, v): the same for the patches s of a[v_q], at the taps by which an output of r sees the input."""
    count, *index = products.shape[:4]

    def claims(axes, at):
        spatial = []
        for k, triples in enumerate(patches.triples):
            tap = contracted(triples, {2: axes[3 + k], 0: at[4 + k]}, 1, patches.taps[k])
            spatial.append(contracted(triples, {0: at[2 + k], 1: tap}, 2, a.shape[3 + k]))
        left = [gathered(at[0].weights, of_a, a.shape[0]), at[1], axes[2], *spatial]
        return left, [of_pairs(axes, at, passes), axes[1], *at[4:], *at[1:4]]

    n = prod(index) * max(passes.count(p) for p in passes) * prod(most(triples, 2) for triples in patches.triples)
    return Products(a, products, n, [count, *index, *index[1:]], claims, exponent, sign, label)


def of_pairs(axes, at, passes):
    return Axis(w * axes[0].weights[p] for w, p in zip(at[0].weights, passes, strict=True))


def gathered(weights, places, length):
    return Axis(total(w for w, place in zip(weights, places, strict=True) if place == i) for i in range(length))
