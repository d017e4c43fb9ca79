"""The numbers of the fixed-point semantics: formats, the one rounding, the configuration and its integers.

An integer v with f fractional bits stands for v / 2^f. Every operation is the exact integer result of its operands followed by
at most one rounding to nearest, halves up; a result outside the declared width of its tensor is an `Overflow`. The whole
semantics is in docs/fixed-point.md; the modules of zkds/circuits/semantics compute it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal, Inexact, localcontext
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np

from zkds.circuits.arithmetic.exact import WIDE_BITS, SumTooWide, magnitude
from zkds.dataset.schema import INPUT_WIDTH
from zkds.errors import MalformedProof
from zkds.integers.limbs import I64, LimbFormat, WitnessOverflow
from zkds.native import exact
from zkds.native.rounding import value_range
from zkds.wire import ProofReader, encode_number, read_number

# fractional bits
ACTIVATION_BITS = 32  # inputs, convolutions, activations; 2 log2(size) more after an average pool
WEIGHT_BITS = 40  # w_0 and everything that is added to it: U, E; and the normalised gradient n
GRADIENT_BITS = 44  # deltas of first passes, gradients, v = w o g
EXPONENTIAL_BITS = 58  # exponentials and losses; an exponential, at most 1, is the widest number of one tensor, 59 bits
RESULT_FRACTION_BITS = 48  # log ratios and what is published of them and of losses
KAPPA_BITS = 28
RHO_BITS = 32
LOSS_FLOOR_BITS = 44  # a batch whose mean loss is below 2^-44 nats is saturated: fewer than 14 bits of its loss are left
LOSS_TARGET_BITS = 10  # mean losses below about 2^-10 are scaled to that
MAX_LOSS_SCALE = 40  # the largest k of a loss scale 2^k, so that squares and eps fit the logarithm for any loss
KAPPA_SHIFT = 40  # rho [32] over a norm [44] is kappa [28]
PERTURBATION_SHIFT = 32  # kappa [28] times a gradient [44] is a perturbation [40]

# widths; signed unless said otherwise
LIMB_BITS = 16
WEIGHT = LimbFormat(LIMB_BITS, 44, signed=True)  # |w_0| < 8
CONVOLUTION = LimbFormat(LIMB_BITS, INPUT_WIDTH, signed=True)  # |z| < 1024; the inputs of the network too
DELTA = LimbFormat(LIMB_BITS, 46, signed=True)
GRADIENT = LimbFormat(LIMB_BITS, 48, signed=True)
KAPPA = LimbFormat(LIMB_BITS, 60, signed=False)
LOSS_WIDTH = 70  # unsigned: the sum of the losses of one batch, whose mean loss is below 4096 / B
SQUARES_WIDTH = 112  # unsigned: V and G
LOGARITHM_WIDTH = 128  # unsigned: the argument of a logarithm, 2^16 V + X

FIRST_SCALE = 1 << GRADIENT_BITS  # S_p of a first pass
SECOND_SCALE_LOG = 43  # S_2 = round(learning_rate 2^e_2) <= 2^43, e_2 the largest for which this holds

SHARPNESS = ("ASAM", "SAM")
PERTURBATIONS = ("SAM", "ASAM")
CONFIGURATION_LABEL = b"zkds configuration v1"
MAX_STEPS = 1 << 10
MAX_BATCH_SIZE = 1 << 12
MAX_RHO = 8
MIN_LEARNING_RATE = Fraction(1, 1 << 20)  # updates keep 16 bits, their shift stays below 60
MAX_LEARNING_RATE = 8
EPS_WIDTH = 48
MAX_EXPONENT = 100  # of a decimal number, in absolute value
MAX_REPEATED = 40  # characters of a bad number that a message repeats
EXACT_DIGITS = 100  # of a quotient of numbers below 2^64, if it has finitely many

Rational = Fraction | Decimal | str | int


ADVICE = "; smaller inputs, weights or learning rates, or batch norm behind the layer, keep it in range"


class Overflow(WitnessOverflow):
    """An exact result does not fit the declared width of its tensor: names layer, pass, tensor and index, never a value."""

    def __init__(self, tensor: str, place: Place, index: tuple[int, ...], width: int) -> None:
        self.tensor = tensor
        self.place = place
        super().__init__(f"{tensor}, {place}", index, width, ADVICE)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.tensor, self.place, self.index, self.width)


@dataclass(frozen=True)
class Place:
    """Where something is computed: in a step of the trajectory; `second` says which of its two passes, None if neither.

    layer: the name of a layer or of a parameter, "" for what belongs to the whole network.
    evaluation: the number of an evaluation, which is no part of the trajectory; 0: of none
    """

    step: int = 0
    second: bool | None = None
    layer: str = ""
    evaluation: int = 0

    def __str__(self) -> str:
        passes = {None: "", False: "first pass of ", True: "second pass of "}[self.second]
        where = f"evaluation {self.evaluation}" if self.evaluation else f"{passes}step {self.step}"
        return f"{self.layer + ', ' if self.layer else ''}{where}"

    def at(self, layer: str) -> Place:
        """The same pass, at a layer or parameter."""
        return replace(self, layer=layer)


def round_half_up(value: int, shift: int) -> int:
    """floor((value + 2^(shift - 1)) / 2^shift): value / 2^shift to the nearest integer, halves up. shift >= 1."""
    return (value + (1 << (shift - 1))) >> shift


def round_rational(value: Fraction) -> int:
    """The nearest integer, halves up."""
    return floor(value + Fraction(1, 2))


def require_format(values: I64, number: LimbFormat, tensor: str, place: Place) -> None:
    """Raise Overflow at the first entry, in row-major order, that the format does not hold."""
    least, largest = value_range(values) if values.size else (0, 0)
    if not number.interval.low <= least <= largest <= number.interval.high:
        try:
            number.require(tensor, values)
        except WitnessOverflow as error:
            raise Overflow(tensor, place, error.index, error.width) from None


def require_factor(values: I64, other: I64 | None, tensor: str, place: Place) -> None:
    """Raise Overflow at the first entry, in row-major order, that exact products do not take as a factor.

    other   the other factor of products that are taken entry by entry; None for sums of products
    """
    limit = (1 << exact.WIDE_BITS) - 1 if other is None else ((1 << WIDE_BITS) - 1) // max(1, magnitude(other))
    if magnitude(values) > limit:
        index = np.unravel_index(int(np.argmax((values > limit) | (values < -limit))), values.shape)
        raise Overflow(tensor, place, tuple(int(i) for i in index), limit.bit_length() + 1)


@contextmanager
def exact_sums(place: Place) -> Iterator[None]:
    """Sums of products that exact products might not hold are an Overflow here."""
    try:
        yield
    except SumTooWide:
        raise Overflow("sum of products", place, (), exact.MAX_SUM_BITS) from None


def require_unsigned(value: int, width: int, tensor: str, place: Place) -> None:
    """Raise Overflow unless 0 <= value < 2^width."""
    if not 0 <= value < 1 << width:
        raise Overflow(tensor, place, (), width)


class Updates:
    """What steps of a learning rate are computed with: second passes of a probe, steps of training."""

    learning_rate: Fraction

    @property
    def second_bits(self) -> int:
        """e_2, the fractional bits of lr delta in second passes: the largest integer with learning_rate 2^e_2 <= 2^43."""
        ratio = Fraction(1 << SECOND_SCALE_LOG) / self.learning_rate
        return floor(ratio).bit_length() - 1

    @property
    def second_scale(self) -> int:
        """S_2 = round(learning_rate 2^e_2), in [2^42, 2^43]."""
        return round_rational(self.learning_rate * (1 << self.second_bits))

    @property
    def update(self) -> LimbFormat:
        """The format of U: 40 fractional bits, 5 bits above the learning rate: no wider, for it widens the weights' interval.

        The learning rate is at most 2^(43 - e_2), so |U| < 16 times the learning rate at least: a gradient entry may reach 16.
        """
        bits = WEIGHT_BITS + SECOND_SCALE_LOG - self.second_bits + 5
        return LimbFormat(LIMB_BITS, bits, signed=True)


@dataclass(frozen=True)
class Configuration(Updates):
    """The public constants of a probe: T steps over batches of B records, and how sharpness is measured.

    rho, learning_rate and eps are exact rationals; the semantics uses the integers below, which are functions of them alone.
    Raises TypeError, or ValueError naming the field, for what no proof can be made with.
    """

    steps: int = 5
    batch_size: int = 8
    rho: Fraction = Fraction(1, 20)
    learning_rate: Fraction = Fraction(1, 10_000)
    eps: Fraction = Fraction(1, 10**12)
    sharpness: str = "ASAM"
    perturbation: str = "SAM"

    def __post_init__(self) -> None:
        require_int("steps", self.steps, 2, MAX_STEPS)
        require_int("batch_size", self.batch_size, 1, MAX_BATCH_SIZE)
        for name in ("rho", "learning_rate", "eps"):
            require_rational(name, getattr(self, name))
        if not (self.rho < MAX_RHO and self.rho_int >= 1):
            raise ValueError(f"rho: expected at least 2^-33 and below {MAX_RHO}, got {self.rho}")
        require_learning_rate(self.learning_rate)
        if not 1 <= self.eps_int < 1 << EPS_WIDTH:
            low, high = (float(Fraction(n) / self._eps_unit) for n in (1, 1 << EPS_WIDTH))
            raise ValueError(
                f"eps: expected about {low:.2g} to {high:.2g} for these batch_size and rho, got {float(self.eps):.3g}"
            )
        if self.sharpness not in SHARPNESS:
            raise ValueError(f"sharpness: expected one of {', '.join(SHARPNESS)}, got {self.sharpness!r}")
        if self.perturbation not in PERTURBATIONS:
            raise ValueError(f"perturbation: expected one of {', '.join(PERTURBATIONS)}, got {self.perturbation!r}")

    @classmethod
    def of(
        cls,
        *,
        steps: int = 5,
        batch_size: int = 8,
        rho: Rational = "0.05",
        learning_rate: Rational = "0.0001",
        eps: Rational = "1e-12",
        sharpness: str = "ASAM",
        perturbation: str = "SAM",
    ) -> Configuration:
        """From decimal strings (or ints, Decimals, Fractions): a float is not exact and is refused with a TypeError."""
        return cls(
            steps,
            batch_size,
            exact_rational("rho", rho),
            exact_rational("learning_rate", learning_rate),
            exact_rational("eps", eps),
            sharpness,
            perturbation,
        )

    @property
    def passes(self) -> int:
        """P = 2 T - 1: a first pass for every step, a second one for all but the last, whose update influences nothing."""
        return 2 * self.steps - 1

    @property
    def rho_int(self) -> int:
        """round(rho 2^32)."""
        return round_rational(self.rho * (1 << RHO_BITS))

    @property
    def eps_int(self) -> int:
        """round(eps 2^56 / (B rho^2)): eps beside 2^16 V, in N = 2^16 V + round(eps_int 2^(2k) L, 10), L with 58 bits."""
        return round_rational(self.eps * self._eps_unit)

    @property
    def loss_floor(self) -> int:
        """B 2^14: a batch is saturated if the sum of its losses [58] is below it, its mean loss below 2^-44 nats."""
        return self.batch_size << EXPONENTIAL_BITS - LOSS_FLOOR_BITS

    @property
    def loss_target(self) -> int:
        """c: 2^k L < 2^c for the sum L of a batch's losses [58], if k > 0. The scaled mean loss is then below 2^-9."""
        return EXPONENTIAL_BITS - LOSS_TARGET_BITS + self.batch_size.bit_length()

    @property
    def _eps_unit(self) -> Fraction:
        return Fraction(1 << 56) / (self.batch_size * self.rho**2)

    @property
    def normalised_format(self) -> LimbFormat:
        """The format of round(kappa g / 2^32): |kappa g| <= rho_int 2^40 (circuits/metric/sam.py), so it never overflows."""
        return LimbFormat(LIMB_BITS, ((self.rho_int << KAPPA_SHIFT - PERTURBATION_SHIFT) + 1).bit_length() + 1, signed=True)

    @property
    def perturbation_format(self) -> LimbFormat:
        """The format of E: that of round(kappa g / 2^32) for SAM; for ASAM times |w_t| < 16."""
        width = self.normalised_format.width + (4 if self.perturbation == "ASAM" else 0)
        return LimbFormat(LIMB_BITS, width, signed=True)

    @property
    def scales_gradients(self) -> bool:
        """Whether v = w o g is needed: for the sharpness or for the perturbation."""
        return "ASAM" in (self.sharpness, self.perturbation)

    def __str__(self) -> str:
        """In words, such as "T=5, B=8, rho=0.05, lr=0.0001, eps=1e-12, sharpness ASAM, perturbation SAM"."""
        return ", ".join(self._words())

    def differences(self, other: Configuration) -> tuple[str, str]:
        """What this one and the other one have where they differ, in words: ("T=5, B=8", "T=10, B=16")."""
        pairs = [pair for pair in zip(self._words(), other._words(), strict=True) if pair[0] != pair[1]]
        own, others = zip(*pairs, strict=True) if pairs else ((), ())
        return ", ".join(own), ", ".join(others)

    def _words(self) -> list[str]:
        rationals = (("rho", self.rho), ("lr", self.learning_rate), ("eps", self.eps))
        return [
            *(f"T={self.steps}", f"B={self.batch_size}"),
            *(f"{name}={decimal_text(value)}" for name, value in rationals),
            *(f"sharpness {self.sharpness}", f"perturbation {self.perturbation}"),
        ]

    def encode(self) -> bytes:
        """Canonical bytes: label; steps, batch size, numerator and denominator of rho, learning rate and eps in lowest terms,
        index of sharpness and of perturbation. All numbers are 8 bytes, little-endian.
        """
        rationals = [part for value in (self.rho, self.learning_rate, self.eps) for part in value.as_integer_ratio()]
        choices = [SHARPNESS.index(self.sharpness), PERTURBATIONS.index(self.perturbation)]
        return CONFIGURATION_LABEL + b"".join(map(encode_number, [self.steps, self.batch_size, *rationals, *choices]))

    @classmethod
    def decode(cls, data: bytes) -> Configuration:
        """The configuration with these canonical bytes; MalformedProof for any others."""
        reader = ProofReader(data)
        if reader.read("configuration label", len(CONFIGURATION_LABEL)) != CONFIGURATION_LABEL:
            raise MalformedProof("configuration: label", CONFIGURATION_LABEL.decode(), "another one")
        steps, batch_size, *parts, sharpness, perturbation = (read_number(reader, "configuration") for _ in range(10))
        reader.finish()
        if not all(parts) or sharpness >= len(SHARPNESS) or perturbation >= len(PERTURBATIONS):
            raise MalformedProof("configuration: expected positive rationals and known choices")
        rho, learning_rate, eps = (Fraction(parts[i], parts[i + 1]) for i in (0, 2, 4))
        try:
            found = cls(steps, batch_size, rho, learning_rate, eps, SHARPNESS[sharpness], PERTURBATIONS[perturbation])
        except ValueError as error:
            raise MalformedProof(f"configuration: {error}") from None
        if found.encode() != data:
            raise MalformedProof("configuration: expected fractions in lowest terms")
        return found


