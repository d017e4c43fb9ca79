"""The public description of a network: a chain of layers, each a convolution with what follows it.

Everything is a convolution. A fully connected layer from n numbers is one with input (n, 1, 1) and a 1x1 kernel. Flattening
(C, H, W) and a fully connected layer are one with an (H, W) kernel and a 1x1 output, whose weight is the (out, C*H*W) matrix
read row-major as (out, C, H, W). A vector of d features is an input of shape (d, 1, 1).

Inside a layer the order is

    convolution and bias, then max-pooling, then ReLU           pool "max", or none
    convolution and bias, then ReLU, then average-pooling       pool "average"

A network that has ReLU before max-pooling is described with them exchanged, which has fewer ReLUs: both orders have the same
values and, in PyTorch, where ReLU has the derivative 0 at 0, the same gradients. A window with a positive maximum passes the
gradient to its first entry with that maximum in both orders, another one passes nothing on. What the circuit does at exactly 0
is in docs/fixed-point.md.

A description is frozen, checked at construction, and has one canonical byte string, which statements and digests bind. Nothing
here loads torch.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cached_property

from zkds.errors import MalformedProof
from zkds.wire import ProofReader, encode_number, read_number

NETWORK_LABEL = b"zkds network v1"
POOLS = ("max", "average")
MAX_LAYERS = 1 << 10
MAX_NAME_BYTES = 200
MAX_DIMENSION = 1 << 20
MAX_ELEMENTS = 1 << 26  # of a weight, and of what a layer maps one record to

Shape = tuple[int, int, int]  # (channels, height, width) of one record
_NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*")


@dataclass(frozen=True)
class Pool:
    """Windows of size x size at distance `size`, without padding; what is left over at the bottom and the right is dropped.

    kind   "max" or "average"
    """

    kind: str
    size: int

    def __post_init__(self) -> None:
        if self.kind not in POOLS:
            raise ValueError(f"pool kind: expected one of {', '.join(POOLS)}, got {self.kind!r}")
        _require_dimension("pool size", self.size, least=2)


@dataclass(frozen=True)
class Layer:
    """A convolution, and the pooling and the ReLU that follow it, in the order above.

    name       of the layer in the model, such as features.0; its parameters are NAME.weight and NAME.bias
    kernel, stride, padding   (vertical, horizontal); padding with zeros on both sides, smaller than the kernel
    """

    name: str
    channels_out: int
    channels_in: int
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    bias: bool = True
    pool: Pool | None = None
    relu: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or len(self.name) > MAX_NAME_BYTES or not _NAME.fullmatch(self.name):
            raise ValueError(f"layer name: expected words of letters, digits and _, joined by dots, got {self.name!r}")
        _require_dimension(f"{self.name}: channels_out", self.channels_out)
        _require_dimension(f"{self.name}: channels_in", self.channels_in)
        for field, least in (("kernel", 1), ("stride", 1), ("padding", 0)):
            pair = getattr(self, field)
            if not isinstance(pair, tuple) or len(pair) != 2:
                raise TypeError(f"{self.name}: {field}: expected a pair of ints, got {pair!r}")
            for value in pair:
                _require_dimension(f"{self.name}: {field}", value, least)
        if self.padding[0] >= self.kernel[0] or self.padding[1] >= self.kernel[1]:
            raise ValueError(f"{self.name}: padding: expected less than the kernel {self.kernel}, got {self.padding}")
        if type(self.bias) is not bool or type(self.relu) is not bool:
            raise TypeError(f"{self.name}: bias, relu: expected bools, got {self.bias!r}, {self.relu!r}")
        if self.pool is not None and not isinstance(self.pool, Pool):
            raise TypeError(f"{self.name}: pool: expected a Pool or None, got {self.pool!r}")
        _require_elements(f"{self.name}: weight", self.weight_shape)

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """(channels_out, channels_in, kernel height, kernel width)"""
        return (self.channels_out, self.channels_in, *self.kernel)

    @property
    def parameters(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """(name, shape) of the weight and, if there is one, of the bias."""
        weight = (f"{self.name}.weight", self.weight_shape)
        return (weight, (f"{self.name}.bias", (self.channels_out,))) if self.bias else (weight,)

    def shapes(self, shape: Shape) -> LayerShapes:
        """Shapes in this layer for an input of `shape`. Raises ValueError if it does not fit."""
        if shape[0] != self.channels_in:
            raise ValueError(f"{self.name}: channels_in: expected the {shape[0]} of its input {shape}, got {self.channels_in}")
        height, width = (
            (length + 2 * padding - kernel) // stride + 1
            for length, kernel, stride, padding in zip(shape[1:], self.kernel, self.stride, self.padding, strict=True)
        )
        if min(height, width) < 1:
            raise ValueError(f"{self.name}: kernel: expected one that fits the padded input {shape}, got {self.kernel}")
        convolution = output = (self.channels_out, height, width)
        _require_elements(f"{self.name}: output", convolution)
        if self.pool:
            output = (self.channels_out, height // self.pool.size, width // self.pool.size)
            if min(output) < 1:
                raise ValueError(f"{self.name}: pool size: expected at most that of {convolution}, got {self.pool.size}")
        return LayerShapes(shape, convolution, output)


@dataclass(frozen=True)
class LayerShapes:
    """(channels, height, width) for one record: of a layer's input, of its convolution's output, of its own output."""

    input: Shape
    convolution: Shape
    output: Shape


@dataclass(frozen=True)
class Network:
    """A chain of layers from inputs of `input_shape` (C, H, W) to the scores of two or more classes.

    The last layer has a 1x1 output, no pooling and no ReLU. Raises TypeError and ValueError, naming the layer, for what is not
    such a chain.
    """

    input_shape: Shape
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.input_shape, tuple) or len(self.input_shape) != 3:
            raise TypeError(f"input_shape: expected (channels, height, width), got {self.input_shape!r}")
        for length in self.input_shape:
            _require_dimension("input_shape", length)
        _require_elements("input_shape", self.input_shape)
        if not isinstance(self.layers, tuple) or not all(isinstance(layer, Layer) for layer in self.layers):
            raise TypeError("layers: expected a tuple of Layers")
        if not 1 <= len(self.layers) <= MAX_LAYERS:
            raise ValueError(f"layers: expected 1 to {MAX_LAYERS}, got {len(self.layers)}")
        names = [name for name, _ in self.parameters]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"layers: expected parameters of different names, got {', '.join(repeated)} more than once")
        last, scores = self.layers[-1], self.shapes[-1].output
        if last.pool or last.relu:
            raise ValueError(f"{last.name}: expected neither pooling nor ReLU in the last layer, whose outputs are the scores")
        if scores[0] < 2 or scores[1:] != (1, 1):
            raise ValueError(f"{last.name}: expected an output (classes, 1, 1) of two or more classes, got {scores}")

    @cached_property
    def shapes(self) -> tuple[LayerShapes, ...]:
        """The shapes in each layer."""
        shapes: list[LayerShapes] = []
        for layer in self.layers:
            shapes.append(layer.shapes(shapes[-1].output if shapes else self.input_shape))
        return tuple(shapes)

    @property
    def parameters(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """(name, shape) of every parameter in order: of each layer its weight (co, ci, kh, kw), then its bias (co,)."""
        return tuple(parameter for layer in self.layers for parameter in layer.parameters)

    @property
    def parameter_count(self) -> int:
        """The number of weights and biases."""
        return sum(math.prod(shape) for _, shape in self.parameters)

    @property
    def classes(self) -> int:
        """The number of scores."""
        return self.layers[-1].channels_out

    def encode(self) -> bytes:
        """Canonical bytes: label, input shape, number of layers; for each layer the length of its name, the name in ASCII,
        channels out and in, kernel, stride, padding, bias (0 or 1), pool kind (0 none, 1 max, 2 average) and size (0 for none),
        ReLU (0 or 1). All numbers are 8 bytes, little-endian.
        """
        head = [*self.input_shape, len(self.layers)]
        return NETWORK_LABEL + b"".join(map(encode_number, head)) + b"".join(map(_encode_layer, self.layers))

    @classmethod
    def decode(cls, data: bytes) -> Network:
        """The network with these canonical bytes; MalformedProof for any others."""
        reader = ProofReader(data)
        if reader.read("network label", len(NETWORK_LABEL)) != NETWORK_LABEL:
            raise MalformedProof("network: label", NETWORK_LABEL.decode(), "another one")
        channels, height, width, count = (read_number(reader, "network") for _ in range(4))
        if count > MAX_LAYERS:
            raise MalformedProof("network: layers", f"at most {MAX_LAYERS}", count)
        try:
            network = cls((channels, height, width), tuple(_read_layer(reader) for _ in range(count)))
        except ValueError as error:
            raise MalformedProof(f"network: {error}") from None
        reader.finish()
        return network


def _encode_layer(layer: Layer) -> bytes:
    name = layer.name.encode("ascii")
    pool = (POOLS.index(layer.pool.kind) + 1, layer.pool.size) if layer.pool else (0, 0)
    windows = (*layer.kernel, *layer.stride, *layer.padding)
    numbers = (layer.channels_out, layer.channels_in, *windows, int(layer.bias), *pool, int(layer.relu))
    return encode_number(len(name)) + name + b"".join(map(encode_number, numbers))


def _read_layer(reader: ProofReader) -> Layer:
    length = read_number(reader, "network")
    if length > MAX_NAME_BYTES:
        raise MalformedProof("network: length of a layer's name", f"at most {MAX_NAME_BYTES}", length)
    name = reader.read("network", length).decode("latin-1")  # never fails; Layer takes only ASCII
    numbers = [read_number(reader, "network") for _ in range(12)]
    channels_out, channels_in, *windows, bias, pool_kind, pool_size, relu = numbers
    if bias > 1 or relu > 1 or pool_kind > len(POOLS) or (pool_kind == 0 and pool_size):
        raise MalformedProof("network: bias, pool kind, pool size, ReLU", "known values", (bias, pool_kind, pool_size, relu))
    kernel, stride, padding = ((windows[j], windows[j + 1]) for j in (0, 2, 4))
    pool = Pool(POOLS[pool_kind - 1], pool_size) if pool_kind else None
    return Layer(name, channels_out, channels_in, kernel, stride, padding, bool(bias), pool, bool(relu))


def _require_dimension(what: str, value: object, least: int = 1) -> None:
    if type(value) is not int:
        raise TypeError(f"{what}: expected an int, got {value!r}")
    if not least <= value <= MAX_DIMENSION:
        raise ValueError(f"{what}: expected {least} to {MAX_DIMENSION}, got {value}")


def _require_elements(what: str, shape: tuple[int, ...]) -> None:
    if math.prod(shape) > MAX_ELEMENTS:
        raise ValueError(f"{what}: expected at most {MAX_ELEMENTS} elements, got shape {shape}")
