"""The loss of every batch and its loss scale (the semantics: circuits/metric/batch_loss.py), as cells and identities.

Per step, from the losses of circuits/metric/softmax.py, with a bit `empty` and bits h_0, ..., h_40:

    Lsum + empty - 1 = least >= 0,   empty * least = 0         L = least + 1 = max(Lsum, 1)
    sum_j h_j = 1,   2^k = sum_j 2^j h_j                       one k from 0 to 40
    P = 2^k L
    (1 - h_0) (2^c - 1 - P) = above >= 0                       2^k L < 2^c unless k = 0
    (1 - h_40) (2 P - 2^c) = below >= 0                        2^(k+1) L >= 2^c unless k = 40
    eps_int 2^k P rounds to 2^10 X

2^k L grows with k, so at most one k meets both conditions: 2^k is a function of the losses, and nobody chooses it.
"""

from __future__ import annotations

import numpy as np

from zkds.circuits.arithmetic.fixed_point import LOGARITHM_WIDTH, LOSS_WIDTH, MAX_LOSS_SCALE, Configuration
from zkds.circuits.metric.batch_loss import EPS_SHIFT
from zkds.circuits.trajectory import Trajectory
from zkds.identities.expressions import Expression, Over, at, tensor
from zkds.identities.gadget import Gadget, Wide, joined, round_identity, split
from zkds.native import U32
from zkds.tensors.tensor import Committed

SCALARS = "scalars"  # name of a block


class LossScale(Gadget):
    """From the losses of all records to L, 2^k and X of every step.

    losses   (B, T) [58]
    scale    2^k (T,), `loss_scale_tensor`, committed here
    loss     L, an expression over (T,)
    eps      X (T,)
    prefix   of the gadget's name
    """

    def __init__(self, configuration: Configuration, losses: Wide, scale: Committed, prefix: str = "") -> None:
        super().__init__(f"{prefix}loss scale")
        self.configuration = configuration
        self.shape = shape = (configuration.steps,)
        target = configuration.loss_target
        self.empty = self.integer("loss is zero", 1, shape)
        self.least = self.wide("loss - 1", LOSS_WIDTH, shape)
        self.selectors = self.integer("selectors", 1, (MAX_LOSS_SCALE + 1, *shape))
        self.scale = self.own(scale)
        self.product = self.wide("scaled loss", max(LOSS_WIDTH, target), shape)
        self.above = self.wide("above, gap", target, shape)
        self.below = self.wide("below, gap", max(LOSS_WIDTH, target) + 1, shape)
        self.eps = self.wide("scaled eps", LOGARITHM_WIDTH, shape)
        self.eps_remainder = self.integer("scaled eps, remainder", EPS_SHIFT, shape)
        self.loss = self._state_loss(losses)
        self._state_scale()
        exact = self.product.expression() * tensor(scale) * configuration.eps_int
        rounded = round_identity(exact, EPS_SHIFT, self.eps.expression(), tensor(self.eps_remainder))
        self.identity(SCALARS, "scaled eps", shape, rounded)

    def _state_loss(self, losses: Wide) -> Expression:
        """Returns L."""
        empty, least = tensor(self.empty), self.least.expression()
        total = losses.expression(Over((1,) * self.configuration.batch_size), 0)
        self.identity(SCALARS, "loss", self.shape, total + empty - 1 - least)
        self.identity(SCALARS, "loss is zero", self.shape, empty * least)
        return least + 1

    def _state_scale(self) -> None:
        count, target = MAX_LOSS_SCALE + 1, 1 << self.configuration.loss_target
        powers = tuple(1 << j for j in range(count))
        first, last = (tensor(self.selectors, at(j, count), 0) for j in (0, MAX_LOSS_SCALE))
        product, scale = self.product.expression(), tensor(self.scale)
        self.identity(SCALARS, "one scale", self.shape, tensor(self.selectors, Over((1,) * count), 0) - 1)
        self.identity(SCALARS, "scale", self.shape, tensor(self.selectors, Over(powers), 0) - scale)
        self.identity(SCALARS, "scaled loss", self.shape, self.loss * scale - product)
        self.identity(SCALARS, "not above", self.shape, (1 - first) * (target - 1 - product) - self.above.expression())
        self.identity(SCALARS, "not below", self.shape, (1 - last) * (product * 2 - target) - self.below.expression())

    @property
    def doublings(self) -> Expression:
        """k, over (T,)."""
        return tensor(self.selectors, Over(tuple(range(MAX_LOSS_SCALE + 1))), 0)

    def total_loss(self) -> Expression:
        """The sum of all losses [58], over (1,)."""
        every = Over((1,) * self.configuration.steps)
        return self.least.expression(every) + self.configuration.steps - tensor(self.empty, every)

    def witness(self, trajectory: Trajectory) -> dict[str, U32]:
        """The columns, but for carries."""
        losses, k, eps = (
            np.array(values, dtype=object) for values in (trajectory.loss_sums, trajectory.loss_scales, trajectory.scaled_eps)
        )
        counted, target = np.maximum(losses, 1), 1 << self.configuration.loss_target
        scale = 1 << k
        product = counted * scale
        remainder = self.configuration.eps_int * scale * product + (1 << EPS_SHIFT - 1) - (eps << EPS_SHIFT)
        return joined(
            [
                split(self.empty, losses == 0),
                self.least.split(counted - 1),
                split(self.selectors, np.arange(MAX_LOSS_SCALE + 1)[:, None] == k.astype(np.int64)),
                split(self.scale, scale),
                self.product.split(product),
                self.above.split(np.where(k > 0, target - 1 - product, 0)),
                self.below.split(np.where(k < MAX_LOSS_SCALE, 2 * product - target, 0)),
                self.eps.split(eps),
                split(self.eps_remainder, remainder),
            ]
        )
