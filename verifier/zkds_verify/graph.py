"""A network from its canonical bytes, and what follows for its nodes: docs/specification/certificate.md, sections 14 and 16."""

from collections import namedtuple
from copy import copy

from zkds_verify.encoding import Bytes, check
from zkds_verify.network_limits import MOST_INPUTS, MOST_NODES, check_inputs, check_name, check_numbers, check_output
from zkds_verify.operators.registry import OPERATORS

Node = namedtuple("Node", "name operator inputs place")
Place = namedtuple("Place", "name inputs output input_bits output_bits delta_bits wanted")


class Network:
    """nodes    in order; number 0 in their `inputs` is the network's input, k the k-th node
    consumers  of the input and of every node: the numbers of the nodes that take it, once for each time
    learns     of the input and of every node: whether a parameter has a part in it
    """

    def __init__(self, data, operators=OPERATORS):
        source = Bytes(data, b"zkds network v2", "network")
        *shape, count = source.numbers(4)
        self.shape = tuple(shape)
        check_output(shape)
        check(1 <= count <= MOST_NODES, "network: nodes")
        described = [read_node(source, operators) for _ in range(count)]
        source.end()
        names = [name for name, *_ in described if name]
        check(len(set(names)) == len(names), "network: names")
        shapes, bits, self.learns, self.consumers = [self.shape], [32], [False], [[] for _ in range(count + 1)]
        for number, (_, kind, operator, inputs) in enumerate(described, 1):
            check(all(i < number for i in inputs), "network: order of nodes")
            check_inputs(kind, operator, [shapes[i] for i in inputs])
            shapes.append(operator.output([shapes[i] for i in inputs]))
            check_output(shapes[-1])
            bits.append(operator.bits([bits[i] for i in inputs]))
            self.learns.append(bool(operator.parameters()) or any(self.learns[i] for i in inputs))
            for i in inputs:
                self.consumers[i].append(number)
        check(all(self.consumers[:count]), "network: outputs that nothing takes")
        check(described[-1][2].rounds, "network: last node")
        check(shapes[-1][0] >= 2 and shapes[-1][1:] == (1, 1), "network: last node")
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


def read_node(source, operators):
    name, kind = source.text(), source.text()
    check_name(name, kind)
    numbers = source.list()
    check_numbers(kind, numbers)
    inputs = source.list()
    check(len(inputs) <= MOST_INPUTS, "network: inputs")
    return name, kind, operators[kind](*numbers), inputs


def own_parameters(node, parameters):
    """Those of a node and its constants, by the last words of their names."""
    words = [*node.operator.parameters(), *node.operator.constants()]
    return {word: parameters[f"{node.name}.{word}"] for word in words}