def decimal_text(value: Fraction) -> str:
    """The number exactly: as a decimal if it is a finite one, else as a quotient."""
    with localcontext(prec=EXACT_DIGITS) as context:
        context.clear_flags()
        quotient = (Decimal(value.numerator) / value.denominator).normalize()
        return str(value) if context.flags[Inexact] else str(quotient).lower()


def exact_rational(name: str, value: Rational) -> Fraction:
    """A decimal string, an int, a Decimal or a Fraction, exactly. Raises TypeError, or ValueError; both name it."""
    if isinstance(value, bool) or not isinstance(value, Fraction | Decimal | str | int):
        raise TypeError(f"{name}: expected a decimal string, an int, a Decimal or a Fraction, got {type(value).__name__}")
    try:
        number = Decimal(value) if isinstance(value, str) and "/" not in value else value
        if isinstance(number, Decimal) and abs(number.adjusted()) > MAX_EXPONENT:
            raise ValueError("its exact value would fill the memory")
        return Fraction(number)
    except (ArithmeticError, ValueError):
        raise ValueError(f"{name}: expected a decimal number, got {str(value)[:MAX_REPEATED]!r}") from None


def require_rational(name: str, value: object) -> None:
    if not isinstance(value, Fraction):
        raise TypeError(f"{name}: expected a Fraction, got {type(value).__name__}; Configuration.of takes decimal strings")
    if value <= 0:
        raise ValueError(f"{name}: expected a positive number, got {value}")
    if max(value.as_integer_ratio()) >= 1 << 64:
        raise ValueError(f"{name}: expected numerator and denominator below 2^64, got {value}")


def require_learning_rate(rate: Fraction) -> None:
    """Raise ValueError unless updates have a format for it."""
    if not MIN_LEARNING_RATE <= rate <= MAX_LEARNING_RATE:
        raise ValueError(f"learning_rate: expected 2^-20 to {MAX_LEARNING_RATE}, got {rate}")


def require_int(name: str, value: object, low: int, high: int) -> None:
    if type(value) is not int:
        raise TypeError(f"{name}: expected an int, got {type(value).__name__}")
    if not low <= value <= high:
        raise ValueError(f"{name}: expected {low} to {high}, got {value}")


MAX_CLASSES = 4095  # so that a sum of exponentials, each at most 2^58, has 70 bits, as losses have
