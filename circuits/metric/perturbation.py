"""Sharpness and perturbation: v = w o g, sums of squares, kappa = rho / norm, E."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isqrt

import numpy as np

from zkds.circuits.arithmetic.exact import Rounded, products, sum_of_squares
from zkds.circuits.arithmetic.fixed_point import (
    GRADIENT,
    KAPPA,
    KAPPA_SHIFT,
    PERTURBATION_SHIFT,
    SQUARES_WIDTH,
    WEIGHT_BITS,
    Configuration,
    Place,
    require_format,
    require_unsigned,
)
from zkds.integers.limbs import I64, LimbFormat

Parameters = Mapping[str, I64]


@dataclass(frozen=True, repr=False)
class Perturbation:
    """Phi of one step: the norm y and kappa, n (ASAM only) and E of every parameter."""

    squares: int
    norm: int
    kappa: int
    normalised: dict[str, Rounded] = field(default_factory=dict)
    perturbation: dict[str, Rounded] = field(default_factory=dict)


def scaled_gradients(weights: Parameters, gradients: Parameters, place: Place) -> dict[str, Rounded]:
    """v = round(w g, 40) [44] of every parameter. Raises Overflow."""
    return {
        name: _product(weights[name], g, WEIGHT_BITS, GRADIENT, "scaled gradient", place.at(name))
        for name, g in gradients.items()
    }


def squared_norm(tensors: Parameters, place: Place, implicit: int = 0) -> int:
    """The exact sum of squares over all parameters [88], and of `implicit` of implicit ones. Raises Overflow from 2^112 on."""
    total = implicit + sum(sum_of_squares(tensor) for tensor in tensors.values())
    require_unsigned(total, SQUARES_WIDTH, "squared norm", place)
    return total


def perturb(
    weights: Parameters, direction: Parameters, configuration: Configuration, place: Place, implicit: int = 0
) -> Perturbation:
    """SAM: rho g / |g| for direction = g. ASAM: rho w o v / |v| for direction = v, dividing first. 0 if the norm is 0.

    implicit: the squares of implicit parameters (circuits/metric/implicit.py), which count in the norm.
    """
    squares = squared_norm(direction, place, implicit)
    norm = isqrt(squares)
    kappa = (configuration.rho_int << KAPPA_SHIFT) // norm if norm else 0
    require_unsigned(kappa, KAPPA.width, "kappa", place)
    factor = np.array(kappa, dtype=np.int64)
    adaptive = configuration.perturbation == "ASAM"
    name = "normalised gradient" if adaptive else "perturbation"
    first = {
        parameter: _product(factor, tensor, PERTURBATION_SHIFT, configuration.normalised_format, name, place.at(parameter))
        for parameter, tensor in direction.items()
    }
    if not adaptive:
        return Perturbation(squares, norm, kappa, {}, first)
    number = configuration.perturbation_format
    second = {
        parameter: _product(weights[parameter], n.value, WEIGHT_BITS, number, "perturbation", place.at(parameter))
        for parameter, n in first.items()
    }
    return Perturbation(squares, norm, kappa, first, second)


def _product(left: I64, right: I64, shift: int, number: LimbFormat, tensor: str, place: Place) -> Rounded:
    value, remainder = products(left, right).round(shift)
    require_format(value, number, tensor, place)
    return Rounded(value, remainder)
