"""The scalars of a probe (circuits/metric/scalars.py) as a relation of their own, over committed operands."""

from __future__ import annotations

import dataclasses

import numpy as np

from tests.harness.circuit import Operands
from tests.harness.probes import degenerate, dense, probe
from zkds.circuits.arithmetic.fixed_point import CONVOLUTION, GRADIENT, Configuration
from zkds.circuits.metric.results import results_of as shown_results
from zkds.circuits.metric.sam import Parameter, perturbation_tensor
from zkds.circuits.metric.scalars import Scalars
from zkds.circuits.metric.softmax import logit_delta_tensor
from zkds.circuits.operators.operator import probe_schedule
from zkds.circuits.operators.records import RecordColumn
from zkds.circuits.probe import run
from zkds.commit.layout import Column
from zkds.dataset.membership import LABELS
from zkds.identities.gadget import split
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import LimbFormat
from zkds.tensors.circuit import Circuit
from zkds.tensors.tensor import Committed


def small_probe(configuration, sizes=(3, 4, 3), seed=1, weight_scale=0.5):
    """The trajectory of a small fully connected network."""
    network = dense(*sizes)
    return run(network, *probe(network, configuration, np.random.default_rng(seed), weight_scale), configuration)


def degenerate_probe(steps=3):
    """The trajectory of `tests.harness.probes.degenerate`."""
    network, configuration, *arguments = degenerate(steps)
    return run(network, *arguments, configuration)


def margins_of(gap):
    """The trajectory of a network whose scores are its inputs: in the first step 0, `gap` or half of it [32], and less."""
    network = dense(3, 3)
    weights = {name: np.zeros(shape, dtype=np.int64) for name, shape in network.parameters}
    weights["dense.0.weight"][:, :, 0, 0] = np.eye(3, dtype=np.int64) << 40
    inputs = np.zeros((2, 2, *network.input_shape), dtype=np.int64)
    inputs[0, :, 1, 0, 0] = [gap // 2, gap]
    inputs[:, :, 2] = -(1 << 33)
    configuration = Configuration.of(steps=2, batch_size=2, learning_rate="1e-6", eps="1e-18")
    return run(network, weights, inputs, np.ones((2, 2), dtype=np.int64), configuration)


def results_of(trajectory, threshold=None):
    results = shown_results(trajectory)
    return results if threshold is None else dataclasses.replace(results, values=None, threshold=threshold)


class ScalarsRelation(Circuit):
    """For a configuration and a network's classes and parameters; `label_bytes` as in the data's schema."""

    def __init__(self, configuration, network, results, label_bytes=1):
        super().__init__("scalars", b"scalars\0" + repr(results).encode() + configuration.encode())
        self.configuration = configuration
        batches = (configuration.steps, configuration.batch_size)
        shape = (configuration.passes, configuration.batch_size, network.classes, 1, 1)
        self.logits = Committed(LimbColumns("logits", CONVOLUTION, shape))
        shape = batches if label_bytes == 1 else (*batches, label_bytes)
        self.records = Committed(RecordColumn(Column(LABELS, shape)))
        weight = LimbFormat(16, 48, True)
        self.weights, self.gradients, parameters = {}, {}, []
        for name, sizes in network.parameters:
            self.weights[name] = Committed(LimbColumns(f"{name}: w", weight, (configuration.passes, *sizes)))
            self.gradients[name] = Committed(LimbColumns(f"{name}: g", GRADIENT, (configuration.steps, *sizes)))
            perturbation = perturbation_tensor(configuration, name, sizes)
            parameters.append(Parameter(name, self.weights[name], self.gradients[name], perturbation))
        delta = logit_delta_tensor(probe_schedule(configuration), network.classes)
        self.scalars = Scalars(configuration, self.logits, self.records, delta, parameters, results)
        self.given = [self.logits, self.records, *self.weights.values(), *self.gradients.values()]
        self.results = results
        for component in (Operands(*self.given), self.scalars):
            self.add(component)

    def open_columns(self, trajectory):
        """The columns but for carries."""
        columns = split(self.logits, trajectory.logits[..., None, None])
        labels = trajectory.labels
        columns |= split(
            self.records, labels if len(self.records.shape) == 2 else np.stack([labels % 256, labels >> 8], axis=2)
        )
        for name, weight in self.weights.items():
            at = [trajectory.weights_at(name, index) for index in range(self.configuration.passes)]
            columns |= split(weight, np.stack(at)) | split(self.gradients[name], trajectory.values[f"{name}: gradient"])
        for tensor in self.scalars.norms.tensors:
            if tensor.name in trajectory.values:
                columns |= split(tensor, trajectory.values[tensor.name])
        return columns | self.scalars.columns_of(trajectory)

    def columns_of(self, trajectory):
        """All of them."""
        return self.witness(self.open_columns(trajectory), {})
