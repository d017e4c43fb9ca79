"""The sponge from which challenges are drawn: docs/specification/proof-system.md, section 11."""

from hashlib import shake_256

from zkds_verify.field import K, P


def number(value):
    return value.to_bytes(8, "little")


def sized(data):
    return number(len(data)) + data


class Transcript:
    def __init__(self):
        self.sponge = shake_256()
        self.entry("domain", "zkds", b"zkds transcript v1")

    def entry(self, kind, label, data=b""):
        for part in (kind.encode(), label.encode()):
            self.sponge.update(sized(part))
        self.sponge.update(number(len(data)))
        self.sponge.update(data)

    def absorb(self, label, data):
        self.entry("bytes", label, data)

    def absorb_elements(self, label, data):
        self.entry("elements of K", label, data)

    def element(self, label):
        self.entry("draw element of K", label)
        pieces = self.pieces(61)
        found = []
        while len(found) < 2:
            piece = next(pieces)
            if piece != P:
                found.append(piece)
        return K(*found)

    def positions(self, label, count, bound):
        """`count` different numbers below `bound`, in order."""
        self.entry("draw positions", label, number(count) + number(bound))
        pieces, found = self.pieces(max(1, (bound - 1).bit_length())), set()
        while len(found) < count:
            piece = next(pieces)
            if piece < bound:
                found.add(piece)
        return sorted(found)

    def seed(self, label):
        self.entry("draw seed", label)
        return self.sponge.digest(32)

    def pieces(self, bits):
        """The output in pieces of 8 bytes, of each its low bits."""
        length, used = 256, 0
        while True:
            output = self.sponge.digest(length)
            for first in range(used, length, 8):
                yield int.from_bytes(output[first : first + 8], "little") & ((1 << bits) - 1)
            length, used = 2 * length, length
