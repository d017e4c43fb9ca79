"""What a prover's memory is estimated to be, and what the machine has: refused before anything is computed."""

import pytest

from tests.harness.certificates import SEED
from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.circuits.certificate import proving, relation, resources
from zkds.circuits.certificate.relation import DirectionalSharpness
from zkds.circuits.certificate.resources import (
    BASE_BYTES,
    MemoryRejected,
    available_bytes,
    is_small,
    prover_bytes,
    require_memory,
)
from zkds.circuits.certificate.statement import StatementError
from zkds.circuits.certificate.summary import supposed_statement
from zkds.circuits.networks import zoo
from zkds.statement import Statement


def supposed(name, **configuration):
    return supposed_statement(zoo.network(name), Configuration.of(**configuration))


def test_what_takes_less_is_estimated_lower():
    sizes = [
        prover_bytes(DirectionalSharpness(supposed("alexnet-k", **configuration)))
        for configuration in ({}, {"sharpness": "SAM"}, {"steps": 2}, {"steps": 2, "batch_size": 4})
    ]
    assert sizes == sorted(sizes, reverse=True) and len(set(sizes)) == 4
    assert BASE_BYTES < prover_bytes(DirectionalSharpness(supposed("digits-cnn"))) < 1 << 30


@pytest.mark.parametrize("name", ["alexnet-k", "vgg11-k", "vgg11", "vgg16-bn", "resnet18"])
def test_full_size_networks_are_statements(name):
    statement = supposed(name)
    found = DirectionalSharpness(statement)
    assert Statement(found).layout.cells >= found.cells > 1 << 26
    assert not is_small(statement) and is_small(supposed("lenet5"))


def test_too_many_cells(monkeypatch):
    monkeypatch.setattr(relation, "MAX_CELLS", 1 << 20)
    with pytest.raises(StatementError, match=r"circuit: expected at most 2\^20 cells, got \d+"):
        DirectionalSharpness(supposed("digits-cnn"))


def test_a_proof_that_the_machine_cannot_hold(monkeypatch):
    found = DirectionalSharpness(supposed("digits-cnn"))
    monkeypatch.setattr(resources, "available_bytes", lambda: prover_bytes(found))
    require_memory(found)
    monkeypatch.setattr(resources, "available_bytes", lambda: prover_bytes(found) - 1)
    with pytest.raises(MemoryRejected, match=r"memory: proving takes about .* GiB for .* cells, .* fewer steps \(--steps\)"):
        require_memory(found)


def test_it_is_refused_before_records_are_read(monkeypatch):
    """An opening that has a root and nothing else is as far as such a proof gets."""

    class Opening:
        root = supposed("alexnet-k").root

    network = zoo.network("alexnet-k")
    weights = {name: None for name, _ in network.tensors}
    monkeypatch.setattr(proving, "model_digest", lambda network, weights: bytes(32))
    monkeypatch.setattr(resources, "available_bytes", lambda: 1 << 30)
    with pytest.raises(MemoryRejected, match="memory: proving takes about"):
        proving.prove_certificate(network, weights, Opening(), Configuration(), SEED, seed_given=True)


def test_what_a_control_group_leaves(monkeypatch, tmp_path):
    monkeypatch.setattr(resources, "CGROUP", tmp_path)
    free = available_bytes()
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1000\n")
    (tmp_path / "memory.stat").write_text("anon 400\ninactive_file 600\n")
    assert available_bytes() > free // 2
    (tmp_path / "memory.max").write_text("5000\n")
    assert available_bytes() == 4600
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.stat").write_text("inactive_file 50\n")
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("700\n")
    (tmp_path / "memory" / "memory.usage_in_bytes").write_text("900\n")
    assert available_bytes() == 0
