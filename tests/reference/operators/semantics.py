"""What the twin of an operator adds to that of the second verifier: its meaning, from docs/fixed-point.md.

Shapes are (channels, rows, columns). `place` is a `graph.Place`.
"""

from abc import ABC, abstractmethod
from collections import namedtuple

# Of gradients in a pass: fractional bits of the scores' deltas, and of the gradients
Kind = namedtuple("Kind", "delta_bits bits")


class Semantics(ABC):
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
