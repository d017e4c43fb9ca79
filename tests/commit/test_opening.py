"""The opening through bytes: honest provers are accepted, and each way of cheating is named.

A cheating prover is the honest one with one component replaced; where a check could not be reached because an earlier one
fires, query positions are fixed for both sides, which is what a prover that guessed them would enjoy.
"""

import functools
from dataclasses import replace
from math import log2

import numpy as np
import pytest

from tests.harness.kernels import with_all
from zkds import multilinear
from zkds.channel import DryRun, ProverChannel, VerifierChannel
from zkds.commit import opening, recursive
from zkds.commit.commitment import Commitment, CommittedMatrix
from zkds.commit.parameters import Parameters, choose, make_code
from zkds.errors import CommitmentRejected, GrindingRejected, MalformedProof, ProofRejected
from zkds.field import ONE, ZERO, K, P, block, from_pairs, to_pairs, unblock
from zkds.native.codeword import Matrix
from zkds.soundness import LOG2_K
from zkds.transcript import Transcript
from zkds.wire import ProofReader, ProofWriter
from zkds.zk.pads import SecretStream

LAST_CHECK = {False: "proximity: masked row at w", True: "recursion: linear claim on the last row"}
PADS = [K(11, 5), K(P - 1, 3)]


@functools.cache
def recursive_parameters() -> Parameters:
    """Two recursive levels on a small vector: 2^10 -> 2^8 -> 2^6."""
    code = make_code(4, 10, 2, padded=True)
    return Parameters(6000, code, (make_code(4, 8, 2, padded=False), make_code(4, 6, 3, padded=False)))


def parameters_named(name: str) -> Parameters:
    return {"clear": choose(2000), "recursive": recursive_parameters()}[name]


class Tampering(ProverChannel):
    """A prover's channel that changes messages by label: changes[label](number of the message, value) -> value."""

    def __init__(self, transcript, writer, pads, changes):
        super().__init__(transcript, writer, pads)
        self.changes = changes
        self.counts = {}

    def _changed(self, label, value):
        number = self.counts.get(label, 0)
        self.counts[label] = number + 1
        return self.changes[label](number, value) if label in self.changes else value

    def send(self, label, values):
        super().send(label, self._changed(label, values))

    def send_elements(self, label, values):
        super().send_elements(label, self._changed(label, values))

    def send_pairs(self, label, values):
        super().send_pairs(label, self._changed(label, values))

    def send_bytes(self, label, data):
        super().send_bytes(label, self._changed(label, data))


class Run:
    """One proof: commitment, hidden claim, opening."""

    def __init__(self, parameters, zero_knowledge=True, changes=None, commitment=None, seed=1):
        self.parameters, self.zero_knowledge = parameters, zero_knowledge
        vector = np.random.default_rng(seed).integers(0, 1 << 32, size=parameters.cells, dtype=np.uint32)
        stream = SecretStream(bytes([seed]) * 32) if zero_knowledge else None
        make = commitment or Commitment
        self.commitment = make(vector, parameters, stream)
        self.writer = ProofWriter()
        self.prover = Tampering(Transcript(), self.writer, PADS if zero_knowledge else None, changes or {})
        self.prover.send_bytes("root", self.commitment.root)
        rho = [self.prover.transcript.challenge("rho") for _ in range(parameters.variables)]
        self.value = multilinear.evaluate(vector, rho)
        self.prover.send("v", [self.value])
        self.reduction = opening.prove_reduction(self.prover, self.commitment, rho)
        opening.prove_queries(self.prover, self.commitment, self.reduction, zero_knowledge)
        self.proof = self.writer.to_bytes()

    def verify(self, proof=None, parameters=None):
        """Raises ProofRejected, or returns the reasons of the constraints that do not hold."""
        parameters = parameters or self.parameters
        reader = ProofReader(self.proof if proof is None else proof)
        channel = VerifierChannel(Transcript(), reader)
        root = channel.receive_bytes("root", 32)
        rho = [channel.transcript.challenge("rho") for _ in range(parameters.variables)]
        (value,) = channel.receive("v", 1)
        reduction = opening.verify_reduction(channel, parameters, rho, value)
        opening.verify_queries(channel, parameters, root, reduction, self.zero_knowledge)
        reader.finish()
        pads = channel.constraints.variables(PADS if self.zero_knowledge else [ZERO, ZERO])
        self.budget = channel.budget
        return [reason for reason, expression in channel.constraints.equations if expression.evaluate(pads) != ZERO]

    def rejection(self, kind=CommitmentRejected):
        with pytest.raises(kind) as error:
            self.verify()
        return error.value.reason


