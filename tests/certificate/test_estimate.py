"""What a proof will take: the counts behind it are those of the circuit, and every stage of a proof has its seconds."""

import json

import pytest

from tests.harness.certificates import CONFIGURATION, NETWORKS, TINY, honest, opening
from zkds.api import estimate
from zkds.circuits.certificate.calibration import Rates, calibrate
from zkds.circuits.certificate.estimate import COSTS, MESSAGES_A_COLUMN, Counts, estimate_certificate, stage_shares
from zkds.circuits.certificate.relation import DirectionalSharpness
from zkds.circuits.certificate.statement import StatementError
from zkds.circuits.certificate.summary import summarise, supposed_statement
from zkds.circuits.networks import zoo
from zkds.commands.prove import STAGES
from zkds.statement import Statement

ONE_EACH = Rates(**dict.fromkeys(Rates.__dataclass_fields__, 1.0))


def test_every_stage_of_a_proof_has_its_seconds():
    assert list(COSTS) == list(STAGES)
    counts = {name for terms in COSTS.values() for name in terms} - {"once"}
    assert counts <= set(Counts.__dataclass_fields__)
    assert {unit for terms in COSTS.values() for unit, _ in terms.values()} <= set(Rates.__dataclass_fields__)


def test_counts_are_those_of_the_circuit():
    statement = supposed_statement(NETWORKS["max"], CONFIGURATION, opening("images").root)
    found, summary = estimate_certificate(statement, ONE_EACH), summarise(NETWORKS["max"], CONFIGURATION)
    assert found.cells == summary.cells and found.messages == summary.messages
    relation = DirectionalSharpness(statement)
    layout = Statement(relation).layout
    assert found.lookups == layout.checked_cells <= found.counts.leaves
    assert found.counts.columns == len(relation.columns)
    # conv: 3 passes of 2 records, 6 x 6 x 2 outputs of 9 products; fc: 3 outputs of 18; deltas of fc's input: 3 products
    forward = 3 * 2 * (72 * 9 + 3 * 18)
    deltas = 3 * 2 * 18 * 3
    gradients = 3 * (18 * 2 * 36 + 54 * 2)  # of 2 records and 36 places, or of 2 records
    assert found.counts.macs == forward + deltas + gradients
    assert found.seconds["commitment"] == COSTS["commitment"]["encoded"][1] * found.counts.encoded


def test_shares_are_those_of_the_estimate_but_for_the_messages():
    statement = supposed_statement(zoo.network("lenet5"), CONFIGURATION)
    shares, found = stage_shares(statement), estimate_certificate(statement, ONE_EACH)
    assert all(share > 0 for share in shares.values())
    assert MESSAGES_A_COLUMN * found.counts.columns == pytest.approx(found.messages, rel=0.3)


def test_estimate_from_python():
    found = estimate(NETWORKS["dense"], opening("features").root, TINY.configuration)
    assert found.proof_bytes == pytest.approx(380_000, rel=0.1)
    content = json.loads(json.dumps(found.content()))
    assert content["proof_bytes"] == sum(content["proof_bytes_by_part"].values())
    assert content["prove_seconds"] == pytest.approx(sum(content["seconds"].values())) and content["prove_seconds"] > 0
    assert 0 < content["max_work"] < 1
    with pytest.raises(StatementError, match="expected an input"):
        estimate(NETWORKS["dense"], opening("images").root)


def test_an_estimate_needs_no_more_than_an_honest_statement_has():
    _, statement = honest(TINY)
    assert estimate_certificate(statement, ONE_EACH).cells == Statement(DirectionalSharpness(statement)).layout.cells


@pytest.mark.slow
def test_a_calibration_measures_something():
    assert all(seconds > 0 for seconds in vars(calibrate()).values())
