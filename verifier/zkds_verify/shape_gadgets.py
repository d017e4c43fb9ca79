"""Softmax, norms and results as tensors and identities: written from docs/specification, sections 17 and 18.

An expression is a list of terms (coefficient, operands, lengths of the inner axes). An operand is a tensor and the use of each
of its axes: an int is the axis that it runs along, ("from", axis, start) the same from an index on, ("up to", axis), and a list
holds the weights of a sum over it.
"""

from collections import namedtuple
from decimal import Decimal, localcontext
from math import prod

from zkds_verify.integers import nearest
from zkds_verify.shape_plans import committed, multiply, plan, plus, times

LARGE = 2**18  # entries of a parameter

with localcontext(prec=60):
    LN2 = int((Decimal(2).ln() * 2**48).to_integral_value())


# ---- section 17: expressions -------------------------------------------------------------------------------------------


Operand = namedtuple("Operand", "tensor uses")
Identity = namedtuple("Identity", "name shape terms groups carries")
# Of an implicit weight: d, E^, the shift of its rounding; Q and V by whether ASAM asks for them, as expressions
Implicit = namedtuple("Implicit", "name deltas factor shift squares")


def number(c):
    return [(c, (), ())] if c else []


def entry(tensor, *uses):
    """An operand as an expression; by default axis by axis."""
    return [(1, (Operand(tensor, uses or tuple(range(len(tensor.shape)))),), ())]


def at(a, length=8):
    """Entry a of an axis; of the eight of q or W."""
    return [int(i == a) for i in range(length)]


def along(wide, *uses):
    """A wide integer, whose terms have one operand each, with the uses of its axes."""
    return [(c, (operand._replace(uses=uses),), inner) for c, (operand,), inner in wide]


def operand_interval(operand, interval):
    for use, n in zip(operand.uses, operand.tensor.shape, strict=True):
        if isinstance(use, list):
            interval = plus(*(times(interval, weight) for weight in use))
        elif isinstance(use, tuple) and use[0] == "up to":
            interval = (min(interval[0], n * interval[0]), max(interval[1], n * interval[1]))
    return interval


def scaled(terms, c):
    return [(c * coefficient, factors, inner) for coefficient, factors, inner in terms]


def added(expressions):
    return [term for expression in expressions for term in expression]


def minus(left, *others):
    return left + [term for other in others for term in scaled(other, -1)]


def mul(left, right, inner=()):
    return [(a * b, f + g, inner if f and g else ()) for a, f, _ in left for b, g, _ in right]


