"""Secret randomness: uniform, rejected exactly, never repeated, handed out once."""

from __future__ import annotations

import numpy as np
import pytest
from Crypto.Cipher import AES
from Crypto.Hash import SHAKE256

from zkds.field import K, P
from zkds.zk import pads
from zkds.zk.pads import OneTimePads, SecretStream, byte_strings


def test_entropy_comes_from_the_operating_system(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(pads.os, "urandom", lambda count: asked.append(count) or bytes(count))
    assert SecretStream().bytes(8) == SecretStream(bytes(32)).bytes(8)
    assert asked == [32]


def test_streams_differ() -> None:
    assert len({SecretStream().bytes(32) for _ in range(20)}) == 20


def test_numpy_seeds_have_no_effect() -> None:
    np.random.seed(1)
    first = SecretStream().bytes(32)
    np.random.seed(1)
    assert SecretStream().bytes(32) != first


def test_a_stream_does_not_repeat() -> None:
    stream = SecretStream(bytes(32))
    assert len(set(stream.elements(1000))) == 1000
    assert stream.bytes(32) != stream.bytes(32)


def test_long_requests_are_counter_mode_under_fresh_keys() -> None:
    """The stream is a fixed function of the seed: SHAKE256 up to 2^10 bytes, then one AES-256 key for every 2^16 bytes."""
    sponge = SHAKE256.new(b"zkds secret stream v2" + bytes(32))
    stream = SecretStream(bytes(32))
    assert stream.bytes(1 << 10) == sponge.read(1 << 10)
    count = (1 << 16) + 5
    block = AES.new(sponge.read(32), AES.MODE_ECB)
    expected = b"".join(block.encrypt(number.to_bytes(16, "big")) for number in range(1 << 12))
    expected += AES.new(sponge.read(32), AES.MODE_ECB).encrypt(bytes(16))[:5]
    assert stream.bytes(count) == expected


def test_rejection_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """p is drawn again, p - 1 and 0 are not, and the three high bits are ignored."""
    script = iter([P, P - 1, P + (1 << 61), 0, P, 5 | 7 << 61, 9])
    stream = SecretStream(bytes(32))
    monkeypatch.setattr(stream, "bytes", lambda count: b"".join(next(script).to_bytes(8, "little") for _ in range(count // 8)))
    assert stream.field(4).tolist() == [9, P - 1, 5, 0]


def test_uniform_in_16_cells() -> None:
    """Chi-square of the high four bits of 40,000 draws of a fixed seed: 37.7 is the 0.1 % bound, 15 degrees."""
    counts = np.bincount(SecretStream(bytes(32)).field(40_000) >> np.uint64(57), minlength=16)
    assert ((counts - 2500.0) ** 2 / 2500).sum() < 37.7


def test_shapes() -> None:
    stream = SecretStream()
    assert stream.pairs(3, 4).shape == (3, 4, 2)
    assert stream.pairs(0).shape == (0, 2)
    assert stream.pairs(3).dtype == np.uint64
    with pytest.raises(ValueError, match="seed: expected 32 bytes, got 3"):
        SecretStream(b"abc")


def test_pads_are_handed_out_once() -> None:
    supply = OneTimePads([K(1), K(2)])
    assert supply.take() == [K(1), K(2)]
    with pytest.raises(RuntimeError, match="already used"):
        supply.take()


@pytest.mark.parametrize("count, size", [(0, 32), (1, 32), (31, 32), (33, 32), (100, 24), (3, 1024)])
def test_byte_strings_are_single_reads(count: int, size: int) -> None:
    single = SecretStream(bytes(32))
    assert byte_strings(SecretStream(bytes(32)), count, size) == [single.bytes(size) for _ in range(count)]
    with pytest.raises(ValueError, match="size: expected 1 to 1024, got 1025"):
        byte_strings(single, 1, 1025)
