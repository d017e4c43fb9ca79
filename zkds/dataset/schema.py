"""The public schema of a data set: how a record is a byte string, and what number a network sees for it.

A record is the bytes of its elements, row-major, then its label:

    uint8    one byte u; an image (C, H, W) or a vector of features (d,). The number is u / 255.
    int16    a vector of features (d,) in fixed point: two bytes, little-endian, offset-binary, u = v + 2^15; the number is
             v / 2^fraction_bits. Offset-binary, so that v is linear in the two bytes that a proof commits and checks.
    label    one byte for up to 256 classes, else two, little-endian

With a normalization (mean, deviation), in units of 2^-32, the network sees (number - mean) / deviation instead. All of it is
integers, is part of the schema's canonical bytes, and so is bound by the data root.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property

from zkds.errors import MalformedProof
from zkds.wire import ProofReader, encode_number, read_number

SCHEMA_LABEL = b"zkds schema v1"
KINDS = ("image", "vector")
ELEMENTS = ("uint8", "int16")
ELEMENT_BYTES = (1, 2)
MAX_CLASSES = 1 << 16
MAX_RECORD_BYTES = 1 << 18  # A then has at most 270 MB
MAX_FRACTION_BITS = 15
NUMBER_BITS = 32  # fraction bits of what a network sees, and of mean and deviation
INPUT_WIDTH = 43  # bits, sign included, of what a network sees: at least -1024 and below 1024
MAX_NORMALIZATION = 1 << 48  # |mean| and deviation in units of 2^-32: below 2^16
MAX_EXPONENT = 100  # of a decimal, ten to which is read at most
INT16_OFFSET = 1 << 15
SIGN = 1 << 63
MAX_SCHEMA_BYTES = 1 << 23  # of its encoding: a normalization may have a pair for each of 2^18 features


@dataclass(frozen=True)
class Normalization:
    """The network sees (number - mean) / deviation; one pair, or one for each channel, in units of 2^-32."""

    mean: tuple[int, ...]
    deviation: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.mean or len(self.mean) != len(self.deviation):
            found = f"{len(self.mean)} and {len(self.deviation)}"
            raise ValueError(f"normalization: expected as many means as deviations, at least one, got {found}")
        if any(type(value) is not int for value in self.mean + self.deviation):
            raise TypeError("normalization: expected ints in units of 2^-32; from_decimals takes decimals")
        if any(not -MAX_NORMALIZATION < value < MAX_NORMALIZATION for value in self.mean):
            raise ValueError("normalization: expected means below 65536 in absolute value")
        if any(not 0 < value < MAX_NORMALIZATION for value in self.deviation):
            raise ValueError("normalization: expected deviations of at least 2^-32 and below 65536")

    @classmethod
    def from_decimals(cls, mean: Sequence[str | float], deviation: Sequence[str | float]) -> Normalization:
        """Rounds each decimal to the nearest multiple of 2^-32, halves up; a float counts as its shortest decimal."""
        return cls(tuple(map(_scaled, mean)), tuple(map(_scaled, deviation)))


def _scaled(decimal: str | float) -> int:
    try:
        value = Decimal(str(decimal))
    except ArithmeticError:
        value = Decimal("nan")
    if not value.is_finite() or abs(value.adjusted()) > MAX_EXPONENT:  # as a fraction, 1e999999999 would fill the memory
        raise ValueError(f"normalization: expected decimal numbers, got {str(decimal)[:40]!r}")
    return _round_half_up(Fraction(value) * (1 << NUMBER_BITS))


def _round_half_up(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))


def _rounded_quotient(numerator: int, denominator: int) -> int:
    """numerator / denominator to the nearest integer, halves up; denominator > 0."""
    return (2 * numerator + denominator) // (2 * denominator)


@dataclass(frozen=True)
class Schema:
    """What is public about every record.

    kind            "image" or "vector"
    shape           (C, H, W) or (d,)
    element         "uint8", or for vectors "int16"
    classes         labels are 0, ..., classes - 1; 2 to 65536
    fraction_bits   of int16 elements, 0 to 15; 0 for uint8
    normalization   None, or one pair, or one pair for each entry of the first dimension
    """

    kind: str
    shape: tuple[int, ...]
    element: str
    classes: int
    fraction_bits: int = 0
    normalization: Normalization | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind: expected one of {', '.join(KINDS)}, got {self.kind!r}")
        if self.element not in ELEMENTS or (self.kind, self.element) == ("image", "int16"):
            raise ValueError(f"element: expected uint8, or int16 in a vector, got {self.element!r} in kind {self.kind!r}")
        dimensions = 3 if self.kind == "image" else 1
        if len(self.shape) != dimensions or any(type(d) is not int or d < 1 for d in self.shape):
            raise ValueError(f"shape: expected {dimensions} positive dimensions for kind {self.kind!r}, got {self.shape}")
        if type(self.classes) is not int or not 2 <= self.classes <= MAX_CLASSES:
            raise ValueError(f"classes: expected 2 to {MAX_CLASSES}, got {self.classes}")
        most = MAX_FRACTION_BITS if self.element == "int16" else 0
        if type(self.fraction_bits) is not int or not 0 <= self.fraction_bits <= most:
            raise ValueError(f"fraction_bits: expected 0 to {most} for {self.element}, got {self.fraction_bits}")
        if self.record_bytes > MAX_RECORD_BYTES:
            raise ValueError(f"shape: expected records of at most {MAX_RECORD_BYTES} bytes, got {self.record_bytes}")
        if self.normalization and len(self.normalization.mean) not in (1, self.shape[0]):
            found = len(self.normalization.mean)
            raise ValueError(f"normalization: expected 1 or {self.shape[0]} means, one for each channel, got {found}")

    @property
    def elements(self) -> int:
        """Elements of a record, without its label."""
        return math.prod(self.shape)

    @property
    def element_bytes(self) -> int:
        return ELEMENT_BYTES[ELEMENTS.index(self.element)]

    @property
    def largest_element(self) -> int:
        """Of what is stored: 255, or 65535."""
        return (1 << 8 * self.element_bytes) - 1

    @property
    def label_bytes(self) -> int:
        return 1 if self.classes <= 256 else 2

    @property
    def record_bytes(self) -> int:
        return self.elements * self.element_bytes + self.label_bytes

    def affine(self, channel: int) -> tuple[int, int]:
        """(m, n): for a stored element u of a channel (an index of the first dimension) the network sees m u + n, in 2^-32.

        Slope and value at zero of the exact affine map, each rounded once, halves up: with bytes, m u + n is within 128 units
        of the exact value, 2^-25. That the map is affine in integers lets a circuit read committed elements as they are.
        """
        if not 0 <= channel < self.shape[0]:
            raise ValueError(f"channel: expected 0 to {self.shape[0] - 1}, got {channel}")
        maps = self.distinct_maps
        return maps[channel if len(maps) > 1 else 0]

    @property
    def channel_maps(self) -> tuple[tuple[int, int], ...]:
        """`affine` of every channel."""
        return self.distinct_maps * (self.shape[0] if len(self.distinct_maps) == 1 else 1)

    @cached_property
    def distinct_maps(self) -> tuple[tuple[int, int], ...]:
        """`affine` of every channel, or of all alike if there is no normalization, or one pair.

        In integers: a schema from a stranger may have a normalization pair for each of 2^18 features.
        """
        unit = 1 << NUMBER_BITS
        steps, constant = (255, 0) if self.element == "uint8" else (1 << self.fraction_bits, 0)  # of stored elements in 1
        if self.element == "int16":
            constant = -INT16_OFFSET * unit // steps
        pairs = self.normalization or Normalization((0,), (unit,))
        return tuple(
            (_rounded_quotient(unit * unit, steps * deviation), _rounded_quotient((constant - mean) * unit, deviation))
            for mean, deviation in zip(pairs.mean, pairs.deviation, strict=True)
        )

    def input_interval(self, channel: int) -> tuple[int, int]:
        """The least and the largest that the network can see of a channel, in 2^-32: of u = 0 and of the largest stored u."""
        slope, constant = self.affine(channel)
        return constant, constant + slope * self.largest_element

    def require_inputs(self) -> None:
        """Raise ValueError naming the first channel of which a network could see a number that no proof holds.

        Whatever the records are: a proof says nothing about the elements' range but that they are bytes.
        """
        for channel in range(len(self.distinct_maps)):
            low, high = self.input_interval(channel)
            if not -(1 << INPUT_WIDTH - 1) <= low <= high < 1 << INPUT_WIDTH - 1:
                every = "" if len(self.distinct_maps) == self.shape[0] else " and all others"
                reach = f"{low / (1 << NUMBER_BITS):.6g} to {high / (1 << NUMBER_BITS):.6g}"
                remedy = "a larger deviation or another mean" + (", or more fraction bits" if self.element == "int16" else "")
                raise ValueError(
                    f"data set: {'channel' if self.kind == 'image' else 'feature'} {channel}{every}: inputs could reach from "
                    f"{reach}; proofs hold -1024 to below 1024: use {remedy}"
                )

    def number(self, stored: int, channel: int) -> int:
        """What the network sees for a stored element u of a channel, in units of 2^-32: m u + n of `affine`."""
        if not 0 <= stored <= self.largest_element:
            raise ValueError("stored: expected an element of the schema's type")
        slope, constant = self.affine(channel)
        return slope * stored + constant

    def encode(self) -> bytes:
        """Canonical bytes: label; kind, element, fraction bits, number of dimensions, dimensions, classes, number of
        normalization pairs (0: none), means (plus 2^63), deviations. All numbers are 8 bytes, little-endian.
        """
        pairs = self.normalization or _NO_PAIRS
        numbers = [
            KINDS.index(self.kind),
            ELEMENTS.index(self.element),
            self.fraction_bits,
            len(self.shape),
            *self.shape,
            self.classes,
            len(pairs.mean),
            *(mean + SIGN for mean in pairs.mean),
            *pairs.deviation,
        ]
        return SCHEMA_LABEL + b"".join(map(encode_number, numbers))

    @classmethod
    def decode(cls, data: bytes) -> Schema:
        """The schema with these canonical bytes; MalformedProof for any others."""
        reader = ProofReader(data)
        if reader.read("schema label", len(SCHEMA_LABEL)) != SCHEMA_LABEL:
            raise MalformedProof("schema: label", SCHEMA_LABEL.decode(), "another one")
        kind, element, fraction_bits = (read_number(reader, "schema") for _ in range(3))
        shape = _read_numbers(reader, read_number(reader, "schema"))
        classes, pairs = (read_number(reader, "schema") for _ in range(2))
        means, deviations = _read_numbers(reader, pairs), _read_numbers(reader, pairs)
        reader.finish()
        if kind >= len(KINDS) or element >= len(ELEMENTS):
            raise MalformedProof("schema: kind and element", "known numbers", (kind, element))
        try:
            normalization = Normalization(tuple(mean - SIGN for mean in means), deviations) if pairs else None
            return cls(KINDS[kind], shape, ELEMENTS[element], classes, fraction_bits, normalization)
        except ValueError as error:
            raise MalformedProof(f"schema: {error}") from None


@dataclass(frozen=True)
class _Pairs:
    mean: tuple[int, ...] = ()
    deviation: tuple[int, ...] = ()


_NO_PAIRS = _Pairs()


def _read_numbers(reader: ProofReader, count: int) -> tuple[int, ...]:
    """`count` numbers; the whole is read first, so that memory stays within the bytes that are there."""
    data = reader.read("schema", 8 * count)
    return tuple(int.from_bytes(data[8 * j : 8 * j + 8], "little") for j in range(count))
