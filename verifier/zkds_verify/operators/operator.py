"""An operator: what its encoding says, and a node's tensors and components (docs/specification/certificate.md, section 16).

Shapes are (channels, rows, columns). `place` is a `graph.Place`.
"""

from abc import ABC, abstractmethod
from collections import namedtuple

# `back(delta)`: the deltas of the inputs, None where nothing needs them, and the components that prove them
# `supplied`: by `represent`, the tensor that stands for the missing input
Built = namedtuple("Built", "output components back supplied", defaults=(None,))


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
        """The last words of those that are implicit, and what their updates are; probe: steps, batch, whether
        the perturbation and the sharpness are ASAM."""
        return {}

    def constants(self):
        """Of the model, likewise: what is no parameter."""
        return {}

    def work(self, inputs):
        """Beside its shapes, what verifying it takes: about the pairs that its windows meet along the axes."""
        return 0

    @abstractmethod
    def build(self, place, scope, inputs, parameters):
        """What is `Built`."""

    def represent(self, place, scope, inputs):
        """With None in place of one input, the output of an operator that rounds; None if that can't be."""
        return None