@pytest.fixture(params=["clear", "recursive"])
def parameters(request):
    return parameters_named(request.param)


def plus_one(_number, values):
    return [values[0] + ONE, *values[1:]]


# ---- honest ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zero_knowledge", [True, False])
@pytest.mark.parametrize("cells", [1, 2, 256, 257, 3000, 70_001, (1 << 19) + 1])
def test_honest_openings_are_accepted(cells, zero_knowledge):
    run = Run(choose(cells), zero_knowledge)
    assert run.verify() == []
    assert run.budget.total_bits() > 100
    assert [t.name for t in run.budget.terms] == [t.name for t in run.prover.budget.terms]


def test_theta_counts_the_gap_and_the_one_value_that_hides_a_wrong_claim(parameters):
    run = Run(parameters)
    assert run.verify() == []
    (term,) = [term for term in run.budget.terms if term.name == "opening: theta"]
    assert term.bits == LOG2_K - log2(parameters.code.points + 1) and term.formula == "(1 + n)/|K|"


@pytest.mark.parametrize("zero_knowledge", [True, False])
def test_two_recursive_levels_are_accepted(zero_knowledge):
    run = Run(recursive_parameters(), zero_knowledge)
    assert run.verify() == []
    assert run.budget.total_bits() > 100


def test_the_longest_rows_are_accepted():
    longest = choose(2**27)
    run = Run(replace(longest, cells=3 << longest.code.log_data, code=replace(longest.code, rows=3)))
    assert run.verify() == []
    assert len(longest.recursion) == 3 and run.budget.total_bits() > 100


def test_all_instruction_sets_and_threads_make_the_same_proof(parameters):
    assert len(set(with_all(lambda: Run(parameters).proof))) == 1


def test_replay_and_dry_run_state_the_same_constraints(parameters):
    run = Run(parameters)
    rho = run.reduction.public.rho
    counts = []
    for channel in (run.prover.replay(), DryRun()):
        if not isinstance(channel, DryRun):
            channel.receive_bytes("root", 32)
        (value,) = channel.receive("v", 1)
        opening.verify_reduction(channel, parameters, rho, value)
        counts.append((channel.constraints.messages, [reason for reason, _ in channel.constraints.equations]))
    assert counts == [(2, ["opening: value of the masked row"])] * 2


def test_a_commitment_opens_once(parameters):
    run = Run(parameters)
    with pytest.raises(RuntimeError, match="already opened"):
        opening.prove_reduction(run.prover, run.commitment, run.reduction.public.rho)


def test_wrong_number_of_coordinates_is_misuse(parameters):
    with pytest.raises(ValueError, match="rho: expected"):
        opening.verify_reduction(DryRun(), parameters, [ONE], DryRun().receive("v", 1)[0])


def test_masked_row_depends_on_fresh_randomness():
    """Equal vectors under other randomness: nothing that is sent in the clear repeats."""
    first, second = (Run(choose(300), seed=seed).proof for seed in (1, 2))
    blocks = [{proof[i : i + 16] for i in range(0, len(proof), 16)} for proof in (first, second)]
    assert not blocks[0] & blocks[1]


# ---- false claims ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", ["v", "opening: mu"])
def test_wrong_value_or_mask_breaks_the_constraint(parameters, label):
    assert Run(parameters, changes={label: plus_one}).verify() == ["opening: value of the masked row"]


def test_value_of_the_masked_row_is_checked(parameters):
    run = Run(parameters, changes={"opening: value of the masked row": plus_one})
    assert run.rejection() == (LAST_CHECK[True] if parameters.recursion else "opening: value of the masked row")


