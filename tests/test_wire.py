"""The wire format: what is not exactly a sequence of the expected fields is malformed."""

from __future__ import annotations

import numpy as np
import pytest

from zkds.errors import MalformedProof
from zkds.field import K, P
from zkds.wire import ProofReader, ProofWriter


def written() -> bytes:
    writer = ProofWriter()
    writer.write("root", bytes(range(32)))
    writer.write("elements", K(1, 2).to_bytes() + K(P - 1, P - 1).to_bytes())
    writer.write("field", (5).to_bytes(8, "little"))
    assert writer.sizes == {"root": 32, "elements": 32, "field": 8}
    return writer.to_bytes()


def read(data: bytes) -> tuple[bytes, list[K], list[int]]:
    reader = ProofReader(data)
    fields = reader.read("root", 32), reader.read_elements("elements", 2), reader.read_field("field", 1).tolist()
    reader.finish()
    assert reader.sizes == {"root": 32, "elements": 32, "field": 8}
    return fields


def test_round_trip() -> None:
    assert read(written()) == (bytes(range(32)), [K(1, 2), K(P - 1, P - 1)], [5])


def test_every_truncation() -> None:
    data = written()
    for length in range(len(data)):
        with pytest.raises(MalformedProof) as caught:
            read(data[:length])
        label, start, count = next(f for f in [("root", 0, 32), ("elements", 32, 32), ("field", 64, 8)] if length < f[1] + f[2])
        assert caught.value.reason == f"truncated at {label}"
        assert caught.value.expected == f"{count} bytes"
        assert caught.value.actual == f"{length - start} bytes"


def test_trailing_bytes() -> None:
    with pytest.raises(MalformedProof) as caught:
        read(written() + b"\0\0")
    assert (caught.value.reason, caught.value.expected, caught.value.actual) == ("trailing bytes", 0, 2)


@pytest.mark.parametrize("value", [P, P + 1, 2**63, 2**64 - 1])
@pytest.mark.parametrize("place, label", [(32, "elements"), (40, "elements"), (56, "elements"), (64, "field")])
def test_elements_must_be_canonical(value: int, place: int, label: str) -> None:
    data = written()
    with pytest.raises(MalformedProof) as caught:
        read(data[:place] + value.to_bytes(8, "little") + data[place + 8 :])
    assert caught.value.reason == f"non-canonical field element in {label}"
    assert caught.value.actual == value


def test_counts_of_zero() -> None:
    reader = ProofReader(b"")
    assert reader.read_elements("none", 0) == []
    assert reader.read_pairs("none", 0).shape == (0, 2)
    reader.finish()


def test_huge_counts_allocate_nothing() -> None:
    with pytest.raises(MalformedProof, match="truncated"):
        ProofReader(bytes(100)).read_pairs("many", 2**50)


def test_arrays_do_not_alias_the_proof() -> None:
    data = bytes(16)
    pairs = ProofReader(data).read_pairs("element", 1)
    pairs[:] = 1
    assert data == bytes(16) and pairs.dtype == np.uint64
