"""The twin of an operator: the same meaning as the operator of its kind in circuits/operators/, written from the documents.

Shapes are (channels, rows, columns). `place` is a `graph.Place`.
"""

from abc import ABC, abstractmethod
from collections import namedtuple

# `back(delta)`: the deltas of the inputs, None where nothing needs them, and the components that prove them
# `supplied`: by `represent`, the tensor that stands for the missing input
Built = namedtuple("Built", "output components back supplied", defaults=(None,))

# Of gradients in a pass: fractional bits of the scores' deltas, and of the gradients
Kind = namedtuple("Kind", "delta_bits bits")


class Operator(ABC):
    """rounds: whether its output is rounded, to 32 fractional bits and a width of 43"""

    rounds = False

    # ---- description: the constructor takes the numbers of the encoding

    def output(self, inputs):
        """The shape of the output."""
        return inputs[0]

    def bits(self, inputs):
        """Its fractional bits."""
        return 32 if self.rounds else max(inputs)

    def delta_bits(self, bits):
        """Fractional bits of the inputs' deltas beyond those of the scores, from those of the output."""
        return 0 if self.rounds else bits

    def parameters(self):
        """Last word of the name -> shape."""
        return {}

    def implicit(self, inputs, input_bits, probe):
        """The last words of those that are implicit, and what their updates are; probe: as in tests/reference/implicit.py."""
        return {}

    def constants(self):
        """Of the model, likewise: what is no parameter."""
        return {}

    # ---- fixed point (docs/fixed-point.md); tensors are {(b, c, y, x): int}

    @abstractmethod
    def forward(self, place, inputs, weights):
        """The output; other values by the names of their tensors."""

    @abstractmethod
    def backward(self, place, inputs, values, weights, delta, kind):
        """Deltas of the inputs, as from `forward` with other values; gradients {word: {index: (value, remainder)}}."""

    # ---- float64, of one record: arrays (C, H, W)

    @abstractmethod
    def evaluate(self, inputs, parameters):
        """The output."""

    # ---- relation (docs/specification/certificate.md, section 16)

    @abstractmethod
    def build(self, place, scope, inputs, parameters):
        """What is `Built`."""

    def represent(self, place, scope, inputs):
        """With None in place of one input, the output of an operator that rounds; None if that can't be."""
        return None