def test_tampered_tail(parameters):
    run = Run(parameters, changes={"opening: tail of the masked row": plus_one})
    assert run.rejection() == (
        "recursion: linear claim on the last row" if parameters.recursion else "proximity: masked row at w"
    )


# ---- words that are not the masked row -------------------------------------------------------------------------------


class NotACodeword(Matrix):
    """Half of the columns do not lie on the polynomials."""

    def columns(self, positions):
        columns = super().columns(positions)
        columns[positions % 2 == 0, 0, 0, 0] = (columns[positions % 2 == 0, 0, 0, 0] + 1) % P
        return columns

    def column_digests(self, salt_seed):
        from zkds.commit.commitment import leaf_digest, salt

        positions = np.arange(1 << self.log_size - 1, dtype=np.uint32)
        columns = self.columns(positions)
        digests = [leaf_digest(salt(salt_seed, s), columns[s].astype("<u8").tobytes()) for s in positions.tolist()]
        return np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, 32)


def not_a_codeword(vector, parameters, stream):
    commitment = Commitment(vector, parameters, stream)
    matrix = commitment.matrix
    fields = (matrix.cells, matrix.packed_rows, matrix.elements, matrix.tails, matrix.log_data, matrix.log_size)
    commitment.committed = CommittedMatrix(NotACodeword(*fields), commitment.committed._salt_seed)
    return commitment


def test_a_word_that_is_no_codeword(parameters):
    run = Run(parameters, commitment=not_a_codeword)
    assert run.rejection() == (
        "recursion: linear claim on the last row" if parameters.recursion else "proximity: masked row at w"
    )


def vanishing(zeros):
    """Coefficients of prod (X - z), at least 256 of them."""
    polynomial = [ONE]
    for zero in zeros:
        shifted = [ZERO, *polynomial]
        polynomial = [a - zero * b for a, b in zip(shifted, [*polynomial, ZERO], strict=True)]
    return polynomial


@pytest.mark.parametrize("right_at", ["w", "1/w"])
def test_right_at_one_point_of_each_pair_only(monkeypatch, right_at):
    """y + Z with Z zero at one point of every opened pair: one of the two equations holds everywhere."""
    parameters = choose(2000)
    code = parameters.code
    fixed = list(range(0, 5 * code.queries, 5))
    for kind in (Tampering, VerifierChannel):
        monkeypatch.setattr(kind, "positions", lambda self, term, count, bound: fixed)
    points = [w if right_at == "w" else w.conjugate() for w in opening.points(fixed, code.log_size)]
    addition = vanishing(points)
    assert len(addition) <= 1 << code.log_data

    def add(_number, row):
        return [a + b for a, b in zip(row, [*addition, *[ZERO] * (len(row) - len(addition))], strict=True)]

    run = Run(parameters, changes={"opening: masked row": add})
    assert run.rejection() == f"proximity: masked row at {'1/w' if right_at == 'w' else 'w'}"


# ---- recursion -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0, 1])
def test_another_row_is_committed_for_the_recursion(monkeypatch, level):
    """The first level's row disagrees with the columns of the vector, the last level's with the row that is sent."""
    honest, calls = recursive.commit, []

    def other(row, code):
        changed = from_pairs(unblock(row))
        changed[3] = changed[3] + (ONE if len(calls) == level else ZERO)
        calls.append(code)
        return honest(block(to_pairs(changed)), code)

    monkeypatch.setattr(recursive, "commit", other)
    reason = ["recursion: linear claim on the last row", "proximity: last row at w"][level]
    assert Run(recursive_parameters()).rejection() == reason


@pytest.mark.parametrize("number", [0, 1, 3])
@pytest.mark.parametrize("element", [0, 1])
def test_wrong_round_message(number, element):
    def change(count, values):
        return [v + ONE if (count, j) == (number, element) else v for j, v in enumerate(values)]

    run = Run(recursive_parameters(), changes={"recursion: round": change})
    assert run.rejection() == "recursion: linear claim on the last row"


