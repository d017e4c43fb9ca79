"""`zkds attest`, `verify --attestation` and `--report`: what others' libraries and schemas read in it, and what is refused."""

import hashlib
import json

import numpy as np
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from google.protobuf import json_format
from in_toto_attestation.predicates.scai.v0 import scai, scai_pb2
from in_toto_attestation.v1 import statement, statement_pb2
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner

from tests.harness.commands import PROBE, SEED, runner, save
from zkds.cli import main
from zkds.commands import BAD_INPUT, DONE, REJECTED

pytestmark = [pytest.mark.slow, pytest.mark.any_kernels]

GIVEN = ["--model", "m.pt", "--commit", "data.root", "--seed", SEED]
EVALUATED = ["--evaluate", "data.root:5"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two models, a data set and a proof about the first, with an evaluation."""
    path = tmp_path_factory.mktemp("attest")
    generator = np.random.default_rng(1)
    save(path / "m.pt", 1)
    save(path / "other.pt", 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        np.savez("train.npz", x=generator.integers(0, 256, (20, 8, 8), dtype=np.uint8), y=np.arange(20) % 10)
        assert main(["commit", "--data", "train.npz"]) == DONE
        assert main(["prove", *GIVEN, *PROBE.split(), "--evaluate", "data.root:5"]) == DONE
    return path


@pytest.fixture
def run(folder, monkeypatch, capsys):
    return runner(folder, monkeypatch, capsys)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def as_statement(text):
    """By in-toto's own library, which refuses fields that a statement doesn't have. Returns the statement and its predicate."""
    message = json_format.Parse(text, statement_pb2.Statement())
    found = statement.Statement.copy_from_pb(message)
    found.validate()
    return found.pb, json.loads(text)["predicate"]


def signing_root(path):
    """What OpenSSF Model Signing computes for a model of one file: SHA-256 over the digests of its files."""
    return hashlib.sha256(hashlib.sha256(path.read_bytes()).digest()).hexdigest()


def test_an_attribute_report(run, folder):
    code, out = run("attest", "proof.bin", *GIVEN, *EVALUATED)
    found, predicate = as_statement(out)
    assert code == DONE and found.predicate_type == scai.SCAI_PREDICATE_TYPE + scai.SCAI_PREDICATE_VERSION
    (subject,) = found.subject
    assert subject.name == "m.pt" and dict(subject.digest) == {"sha256": signing_root(folder / "m.pt")}
    report = scai.AttributeReport(json_format.ParseDict(predicate, scai_pb2.AttributeReport()).attributes)
    report.validate()
    sharpness, evaluation = report.pb.attributes
    assert [sharpness.attribute, evaluation.attribute] == ["DIRECTIONAL_SHARPNESS", "EVALUATION_ON_COMMITTED_RECORDS"]
    assert {item.evidence.digest["sha256"] for item in report.pb.attributes} == {sha256(folder / "proof.bin")}
    verified = json.loads(run("verify", "proof.bin", "--json", *GIVEN, *EVALUATED)[1])
    for name in ("value", "loss", "accuracy", "data_root", "seed", "soundness_bits", "chosen_by_prover"):
        assert predicate["attributes"][0]["conditions"][name] == verified[name]
    assert evaluation.conditions["accuracy_at_least"] == verified["evaluations"][0]["accuracy_at_least"]


def test_a_summary_of_a_verdict(run, folder):
    limits = ["--tau", "100", "--max-loss", "50", "--min-accuracy", "0"]
    pins = [*GIVEN, *PROBE.split(), "--evaluate", "data.root:5"]
    code, _ = run("verify", "proof.bin", *pins, *limits, "--attestation", "result.json")
    found, predicate = as_statement((folder / "result.json").read_text())
    assert code == DONE and found.predicate_type == "https://in-toto.io/attestation/svr/v0.1"
    assert set(predicate) == {"verifier", "timeCreated", "properties"} and predicate["timeCreated"].endswith("Z")
    assert predicate["verifier"]["proof"]["digest"] == {"sha256": sha256(folder / "proof.bin")}
    given = [f"ZKDS_{name}_AS_GIVEN" for name in ("MODEL", "DATA", "SEED", "PROBE")]
    limited = ["ZKDS_VALUE_AT_MOST_100", "ZKDS_LOSS_AT_MOST_50", "ZKDS_ACCURACY_AT_LEAST_0"]
    assert predicate["properties"] == ["ZKDS_PROOF_VALID", *given, *limited, "ZKDS_ACCEPTED"]


def test_a_summary_says_no_more_than_was_asked(run, folder):
    run("verify", "proof.bin", "--attestation", "bare.json")
    found, predicate = as_statement((folder / "bare.json").read_text())
    assert predicate["properties"] == ["ZKDS_PROOF_VALID"]
    assert found.subject[0].digest["sha256"] == sha256(folder / "proof.bin")  # no model was given


def test_a_bill_of_materials(run, folder):
    code, out = run("attest", "proof.bin", *GIVEN, *EVALUATED, "--format", "cyclonedx")
    assert code == DONE and JsonStrictValidator(SchemaVersion.V1_6).validate_str(out) is None
    (model,) = json.loads(out)["components"]
    assert model["hashes"] == [{"alg": "SHA-256", "content": sha256(folder / "m.pt")}]
    metrics = model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert [metric["type"] for metric in metrics][0::4] == ["directional sharpness", "accuracy"]
    assert "lowerBound" in metrics[4]["confidenceInterval"]


def test_bounds_for_all_records_need_draws_that_nobody_chose(run):
    """Evaluations are not given, so the owner may have asked for those that suit the model."""
    report = json.loads(run("attest", "proof.bin", *GIVEN)[1])["predicate"]["attributes"][1]["conditions"]
    assert "accuracy" in report and "accuracy_at_least" not in report and "correct_at_least" not in report
    assert "lowerBound" not in run("attest", "proof.bin", *GIVEN, "--format", "cyclonedx")[1]


def test_a_model_card_ends_in_a_command_that_accepts(run):
    code, out = run("attest", "proof.bin", *GIVEN, "--format", "model-card")
    command = out[out.index("`zkds verify") + 1 : out.rindex("`")]
    assert code == DONE and run(*command.split()[1:])[0] == DONE
    assert "The owner of the model chose: probe, evaluations." in out
    assert "of all of them (99%), if nobody chose draws or model to suit each other |" in out


def test_a_signature_over_an_attestation(run):
    """DSSE with a key of one's own, as docs/attestations.md shows."""
    _, out = run("attest", "proof.bin", *GIVEN)
    signer = CryptoSigner.generate_ed25519()
    envelope = Envelope(out.encode(), "application/vnd.in-toto+json", {})
    envelope.sign(signer)
    assert envelope.verify([signer.public_key], 1)


def test_a_page_for_who_reads_no_json(run, folder):
    """It stands alone, and says what was given and what the prover chose."""
    code, _ = run("verify", "proof.bin", "--model", "m.pt", "--tau", "100", "--report", "certificate.html")
    text = (folder / "certificate.html").read_text()
    found = json.loads(run("verify", "proof.bin", "--json")[1])
    assert (
        code == DONE
        and "default-src &#x27;none&#x27;" in text
        and "<script" not in text
        and "http" not in text.split("<body>")[1]
    )
    for said in (found["model"], found["data_root"], found["seed"], sha256(folder / "proof.bin"), f"{found['value']:.6g}"):
        assert said in text
    assert "--commit was not given" in text and "--model was not given" not in text and "at most: 100" in text
    assert "--evaluate was not given" in text and f"{(folder / 'proof.bin').stat().st_size:,}" in text


def test_nothing_is_written_about_another_model(run, folder):
    code, out = run("attest", "proof.bin", "--model", "other.pt", "-o", "wrong.json", "--json")
    assert code == REJECTED and json.loads(out)["reason"] == "model" and not (folder / "wrong.json").exists()
    code, out = run("verify", "proof.bin", "--model", "other.pt", "--attestation", "wrong.json", "--report", "wrong.html")
    assert code == REJECTED and not (folder / "wrong.json").exists() and not (folder / "wrong.html").exists()


def test_a_model_that_changes_meanwhile_is_refused(run, folder, monkeypatch):
    """Between the digest and the reading of the file, by whoever can write there."""
    kept = (folder / "m.pt").read_bytes()
    from zkds.commands import attest

    monkeypatch.setattr(attest, "verify", lambda *args, **names: (folder / "m.pt").write_bytes(kept + b"x"))
    try:
        code, _ = run("attest", "proof.bin", "--model", "m.pt", "-o", "late.json")
    finally:
        (folder / "m.pt").write_bytes(kept)
    assert code == BAD_INPUT and not (folder / "late.json").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["attest", "proof.bin", *GIVEN, "--json"],
        ["attest", "proof.bin", *GIVEN, "-o", "m.pt"],
        ["verify", "proof.bin", "--attestation", "-"],
        ["verify", "proof.bin", "--report", "-"],
        ["verify", "proof.bin", "--report", "same", "--attestation", "same"],
        ["verify", "proof.bin", "--attestation", "proof.bin"],
    ],
)
def test_results_that_have_no_place_are_refused_before_any_work(run, folder, arguments):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert run(*arguments)[0] == BAD_INPUT
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
