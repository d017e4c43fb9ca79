"""A policy (policy.py) as a file, policy.toml: `zkds verify --policy` reads it, `zkds calibrate --policy` writes one.

docs/verdict.md shows a file with every key. Whatever is no key of `TABLES`, `PROBE`, `EVALUATION` or `CALIBRATION` is refused:
a misspelt clause would ask for nothing. Numbers are exact decimals.
"""

from __future__ import annotations

import json
import string
import tomllib
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from zkds.circuits.arithmetic.fixed_point import MAX_EXPONENT, Configuration, decimal_text
from zkds.circuits.certificate.beacon import LEAST_BEACON_BYTES, MOST_BEACON_BYTES
from zkds.circuits.certificate.policy import CalibrationRates, EvaluationPolicy, Policy
from zkds.circuits.networks import zoo
from zkds.errors import FileError

FORMAT = "zkds policy v1"
MAX_BYTES = 1 << 16
MAX_LETTERS = 200  # of a text
MAX_NATS = (1 << 12) - 1  # as losses and values have them
MAX_INPUT = 1 << 20
DIGEST_BYTES = 32

Reader = Callable[[str, Any], Any]


class PolicyError(FileError):
    """A file that is no policy. The message names file and key."""


def read_policy(path: str | Path) -> Policy:
    """The policy in a file. Raises OSError if it can't be opened; PolicyError, naming file and key, if it is none."""
    with open(path, "rb") as file:
        data = file.read(MAX_BYTES + 1)
    try:
        return _policy(_parse(data))
    except (ValueError, TypeError, RecursionError) as error:
        raise PolicyError(f"{path}: expected a policy, as docs/verdict.md describes them; {error}") from None


def _parse(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES} bytes")
    try:
        return tomllib.loads(data.decode(), parse_float=Decimal)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, ArithmeticError) as error:
        raise ValueError(f"it is no TOML: {str(error)[:MAX_LETTERS]}") from None


def _policy(document: Mapping[str, Any]) -> Policy:
    if document.get("format") != FORMAT:
        raise ValueError(f'format: expected "{FORMAT}"')
    known = {"format", "probe", "evaluation", "calibration", *TABLES}
    _require_known("", document, known)
    if "probe" not in document:
        raise ValueError("probe: expected this table, the settings that the limits are about")
    found: dict[str, Any] = {"configuration": _configuration(document["probe"])}
    for table, keys in TABLES.items():
        readers = {key: reader for key, (_, reader) in keys.items()}
        found |= {keys[key][0]: value for key, value in _table(table, document.get(table, {}), readers).items()}
    if found.get("architecture") is not None and found.get("network") is not None:
        raise ValueError("model: expected architecture or network, not both")
    found["evaluations"] = _evaluation_tables(document.get("evaluation", []))
    if "calibration" in document:
        found["calibration"] = _calibration(document["calibration"])
    return Policy(**found)


def _table(name: str, table: Any, readers: Mapping[str, Reader], required: Collection[str] = ()) -> dict[str, Any]:
    """The values of a table by their keys, each read by its reader."""
    if not isinstance(table, dict):
        raise ValueError(f"{name}: expected a table")
    _require_known(f"{name}.", table, readers)
    missing = [key for key in required if key not in table]
    if missing:
        raise ValueError(f"{name}: expected {', '.join(missing)} as well")
    return {key: readers[key](f"{name}.{key}", value) for key, value in table.items()}


def _require_known(prefix: str, table: Mapping[str, Any], known: Collection[str]) -> None:
    for key in table:
        if key not in known:
            raise ValueError(f"{prefix}{key[:MAX_LETTERS]}: no key of a policy; there are {', '.join(sorted(known))}")


def _configuration(table: Any) -> Configuration:
    return Configuration.of(**_table("probe", table, PROBE, PROBE))


def _evaluation_tables(tables: Any) -> tuple[EvaluationPolicy, ...]:
    if not isinstance(tables, list):
        raise ValueError("evaluation: expected tables, [[evaluation]]")
    return tuple(EvaluationPolicy(**_table("evaluation", table, EVALUATION, ("root", "samples"))) for table in tables)


def _calibration(table: Any) -> CalibrationRates:
    required = ("limit", "risk", "false_rejection", "false_rejection_interval")
    found = _table("calibration", table, CALIBRATION, required)
    if ("false_acceptance" in found) != ("false_acceptance_interval" in found):
        raise ValueError("calibration: expected false_acceptance and its interval, both or neither")
    return CalibrationRates(**found)


def _exact(name: str, value: Any, least: Fraction, most: Fraction) -> Fraction:
    known = type(value) in (int, Decimal) and Decimal(value).is_finite()
    if not known or Decimal(value).adjusted() < -MAX_EXPONENT or not least <= value <= most:
        raise ValueError(f"{name}: expected a number from {least} to {most}")
    return Fraction(value)


def _between(least: int, most: int) -> Reader:
    return lambda name, value: _exact(name, value, Fraction(least), Fraction(most))


