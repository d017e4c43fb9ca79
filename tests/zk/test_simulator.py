"""Zero knowledge: simulated proofs pass, and real ones have their distribution.

Exact (linear algebra, no statistics):
    test_opened_symbols_are_a_bijection_of_the_uniform_slots    any t symbols of a row hide its l messages
    test_every_witness_explains_a_proof                         one view, two witnesses, one choice of randomness for each
Statistical (a uniform sample fails in fewer than 3 of 10^7 runs): messages and opened columns look uniform, in real proofs and
in simulated ones.
The salted hashes of unopened columns are the only computational part, and are not tested.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from tests.harness.toy_relation import Relation, Toy, converse, prove_relation, verify_relation
from tests.reference import polynomials as slow
from zkds import sumcheck
from zkds.channel import ProverChannel, VerifierEnd
from zkds.errors import ConstraintRejected, ProofRejected
from zkds.field import ONE, ZERO, K, block, dot, from_pairs, to_pairs
from zkds.hidden import Constraints, Hidden
from zkds.transcript import Transcript
from zkds.wire import ProofReader, ProofWriter
from zkds.zk import simulator
from zkds.zk.messages import Challenges, linear_word, low_degree_word, quadratic_word
from zkds.zk.pad_commitment import Masks, PadCommitment
from zkds.zk.pads import OneTimePads, SecretStream
from zkds.zk.parameters import LigeroParameters, choose_parameters
from zkds.zk.rows import add, evaluate, interpolate, multiply, subtract
from zkds.zk.simulator import DeferredWriter, ProgrammedTranscript, SimulatedPads
from zkds.zk.tableau import combine_equations, fill

PROGRAM = b"program of the simulator's draws"


class Leaked(Toy):
    """What the simulator gets: the sizes and the public products, and zeros for secrets."""

    def __init__(self, count: int, public: list[K]) -> None:
        super().__init__([ZERO] * count, len(public))
        self.public = public

    def public_products(self, images: list[K]) -> list[K]:
        return self.public


def simulate(leaked: Relation, program: bytes) -> bytes:
    return simulator.simulate(program, leaked.shape(), partial(converse, leaked))  # nothing but the pads is simulated


def secrets(count: int = 20) -> list[K]:
    return SecretStream(bytes(32)).elements(count)


@pytest.mark.parametrize("count, products", [(1, 0), (20, 3), (150, 140)])
def test_simulated_proofs_are_accepted(count: int, products: int) -> None:
    """The verifier is the real one; only its transcript is programmed. The public products belong to no known witness."""
    leaked = Leaked(count, SecretStream().elements(products))
    verify_relation(leaked, simulate(leaked, PROGRAM), ProgrammedTranscript(PROGRAM))


def test_simulated_proofs_prove_nothing_without_programming() -> None:
    leaked = Leaked(20, SecretStream().elements(3))
    proof = simulate(leaked, PROGRAM)
    with pytest.raises(ProofRejected):
        verify_relation(leaked, proof)
    with pytest.raises(ProofRejected):
        verify_relation(leaked, proof, ProgrammedTranscript(PROGRAM + b"!"))


def test_real_proofs_are_accepted_under_the_same_program() -> None:
    relation = Toy(secrets(), 3)
    proof = prove_relation(relation, transcript=ProgrammedTranscript(PROGRAM))
    verify_relation(relation, proof, ProgrammedTranscript(PROGRAM))
    leaked = Leaked(20, SecretStream().elements(3))
    assert len(simulate(leaked, PROGRAM)) == len(proof)


class HiddenSumcheck(Relation):
    """sum_x left(x) right(x) = claim, with a public claim; the tables' last values are hidden."""

    variables = 5

    def __init__(self, left: list[K], right: list[K], claim: K) -> None:
        self.tables, self.claim = (left, right), claim

    def prove(self, channel: ProverChannel) -> None:
        tables = [block(to_pairs(table)) for table in self.tables]
        _, finals = sumcheck.prove(channel, tables, [(ONE, (0, 1))], name="test")
        channel.send("finals", finals)

    def verify(self, channel: VerifierEnd) -> None:
        _, final = sumcheck.verify(channel, Hidden.public(self.claim), self.variables, 2, name="test")
        left, right = channel.receive("finals", 2)
        channel.assert_zero(channel.product(left, right) - final, "test: final claim")


def test_an_encrypted_sumcheck() -> None:
    left, right = SecretStream(bytes(32)).elements(32), SecretStream(b"1" * 32).elements(32)
    relation = HiddenSumcheck(left, right, dot(left, right))
    channel = verify_relation(relation, prove_relation(relation))
    assert channel.constraints.messages == 2 * 5 + 2
    wrong = HiddenSumcheck(left, right, relation.claim + 1)
    with pytest.raises(ConstraintRejected, match="linear sum"):
        verify_relation(wrong, prove_relation(wrong))
    simulated = HiddenSumcheck([ZERO] * 32, [ZERO] * 32, relation.claim)
    verify_relation(simulated, simulate(simulated, PROGRAM), ProgrammedTranscript(PROGRAM))


# --- exact ------------------------------------------------------------------------------------------------------------------


