"""Random graphs of all operators, for property tests. A new operator is one more line in OPERATORS."""

from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from zkds.circuits.networks.graph import Network, Node
from zkds.circuits.operators.add import Add
from zkds.circuits.operators.affine import Affine
from zkds.circuits.operators.average_pool import AdaptiveAveragePool, AveragePool
from zkds.circuits.operators.batch_norm import BatchNorm
from zkds.circuits.operators.clamp import Clamp
from zkds.circuits.operators.concatenate import Concatenate
from zkds.circuits.operators.convolution.operator import Convolution
from zkds.circuits.operators.leaky_relu import LeakyRelu
from zkds.circuits.operators.maximum import AdaptiveMaxPool, MaxPool
from zkds.circuits.operators.pad import Pad
from zkds.circuits.operators.permute import Permute
from zkds.circuits.operators.relu import Relu
from zkds.circuits.operators.smooth import Gelu, GeluTanh, Sigmoid, Silu, Tanh

HALF = Fraction(1, 2)
NEAR = 3  # an operator takes one of so many last outputs: graphs are deep, and outputs are taken more than once


@st.composite
def random_networks(draw, most_nodes=12, most_pixels=4):
    """A Network of up to so many nodes."""
    shapes = [(draw(st.integers(1, 2)), draw(st.integers(1, most_pixels)), draw(st.integers(1, most_pixels)))]
    nodes = []
    for _ in range(draw(st.integers(0, most_nodes - 1))):
        operator, inputs = OPERATORS[draw(st.sampled_from(sorted(OPERATORS)))](draw, shapes)
        nodes.append((operator, inputs))
        shapes.append(operator.output_shape([shapes[source] for source in inputs]))
    nodes.append((Convolution.dense(draw(st.integers(2, 3)), shapes[-1], draw(st.booleans())), (len(nodes),)))
    return Network(shapes[0], tuple(_used(nodes)))


def random_probe(network, configuration, random_seed):
    """Weights that keep activations small, constants, records, labels."""
    generator = np.random.default_rng(random_seed)
    weights = {
        name: np.rint(generator.uniform(-1.5, 1.5, shape) / np.sqrt(np.prod(shape[1:] or (9,))) * 2**40).astype(np.int64)
        for name, shape in network.parameters
    }
    weights |= {name: generator.integers(1 << 30, 5 << 29, shape) for name, shape in network.constants}
    batches = (configuration.steps, configuration.batch_size)
    inputs = generator.integers(-(2**32), 2**32, (*batches, *network.input_shape))
    return weights, inputs, generator.integers(0, network.classes, batches)


def _used(nodes):
    """Those on which the last one depends, with new numbers, and names for those with parameters."""
    used, numbers = {len(nodes)}, {0: 0}
    for number in range(len(nodes), 0, -1):
        if number in used:
            used |= set(nodes[number - 1][1])
    for number in sorted(used - {0}):
        numbers[number] = len(numbers)
        operator, inputs = nodes[number - 1]
        yield Node(operator, tuple(numbers[i] for i in inputs), f"node.{number}" if operator.parameters else "")


# ---- draw, shapes of the input and of all nodes so far -> an operator that fits, its inputs ---------------------------------


def _one(draw, shapes, fits=lambda shape: True):
    """One of the last outputs that fit, None if none does."""
    fitting = [number for number, shape in enumerate(shapes) if fits(shape)]
    return draw(st.sampled_from(fitting[-NEAR:])) if fitting else None


def _batch_norm(draw, shapes):
    source = _one(draw, shapes)
    return BatchNorm(shapes[source][0], draw(st.sampled_from([1e-5, 1e-3]))), (source,)


def _relu(draw, shapes):
    return Relu(), (_one(draw, shapes),)


def _convolution(draw, shapes):
    source = _one(draw, shapes)
    shape, channels = shapes[source], draw(st.integers(1, 3))
    if draw(st.booleans()):  # outputs of one shape can be added
        return Convolution.over(shape, shape[0], (3, 3), padding=(1, 1), bias=draw(st.booleans())), (source,)
    rows, columns = draw(_windows(shape[1])), draw(_windows(shape[2]))
    kernel, stride, dilation, before, behind = zip(rows, columns, strict=True)
    groups = draw(st.sampled_from([g for g in range(1, shape[0] + 1) if shape[0] % g == 0]))
    window = {"behind": behind, "dilation": dilation, "groups": groups}
    return Convolution.over(shape, groups * channels, kernel, stride, before, draw(st.booleans()), **window), (source,)


@st.composite
def _windows(draw, length):
    """(kernel, stride, dilation, before, behind) along one axis of `length`."""
    kernel, dilation = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    reach = dilation * (kernel - 1) + 1
    before = draw(st.integers(0, reach - 1))
    return kernel, draw(st.integers(1, 2)), dilation, before, draw(st.integers(max(0, reach - length - before), reach - 1))


