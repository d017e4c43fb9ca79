"""A simulator: proofs without a witness that the real verifier accepts when the simulator chooses the challenges.

Zero knowledge means that such proofs are distributed like real ones. The simulator is the argument in executable form:

1.  Challenges, positions and grinding seeds are uniform functions of a program seed (`ProgrammedTranscript`), as those of a
    random oracle that the simulator programs.
2.  Encrypted messages are uniform: a value plus a uniform pad that is used nowhere else in the view (`take_pads`), so the value
    may be anything, for example that of an all-zero witness.
3.  Low-degree, linear and quadratic responses are uniform, among those with the sum and the zeros that the statement fixes.
4.  The opened symbols of the witness rows are uniform, and those of the masks are what 3. makes them.
5.  Digests of unopened leaves are uniform (their salts are never shown).

In the real proof 3. and 4. are the same distribution exactly: any `queries` symbols of a row are a bijective function of its
uniform slots, and each response one of its mask. 5. is computational (statistical in the random oracle model).
Challenges do not depend on what was sent, so the root is filled in last. Only tests load this module.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence

from zkds.channel import ProverChannel
from zkds.field import K
from zkds.hidden import Constraints
from zkds.transcript import Stream, Transcript
from zkds.wire import ProofWriter
from zkds.zk.ligero import ROOT_LABEL, CommittedPads
from zkds.zk.messages import Challenges, Responses, leaf_digests, merkle_tree, opened_words, send_columns
from zkds.zk.pad_commitment import uniform_with_sum, uniform_with_zeros
from zkds.zk.pads import OneTimePads, SecretStream
from zkds.zk.parameters import DIGEST_BYTES, SALT_BYTES, LigeroParameters, choose_parameters
from zkds.zk.rows import subtract
from zkds.zk.tableau import combine_equations


def simulate(program: bytes, shape: Constraints, converse: Callable[[ProverChannel, CommittedPads], None]) -> bytes:
    """A proof that the verifier accepts under `ProgrammedTranscript(program)`.

    shape: messages and products, from a `DryRun`. converse: an honest prover from the first message to the last, with any
    witness, for example zeros; it sends `pads.root` as bytes labelled `ligero.ROOT_LABEL` and calls `ligero.prove`.
    """
    pads = SimulatedPads(shape.messages, shape.products)
    writer = DeferredWriter()
    converse(ProverChannel(ProgrammedTranscript(program), writer, pads.take_pads()), pads)
    writer.replace(ROOT_LABEL, pads.root)
    return writer.to_bytes()


class ProgrammedTranscript(Transcript):
    """A transcript whose draws depend on a program seed, their kind, label and number, and on nothing that was absorbed."""

    def __init__(self, program: bytes) -> None:
        super().__init__()
        self._program = program
        self._draws: Counter[tuple[bytes, str]] = Counter()

    def _draw(self, kind: bytes, label: str, data: bytes = b"") -> Stream:
        number = self._draws[kind, label]
        self._draws[kind, label] += 1
        sponge = hashlib.shake_256()
        for part in (self._program, kind, label.encode(), data, number.to_bytes(8, "little")):
            sponge.update(len(part).to_bytes(8, "little"))
            sponge.update(part)
        return Stream(sponge)


class DeferredWriter(ProofWriter):
    """A writer in which one field that was written can be replaced by another of the same length."""

    def __init__(self) -> None:
        super().__init__()
        self._labels: list[str] = []

    def write(self, label: str, data: bytes) -> None:
        super().write(label, data)
        self._labels.append(label)

    def replace(self, label: str, data: bytes) -> None:
        """Raises ValueError unless exactly one field has this label, and this length."""
        if self._labels.count(label) != 1:
            raise ValueError(f"replace: expected one field {label!r}, found {self._labels.count(label)}")
        index = self._labels.index(label)
        if len(self._parts[index]) != len(data):
            raise ValueError(f"replace {label}: expected {len(self._parts[index])} bytes, got {len(data)}")
        self._parts[index] = data


class SimulatedPads:
    """Stands where a `PadCommitment` stands in a real proof; `root` is a placeholder until `prove`."""

    def __init__(self, messages: int, products: Sequence[tuple[int, int]], stream: SecretStream | None = None) -> None:
        self.parameters: LigeroParameters = choose_parameters(messages, len(products))
        self.root = bytes(DIGEST_BYTES)
        self._stream = SecretStream() if stream is None else stream
        self._pads = OneTimePads(self._stream.elements(messages))

    def take_pads(self) -> Sequence[K]:
        """Uniform pads that are in no commitment: they make every message uniform, whatever it is."""
        return self._pads.take()

    def prove(self, channel: ProverChannel, constraints: Constraints) -> None:
        """Send a simulated Ligero proof of any constraints, true or false, and set `root` to its root."""
        p, stream = self.parameters, self._stream
        challenges = Challenges.draw(channel, p, constraints)
        weights, target = combine_equations(p, constraints, challenges.equations)
        responses = self._responses(challenges.linear_mask * target)
        responses.send(channel, p)
        positions = channel.positions(p.query_term(), p.queries, p.length)
        columns = stream.pairs(p.rows, len(positions))
        words = opened_words(p, challenges, weights, columns[: p.witness_rows], positions)
        columns[p.witness_rows :] = subtract(responses.at(p, positions), words)
        salts = [stream.bytes(SALT_BYTES) for _ in positions]
        leaves = [stream.bytes(DIGEST_BYTES) for _ in range(p.length)]
        for position, digest in zip(positions, leaf_digests(salts, columns), strict=True):
            leaves[position] = digest
        tree = merkle_tree(leaves)
        send_columns(channel, positions, columns, salts, tree)
        self.root = tree.root

    def _responses(self, linear_sum: K) -> Responses:
        p, stream = self.parameters, self._stream
        return Responses(stream.pairs(p.row), uniform_with_sum(p, stream, linear_sum), uniform_with_zeros(p, stream))
