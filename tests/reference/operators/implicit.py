"""Dense layers whose weight is implicit: docs/specification/certificate.md, section 16.16."""

from collections import namedtuple
from math import prod

from tests.reference.claims_ledger import Axis, total
from tests.reference.components import Linear, Products, RoundedSum
from tests.reference.operators.operator import Built
from tests.reference.shape_plans import committed
from zkds.field import ZERO

# What norms need: the weight's tensors, a and d, ib and db
Layer = namedtuple("Layer", "weight inputs deltas input_bits delta_bits")


class ImplicitWeight:
    """The tensors of a weight. `start`: the virtual one of a private model, else committed here."""

    def __init__(self, s, name, shape, e2, start=None):
        factors = (s.T - 1, s.B, shape[0], 1, 1)
        self.name, self.shape = name, tuple(shape)
        self.start = start or committed(f"{name}: start", 44, shape, signed=True)
        self.update = committed(f"{name}: update factor", 84 - e2, factors, signed=True)
        self.perturbation = committed(f"{name}: perturbation factor", 44, factors, signed=True)


def build(convolution, place, scope, a, parameters):
    """`Built`, the bias's sums being those of the convolution."""
    weight, bias, ib = parameters["weight"], parameters.get("bias"), place.input_bits[0]
    passes, steps = pairs(scope.T)
    second, firsts = [scope.T + t for t in range(scope.T - 1)], list(range(scope.T - 1))
    products = products_of(f"{place.name}: input products", len(passes), scope.B)
    perturbed = products_of(f"{place.name}: perturbed input products", len(firsts), scope.B)
    exponent, output = ib - 28, scope.output(place)
    sums = [
        forwards(weight.start, a),
        rows(weight.update, steps, products, passes, exponent, -1, "updates"),
        rows(weight.perturbation, firsts, perturbed, second, exponent, 1, "perturbation"),
    ]
    components = [
        RoundedSum(products.name, products, 2 * ib - 30, [of_records(a, passes, a, [scope.T + u for u in steps])]),
        RoundedSum(perturbed.name, perturbed, 2 * ib - 30, [of_records(a, second, a, firsts)]),
        RoundedSum(f"{place.name}: forward", output, 8 + ib, sums, convolution.bias_term(bias, ib)),
    ]

    def back(delta):
        scope.implicit.append(Layer(weight, a, delta, ib, place.delta_bits))
        found, made = None, [update_factor(scope, weight, delta, place.delta_bits)]
        if place.wanted[0]:
            found = committed(f"{place.name}: input delta", 46, a.shape, signed=True)
            made += input_gradient(found, a, delta)
        for kind in convolution.kinds(place, scope):
            made += convolution.bias_gradient_sum(bias, kind, delta, place)
        return [found], made

    def input_gradient(found, a, delta):
        db = place.delta_bits
        products = products_of(f"{place.name}: delta products", len(passes), scope.B)
        perturbed = products_of(f"{place.name}: perturbed delta products", len(firsts), scope.B)
        common = max(40, ib + 4)
        exponent = common + db - 4 - ib
        sums = [
            backwards(weight.start, delta, common - 40),
            rows(a, [scope.T + u for u in steps], products, passes, exponent, -1, "updates"),
            rows(a, firsts, perturbed, second, exponent, 1, "perturbation"),
        ]
        return [
            RoundedSum(products.name, products, 34 + db, [of_records(delta, passes, weight.update, steps)]),
            RoundedSum(perturbed.name, perturbed, 34 + db, [of_records(delta, second, weight.perturbation, firsts)]),
            RoundedSum(f"{place.name}: input gradient", found, common + db, sums),
        ]

    return Built(output, components, back)


def pairs(steps):
    """Two lists: the passes, and for each the steps before its own."""
    step_of = [*range(steps), *range(steps - 1)]
    found = [(p, u) for p, step in enumerate(step_of) for u in range(step)]
    return [p for p, _ in found], [u for _, u in found]


def products_of(name, count, batch):
    return committed(name, 50, (count, batch, batch), signed=True)


def update_factor(scope, weight, delta, db):
    def claim(axes):
        return [Axis([ZERO] * scope.T + axes[0].weights), *axes[1:]]

    return RoundedSum(weight.update.name, weight.update, scope.e2 - 38 + db, (), Linear(delta, 0, 1, claim))


# ---- the kinds of sums


def forwards(weight, a):
    """z = (p, b, o, 1, 1): the weight at the start of all passes."""
    record = a.shape[2:]
    return Products(weight, a, prod(record), record, lambda axes, at: ([axes[2], *at], [*axes[:2], *at]))


def backwards(weight, delta, exponent):
    """z = (p, b, i)."""
    outputs = delta.shape[2:]
    return Products(weight, delta, outputs[0], outputs, lambda axes, at: ([at[0], *axes[2:]], [*axes[:2], *at]), exponent)


def of_records(left, of_left, right, of_right):
    """z = (q, r, s): all records r of left[f_q] with all records s of right[g_q]."""
    record = left.shape[2:]

    def claims(axes, at):
        by_pair = [w * v for w, v in zip(axes[0].weights, at[0].weights, strict=True)]
        of_q = gathered(by_pair, of_left, left.shape[0]), gathered(at[0].weights, of_right, right.shape[0])
        return [of_q[0], axes[1], *at[1:]], [of_q[1], axes[2], *at[1:]]

    return Products(left, right, prod(record), [len(of_left), *record], claims)


def rows(x, of_x, products, passes, exponent, sign, label):
    """z = (p, b, ...): the rows s of x[v_q] times products[q, b, s], for the pairs q of the pass."""
    count, batch, _ = products.shape

    def claims(axes, at):
        left = [gathered(at[0].weights, of_x, x.shape[0]), at[1], *axes[2:]]
        by_pair = Axis(w * axes[0].weights[p] for w, p in zip(at[0].weights, passes, strict=True))
        return left, [by_pair, axes[1], at[1]]

    n = batch * max(passes.count(p) for p in passes)
    return Products(x, products, n, [count, batch], claims, exponent, sign, label)


def gathered(weights, places, length):
    return Axis(total(w for w, place in zip(weights, places, strict=True) if place == i) for i in range(length))
