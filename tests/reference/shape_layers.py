"""The tensors of a network's layers: written from docs/protocol.md, section 16, sharing no code with zkds."""

from collections import namedtuple
from itertools import product
from math import prod

from tests.reference.shape_plans import NONE, committed, get, multiply, plan, plus, times, virtual, with_zero
from tests.reference.shape_statement import affine


def meetings(inputs, kernel, stride, padding, outputs):
    """The triples (output, tap, input) that belong together along one axis."""
    triples = product(range(outputs), range(kernel))
    return [(y, d, y * stride + d - padding) for y, d in triples if 0 <= y * stride + d - padding < inputs]


def most(triples, which):
    counts = {}
    for triple in triples:
        counts[triple[which]] = counts.get(triple[which], 0) + 1
    return max(counts.values(), default=0)


Sum = namedtuple("Sum", "name place out shift products linear groups own")  # own: remainder and carries
Place = namedtuple("Place", "layer triples inputs bits z unpooled output average shape pool bit")
Back = namedtuple("Back", "place delta behind input_delta")


def rounded(name, place, out, shift, products=None, linear=None):
    """place: of the layer; products: (left, right, n); linear: (tensor, exponent, n')."""
    left, right, n = products or (NONE, NONE, 0)
    addend, exponent, m = linear or (NONE, 0, 0)
    remainder = committed(f"{name}: remainder", shift, out.shape)
    digits = [
        plus(
            *(times(with_zero(multiply(a, get(right.digits, d - i))), n) for i, a in enumerate(left.digits)),
            times(with_zero(get(addend.digits, d - exponent // 16)), m * 2 ** (exponent % 16)),
            (2 ** ((shift - 1) % 16),) * 2 if d == (shift - 1) // 16 else (0, 0),
            times(get(remainder.digits, d), -1),
            times(get(out.digits, d - shift // 16), -(2 ** (shift % 16))),
        )
        for d in range(16)
    ]
    total = plus(
        times(with_zero(multiply(left.interval, right.interval)), n),
        times(with_zero(addend.interval), m * 2**exponent),
        (2 ** (shift - 1),) * 2,
        times(remainder.interval, -1),
        times(out.interval, -(2**shift)),
    )
    groups, carries = plan(name, digits, total, out.shape)
    return Sum(name, place, out, shift, products, linear, groups, [remainder, *carries])


class Parameter:
    """A parameter's tensors; all that the identities need of `passes` and `first passes` are intervals."""

    def __init__(self, s, name, shape, formats):
        update, perturbation = formats
        self.name, self.shape, self.count = name, tuple(shape), prod(shape)
        self.start = committed(f"{name}: start", 44, shape, signed=True)
        self.gradient = committed(f"{name}: gradient", 48, (s.T, *shape), signed=True)
        self.update = committed(f"{name}: update", update, (s.T - 1, *shape), signed=True)
        self.perturbation = committed(f"{name}: perturbation", perturbation, (s.T - 1, *shape), signed=True)
        self.passes = self.sums("passes", 2 * s.T - 1, s.T, self.perturbation)
        self.first = self.sums("first passes", s.T, s.T, NONE)

    def sums(self, kind, passes, steps, perturbation):
        def of(start, update, e):
            return plus(start, with_zero(times(update, -(steps - 1))), with_zero(e))

        tensors = (self.start, self.update, perturbation)
        digits = [of(*(get(tensor.digits, j) for tensor in tensors)) for j in range(max(len(t.digits) for t in tensors))]
        interval = of(*(tensor.interval for tensor in tensors))
        return virtual(f"{self.name}: {kind}", digits, interval, (passes, *self.shape))


def balanced(number, count):
    """Balanced digits, the top one takes what is left."""
    digits = []
    for _ in range(count - 1):
        digits.append((number + 2**15) % 2**16 - 2**15)
        number = (number - digits[-1]) // 2**16
    return [*digits, number]


def input_tensor(s):
    """The tensor; the balanced digits of m and n, by channel."""
    maps = [affine(s.schema, c) for c in range(s.schema.shape[0])]
    count = 1
    while any(not -(2**15) <= balanced(number, count)[-1] < 2**15 for pair in maps for number in pair):
        count += 1
    stored = (0, 255 if s.schema.element == 0 else 65535)

    def hull(pairs):
        intervals = [plus(times(stored, m), (n, n)) for m, n in pairs]
        return (min(low for low, _ in intervals), max(high for _, high in intervals))

    slopes, constants = ([balanced(number, count) for number in numbers] for numbers in zip(*maps, strict=True))
    by_digit = [[(m[j], n[j]) for m, n in zip(slopes, constants, strict=True)] for j in range(count)]
    tensor = virtual("input", map(hull, by_digit), hull(maps), (2 * s.T - 1, s.B, *s.input))
    return tensor, (slopes, constants)


class Stack:
    """All layers: `parts` are their rounded sums and max pools, `sums` the tensors of these, in order; then come
    `convolutions`, with the bits of ReLU, and `deltas`. `signs` are the lookups of those bits."""

    def __init__(self, s, parameters, logit_delta, second_bits):
        self.s, self.e2, self.parameters = s, second_bits, parameters
        self.parts, self.convolutions, self.signs, self.backs = [], [], [], []
        bits, self.places = 32, []
        inputs, self.input_digits = input_tensor(s)
        for layer in s.layers:
            self.places.append(self.forward(layer, inputs, bits))
            inputs, bits = self.places[-1].output, 32 + self.places[-1].average
        self.logits = self.convolutions[-1]
        self.deltas = [
            committed(f"{place.layer.name}: input delta", 46, place.inputs.shape, signed=True) for place in self.places[1:]
        ]
        for place, behind, own in zip(self.places, [*self.deltas, logit_delta], [None, *self.deltas], strict=True):
            self.backs.append(self.backward(place, behind, own))

    @property
    def sums(self):
        return [tensor for part in self.parts for tensor in (part.own if isinstance(part, Sum) else part)]

    def forward(self, layer, inputs, bits):
        triples, sides = [], []
        for axis in range(2):
            n = (inputs.shape[3 + axis] + 2 * layer.padding[axis] - layer.kernel[axis]) // layer.stride[axis] + 1
            sides.append(n // layer.size * layer.size)
            window = (layer.kernel[axis], layer.stride[axis], layer.padding[axis], sides[-1])
            triples.append(meetings(inputs.shape[3 + axis], *window))
        shape = (*inputs.shape[:2], layer.co, *sides)
        pooled = (*shape[:3], sides[0] // layer.size, sides[1] // layer.size)
        z, unpooled, output, average, pool, bit = self.output(layer, shape, pooled)
        terms = layer.ci * most(triples[0], 0) * most(triples[1], 0)
        weight, bias = self.parameters[f"{layer.name}.weight"], self.parameters.get(f"{layer.name}.bias")
        linear = (bias.passes, bits, 1) if bias else None
        place = Place(layer, triples, inputs, bits, z, unpooled, output, average, shape, pool, bit)
        self.parts.append(rounded(f"{layer.name}: forward", place, z, 8 + bits, (weight.passes, inputs, terms), linear))
        self.parts += [pool] if pool else []
        return place

    def output(self, layer, shape, pooled):
        """z, the output before and behind an average pool, its shift of the binary point, a max pool's tensors, ReLU's bits."""
        name = f"{layer.name}: max pool"
        if layer.pool == "max":
            out = committed(f"{name}: output", 42 if layer.relu else 43, pooled, signed=not layer.relu)
            mask = committed(f"{name}: mask", 1, shape, checked=False)
            gap = committed(f"{name}: difference", 43, shape)
            c = [(-1, 0), (0, 0), (0, 0)]
            digits = [plus(a, times(d, -1), e) for a, d, e in zip(out.digits, gap.digits, c, strict=True)]
            z = virtual(f"{name}: input", digits, plus(out.interval, times(gap.interval, -1), (-1, 0)), shape)
            return z, out, out, 0, [out, mask, gap], None
        bit, z = None, committed(f"{layer.name}: convolution", 43, shape, signed=True)
        output = z
        self.convolutions.append(z)
        if layer.relu:
            bit = committed(f"{layer.name}: relu: bit", 1, shape, checked=False)
            self.convolutions.append(bit)
            self.signs.append((("sign", 43 - 32), z.columns[-1][0], (bit.columns[0][0],)))
            digits = [*map(with_zero, z.digits[:-1]), (0, z.digits[-1][1])]
            output = virtual(f"{layer.name}: relu: output", digits, (0, 2**42 - 1), shape)
        if layer.pool != "average":
            return z, output, output, 0, [], bit
        area = layer.size**2
        digits = [times(digit, area) for digit in output.digits]
        pool = virtual(f"{layer.name}: average pool", digits, times(output.interval, area), pooled)
        return z, output, pool, area.bit_length() - 1, [], bit

    def backward(self, place, behind, input_delta):
        s, layer, delta = self.s, place.layer, behind
        name = f"{layer.name}: delta"
        if layer.relu or layer.pool == "max":
            delta = virtual(name, map(with_zero, behind.digits), with_zero(behind.interval), place.shape)
        elif layer.pool == "average":
            delta = virtual(name, behind.digits, behind.interval, place.shape)
        names = [f"{layer.name}.{kind}" for kind in ("weight", "bias")]
        weight, *bias = (self.parameters[name] for name in names if name in self.parameters)
        rows, columns = place.triples
        if input_delta:
            products = (weight.passes, delta, layer.co * most(rows, 2) * most(columns, 2))
            self.parts.append(rounded(f"{layer.name}: input gradient", place, input_delta, 40 + place.average, products))
        products = (delta, place.inputs, s.B * most(rows, 1) * most(columns, 1))
        linear = (delta, place.bits, s.B * place.shape[3] * place.shape[4])
        shifts = {"gradient": place.bits + place.average, "update": place.bits + self.e2 + place.average - 40}
        for kind, shift in shifts.items():
            self.parts.append(rounded(f"{weight.name}: {kind}", place, getattr(weight, kind), shift, products))
            self.parts += [rounded(f"{b.name}: {kind}", place, getattr(b, kind), shift, None, linear) for b in bias]
        return Back(place, delta, behind, input_delta)
