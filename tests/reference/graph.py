"""A network from its canonical bytes, and what follows for its nodes: written from docs/specification, sections 14 and 16, and
docs/fixed-point.md, sharing no code with zkds.
"""

from collections import namedtuple
from copy import copy

from tests.reference.encoding import Bytes
from tests.reference.operators.registry import OPERATORS

Node = namedtuple("Node", "name operator inputs place")
Place = namedtuple("Place", "name inputs output input_bits output_bits delta_bits wanted")


class Network:
    """nodes    in order; number 0 in their `inputs` is the network's input, k the k-th node
    consumers  of the input and of every node: the numbers of the nodes that take it, once for each time
    learns     of the input and of every node: whether a parameter has a part in it
    """

    def __init__(self, data):
        source = Bytes(data, b"zkds network v2")
        *shape, count = source.numbers(4)
        self.shape = tuple(shape)
        described = [read_node(source) for _ in range(count)]
        assert not source.rest
        shapes, bits, self.learns, self.consumers = [self.shape], [32], [False], [[] for _ in range(count + 1)]
        for number, (_, _, operator, inputs) in enumerate(described, 1):
            shapes.append(operator.output([shapes[i] for i in inputs]))
            bits.append(operator.bits([bits[i] for i in inputs]))
            self.learns.append(bool(operator.parameters()) or any(self.learns[i] for i in inputs))
            for i in inputs:
                self.consumers[i].append(number)
        delta_bits = [0] * (count + 1)
        for number in range(count, 0, -1):
            _, _, operator, inputs = described[number - 1]
            for i in inputs:
                delta_bits[i] = max(delta_bits[i], operator.delta_bits(delta_bits[number]))
        self.nodes = []
        for number, (name, kind, operator, inputs) in enumerate(described, 1):
            place = Place(
                name or f"{kind} {number}",
                [shapes[i] for i in inputs],
                shapes[number],
                [bits[i] for i in inputs],
                bits[number],
                delta_bits[number],
                [self.learns[i] for i in inputs],
            )
            self.nodes.append(Node(name, operator, inputs, place))

    def behind(self, prefix):
        """The same network with a prefix before the names of its nodes' tensors."""
        found = copy(self)
        found.nodes = [node._replace(place=node.place._replace(name=prefix + node.place.name)) for node in self.nodes]
        return found

    @property
    def parameters(self):
        """Name -> shape."""
        return {f"{n.name}.{word}": shape for n in self.nodes for word, shape in n.operator.parameters().items()}

    def implicit(self, probe):
        """Name -> node of those that are implicit, and what their updates are."""
        found = {}
        for n in self.nodes:
            for word, kind in n.operator.implicit(n.place.inputs[0], n.place.input_bits[0], probe).items():
                found[f"{n.name}.{word}"] = n, kind
        return found

    @property
    def constants(self):
        """Name -> shape."""
        return {f"{n.name}.{word}": shape for n in self.nodes for word, shape in n.operator.constants().items()}

    @property
    def classes(self):
        return self.nodes[-1].place.output[0]


def read_node(source):
    name, kind = source.text(), source.text()
    return name, kind, OPERATORS[kind](*source.list()), source.list()


def own_parameters(node, parameters):
    """Those of a node and its constants, by the last words of their names."""
    words = [*node.operator.parameters(), *node.operator.constants()]
    return {word: parameters[f"{node.name}.{word}"] for word in words}
