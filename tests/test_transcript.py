"""Fiat-Shamir: vectors, separation of everything that differs, uniform draws."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness.shell import ROOT
from zkds.field import K, P
from zkds.transcript import Stream, Transcript

VECTORS = ROOT / "tests/vectors/transcript.json"


def test_vectors() -> None:
    """Made by vectors/transcript.py, which shares no code with zkds."""
    expected = json.loads(VECTORS.read_text())
    transcript = Transcript()
    transcript.absorb("statement", b"hello")
    assert transcript.challenge("alpha") == K(*expected["alpha"])
    transcript.absorb_elements("message", [K(1, 2), K(P - 1)])
    assert transcript.seed("queries").hex() == expected["seed"]
    assert transcript.positions("queries", 20, 100) == expected["positions"]
    assert transcript.challenge("last") == K(*expected["last"])


def absorbed(*entries: tuple[str, bytes]) -> K:
    transcript = Transcript()
    for label, data in entries:
        transcript.absorb(label, data)
    return transcript.challenge("c")


def test_what_differs_gives_other_challenges() -> None:
    variants = [
        absorbed(),
        absorbed(("a", b"")),
        absorbed(("", b"a")),
        absorbed(("a", b"b")),
        absorbed(("ab", b"")),
        absorbed(("a", b""), ("b", b"")),
        absorbed(("b", b""), ("a", b"")),
        absorbed(("a", b"b" + bytes(8))),
        absorbed(("a", b"b"), ("", b"")),
    ]
    assert len(set(variants)) == len(variants)


def test_labels_cannot_imitate_entries() -> None:
    """An entry's data that spells another entry is not that entry."""
    spelled = b"".join(len(part).to_bytes(8, "little") + part for part in (b"bytes", b"b", b"x"))
    assert absorbed(("a", b""), ("b", b"x")) != absorbed(("a", spelled))


def test_types_are_separate() -> None:
    elements, data = Transcript(), Transcript()
    elements.absorb_elements("m", [K(1, 2)])
    data.absorb("m", K(1, 2).to_bytes())
    assert elements.challenge("c") != data.challenge("c")


def test_draws_are_separate() -> None:
    """Each kind, label and shape of draw has its own output, and changes what is drawn after it."""

    def after(draw) -> K:
        transcript = Transcript()
        draw(transcript)
        return transcript.challenge("c")

    draws = [
        lambda t: None,
        lambda t: t.challenge("x"),
        lambda t: t.challenge("y"),
        lambda t: t.seed("x"),
        lambda t: t.positions("x", 2, 8),
        lambda t: t.positions("x", 3, 8),
        lambda t: t.positions("x", 2, 9),
    ]
    results = [after(draw) for draw in draws]
    assert len(set(results)) == len(draws)
    challenge = Transcript().challenge("x")
    assert challenge.to_bytes()[:8] != Transcript().seed("x")[:8]


def test_draws_do_not_repeat() -> None:
    transcript = Transcript()
    drawn = [transcript.challenge("same label") for _ in range(50)]
    assert len(set(drawn)) == 50


class Scripted(Stream):
    """A stream with given output."""

    def __init__(self, *values: int) -> None:
        self._values = iter(values)

    def read(self, count: int) -> bytes:
        assert count == 8
        return next(self._values).to_bytes(8, "little")


def test_rejection_is_exact() -> None:
    """p itself is the one 61-bit number that is rejected; higher bits are ignored; p - 1 is accepted."""
    assert Scripted(P, P - 1).below(61, P) == P - 1
    assert Scripted(P + (7 << 61), 5 + (1 << 63)).below(61, P) == 5
    assert Scripted(0).below(61, P) == 0
    assert Scripted(100, 127, 99).below(7, 100) == 99


@settings(max_examples=60, derandomize=True)
@given(st.integers(0, 300), st.integers(0, 80), st.binary(max_size=8))
def test_positions_are_distinct_sorted_and_in_range(bound: int, count: int, data: bytes) -> None:
    transcript = Transcript()
    transcript.absorb("x", data)
    if count > bound:
        with pytest.raises(ValueError, match="positions: expected 0 <= count"):
            transcript.positions("p", count, bound)
        return
    positions = transcript.positions("p", count, bound)
    assert positions == sorted(set(positions))
    assert len(positions) == count
    assert all(0 <= position < bound for position in positions)


def test_positions_can_be_all() -> None:
    assert Transcript().positions("p", 37, 37) == list(range(37))
    assert Transcript().positions("p", 1, 1) == [0]


def test_positions_are_uniform() -> None:
    """Chi-square over 12 cells, 3 of 12 positions, 2,000 draws of one fixed transcript: 31.3 is the 0.1 % bound, 11 degrees."""
    transcript, counts = Transcript(), [0] * 12
    for _ in range(2000):
        for position in transcript.positions("p", 3, 12):
            counts[position] += 1
    assert sum((count - 500) ** 2 / 500 for count in counts) < 31.3
