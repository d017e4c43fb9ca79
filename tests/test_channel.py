"""Channels: both ends, replay and dry run see one conversation; pads are used once; nonces are checked."""

from __future__ import annotations

import pytest

from tests.harness.toy_relation import TERM, Toy
from zkds.channel import DryRun, ProverChannel, VerifierChannel
from zkds.errors import GrindingRejected, MalformedProof
from zkds.field import ONE, ZERO, K, from_pairs, to_pairs
from zkds.native.grinding import leading_zero_bits
from zkds.soundness import ErrorTerm
from zkds.transcript import Transcript
from zkds.wire import ProofReader, ProofWriter
from zkds.zk.pads import SecretStream

GROUND = ErrorTerm("ground", 100.0, "f", "s", grinding=8)


def prover(pads: list[K] | None) -> ProverChannel:
    return ProverChannel(Transcript(), ProofWriter(), pads)


def verifier(data: bytes) -> VerifierChannel:
    return VerifierChannel(Transcript(), ProofReader(data))


def toy() -> Toy:
    return Toy(SecretStream(bytes(32)).elements(6), 2)


def conversation(pads: list[K] | None) -> tuple[ProverChannel, VerifierChannel]:
    channel = prover(pads)
    toy().prove(channel)
    other = verifier(channel.writer.to_bytes())
    toy().verify(other)
    other.reader.finish()
    return channel, other


@pytest.mark.parametrize("plain", [True, False])
def test_replay_collects_the_verifiers_constraints(plain: bool) -> None:
    channel, other = conversation(None if plain else SecretStream().elements(12))
    replay = channel.replay()
    toy().verify(replay)
    assert replay.constraints.messages == other.constraints.messages == 12
    assert replay.constraints.products == other.constraints.products
    for (reason, mine), (other_reason, theirs) in zip(replay.constraints.equations, other.constraints.equations, strict=True):
        assert reason == other_reason
        assert (mine.constant, mine.coefficients) == (theirs.constant, theirs.coefficients)
    assert replay.budget.terms == other.budget.terms == channel.budget.terms


def test_dry_run_counts_what_the_verifier_will_see() -> None:
    _, other = conversation(None)
    dry = DryRun()
    toy().verify(dry)
    assert dry.constraints.messages == other.constraints.messages
    assert dry.constraints.products == other.constraints.products
    assert [reason for reason, _ in dry.constraints.equations] == [reason for reason, _ in other.constraints.equations]
    assert dry.budget.terms == other.budget.terms


def test_equations_hold_for_the_pads() -> None:
    pads = SecretStream().elements(12)
    _, other = conversation(pads)
    variables = other.constraints.variables(pads)
    assert [expression.evaluate(variables) for _, expression in other.constraints.equations] == [K(0)] * 8
    wrong = other.constraints.variables([pads[0] + 1, *pads[1:]])
    assert any(expression.evaluate(wrong) for _, expression in other.constraints.equations)


def test_messages_are_encrypted_by_successive_pads() -> None:
    pads = [K(100), K(200), K(300)]
    channel = prover(pads)
    channel.send("a", [K(1), K(2)])
    channel.send_elements("public", [K(7)])
    channel.send("b", [K(3)])
    reader = ProofReader(channel.writer.to_bytes())
    assert reader.read_elements("all", 4) == [K(101), K(202), K(7), K(303)]


def test_pads_run_out() -> None:
    channel = prover([K(100), K(200)])
    channel.send("a", [ONE])
    with pytest.raises(ValueError, match="send b: 2 pads were committed, and all are used"):
        channel.send("b", [ONE, ONE])
    assert channel.writer.to_bytes() == K(101).to_bytes()  # nothing of the refused message was sent


