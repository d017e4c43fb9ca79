"""`zkds zkpot`: two real proofs, counted as the paper counts; quoted figures stand by their networks alone."""

import json

import numpy as np
import pytest

from tests.harness.commands import save
from zkds.circuits.certificate import proving as certificates
from zkds.circuits.certificate.resources import MemoryRejected
from zkds.circuits.networks import zoo
from zkds.circuits.training import comparison
from zkds.circuits.training.comparison import published_of
from zkds.cli import main
from zkds.dataset.files import commit_dataset
from zkds.dataset.records import from_arrays

pytestmark = pytest.mark.slow
PROBE = "--steps 2 --batch-size 2"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("zkpot")
    images = np.random.default_rng(1).integers(0, 256, (20, 1, 8, 8), dtype=np.uint8)
    commit_dataset(from_arrays(images, np.arange(20) % 10, classes=10), path / "data.root")
    save(path / "m.pt", 1)
    return path


def test_both_proofs_are_made_and_counted(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert main(f"zkpot --model m.pt --commit data.root {PROBE} --json".split()) == 0
    found = json.loads(capsys.readouterr().out)
    step, certificate = found["step"], found["certificate"]
    assert found["iterations"] == 155 * 20 / 16 and found["published"] is None
    assert found["training_hours"] == pytest.approx(found["iterations"] * step["prove_seconds"] / 3600)
    assert found["training_bytes"] == found["iterations"] * step["proof_bytes"]
    assert found["speed_up"] == pytest.approx(3600 * found["training_hours"] / certificate["prove_seconds"])
    assert found["times_fewer_bytes"] == pytest.approx(found["training_bytes"] / certificate["proof_bytes"])


def test_what_does_not_fit_is_named(folder, monkeypatch, capsys):
    def refused(*arguments, **options):
        raise MemoryRejected("memory: proving takes about 99.0 GiB")

    monkeypatch.chdir(folder)
    monkeypatch.setattr(comparison, "prove_certificate", refused)
    assert main(f"zkpot --model m.pt --commit data.root {PROBE}".split()) == 0
    out = capsys.readouterr().out
    assert "certificate           not run: memory: proving takes about 99.0 GiB\n" in out
    assert "one step of training" in out and "proof of training" in out and "times less" not in out
    assert certificates.prove_certificate is not refused


@pytest.mark.parametrize(
    ("name", "row"), [("lenet-k", "LeNet"), ("lenet5", "LeNet"), ("alexnet-k", "AlexNet"), ("vgg11-k", "VGG-11")]
)
def test_the_paper_s_networks(name, row):
    assert published_of(zoo.network(name)).network == row
    assert published_of(zoo.network(f"{name}:1/2")) is None


def test_too_few_records(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert main("zkpot --model m.pt --commit data.root --steps 5 --batch-size 8".split()) == 2
    assert "T B = 40 records are needed" in capsys.readouterr().err
