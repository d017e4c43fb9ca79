"""Certificates as untrusted bytes: whatever they are, a subclass of ProofRejected with its reason, in bounded time."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

import zkds.verifier
from tests.harness.certificates import SEED, TINY, honest, rejection
from tests.harness.layers import Layer, layered
from tests.harness.networks import networks
from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.circuits.certificate.statement import SharpnessStatement, StatementError, require_fit
from zkds.circuits.certificate.verifying import MAX_STATEMENT_BYTES, read_statement, verify_certificate
from zkds.circuits.certificate.work import WorkRejected
from zkds.circuits.metric.results import Results
from zkds.dataset.root import DataRoot
from zkds.dataset.schema import Normalization, Schema
from zkds.errors import MalformedProof, ProofRejected
from zkds.statement import MAGIC
from zkds.wire import ProofReader

pytestmark = pytest.mark.slow

HEAD = len(MAGIC) + 5  # magic, version, mode
HIDDEN = replace(TINY, zero_knowledge=True)


# ---- statements ------------------------------------------------------------------------------------------------------


def rationals(low, high):
    return st.fractions(low, high, max_denominator=10**6)


@st.composite
def configurations(draw):
    return Configuration(
        draw(st.integers(2, 5)),
        draw(st.integers(1, 4)),
        draw(rationals(Fraction(1, 100), 1)),
        draw(rationals(Fraction(1, 10**5), 1)),
        Fraction(1, draw(st.integers(10**8, 10**12))),
        draw(st.sampled_from(("ASAM", "SAM"))),
        draw(st.sampled_from(("ASAM", "SAM"))),
    )


@st.composite
def statements(draw):
    network, configuration = draw(networks()), draw(configurations())
    normalization = draw(st.sampled_from([None, Normalization.from_decimals(["0.1"], ["0.3"])]))
    schema = Schema("image", network.input_shape, "uint8", draw(st.integers(2, network.classes)), 0, normalization)
    samples = configuration.steps * configuration.batch_size
    root = DataRoot(draw(st.integers(samples, 1 << 32)), schema, draw(st.binary(min_size=32, max_size=32)))
    numbers = st.integers(0, (1 << 60) - 1)
    probes = draw(st.integers(1, 4))
    steps, all_samples = st.integers(0, probes * configuration.steps), probes * samples
    labels, margin = st.integers(0, min(all_samples, network.classes)), st.integers(0, 2048)
    counts = (draw(numbers), draw(st.integers(0, all_samples)), draw(steps), draw(steps), draw(labels), draw(margin))
    values = tuple(draw(numbers) for _ in range(probes))
    results = Results(*counts, **draw(st.sampled_from(({"values": values}, {"threshold": values[0]}))))
    digests = [draw(st.binary(min_size=32, max_size=32)) for _ in range(2)]
    return SharpnessStatement(
        network, configuration, root, digests[0], draw(st.booleans()), digests[1], draw(st.booleans()), results, (), probes
    )


@seed(1)
@settings(max_examples=60, deadline=None)
@given(statements())
def test_statements_decode_to_themselves(statement):
    assert SharpnessStatement.decode(statement.encode()) == statement


@seed(2)
@settings(max_examples=150, deadline=None)
@given(statements(), st.data())
def test_changed_statements_are_refused_or_canonical_statements_of_something_else(statement, data):
    encoding = bytearray(statement.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        encoding[data.draw(st.integers(0, len(encoding) - 1))] ^= data.draw(st.integers(1, 255))
    if data.draw(st.booleans()):
        encoding = encoding[: data.draw(st.integers(0, len(encoding)))]
    try:
        decoded = SharpnessStatement.decode(bytes(encoding))
    except MalformedProof as error:
        assert error.reason
    else:
        assert decoded.encode() == bytes(encoding)


@seed(3)
@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400))
def test_random_bytes_are_no_statement(data):
    for encoding in (data, honest(TINY)[1].encode() + data[:1] + b"\0", honest(TINY)[1].encode()[:100] + data):
        with pytest.raises(MalformedProof):
            SharpnessStatement.decode(encoding)


# ---- every byte of a proof -------------------------------------------------------------------------------------------


def parts_of(proof):
    """(label, start, size) of what the verifier reads, one after the other."""
    found = []

    class Recording(ProofReader):
        def read(self, label, count):
            data = super().read(label, count)
            found.append((label, self._position - count, count))
            return data

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(zkds.verifier, "ProofReader", Recording)
        verify_certificate(proof, allow_plain=True)
    return [part for part in found if part[2]]


@pytest.mark.parametrize("zero_knowledge", [False, True], ids=["plain", "zero-knowledge"])
def test_a_byte_changed_in_any_part_of_a_proof(zero_knowledge):
    """One byte in a field of most kinds; of a few in plain mode. The header is the next test's."""
    proof = honest(HIDDEN if zero_knowledge else TINY)[0]
    parts = parts_of(proof)
    assert sum(size for _, _, size in parts) == len(proof)
    by_kind = {}
    for label, start, size in parts:
        by_kind.setdefault(label.rsplit(": ", 1)[-1], []).append((start, size))
    generator = np.random.default_rng(5)
    kinds = sorted(set(by_kind) - {"header", "statement"})
    for kind in generator.permutation(kinds)[: 16 if zero_knowledge else 4]:
        start, size = by_kind[kind][generator.integers(len(by_kind[kind]))]
        position = start + int(generator.integers(size))
        changed = proof[:position] + bytes([proof[position] ^ int(generator.integers(1, 256))]) + proof[position + 1 :]
        assert rejection(changed).reason, (kind, position)


