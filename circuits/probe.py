"""A whole probe: T steps of two passes, then the results (Algorithm 1 of the paper, on integers)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkds.circuits.arithmetic.exact import Rounded
from zkds.circuits.arithmetic.fixed_point import (
    CONVOLUTION,
    DELTA,
    FIRST_SCALE,
    LOSS_SUM,
    MAX_CLASSES,
    WEIGHT,
    Configuration,
    Place,
    require_format,
    require_unsigned,
)
from zkds.circuits.metric.deviation import deviation, is_below_eps, is_saturated, log_ratio
from zkds.circuits.metric.loss import LogitDelta, Softmax, logit_delta, losses, softmax
from zkds.circuits.metric.perturbation import Perturbation, perturb, scaled_gradients, squared_norm
from zkds.circuits.networks.graph import Network
from zkds.circuits.operators.operator import Backward, Forward, GradientKind, gradient_kinds
from zkds.circuits.trajectory import Trajectory
from zkds.integers.limbs import I64, LimbFormat

Progress = Callable[[int, int], None]  # passes done, passes in all
Parameters = dict[str, I64]


def run(
    network: Network,
    weights: Mapping[str, I64],
    inputs: I64,
    labels: I64,
    configuration: Configuration,
    progress: Progress | None = None,
) -> Trajectory:
    """Everything that a probe computes.

    weights: the integers of the model, int64 (*shape): w_0 [40] of every parameter, and every constant;
    inputs [32]: (T, B, *network.input_shape) int64; labels: (T, B) int64.

    Raises TypeError and ValueError for arguments of other names, types, shapes or labels, Overflow for a value that its
    format does not hold.
    """
    _check(network, weights, inputs, labels, configuration)
    probe = _Probe(network, dict(weights), inputs, labels, configuration)
    for step in range(configuration.steps):
        probe.step(step, progress or (lambda done, total: None))
    return probe.trajectory()


class _Stacks:
    """Tensors that come one index at a time, each written at once into its place of the whole."""

    def __init__(self) -> None:
        self.arrays: dict[str, NDArray[Any]] = {}

    def put(self, tensor: str, index: int, count: int, value: NDArray[Any]) -> None:
        """Write entry `index` of the `count` entries of a tensor."""
        if tensor not in self.arrays:
            self.arrays[tensor] = np.empty((count, *value.shape), dtype=value.dtype)
        self.arrays[tensor][index] = value


def forward(network: Network, weights: Mapping[str, I64], inputs: I64, place: Place) -> list[Forward]:
    """All nodes on a batch (B, C, H, W) [32], with the integers of all of `Network.tensors`. Raises Overflow."""
    results: list[Forward] = []
    for node, placed in zip(network.nodes, network.placed, strict=True):
        words = (*node.operator.parameters, *node.operator.constants)
        own = {word: weights[f"{node.name}.{word}"] for word, _ in words}
        values = [results[index - 1].output if index else inputs for index in node.inputs]
        results.append(node.operator.forward(placed, values, own, place.at(placed.name)))
    return results


def backward(
    network: Network, inputs: I64, forwards: Sequence[Forward], logit_delta: I64, kind: GradientKind, place: Place
) -> tuple[list[Backward], dict[str, Rounded]]:
    """Deltas of all nodes and gradients of all parameters from the logits' deltas (B, K) [e]. Raises Overflow."""
    deltas: list[list[tuple[I64, int]]] = [[] for _ in range(len(network.nodes) + 1)]
    deltas[-1].append((logit_delta.reshape(*logit_delta.shape, 1, 1), 0))
    results: list[Backward] = []
    gradients: dict[str, Rounded] = {}
    for index in reversed(range(1, len(deltas))):
        node, placed = network.nodes[index - 1], network.placed[index - 1]
        if not network.learns[index]:
            results.append(Backward([None] * len(node.inputs)))
            continue
        here = place.at(placed.name)
        delta = _summed(deltas[index], placed.delta_bits, here)
        values = [forwards[source - 1].output if source else inputs for source in node.inputs]
        result = node.operator.backward(placed, values, forwards[index - 1], delta, kind, here)
        for word, found in result.gradients.items():
            parameter = f"{node.name}.{word}"
            require_format(found.value, kind.format, kind.name, here.at(parameter))
            gradients[parameter] = found
        bits = node.operator.input_delta_bits(placed.delta_bits)
        for source, found_delta in zip(node.inputs, result.deltas, strict=True):
            if found_delta is not None:
                deltas[source].append((found_delta, bits))
        results.append(result)
    return results[::-1], gradients


