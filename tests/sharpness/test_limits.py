"""Limits of a policy and their errors, written out for a few models."""

import math
from fractions import Fraction

import pytest

from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.commands.calibrate import policy_of
from zkds.sharpness.calibrate import calibrate
from zkds.sharpness.grid import Measurement, ProbeResults
from zkds.sharpness.limits import Limits, policy_limits

RECORDS = 40


def model(name, values, loss=0.1, accuracy=1.0, margin=10, degenerate=False):
    probes = tuple(ProbeResults(loss, accuracy, margin, degenerate) for _ in values)
    return Measurement(name, tuple(values), (0.1,), 0.1, loss, accuracy, probes=probes)


GOOD = [model("a", [1, 2], loss=0.1), model("b", [1, 2], loss=0.3, accuracy=0.95), model("c", [2, 2], margin=21)]


def limits(good, bad=(), limit="false-rejection"):
    return policy_limits(calibrate(good, bad, risk=0.1, limit=limit), good, bad, RECORDS)


def test_twice_the_worst():
    found, rejection, acceptance = limits(GOOD)
    assert found == Limits(2, pytest.approx(0.6), pytest.approx(0.9), 42)
    assert math.isnan(acceptance.share)
    # without b the others' loss allows 0.2 and one wrong record of 40 twice; without c their margin 20
    assert rejection.share == pytest.approx(2 / 3) and rejection.interval[0] < 2 / 3 < rejection.interval[1]


def test_one_wrong_record_is_allowed_for():
    assert limits([model("a", [1]), model("b", [1])])[0].min_accuracy == 1 - 2 / RECORDS


@pytest.mark.parametrize(
    ("worse", "accepted"),
    [
        ({}, 1),
        ({"loss": 0.61}, 0),
        ({"accuracy": 0.89}, 0),
        ({"margin": 43}, 0),
        ({"degenerate": True}, 0),
        ({"loss": 0.59, "accuracy": 0.91, "margin": 42}, 1),
    ],
)
def test_bad_models_by_all_limits(worse, accepted):
    _, _, acceptance = limits(GOOD, [model("d", [0, 0], **worse)])
    assert acceptance.share == accepted


def test_bad_models_that_set_tau():
    """tau accepts none of the other bad model's values: each is judged by that one's."""
    bad = [model("d", [3, 3]), model("e", [5, 5])]
    found, rejection, acceptance = limits(GOOD, bad, limit="false-acceptance")
    assert found.tau < 3 and acceptance.share == 0.5 and rejection.share == pytest.approx(2 / 3)
    assert math.isnan(limits(GOOD, bad[:1], limit="false-acceptance")[2].share)


def test_two_good_models_or_more():
    with pytest.raises(ValueError, match="two good models"):
        limits(GOOD[:1])


def written(good, bad, limit):
    """The policy of models whose probes have these values."""
    good, bad = ([model(name, [value] * 4) for name in names] for names, value in (("ab", good), ("cd", bad)))
    return policy_of(calibrate(good, bad, risk=0.1, limit=limit), Configuration.of(), good, bad)


@pytest.mark.parametrize("limit", ["false-rejection", "false-acceptance"])
def test_a_policy_s_tau_is_on_the_side_of_what_set_it(limit):
    """Nine decimals: rounded up it would accept the bad model that bounds it, rounded down it would reject the good one."""
    best, worst = 1 + 2.0**-40, 2 + 2.0**-40
    policy = written(best, worst, limit)
    assert Fraction(best) <= policy.tau < Fraction(worst) and policy.tau.denominator <= 10**9
    assert abs(policy.tau - Fraction(worst if limit == "false-acceptance" else best)) <= Fraction(1, 10**9)
    assert policy.calibration.risk == Fraction(1, 10)


def test_no_policy_without_a_tau_that_rejects_a_bad_model_of_value_0():
    with pytest.raises(ValueError, match="--policy: a bad model has the value 0"):
        written(1.0, 0.0, "false-acceptance")
