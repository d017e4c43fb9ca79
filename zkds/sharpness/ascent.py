"""Worst-case sharpness by gradient ascent: the largest rise of the loss that was found within the radius.

Definitions 1 and 2 of the paper with p = 2: the maximum over ||T_w^-1 eps|| <= rho of L_D(w + eps) - L_D(w), T_w = 1 or |w|. As
in Jiang et al. (ICLR 2020, Appendix D) the search climbs the gradient, projects to the ball, starts several times and keeps
the best point; what it finds is a lower bound of the maximum. Two things differ: Jiang et al. search the radius at which the
accuracy falls by 0.1, while the definitions fix the radius and take the loss; and here the length of a step is set, whatever
the gradient's.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from zkds.sharpness.config import Kind
from zkds.sharpness.objective import Objective
from zkds.sharpness.perturbation import Scaling, check_radius, norm

STEPS = 20
RESTARTS = 2
TRAVEL = 2.5  # length of all steps together, in radii, as usual for projected ascent (Madry et al. 2018)
START_SEED = 0  # of the generator for random starts: the same model gives the same value


def worst_case_sharpness(
    objective: Objective, kind: Kind, *, rho: float = 0.05, steps: int = STEPS, restarts: int = RESTARTS
) -> float:
    """The largest L_D(w + eps) - L_D(w) found, 0 or more; kind "sam" for Definition 1, "asam" for the magnitude-aware one.

    `steps` passes over the data with gradient for each of `restarts` ascents, of which the first starts at w itself.
    """
    check_radius(rho)
    for name, value in (("steps", steps), ("restarts", restarts)):
        if type(value) is not int or value < 1:
            raise ValueError(f"{name}: expected a positive int, got {value!r}")
    generator = torch.Generator(objective.network.device).manual_seed(START_SEED)
    scaling = Scaling(kind)
    base = best = objective.evaluate(objective.network.initial).loss
    for restart in range(restarts):
        start = _sphere(objective, rho, generator) if restart else _origin(objective)
        best = max(best, _climb(objective, scaling, start, rho, steps))
    return best - base


def _climb(objective: Objective, scaling: Scaling, start: list[Tensor], rho: float, steps: int) -> float:
    """The largest loss on the way, for eps = T_w u: u moves in the ball of radius rho, along T_w g."""
    network, u, best = objective.network, start, 0.0
    for _ in range(steps):
        loss, gradients = objective.value_and_gradient(_perturbed(objective, scaling, u))
        best = max(best, loss)
        triples = zip(network.names, network.initial, gradients, strict=True)
        direction = [scaling.apply(name, w, g) for name, w, g in triples]
        length = norm(direction)
        if not length:
            return best
        u = [torch.add(a, b, alpha=TRAVEL * rho / (steps * length)) for a, b in zip(u, direction, strict=True)]
        outside = max(1.0, norm(u) / rho)
        u = [a / outside for a in u]
    return max(best, objective.evaluate(_perturbed(objective, scaling, u)).loss)


def _perturbed(objective: Objective, scaling: Scaling, u: Sequence[Tensor]) -> list[Tensor]:
    """w + T_w u."""
    triples = zip(objective.network.names, objective.network.initial, u, strict=True)
    return [w + scaling.apply(name, w, part) for name, w, part in triples]


def _origin(objective: Objective) -> list[Tensor]:
    return [torch.zeros_like(w) for w in objective.network.initial]


def _sphere(objective: Objective, rho: float, generator: torch.Generator) -> list[Tensor]:
    """A uniform point on the sphere of radius rho."""
    drawn = [torch.randn(w.shape, generator=generator, device=w.device, dtype=w.dtype) for w in objective.network.initial]
    length = norm(drawn)
    return [part * (rho / length) for part in drawn]
