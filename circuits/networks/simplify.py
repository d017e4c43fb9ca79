"""From a list of nodes to the network that is proved: what nothing needs goes, and what two nodes do in one is done by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from zkds.circuits.networks.graph import Network, Node
from zkds.circuits.operators.convolution.operator import Convolution
from zkds.circuits.operators.maximum import Maximum
from zkds.circuits.operators.operator import Shape
from zkds.circuits.operators.pad import Pad
from zkds.circuits.operators.permute import IN_ORDER, Permute, composed
from zkds.circuits.operators.relu import Relu


def simplified(input_shape: Shape, nodes: Sequence[Node], scores: int) -> Network:
    """The network whose scores are the output of node `scores`, counted from 1.

    Nodes that its scores don't depend on are dropped; a ReLU before or behind a max pool becomes a part of the pool, and a ReLU
    of what a ReLU made is dropped. Zeros in front of a convolution become its own, and permutations of a permutation one, or
    none. Raises ValueError as Network does.
    """
    found = _reachable(list(nodes), scores)
    while True:
        simpler = _simplify_once(input_shape, found)
        if simpler is None:
            return Network(input_shape, tuple(found))
        found = _reachable(simpler, len(simpler))


def _reachable(nodes: list[Node], scores: int) -> list[Node]:
    needed = {scores}
    for index in range(scores, 0, -1):
        if index in needed:
            needed.update(nodes[index - 1].inputs)
    return _renumbered(nodes, sorted(needed - {0}), {})


def _simplify_once(input_shape: Shape, nodes: list[Node]) -> list[Node] | None:
    """With the first node less, or behind another one, that can go; None if none can."""
    return _without_relu(nodes) or _behind_permute(nodes) or _behind_pad(input_shape, nodes)


def _behind_permute(nodes: list[Node]) -> list[Node] | None:
    """With the first permutation of a permutation made one of what that took."""
    for index, node in enumerate(nodes, 1):
        source = nodes[node.inputs[0] - 1] if node.inputs[0] else None
        if source is None or not isinstance(node.operator, Permute) or not isinstance(source.operator, Permute):
            continue
        order = composed(source.operator.order, node.operator.order)
        if order == IN_ORDER:
            return _without(nodes, index, source.inputs[0])
        return [*nodes[: index - 1], Node(Permute(order), source.inputs), *nodes[index:]]
    return None


def _behind_pad(input_shape: Shape, nodes: list[Node]) -> list[Node] | None:
    """With the first convolution of images in a frame of zeros made one of the images, with these zeros as its own."""
    shapes = [input_shape]
    for index, node in enumerate(nodes, 1):
        source, operator = nodes[node.inputs[0] - 1] if node.inputs[0] else None, node.operator
        if source is not None and isinstance(operator, Convolution) and isinstance(source.operator, Pad):
            pad, shape = source.operator, shapes[source.inputs[0]]
            if pad.holds(shape) and pad.before[0] == 0 and pad.outputs[0] == shape[0]:
                before = operator.before[0] + pad.before[1], operator.before[1] + pad.before[2]
                merged = replace(node, operator=replace(operator, before=before), inputs=source.inputs)
                return [*nodes[: index - 1], merged, *nodes[index:]]
        shapes.append(operator.output_shape([shapes[source] for source in node.inputs]))
    return None


def _without_relu(nodes: list[Node]) -> list[Node] | None:
    """With the first ReLU less that can go; None if none can."""
    consumers = Counter(source for node in nodes for source in node.inputs)
    for index, node in enumerate(nodes, 1):
        source = node.inputs[0]
        if len(node.inputs) > 1 or not source:
            continue
        first, second, alone = nodes[source - 1].operator, node.operator, consumers[source] == 1
        if isinstance(second, Relu) and (isinstance(first, Relu) or (isinstance(first, Maximum) and (first.relu or alone))):
            if isinstance(first, Maximum):
                nodes = [*nodes[: source - 1], replace(nodes[source - 1], operator=first.with_relu()), *nodes[source:]]
            return _without(nodes, index, source)
        if isinstance(first, Relu) and isinstance(second, Maximum) and (second.relu or alone):
            inputs = nodes[source - 1].inputs
            return [*nodes[: index - 1], Node(second.with_relu(), inputs), *nodes[index:]]
    return None


def _without(nodes: list[Node], dropped: int, instead: int) -> list[Node]:
    """Without a node whose output is taken from another one before it."""
    return _renumbered(nodes, [index for index in range(1, len(nodes) + 1) if index != dropped], {dropped: instead})


def _renumbered(nodes: Sequence[Node], kept: Sequence[int], replaced: dict[int, int]) -> list[Node]:
    """The kept nodes, with their inputs' new numbers."""
    numbers = {0: 0} | {old: new for new, old in enumerate(kept, 1)}
    numbers |= {old: numbers[source] for old, source in replaced.items()}
    return [replace(nodes[old - 1], inputs=tuple(numbers[source] for source in nodes[old - 1].inputs)) for old in kept]
