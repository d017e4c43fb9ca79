"""The second verifier and zkds say the same of every kind of statement, of altered proofs and of what is asked for."""

import ast
import json
import random
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from tests.harness.certificates import SEED, TINY, Case, Configuration, honest, opening
from tests.harness.second_verifier import ACCEPTED, first, second
from tests.harness.sweeps import examples, long_but
from zkds.cli import main as of_zkds
from zkds_verify.command import main
from zkds_verify.proof import read_relation

pytestmark = pytest.mark.any_kernels

FOLDER = Path("verifier")
HIDDEN = replace(TINY, zero_knowledge=True)
ASAM = Configuration.of(steps=3, batch_size=2, learning_rate="0.01", perturbation="ASAM")
CASES = {
    "plain": TINY,
    "everything hidden": replace(
        HIDDEN,
        probes=2,
        private=True,
        tau=Fraction(5),
        evaluations=(("features", 5), ("other features", 7)),
        configuration=ASAM,
    ),
    "max": Case(),
    "average": Case("average"),
    "max alone": Case("max alone"),
    "batch norm": Case("batch norm", "normalised images"),
    "many classes": Case("many classes", "features of many classes"),
    "names": Case("names of the circuit", "features"),
}
EXAMPLES = examples(8)


@pytest.mark.parametrize("name", long_but(["everything hidden"], CASES))
def test_statements_of_every_kind(name):
    proof, _ = honest(CASES[name])
    assert second(proof) == ACCEPTED == first(proof)


def altered(proof, generator):
    """A proof with a flipped bit, in what says what it is about, in early messages or anywhere; with an eighth of a
    message that is no element; cut off; or with a byte too many."""
    start = 21 + len(read_relation(proof)[0])
    place = generator.choice((generator.randrange(start), start + generator.randrange(20_000), generator.randrange(len(proof))))
    kind = generator.randrange(8)
    if kind == 0:
        return proof[:place]
    if kind == 1:
        return proof[: place // 8 * 8] + b"\xff" * 8 + proof[place // 8 * 8 + 8 :]
    if kind == 2:
        return proof + b"\0"
    return proof[:place] + bytes([proof[place] ^ 1 << generator.randrange(8)]) + proof[place + 1 :]


@pytest.mark.sweep
def test_altered_proofs():
    generator = random.Random(1)
    proofs = [honest(case)[0] for case in (TINY, HIDDEN)]
    for _ in range(EXAMPLES):
        proof = altered(generator.choice(proofs), generator)
        assert second(proof) == first(proof) != ACCEPTED


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("second")
    proof, statement = honest(replace(HIDDEN, evaluations=(("features", 5),)))
    (folder / "proof.bin").write_bytes(proof)
    (folder / "data.root").write_bytes(statement.root.encode())
    (folder / "other.root").write_bytes(opening("other features").root.encode())
    return folder


PINS = f"--seed {SEED.hex()} --commit data.root --steps 2 --batch-size 2 --lr 0.01 --evaluate data.root:5"
LIMITS = "--tau 1 --max-loss 2 --min-accuracy 1% --max-loss data.root:9 --min-records 12 --min-labels 1 --max-margin 99"


@pytest.mark.parametrize(
    "options",
    long_but(
        ["", f"{PINS} {LIMITS}"],
        [
            "",
            f"{PINS} {LIMITS}",
            *("--tau 0.001", "--max-loss 0.1", "--min-accuracy 0.99", "--max-loss data.root:0.1", "--max-loss other.root:9"),
            *("--max-gap 1 --commit data.root", "--min-records 13", "--min-labels 3", "--max-margin 0"),
        ],
    ),
)
def test_the_command(files, capsys, options):
    assert main(at(files, options)) == of_zkds(["verify", *at(files, options)]), options
    ours, theirs = map(json.loads, capsys.readouterr().out.splitlines())
    kept = ("expected", "actual") if ours["verdict"] == "rejected" else ("warnings",)
    assert {key: theirs[key] for key in ours if key not in (*kept, "schema", "evaluations")} == {
        key: value for key, value in ours.items() if key not in (*kept, "schema", "evaluations")
    }


@pytest.mark.parametrize("options", ["--steps 3", "--commit other.root", f"--seed {bytes(32).hex()}", "--evaluate data.root:6"])
def test_what_is_pinned(files, capsys, options):
    assert main(at(files, options)) == of_zkds(["verify", *at(files, options)]) == 1
    ours, theirs = map(json.loads, capsys.readouterr().out.splitlines())
    assert ours["reason"] == theirs["reason"]


def at(files, options):
    words = [str(files / "proof.bin"), "--json", *options.split()]
    return [str(files / word) if ".root" in word else word for word in words]


def test_a_gap_without_the_data_set_that_it_is_of(files, capsys):
    assert main(at(files, "--max-gap 1")) == of_zkds(["verify", *at(files, "--max-gap 1")]) == 2
    ours, theirs = map(json.loads, capsys.readouterr().out.splitlines())
    assert "data root" in ours["error"] and "data root" in theirs["error"]


def test_strict(files, capsys):
    assert main(at(files, "--strict")) == 2
    assert "--model, --network, --commit" in json.loads(capsys.readouterr().out)["error"]


def test_one_file_of_the_standard_library(files, tmp_path):
    """As one file, isolated from whatever is installed; it imports nothing but itself and the standard library."""
    subprocess.run([sys.executable, "-m", "zipapp", FOLDER, "-o", tmp_path / "zkds_verify.pyz"], check=True)
    words = [sys.executable, "-I", "-S", tmp_path / "zkds_verify.pyz", files / "proof.bin", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 3 and json.loads(done.stdout)["verdict"] == "nothing pinned"
    for path in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert all(name.split(".")[0] in {"zkds_verify", *sys.stdlib_module_names} for name in names), path
            assert not isinstance(node, ast.Assert), path
