"""Max pools over any windows: docs/specification/certificate.md, section 16.3."""

from zkds_verify.claims_ledger import Axis, bits, eqs, product_of_totals, split, total, windows
from zkds_verify.claims_tensors import linear, masked, pooled, repeated
from zkds_verify.components import Component, equal, value_weights
from zkds_verify.field import ONE, ZERO, P
from zkds_verify.operators.max_windows import adaptive_windows, sliding_windows
from zkds_verify.operators.operator import Built, Operator
from zkds_verify.rejection import sound
from zkds_verify.shape_plans import columnwise, committed, hull, magnitude, plus, times


class WindowMaximum(Operator):
    """`self.along(lengths)`: for both axes, for every window, the entry that each of its taps meets, or None."""

    def output(self, inputs):
        channels, *lengths = inputs[0]
        return channels, *map(len, self.along(lengths))

    def build(self, place, scope, inputs, parameters):
        rows, columns = self.along(place.inputs[0][1:])
        padded = any(entry is None for axis in (rows, columns) for window in axis for entry in window)
        entries = unfolded(f"{place.name}: entries", inputs[0], rows, columns, -(2 ** (width(place) - 1)) - 1, padded)
        built = self.on_entries(place, entries.shape, scope.shape(place.output), padded)
        return built._replace(components=[equal(f"{place.name}: unfolding", built.supplied, entries), *built.components])

    def represent(self, place, scope, inputs):
        if not self.tiles(place.inputs[0][1:]):
            return None
        return self.on_entries(place, scope.shape(place.inputs[0]), scope.shape(place.output), False)

    def tiles(self, lengths):
        flat = [[entry for window in axis for entry in window] for axis in self.along(lengths)]
        return flat == [list(range(length)) for length in lengths]

    def on_entries(self, place, shape, small, padded):
        """The max pool whose windows lie side by side in entries of this shape."""
        name, lengths = place.name, place.inputs[0][1:]
        window = (shape[3] // small[3], shape[4] // small[4])
        out = committed(f"{name}: output", width(place) - self.relu, small, signed=not self.relu)
        sound(window[0] * window[1] * magnitude(out.interval) < P, name)
        mask = committed(f"{name}: mask", 1, shape, checked=False)
        difference = committed(f"{name}: difference", width(place) + padded, shape)
        parts = [out.digits, [times(digit, -1) for digit in difference.digits], [(-1, 0)]]
        interval = plus(out.interval, times(difference.interval, -1), (-1, 0))
        sources = [out, mask, difference]
        values = linear(f"{name}: input", shape, columnwise(plus, parts), interval, sources, input_terms(*sources, window))

        def back(delta):
            if not place.wanted[0]:
                return [None], []
            if self.tiles(lengths):
                return [masked(f"{name}: delta", mask, delta, window)], []
            behind = masked(f"{name}: delta, unfolded", mask, delta, window)
            return [folded(f"{name}: delta", behind, *self.along(lengths), lengths)], []

        component = Component(sources, lambda ledger: self.verify(ledger, name, window, *sources))
        return Built(out, [component], back, values)

    def verify(self, ledger, name, window, out, mask, difference):
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
        if self.relu:
            r, e = ledger.sumcheck(f"{name}: windows", bits(out.shape), 2, ZERO, flat_windows)
            s, a = ledger.hidden(f"{name}: windows: values", 2)
            ledger.equation(f"{name}: windows", e - s * s + s - beta * s * a + beta * a)
            axes = eqs(out.shape, split(out.shape, r))
        ledger.claim(mask, repeated(axes, window), [ONE], s)
        if self.relu:
            ledger.claim(out, axes, value_weights(out), a)


class MaxPool(WindowMaximum):
    def __init__(self, *numbers):
        *self.numbers, self.ceil_mode, self.relu = numbers

    def along(self, lengths):
        sizes = (self.numbers[axis::2] for axis in range(2))
        return [sliding_windows(length, *of_axis, self.ceil_mode) for length, of_axis in zip(lengths, sizes, strict=True)]


class AdaptiveMaxPool(WindowMaximum):
    def __init__(self, rows, columns, relu):
        self.outputs, self.relu = (rows, columns), relu

    def along(self, lengths):
        found = []
        for axis in map(adaptive_windows, lengths, self.outputs):
            most = max(map(len, axis))
            found.append([window + [None] * (most - len(window)) for window in axis])
        return found


def width(place):
    return 43 + place.output_bits - 32


def input_terms(out, mask, difference, window):
    """z = a + c - 1 - d"""

    def terms(claim):
        *lead, y, x = claim.axes
        lowest = claim.mu[0]
        sums, from_x = windows(x, window[1])
        _, from_y = windows(y, window[0])
        after_y = Axis(whole - w for whole, w in zip(from_y, y.weights, strict=True))
        all_x = Axis(w for w in sums for _ in range(window[1]))
        found = [
            (out, pooled(claim.axes, window), claim.mu[: len(out.digits)]),
            (mask, [*lead, after_y, all_x], [lowest]),
            (mask, [*lead, y, Axis(from_x)], [lowest]),
            (difference, claim.axes, [-mu for mu in claim.mu[: len(difference.digits)]]),
        ]
        return found, -lowest * product_of_totals(claim.axes)

    return terms


def unfolded(name, values, rows, columns, padding, padded):
    count = len(values.digits)
    constant = [padding // 2 ** (16 * j) % 2**16 for j in range(count - 1)] + [padding // 2 ** (16 * (count - 1))]
    digits, interval = values.digits, values.interval
    if padded:
        digits = [hull(digit, (c, c)) for digit, c in zip(digits, constant, strict=True)]
        interval = hull(interval, (padding, padding))
    shape = (*values.shape[:3], *(len(axis) * len(axis[0]) for axis in (rows, columns)))

    def terms(claim):
        *lead, y, x = claim.axes
        own = [*lead, met(y, rows, values.shape[3]), met(x, columns, values.shape[4])]
        rest = product_of_totals(claim.axes) - product_of_totals(own)
        return [(values, own, claim.mu)], rest * total(mu * c for mu, c in zip(claim.mu, constant, strict=True))

    return linear(name, shape, digits, interval, [values], terms)


def met(axis, taps, length):
    """The weights of entries, from those of the taps that meet them."""
    found = [ZERO] * length
    for weight, entry in zip(axis.weights, [entry for window in taps for entry in window], strict=True):
        if entry is not None:
            found[entry] = found[entry] + weight
    return Axis(found)


def folded(name, entries, rows, columns, lengths):
    counts = []
    for axis, length in zip((rows, columns), lengths, strict=True):
        uses = [sum(entry == k for window in axis for entry in window) for k in range(length)]
        counts.append((min(uses), max(uses)))
    least, most = (counts[0][end] * counts[1][end] for end in range(2))

    def of(interval):
        return hull(times(interval, least), times(interval, most))

    def terms(claim):
        *lead, y, x = claim.axes
        own = [
            Axis(ZERO if entry is None else axis.weights[entry] for window in taps for entry in window)
            for axis, taps in ((y, rows), (x, columns))
        ]
        return [(entries, [*lead, *own], claim.mu)], ZERO

    return linear(name, (*entries.shape[:3], *lengths), map(of, entries.digits), of(entries.interval), [entries], terms)
