"""The conversation from the verifier's side: messages from the proof's bytes, challenges, the soundness budget.

docs/specification/proof-system.md, sections 11 to 13.
"""

from hashlib import sha256
from math import ceil, log2

from zkds_verify.field import K, P
from zkds_verify.hidden import Equations
from zkds_verify.rejection import Rejected, require
from zkds_verify.transcript import Transcript

LOG2_K = 122  # |K| counts as 2^122 (section 12)
FIELD_BITS, QUERY_BITS, QUERY_GRINDING, MOST_GRINDING, TOTAL_BITS = 108, 103, 16, 24, 100


class Channel:
    def __init__(self, data, *, plain):
        self.data, self.place, self.plain = data, 0, plain
        self.transcript, self.equations = Transcript(), Equations()
        self.terms = [("SHA-256 collision", 128)]  # with their grinding

    # ---- messages

    def take(self, label, size):
        left = len(self.data) - self.place
        require(left >= size, f"truncated at {label}", f"{size} bytes", f"{left} bytes")
        self.place += size
        return self.data[self.place - size : self.place]

    def bytes(self, label, size):
        data = self.take(label, size)
        self.transcript.absorb(label, data)
        return data

    def elements(self, label, count):
        data = self.take(label, 16 * count)
        found = elements_of(label, data)
        self.transcript.absorb_elements(label, data)
        return found

    def array(self, label, count):
        """Elements that are absorbed as bytes."""
        data = self.take(label, 16 * count)
        found = elements_of(label, data)
        self.transcript.absorb(label, data)
        return found

    def hidden(self, label, count):
        return [self.equations.received(element) for element in self.elements(label, count)]

    def equation(self, reason, value):
        self.equations.require_zero(reason, value)

    # ---- challenges

    def challenge(self, label, error):
        """In K; `error` times |K|."""
        bits = LOG2_K - log2(error)
        grinding = max(0, ceil(FIELD_BITS - bits))
        require(grinding <= MOST_GRINDING, f"soundness budget: {label}")
        self.grind(label, grinding)
        self.terms.append((label, bits + grinding))
        return self.transcript.element(label)

    def challenges(self, label, error, count):
        return [self.challenge(label, error) for _ in range(count)]

    def positions(self, label, bits, count, bound):
        self.grind(label, QUERY_GRINDING)
        self.terms.append((label, bits + QUERY_GRINDING))
        return self.transcript.positions(label, count, bound)

    def grind(self, label, bits):
        if not bits:
            return
        seed = self.transcript.seed(label)
        nonce = self.bytes("grinding nonce", 8)
        digest = int.from_bytes(sha256(seed + nonce).digest(), "big")
        zeros = 256 - digest.bit_length()
        require(zeros >= bits, f"grinding nonce before {label}", f"{bits} zero bits", str(zeros))

    def end(self):
        require(self.place == len(self.data), "trailing bytes")
        total = -log2(sum(2.0**-bits for _, bits in self.terms))
        if total < TOTAL_BITS:
            raise Rejected("soundness budget", f"{TOTAL_BITS} bits", f"{total:.1f} bits")


def elements_of(label, data):
    numbers = [int.from_bytes(data[i : i + 8], "little") for i in range(0, len(data), 8)]
    for number in numbers:
        require(number < P, f"non-canonical field element in {label}", "below 2^61 - 1", str(number))
    return [K(*numbers[i : i + 2]) for i in range(0, len(numbers), 2)]