def test_wrong_last_row():
    assert Run(recursive_parameters(), changes={"recursion: last row": plus_one}).rejection() == "proximity: last row at w"


def test_last_row_right_at_one_point_of_each_pair(monkeypatch):
    """The same two equations in the last level."""
    row = [K(j, j + 1) for j in range(64)]
    points = opening.points([1, 5], 7)
    both = [x for w in points for x in (w, w.conjugate())]
    values = from_pairs(opening.evaluate_powers(to_pairs(row), to_pairs(both)))
    recursive.check_points("proximity: row", row, recursive.Claims((), ZERO, (1, 5), 7, both, values))
    for wrong, where in ((2, "w"), (3, "1/w")):
        changed = [v + ONE if j == wrong else v for j, v in enumerate(values)]
        with pytest.raises(CommitmentRejected) as error:
            recursive.check_points("proximity: row", row, recursive.Claims((), ZERO, (1, 5), 7, both, changed))
        assert error.value.reason == f"proximity: row at {where}"
        assert "column 5" in str(error.value)


# ---- bytes -----------------------------------------------------------------------------------------------------------


def flip_bit(_number, data):
    return bytes([data[0] ^ 1, *data[1:]])


def change_first_pair(number, values):
    changed = values.copy()
    if number == 0:
        changed.reshape(-1)[0] = (int(changed.reshape(-1)[0]) + 1) % P
    return changed


@pytest.mark.parametrize("label", ["opening: Merkle proof", "opening: salts", "opening: columns"])
def test_altered_column_salt_or_path(parameters, label):
    change = change_first_pair if label == "opening: columns" else flip_bit
    assert Run(parameters, changes={label: change}).rejection() == "Merkle root mismatch"


@pytest.mark.parametrize("label", ["recursion: Merkle proof", "recursion: columns", "recursion: root"])
def test_altered_recursive_column_or_path(label):
    change = change_first_pair if label == "recursion: columns" else flip_bit
    assert Run(recursive_parameters(), changes={label: change}).rejection() == "Merkle root mismatch"


def test_wrong_roots(parameters):
    assert Run(parameters, changes={"root": flip_bit}).rejection() == "Merkle root mismatch"
    if parameters.recursion:
        run = Run(parameters, changes={"opening: root of the masked row": flip_bit})
        assert run.rejection() == "Merkle root mismatch"


def test_every_truncation_and_extension_is_rejected(parameters):
    run = Run(parameters)
    for length in [*range(0, len(run.proof), 997), len(run.proof) - 1]:
        with pytest.raises(MalformedProof) as error:
            run.verify(run.proof[:length])
        assert error.value.reason.startswith("truncated at ")
    with pytest.raises(MalformedProof) as error:
        run.verify(run.proof + b"\x00")
    assert error.value.reason == "trailing bytes"


def test_any_flipped_bit_is_rejected(parameters):
    run = Run(parameters)
    for at in np.random.default_rng(5).integers(0, len(run.proof), size=25).tolist():
        changed = bytearray(run.proof)
        changed[at] ^= 1 << at % 8
        try:
            failed = run.verify(bytes(changed))
        except ProofRejected:
            continue
        assert failed, at


def test_grinding_is_checked(parameters):
    run = Run(parameters)
    sizes = [s for label, s in run.writer.sizes.items() if label in BEFORE_POSITIONS]
    nonce = sum(sizes)
    changed = run.proof[:nonce] + bytes(8) + run.proof[nonce + 8 :]
    with pytest.raises(GrindingRejected) as error:
        run.verify(changed)
    assert error.value.reason == "grinding nonce before opening: query positions"


BEFORE_POSITIONS = [
    "root",
    "v",
    "opening: mu",
    "opening: root of the masked row",
    "opening: masked row",
    "opening: tail of the masked row",
    "opening: value of the masked row",
]


def test_other_parameters_are_rejected():
    run = Run(choose(2000))
    for cells in (100, 1999, 2500, 6000, 1 << 17):
        if choose(cells).code == choose(2000).code and choose(cells).variables == choose(2000).variables:
            continue
        with pytest.raises(ProofRejected):
            run.verify(parameters=choose(cells))
