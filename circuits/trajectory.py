"""Everything that the semantics computes for one probe: the witness of the proof, tensor by tensor.

T steps, B records each, P = 2 T - 1 passes: pass p < T is the first pass of step p, at w_p; pass p = T + t is the second pass
of step t < T - 1, at w_t + E_t, on the same batch. Tensors of all passes are stacked on axis 0. A remainder belongs to the
rounded tensor that its name begins with:

    rounded = floor((exact + half) / 2^s)      remainder = (exact + half) mod 2^s      half = 2^(s - 1)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from zkds.circuits.arithmetic.exact import Integers
from zkds.circuits.arithmetic.fixed_point import WEIGHT_BITS, Configuration
from zkds.circuits.networks.graph import Network
from zkds.circuits.operators.convolution import exact
from zkds.circuits.operators.convolution.operator import Convolution
from zkds.circuits.operators.implicit import FACTOR_BITS, Movement, output_rows
from zkds.integers.limbs import I64


@dataclass(frozen=True, repr=False)
class Trajectory:
    """All values of a probe; arrays are int64 unless said otherwise, fractional bits in brackets.

    values   by the names of the circuit's tensors, "NODE: output" and what else the node's operator says (circuits/operators/),
             most of them (P, B, C, H, W), all of them (P, ..); and for every parameter, (steps, *shape of the parameter):
                 PARAMETER: gradient       g times 2^k, T steps [44]
                 PARAMETER: scaled         v = w_t o g, T steps [44]; none unless sharpness or perturbation is ASAM
                 PARAMETER: normalised     n, T - 1 steps [40]; none unless the perturbation is ASAM
                 PARAMETER: perturbation   E, T - 1 steps [40]
                 PARAMETER: update         U, T - 1 steps [40]
             with the remainders of their roundings. If the weight of a layer NODE is implicit, it has none of these but
             (circuits/operators/implicit.py, `pairs` too), with R = B Y X rows, one for every output position (y, x),
                 NODE.weight: update factor         D^ (T - 1, B, M, Y, X) [38]
                 NODE.weight: perturbation factor   E^ (T - 1, B, M, Y, X) [38]
                 NODE: input products               G (`pairs`, R, R) [30], and NODE: delta products, K [e + 4]
                 NODE: perturbed input products     H (T - 1, R, R) [30], and NODE: perturbed delta products, L [e + 4]
                 NODE.weight: squares               Q (T,) of Python ints [88]
                 NODE.weight: scaled squares        V (T,) of Python ints [88]; none unless the sharpness is ASAM
             and "TENSOR: remainder" of each; K and L where something needs the deltas of the layer's inputs. If its updates are
             rounded there is no G and no K, but
                 NODE.weight: weights               w_t (T, M, C, kernel) [40], all steps
                 NODE.weight: update: remainder     of U = w_u - w_(u+1) (T - 1, M, C, kernel)
    weights  the integers of the model by their names: w_0 of the parameters, (*shape) [40], and the constants
    inputs   (T, B, *network.input_shape) [32]

    Softmax and loss; e = 44 in first passes (of the loss times 2^k) and e_2 in second passes (of learning rate times loss):
        logit_delta             (P, B, K) [e]
        logit_delta_remainder   (P, B, K) of Python ints in [0, 2 B sum)
        maximum                 (P, B): the first index of the largest logit
        exponential_product     (P, B, K) [58]: round(EXP_INT EXP_HI); exponential_product_remainder
        exponential             (P, B, K) [58]: e; exponential_remainder
        exponential_sum         (P, B) of Python ints [58]
        labels                  (T, B)
        losses                  (T, B) of Python ints [58], of the first passes

    Per step, Python ints:
        loss_sums               T: Lsum [58]
        loss_scales             T: k; the gradients of step t are those of the loss times 2^k, and so are v and V
        scaled_eps              T: X = round(eps_int 2^(2k) L, 10)
        sharpness_squares       T: V = sum v^2 (ASAM) or sum g^2 (SAM) [88]
        perturbation_squares    T - 1: sum g^2 (SAM) or sum v^2 (ASAM) [88]
        norms                   T - 1: y = isqrt of these [44]
        kappas                  T - 1: floor(rho_int 2^40 / y), 0 if y = 0 [28]
        log_ratios              T: l [48]

    Results:
        value                   ds [48]
        total_loss              sum of loss_sums, rounded [48]: T B times the mean loss
        correct                 how many of the T B records of first passes are classified as labelled
        saturated               how many of the T batches have a mean loss below 2^-44
        below_eps               how many have a ratio s^2 / L below eps
        distinct_labels         how many labels the T B records have
        largest_margin          of the records in first passes, in nats, rounded up (metric/margin.py)
    """

    network: Network
    configuration: Configuration
    weights: Mapping[str, I64]
    inputs: I64
    labels: I64
    values: dict[str, NDArray[Any]]
    logit_delta: I64
    logit_delta_remainder: Integers
    maximum: I64
    exponential_product: I64
    exponential_product_remainder: I64
    exponential: I64
    exponential_remainder: I64
    exponential_sum: Integers
    losses: Integers
    loss_sums: tuple[int, ...]
    loss_scales: tuple[int, ...]
    scaled_eps: tuple[int, ...]
    sharpness_squares: tuple[int, ...]
    perturbation_squares: tuple[int, ...]
    norms: tuple[int, ...]
    kappas: tuple[int, ...]
    log_ratios: tuple[int, ...]
    value: int
    total_loss: int
    correct: int
    saturated: int
    below_eps: int
    distinct_labels: int
    largest_margin: int

    @property
    def logits(self) -> I64:
        """(P, B, K) [32]"""
        scores: I64 = self.values[f"{self.network.names[-1]}: output"][:, :, :, 0, 0]
        return scores

    def of_parameters(self, kind: str) -> dict[str, I64]:
        """ "gradient", "scaled", "normalised", "perturbation" or "update" of every parameter that has it, by its name."""
        names = ((name, f"{name}: {kind}") for name, _ in self.network.parameters)
        return {name: self.values[tensor] for name, tensor in names if tensor in self.values}

    def step_of(self, pass_index: int) -> int:
        """The step, hence the batch, of a pass."""
        steps = self.configuration.steps
        return pass_index if pass_index < steps else pass_index - steps

    def weights_at(self, name: str, pass_index: int) -> I64:
        """W_p of an explicit parameter [40]: w_0 - sum_(u < t) U_u, plus E_t in a second pass."""
        step = self.step_of(pass_index)
        moved: I64 = self.weights[name] - self.values[f"{name}: update"][:step].sum(axis=0)
        return moved if pass_index < self.configuration.steps else moved + self.values[f"{name}: perturbation"][step]

    def exact_weights_at(self, name: str, pass_index: int) -> tuple[Integers, int]:
        """W_p of any parameter and its fractional bits, exactly: a Python int for every weight of an implicit one too."""
        bits = self.network.implicit(self.configuration).get(name)
        if bits is None:
            explicit: Integers = self.weights_at(name, pass_index).astype(object)
            return explicit, WEIGHT_BITS
        start, steps, step = self.weights[name], self.configuration.steps, self.step_of(pass_index)
        rounded, grid = bits.movement is Movement.ROUNDED, FACTOR_BITS + bits.input_bits
        moved = (self.values[f"{name}: weights"][step] if rounded else start).reshape(len(start), -1).astype(object)
        moved = moved * (1 << grid - WEIGHT_BITS)
        for earlier in range(0 if rounded else step):
            moved = moved - self._outer_product(f"{name}: update factor", earlier, steps + earlier)
        if pass_index >= steps:
            moved = moved + self._outer_product(f"{name}: perturbation factor", step, step)
        exact: Integers = moved.reshape(start.shape)
        return exact, grid

    def _outer_product(self, factor: str, step: int, pass_index: int) -> Integers:
        """A factor's rows times the patches that its layer saw in a pass (M, N), as Python ints."""
        names = [node.name for node in self.network.nodes]
        node = self.network.nodes[names.index(factor.rpartition(".")[0])]
        (source,) = node.inputs
        seen = self.inputs[self.step_of(pass_index)]
        if source:
            seen = self.values[f"{self.network.names[source - 1]}: output"][pass_index]
        assert isinstance(node.operator, Convolution)
        patches = exact.patches(exact.image_operand(seen, node.operator.window))
        found: Integers = output_rows(self.values[factor][step]).astype(object).T @ patches.astype(object)
        return found