def _count(name: str, value: Any) -> int:
    if type(value) is not int or not 1 <= value < 1 << 63:
        raise ValueError(f"{name}: expected a positive whole number")
    return value


def _bool(name: str, value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError(f"{name}: expected true or false")
    return value


def _words(name: str, value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_LETTERS or not value.isprintable():
        raise ValueError(f"{name}: expected a text of at most {MAX_LETTERS} letters")
    return value


def _bytes(name: str, value: Any) -> bytes:
    if not isinstance(value, str) or len(value) % 2 or not set(value) <= set(string.hexdigits):
        raise ValueError(f"{name}: expected hex digits, two for each byte")
    return bytes.fromhex(value)


def _beacon(name: str, value: Any) -> bytes:
    found = _bytes(name, value)
    if not LEAST_BEACON_BYTES <= len(found) <= MOST_BEACON_BYTES:
        raise ValueError(f"{name}: expected {LEAST_BEACON_BYTES} to {MOST_BEACON_BYTES} bytes, got {len(found)}")
    return found


def _digest(name: str, value: Any) -> bytes:
    found = _bytes(name, value)
    if len(found) != DIGEST_BYTES:
        raise ValueError(f"{name}: expected {2 * DIGEST_BYTES} hex digits")
    return found


def _architecture(name: str, value: Any) -> str:
    found = _words(name, value)
    try:
        zoo.network(found)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    return found


def _decimal(name: str, value: Any) -> str:
    """As `Configuration.of` takes it: an exact decimal."""
    if type(value) not in (int, Decimal):
        raise ValueError(f"{name}: expected a number")
    return str(value)


def _interval(name: str, value: Any) -> tuple[Fraction, Fraction]:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError(f"{name}: expected two numbers")
    low, high = (_between(0, 1)(name, each) for each in value)
    return low, high


SHARE, NATS = _between(0, 1), _between(0, MAX_NATS)
PROBE: dict[str, Reader] = {
    "steps": _count,
    "batch_size": _count,
    "rho": _decimal,
    "learning_rate": _decimal,
    "eps": _decimal,
    "sharpness": _words,
    "perturbation": _words,
}
# Of each table: the key, the field of Policy, how its value is read.
TABLES: dict[str, dict[str, tuple[str, Reader]]] = {
    "limits": {
        "tau": ("tau", NATS),
        "max_loss": ("max_loss", NATS),
        "min_accuracy": ("min_accuracy", SHARE),
        "min_labels": ("min_labels", _count),
        "max_margin": ("max_margin", NATS),
        "min_probes": ("min_probes", _count),
        "max_gap": ("max_gap", _between(-MAX_NATS, MAX_NATS)),
    },
    "model": {
        "architecture": ("architecture", _architecture),
        "network": ("network", _digest),
        "private": ("private_model", _bool),
    },
    "data": {
        "root": ("root", _digest),
        "min_records": ("min_records", _count),
        "largest_input": ("largest_input", _between(0, MAX_INPUT)),
        "least_input_range": ("least_input_range", _between(0, MAX_INPUT)),
    },
    "seed": {"drawn_by": ("drawn_by", _words), "beacon": ("beacon", _beacon)},
    "allow": {name: (f"allow_{name}", _bool) for name in ("saturated", "surplus_classes", "vanishing_weights")},
}
EVALUATION: dict[str, Reader] = {
    "root": _digest,
    "samples": _count,
    "max_loss": NATS,
    "min_accuracy": SHARE,
    "min_accuracy_of_all": SHARE,
}
CALIBRATION: dict[str, Reader] = {
    "limit": _words,
    "risk": SHARE,
    "false_rejection": SHARE,
    "false_rejection_interval": _interval,
    "false_acceptance": SHARE,
    "false_acceptance_interval": _interval,
}


# ---- writing ---------------------------------------------------------------------------------------------------------


def policy_text(policy: Policy) -> str:
    """The policy as a file has it; `read_policy` reads the same one. Numbers are exact decimals where they are finite ones."""
    configuration = policy.configuration
    tables = [("probe", {name: getattr(configuration, name) for name in PROBE})]
    tables += [(table, {key: getattr(policy, name) for key, (name, _) in keys.items()}) for table, keys in TABLES.items()]
    texts = [f"format = {_toml(FORMAT)}", *(_table_text(f"[{name}]", values) for name, values in tables)]
    texts += [_table_text("[[evaluation]]", vars(evaluation)) for evaluation in policy.evaluations]
    if policy.calibration is not None:
        texts.append(_table_text("[calibration]", vars(policy.calibration)))
    return "\n\n".join(text for text in texts if text) + "\n"


def _table_text(heading: str, values: Mapping[str, Any]) -> str:
    lines = [f"{key} = {_toml(value)}" for key, value in values.items() if value is not None]
    return "\n".join([heading, *lines]) if lines else ""


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Fraction):
        text = decimal_text(value)
        return text if "/" not in text else repr(float(value))
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, bytes):
        return json.dumps(value.hex())
    return json.dumps(value, ensure_ascii=False)  # of a text or an int: JSON's are TOML's, where letters are printable