def test_every_byte_of_the_header_and_the_statement():
    """Another statement than the one that was proved, or none at all; those that parse as one are sampled for the rest."""
    proof, statement = honest(TINY)
    end = HEAD + 8 + len(statement.encode()) + 8
    generator = np.random.default_rng(6)
    parsed = []
    for position in range(end):
        changed = proof[:position] + bytes([proof[position] ^ int(generator.integers(1, 256))]) + proof[position + 1 :]
        try:
            read_statement(changed)
        except MalformedProof:
            continue
        parsed.append((position, changed))
    for index in generator.permutation(len(parsed))[:8]:
        position, changed = parsed[index]
        assert isinstance(rejection(changed), ProofRejected), position


def test_truncated_and_extended():
    proof = honest(TINY)[0]
    for length in (0, 1, len(MAGIC), HEAD, HEAD + 7, HEAD + 8, HEAD + 100, len(proof) // 2, len(proof) - 1):
        error = rejection(proof[:length])
        assert isinstance(error, MalformedProof), length
    assert rejection(proof + b"\0").reason == "trailing bytes"
    assert rejection(b"").reason == "truncated at header"
    for data in (proof.hex(), bytearray(proof), None):
        with pytest.raises(TypeError, match="data: expected bytes"):
            verify_certificate(data)


def test_versions_and_labels():
    proof = honest(TINY)[0]
    for position, reason in ((0, "magic"), (8, "version"), (12, "mode")):
        changed = proof[:position] + b"\x07" + proof[position + 1 :]
        assert rejection(changed).reason == reason
    label = proof.index(b"zkds sharpness statement v6")
    for version in (1, 2, 3, 4, 5):
        older = rejection(proof.replace(b"zkds sharpness statement v6", b"zkds sharpness statement v%d" % version))
        assert older.reason == f"statement of version {version}: made by an older zkds, prove again"
    assert rejection(proof[:label] + b"Z" + proof[label + 1 :]).reason == "statement: label"
    length = (MAX_STATEMENT_BYTES + 1).to_bytes(8, "little")
    assert rejection(proof[:HEAD] + length + proof[HEAD + 8 :]).reason == "length of relation"


# ---- statements that would take long ---------------------------------------------------------------------------------


def dense(inputs=1, classes=2, **fields):
    return Layer("last", classes, inputs, (1, 1), **fields)


LARGE = {
    "network: classes": (layered((1, 1, 1), (dense(classes=5000),)), Configuration()),
    "configuration: R T B": (layered((1, 1, 1), (dense(),)), Configuration(steps=1024, batch_size=4096)),
    "probes: bytes of records": (layered((1, 300, 300), (Layer("last", 2, 1, (300, 300)),)), Configuration(steps=32)),
}


def large_root(network, normalization=None):
    return DataRoot(1 << 32, Schema("image", network.input_shape, "uint8", 2, normalization=normalization), bytes(32))


def test_inputs_that_leave_their_format():
    """Whatever the records are: a prover that skips the check cannot make a statement of it either."""
    network = layered((1, 1, 1), (dense(),))
    roots = [large_root(network, Normalization((0,), (deviation,))) for deviation in (1, 3, (1 << 22) - 8)]
    for root in roots:
        with pytest.raises(StatementError, match="data set: channel 0: inputs could reach from 0 to "):
            require_fit(network, Configuration(), root)
    require_fit(network, Configuration(), large_root(network, Normalization((0,), (1 << 22 | 1 << 14,))))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Schema, "require_inputs", lambda self: None)
        results = Results(1, 1, 1, 1, 1, 1, values=(1,))
        statement = SharpnessStatement(network, Configuration(), roots[2], SEED, True, bytes(32), False, results)
        encoding = statement.encode()
    error = rejection(honest(TINY)[0][:HEAD] + len(encoding).to_bytes(8, "little") + encoding)
    assert isinstance(error, MalformedProof)
    assert error.reason.startswith("statement: data set: channel 0: inputs could reach from 0 to 1024")


@pytest.mark.parametrize("reason", LARGE)
def test_too_large_a_probe_is_no_statement(reason):
    network, configuration = LARGE[reason]
    with pytest.raises(StatementError) as caught:
        require_fit(network, configuration, large_root(network))
    assert str(caught.value).startswith(f"{reason}: expected ")


def test_too_many_boxes():
    """Sizes with many ones in binary cut every column into many pieces."""
    layers = tuple(Layer(f"a{i}", 7, 7 if i else 1, (3, 3), padding=(1, 1), relu=True) for i in range(20))
    network = layered((1, 15, 15), (*layers, Layer("last", 2, 7, (15, 15))))
    statement = SharpnessStatement(
        network, Configuration(4, 31), large_root(network), SEED, True, bytes(32), False, Results(1, 1, 1, 1, 1, 1, values=(1,))
    )
    encoding = statement.encode()
    error = rejection(honest(TINY)[0][:HEAD] + len(encoding).to_bytes(8, "little") + encoding)
    assert isinstance(error, WorkRejected) and error.reason == "work: verifying takes too much"


@pytest.mark.parametrize("reason", LARGE)
def test_a_header_that_declares_too_large_a_probe(reason, monkeypatch):
    """Refused before anything is laid out."""
    network, configuration = LARGE[reason]
    with monkeypatch.context() as patched:
        patched.setattr("zkds.circuits.certificate.statement._require_bounded", lambda *arguments: None)
        statement = SharpnessStatement(
            network, configuration, large_root(network), SEED, True, bytes(32), False, Results(1, 1, 1, 1, 1, 1, values=(1,))
        )
        encoding = statement.encode()
    proof = honest(TINY)[0][:HEAD] + len(encoding).to_bytes(8, "little") + encoding
    error = rejection(proof)
    assert isinstance(error, MalformedProof) and error.reason.startswith(f"statement: {reason}: expected ")
