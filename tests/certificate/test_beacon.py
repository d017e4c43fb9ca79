"""The seed of a beacon's value: the hash that the specification writes down, one for each pair of data root and model."""

import hashlib
import itertools

import pytest

from zkds.circuits.certificate.beacon import seed_of_beacon
from zkds.dataset.root import DataRoot
from zkds.dataset.schema import Schema

pytestmark = pytest.mark.any_kernels

ROOT = DataRoot(20, Schema("image", (1, 4, 4), "uint8", 3), bytes(range(32)))
OTHER = DataRoot(20, ROOT.schema, bytes(32))
MODEL = b"m" * 32


def test_the_hash_of_the_specification():
    for value, private in ((b"b" * 16, False), (b"b" * 300, True)):
        data = b"zkds seed from a beacon v1" + len(value).to_bytes(8, "little") + value + ROOT.digest()
        data += (b"\1" if private else b"\0") + MODEL
        assert seed_of_beacon(value, ROOT, MODEL, private_model=private) == hashlib.sha256(data).digest()


def test_every_argument_is_bound():
    values, roots, models = (b"b" * 16, b"b" * 17, b"c" * 16), (ROOT, OTHER), (MODEL, bytes(32))
    seeds = [
        seed_of_beacon(value, root, model, private_model=private)
        for value, root, model, private in itertools.product(values, roots, models, (False, True))
    ]
    assert len(set(seeds)) == len(seeds) == 24


@pytest.mark.parametrize(
    ("value", "model", "error", "message"),
    [
        (b"b" * 15, MODEL, ValueError, "beacon: expected 16 to 1024 bytes, got 15"),
        (b"b" * 1025, MODEL, ValueError, "beacon: expected 16 to 1024 bytes, got 1025"),
        ("b" * 32, MODEL, TypeError, "beacon, model: expected bytes"),
        (b"b" * 32, MODEL[1:], ValueError, "model: expected 32 bytes, got 31"),
    ],
)
def test_what_is_no_beacon_and_no_model(value, model, error, message):
    with pytest.raises(error, match=message):
        seed_of_beacon(value, ROOT, model, private_model=False)
