"""Schemas: canonical bytes, a total parser, and the exact meaning of a stored element."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zkds.dataset.schema import MAX_RECORD_BYTES, Normalization, Schema
from zkds.errors import MalformedProof

IMAGE = Schema("image", (3, 4, 5), "uint8", 10, 0, Normalization.from_decimals(["0.1", "0.2", "0.3"], ["0.5", "1", "2"]))
VECTOR = Schema("vector", (7,), "int16", 300, 12)
SCHEMAS = [IMAGE, VECTOR, replace(IMAGE, normalization=None), Schema("vector", (1,), "uint8", 2), replace(VECTOR, classes=256)]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_encoding_round_trip(schema):
    assert Schema.decode(schema.encode()) == schema
    assert len({other.encode() for other in SCHEMAS}) == len(SCHEMAS)


def test_sizes():
    assert (IMAGE.elements, IMAGE.record_bytes, IMAGE.label_bytes) == (60, 61, 1)
    assert (VECTOR.elements, VECTOR.record_bytes, VECTOR.label_bytes) == (7, 16, 2)
    assert replace(VECTOR, classes=256).label_bytes == 1


def test_encoding_is_the_documented_one():
    expected = b"zkds schema v1" + b"".join(n.to_bytes(8, "little") for n in (1, 1, 12, 1, 7, 300, 0))
    assert VECTOR.encode() == expected
    normalized = replace(VECTOR, normalization=Normalization((-1,), (1 << 32,)))
    pair = ((1 << 63) - 1).to_bytes(8, "little") + (1 << 32).to_bytes(8, "little")
    assert normalized.encode() == expected[:-8] + (1).to_bytes(8, "little") + pair


@pytest.mark.parametrize("schema", SCHEMAS)
def test_every_truncation_and_extension_is_malformed(schema):
    data = schema.encode()
    for length in range(len(data)):
        with pytest.raises(MalformedProof):
            Schema.decode(data[:length])
    with pytest.raises(MalformedProof, match="trailing bytes"):
        Schema.decode(data + b"\0")


@given(st.binary(max_size=200), st.integers(0, 120), st.integers(0, 255))
@settings(max_examples=200, derandomize=True, deadline=None)
def test_decoding_is_total(data, position, value):
    changed = bytearray(IMAGE.encode())
    changed[position] ^= value
    for candidate in (data, b"zkds schema v1" + data, bytes(changed)):
        try:
            assert Schema.decode(candidate).encode() == candidate
        except MalformedProof:
            pass


def test_numbers_are_an_affine_map_rounded_once_in_slope_and_constant():
    plain = replace(IMAGE, normalization=None)
    assert plain.affine(0) == (0x01010101, 0)
    assert [plain.number(u, 0) for u in (0, 255, 51)] == [0, (1 << 32) - 1, round(Fraction(2**32, 5))]
    assert [VECTOR.number(u, 0) for u in (0, 1 << 15, 65535)] == [-8 << 32, 0, (8 << 32) - (1 << 20)]
    for channel, (mean, deviation) in enumerate([("0.1", "0.5"), ("0.2", "1"), ("0.3", "2")]):
        for u in (0, 1, 254, 255):
            stored_mean = (2 * Fraction(mean) * 2**32 + 1) // 2
            value = (Fraction(u, 255) * 2**32 - stored_mean) / Fraction(deviation)
            assert abs(IMAGE.number(u, channel) - value) <= Fraction(u + 1, 2)
    halves = Schema("vector", (1,), "uint8", 2, 0, Normalization((1,), (2 << 32,)))
    assert halves.affine(0) == (8421505, 0)  # 8421504.5 and -0.5, halves up


def test_decimals_are_rounded_to_the_grid():
    normalization = Normalization.from_decimals([0.1307, "-1e-3"], ["0.3081", 1])
    assert normalization.mean == (round(Fraction("0.1307") * 2**32), round(Fraction("-0.001") * 2**32))
    assert normalization.deviation == (round(Fraction("0.3081") * 2**32), 1 << 32)


def test_normalization_is_of_integers():
    with pytest.raises(TypeError, match="normalization: expected ints in units"):
        Normalization((0.5,), (1,))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Schema("sound", (1,), "uint8", 2), "kind: expected one of image, vector"),
        (lambda: Schema("image", (1, 2, 2), "int16", 2), "element: expected uint8, or int16 in a vector"),
        (lambda: Schema("image", (2, 2), "uint8", 2), "shape: expected 3 positive dimensions"),
        (lambda: Schema("vector", (0,), "uint8", 2), "shape: expected 1 positive dimensions"),
        (lambda: Schema("vector", (1,), "uint8", 1), "classes: expected 2 to 65536, got 1"),
        (lambda: Schema("vector", (1,), "uint8", 65537), "classes: expected 2 to 65536"),
        (lambda: Schema("vector", (1,), "uint8", 2, 1), "fraction_bits: expected 0 to 0 for uint8, got 1"),
        (lambda: Schema("vector", (1,), "int16", 2, 16), "fraction_bits: expected 0 to 15 for int16, got 16"),
        (lambda: Schema("vector", (MAX_RECORD_BYTES,), "uint8", 2), "shape: expected records of at most"),
        (lambda: replace(VECTOR, normalization=Normalization((0, 0), (1, 1))), "normalization: expected 1 or 7 means"),
        (lambda: Normalization((), ()), "normalization: expected as many means"),
        (lambda: Normalization((0,), (1, 2)), "normalization: expected as many means"),
        (lambda: Normalization((0,), (0,)), "normalization: expected deviations of at least"),
        (lambda: Normalization((1 << 48,), (1,)), "normalization: expected means below"),
        (lambda: Normalization.from_decimals(["one"], ["1"]), "normalization: expected decimal numbers, got 'one'"),
        (lambda: Normalization.from_decimals(["nan"], ["1"]), "normalization: expected decimal numbers"),
        (lambda: Normalization.from_decimals(["0"], ["1e999999999"]), "normalization: expected decimal numbers, got '1e9"),
        (lambda: Normalization.from_decimals(["-1e-999999999"], ["1"]), "normalization: expected decimal numbers"),
        (lambda: Normalization.from_decimals(["inf"], ["1"]), "normalization: expected decimal numbers"),
        (lambda: IMAGE.number(256, 0), "stored: expected an element"),
        (lambda: IMAGE.number(0, 3), "channel: expected 0 to 2, got 3"),
    ],
)
def test_misuse_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def allowed(schema):
    try:
        schema.require_inputs()
    except ValueError as error:
        assert str(error).startswith("data set: ")
        return False
    return True


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.sampled_from(["image", "bytes", "int16"]),
    st.integers(0, 15),
    st.lists(st.tuples(st.integers(-(1 << 44), 1 << 44), st.integers(1, 1 << 36)), min_size=0, max_size=3),
)
def test_inputs_are_refused_if_and_only_if_some_element_leaves_the_format(kind, fraction_bits, pairs):
    normalization = Normalization(*zip(*pairs, strict=True)) if pairs else None
    channels = max(1, len(pairs))
    schema = {
        "image": Schema("image", (channels, 2, 2), "uint8", 10, 0, normalization),
        "bytes": Schema("vector", (channels,), "uint8", 10, 0, normalization),
        "int16": Schema("vector", (channels,), "int16", 10, fraction_bits, normalization),
    }[kind]
    ends = [schema.number(u, c) for c in range(channels) for u in (0, 1, schema.largest_element // 2, schema.largest_element)]
    assert allowed(schema) == all(-(1 << 42) <= end < 1 << 42 for end in ends)
    assert all(low <= high for low, high in map(schema.input_interval, range(channels)))


def test_the_ends_of_the_format():
    """From -1024 on and below 1024: integers in steps of 1/32 just fit."""
    assert Schema("vector", (3,), "int16", 2, 5).input_interval(2) == (-(1 << 42), (1 << 42) - (1 << 27))
    assert [allowed(Schema("vector", (3,), "int16", 2, bits)) for bits in (4, 5)] == [False, True]
    one = 1 << 32
    assert [allowed(replace(IMAGE, normalization=Normalization((m * one,), (one,)))) for m in (-1023, -1024)] == [True, False]
    assert [allowed(replace(IMAGE, normalization=Normalization((m * one,), (one,)))) for m in (1024, 1025)] == [True, False]


def test_the_channel_whose_inputs_leave_the_format_is_named():
    pairs = Normalization.from_decimals(["0.5", "0.5", "0.5"], ["1", "0.0001", "0.0001"])
    with pytest.raises(ValueError, match=r"^data set: channel 1: inputs could reach from -5000 to 5000; proofs hold -1024 to"):
        replace(IMAGE, normalization=pairs).require_inputs()
    with pytest.raises(ValueError, match=r"^data set: feature 0 and all others: inputs could reach from -32768 to 32767; "):
        Schema("vector", (3,), "int16", 2).require_inputs()
