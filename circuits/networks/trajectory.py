"""Everything that the semantics computes for one probe: the witness of the proof, tensor by tensor.

T steps, B records each, P = 2 T - 1 passes: pass p < T is the first pass of step p, at w_p; pass p = T + t is the second pass
of step t < T - 1, at w_t + E_t, on the same batch. Tensors of all passes are stacked on axis 0. A remainder belongs to the
tensor of the same name without `_remainder`:

    rounded = floor((exact + half) / 2^s)      remainder = (exact + half) mod 2^s      half = 2^(s - 1)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.circuits.networks.graph import Network
from zkds.integers.limbs import I64

U8 = NDArray[np.uint8]
Integers = NDArray[np.object_]  # of Python ints, for what exceeds 63 bits
PerLayer = tuple[I64, ...]  # index l: layer l of network.layers
PerParameter = dict[str, I64]  # keys: names of network.parameters


@dataclass(frozen=True, repr=False)
class Trajectory:
    """All values of a probe; arrays are int64 unless said otherwise, fractional bits in brackets.

    Layers; (C, H, W) is the shape of the convolution's output, for a layer with a pool only its rows and columns inside
    windows, and a_l the fractional bits of the layer's input (32, and 2 log2(size) more behind an average pool):
        inputs                  (T, B, *network.input_shape) [32]
        convolution             (P, B, C, H, W) [32]; the last one holds the logits, (P, B, K, 1, 1)
        convolution_remainder   likewise; s = 8 + a_l
        mask                    (P, B, C, H, W) uint8: 1 where the entry reaches the layer's output. Max pool: the first maximum
                                of its window in row-major order; ReLU: and only if it is >= 0; neither: all ones
        activation              (P, B, C, H / size, W / size): the layer's output. Max pool and ReLU [32]; average pool: the
                                plain sum over the window [32 + 2 log2(size)]

    Deltas, e = 44 in first passes (of the loss) and e_2 in second passes (of learning rate times loss):
        logit_delta             (P, B, K) [e]
        logit_delta_remainder   (P, B, K) of Python ints in [0, 2 B sum)
        input_delta             l >= 1: (P, B, *shape of layer l's input) [e], l = 0: empty, (0,)
        input_delta_remainder   likewise; s = 40, and 2 log2(size) more if layer l has an average pool of that size
        output_delta            (P, B, C, H, W), of the convolution's output: mask * (the delta behind it, repeated over its
                                window) [e, and 2 log2(size) more if layer l has an average pool]

    Parameters, all of them alike; every dictionary has one entry for each, (steps, *shape of the parameter):
        weights                 w_0, (*shape) [40]
        gradient                g, T steps [44]; gradient_remainder
        scaled                  v = w_t o g, T steps [44]; scaled_remainder. Empty unless sharpness or perturbation is ASAM
        normalised              n, T - 1 steps [40]; normalised_remainder. Empty unless the perturbation is ASAM
        perturbation            E, T - 1 steps [40]; perturbation_remainder
        update                  U, T - 1 steps [40]; update_remainder

    Softmax and loss:
        maximum                 (P, B): the first index of the largest logit
        exponential_product     (P, B, K) [48]: round(EXP_INT EXP_HI); exponential_product_remainder
        exponential             (P, B, K) [48]: e; exponential_remainder
        exponential_sum         (P, B) [48]
        labels                  (T, B)
        losses                  (T, B) [48], of the first passes

    Per step, Python ints:
        loss_sums               T: Lsum [48]
        sharpness_squares       T: V = sum v^2 (ASAM) or sum g^2 (SAM) [88]
        perturbation_squares    T - 1: sum g^2 (SAM) or sum v^2 (ASAM) [88]
        norms                   T - 1: y = isqrt of these [44]
        kappas                  T - 1: floor(rho_int 2^40 / y), 0 if y = 0 [28]
        log_ratios              T: l [48]

    Results:
        value                   ds [48]
        total_loss              sum of loss_sums [48], T B times the mean loss
        correct                 how many of the T B records of first passes are classified as labelled
        saturated               how many of the T batches have a mean loss below 2^-32
        below_eps               how many have a ratio s^2 / L below eps
    """

    network: Network
    configuration: Configuration
    weights: PerParameter
    inputs: I64
    labels: I64
    convolution: PerLayer
    convolution_remainder: PerLayer
    mask: tuple[U8, ...]
    activation: PerLayer
    logit_delta: I64
    logit_delta_remainder: Integers
    input_delta: PerLayer
    input_delta_remainder: PerLayer
    output_delta: PerLayer
    gradient: PerParameter
    gradient_remainder: PerParameter
    scaled: PerParameter
    scaled_remainder: PerParameter
    normalised: PerParameter
    normalised_remainder: PerParameter
    perturbation: PerParameter
    perturbation_remainder: PerParameter
    update: PerParameter
    update_remainder: PerParameter
    maximum: I64
    exponential_product: I64
    exponential_product_remainder: I64
    exponential: I64
    exponential_remainder: I64
    exponential_sum: I64
    losses: I64
    loss_sums: tuple[int, ...]
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

    def step_of(self, pass_index: int) -> int:
        """The step, hence the batch, of a pass."""
        steps = self.configuration.steps
        return pass_index if pass_index < steps else pass_index - steps

    def weights_at(self, name: str, pass_index: int) -> I64:
        """W_p of a parameter [40]: w_0 - sum_(u < t) U_u, plus E_t in a second pass."""
        step = self.step_of(pass_index)
        moved: I64 = self.weights[name] - self.update[name][:step].sum(axis=0)
        return moved if pass_index < self.configuration.steps else moved + self.perturbation[name][step]