def rank(matrix: list[list[K]]) -> int:
    """By elimination."""
    rows, found = [list(row) for row in matrix], 0
    for column in range(len(rows[0])):
        pivot = next((r for r in range(found, len(rows)) if rows[r][column]), None)
        if pivot is None:
            continue
        rows[found], rows[pivot] = rows[pivot], rows[found]
        inverse = rows[found][column].inverse()
        for r in range(found + 1, len(rows)):
            if rows[r][column]:
                factor = rows[r][column] * inverse
                rows[r] = [x - factor * y for x, y in zip(rows[r], rows[found], strict=True)]
        found += 1
    return found


@pytest.mark.parametrize("seed", range(4))
def test_opened_symbols_are_a_bijection_of_the_uniform_slots(seed: int) -> None:
    """Lemma: the symbols of a row at any t codeword points are (a bijection of its t uniform slots) + (a function of its l
    messages). Exact, here for k = 16, n = 128, t = 5: the t x t matrix of the bijection has full rank."""
    row, length, opened = 16, 128, 5
    points = slow.odd_powers(length)
    positions = Transcript().positions(f"test {seed}", opened, length)
    matrix = []
    for slot in range(row - opened, row):
        coefficients = slow.interpolate([ONE if s == slot else ZERO for s in range(row)])
        matrix.append([slow.evaluate(coefficients, points[position]) for position in positions])
    assert rank(matrix) == opened


def vanishing_difference(p: LigeroParameters, positions: list[int], differences: list[K]) -> list[K]:
    """The k values on H of the one polynomial of degree < k with these values in the l message slots and zero at the t opened
    points: V(x) E(x), V the product of (x - opened point), E of degree < l by Lagrange."""
    domain, points = slow.group(p.row), slow.odd_powers(p.length)
    vanishing = [product_of(x - points[position] for position in positions) for x in domain]
    messages = domain[: p.slots]
    numerators = [
        difference * (vanishing[s] * product_of(x - y for y in messages if y != x)).inverse()
        for s, (x, difference) in enumerate(zip(messages, differences, strict=True))
    ]
    values = list(differences)
    for slot in range(p.slots, p.row):
        x = domain[slot]
        basis = product_of(x - y for y in messages)
        terms = (numerator * (x - y).inverse() for numerator, y in zip(numerators, messages, strict=True) if numerator)
        values.append(vanishing[slot] * basis * sum(terms, ZERO))
    return values


def product_of(factors) -> K:
    result = ONE
    for factor in factors:
        result = result * factor
    return result


class Recorder(ProverChannel):
    """Keeps what the Ligero prover drew and was asked to prove."""

    def positions(self, term, count, bound):
        self.drawn = super().positions(term, count, bound)
        return self.drawn


def view(relation: Toy, commitment: PadCommitment) -> tuple[Recorder, Constraints, dict[str, bytes]]:
    channels: list[Recorder] = []

    def make(*arguments) -> Recorder:
        channels.append(Recorder(*arguments))
        return channels[-1]

    proof = prove_relation(relation, commitment, make, ProgrammedTranscript(PROGRAM))
    verifier = verify_relation(relation, proof, ProgrammedTranscript(PROGRAM))
    reader, fields = ProofReader(proof), {}
    for label in ("pad root", "a", "b", "products"):
        fields[label] = reader.read(label, verifier.reader.sizes[label])
    fields["rest"] = proof[len(proof) - reader.remaining : len(proof) - verifier.reader.sizes["Ligero Merkle digests"]]
    return channels[0], verifier.constraints, fields


def test_every_witness_explains_a_proof() -> None:
    """Take a real proof and another witness of the same statement. There are pads, uniform slots and masks with which the real
    prover makes the same messages, responses and opened columns from the other witness: all bytes but the root and the
    Merkle digests. The map between the two choices of randomness is affine and invertible (it adds a polynomial to each row
    and takes the change of each word from its mask), so views have the same distribution for every witness. Exact.
    """
    relation, other = Toy(secrets(), 3), Toy([-a for a in secrets()], 3)  # a_j b_j = factor a_j^2: the same products
    commitment = relation.commit()
    p, salts = commitment.parameters, commitment.salts
    channel, constraints, fields = view(relation, commitment)

    messages = 2 * relation.count
    old_pads = from_pairs(commitment.witness[: p.pad_rows, : p.slots].reshape(-1, 2)[:messages])
    sent = ProofReader(fields["a"] + fields["b"]).read_elements("messages", messages)
    values = [e - pad for e, pad in zip(sent, old_pads, strict=True)]
    pads = to_pairs([e + value for e, value in zip(sent, values, strict=True)])  # other values are -values

    pairs = np.array(commitment.products)
    left, right = pads[pairs[:, 0]], pads[pairs[:, 1]]
    witness = np.zeros_like(commitment.witness)
    fill(p, witness, pads, (left, right, multiply(left, right)))
    for row in range(p.witness_rows):
        differences = from_pairs(subtract(witness[row, : p.slots], commitment.witness[row, : p.slots]))
        witness[row] = add(commitment.witness[row], to_pairs(vanishing_difference(p, channel.drawn, differences)))

    masks = explaining_masks(p, constraints, commitment, witness)
    explained = PadCommitment(p, commitment.products, witness, masks, SecretStream())
    explained.salts = salts
    explained.commit_codewords(explained.codewords)
    _, _, other_fields = view(other, explained)
    assert other_fields.pop("pad root") != fields.pop("pad root")
    assert other_fields == fields


