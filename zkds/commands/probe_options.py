"""The arguments that say how a probe is made, the same for every command that has them."""

from __future__ import annotations

import argparse
import string
from decimal import Decimal
from fractions import Fraction

from zkds.circuits.fixed_point import MAX_EXPONENT, Configuration
from zkds.dataset.sampling import SEED_BYTES

FIELDS = ("steps", "batch_size", "rho", "lr", "sharpness", "perturbation")


def add_configuration(parser: argparse.ArgumentParser) -> None:
    """--steps, --batch-size, --rho, --lr, --sharpness, --perturbation; all None unless given."""
    group = parser.add_argument_group("probe")
    group.add_argument("--steps", type=int, metavar="T", help="SAM steps (default: 5)")
    group.add_argument("--batch-size", type=int, metavar="B", help="records a step (default: 8)")
    group.add_argument("--rho", metavar="DECIMAL", help="radius of the perturbation (default: 0.05)")
    group.add_argument("--lr", metavar="DECIMAL", help="learning rate of the steps (default: 0.0001)")
    group.add_argument("--sharpness", choices=("asam", "sam"), help="what is measured (default: asam)")
    group.add_argument("--perturbation", choices=("sam", "asam"), help="how weights are perturbed (default: sam)")


def configuration_of(options: argparse.Namespace) -> Configuration:
    """What the arguments say. Raises ValueError naming the field."""
    values = {name: getattr(options, name) for name in FIELDS if getattr(options, name) is not None}
    if "lr" in values:
        values["learning_rate"] = values.pop("lr")
    for name in ("sharpness", "perturbation"):
        if name in values:
            values[name] = values[name].upper()
    return Configuration.of(**values)


def configuration_given(options: argparse.Namespace) -> bool:
    """Whether any of the arguments was given."""
    return any(getattr(options, name) is not None for name in FIELDS)


def seed_bytes(text: str) -> bytes:
    """An argument of 64 hex digits as 32 bytes."""
    if len(text) != 2 * SEED_BYTES or not set(text) <= set(string.hexdigits):
        raise argparse.ArgumentTypeError(
            f"expected {2 * SEED_BYTES} hex digits ({SEED_BYTES} bytes), got {len(text)} characters"
        )
    return bytes.fromhex(text)


def rational(text: str) -> Fraction:
    """A decimal argument, exactly. Huge exponents are refused: their exact value would fill the memory."""
    try:
        number = Decimal(text)
        if number.is_finite() and abs(number.adjusted()) <= MAX_EXPONENT:
            return Fraction(number)
    except ArithmeticError:
        pass
    raise argparse.ArgumentTypeError(f"expected a decimal such as 0.8, got {text!r}")
