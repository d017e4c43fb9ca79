"""JSON from strangers, with one meaning: each name once, finite numbers, a bounded depth and number of values.

Other readers take the last of two equal names, read NaN and infinities, and ignore fields that they don't know. What is read
here is taken apart by the functions below, which name the place and what was expected there, and never show what stands there.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

MAX_BYTES = 1 << 25
MAX_STRINGS = 1 << 21
MAX_VALUES = 1 << 20
MAX_DEPTH = 64
MAX_DIGITS = 19  # of an integer; here they have 64 bits

_SHOWN = re.compile(r"[ -~]{1,100}")


def read_json(data: bytes, name: str) -> Any:
    """The value in a file of this name. Raises ValueError if it is damaged, or breaks one of the rules above."""
    try:
        _require_small(data)
        return json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_integer,
        )
    except (ValueError, RecursionError) as error:  # of JSON: no message shows the text
        raise ValueError(f"{name}: {error}") from None


def _require_small(data: bytes) -> None:
    """Before anything is built. In valid JSON a backslash stands in strings only, so the rest ends where a string starts."""
    if len(data) > MAX_BYTES:
        raise ValueError(f"expected at most {MAX_BYTES} bytes, got {len(data)}")
    plain = data.replace(rb"\\", b"").replace(rb"\"", b"")
    if plain.count(b'"') > MAX_STRINGS:
        raise ValueError(f"expected at most {MAX_STRINGS // 2} strings")
    outside = np.frombuffer(b"".join(plain.split(b'"')[::2]), np.uint8)
    opening, closing = (np.isin(outside, np.frombuffer(signs, np.uint8)) for signs in (b"[{", b"]}"))
    if np.count_nonzero(opening) + np.count_nonzero(outside == ord(",")) > MAX_VALUES:
        raise ValueError(f"expected at most {MAX_VALUES} values")
    steps = opening.astype(np.int8) - closing.astype(np.int8)
    if np.cumsum(steps[steps != 0], dtype=np.int32).max(initial=0) > MAX_DEPTH:
        raise ValueError(f"expected at most {MAX_DEPTH} values within each other")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    twice = repeated(name for name, _ in pairs)
    if twice is not None:
        raise ValueError(f"the name {shown(twice)} stands twice in one object")
    return dict(pairs)


def _refuse_constant(_: str) -> Any:
    raise ValueError("expected finite numbers")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("expected finite numbers")
    return number


def _integer(text: str) -> int:
    if len(text.removeprefix("-")) > MAX_DIGITS or not -(1 << 63) <= int(text) < 1 << 63:
        raise ValueError("expected integers of 64 bits")
    return int(text)


# ---- values at a place of the file ----


def shown(name: object) -> str:
    """A name of the file as a message may show it: short and printable."""
    return name if isinstance(name, str) and _SHOWN.fullmatch(name) else "(a name of other than 1 to 100 printable letters)"


def fields(value: Any, where: str, required: str, optional: str = "") -> dict[str, Any]:
    """The fields of an object that has all required ones, and of the optional ones any. Both are lists of words."""
    found = mapping(value, where)
    missing = [name for name in required.split() if name not in found]
    if missing:
        raise ValueError(f"{where}: expected a field {missing[0]}")
    unknown = set(found) - set(required.split()) - set(optional.split())
    if unknown:
        raise ValueError(f"{where}: unknown field {shown(min(unknown))}")
    return found


def union(value: Any, where: str) -> tuple[str, Any]:
    """(name, value) of an object with one field."""
    found = mapping(value, where)
    if len(found) != 1:
        raise ValueError(f"{where}: expected one field, got {len(found)}")
    return next(iter(found.items()))


def mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where}: expected an object")
    return value


def sequence(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{where}: expected a list")
    return value


def integer(value: Any, where: str) -> int:
    if type(value) is not int:
        raise ValueError(f"{where}: expected an integer")
    return value


def boolean(value: Any, where: str) -> bool:
    if type(value) is not bool:
        raise ValueError(f"{where}: expected true or false")
    return value


def text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{where}: expected a string")
    return value


def texts(value: Any, where: str) -> list[str]:
    return [text(item, where) for item in sequence(value, where)]


def one_of(value: Any, where: str, known: Sequence[Any]) -> Any:
    """A value that equals one of these, and is of its type."""
    if not any(type(value) is type(item) and value == item for item in known):
        raise ValueError(f"{where}: expected {' or '.join(map(str, known))}")
    return value


def repeated(names: Iterable[str]) -> str | None:
    """The first name that was there before, or None."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
