"""The tensors of a network's layers: written from docs/protocol.md, section 16, sharing no code with zkds."""

from itertools import product
from math import prod

from tests.reference.shape_plans import committed, get, multiply, plan, plus, times, virtual, with_zero
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


def rounded(name, out, shift, products=None, linear=None):
    """Remainder and carries; products: (left, right, n); linear: (tensor, exponent, n')."""
    left, right, n = products or (virtual([], (0, 0)), virtual([], (0, 0)), 0)
    addend, exponent, m = linear or (virtual([], (0, 0)), 0, 0)
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
    return [remainder, *plan(name, digits, total, out.shape)]


class Parameter:
    """A parameter's tensors; all that the identities need of `passes` and `first passes` are intervals."""

    def __init__(self, s, name, shape, formats):
        update, perturbation = formats
        self.name, self.shape, self.count = name, tuple(shape), prod(shape)
        self.start = committed(f"{name}: start", 44, shape, signed=True)
        self.gradient = committed(f"{name}: gradient", 48, (s.T, *shape), signed=True)
        self.update = committed(f"{name}: update", update, (s.T - 1, *shape), signed=True)
        self.perturbation = committed(f"{name}: perturbation", perturbation, (s.T - 1, *shape), signed=True)
        self.passes, self.first = self.sums(s.T, self.perturbation), self.sums(s.T, virtual([], (0, 0)))

    def sums(self, steps, perturbation):
        def of(start, update, e):
            return plus(start, with_zero(times(update, -(steps - 1))), with_zero(e))

        tensors = (self.start, self.update, perturbation)
        digits = [of(*(get(tensor.digits, j) for tensor in tensors)) for j in range(max(len(t.digits) for t in tensors))]
        return virtual(digits, of(*(tensor.interval for tensor in tensors)))


def balanced(number, count):
    """Balanced digits, the top one takes what is left."""
    digits = []
    for _ in range(count - 1):
        digits.append((number + 2**15) % 2**16 - 2**15)
        number = (number - digits[-1]) // 2**16
    return [*digits, number]


def input_tensor(s):
    maps = [affine(s.schema, c) for c in range(s.schema.shape[0])]
    count = 1
    while any(not -(2**15) <= balanced(number, count)[-1] < 2**15 for pair in maps for number in pair):
        count += 1
    stored = (0, 255 if s.schema.element == 0 else 65535)

    def hull(pairs):
        intervals = [plus(times(stored, m), (n, n)) for m, n in pairs]
        return (min(low for low, _ in intervals), max(high for _, high in intervals))

    by_digit = [[(balanced(m, count)[j], balanced(n, count)[j]) for m, n in maps] for j in range(count)]
    return virtual(map(hull, by_digit), hull(maps), (2 * s.T - 1, s.B, *s.input))


