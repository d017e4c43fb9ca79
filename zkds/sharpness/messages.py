"""Errors of a model's own code, in one line."""

from __future__ import annotations

MOST = 300  # letters


def first_line(error: BaseException) -> str:
    """The first line of what it says, after its kind; only what can be printed, and not too much of it."""
    text = str(error).strip().partition("\n")[0]
    words = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return "".join(letter for letter in words if letter.isprintable())[:MOST]
