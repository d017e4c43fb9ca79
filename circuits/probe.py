"""A whole probe: T steps of two passes, then the results (Algorithm 1 of the paper, on integers)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkds.circuits.arithmetic.exact import Operand, Rounded
from zkds.circuits.arithmetic.fixed_point import (
    CONVOLUTION,
    DELTA,
    EXPONENTIAL_BITS,
    FIRST_SCALE,
    MAX_CLASSES,
    RESULT_FRACTION_BITS,
    SHARPNESS,
    WEIGHT,
    Configuration,
    Place,
    exact_sums,
    require_format,
    round_half_up,
)
from zkds.circuits.metric.batch_loss import BatchLoss, batch_loss
from zkds.circuits.metric.deviation import deviation, is_below_eps, is_saturated, log_ratio
from zkds.circuits.metric.implicit import gradient_squares, perturbation_factor, scaled_squares, update_factor
from zkds.circuits.metric.loss import LogitDelta, Softmax, logit_delta, losses, softmax
from zkds.circuits.metric.margin import largest_margin
from zkds.circuits.metric.perturbation import Perturbation, perturb, scaled_gradients, squared_norm
from zkds.circuits.networks.graph import Network
from zkds.circuits.operators.implicit import ImplicitWeight, Movement, OuterProducts, PassProducts, pairs, pairs_of_pass
from zkds.circuits.operators.operator import Backward, Forward, GradientKind, Weight, gradient_kinds
from zkds.circuits.trajectory import Trajectory
from zkds.integers.limbs import I64, LimbFormat

Progress = Callable[[int, int], None]  # passes done, passes in all
Parameters = dict[str, I64]
Gradients = dict[str, I64 | OuterProducts]  # of the implicit parameters, exact ones


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
        self.put_run(tensor, slice(index, index + 1), count, value[None])

    def put_run(self, tensor: str, indices: slice, count: int, values: NDArray[Any]) -> None:
        """Write neighbouring ones of the `count` entries of a tensor."""
        if tensor not in self.arrays:
            self.arrays[tensor] = np.empty((count, *values.shape[1:]), dtype=values.dtype)
        self.arrays[tensor][indices] = values


def forward(network: Network, weights: Mapping[str, Weight], inputs: I64, place: Place) -> list[Forward]:
    """All nodes on a batch (B, C, H, W) [32], with the integers of all of `Network.tensors`. Raises Overflow."""
    results: list[Forward] = []
    for node, placed in zip(network.nodes, network.placed, strict=True):
        words = (*node.operator.parameters, *node.operator.constants)
        own = {word: weights[f"{node.name}.{word}"] for word, _ in words}
        values = [results[index - 1].output if index else inputs for index in node.inputs]
        here = place.at(placed.name)
        with exact_sums(here):
            results.append(node.operator.forward(placed, values, own, here))
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
        with exact_sums(here):
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
        self.weights: dict[str, Weight] = {name: weights[name] for name, _ in network.parameters}
        self.bits = network.implicit(configuration)
        for name, bits in self.bits.items():
            self.weights[name] = ImplicitWeight(bits, Operand.of(weights[name]))
        self.constants = {name: weights[name] for name, _ in network.constants}
        self.inputs = inputs
        self.labels = labels
        self.configuration = configuration
        self.kinds = gradient_kinds(configuration)
        self.stacks = _Stacks()
        self.scores: dict[int, tuple[Softmax, LogitDelta]] = {}  # by pass
        self.losses: list[list[int]] = []
        self.batch_losses: list[BatchLoss] = []
        self.sharpness_squares: list[int] = []
        self.perturbations: list[Perturbation] = []
        self.log_ratios: list[int] = []
        for name, bits in self.bits.items():
            if bits.movement is Movement.ROUNDED:
                self.stacks.put(f"{name}: weights", 0, configuration.steps, weights[name])

    def step(self, step: int, progress: Progress) -> None:
        """Both passes of a step; only the first of the last one."""
        configuration = self.configuration
        place = Place(step)
        found = self._first_pass(step)
        gradients, outer = _arrays(found), _outer(found)
        progress(2 * step + 1, configuration.passes)
        directions = {"SAM": gradients, "ASAM": self._scaled(step, gradients, place)}
        implicit = self._implicit_squares(step, outer, place)
        squares = squared_norm(directions[configuration.sharpness], place, implicit[configuration.sharpness])
        self.sharpness_squares.append(squares)
        self.log_ratios.append(log_ratio(squares, self.batch_losses[step], place))
        if step == configuration.steps - 1:
            return
        kind = configuration.perturbation
        moved = self._perturbed(step, directions[kind], place, outer, implicit[kind])
        updates = self._second_pass(step, moved)
        progress(2 * step + 2, configuration.passes)
        self._update(step, _arrays(updates), _outer(updates))

    def _update(self, step: int, updates: Parameters, outer: Mapping[str, OuterProducts]) -> None:
        """w_(t+1)."""
        moved: dict[str, Weight] = {name: value - updates[name] for name, value in _arrays(self.weights).items()}
        for name, weight in _implicit(self.weights).items():
            if self.bits[name].movement is Movement.EXACT:
                moved[name] = weight.updated(outer[name])
            else:
                moved[name] = self._rounded_update(step, name, weight, outer[name])
        self.weights = moved

    def _rounded_update(self, step: int, name: str, weight: ImplicitWeight, update: OuterProducts) -> ImplicitWeight:
        """w_(t+1) of an implicit weight whose updates are rounded."""
        moved, remainder = weight.rounded(update, Place(step, second=True).at(name))
        self.stacks.put(f"{name}: update: remainder", step, self.configuration.steps - 1, remainder)
        self.stacks.put(f"{name}: weights", step + 1, self.configuration.steps, moved.start.values)
        return moved

    def _first_pass(self, step: int) -> Gradients:
        """The gradients g_t, times 2^k; records the losses."""
        place = Place(step, second=False)
        forwards = forward(self.network, {**self.weights, **self.constants}, self.inputs[step], place)
        scores = softmax(forwards[-1].output[:, :, 0, 0])
        self.losses.append(losses(scores, self.labels[step]))
        self.batch_losses.append(batch_loss(self.losses[step], self.configuration, place))
        delta = logit_delta(scores, self.labels[step], FIRST_SCALE << self.batch_losses[step].scale)
        return self._backward(step, forwards, scores, delta, place)

    def _second_pass(self, step: int, weights: Mapping[str, Weight]) -> Gradients:
        """The updates U_t, from the gradient at the perturbed weights."""
        place = Place(step, second=True)
        forwards = forward(self.network, {**weights, **self.constants}, self.inputs[step], place)
        scores = softmax(forwards[-1].output[:, :, 0, 0])
        delta = logit_delta(scores, self.labels[step], self.configuration.second_scale)
        gradients = self._backward(self.configuration.steps + step, forwards, scores, delta, place)
        return gradients | self._update_factors(step, _outer(gradients), place)

    def _backward(self, index: int, forwards: Sequence[Forward], scores: Softmax, delta: LogitDelta, place: Place) -> Gradients:
        """The way back of pass `index`, whose gradients or updates are returned; records all of the pass."""
        steps, inputs = self.configuration.steps, self.inputs[place.step]
        kind, count = (self.kinds[1], steps - 1) if place.second else (self.kinds[0], steps)
        backwards, gradients = backward(self.network, inputs, forwards, delta.logit_delta, kind, place)
        outer: Gradients = {}
        for node, name, ahead, back in zip(self.network.nodes, self.network.names, forwards, backwards, strict=True):
            for tensor, value in {"output": ahead.output, **ahead.values, **back.values}.items():
                self.stacks.put(f"{name}: {tensor}", index, self.configuration.passes, value)
            for products in (ahead.products, back.products):
                self._record_products(index, name, products)
            outer |= {f"{node.name}.{word}": found for word, found in back.implicit.items()}
        self.scores[index] = (scores, delta)
        return outer | self._record(kind.name, f"{kind.name}: remainder", place.step, count, gradients)

    def _record_products(self, index: int, node: str, products: PassProducts) -> None:
        """Store what pass `index` multiplies with what earlier passes left of implicit weights."""
        steps = self.configuration.steps
        step = index - steps  # if it is a second pass
        places = (
            (products.pairs, pairs_of_pass(steps, index), len(pairs(steps))),
            (products.perturbed, slice(step, step + 1), steps - 1),
        )
        for found, indices, count in places:
            for word, rounded in found.items():
                self.stacks.put_run(f"{node}: {word}", indices, count, rounded.value)
                self.stacks.put_run(f"{node}: {word}: remainder", indices, count, rounded.remainder)

    def _update_factors(self, step: int, gradients: Mapping[str, OuterProducts], place: Place) -> Gradients:
        """The updates of implicit parameters."""
        found = {name: update_factor(g, self.bits[name], place.at(name)) for name, g in gradients.items()}
        factors = self._record("update factor", "update factor: remainder", step, self.configuration.steps - 1, found)
        return {name: OuterProducts(factor, gradients[name].patches) for name, factor in factors.items()}

    def _scaled(self, step: int, gradients: Parameters, place: Place) -> Parameters:
        if not self.configuration.scales_gradients:
            return {}
        found = scaled_gradients(_arrays(self.weights), gradients, place)
        return self._record("scaled", "scaled remainder", step, self.configuration.steps, found)

    def _implicit_squares(self, step: int, gradients: Mapping[str, OuterProducts], place: Place) -> dict[str, int]:
        """The sums of squares of g (SAM), and of w o g where it is needed (ASAM), over all implicit parameters."""
        totals = dict.fromkeys(SHARPNESS, 0)
        for name, g in gradients.items():
            here = place.at(name)
            found = {"SAM": ("squares", gradient_squares(g, self.bits[name], here))}
            if self.configuration.scales_gradients:
                found["ASAM"] = ("scaled squares", scaled_squares(_implicit(self.weights)[name], g, here))
            for kind, (tensor, (value, remainder)) in found.items():
                totals[kind] += value
                for stored, number in ((tensor, value), (f"{tensor}: remainder", remainder)):
                    self.stacks.put(f"{name}: {stored}", step, self.configuration.steps, np.array(number, dtype=object))
        return totals

    def _perturbed(
        self, step: int, direction: Parameters, place: Place, outer: Mapping[str, OuterProducts], implicit: int
    ) -> dict[str, Weight]:
        """w_t + E_t; outer: the gradients of implicit parameters, and the sum of their squares."""
        weights = _arrays(self.weights)
        found = perturb(weights, direction, self.configuration, place, implicit)
        self.perturbations.append(found)
        count = self.configuration.steps - 1
        self._record("normalised", "normalised remainder", step, count, found.normalised)
        perturbation = self._record("perturbation", "perturbation remainder", step, count, found.perturbation)
        factors = {name: perturbation_factor(found.kappa, g, self.bits[name], place.at(name)) for name, g in outer.items()}
        self._record("perturbation factor", "perturbation factor: remainder", step, count, factors)
        explicit: dict[str, Weight] = {name: value + perturbation[name] for name, value in weights.items()}
        return explicit | {
            name: value.perturbed(OuterProducts(factors[name].value, outer[name].patches))
            for name, value in _implicit(self.weights).items()
        }

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
        loss_sums = tuple(loss.total for loss in self.batch_losses)
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
            losses=np.array(self.losses, dtype=object),
            loss_sums=loss_sums,
            loss_scales=tuple(loss.scale for loss in self.batch_losses),
            scaled_eps=tuple(loss.eps for loss in self.batch_losses),
            sharpness_squares=tuple(self.sharpness_squares),
            perturbation_squares=tuple(found.squares for found in self.perturbations),
            norms=tuple(found.norm for found in self.perturbations),
            kappas=tuple(found.kappa for found in self.perturbations),
            log_ratios=tuple(self.log_ratios),
            value=deviation(self.log_ratios),
            total_loss=round_half_up(sum(loss_sums), EXPONENTIAL_BITS - RESULT_FRACTION_BITS),
            correct=int((predicted == self.labels).sum()),
            saturated=sum(is_saturated(loss, self.configuration) for loss in self.batch_losses),
            below_eps=sum(map(is_below_eps, self.sharpness_squares, self.batch_losses)),
            distinct_labels=len(np.unique(self.labels)),
            largest_margin=largest_margin(np.stack([found.distance for found in scores[: self.configuration.steps]])),
        )


def _arrays(tensors: Mapping[str, I64 | ImplicitWeight | OuterProducts]) -> Parameters:
    """What belongs to explicit parameters."""
    return {name: value for name, value in tensors.items() if isinstance(value, np.ndarray)}


def _implicit(weights: Mapping[str, Weight]) -> dict[str, ImplicitWeight]:
    """The weights that are implicit."""
    return {name: value for name, value in weights.items() if isinstance(value, ImplicitWeight)}


def _outer(gradients: Gradients) -> dict[str, OuterProducts]:
    """Gradients or updates of implicit weights."""
    return {name: value for name, value in gradients.items() if isinstance(value, OuterProducts)}


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
