"""The circuit of a network's passes: every node's relation, forwards from the input, then backwards from the scores."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from dataclasses import replace
from types import MappingProxyType

from zkds.circuits.arithmetic.fixed_point import CONVOLUTION
from zkds.circuits.networks.graph import Network
from zkds.circuits.operators.operator import Built, Placed, Schedule
from zkds.circuits.operators.parameter import ImplicitLayer, ImplicitParameter, Parameter
from zkds.integers.identity import DIGIT_BITS
from zkds.integers.limb_columns import LimbColumns
from zkds.tensors.circuit import Component
from zkds.tensors.linear import SumTensor
from zkds.tensors.tensor import Committed, Tensor

WIDE_LIMBS = ((1 << 26, 22), (1 << 22, 20))  # so many rounded values or more, and their limbs' bits


def limb_bits(network: Network, schedule: Schedule, implicit: Container[str] = (), copies: int = 1) -> int:
    """A fixed rule of public sizes: a table of 2^20 or 2^22 rows pays for itself where it saves more limbs than it has rows.

    Counted are about the rounded values: outputs of nodes, and entries of parameters that are not implicit, in every pass of
    every copy of the network.
    """
    outputs = schedule.batch_size * sum(math.prod(placed.output) for placed in network.placed)
    weights = sum(math.prod(shape) for name, shape in network.parameters if name not in implicit)
    values = copies * schedule.passes * (outputs + weights)
    return next((bits for least, bits in WIDE_LIMBS if values >= least), DIGIT_BITS)


class NetworkCircuit:
    """The relations of all nodes, over given inputs (P, B, C, H, W), parameters, implicit ones and constants by their names.

    prefix            of the names of all tensors, where a circuit has several networks
    copies            how many of these have one schedule, and share the table of their limbs
    limb_bits         of remainders and carries, where limbs of so many bits are fewer than those of 16
    components        what proves them, in order; those of the way back follow after `propagate`
    implicit_layers   of the nodes whose weight is implicit, after `propagate`, from the last to the first
    """

    def __init__(
        self,
        network: Network,
        schedule: Schedule,
        inputs: Tensor,
        parameters: Mapping[str, Parameter],
        constants: Mapping[str, Tensor],
        implicit: Mapping[str, ImplicitParameter] = MappingProxyType({}),
        prefix: str = "",
        copies: int = 1,
    ) -> None:
        self.network = network
        self._placed = [replace(placed, name=f"{prefix}{placed.name}") for placed in network.placed]
        self._names = {placed.name: node.name for placed, node in zip(self._placed, network.nodes, strict=True)}
        self.schedule = schedule
        self.limb_bits = limb_bits(network, schedule, implicit, copies)
        self.components: list[Component] = []
        self._inputs = inputs
        self._parameters = parameters
        self._constants = constants
        self._implicit = implicit
        self.implicit_layers: list[ImplicitLayer] = []
        self._built: dict[int, Built] = {}  # by the number of the node, from 1
        self._signs: set[str] = set()
        self._number = {placed.name: index for index, placed in enumerate(self._placed, 1)}
        for index in range(1, len(network.nodes) + 1):
            self._build(index)

    @property
    def logits(self) -> Tensor:
        """(P, B, K, 1, 1)"""
        return self._built[len(self.network.nodes)].output

    def _build(self, index: int) -> None:
        node, placed = self.network.nodes[index - 1], self._placed[index - 1]
        if index not in self._built:
            names = {word: f"{node.name}.{word}" for word, _ in node.operator.parameters}
            own = {word: self._parameters[name] for word, name in names.items() if name not in self._implicit}
            inputs = [self._output(source) for source in node.inputs]
            self._built[index] = node.operator.build(placed, self, inputs, own)
        self.components += self._built[index].components

    def _output(self, index: int) -> Tensor:
        return self._built[index].output if index else self._inputs

    # ---- Scope: what operators ask for ----

    def output(self, placed: Placed) -> Tensor:
        """See `Scope`. A consumer that represents its input is built here, before its turn."""
        index = self._number[placed.name]
        consumers = self.network.consumers[index]
        supplied = self._represented(index, consumers[0]) if len(consumers) == 1 else None
        if supplied is not None:
            return supplied
        shape = (self.schedule.passes, self.schedule.batch_size, *placed.output)
        return Committed(LimbColumns(f"{placed.name}: output", CONVOLUTION, shape))

    def _represented(self, index: int, consumer: int) -> Tensor | None:
        """The tensor by which a node's only consumer represents its input; None if it can't, or if others aren't there yet."""
        node = self.network.nodes[consumer - 1]
        missing = [source for source in node.inputs if source and source not in self._built]
        if missing != [index]:
            return None
        inputs = [None if source == index else self._output(source) for source in node.inputs]
        built = node.operator.represent(self._placed[consumer - 1], self, inputs)
        if built is None:
            return None
        self._built[consumer] = built
        return built.supplied

    def constant(self, placed: Placed, word: str) -> Tensor:
        """See `Scope`."""
        return self._constants[f"{self._names[placed.name]}.{word}"]

    def implicit_weight(self, placed: Placed) -> ImplicitParameter | None:
        """See `Scope`."""
        return self._implicit.get(f"{self._names[placed.name]}.weight")

    def claim_sign(self, tensor: Tensor) -> bool:
        """See `Scope`."""
        free = tensor.name not in self._signs
        self._signs.add(tensor.name)
        return free

    # ---- the way back ----

    def propagate(self, delta: Tensor) -> None:
        """Build the way back, from the deltas of the logits (P, B, K, 1, 1)."""
        deltas: list[list[tuple[Tensor, int]]] = [[] for _ in range(len(self.network.nodes) + 1)]
        deltas[-1].append((delta, 0))
        for index in reversed(range(1, len(deltas))):
            if not self.network.learns[index]:
                continue
            node, placed = self.network.nodes[index - 1], self._placed[index - 1]
            built = self._built[index].backward(_summed(placed, deltas[index]))
            self.components += built.components
            self.implicit_layers += [] if built.implicit is None else [built.implicit]
            bits = node.operator.input_delta_bits(placed.delta_bits)
            for source, found in zip(node.inputs, built.deltas, strict=True):
                if found is not None:
                    deltas[source].append((found, bits))


def _summed(placed: Placed, deltas: list[tuple[Tensor, int]]) -> Tensor:
    """The deltas that come back to one output: the one that there is, or their virtual sum."""
    if len(deltas) == 1:
        return deltas[0][0]
    return SumTensor(f"{placed.name}: delta of output", [(delta, placed.delta_bits - bits) for delta, bits in deltas])
