"""Proofs that were made once (tests/vectors/golden.py) are still accepted by both verifiers, and altered ones named alike.

Whoever breaks this has changed what a proof is: see the generator for what goes with that.
"""

import json

import pytest

from tests.harness.commands import within
from tests.harness.second_verifier import ACCEPTED, first, second
from tests.harness.sweeps import long_but
from tests.vectors.golden import FOLDER, KEPT, MUTATIONS, PROOFS, altered
from zkds_verify.command import main

pytestmark = [pytest.mark.any_kernels, pytest.mark.slow]

CASES = [(name, number) for name in PROOFS for number in range(MUTATIONS)]


def content(name):
    return json.loads((FOLDER / f"{name}.json").read_text())


@pytest.mark.parametrize("name", PROOFS)
def test_accepted_with_all_that_is_given(name):
    result = within(f"verify {name}.bin {PROOFS[name][0]} --json", FOLDER)
    found = json.loads(result.stdout)
    assert result.returncode == 0 and found["chosen_by_prover"] == []
    assert {key: found[key] for key in KEPT} == {key: content(name)[key] for key in KEPT}


@pytest.mark.parametrize("name", long_but(["private"], PROOFS))
def test_accepted_by_the_second_verifier(name, monkeypatch, capsys):
    monkeypatch.chdir(FOLDER)
    assert main([f"{name}.bin", *PROOFS[name][0].split(), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {key: found[key] for key in KEPT} == {key: content(name)[key] for key in KEPT}


@pytest.mark.parametrize(("name", "number"), long_but([(name, 0) for name in PROOFS], CASES))
def test_altered_ones_are_named_alike(name, number):
    mutation = content(name)["mutations"][number]
    proof = altered((FOLDER / f"{name}.bin").read_bytes(), mutation["place"], mutation["mask"])
    assert first(proof) == second(proof) == mutation["reason"] != ACCEPTED