def _summed(deltas: Sequence[tuple[I64, int]], bits: int, place: Place) -> I64:
    """The deltas that come back to one output, each with its own binary point: their exact sum, at that of the most bits.

    Raises Overflow for a sum that is wider than a delta. Each part is checked, so nothing wraps before it is seen.
    """
    (first, own), *others = deltas
    if not others:
        return first
    number = LimbFormat(DELTA.limb_bits, DELTA.width + bits, signed=True)
    total = first << np.int64(bits - own)
    for delta, own in others:
        total = total + (delta << np.int64(bits - own))
        require_format(total, number, "delta of output", place)
    return total


class _Probe:
    """The state of a probe between steps: the weights w_t, and what was computed so far."""

    def __init__(self, network: Network, weights: Parameters, inputs: I64, labels: I64, configuration: Configuration) -> None:
        self.network = network
        self.initial = weights
        self.weights = {name: weights[name] for name, _ in network.parameters}
        self.constants = {name: weights[name] for name, _ in network.constants}
        self.inputs = inputs
        self.labels = labels
        self.configuration = configuration
        self.kinds = gradient_kinds(configuration)
        self.stacks = _Stacks()
        self.scores: dict[int, tuple[Softmax, LogitDelta]] = {}  # by pass
        self.losses: list[list[int]] = []
        self.loss_sums: list[int] = []
        self.sharpness_squares: list[int] = []
        self.perturbations: list[Perturbation] = []
        self.log_ratios: list[int] = []

    def step(self, step: int, progress: Progress) -> None:
        """Both passes of a step; only the first of the last one."""
        configuration = self.configuration
        place = Place(step)
        gradients = self._first_pass(step)
        progress(2 * step + 1, configuration.passes)
        scaled = self._scaled(step, gradients, place)
        squares = squared_norm(scaled if configuration.sharpness == "ASAM" else gradients, place)
        self.sharpness_squares.append(squares)
        self.log_ratios.append(log_ratio(squares, self.loss_sums[step], configuration, place))
        if step == configuration.steps - 1:
            return
        moved = self._perturbed(step, scaled if configuration.perturbation == "ASAM" else gradients, place)
        updates = self._second_pass(step, moved)
        progress(2 * step + 2, configuration.passes)
        self.weights = {name: value - updates[name] for name, value in self.weights.items()}

    def _first_pass(self, step: int) -> Parameters:
        """The gradients g_t; records the losses."""
        place = Place(step, second=False)
        forwards = forward(self.network, self.weights | self.constants, self.inputs[step], place)
        scores = softmax(forwards[-1].output[:, :, 0, 0])
        self.losses.append(losses(scores, self.labels[step]))
        self.loss_sums.append(sum(self.losses[step]))
        require_unsigned(self.loss_sums[step], LOSS_SUM.width, "sum of the losses", place)
        delta = logit_delta(scores, self.labels[step], FIRST_SCALE)
        return self._backward(step, forwards, scores, delta, place)

    def _second_pass(self, step: int, weights: Parameters) -> Parameters:
        """The updates U_t, from the gradient at the perturbed weights."""
        place = Place(step, second=True)
        forwards = forward(self.network, weights | self.constants, self.inputs[step], place)
        scores = softmax(forwards[-1].output[:, :, 0, 0])
        delta = logit_delta(scores, self.labels[step], self.configuration.second_scale)
        return self._backward(self.configuration.steps + step, forwards, scores, delta, place)

    def _backward(
        self, index: int, forwards: Sequence[Forward], scores: Softmax, delta: LogitDelta, place: Place
    ) -> Parameters:
        """The way back of pass `index`, whose gradients or updates are returned; records all of the pass."""
        steps, inputs = self.configuration.steps, self.inputs[place.step]
        kind, count = (self.kinds[1], steps - 1) if place.second else (self.kinds[0], steps)
        backwards, gradients = backward(self.network, inputs, forwards, delta.logit_delta, kind, place)
        for placed, ahead, back in zip(self.network.placed, forwards, backwards, strict=True):
            for tensor, value in {"output": ahead.output, **ahead.values, **back.values}.items():
                self.stacks.put(f"{placed.name}: {tensor}", index, self.configuration.passes, value)
        self.scores[index] = (scores, delta)
        return self._record(kind.name, f"{kind.name}: remainder", place.step, count, gradients)

    def _scaled(self, step: int, gradients: Parameters, place: Place) -> Parameters:
        if not self.configuration.scales_gradients:
            return {}
        found = scaled_gradients(self.weights, gradients, place)
        return self._record("scaled", "scaled remainder", step, self.configuration.steps, found)

    def _perturbed(self, step: int, direction: Parameters, place: Place) -> Parameters:
        """w_t + E_t."""
        found = perturb(self.weights, direction, self.configuration, place)
        self.perturbations.append(found)
        count = self.configuration.steps - 1
        self._record("normalised", "normalised remainder", step, count, found.normalised)
        perturbation = self._record("perturbation", "perturbation remainder", step, count, found.perturbation)
        return {name: value + perturbation[name] for name, value in self.weights.items()}

    def _record(self, tensor: str, remainder: str, step: int, count: int, found: Mapping[str, Rounded]) -> Parameters:
        """Store a rounded tensor of every parameter and its remainder; its values are returned."""
        for name, rounded in found.items():
            self.stacks.put(f"{name}: {tensor}", step, count, rounded.value)
            self.stacks.put(f"{name}: {remainder}", step, count, rounded.remainder)
        return {name: rounded.value for name, rounded in found.items()}

    def trajectory(self) -> Trajectory:
        """All of it, once every step is done."""
        scores, deltas = zip(*(self.scores[index] for index in range(self.configuration.passes)), strict=True)
        maximum = np.stack([found.maximum for found in scores])
        predicted = maximum[: self.configuration.steps]
        ratios = zip(self.sharpness_squares, self.loss_sums, strict=True)
        return Trajectory(
            network=self.network,
            configuration=self.configuration,
            weights={name: self.initial[name] for name, _ in self.network.tensors},
            inputs=self.inputs,
            labels=self.labels,
            values=self.stacks.arrays,
            logit_delta=np.stack([found.logit_delta for found in deltas]),
            logit_delta_remainder=np.stack([found.logit_delta_remainder for found in deltas]),
            maximum=maximum,
            exponential_product=np.stack([found.exponential_product for found in scores]),
            exponential_product_remainder=np.stack([found.exponential_product_remainder for found in scores]),
            exponential=np.stack([found.exponential for found in scores]),
            exponential_remainder=np.stack([found.exponential_remainder for found in scores]),
            exponential_sum=np.stack([found.exponential_sum for found in scores]),
            losses=np.array(self.losses, dtype=np.int64),
            loss_sums=tuple(self.loss_sums),
            sharpness_squares=tuple(self.sharpness_squares),
            perturbation_squares=tuple(found.squares for found in self.perturbations),
            norms=tuple(found.norm for found in self.perturbations),
            kappas=tuple(found.kappa for found in self.perturbations),
            log_ratios=tuple(self.log_ratios),
            value=deviation(self.log_ratios),
            total_loss=sum(self.loss_sums),
            correct=int((predicted == self.labels).sum()),
            saturated=sum(is_saturated(loss, self.configuration) for loss in self.loss_sums),
            below_eps=sum(is_below_eps(squares, loss, self.configuration) for squares, loss in ratios),
        )