def _pool(pool):
    """Windows of 2 x 2; a ReLU where there is nothing left to pool."""

    def drawn(draw, shapes):
        source = _one(draw, shapes, lambda shape: shape[1] % 2 == 0 and shape[2] % 2 == 0)
        return (Relu(), (_one(draw, shapes),)) if source is None else (pool(draw), (source,))

    return drawn


def _affine(draw, shapes):
    source = _one(draw, shapes)
    constants = st.integers(-2, 2).map(lambda n: n << 39) | st.integers(-(1 << 40), 1 << 40)
    return Affine(*(tuple(draw(constants) for _ in range(shapes[source][0])) for _ in range(2))), (source,)


ORDERS = [(0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]


def _pad(draw, shapes):
    """Some entries of each axis, with zeros in front of them and behind."""
    source = _one(draw, shapes)
    before = [draw(st.integers(0, 1)) for _ in range(3)]
    first = [draw(st.integers(0, min(1, length - 1))) for length in shapes[source]]
    step = [draw(st.integers(1, 2)) for _ in range(3)]
    outputs = [
        draw(st.integers(1 + count, count + min(length, 4))) for count, length in zip(before, shapes[source], strict=True)
    ]
    return Pad(*map(tuple, (outputs, before, first, step))), (source,)


def _average_pool(draw, shapes):
    source = _one(draw, shapes)
    size = shapes[source][1:]
    kernel = tuple(draw(st.integers(1, min(3, length + 1))) for length in size)
    stride = tuple(draw(st.integers(1, 3)) for _ in size)
    padding = tuple(max(0, taps - length, draw(st.integers(0, taps // 2))) for taps, length in zip(kernel, size, strict=True))
    options = draw(st.booleans()), draw(st.booleans()), draw(st.sampled_from([0, 0, 0, 1, 3, 4]))
    return AveragePool(size, kernel, stride, padding, *options), (source,)


def _adaptive_average_pool(draw, shapes):
    source = _one(draw, shapes)
    size = shapes[source][1:]
    return AdaptiveAveragePool(size, (draw(st.integers(1, 4)), draw(st.integers(1, 4)))), (source,)


def _joined(operator, fits):
    """Two or three outputs that fit the first one; maybe the same one again."""

    def drawn(draw, shapes):
        first = _one(draw, shapes)
        others = [number for number, shape in enumerate(shapes) if fits(shape, shapes[first])]
        return operator, (first, *draw(st.lists(st.sampled_from(others), min_size=1, max_size=2)))

    return drawn


def _activation(*operators):
    def drawn(draw, shapes):
        return draw(st.sampled_from(operators)), (_one(draw, shapes),)

    return drawn


def _max_pool(draw, shapes):
    """Windows that overlap, leave entries out or reach into padding; a ReLU where they would lie in the padding alone."""
    source = _one(draw, shapes)
    axes = []
    for length in shapes[source][1:]:
        dilation = draw(st.integers(1, 2))
        window = draw(st.integers(1, min(3, 1 + (length - 1) // dilation)))
        axes.append((window, draw(st.integers(1, 2)), draw(st.integers(0, window // 2)), dilation))
    window, stride, padding, dilation = zip(*axes, strict=True)
    pool = MaxPool(window, stride, padding, dilation, draw(st.booleans()), draw(st.booleans()))
    try:
        pool.output_shape([shapes[source]])
    except ValueError:
        return Relu(), (source,)
    return pool, (source,)


def _adaptive_max_pool(draw, shapes):
    outputs = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    return AdaptiveMaxPool(outputs, draw(st.booleans())), (_one(draw, shapes),)


OPERATORS = {
    "adaptive max pool": _adaptive_max_pool,
    "add": _joined(Add(), lambda shape, first: shape == first),
    "affine": _affine,
    "adaptive average pool": _adaptive_average_pool,
    "average pool": _average_pool,
    "batch norm": _batch_norm,
    "clamp": _activation(Clamp.of(Fraction(0), Fraction(6)), Clamp.of(-HALF, HALF / 2, inclusive=True)),
    "concatenate": _joined(Concatenate(), lambda shape, first: shape[1:] == first[1:]),
    "convolution": _convolution,
    "gelu": _activation(Gelu()),
    "gelu tanh": _activation(GeluTanh()),
    "leaky relu": _activation(LeakyRelu.of(Fraction(1, 100)), LeakyRelu.of(HALF)),
    "max pool": _max_pool,
    "pad": _pad,
    "permute": lambda draw, shapes: (Permute(draw(st.sampled_from(ORDERS))), (_one(draw, shapes),)),
    "relu": _relu,
    "sigmoid": _activation(Sigmoid()),
    "silu": _activation(Silu()),
    "tanh": _activation(Tanh()),
}
