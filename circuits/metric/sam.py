"""Sharpness and perturbation (the semantics: circuits/metric/perturbation.py), as cells and identities.

Per parameter, entry by entry (block "parameters"; a large parameter has a block of its own for every step):

    v = round(w_t g_t / 2^40)                                if sharpness or perturbation is ASAM
    E = round(kappa_t g_t / 2^32)                            perturbation SAM
    n = round(kappa_t v_t / 2^32),  E = round(w_t n / 2^40)  perturbation ASAM

Of a weight that is implicit (circuits/operators/implicit.py) there is no entry but w_0, and per layer

    E^ = round(kappa_t d_t / 2^(34 + db))                    d: the deltas of its outputs
    Q_t = round(sum g_t^2), V_t = round(sum (w_t g_t)^2)     of layer_squares.py, added to the sums below

Per step: sums of squares over all parameters ("sums"; those of a large one are a term that is committed, and proved in a block
of its own), and ("scalars") of the perturbation's, x,

    x = y^2 + rest,  0 <= rest <= 2 y                        y = isqrt(x)
    zero y = 0,  y + zero - 1 = least >= 0                   zero is a bit: [y = 0]
    kappa (y + zero) + rem = (1 - zero) rho_int 2^40,  0 <= rem <= least

so kappa = floor(rho_int 2^40 / y), or 0 if y = 0: then the divisor is 1 and the dividend 0.

**Bound of kappa g.** The identities of x, y and kappa hold over the integers by themselves, so E's may rest on them. Every
entry g of step t satisfies g^2 <= x, hence |g| <= y because g is an integer, and kappa y <= rho_int 2^40. So |kappa g| is at
most rho_int 2^40; if y = 0 it is 0. (For ASAM the same with v.) The intervals of kappa, 60 bits, and of g alone would ask for
more low digits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zkds.circuits.arithmetic.exact import sum_of_squares
from zkds.circuits.arithmetic.fixed_point import (
    GRADIENT,
    KAPPA,
    KAPPA_SHIFT,
    PERTURBATION_SHIFT,
    SQUARES_WIDTH,
    WEIGHT_BITS,
    Configuration,
)
from zkds.circuits.trajectory import Trajectory
from zkds.identities.expressions import Expression, at, sum_of, tensor
from zkds.identities.gadget import Gadget, SquareRoot, Wide, joined, round_identity, split, square_root
from zkds.identities.rounded_value import RoundedValue
from zkds.integers.identity import DIGIT_BITS
from zkds.integers.intervals import Interval
from zkds.integers.limb_columns import LimbColumns
from zkds.integers.limbs import LimbFormat
from zkds.native import U32
from zkds.tensors.tensor import Committed, Tensor

PARAMETERS, FACTORS, SUMS, SCALARS = "parameters", "factors", "sums", "scalars"  # names of blocks
LARGE = 1 << 18  # entries, from which on a parameter is large: the tables of a block take some 200 bytes an entry


def is_large(shape: Sequence[int]) -> bool:
    """Whether the identities of a parameter of this shape are proved step by step."""
    return math.prod(shape) >= LARGE


@dataclass(frozen=True)
class Parameter:
    """One parameter's tensors: w in at least the first passes (T or more, *shape), g (T, *shape), E (T - 1, *shape).

    name   in the network; tensors and identities of a probe have its prefix beside it
    """

    name: str
    weight: Tensor
    gradient: Tensor
    perturbation: Committed

    @property
    def shape(self) -> tuple[int, ...]:
        return self.gradient.shape[1:]

    def places(self, steps: int) -> list[Place]:
        """Where identities of its entries in the first `steps` steps are stated."""
        if not is_large(self.shape):
            return [Place(PARAMETERS, "", (steps, *self.shape), None)]
        return [Place(f"{self.name}: step {step}", f" at step {step}", self.shape, step) for step in range(steps)]


@dataclass(frozen=True)
class Place:
    """One block with identities of a parameter's entries: of all steps, or (a large parameter's) of one.

    suffix   of the identities' names
    shape    of the identities
    step     None: all of them, the first axis
    """

    block: str
    suffix: str
    shape: tuple[int, ...]
    step: int | None

    def entries(self, source: Tensor) -> Expression:
        """Those of a tensor whose first axis counts steps; of one without other axes, the same for all entries."""
        if self.step is None:
            return tensor(source)
        return tensor(source, at(self.step, source.shape[0]), *range(len(source.shape) - 1))


@dataclass(frozen=True)
class ImplicitWeight:
    """A weight of which no gradient is committed.

    deltas           d (P, B, M, Y, X), of the layer's outputs
    factor           E^ (T - 1, B, M, Y, X), committed by `Norms`
    shift            of its rounding, 34 + db
    squares          Q (T,) [88]
    scaled_squares   V (T,) [88]; None unless the sharpness is ASAM
    """

    name: str
    deltas: Tensor
    factor: Committed
    shift: int
    squares: RoundedValue
    scaled_squares: RoundedValue | None

    def squares_of(self, kind: str) -> Expression:
        """Of v for ASAM, of g for SAM, over a shape (T,) or shorter."""
        squares = self.scaled_squares if kind == "ASAM" else self.squares
        assert squares is not None
        return squares.expression()


def perturbation_tensor(configuration: Configuration, name: str, shape: tuple[int, ...]) -> Committed:
    """E of a parameter, for `Parameter` and for whatever else uses it; `Norms` commits it."""
    return Committed(LimbColumns(f"{name}: perturbation", configuration.perturbation_format, (configuration.steps - 1, *shape)))


class Norms(Gadget):
    """v, V, kappa, n and E of all parameters. `squares`: V of every step, (T,).

    limb_bits   of the remainders of v, n and E
    prefix      of all names
    """

    def __init__(
        self,
        configuration: Configuration,
        parameters: Sequence[Parameter],
        implicit: Sequence[ImplicitWeight] = (),
        limb_bits: int = DIGIT_BITS,
        prefix: str = "",
    ) -> None:
        super().__init__(f"{prefix}norms")
        self.prefix = prefix
        self.limb_bits = limb_bits
        self.identities[PARAMETERS] = []  # comes before the blocks of large parameters
        self.configuration = configuration
        self.parameters = tuple(parameters)
        self.implicit = tuple(implicit)
        self.scaled: dict[str, Committed] = {}
        self.normalised: dict[str, Committed] = {}
        self.remainders: dict[tuple[str, str], Committed] = {}  # (tensor of the trajectory, parameter)
        self.parts: list[tuple[Wide, str]] = []  # sums of squares of one parameter, and the tensor of the trajectory
        steps = configuration.steps
        if configuration.scales_gradients:
            for parameter in parameters:
                self._scale(parameter)
        self.squares = self._squares("V", configuration.sharpness, steps)
        self.shared = configuration.perturbation == configuration.sharpness
        self.perturbation_squares = self.squares if self.shared else self._squares("x", configuration.perturbation, steps - 1)
        self._state_kappa()
        for parameter in parameters:
            self._perturb(parameter)
        for weight in implicit:
            self._perturb_factor(weight)

    # ---- parameters --------------------------------------------------------------------------------------------------

    def _rounded(
        self,
        kind: str,
        parameter: Parameter,
        out: Committed,
        factors: tuple[Tensor, Tensor],
        shift: int,
        bound: int | None = None,
    ) -> None:
        """State that `out` is the factors' product / 2^shift, rounded; |product| <= bound if their intervals do not say so."""
        name, number = f"{self.prefix}{parameter.name}: {kind} remainder", LimbFormat.within(self.limb_bits, shift, False)
        remainder = self.remainders[kind, parameter.name] = self.own(Committed(LimbColumns(name, number, out.shape)))
        total = None
        if bound is not None:
            total = Interval(-bound, bound) + Interval.point(1 << (shift - 1))
            total = total - Interval.unsigned(shift) - out.interval.times(1 << shift)
        for place in parameter.places(out.shape[0]):
            left, right = map(place.entries, factors)
            identity = round_identity(left * right, shift, place.entries(out), place.entries(remainder))
            self.identity(place.block, f"{kind} of {parameter.name}{place.suffix}", place.shape, identity, total)

    def _new(self, kind: str, parameter: Parameter, number: LimbFormat, steps: int) -> Committed:
        return self.own(Committed(LimbColumns(f"{self.prefix}{parameter.name}: {kind}", number, (steps, *parameter.shape))))

    def _scale(self, parameter: Parameter) -> None:
        """v."""
        out = self.scaled[parameter.name] = self._new("scaled", parameter, GRADIENT, self.configuration.steps)
        self._rounded("scaled", parameter, out, (parameter.weight, parameter.gradient), WEIGHT_BITS)

    def _perturb(self, parameter: Parameter) -> None:
        """E, and n."""
        bound = self.configuration.rho_int << KAPPA_SHIFT
        adaptive = self.configuration.perturbation == "ASAM"
        first = parameter.perturbation
        if adaptive:
            first = self._new("normalised", parameter, self.configuration.normalised_format, self.configuration.steps - 1)
            self.normalised[parameter.name] = first
        factors = (self._direction(self.configuration.perturbation, parameter), self.kappa)
        kind = "normalised" if adaptive else "perturbation"
        self.own(parameter.perturbation)
        self._rounded(kind, parameter, first, factors, PERTURBATION_SHIFT, bound)
        if adaptive:
            self._rounded("perturbation", parameter, parameter.perturbation, (parameter.weight, first), WEIGHT_BITS)

    def _perturb_factor(self, weight: ImplicitWeight) -> None:
        """E^."""
        factor = self.own(weight.factor)
        number = LimbFormat(DIGIT_BITS, weight.shift, False)
        remainder = self.own(Committed(LimbColumns(f"{factor.name}: remainder", number, factor.shape)))
        product = tensor(weight.deltas) * tensor(self.kappa, 0)
        identity = round_identity(product, weight.shift, tensor(factor), tensor(remainder))
        self.identity(FACTORS, f"perturbation factor of {weight.name}", factor.shape, identity)

    def _direction(self, kind: str, parameter: Parameter) -> Tensor:
        """v for ASAM, g for SAM."""
        return self.scaled[parameter.name] if kind == "ASAM" else parameter.gradient

    # ---- scalars -----------------------------------------------------------------------------------------------------

    def _squares(self, name: str, kind: str, steps: int) -> Wide:
        """The sum of squares over all parameters, of `steps` steps."""
        total = self.wide(name, SQUARES_WIDTH, (steps,))
        sums = []
        for parameter in self.parameters:
            direction = self._direction(kind, parameter)
            if is_large(parameter.shape):
                part = self._large_squares(name, parameter, direction, steps)
                self.parts.append((part, f"{parameter.name}: {'scaled' if kind == 'ASAM' else 'gradient'}"))
                sums.append(part.expression())
            else:
                sums.append((tensor(direction) * tensor(direction)).summed(*parameter.shape))
        sums += [weight.squares_of(kind) for weight in self.implicit]
        self.identity(SUMS, name, (steps,), sum_of(sums) - total.expression())
        return total

    def _large_squares(self, name: str, parameter: Parameter, direction: Tensor, steps: int) -> Wide:
        """The sum of squares of a large parameter: committed, and proved step by step."""
        part = self.wide(f"{name} of {parameter.name}", SQUARES_WIDTH, (steps,))
        for step in range(steps):
            entry = tensor(direction, at(step, direction.shape[0]), *range(1, len(direction.shape)))
            squares = (entry * entry).summed(*parameter.shape)
            block = f"{parameter.name}: squares at step {step}"
            identity = squares - part.expression(at(step, steps))
            self.identity(block, f"{name} of {parameter.name} at step {step}", (1,), identity)
        return part

    def _state_kappa(self) -> None:
        shape = (self.configuration.steps - 1,)
        squares = self.perturbation_squares.expression()
        self.root: SquareRoot = square_root(self, SCALARS, "norm", SQUARES_WIDTH // 2, shape, squares)
        self.kappa = self.own(Committed(LimbColumns(f"{self.prefix}kappa", KAPPA, shape)))
        self.zero = self.integer("norm is zero", 1, shape)
        self.least = self.wide("divisor - 1", SQUARES_WIDTH // 2, shape)
        self.remainder = self.wide("kappa, remainder", SQUARES_WIDTH // 2, shape)
        self.gap = self.wide("kappa, gap", SQUARES_WIDTH // 2, shape)
        norm, zero, kappa = self.root.root.expression(), tensor(self.zero), tensor(self.kappa)
        least, remainder = self.least.expression(), self.remainder.expression()
        dividend = (1 - zero) * (self.configuration.rho_int << KAPPA_SHIFT)
        self.identity(SCALARS, "zero", shape, zero * norm)
        self.identity(SCALARS, "divisor", shape, norm + zero - 1 - least)
        self.identity(SCALARS, "kappa", shape, kappa * (norm + zero) + remainder - dividend)
        self.identity(SCALARS, "kappa, least", shape, least - remainder - self.gap.expression())

    # ---- witness -----------------------------------------------------------------------------------------------------

    def witness(self, trajectory: Trajectory) -> dict[str, U32]:
        """The columns of the scalars; the parameters' tensors go by the names of the trajectory's values."""
        squares, others, norm, kappa = (
            np.array(values, dtype=object)
            for values in (
                trajectory.sharpness_squares,
                trajectory.perturbation_squares,
                trajectory.norms,
                trajectory.kappas,
            )
        )
        zero = (norm == 0).astype(object)
        least = norm + zero - 1
        remainder = (1 - zero) * (self.configuration.rho_int << KAPPA_SHIFT) - kappa * (norm + zero)
        columns = joined(
            [
                self.squares.split(squares),
                self.root.split(norm, others),
                split(self.kappa, kappa),
                split(self.zero, zero),
                self.least.split(least),
                self.remainder.split(remainder),
                self.gap.split(least - remainder),
            ]
        )
        for part, name in self.parts:
            values = trajectory.values[name][: part.parts[0].shape[0]]
            columns |= part.split(np.array([sum_of_squares(entry) for entry in values], dtype=object))
        return columns if self.shared else columns | self.perturbation_squares.split(others)