def _check(network: Network, weights: Mapping[str, I64], inputs: I64, labels: I64, configuration: Configuration) -> None:
    """Raise TypeError, ValueError or Overflow for arguments that `run` refuses."""
    if not isinstance(network, Network) or not isinstance(configuration, Configuration):
        raise TypeError("run: expected a Network and a Configuration")
    if network.classes > MAX_CLASSES:
        raise ValueError(f"network: expected at most {MAX_CLASSES} classes, got {network.classes}")
    if set(weights) != {name for name, _ in network.tensors}:
        raise ValueError(f"weights: expected {[name for name, _ in network.tensors]}, got {sorted(weights)}")
    for name, shape in network.tensors:
        _require_array(f"weights of {name}", weights[name], shape)
        require_format(weights[name], WEIGHT, "weight", Place(0, None, name))
    batches = (configuration.steps, configuration.batch_size)
    _require_array("inputs", inputs, (*batches, *network.input_shape))
    _require_array("labels", labels, batches)
    if int(labels.min()) < 0 or int(labels.max()) >= network.classes:
        raise ValueError(f"labels: expected 0 to {network.classes - 1}")
    for step in range(configuration.steps):
        require_format(inputs[step], CONVOLUTION, "input", Place(step))


def _require_array(name: str, array: I64, shape: tuple[int, ...]) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != np.int64:
        raise TypeError(f"{name}: expected an int64 array, got {getattr(array, 'dtype', type(array).__name__)}")
    if array.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {array.shape}")
