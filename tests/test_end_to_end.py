"""Whole proofs: from matrices to bytes and back, in both modes, in another process, and under every alteration of the bytes."""

import shlex
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from tests.harness.shell import ENVIRONMENT, HANGS, ROOT
from tests.harness.whole_proof import carrying_relation, honest_columns, matrices, reject, small_relation, with_plan
from zkds.errors import InsufficientSecurity, MalformedProof, NotAProof, PlanRejected, ProofRejected, StatementMismatch
from zkds.identities.matrix_product import MatrixProduct
from zkds.integers.identity import IdentityPlan
from zkds.prover import prove, prove_vector
from zkds.soundness import TARGET_BITS
from zkds.statement import MAGIC, VERSION, Mode, Statement
from zkds.verifier import verify
from zkds.wire import ProofReader

FLIPS = 60  # single bytes altered, in each mode


@pytest.fixture(scope="module")
def relation():
    return small_relation()


@pytest.fixture(scope="module")
def proof(relation):
    return prove(relation, honest_columns(relation))


@pytest.fixture(scope="module")
def plain_proof(relation):
    return prove(relation, honest_columns(relation), zero_knowledge=False)


def test_accepts_and_says_how_sure_it_is(relation, proof):
    result = verify(proof, relation)
    assert result.mode is Mode.ZERO_KNOWLEDGE
    assert result.bits >= TARGET_BITS
    assert sum(result.sizes.values()) == len(proof)
    names = [line.name for line in result.budget]
    assert "matrix product: gamma" in names and "matrix product: point" in names and "Ligero queries" in names
    assert result.budget[0].total_bits == min(line.total_bits for line in result.budget)


def test_plain_mode_is_refused_unless_asked_for(relation, plain_proof):
    result = verify(plain_proof, relation, allow_plain=True)
    assert result.mode is Mode.PLAIN and result.bits >= TARGET_BITS
    rejection = reject(plain_proof, relation)
    assert isinstance(rejection, StatementMismatch)
    assert (rejection.reason, rejection.expected, rejection.actual) == ("mode", "zero-knowledge", "plain")


def test_asking_for_plain_accepts_zero_knowledge_too(relation, proof):
    assert verify(proof, relation, allow_plain=True).mode is Mode.ZERO_KNOWLEDGE


@pytest.mark.parametrize("sizes", [(1, 1, 1), (8, 16, 4), (9, 17, 3), (1, 30, 7)])
def test_sizes(sizes):
    relation = small_relation(*sizes)
    verify(prove(relation, honest_columns(relation)), relation)


@pytest.mark.slow
@pytest.mark.parametrize(("width", "shift", "groups"), [(30, 32, (1,)), (48, 32, (2, 1)), (60, 60, (2, 2))])
def test_numbers_of_several_limbs(width, shift, groups):
    relation = MatrixProduct(3, 5, 2, width=width, shift=shift)
    assert relation.rounding.plan.groups == groups
    verify(prove(relation, honest_columns(relation)), relation)


def test_a_proof_is_never_the_same_twice_and_a_plain_one_always(relation, proof, plain_proof):
    assert prove(relation, honest_columns(relation)) != proof
    assert prove(relation, honest_columns(relation), zero_knowledge=False) == plain_proof


def test_length_depends_on_the_statement_alone(relation, proof):
    """Up to the Merkle digests, whose number depends on which positions were drawn."""
    other = verify(prove(relation, honest_columns(relation, seed=2)), relation).sizes
    for label, size in verify(proof, relation).sizes.items():
        assert other[label] == size or "Merkle" in label or "digest" in label


def test_progress_names_the_stages(relation):
    stages = []
    prove(relation, honest_columns(relation), progress=stages.append)
    assert stages == ["commitment", "matrix product", "lookups", "batching", "opening", "zero knowledge", "columns"]


# ---- another process ----------------------------------------------------------------------------------------------------


def shell(command):
    return subprocess.run(command, shell=True, capture_output=True, text=True, env=ENVIRONMENT, cwd=ROOT, timeout=HANGS)


