"""One operator without parameters by itself: its relation over a committed input and committed deltas of its output."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tests.harness.circuit import Operands, circuit_of
from zkds.circuits.arithmetic.fixed_point import ACTIVATION_BITS, CONVOLUTION, DELTA, Configuration, Place
from zkds.circuits.operators.operator import Operator, Placed, probe_schedule
from zkds.identities.equal import Equal
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import LimbFormat
from zkds.tensors.tensor import Committed

NAME = "node"
CONFIGURATION = Configuration.of(steps=2, batch_size=2, learning_rate="0.01")


def placed(shape, bits=ACTIVATION_BITS, delta_bits=0, output_bits=ACTIVATION_BITS):
    """A node from inputs of `shape` to outputs of the same shape, behind and before average pools of these many bits."""
    return Placed(NAME, (shape,), shape, (bits,), output_bits, delta_bits, (True,))


@dataclass
class Alone:
    """The relation of an operator that keeps the shape of its input; result, result delta: what it makes, committed."""

    operator: Operator
    shape: tuple[int, ...] = (2, 2, 3)
    bits: int = ACTIVATION_BITS
    delta_bits: int = 0
    signs: set = field(default_factory=set)

    schedule = probe_schedule(CONFIGURATION)
    limb_bits = 16

    def __post_init__(self):
        self.placed = placed(self.shape, self.bits, self.delta_bits, self.operator.output_bits([self.bits]))
        number = LimbFormat(16, CONVOLUTION.width + self.bits - ACTIVATION_BITS, signed=True)
        self.inputs = self._committed("inputs", number)
        self.delta = self._committed("delta", DELTA)
        self.result = self._committed("result", LimbFormat(16, number.width + 1, signed=True))
        self.result_delta = self._committed("result delta", DELTA)
        built = self.operator.build(self.placed, self, [self.inputs], {})
        back = built.backward(self.delta)
        self.built = built
        self.relation = circuit_of(
            Operands(self.inputs, self.delta, self.result, self.result_delta),
            *built.components,
            *back.components,
            Equal("result", self.result, built.output),
            Equal("result delta", self.result_delta, back.deltas[0]),
        )

    def _committed(self, name, number):
        shape = (self.schedule.passes, self.schedule.batch_size, *self.shape)
        return Committed(LimbColumns(name, number, shape))

    # ---- the scope in which it is built ----

    def output(self, placed):
        return self._committed(f"{placed.name}: output", CONVOLUTION)

    def claim_sign(self, tensor):
        free = tensor.name not in self.signs
        self.signs.add(tensor.name)
        return free

    # ---- witness ----

    def values(self, inputs, delta):
        """What an honest prover commits, by the names of the tensors: arrays of the passes' shapes."""
        forwards = [self.operator.forward(self.placed, [x], {}, Place(0)) for x in inputs]
        kind = self.schedule.runs[0].kind
        backwards = [
            self.operator.backward(self.placed, [x], ahead, d, kind, Place(0))
            for x, ahead, d in zip(inputs, forwards, delta, strict=True)
        ]
        found = {f"{NAME}: {name}": np.stack([f.values[name] for f in forwards]) for name in forwards[0].values}
        found |= {f"{NAME}: {name}": np.stack([b.values[name] for b in backwards]) for name in backwards[0].values}
        result = np.stack([f.output for f in forwards])
        found |= {"inputs": inputs, "delta": delta, "result": result, f"{NAME}: output": result}
        return found | {"result delta": np.stack([b.deltas[0] for b in backwards])}

    def columns(self, values):
        return self.relation.witness({}, values)
