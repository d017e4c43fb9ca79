"""Limits beside what was found, in words."""

from __future__ import annotations

from fractions import Fraction


def told_apart(bound: str, limit: Fraction, found: Fraction) -> tuple[str, str]:
    """Both numbers, the first after `bound`, with as many digits as tell them apart if they differ."""
    for digits in (6, 12, 17):
        texts = [f"{float(number):.{digits}g}" for number in (limit, found)]
        if texts[0] != texts[1] or limit == found:
            return f"{bound} {texts[0]}", texts[1]
    return f"{bound} {limit}", str(found)