def explaining_masks(p: LigeroParameters, constraints: Constraints, commitment: PadCommitment, witness: np.ndarray) -> Masks:
    """The masks that take up the change of every tested word."""
    transcript = ProgrammedTranscript(PROGRAM)
    challenges = Challenges.draw(ProverChannel(transcript, ProofWriter(), None), p, constraints)
    weights, _ = combine_equations(p, constraints, challenges.equations)
    doubled_weights = evaluate(interpolate(weights), p.log_row + 1)
    old, new = (evaluate(interpolate(rows), p.log_row + 1) for rows in (commitment.witness, witness))

    def taken(mask: np.ndarray, word) -> np.ndarray:
        return add(mask, subtract(word(old), word(new)))

    low_degree = subtract(low_degree_word(challenges, commitment.witness), low_degree_word(challenges, witness))
    return Masks(
        add(commitment.masks.low_degree, low_degree),
        taken(commitment.masks.linear, lambda rows: linear_word(challenges, doubled_weights, rows)),
        taken(commitment.masks.quadratic, lambda rows: quadratic_word(p, challenges, rows)),
    )


# --- statistical ------------------------------------------------------------------------------------------------------------


def high_bits(field_elements: np.ndarray) -> np.ndarray:
    """Chi-square over the 16 values of the high four bits."""
    counts = np.bincount((field_elements.reshape(-1) >> np.uint64(57)).astype(np.int64), minlength=16)
    expected = counts.sum() / 16
    return ((counts - expected) ** 2 / expected).sum()


def private_fields(proof: bytes, relation: Toy) -> dict[str, np.ndarray]:
    """The messages, responses and columns of a proof under PROGRAM, as numbers."""
    sizes = verify_relation(relation, proof, ProgrammedTranscript(PROGRAM)).reader.sizes
    ends = np.cumsum(list(sizes.values()))
    order = dict(zip(sizes, ends, strict=True))
    assert list(sizes)[:4] == ["pad root", "a", "b", "products"]
    fields = {"messages": proof[order["pad root"] : order["b"]]}
    tail = len(proof) - sizes["Ligero Merkle digests"] - sizes["Ligero salts"]
    fields["columns"] = proof[tail - sizes["Ligero columns"] : tail]
    return {name: np.frombuffer(data, dtype="<u8") for name, data in fields.items()}


@pytest.mark.parametrize("simulated", [False, True])
def test_messages_and_columns_look_uniform(simulated: bool) -> None:
    """All secrets are 1, so every plain message is the same few numbers. 120 messages, over 100 columns."""
    relation = Toy([ONE] * 60, 5)
    if simulated:
        relation = Leaked(60, SecretStream().elements(5))
        proof = simulate(relation, PROGRAM)
    else:
        proof = prove_relation(relation, transcript=ProgrammedTranscript(PROGRAM))
    for name, values in private_fields(proof, relation).items():
        assert len(set(values.tolist())) == len(values), name
        assert high_bits(values) < 60, name


def test_two_proofs_of_one_statement_share_nothing() -> None:
    relation = Toy(secrets(), 3)
    first, second = (
        private_fields(prove_relation(relation, transcript=ProgrammedTranscript(PROGRAM)), relation) for _ in range(2)
    )
    for name in first:
        assert not set(first[name].tolist()) & set(second[name].tolist())


# --- the simulator's parts --------------------------------------------------------------------------------------------------


def test_programmed_draws_ignore_messages() -> None:
    first, second = ProgrammedTranscript(PROGRAM), ProgrammedTranscript(PROGRAM)
    second.absorb("x", b"y")
    assert first.challenge("a") == second.challenge("a") != first.challenge("a")
    assert first.positions("q", 5, 100) == second.positions("q", 5, 100)
    assert first.seed("s") == second.seed("s") != first.seed("t")
    assert ProgrammedTranscript(b"other").challenge("a") != ProgrammedTranscript(PROGRAM).challenge("a")


def test_deferred_writer() -> None:
    writer = DeferredWriter()
    for label in ("a", "b", "b"):
        writer.write(label, b"12")
    writer.replace("a", b"34")
    assert writer.to_bytes() == b"341212"
    with pytest.raises(ValueError, match="expected one field 'b', found 2"):
        writer.replace("b", b"34")
    with pytest.raises(ValueError, match="expected 2 bytes, got 1"):
        writer.replace("a", b"3")


def test_simulated_pads_are_used_once() -> None:
    pads = SimulatedPads(3, [])
    assert len(pads.take_pads()) == 3
    with pytest.raises(RuntimeError, match="already used"):
        pads.take_pads()
    assert isinstance(pads._pads, OneTimePads)
    assert pads.parameters == choose_parameters(3, 0)
