"""The arguments that say how a probe is made, the same for every command that has them."""

from __future__ import annotations

import argparse
import math
import os
import string
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

from zkds.circuits.arithmetic.fixed_point import MAX_REPEATED, Configuration, exact_rational
from zkds.circuits.certificate.statement import MAX_PROBES
from zkds.circuits.certificate.verifying import MAX_RESULT
from zkds.dataset.sampling import SEED_BYTES

MAX_COUNT_DIGITS = 10  # of a number of records
FIELDS = ("steps", "batch_size", "rho", "lr", "sharpness", "perturbation")


def add_max_work(parser: argparse.ArgumentParser) -> None:
    """--max-work."""
    parser.add_argument(
        "--max-work",
        type=_multiple,
        default=1,
        metavar="X",
        help="the most work that verifying may be, as a multiple of 20 seconds on one core and 1 GiB (default: 1)",
    )


def _multiple(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"expected a positive number, got {text!r}")
    return number


def add_configuration(parser: argparse.ArgumentParser) -> None:
    """--steps, --batch-size, --rho, --lr, --sharpness, --perturbation; all None unless given."""
    group = parser.add_argument_group("probe")
    group.add_argument("--steps", type=int, metavar="T", help="SAM steps (default: 5)")
    group.add_argument("--batch-size", type=int, metavar="B", help="records a step (default: 8)")
    group.add_argument("--rho", metavar="DECIMAL", help="radius of the perturbation (default: 0.05)")
    group.add_argument("--lr", metavar="DECIMAL", help="learning rate of the steps (default: 0.0001)")
    group.add_argument("--sharpness", choices=("asam", "sam"), help="what is measured (default: asam)")
    group.add_argument("--perturbation", choices=("sam", "asam"), help="how weights are perturbed (default: sam)")


def evaluated(text: str) -> tuple[str, int]:
    """An argument ROOT:n."""
    path, _, count = text.rpartition(":")
    if not path or not (count.isascii() and count.isdigit() and len(count) <= MAX_COUNT_DIGITS and int(count)):
        raise argparse.ArgumentTypeError(f"expected ROOT:n, such as test.root:1000, got {text[:MAX_REPEATED]!r}")
    return path, int(count)


def add_evaluate(parser: argparse.ArgumentParser, help: str) -> None:
    """--evaluate, None unless given."""
    parser.add_argument("--evaluate", type=evaluated, action="append", metavar="ROOT:n", help=help)


def of_evaluation(limit: Callable[[str], Fraction]) -> Callable[[str], tuple[str | None, Fraction]]:
    """An argument X, a limit for the probe, or ROOT:X, one for an evaluated data set."""

    def parse(text: str) -> tuple[str | None, Fraction]:
        path, _, number = text.rpartition(":")
        return path or None, limit(number)

    return parse


def split_limits(
    option: str, found: Sequence[tuple[str | None, Fraction]] | None
) -> tuple[Fraction | None, dict[str, Fraction]]:
    """The probe's limit, and those of data sets. Raises ValueError, naming the option, for two of the same."""
    by_path = dict(found or [])
    if len(by_path) < len(found or []):
        raise ValueError(f"{option}: expected one for the probe and one for each data set")
    return by_path.pop(None, None), {path: limit for path, limit in by_path.items() if path is not None}


def add_probes(parser: argparse.ArgumentParser, help: str) -> None:
    """--probes, None unless given."""
    parser.add_argument("--probes", type=_probes, metavar="R", help=help)


def _probes(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_COUNT_DIGITS and 1 <= int(text) <= MAX_PROBES):
        raise argparse.ArgumentTypeError(f"expected a number from 1 to {MAX_PROBES}, got {text[:MAX_REPEATED]!r}")
    return int(text)


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
        if "/" not in text:
            return exact_rational("number", text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"expected a decimal such as 0.8, got {text[:MAX_REPEATED]!r}")


def share(text: str) -> Fraction:
    """A decimal argument between 0 and 1, or a percentage, exactly."""
    number = rational(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"expected a number between 0 and 1, or write 95%, got {text[:MAX_REPEATED]!r}")
    return number


def nats(text: str) -> Fraction:
    """A decimal argument that a loss or a value can have, exactly."""
    number = rational(text)
    if not 0 <= number < MAX_RESULT:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to {MAX_RESULT}, got {text[:MAX_REPEATED]!r}")
    return number


def difference(text: str) -> Fraction:
    """A decimal argument that a difference of losses can have, exactly."""
    number = rational(text)
    if not -MAX_RESULT < number < MAX_RESULT:
        raise argparse.ArgumentTypeError(f"expected a number from -{MAX_RESULT} to {MAX_RESULT}, got {text[:MAX_REPEATED]!r}")
    return number


def nats_or_file(text: str) -> Fraction | Path:
    """Likewise, or the name of a file that exists."""
    try:
        rational(text)
    except argparse.ArgumentTypeError as error:
        if os.path.isfile(text):
            return Path(text)
        raise argparse.ArgumentTypeError(f"{error}, which is no file of `zkds calibrate -o` either") from None
    return nats(text)
