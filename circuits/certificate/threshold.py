"""A calibrated threshold as a file, tau.json: tau, and the settings and errors that it was calibrated with.

    {"format": "zkds threshold v1", "tau": 0.713, "limit": "false-rejection", "risk": 0.05,
     "false_rejection": 0.049, "false_acceptance": null,
     "configuration": {"steps": 5, "batch_size": 8, "rho": "0.05", "learning_rate": "0.0001", "eps": "1e-12",
                       "sharpness": "ASAM", "perturbation": "SAM", "parameters": "all"}}

`zkds calibrate -o` writes it, `--tau` of `zkds audit` and `zkds verify` read it. tau says nothing about probes with other
settings, so whoever reads it asks for `differences`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from zkds.circuits.arithmetic.fixed_point import MAX_EXPONENT, Configuration, decimal_text

FORMAT = "zkds threshold v1"
MAX_BYTES = 1 << 16
MAX_WORD = 40  # letters
LIMITS = ("false-rejection", "false-acceptance")
PARAMETERS = ("all", "trainable")
KEYS = ("format", "tau", "limit", "risk", "false_rejection", "false_acceptance", "configuration")
SETTINGS = {
    "steps": "steps",
    "batch_size": "records in a step",
    "rho": "rho",
    "learning_rate": "learning rate",
    "eps": "eps",
    "sharpness": "sharpness",
    "perturbation": "perturbation",
}
MAX_TAU = 1 << 16  # above any value: F is below 2^7


@dataclass(frozen=True)
class Threshold:
    """tau, and what it holds for.

    tau                exact, not negative
    configuration      of the probes that it was calibrated with
    limit, risk        the error that was kept within the risk: "false-rejection" or "false-acceptance", for one probe
    false_rejection    the share of (good model, seed) with F > tau
    false_acceptance   the share of (bad model, seed) with F <= tau; None without bad models
    parameters         those that were measured: "all", as in a proof, or "trainable"
    """

    tau: Fraction
    configuration: Configuration
    limit: str
    risk: float
    false_rejection: float
    false_acceptance: float | None = None
    parameters: str = "all"

    def differences(self, configuration: Configuration, parameters: str = "all") -> tuple[str, ...]:
        """In words, one for each setting that a probe has otherwise; tau promises nothing for it unless there are none."""
        pairs = [(words, getattr(self.configuration, name), getattr(configuration, name)) for name, words in SETTINGS.items()]
        pairs.append(("parameters", self.parameters, parameters))
        return tuple(
            f"{words}: tau was calibrated with {_decimal(calibrated)}, this has {_decimal(used)}"
            for words, calibrated, used in pairs
            if calibrated != used
        )

    def to_json(self) -> str:
        configuration = {name: _decimal(getattr(self.configuration, name)) for name in SETTINGS}
        document = {
            "format": FORMAT,
            "tau": float(self.tau),
            "limit": self.limit,
            "risk": self.risk,
            "false_rejection": self.false_rejection,
            "false_acceptance": self.false_acceptance,
            "configuration": configuration | {"parameters": self.parameters},
        }
        return json.dumps(document, indent=2, allow_nan=False) + "\n"


def read_threshold(path: str | Path) -> Threshold:
    """The threshold in a file. Raises OSError if it can't be opened; ValueError, naming file and key, if it is no such file."""
    with open(path, "rb") as file:
        data = file.read(MAX_BYTES + 1)
    try:
        return _threshold(_parse(data))
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{path}: expected a threshold as `zkds calibrate -o` writes it; {error}") from None


def _parse(data: bytes) -> Any:
    if len(data) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES} bytes")
    try:
        return json.loads(data, parse_float=Decimal, parse_constant=_refuse_constant, object_pairs_hook=_object)
    except (UnicodeDecodeError, json.JSONDecodeError, ArithmeticError):
        raise ValueError("it is no JSON") from None


def _refuse_constant(_: str) -> None:
    raise ValueError("it holds what is no finite number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("it has a key twice")
    return found


def _threshold(document: Any) -> Threshold:
    _require_keys("it", document, KEYS)
    if document["format"] != FORMAT:
        raise ValueError(f"format: expected {FORMAT}")
    given = document["configuration"]
    _require_keys("configuration", given, (*SETTINGS, "parameters"))
    for name in SETTINGS:
        _require_short(name, given[name])
    shares = {name: _share(name, document[name]) for name in ("risk", "false_rejection")}
    acceptance = document["false_acceptance"]
    return Threshold(
        _tau(document["tau"]),
        Configuration.of(**{name: given[name] for name in SETTINGS}),
        _choice("limit", document["limit"], LIMITS),
        **shares,
        false_acceptance=None if acceptance is None else _share("false_acceptance", acceptance),
        parameters=_choice("parameters", given["parameters"], PARAMETERS),
    )


def _require_keys(name: str, document: Any, keys: tuple[str, ...]) -> None:
    if not isinstance(document, dict) or set(document) != set(keys):
        raise ValueError(f"{name}: expected the keys {', '.join(keys)} and no others")


def _require_short(name: str, value: Any) -> None:
    """So that a message may repeat it."""
    number = type(value) is int and abs(value) < 1 << 64
    word = isinstance(value, str) and len(value) <= MAX_WORD and value.isprintable()
    if not (number or word):
        raise ValueError(f"{name}: expected a number or a short string")


def _tau(value: Any) -> Fraction:
    if type(value) not in (int, Decimal) or not 0 <= value <= MAX_TAU or Decimal(value).adjusted() < -MAX_EXPONENT:
        raise ValueError(f"tau: expected a number from 0 to {MAX_TAU}")
    return Fraction(value)


def _share(name: str, value: Any) -> float:
    if type(value) not in (int, Decimal) or not 0 <= value <= 1:
        raise ValueError(f"{name}: expected a number from 0 to 1")
    return float(value)


def _choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise ValueError(f"{name}: expected {' or '.join(choices)}")
    return str(value)


def _decimal(value: Fraction | int | str) -> str | int:
    return decimal_text(value) if isinstance(value, Fraction) else value
