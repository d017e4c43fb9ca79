"""Softmax, norms and statistic through whole proofs: every value equals the semantics', and no cell that counts is free."""

from __future__ import annotations

import pytest

from tests.scalars_relation import ScalarsRelation, results_of, small_probe
from zkds.circuits.fixed_point import Configuration
from zkds.prover import prove
from zkds.verifier import verify


def configuration(**changes):
    return Configuration.of(**{"steps": 2, "batch_size": 2, "learning_rate": "0.01"} | changes)


CONFIGURATIONS = [
    configuration(),
    configuration(sharpness="SAM"),
    configuration(perturbation="ASAM", steps=3),
    configuration(sharpness="SAM", perturbation="ASAM", batch_size=1),
]


@pytest.mark.parametrize("chosen", CONFIGURATIONS, ids=lambda c: f"{c.sharpness} {c.perturbation}")
def test_the_semantics_satisfies_the_circuit(chosen):
    trajectory = small_probe(chosen)
    relation = ScalarsRelation(chosen, trajectory.network, results_of(trajectory))
    data = prove(relation, relation.witness(trajectory), zero_knowledge=False)
    assert verify(data, relation, allow_plain=True).bits >= 100
