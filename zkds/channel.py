"""The conversation of a proof: each protocol's prover and verifier talk through a channel.

    prover                          verifier
    send(label, values)             receive(label, count) -> hidden values        encrypted by pads in zero-knowledge mode
    send_elements(label, values)    receive_elements(label, count)                public elements of K
    send_pairs(label, array)        receive_pairs(label, count)                   the same, as an array
    send_bytes(label, data)         receive_bytes(label, count)                   public bytes: roots, nonces
    challenge(term)                 challenge(term)
    positions(term, count, bound)   positions(term, count, bound)
    public(compute)                 public(compute)                               a value that both compute, and nobody sends
                                    product(x, y), assert_zero(expression, reason)

Both absorb every message in the transcript, grind where the term of a challenge says so, and record the term in the budget.
A prover never states a constraint: it runs the verifier's own code on its own messages (`Replay`) to learn them.
`DryRun` is a verifier without a proof: it learns the number of messages, the products and the budget from the
statement alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from zkds.errors import ConstraintRejected, GrindingRejected
from zkds.field import ONE, ZERO, K
from zkds.hidden import Constraints, Hidden
from zkds.native import U64
from zkds.native.grinding import find_nonce, leading_zero_bits
from zkds.soundness import Budget, ErrorTerm
from zkds.transcript import Transcript
from zkds.wire import ProofReader, ProofWriter

NONCE_BYTES = 8


class ProverChannel:
    """The prover's end. `pads` holds one uniform element of K for each message to come; None means plain mode."""

    def __init__(self, transcript: Transcript, writer: ProofWriter, pads: Sequence[K] | None) -> None:
        self.transcript = transcript
        self.writer = writer
        self.budget = Budget()
        self._pads = pads
        self._sent: list[K] = []
        self._public: list[K] = []
        self._bytes: list[bytes] = []
        self._challenges: list[K] = []
        self._computed: list[K] = []

    def send(self, label: str, values: Sequence[K]) -> None:
        first = len(self._sent)
        if self._pads is None:
            encrypted = list(values)
        else:
            if first + len(values) > len(self._pads):
                raise ValueError(f"send {label}: {len(self._pads)} pads were committed, and all are used")
            encrypted = [value + self._pads[first + j] for j, value in enumerate(values)]
        self._sent.extend(encrypted)
        self._send_elements(label, encrypted)

    def send_elements(self, label: str, values: Sequence[K]) -> None:
        self._public.extend(values)
        self._send_elements(label, values)

    def _send_elements(self, label: str, values: Sequence[K]) -> None:
        self.writer.write(label, self.transcript.absorb_elements(label, values))

    def send_pairs(self, label: str, values: U64) -> None:
        self._send_bytes(label, values.astype("<u8").tobytes())

    def send_bytes(self, label: str, data: bytes) -> None:
        self._bytes.append(data)
        self._send_bytes(label, data)

    def _send_bytes(self, label: str, data: bytes) -> None:
        self.transcript.absorb(label, data)
        self.writer.write(label, data)

    def challenge(self, term: ErrorTerm) -> K:
        self._grind(term)
        drawn = self.transcript.challenge(term.name)
        self._challenges.append(drawn)
        return drawn

    def positions(self, term: ErrorTerm, count: int, bound: int) -> list[int]:
        self._grind(term)
        return self.transcript.positions(term.name, count, bound)

    def _grind(self, term: ErrorTerm) -> None:
        self.budget.add(term)
        if term.grinding:
            nonce = find_nonce(self.transcript.seed(term.name), term.grinding)
            self._send_bytes("grinding nonce", nonce.to_bytes(NONCE_BYTES, "little"))

    def public(self, compute: Callable[[], K]) -> K:
        """The verifier's `public`, in the same place: computed once, for the prover and the replay."""
        self._computed.append(compute())
        return self._computed[-1]

    def replay(self) -> Replay:
        """The verifier's view of the messages and challenges so far."""
        return Replay(self._sent, self._public, self._bytes, self._challenges, self._computed)


class VerifierEnd(Protocol):
    """What a protocol's verifier may ask of its channel."""

    constraints: Constraints
    budget: Budget

    def receive(self, label: str, count: int) -> list[Hidden]: ...
    def receive_elements(self, label: str, count: int) -> list[K]: ...
    def receive_bytes(self, label: str, count: int) -> bytes: ...
    def challenge(self, term: ErrorTerm) -> K: ...
    def product(self, left: Hidden, right: Hidden) -> Hidden: ...
    def public(self, compute: Callable[[], K]) -> K: ...
    def assert_zero(self, expression: Hidden, reason: str) -> None: ...


def assert_public(channel: VerifierEnd, condition: bool, reason: str) -> None:
    """A check of public data as an equation, true or false for everybody: only a verifier's channel raises on a false one."""
    channel.assert_zero(Hidden.public(ZERO if condition else ONE), reason)


