"""Sharpness of a gradient and the perturbation it leads to: SAM (Foret et al. 2021), ASAM (Kwon et al. 2021), p = q = 2.

    v    T_w g                       s    rho ||v||                  (Definitions 3 and 4)
    eps  rho T_w (v / ||v||)         dividing first; 0 if v = 0      (equation 2)

T_w is 1 for SAM, and diag(|w| + eta) for ASAM; with scale "weights" that holds for the parameters with "weight" in their name,
as in the ASAM authors' code, and T_w is 1 for the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zkds.sharpness.config import Kind, Scale


@dataclass(frozen=True)
class Scaling:
    """The diagonal operator T_w."""

    kind: Kind
    scale: Scale = "all"
    eta: float = 0.0

    def scales(self, name: str) -> bool:
        """Whether the parameter of this name is scaled at all."""
        return self.kind == "asam" and (self.scale == "all" or "weight" in name)

    def factor(self, name: str, parameter: Tensor) -> Tensor | None:
        """The diagonal of T_w for one parameter, in its shape; None for the identity.

        Without eta this is w, not |w|: norms are the same, and the two signs of eps = T_w T_w g cancel.
        """
        if not self.scales(name):
            return None
        return parameter.abs() + self.eta if self.eta else parameter

    def apply(self, name: str, parameter: Tensor, vector: Tensor) -> Tensor:
        """T_w times a vector in the parameter's shape; the vector itself where T_w is the identity."""
        factor = self.factor(name, parameter)
        return vector if factor is None else factor * vector

    def norm(self, names: Sequence[str], parameters: Sequence[Tensor], gradients: Sequence[Tensor]) -> float:
        """||T_w g||_2 over all parameters."""
        triples = zip(names, parameters, gradients, strict=True)
        return norm(self.apply(name, w, g) for name, w, g in triples)

    def perturb(self, names: Sequence[str], parameters: Sequence[Tensor], gradients: list[Tensor], rho: float) -> None:
        """Replace each gradient in the list by w + eps."""
        length = self.norm(names, parameters, gradients)
        for i, (name, w) in enumerate(zip(names, parameters, strict=True)):
            if length:
                unit = self.apply(name, w, gradients[i]) / length
                gradients[i] = w + self.apply(name, w, unit).mul(rho)
            else:
                gradients[i] = w


def check_radius(rho: float) -> None:
    """Raises ValueError unless rho is positive and finite."""
    if not 0 < rho < math.inf:
        raise ValueError(f"rho: expected a positive number, got {rho}")


def norm(tensors: Iterable[Tensor]) -> float:
    """The Euclidean norm of all entries of all tensors, added up in float64 on every device."""
    norms = [torch.linalg.vector_norm(tensor, dtype=torch.float64) for tensor in tensors]
    return math.sqrt(torch.stack(norms).square().sum().item())