@pytest.mark.parametrize(
    ("arguments", "status", "output"),
    [
        ("3 5 2 10 6", 0, "accepted: ZERO_KNOWLEDGE, 10"),
        ("3 5 3 10 6", 1, "rejected: StatementMismatch: relation"),
        ("3 5 2 10 5", 1, "rejected: StatementMismatch: relation"),
        ("3 5 2 48 6", 1, "rejected: StatementMismatch: length of relation"),
    ],
)
def test_another_process_verifies_the_file(proof, tmp_path, arguments, status, output):
    path = tmp_path / "proof.bin"
    path.write_bytes(proof)
    script = ROOT / "tests/harness/verify_proof.py"
    result = shell(f"{shlex.quote(sys.executable)} {shlex.quote(str(script))} {shlex.quote(str(path))} {arguments}")
    assert (result.returncode, result.stdout[: len(output)]) == (status, output), result.stderr


# ---- the header -----------------------------------------------------------------------------------------------------------


def header_fields(statement):
    """name -> (start, end) of every field of the header."""
    fields, position = {}, 0
    for name, length in (("magic", len(MAGIC)), ("version", 4), ("mode", 1)):
        fields[name] = (position, position + length)
        position += length
    for name, encoding in statement.sections.items():
        fields[f"length of {name}"] = (position, position + 8)
        fields[name] = (position + 8, position + 8 + len(encoding))
        position += 8 + len(encoding)
    return fields


REASONS = {
    "magic": (NotAProof, "magic"),
    "version": (NotAProof, "version"),
    "mode": (MalformedProof, "mode"),
    "length of relation": (StatementMismatch, "length of relation"),
    "relation": (StatementMismatch, "relation"),
    "length of parameters": (StatementMismatch, "length of parameters"),
    "parameters": (StatementMismatch, "parameters"),
}


def test_every_byte_of_the_header_is_checked(relation, proof):
    fields = header_fields(Statement(relation))
    assert set(fields) == set(REASONS)
    for name, (start, end) in fields.items():
        for position in range(start, end):
            altered = bytearray(proof)
            altered[position] ^= 0x82
            rejection = reject(bytes(altered), relation)
            assert (type(rejection), rejection.reason) == REASONS[name], (name, position)


def test_a_future_version_is_named(relation, proof):
    start, end = header_fields(Statement(relation))["version"]
    rejection = reject(proof[:start] + (VERSION + 1).to_bytes(4, "little") + proof[end:], relation)
    assert (rejection.reason, rejection.expected, rejection.actual) == ("version", VERSION, VERSION + 1)


def relabelled(relation, proof, mode):
    start, end = header_fields(Statement(relation))["mode"]
    return proof[:start] + bytes([mode.value]) + proof[end:]


def test_a_plain_proof_relabelled_as_zero_knowledge_is_rejected(relation, plain_proof):
    altered = relabelled(relation, plain_proof, Mode.ZERO_KNOWLEDGE)
    assert isinstance(reject(altered, relation), ProofRejected)
    assert isinstance(reject(altered, relation, allow_plain=True), ProofRejected)


def test_a_zero_knowledge_proof_relabelled_as_plain_is_rejected(relation, proof):
    altered = relabelled(relation, proof, Mode.PLAIN)
    assert reject(altered, relation).reason == "mode"
    assert isinstance(reject(altered, relation, allow_plain=True), ProofRejected)


def test_a_proof_for_other_widths_is_refused(relation):
    """Sides, width, shift and the identity's plan are parts of the relation's encoding, query counts of the parameters'."""
    for changes in ({"width": 9}, {"width": 11}, {"shift": 5}, {"width": 30, "shift": 32}, {"inner": 4}):
        other = MatrixProduct(**{"rows": 3, "inner": 5, "columns": 2, "width": 10, "shift": 6, **changes})
        rejection = reject(prove(other, honest_columns(other), zero_knowledge=False), relation, allow_plain=True)
        assert isinstance(rejection, StatementMismatch)
        assert rejection.reason in ("relation", "length of relation")


