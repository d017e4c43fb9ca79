"""A whole probe: T steps of two passes, then the results (Algorithm 1 of the paper, on integers)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkds.circuits.arithmetic.exact import Rounded
from zkds.circuits.arithmetic.fixed_point import (
    CONVOLUTION,
    FIRST_SCALE,
    GRADIENT,
    GRADIENT_BITS,
    LOSS_SUM,
    MAX_CLASSES,
    WEIGHT,
    WEIGHT_BITS,
    Configuration,
    Place,
    require_format,
    require_unsigned,
)
from zkds.circuits.networks.graph import Network
from zkds.circuits.networks.trajectory import Trajectory
from zkds.circuits.operators.placed import placed_layers
from zkds.circuits.semantics.backward import LayerBackward, backward
from zkds.circuits.semantics.forward import LayerForward, forward
from zkds.circuits.semantics.loss import LogitDelta, Softmax, logit_delta, losses, softmax
from zkds.circuits.semantics.sam import Perturbation, perturb, scaled_gradients, squared_norm
from zkds.circuits.semantics.statistic import deviation, is_below_eps, is_saturated, log_ratio
from zkds.integers.limbs import I64

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

    weights: w_0 [40] of every parameter, int64 (*shape); inputs [32]: (T, B, *network.input_shape) int64; labels: (T, B) int64.

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
        self._arrays: dict[tuple[str, str | int], NDArray[Any]] = {}

    def put(self, tensor: str, key: str | int, index: int, count: int, value: NDArray[Any]) -> None:
        """Write entry `index` of the `count` entries of (tensor, key)."""
        if (tensor, key) not in self._arrays:
            self._arrays[tensor, key] = np.empty((count, *value.shape), dtype=value.dtype)
        self._arrays[tensor, key][index] = value

    def of(self, tensor: str) -> dict[str | int, NDArray[Any]]:
        """The arrays of a tensor by key."""
        return {key: array for (name, key), array in self._arrays.items() if name == tensor}


class _Probe:
    """The state of a probe between steps: the weights w_t, and what was computed so far."""

    def __init__(self, network: Network, weights: Parameters, inputs: I64, labels: I64, configuration: Configuration) -> None:
        self.network = network
        self.layers = placed_layers(network)
        self.initial = weights
        self.weights = weights
        self.inputs = inputs
        self.labels = labels
        self.configuration = configuration
        self.stacks = _Stacks()
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
        forwards = forward(self.layers, self.weights, self.inputs[step], place)
        scores = softmax(forwards[-1].convolution[:, :, 0, 0])
        self.losses.append(losses(scores, self.labels[step]))
        self.loss_sums.append(sum(self.losses[step]))
        require_unsigned(self.loss_sums[step], LOSS_SUM.width, "sum of the losses", place)
        delta = logit_delta(scores, self.labels[step], FIRST_SCALE)
        deltas, gradients = backward(
            self.layers, forwards, delta.logit_delta, GRADIENT_BITS, ("gradient", GRADIENT, GRADIENT_BITS), place
        )
        self._record_pass(step, forwards, scores, delta, deltas)
        return self._record("gradient", step, self.configuration.steps, gradients)

    def _second_pass(self, step: int, weights: Parameters) -> Parameters:
        """The updates U_t, from the gradient at the perturbed weights."""
        configuration = self.configuration
        place = Place(step, second=True)
        forwards = forward(self.layers, weights, self.inputs[step], place)
        scores = softmax(forwards[-1].convolution[:, :, 0, 0])
        delta = logit_delta(scores, self.labels[step], configuration.second_scale)
        result = ("update", configuration.update, WEIGHT_BITS)
        deltas, updates = backward(self.layers, forwards, delta.logit_delta, configuration.second_bits, result, place)
        self._record_pass(configuration.steps + step, forwards, scores, delta, deltas)
        return self._record("update", step, configuration.steps - 1, updates)

    def _scaled(self, step: int, gradients: Parameters, place: Place) -> Parameters:
        if not self.configuration.scales_gradients:
            return {}
        return self._record("scaled", step, self.configuration.steps, scaled_gradients(self.weights, gradients, place))

    def _perturbed(self, step: int, direction: Parameters, place: Place) -> Parameters:
        """w_t + E_t."""
        found = perturb(self.weights, direction, self.configuration, place)
        self.perturbations.append(found)
        count = self.configuration.steps - 1
        self._record("normalised", step, count, found.normalised)
        perturbation = self._record("perturbation", step, count, found.perturbation)
        return {name: value + perturbation[name] for name, value in self.weights.items()}

    def _record(self, tensor: str, step: int, count: int, found: Mapping[str, Rounded]) -> Parameters:
        """Store a rounded tensor of every parameter and its remainder; its values are returned."""
        for name, rounded in found.items():
            self.stacks.put(tensor, name, step, count, rounded.value)
            self.stacks.put(f"{tensor}_remainder", name, step, count, rounded.remainder)
        return {name: rounded.value for name, rounded in found.items()}

    def _record_pass(
        self, index: int, forwards: list[LayerForward], scores: Softmax, delta: LogitDelta, deltas: list[LayerBackward]
    ) -> None:
        count = self.configuration.passes
        for layer, (ahead, back) in enumerate(zip(forwards, deltas, strict=True)):
            for tensor, value in (
                ("convolution", ahead.convolution),
                ("convolution_remainder", ahead.remainder),
                ("mask", ahead.mask),
                ("activation", ahead.activation),
                ("output_delta", back.output_delta),
            ):
                self.stacks.put(tensor, layer, index, count, value)
            if layer:
                self.stacks.put("input_delta", layer, index, count, back.input_delta)
                self.stacks.put("input_delta_remainder", layer, index, count, back.input_delta_remainder)
        for tensor in SOFTMAX_TENSORS:
            self.stacks.put(tensor, 0, index, count, getattr(delta if hasattr(delta, tensor) else scores, tensor))

    def trajectory(self) -> Trajectory:
        """All of it, once every step is done."""
        values: dict[str, Any] = {tensor: self._of_layers(tensor) for tensor in LAYER_TENSORS}
        values.update((tensor, self.stacks.of(tensor)[0]) for tensor in SOFTMAX_TENSORS)
        for tensor in PARAMETER_TENSORS:
            values[tensor] = self._of_parameters(tensor)
            values[f"{tensor}_remainder"] = self._of_parameters(f"{tensor}_remainder")
        for statistic in ("loss_sums", "sharpness_squares", "log_ratios"):
            values[statistic] = tuple(getattr(self, statistic))
        predicted = values["maximum"][: self.configuration.steps]
        ratios = zip(self.sharpness_squares, self.loss_sums, strict=True)
        return Trajectory(
            network=self.network,
            configuration=self.configuration,
            weights={name: self.initial[name] for name, _ in self.network.parameters},
            inputs=self.inputs,
            labels=self.labels,
            **values,
            losses=np.array(self.losses, dtype=np.int64),
            perturbation_squares=tuple(found.squares for found in self.perturbations),
            norms=tuple(found.norm for found in self.perturbations),
            kappas=tuple(found.kappa for found in self.perturbations),
            value=deviation(self.log_ratios),
            total_loss=sum(self.loss_sums),
            correct=int((predicted == self.labels).sum()),
            saturated=sum(is_saturated(loss, self.configuration) for loss in self.loss_sums),
            below_eps=sum(is_below_eps(squares, loss, self.configuration) for squares, loss in ratios),
        )

    def _of_layers(self, tensor: str) -> tuple[NDArray[Any], ...]:
        found = self.stacks.of(tensor)
        return tuple(found.get(layer, np.zeros(0, dtype=np.int64)) for layer in range(len(self.layers)))

    def _of_parameters(self, tensor: str) -> Parameters:
        found = self.stacks.of(tensor)
        return {name: found[name] for name, _ in self.network.parameters if name in found}


LAYER_TENSORS = (
    "convolution",
    "convolution_remainder",
    "mask",
    "activation",
    "input_delta",
    "input_delta_remainder",
    "output_delta",
)
PARAMETER_TENSORS = ("gradient", "scaled", "normalised", "perturbation", "update")
SOFTMAX_TENSORS = (
    "maximum",
    "exponential_product",
    "exponential_product_remainder",
    "exponential",
    "exponential_remainder",
    "exponential_sum",
    "logit_delta",
    "logit_delta_remainder",
)


def _check(network: Network, weights: Mapping[str, I64], inputs: I64, labels: I64, configuration: Configuration) -> None:
    """Raise TypeError, ValueError or Overflow for arguments that `run` refuses."""
    if not isinstance(network, Network) or not isinstance(configuration, Configuration):
        raise TypeError("run: expected a Network and a Configuration")
    if network.classes > MAX_CLASSES:
        raise ValueError(f"network: expected at most {MAX_CLASSES} classes, got {network.classes}")
    if set(weights) != {name for name, _ in network.parameters}:
        raise ValueError(f"weights: expected {[name for name, _ in network.parameters]}, got {sorted(weights)}")
    for name, shape in network.parameters:
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