class _Collector:
    """Products and assertions become constraints, in every kind of verifier."""

    def __init__(self) -> None:
        self.constraints = Constraints()
        self.budget = Budget()

    def _hidden(self, encrypted: Sequence[K]) -> list[Hidden]:
        first = self.constraints.messages
        self.constraints.messages += len(encrypted)
        return [Hidden.received(value, first + j) for j, value in enumerate(encrypted)]

    def product(self, left: Hidden, right: Hidden) -> Hidden:
        return self.constraints.product(left, right)

    def public(self, compute: Callable[[], K]) -> K:
        """A public value of an equation that takes long to compute: a dry run leaves it out, a replay knows the prover's."""
        return compute()

    def assert_zero(self, expression: Hidden, reason: str) -> None:
        self.constraints.equations.append((reason, expression))


class VerifierChannel(_Collector):
    """The verifier's end: reads untrusted bytes."""

    def __init__(self, transcript: Transcript, reader: ProofReader) -> None:
        super().__init__()
        self.transcript = transcript
        self.reader = reader

    def receive(self, label: str, count: int) -> list[Hidden]:
        return self._hidden(self.receive_elements(label, count))

    def receive_elements(self, label: str, count: int) -> list[K]:
        values = self.reader.read_elements(label, count)
        self.transcript.absorb_elements(label, values)
        return values

    def receive_pairs(self, label: str, count: int) -> U64:
        values = self.reader.read_pairs(label, count)
        self.transcript.absorb(label, values.astype("<u8").tobytes())
        return values

    def receive_bytes(self, label: str, count: int) -> bytes:
        data = self.reader.read(label, count)
        self.transcript.absorb(label, data)
        return data

    def challenge(self, term: ErrorTerm) -> K:
        self._check_grinding(term)
        return self.transcript.challenge(term.name)

    def positions(self, term: ErrorTerm, count: int, bound: int) -> list[int]:
        self._check_grinding(term)
        return self.transcript.positions(term.name, count, bound)

    def assert_zero(self, expression: Hidden, reason: str) -> None:
        """A false equation between public values alone is rejected at once: nothing is computed for a proof that has one."""
        if not expression.coefficients and expression.constant:
            raise ConstraintRejected(reason, "0", "another value")
        super().assert_zero(expression, reason)

    def _check_grinding(self, term: ErrorTerm) -> None:
        self.budget.add(term)
        if term.grinding:
            seed = self.transcript.seed(term.name)
            nonce = int.from_bytes(self.receive_bytes("grinding nonce", NONCE_BYTES), "little")
            found = leading_zero_bits(seed, nonce)
            if found < term.grinding:
                raise GrindingRejected(f"grinding nonce before {term.name}", f"{term.grinding} zero bits", found)


class Replay(_Collector):
    """The verifier's code run by the prover on its own encrypted messages and challenges."""

    def __init__(
        self,
        messages: Sequence[K],
        public: Sequence[K],
        byte_strings: Sequence[bytes],
        challenges: Sequence[K],
        computed: Sequence[K],
    ) -> None:
        super().__init__()
        self._messages = iter(messages)
        self._public = iter(public)
        self._bytes = iter(byte_strings)
        self._challenges = iter(challenges)
        self._computed = iter(computed)

    def receive(self, label: str, count: int) -> list[Hidden]:
        return self._hidden(_take(self._messages, label, count))

    def receive_elements(self, label: str, count: int) -> list[K]:
        return _take(self._public, label, count)

    def receive_bytes(self, label: str, count: int) -> bytes:
        (data,) = _take(self._bytes, label, 1)
        if len(data) != count:
            raise ValueError(f"replay of {label}: the prover sent {len(data)} bytes, its verifier expects {count}")
        return data

    def public(self, compute: Callable[[], K]) -> K:
        return _take(self._computed, "public value", 1)[0]

    def challenge(self, term: ErrorTerm) -> K:
        self.budget.add(term)
        return _take(self._challenges, term.name, 1)[0]


Item = TypeVar("Item")


def _take(items: Iterator[Item], label: str, count: int) -> list[Item]:
    """The next `count` items; a prover whose own verifier asks for more than it sent has a bug."""
    taken = list(itertools.islice(items, count))
    if len(taken) != count:
        raise ValueError(f"replay of {label}: the prover sent {len(taken)} items, its verifier expects {count}")
    return taken


class DryRun(_Collector):
    """A verifier without a proof: messages are zero, challenges are arbitrary; only what it collects counts.

    Its hidden values have no variables, so that adding them up costs little; its equations mean nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self._transcript = Transcript()

    def receive(self, label: str, count: int) -> list[Hidden]:
        return [Hidden(ZERO, {}, value.message) for value in self._hidden([ZERO] * count)]

    def receive_elements(self, label: str, count: int) -> list[K]:
        return [ZERO] * count

    def receive_bytes(self, label: str, count: int) -> bytes:
        return bytes(count)

    def public(self, compute: Callable[[], K]) -> K:
        return ZERO

    def challenge(self, term: ErrorTerm) -> K:
        self.budget.add(term)
        return self._transcript.challenge(term.name)