def test_fewer_queries_or_another_code_are_refused(relation, proof):
    """Parameters that a prover would like better, in the header of an otherwise valid proof, and of one made with them."""
    honest = Statement(relation)
    code = honest.parameters.code
    start, end = header_fields(honest)["parameters"]
    for change in ({"queries": code.queries - 1}, {"queries": 1}, {"tail": 0}, {"log_size": code.log_size - 1}):
        eager = Statement(relation)
        eager.parameters = replace(honest.parameters, code=replace(code, **change))
        assert reject(proof[:start] + eager.parameters.encode() + proof[end:], relation).reason == "parameters"
    eager.parameters = replace(honest.parameters, code=replace(code, queries=code.queries - 20))
    with pytest.raises(InsufficientSecurity) as caught:
        prove_vector(eager, eager.vector(honest_columns(relation)))
    assert caught.value.reason == "soundness budget"


def test_a_relation_whose_own_check_fails_is_refused_by_both_sides(proof):
    unsound = with_plan(carrying_relation(), IdentityPlan((), ()))
    with pytest.raises(PlanRejected, match="needs more low digits"):
        verify(proof, unsound)
    with pytest.raises(PlanRejected, match="needs more low digits"):
        prove(unsound, {})


# ---- any bytes ------------------------------------------------------------------------------------------------------------


def test_truncated_and_extended(relation, proof):
    generator = np.random.default_rng(5)
    lengths = {0, 1, 7, 8, 13, len(proof) - 1, *generator.integers(0, len(proof), 40).tolist()}
    for length in sorted(lengths):
        assert isinstance(reject(proof[:length], relation), ProofRejected)
    assert reject(proof[:-1], relation).reason.startswith("truncated at ")
    for extra in (b"\0", b"x" * 1000, proof):
        rejection = reject(proof + extra, relation)
        assert (type(rejection), rejection.reason) == (MalformedProof, "trailing bytes")


def test_random_bytes(relation, proof):
    generator = np.random.default_rng(6)
    header = max(end for _, end in header_fields(Statement(relation)).values())
    for length in (0, 1, 100, 10_000, len(proof)):
        noise = generator.bytes(length)
        reject(noise, relation, allow_plain=True)
        reject(proof[:header] + noise, relation, allow_plain=True)
        canonical = b"".join(bytes(generator.bytes(7)) + b"\0" for _ in range(length // 8))
        reject(proof[:header] + canonical, relation, allow_plain=True)


@pytest.mark.parametrize("mode", Mode)
def test_single_byte_flips(relation, proof, plain_proof, mode):
    data = proof if mode is Mode.ZERO_KNOWLEDGE else plain_proof
    generator = np.random.default_rng(7)
    for position in generator.choice(len(data), min(FLIPS, len(data)), replace=False).tolist():
        altered = bytearray(data)
        altered[position] ^= int(generator.integers(1, 256))
        reject(bytes(altered), relation, allow_plain=mode is Mode.PLAIN)


def test_every_message_is_read(relation, proof):
    """The first byte of the first and of the last message of every label altered: none is ignored."""
    starts = message_starts(relation, proof)
    chosen = dict(reversed(starts)) | {f"last {label}": start for label, start in starts}
    for start in sorted(set(chosen.values())):
        altered = bytearray(proof)
        altered[start] ^= 1
        reject(bytes(altered), relation)
    assert {label for label, _ in starts} == set(verify(proof, relation).sizes)


def message_starts(relation, proof):
    """(label, offset) of every read of the verifier."""
    starts = []

    class Recording(ProofReader):
        def read(self, label, count):
            if count:
                starts.append((label, len(proof) - self.remaining))
            return super().read(label, count)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zkds.verifier.ProofReader", Recording)
        verify(proof, relation)
    return starts


def test_misuse(relation):
    with pytest.raises(TypeError, match="data: expected bytes, got str"):
        verify("proof", relation)
    columns = honest_columns(relation)
    missing = dict(list(columns.items())[1:])
    with pytest.raises(ValueError, match=r"columns: missing \['left/0'\], unknown \[\]"):
        prove(relation, missing)
    with pytest.raises(ValueError, match=r"left/0: expected shape \(3, 5\)"):
        prove(relation, {**columns, "left/0": columns["right/0"]})


def test_matrices_of_the_helper_use_the_whole_range(relation):
    left, right = matrices(relation)
    assert left.min() < 0 < left.max() and right.min() < 0 < right.max()