class Stack:
    """All layers: `sums` are the tensors of rounded sums and of max pools, in the order of columns; then come `convolutions`, with
    the bits of ReLU, and `deltas`. `signs` are the lookups of those bits."""

    def __init__(self, s, parameters, logit_delta, second_bits):
        self.s, self.e2, self.parameters = s, second_bits, parameters
        self.sums, self.convolutions, self.deltas, self.signs = [], [], [], []
        inputs, bits, places = input_tensor(s), 32, []
        for layer in s.layers:
            place, inputs, bits = self.forward(layer, inputs, bits)
            places.append(place)
        self.logits = self.convolutions[-1]
        behind = [*self.backward_inputs(places), logit_delta]
        for index, (place, delta) in enumerate(zip(places, behind[1:], strict=True)):
            self.backward(*place, delta, behind[index] if index else None)

    def forward(self, layer, inputs, bits):
        s, triples = self.s, []
        sides = []
        for axis in range(2):
            n = (inputs.shape[3 + axis] + 2 * layer.padding[axis] - layer.kernel[axis]) // layer.stride[axis] + 1
            sides.append(n // layer.size * layer.size)
            window = (layer.kernel[axis], layer.stride[axis], layer.padding[axis], sides[-1])
            triples.append(meetings(inputs.shape[3 + axis], *window))
        passes = 2 * s.T - 1
        shape = (passes, s.B, layer.co, *sides)
        pooled = (passes, s.B, layer.co, sides[0] // layer.size, sides[1] // layer.size)
        z, output, pool, next_bits = self.output(layer, shape, pooled)
        terms = layer.ci * most(triples[0], 0) * most(triples[1], 0)
        weight, bias = self.parameters[f"{layer.name}.weight"], self.parameters.get(f"{layer.name}.bias")
        linear = (bias.passes, bits, 1) if bias else None
        self.sums += rounded(f"{layer.name}: forward", z, 8 + bits, (weight.passes, inputs, terms), linear) + pool
        return (layer, triples, inputs, bits, next_bits - 32, shape), output, next_bits

    def output(self, layer, shape, pooled):
        """z, the layer's output, the tensors of a max pool, the output's fractional bits."""
        name = f"{layer.name}: max pool"
        if layer.pool == "max":
            out = committed(f"{name}: output", 42 if layer.relu else 43, pooled, signed=not layer.relu)
            mask = committed(f"{name}: mask", 1, shape, checked=False)
            gap = committed(f"{name}: difference", 43, shape)
            c = [(-1, 0), (0, 0), (0, 0)]
            digits = [plus(a, times(d, -1), e) for a, d, e in zip(out.digits, gap.digits, c, strict=True)]
            z = virtual(digits, plus(out.interval, times(gap.interval, -1), (-1, 0)), shape)
            return z, out, [out, mask, gap], 32
        z = output = committed(f"{layer.name}: convolution", 43, shape, signed=True)
        self.convolutions.append(z)
        if layer.relu:
            bit = committed(f"{layer.name}: relu: bit", 1, shape, checked=False)
            self.convolutions.append(bit)
            self.signs.append((("sign", 43 - 32), z.columns[-1][0], (bit.columns[0][0],)))
            digits = [*map(with_zero, z.digits[:-1]), (0, z.digits[-1][1])]
            output = virtual(digits, (0, 2**42 - 1), shape)
        if layer.pool == "average":
            area = layer.size**2
            output = virtual([times(digit, area) for digit in output.digits], times(output.interval, area), pooled)
            return z, output, [], 32 + area.bit_length() - 1
        return z, output, [], 32

    def backward_inputs(self, places):
        deltas = [committed(f"{layer.name}: input delta", 46, inputs.shape, signed=True) for layer, _, inputs, *_ in places]
        self.deltas = deltas[1:]
        return deltas

    def backward(self, layer, triples, inputs, bits, average, shape, behind, input_delta):
        s = self.s
        masked = layer.relu or layer.pool == "max"
        if masked:
            behind = virtual(map(with_zero, behind.digits), with_zero(behind.interval))
        names = [f"{layer.name}.{kind}" for kind in ("weight", "bias")]
        parameters = [self.parameters[name] for name in names if name in self.parameters]
        if input_delta:
            terms = layer.co * most(triples[0], 2) * most(triples[1], 2)
            products = (parameters[0].passes, behind, terms)
            self.sums += rounded(f"{layer.name}: input gradient", input_delta, 40 + average, products)
        terms = s.B * most(triples[0], 1) * most(triples[1], 1)
        for kind, shift in (("gradient", bits + average), ("update", bits + self.e2 + average - 40)):
            for parameter in parameters:
                out = parameter.gradient if kind == "gradient" else parameter.update
                name = f"{parameter.name}: {kind}"
                if parameter is parameters[0]:
                    self.sums += rounded(name, out, shift, (behind, inputs, terms))
                else:
                    self.sums += rounded(name, out, shift, None, (behind, bits, s.B * shape[3] * shape[4]))