def test_public_messages_of_every_kind() -> None:
    channel = prover(None)
    channel.send_bytes("root", b"abc")
    channel.send_pairs("pairs", to_pairs([K(1, 2), K(3, 4)]))
    channel.send_elements("elements", [K(5)])
    drawn = channel.challenge(TERM), channel.positions(GROUND, 5, 40)
    other = verifier(channel.writer.to_bytes())
    assert other.receive_bytes("root", 3) == b"abc"
    assert from_pairs(other.receive_pairs("pairs", 2)) == [K(1, 2), K(3, 4)]
    assert other.receive_elements("elements", 1) == [K(5)]
    assert (other.challenge(TERM), other.positions(GROUND, 5, 40)) == drawn
    other.reader.finish()
    assert channel.budget.terms == other.budget.terms == [TERM, GROUND]


def test_every_message_changes_the_challenge() -> None:
    def challenge(speak) -> K:
        channel = prover([K(1)] * 2)
        speak(channel)
        return channel.challenge(TERM)

    challenges = [
        challenge(lambda c: None),
        challenge(lambda c: c.send("a", [K(1)])),
        challenge(lambda c: c.send("a", [K(2)])),
        challenge(lambda c: c.send("b", [K(1)])),
        challenge(lambda c: c.send_bytes("a", K(2).to_bytes())),
        challenge(lambda c: c.send_pairs("a", to_pairs([K(3)]))),
        challenge(lambda c: c.challenge(TERM)),
        challenge(lambda c: c.challenge(GROUND)),
    ]
    assert len(set(challenges)) == len(challenges)


def test_grinding_is_checked() -> None:
    channel = prover(None)
    drawn = channel.challenge(GROUND)
    proof = channel.writer.to_bytes()
    assert verifier(proof).challenge(GROUND) == drawn
    seed = Transcript().seed(GROUND.name)
    wrong = next(nonce for nonce in range(1000) if leading_zero_bits(seed, nonce) < 8)
    with pytest.raises(GrindingRejected) as caught:
        verifier(wrong.to_bytes(8, "little")).challenge(GROUND)
    assert caught.value.reason == "grinding nonce before ground"
    assert (caught.value.expected, caught.value.actual) == ("8 zero bits", leading_zero_bits(seed, wrong))
    with pytest.raises(MalformedProof) as malformed:
        verifier(proof[:7]).challenge(GROUND)
    assert malformed.value.reason == "truncated at grinding nonce"


def test_a_replay_that_asks_for_more_than_was_sent() -> None:
    channel = prover(None)
    channel.send("a", [ONE])
    channel.send_bytes("root", b"abc")
    with pytest.raises(ValueError, match="replay of a: the prover sent 1 items, its verifier expects 2"):
        channel.replay().receive("a", 2)
    with pytest.raises(ValueError, match="replay of public"):
        channel.replay().receive_elements("public", 1)
    with pytest.raises(ValueError, match="replay of root: the prover sent 3 bytes, its verifier expects 32"):
        channel.replay().receive_bytes("root", 32)
    with pytest.raises(ValueError, match="replay of toy challenge"):
        channel.replay().challenge(TERM)


def test_a_replay_is_a_copy_of_the_conversation_so_far() -> None:
    channel = prover([K(9)] * 2)
    channel.send("a", [ONE])
    early = channel.replay()
    channel.send("b", [ONE])
    (message,) = early.receive("a", 1)
    assert (message.constant, message.message, early.constraints.messages) == (K(10), 0, 1)


def test_public_values_are_computed_once_by_the_prover_and_never_in_a_dry_run() -> None:
    computed = []

    def compute() -> K:
        computed.append(len(computed))
        return K(7, len(computed))

    channel = prover(None)
    value = channel.public(compute)
    assert channel.replay().public(compute) == value == K(7, 1)
    assert DryRun().public(compute) == ZERO and computed == [0]
    assert verifier(b"").public(compute) == K(7, 2)
    with pytest.raises(ValueError, match="replay of public value: the prover sent 0 items, its verifier expects 1"):
        prover(None).replay().public(compute)