def base_digits(c):
    sign, c = (-1 if c < 0 else 1), abs(c)
    return [sign * (c >> 16 * s & 0xFFFF) for s in range((c.bit_length() + 15) // 16)]


def intervals(terms):
    digits, total = [(0, 0)] * 40, (0, 0)
    for c, factors, inner in terms:
        parts, value = {0: (1, 1)}, (1, 1)
        for operand in factors:
            parts = convolve(parts, [operand_interval(operand, digit) for digit in operand.tensor.digits])
            value = multiply(value, operand_interval(operand, operand.tensor.interval))
        for s, part in enumerate(base_digits(c)):
            for d, interval in parts.items():
                digits[s + d] = plus(digits[s + d], times(interval, prod(inner) * part))
        total = plus(total, times(value, prod(inner) * c))
    return digits, total


def convolve(parts, factor):
    result = {}
    for i, a in parts.items():
        for j, b in enumerate(factor):
            result[i + j] = plus(result.get(i + j, (0, 0)), multiply(a, b))
    return result


def unit(t, length):
    """The use of an axis of which entry t is taken."""
    return [int(i == t) for i in range(length)]


def step_of(tensor, t, axes):
    """Entry t of a tensor along its first axis."""
    return entry(tensor, unit(t, tensor.shape[0]), *axes)


def is_large(parameter):
    return prod(parameter.shape) >= LARGE


# ---- section 18: gadgets -----------------------------------------------------------------------------------------------


class Scalars:
    """`tensors` and `lookups` of the gadgets, `identities` by block: S, Q, P, those of large parameters, F.

    Of a probe, all behind its prefix; `before` are those of the probes before.
    """

    def __init__(
        self, s, limb, logits, labels, delta, parameters, implicit, rho_int, normalised, second_scale, prefix="", before=()
    ):
        self.s, self.limb, self.K, self.prefix, self.before = s, limb, s.network.classes, prefix, before
        self.tensors, self.lookups, self.identities = [], [], {"S": [], "Q": [], "P": []}
        self.gadget = ""
        scale = committed(f"{prefix}loss scale", 41, (s.T,))
        self.softmax(logits, labels, delta, scale, second_scale)
        self.gadget = "loss scale"
        self.loss_scale(scale, nearest(s.eps * 2**56 / (s.B * s.rho**2)))
        self.gadget = "norms"
        self.statistic(self.norms(parameters, implicit, rho_int, normalised))
        last = len(before) == s.R - 1
        if last:
            self.distinct_labels([*before, self])
        self.largest_margin()
        if last:
            self.widest_record([*before, self])
        self.identities = {block: found for block, found in self.identities.items() if found}

    def tensor(self, name, width, shape, *, signed=False, whole=False, in_table=False, limb=16):
        name = self.prefix + (name if whole else f"{self.gadget}: {name}")
        self.own(committed(name, width, shape, signed=signed, checked=not in_table, limb=limb))
        return self.tensors[-1]

    def own(self, tensor):
        self.tensors.append(tensor)
        self.lookups += [(("range", w), name, ()) for name, w in tensor.columns if w is not None]

    def wide(self, name, width, shape):
        """The value as an expression."""
        parts = [min(48, width - low) for low in range(0, width, 48)]
        tensors = [self.tensor(f"{name} {i}", bits, shape) for i, bits in enumerate(parts)]
        return [term for i, tensor in enumerate(tensors) for term in scaled(entry(tensor), 2 ** (48 * i))]

    def identity(self, block, name, shape, terms, total=None):
        digits, found = intervals(terms)
        name = f"{self.prefix}{self.gadget}: {name}"
        self.identities.setdefault(block, []).append(
            Identity(name, shape, terms, *plan(name, digits, total or found, shape, self.limb))
        )

    def rounding(self, block, name, x, shift, out, remainder, total=None):
        terms = minus(x + number(2 ** (shift - 1)), entry(remainder), scaled(entry(out), 2**shift))
        self.identity(block, name, out.shape, terms, total)

    def square_root(self, block, name, width, shape, x):
        y, rest, gap = self.wide(name, width, shape), *(self.wide(f"{name}, {k}", width + 1, shape) for k in ("rest", "gap"))
        self.identity(block, f"{name}: square", shape, minus(x, mul(y, y), rest))
        self.identity(block, f"{name}: rest", shape, minus(scaled(y, 2), rest, gap))
        return y

    def softmax(self, logits, record_labels, delta, scale, second_scale):
        T, B, K = self.s.T, self.s.B, self.K
        self.gadget = "softmax"
        self.own(delta)
        labels = self.tensor("labels", 1, (K, T, B))
        losses = self.wide("losses", 70, (B, T))
        self.label(labels, record_labels)
        distance, selectors, sums = self.scores("first passes", (0, T), 2**44, logits, labels, delta, scale)
        self.scores("second passes", (T, T - 1), second_scale, logits, labels, delta)
        log = self.logarithm("log of sums", (B, T), along(sums, 1, 0), 58, 64)
        self.gadget = "softmax"
        self.loss(log, distance, labels, losses)
        self.losses, self.correct = losses, mul(entry(labels, 1, 2, 3), entry(selectors, 1, 2, 3), (K, T, B))
        self.labels, self.distance, self.selectors = labels, distance, selectors

    def label(self, labels, record_labels):
        K, *shape = labels.shape
        record = entry(record_labels) if len(record_labels.shape) == 2 else entry(record_labels, 0, 1, [1, 256])
        self.identity("S", "one label", tuple(shape), minus(entry(labels, [1] * K, 0, 1), number(1)))
        self.identity("S", "label", tuple(shape), minus(entry(labels, list(range(K)), 0, 1), record))

    def loss(self, log, distance, labels, losses):
        K, T, B = labels.shape
        shifted = scaled(mul(entry(distance, 2, 1, 0), entry(labels, 2, 1, 0), (K,)), 2**26)
        self.identity("Q", "losses", (B, T), minus(minus(log, number(58 * 2**10 * LN2)) + shifted, losses))

    def scores(self, gadget, passes, scale, logits, labels, delta, loss_scale=None):
        """Without deltas if `delta` is None."""
        self.gadget, B, K = gadget, self.s.B, self.K
        start, n = passes
        shape, few, uses = (K, n, B), (n, B), (("from", 1, start), 2, 0, [1], [1])
        selectors = self.tensor("selectors", 1, shape)
        maximum = self.tensor("maximum", 43, few, signed=True)
        distance = self.tensor("distance", 44, shape, in_table=True)
        before = self.tensor("before", 44, shape)
        values = [self.looked_up(name, distance, limb) for limb, name in enumerate(("EXP_LO", "EXP_HI", "EXP_INT"))]
        product, product_rest = self.tensor("product", 59, shape), self.tensor("product, remainder", 48, shape)
        e, e_rest = self.tensor("exponential", 59, shape), self.tensor("exponential, remainder", 48, shape)
        total = self.wide("sum", (2**58 * K).bit_length(), few)
        if delta:
            rest, gap = (self.wide(f"delta, {k}", (2**59 * B * K).bit_length(), shape) for k in ("remainder", "gap"))
        scaled_total = self.wide("scaled sum", (2**98 * K).bit_length(), few) if loss_scale else total
        u, sums = entry(distance), along(total, 1, 2)
        self.identity("S", "one maximum", few, minus(entry(selectors, [1] * K, 0, 1), number(1)))
        self.identity("S", "distance", shape, minus(entry(maximum, 1, 2), entry(logits, *uses), u))
        self.identity("S", "maximum", shape, mul(entry(selectors), u))
        earlier = entry(selectors, ("up to", 0), 1, 2)
        self.identity("S", "first maximum", shape, minus(minus(u, number(1)) + earlier, entry(before)))
        low, high, whole = map(entry, values)
        self.rounding("S", "product", mul(whole, high), 48, product, product_rest)
        self.rounding("S", "exponential", mul(entry(product), low), 48, e, e_rest)
        self.identity("S", "sum", few, minus(entry(e, [1] * K, 0, 1), total))
        if not delta:
            return distance, selectors, total
        if loss_scale:
            self.identity("S", "scaled sum", few, minus(mul(total, entry(loss_scale, 0)), scaled_total))
        scaled_e = mul(entry(e), entry(loss_scale, 1)) if loss_scale else entry(e)
        error = minus(scaled_e, mul(along(scaled_total, 1, 2), entry(labels)))
        exact = scaled(error, 2 * scale) + scaled(sums, B)
        divisor = scaled(sums, 2 * B)
        self.identity("S", "delta", shape, minus(exact, mul(divisor, entry(delta, *uses)), rest))
        self.identity("S", "delta, least", shape, minus(divisor, number(1), rest, gap))
        return distance, selectors, total

    def looked_up(self, name, distance, limb):
        width = 59 if name == "EXP_INT" else 49
        low = self.tensor(f"{name} low", 32, distance.shape, in_table=True, limb=32)
        high = self.tensor(f"{name} high", width - 32, distance.shape, in_table=True, limb=32)
        value = self.tensor(name, width, distance.shape)
        self.lookups.append((name, distance.columns[limb][0], (low.columns[0][0], high.columns[0][0])))
        terms = minus(entry(low) + scaled(entry(high), 2**32), entry(value))
        self.identity("S", f"{name} in limbs", distance.shape, terms)
        return value

    def logarithm(self, gadget, shape, argument, f=48, mu=48):
        """LOG of the argument, an expression, with f fractional bits and a mantissa of mu bits."""
        self.gadget = gadget
        b = self.tensor("b", 4, shape, in_table=True)
        power = self.tensor("2^b", 16, shape, in_table=True)
        q, w = self.tensor("q", 1, (8, *shape)), self.tensor("W", 16, (8, *shape))
        c = self.tensor("c", 16, shape, in_table=True)
        low = self.tensor("LOGT low", 32, shape, in_table=True, limb=32)
        high = self.tensor("LOGT high", 16, shape, in_table=True, limb=32)
        m, inv = self.tensor("m", mu - 17, shape), self.tensor("INV", 33, shape)
        d, gap = self.tensor("d", 17, shape), self.tensor("d, gap", 17, shape)
        y, y_rest = self.tensor("Y", f - 15, shape), self.tensor("Y, remainder", mu + 31 - f, shape)
        y2, y2_rest = self.tensor("Y2", f - 31, shape), self.tensor("Y2, remainder", f + 1, shape)
        self.lookups.append(("2^b", b.columns[0][0], (power.columns[0][0],)))
        self.lookups.append(("LOGT", c.columns[0][0], (low.columns[0][0], high.columns[0][0])))
        axes = tuple(range(len(shape)))
        products = {(a, e): mul(entry(q, at(a), *axes), entry(w, at(e), *axes)) for a in range(8) for e in range(8)}
        back = [term for (a, e), product in products.items() if e >= a for term in scaled(product, 2 ** (16 * (e - a)))]
        below = [term for (a, e), product in products.items() if e < a for term in product]
        n = mu // 16
        top = [term for j in range(n) for term in scaled(entry(w, at(8 - n + j), *axes), 2 ** (16 * j))]
        mantissa = number(2 ** (mu - 1)) + scaled(entry(c), 2 ** (mu - 17)) + entry(m)
        self.identity("S", "one a", shape, minus(entry(q, [1] * 8, *axes), number(1)))
        self.identity("S", "W", shape, minus(mul(argument, entry(power)), back))
        self.identity("S", "W, low digits", shape, below)
        self.identity("S", "M", shape, minus(top, mantissa))
        divisor = entry(c) + number(2**16)
        self.identity("S", "INV", shape, minus(mul(entry(inv), divisor), number(2**48), entry(d)))
        self.identity("S", "INV, least", shape, minus(divisor, number(1), entry(d), entry(gap)))
        self.rounding("S", "Y", minus(mul(entry(inv), mantissa), number(2 ** (mu + 31))), mu + 31 - f, y, y_rest)
        self.rounding("S", "Y2", mul(entry(y), entry(y)), f + 1, y2, y2_rest)
        whole = minus(number(127), entry(q, [16 * a for a in range(8)], *axes), entry(b))
        table = scaled(whole, LN2) + entry(low) + scaled(entry(high), 2**32)
        return scaled(table, 2 ** (f - 48)) + minus(entry(y), entry(y2))

    def norms(self, parameters, implicit, rho_int, normalised):
        s, T = self.s, self.s.T
        scales = s.adaptive or s.perturbs_adaptively
        v = {}
        for p in parameters if scales else []:
            v[p.short] = self.tensor(f"{p.short}: scaled", 48, (T, *p.shape), signed=True, whole=True)
            rest = self.tensor(f"{p.short}: scaled remainder", 40, (T, *p.shape), whole=True, limb=self.limb)
            self.elementwise("scaled", p, (p.first, p.gradient), 40, v[p.short], rest)

        def sum_of_squares(name, adaptive, steps):
            squares = self.wide(name, 112, (steps,))
            sums = []
            for p in parameters:
                t = v[p.short] if adaptive else p.gradient
                sums += self.large_squares(name, p, t, steps) if is_large(p) else mul(entry(t), entry(t), p.shape)
            sums += [term for weight in implicit for term in weight.squares[adaptive]]
            self.identity("Q", name, (steps,), minus(sums, squares))
            return squares

        squares = sum_of_squares("V", s.adaptive, T)
        x = squares if s.adaptive == s.perturbs_adaptively else sum_of_squares("x", s.perturbs_adaptively, T - 1)
        kappa = self.kappa(x, rho_int)
        for p in parameters:
            self.perturb(p, v.get(p.short), kappa, rho_int, normalised)
        for weight in implicit:
            self.perturb_factor(weight, kappa)
        return squares

    def large_squares(self, name, p, source, steps):
        part = self.wide(f"{name} of {p.short}", 112, (steps,))
        for t in range(steps):
            one = step_of(source, t, range(1, len(source.shape)))
            terms = minus(mul(one, one, p.shape), along(part, unit(t, steps)))
            self.identity(f"{p.short}: squares at step {t}", f"{name} of {p.short} at step {t}", (1,), terms)
        return part

    def elementwise(self, kind, p, factors, shift, out, remainder, total=None):
        """round(left right, shift) = out: in all steps, or for a large parameter step by step."""
        if not is_large(p):
            self.rounding("P", f"{kind} of {p.short}", mul(*map(entry, factors)), shift, out, remainder, total)
            return
        for t in range(out.shape[0]):
            left, right, y, rest = (step_of(tensor, t, range(len(tensor.shape) - 1)) for tensor in (*factors, out, remainder))
            terms = minus(mul(left, right) + number(2 ** (shift - 1)), rest, scaled(y, 2**shift))
            self.identity(f"{p.short}: step {t}", f"{kind} of {p.short} at step {t}", p.shape, terms, total)

    def kappa(self, x, rho_int):
        shape = (self.s.T - 1,)
        y = self.square_root("S", "norm", 56, shape, x)
        kappa = self.tensor("kappa", 60, shape, whole=True)
        zero = entry(self.tensor("norm is zero", 1, shape))
        least, rest, gap = (self.wide(name, 56, shape) for name in ("divisor - 1", "kappa, remainder", "kappa, gap"))
        self.identity("S", "zero", shape, mul(zero, y))
        self.identity("S", "divisor", shape, minus(y + zero, number(1), least))
        dividend = scaled(minus(number(1), zero), rho_int * 2**40)
        self.identity("S", "kappa", shape, minus(mul(entry(kappa), y + zero) + rest, dividend))
        self.identity("S", "kappa, least", shape, minus(least, rest, gap))
        return kappa

    def perturb_factor(self, weight, kappa):
        out = weight.factor
        self.own(out)
        rest = self.tensor(f"{weight.name}: perturbation factor: remainder", weight.shift, out.shape, whole=True)
        product = mul(entry(weight.deltas), entry(kappa, 0))
        self.rounding("F", f"perturbation factor of {weight.name}", product, weight.shift, out, rest)

    def perturb(self, p, v, kappa, rho_int, normalised):
        b = rho_int * 2**40

        def stated(out):
            return plus((-b, b), (2**31, 2**31), (-(2**32) + 1, 0), times(out.interval, -(2**32)))

        shape = p.perturbation.shape
        if not self.s.perturbs_adaptively:
            self.own(p.perturbation)
            rest = self.tensor(f"{p.short}: perturbation remainder", 32, shape, whole=True, limb=self.limb)
            self.elementwise("perturbation", p, (p.gradient, kappa), 32, p.perturbation, rest, stated(p.perturbation))
            return
        n = self.tensor(f"{p.short}: normalised", normalised, shape, signed=True, whole=True)
        self.own(p.perturbation)
        rests = [
            self.tensor(f"{p.short}: {k} remainder", w, shape, whole=True, limb=self.limb)
            for k, w in (("normalised", 32), ("perturbation", 40))
        ]
        self.elementwise("normalised", p, (v, kappa), 32, n, rests[0], stated(n))
        self.elementwise("perturbation", p, (p.first, n), 40, p.perturbation, rests[1])

    def loss_scale(self, scale, eps_int):
        s, T, c = self.s, (self.s.T,), 48 + self.s.B.bit_length()
        empty, least = self.tensor("loss is zero", 1, T), self.wide("loss - 1", 70, T)
        h = self.tensor("selectors", 1, (41, *T))
        self.own(scale)
        p = self.wide("scaled loss", max(70, c), T)
        above, below = self.wide("above, gap", c, T), self.wide("below, gap", max(70, c) + 1, T)
        eps, rest = self.wide("scaled eps", 128, T), entry(self.tensor("scaled eps, remainder", 10, T))
        every = [1] * s.T
        self.big_l, self.k, self.eps = least + number(1), entry(h, list(range(41)), 0), eps
        self.total = minus(along(least, every) + number(s.T), entry(empty, every))
        self.identity("S", "loss", T, minus(along(self.losses, [1] * s.B, 0) + entry(empty), number(1), least))
        self.identity("S", "loss is zero", T, mul(entry(empty), least))
        self.identity("S", "one scale", T, minus(entry(h, [1] * 41, 0), number(1)))
        self.identity("S", "scale", T, minus(entry(h, [2**j for j in range(41)], 0), entry(scale)))
        self.identity("S", "scaled loss", T, minus(mul(self.big_l, entry(scale)), p))
        first, last = (minus(number(1), entry(h, at(j, 41), 0)) for j in (0, 40))
        self.identity("S", "not above", T, minus(mul(first, minus(number(2**c - 1), p)), above))
        self.identity("S", "not below", T, minus(mul(last, minus(scaled(p, 2), number(2**c))), below))
        exact = scaled(mul(p, entry(scale)), eps_int)
        self.identity("S", "scaled eps", T, minus(exact + number(2**9), rest, scaled(eps, 2**10)))

    def statistic(self, squares):
        s, T = self.s, self.s.T
        self.gadget = "statistic"
        ratios = self.tensor("log ratios", 56, (T,), signed=True)
        saturated, saturated_gap = self.tensor("saturated", 1, (T,)), self.wide("saturated, gap", 70, (T,))
        below, below_gap = self.tensor("below eps", 1, (T,)), self.wide("below eps, gap", 128, (T,))
        rest, gap = (self.tensor(f"value, {k}", max(1, (T - 1).bit_length()), (1,)) for k in ("remainder", "gap"))
        width = (2**55 * T).bit_length()
        square = mul(entry(ratios, 1), entry(ratios, 1), (T,))
        double = mul(entry(ratios, 1), entry(ratios, 2), (T, T))
        squares = scaled(squares, 2**16)
        compared = [
            ("saturated", saturated, minus(number(s.B * 2**14), self.big_l), saturated_gap),
            ("below eps", below, minus(self.eps, squares), below_gap),
        ]
        self.degenerate = saturated, below
        for name, bit, difference, gap_of in compared:
            sign = minus(scaled(entry(bit), 2), number(1))
            self.identity("S", name, (T,), minus(mul(sign, difference), entry(bit), gap_of))
        place = len(self.identities["S"])
        y = self.square_root("Q", "deviation", width, (1,), minus(scaled(square, T), double))
        self.shown = entry(self.tensor("value", 56, (1,))) if s.threshold else number(s.shown[len(self.before)])
        self.identity("S", "value", (1,), minus(y, entry(rest), scaled(self.shown, T)))
        self.identity("S", "value, least", (1,), minus(number(T - 1), entry(rest), entry(gap)))
        if len(self.before) == s.R - 1:
            self.results([*self.before, self])
        first = self.logarithm("log of squares", (T,), squares + self.eps)
        second = self.logarithm("log of losses", (T,), self.big_l)
        self.gadget = "statistic"
        self.identity("S", "log ratios", (T,), minus(first, second, scaled(self.k, 2 * LN2), entry(ratios)))
        self.identities["S"].insert(place, self.identities["S"].pop())

    def results(self, probes):
        """Of all probes, stated in the last one."""
        s, every = self.s, [1] * self.s.T
        total_rest = entry(self.tensor("total loss, remainder", 10, (1,)))
        losses = added([probe.total for probe in probes])
        self.identity("S", "total loss", (1,), minus(losses + number(2**9), total_rest, number(2**10 * s.loss)))
        for i, (name, count) in enumerate((("saturated", s.saturated), ("below eps", s.below_eps))):
            bits = added([entry(probe.degenerate[i], every) for probe in probes])
            self.identity("S", f"{name}, count", (1,), minus(bits, number(count)))
        if s.threshold:
            margin = self.wide("margin", 60 + (s.R - 1).bit_length(), (1,))
            values = added([probe.shown for probe in probes])
            self.identity("S", "threshold", (1,), minus(number(s.R * s.shown[0]), values, margin))
        self.identity("Q", "correct", (1,), minus(added([probe.correct for probe in probes]), number(s.correct)))

    def distinct_labels(self, probes):
        T, B, K = self.s.T, self.s.B, self.K
        self.gadget = "distinct labels"
        present = self.tensor("present", 1, (K,))
        others = entry(self.tensor("others", max(1, (self.s.R * T * B - 1).bit_length()), (K,)))
        counted = added([entry(probe.labels, 0, [1] * T, [1] * B) for probe in probes])
        self.identity("S", "label", (K,), minus(counted, entry(present), others))
        self.identity("S", "no label", (K,), minus(others, mul(entry(present), others)))
        self.identity("S", "count", (1,), minus(entry(present, [1] * K), number(self.s.distinct)))

    def largest_margin(self):
        T, B, K = self.s.T, self.s.B, self.K
        self.gadget = "largest margin"
        r, slack = self.tensor("runner-up", 1, (K, T, B)), entry(self.tensor("slack", 44, (T, B)))
        self.widest = self.tensor("widest", 1, (T, B))
        self.identity("S", "one runner-up", (T, B), minus(entry(r, [1] * K, 0, 1), number(1)))
        self.identity("Q", "another class", (1,), mul(entry(r, 1, 2, 3), entry(self.selectors, 1, 2, 3), (K, T, B)))
        distance = mul(entry(r, 2, 0, 1), entry(self.distance, 2, 0, 1), (K,))
        self.identity("Q", "margin", (T, B), minus(number(2**32 * self.s.margin), distance, slack))

    def widest_record(self, probes):
        T, B, K = self.s.T, self.s.B, self.K
        excess = entry(self.tensor("excess", 44, (K,)))
        least = 2**32 * (self.s.margin - 1) + 1
        bits = added([entry(probe.widest, [1] * T, [1] * B) for probe in probes])
        self.identity("S", "one widest", (1,), minus(bits, number(1)))
        distances, selected = (
            added([mul(entry(probe.widest, 1, 2), entry(getattr(probe, each)), (T, B)) for probe in probes])
            for each in ("distance", "selectors")
        )
        self.identity("Q", "widest", (K,), minus(distances + scaled(selected, least), number(least), excess))


class EvaluatedScalars(Scalars):
    """Those of an evaluation (section 23)."""

    def __init__(self, s, limb, logits, record_labels, prefix, evaluation):
        self.s, self.limb, self.K, self.prefix = s, limb, s.network.classes, prefix
        self.tensors, self.lookups, self.identities = [], [], {"S": [], "Q": []}
        n, K = s.B, self.K
        self.gadget = "softmax"
        labels = self.tensor("labels", 1, (K, 1, n))
        losses = self.wide("losses", 70, (n, 1))
        remainder = self.tensor("total loss, remainder", 10, (1,))
        self.label(labels, record_labels)
        distance, selectors, sums = self.scores("scores", (0, 1), None, logits, labels, None)
        log = self.logarithm("log of sums", (n, 1), along(sums, 1, 0), 58, 64)
        self.gadget = "softmax"
        self.loss(log, distance, labels, losses)
        total = minus(along(losses, [1] * n, 0) + number(2**9), entry(remainder), number(2**10 * evaluation.loss))
        self.identity("Q", "total loss", (1,), total)
        correct = mul(entry(labels, 1, 2, 3), entry(selectors, 1, 2, 3), (K, 1, n))
        self.identity("Q", "correct", (1,), minus(correct, number(evaluation.correct)))
