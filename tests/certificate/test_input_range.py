"""Networks whose inputs leave the format of the semantics: refused when data is committed, when it is proved, and in proofs."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from tests.certificate.test_certificate import with_statement
from tests.harness.certificates import CONFIGURATION, NETWORKS, SEED, TINY, honest, weights
from tests.harness.commands import PROBE, save, shell
from zkds.api import commit, prove, verify
from zkds.circuits.certificate.proving import prove_certificate
from zkds.circuits.certificate.statement import StatementError
from zkds.dataset.files import commit_dataset, opening_path
from zkds.dataset.opening import Opening
from zkds.dataset.records import from_arrays
from zkds.dataset.schema import Schema
from zkds.errors import MalformedProof

pytestmark = pytest.mark.slow

IMAGES = np.random.default_rng(1).integers(0, 256, (12, 8, 8), dtype=np.uint8)
LABELS = np.arange(12) % 10
REASON = "data set: channel 0: inputs could reach from 0 to 9999.99; proofs hold -1024 to below 1024"
FEATURES = "data set: feature 0 and all others: inputs could reach from -2048 to 2047.94; proofs hold"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Data, a model, and a commitment of a zkds that did not look at the inputs' range."""
    path = tmp_path_factory.mktemp("inputs")
    np.savez(path / "train.npz", x=IMAGES, y=LABELS)
    save(path / "m.pt", 1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Schema, "require_inputs", lambda self: None)
        commit((IMAGES, LABELS), path / "old.root", normalization=("0", "0.0001"))
        commit_dataset(from_arrays(np.zeros((12, 4)), LABELS % 2, fraction_bits=4), path / "features.root")
    return path


def test_commit_says_so_at_once(folder, tmp_path):
    shutil.copy(folder / "train.npz", tmp_path)
    result = shell("commit --data train.npz --normalize 0 0.0001", tmp_path)
    assert result.returncode == 2 and f"zkds: {REASON}: use a larger deviation or another mean" in result.stderr
    with pytest.raises(ValueError, match=REASON):
        commit((IMAGES, LABELS), tmp_path / "data.root", normalization=("0", "0.0001"))
    with pytest.raises(ValueError, match=f"^{FEATURES} -1024 to below 1024: use .*, or more fraction bits$"):
        commit((np.zeros((12, 4)), LABELS), tmp_path / "data.root", fraction_bits=4)
    assert [path.name for path in tmp_path.iterdir()] == ["train.npz"]


def test_no_proof_is_made_about_such_a_commitment(folder):
    """Whatever its records are: those of `features.root` are all 0."""
    result = shell(f"prove --model m.pt --commit old.root {PROBE}", folder)
    assert result.returncode == 2 and REASON in result.stderr and not (folder / "proof.bin").exists()
    with pytest.raises(StatementError, match=REASON):
        prove(folder / "m.pt", folder / "old.root", CONFIGURATION)
    with Opening(opening_path(folder / "features.root")) as opening, pytest.raises(StatementError, match=FEATURES):
        prove_certificate(NETWORKS["dense"], weights("dense"), opening, CONFIGURATION, SEED, seed_given=True)


def test_no_proof_is_read_about_such_a_commitment(tmp_path):
    proof, statement = honest(TINY)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Schema, "require_inputs", lambda self: None)
        schema = replace(statement.root.schema, fraction_bits=4)
        forged = with_statement(proof, replace(statement, root=replace(statement.root, schema=schema)))
    (tmp_path / "forged.bin").write_bytes(forged)
    with pytest.raises(MalformedProof, match=f"^statement: {FEATURES}"):
        verify(tmp_path / "forged.bin")
    result = shell("verify forged.bin", tmp_path)
    assert result.returncode != 0 and FEATURES in result.stdout + result.stderr
