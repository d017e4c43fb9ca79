"""The public description of a network: a graph of operators, from one input to the scores of its classes.

Every node takes the outputs of nodes before it, or the network's input; the last node makes the scores. A vector of d features
is an input of shape (d, 1, 1). The operators are in circuits/operators/, each in a file of its own.

A description is frozen, checked at construction, and has one canonical byte string, which statements and digests bind. Nothing
here loads torch.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from zkds.circuits.arithmetic.fixed_point import ACTIVATION_BITS, Configuration
from zkds.circuits.operators.implicit import ImplicitBits
from zkds.circuits.operators.operator import Operator, Placed, Shape, require_dimension, require_elements
from zkds.circuits.operators.registry import OPERATORS
from zkds.errors import MalformedProof
from zkds.wire import ProofReader, encode_number, read_number

NETWORK_LABEL = b"zkds network v2"
MAX_NODES = 1 << 11
MAX_INPUTS = 1 << 8  # of a node
MAX_NAME_BYTES = 200
MAX_NUMBERS = 1 << 12  # of an operator's description
_NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*")


@dataclass(frozen=True)
class Node:
    """One node of a network.

    inputs   whose outputs it takes: 0 is the network's input, k the output of the k-th node, counted from 1
    name     of a node with parameters, such as features.0; its parameters are NAME.weight and so on. Others have none
    """

    operator: Operator
    inputs: tuple[int, ...]
    name: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.operator, Operator):
            raise TypeError(f"operator: expected an Operator, got {type(self.operator).__name__}")
        if not isinstance(self.inputs, tuple) or not all(type(index) is int for index in self.inputs):
            raise TypeError(f"inputs: expected a tuple of ints, got {self.inputs!r}")
        if not isinstance(self.name, str) or len(self.name) > MAX_NAME_BYTES:
            raise ValueError(f"layer name: expected at most {MAX_NAME_BYTES} characters")
        if self.operator.parameters and not _NAME.fullmatch(self.name):
            raise ValueError(f"layer name: expected words of letters, digits and _, joined by dots, got {self.name!r}")
        if self.name and not self.operator.parameters:
            raise ValueError(f"layer name: expected none for {self.operator.KIND}, which has no parameters, got {self.name!r}")

    @property
    def parameters(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """(name, shape) of every parameter."""
        return tuple((f"{self.name}.{word}", shape) for word, shape in self.operator.parameters)

    @property
    def constants(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """(name, shape) of every constant."""
        return tuple((f"{self.name}.{word}", shape) for word, shape in self.operator.constants)


@dataclass(frozen=True)
class Network:
    """A graph of operators from inputs of `input_shape` (C, H, W) to the scores of two or more classes.

    The last node has a 1x1 output that its operator rounds, as a convolution does. Raises TypeError and ValueError, naming the
    node, for what is not such a graph: a cycle, a node that nothing uses, shapes that do not fit.
    """

    input_shape: Shape
    nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.input_shape, tuple) or len(self.input_shape) != 3:
            raise TypeError(f"input_shape: expected (channels, height, width), got {self.input_shape!r}")
        for length in self.input_shape:
            require_dimension("input_shape", length)
        require_elements("input_shape", self.input_shape)
        if not isinstance(self.nodes, tuple) or not all(isinstance(node, Node) for node in self.nodes):
            raise TypeError("nodes: expected a tuple of Nodes")
        if not 1 <= len(self.nodes) <= MAX_NODES:
            raise ValueError(f"nodes: expected 1 to {MAX_NODES}, got {len(self.nodes)}")
        self._require_names()
        self._require_edges()
        self._require_scores()

    def _require_names(self) -> None:
        names = [name for name, _ in self.tensors]
        repeated = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
        if repeated:
            raise ValueError(f"nodes: expected parameters of different names, got {', '.join(repeated)} more than once")

    def _require_edges(self) -> None:
        for index, node in enumerate(self.nodes, 1):
            name, count = self.names[index - 1], node.operator.INPUTS
            fits = 2 <= len(node.inputs) <= MAX_INPUTS if count is None else len(node.inputs) == count
            if not fits:
                raise ValueError(f"{name}: expected {count if count else '2 or more'} inputs, got {len(node.inputs)}")
            if any(not 0 <= source < index for source in node.inputs):
                raise ValueError(f"{name}: expected inputs from nodes before it, not a cycle: node {index} takes {node.inputs}")
        for index, consumers in enumerate(self.consumers[:-1]):
            if not consumers:
                what = self.names[index - 1] if index else "the network's input"
                raise ValueError(f"{what}: expected something that uses its output, which reaches no score")

    def _require_scores(self) -> None:
        scores, name = self.shapes[-1], self.names[-1]
        if not self.nodes[-1].operator.rounds:
            kind = self.nodes[-1].operator.KIND
            raise ValueError(f"{name}: expected a last node whose outputs are the scores, such as a linear layer, got {kind}")
        if scores[0] < 2 or scores[1:] != (1, 1):
            raise ValueError(f"{name}: expected an output (classes, 1, 1) of two or more classes, got {scores}")

    # ---- what follows ----

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of each node, for its tensors: its own, or its kind and number, such as "relu 2"."""
        return tuple(node.name or f"{node.operator.KIND} {index}" for index, node in enumerate(self.nodes, 1))

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """(channels, height, width) of the input, then of each node's output."""
        shapes = [self.input_shape]
        for node, name in zip(self.nodes, self.names, strict=True):
            try:
                shapes.append(node.operator.output_shape([shapes[index] for index in node.inputs]))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        return tuple(shapes)

    @cached_property
    def bits(self) -> tuple[int, ...]:
        """Fractional bits of the input, then of each node's output."""
        bits = [ACTIVATION_BITS]
        for node in self.nodes:
            bits.append(node.operator.output_bits([bits[index] for index in node.inputs]))
        return tuple(bits)

    @cached_property
    def consumers(self) -> tuple[tuple[int, ...], ...]:
        """Of the input, then of each node: the nodes that take its output, counted from 1, once for each time."""
        consumers: list[list[int]] = [[] for _ in range(len(self.nodes) + 1)]
        for index, node in enumerate(self.nodes, 1):
            for source in node.inputs:
                consumers[source].append(index)
        return tuple(map(tuple, consumers))

    @cached_property
    def learns(self) -> tuple[bool, ...]:
        """Of the input, then of each node: whether its output depends on a parameter, so that its deltas are needed."""
        learns = [False]
        for node in self.nodes:
            learns.append(bool(node.parameters) or any(learns[index] for index in node.inputs))
        return tuple(learns)

    @cached_property
    def delta_bits(self) -> tuple[int, ...]:
        """Of the input, then of each node: by how many fractional bits the deltas of its output exceed those of the scores.

        Where several nodes take an output, the deltas that come back add up, with the most fractional bits of them.
        """
        bits = [0] * (len(self.nodes) + 1)
        for index in reversed(range(1, len(bits))):
            node = self.nodes[index - 1]
            for source in node.inputs:
                bits[source] = max(bits[source], node.operator.input_delta_bits(bits[index]))
        return tuple(bits)

    @cached_property
    def placed(self) -> tuple[Placed, ...]:
        """Each node at its place."""
        return tuple(
            Placed(
                self.names[index],
                tuple(self.shapes[source] for source in node.inputs),
                self.shapes[index + 1],
                tuple(self.bits[source] for source in node.inputs),
                self.bits[index + 1],
                self.delta_bits[index + 1],
                tuple(self.learns[source] for source in node.inputs),
            )
            for index, node in enumerate(self.nodes)
        )

    @cached_property
    def parameters(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """(name, shape) of every parameter, node by node."""
        return tuple(parameter for node in self.nodes for parameter in node.parameters)

    def implicit(self, configuration: Configuration) -> dict[str, ImplicitBits]:
        """The parameters that are implicit in such a probe (circuits/operators/implicit.py), with sizes and binary points."""
        second_bits = configuration.second_bits
        return {
            f"{node.name}.{word}": ImplicitBits(
                placed.input_bits[0], placed.delta_bits, second_bits, placed.output[1:], movement
            )
            for node, placed in zip(self.nodes, self.placed, strict=True)
            for word, movement in node.operator.implicit(placed.inputs, placed.input_bits, configuration).items()
        }

    @cached_property
    def constants(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """(name, shape) of every constant, node by node."""
        return tuple(constant for node in self.nodes for constant in node.constants)

    @property
    def tensors(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """(name, shape) of all that a model has for this network: parameters, then constants."""
        return self.parameters + self.constants

    @property
    def parameter_count(self) -> int:
        """The number of weights, biases and so on."""
        return sum(math.prod(shape) for _, shape in self.parameters)

    @property
    def tensor_count(self) -> int:
        """The number of all entries of `tensors`."""
        return sum(math.prod(shape) for _, shape in self.tensors)

    @property
    def classes(self) -> int:
        """The number of scores."""
        return self.shapes[-1][0]

    def encode(self) -> bytes:
        """Canonical bytes: label, input shape, number of nodes; for each node its name, its operator's kind and its inputs.

        A name and a kind are ASCII after their length; the numbers that describe an operator, and inputs, come after their
        count. All numbers are 8 bytes, little-endian.
        """
        head = [*self.input_shape, len(self.nodes)]
        return NETWORK_LABEL + b"".join(map(encode_number, head)) + b"".join(map(_encode_node, self.nodes))

    @classmethod
    def decode(cls, data: bytes) -> Network:
        """The network with these canonical bytes; MalformedProof for any others."""
        reader = ProofReader(data)
        if reader.read("network label", len(NETWORK_LABEL)) != NETWORK_LABEL:
            raise MalformedProof("network: label", NETWORK_LABEL.decode(), "another one")
        channels, height, width, count = (read_number(reader, "network") for _ in range(4))
        if count > MAX_NODES:
            raise MalformedProof("network: nodes", f"at most {MAX_NODES}", count)
        try:
            network = cls((channels, height, width), tuple(_read_node(reader) for _ in range(count)))
        except ValueError as error:
            raise MalformedProof(f"network: {error}") from None
        reader.finish()
        return network


def chain(input_shape: Shape, *nodes: Operator | tuple[str, Operator]) -> Network:
    """A network in which every node takes the output of the one before: operators, with a name where they have parameters."""
    named = [node if isinstance(node, tuple) else ("", node) for node in nodes]
    return Network(input_shape, tuple(Node(operator, (index,), name) for index, (name, operator) in enumerate(named)))


def _encode_node(node: Node) -> bytes:
    name, kind = (_encode_text(text) for text in (node.name, node.operator.KIND))
    return name + kind + _encode_numbers(node.operator.numbers()) + _encode_numbers(node.inputs)


def _encode_text(text: str) -> bytes:
    return encode_number(len(text)) + text.encode("ascii")


def _encode_numbers(numbers: Sequence[int]) -> bytes:
    return encode_number(len(numbers)) + b"".join(map(encode_number, numbers))


def _read_node(reader: ProofReader) -> Node:
    name = _read_text(reader, "a layer's name")
    kind = _read_text(reader, "an operator's kind")
    if kind not in OPERATORS:
        raise MalformedProof("network: operator", "a known one", repr(kind))
    numbers = _read_numbers(reader, "an operator's numbers", MAX_NUMBERS)
    try:
        operator = OPERATORS[kind].of_numbers(numbers)
    except ValueError as error:
        raise MalformedProof(f"network: {name or kind}: {error}") from None
    return Node(operator, _read_numbers(reader, "a node's inputs", MAX_INPUTS), name)


def _read_text(reader: ProofReader, what: str) -> str:
    length = read_number(reader, "network")
    if length > MAX_NAME_BYTES:
        raise MalformedProof(f"network: length of {what}", f"at most {MAX_NAME_BYTES}", length)
    return reader.read("network", length).decode("latin-1")  # never fails; names are ASCII


def _read_numbers(reader: ProofReader, what: str, most: int) -> tuple[int, ...]:
    count = read_number(reader, "network")
    if count > most:
        raise MalformedProof(f"network: number of {what}", f"at most {most}", count)
    return tuple(read_number(reader, "network") for _ in range(count))
