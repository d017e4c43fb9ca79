"""Thresholds: against trying every one, and what makes one doubtful."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference.statistics import auc_by_pairs, false_acceptance, smallest_threshold_for_false_rejection
from zkds.sharpness.calibrate import calibrate, threshold
from zkds.sharpness.grid import Measurement
from zkds.sharpness.ranks import probability_below

pytestmark = pytest.mark.any_kernels

RISKS = st.sampled_from([0.01, 0.05, 0.1, 0.25, 0.3, 0.5, 0.9])
VALUES = st.lists(st.floats(0, 10) | st.sampled_from([1.0, 2.0]), min_size=1, max_size=40)


def model(name, values):
    return Measurement(name, tuple(map(float, values)), trajectory=(0.1,), asam=0.1, loss=0.2, accuracy=0.9)


@given(VALUES, RISKS)
def test_false_rejection_against_trying(values, risk):
    assert threshold(np.array([values]), risk, "false-rejection") == smallest_threshold_for_false_rejection(values, risk)


@given(VALUES, RISKS)
def test_false_acceptance_is_within_the_risk_and_no_larger_threshold_is(values, risk):
    tau = threshold(np.array([values]), risk, "false-acceptance")
    assert false_acceptance(values, tau) <= risk + 1e-9
    assert false_acceptance(values, math.nextafter(tau, math.inf)) > risk


@given(VALUES, VALUES)
def test_probability_below_against_pairs(low, high):
    assert probability_below(np.array(low), np.array(high)) == pytest.approx(auc_by_pairs(low, high))


def test_calibration_of_models_that_separate():
    generator = np.random.default_rng(5)
    good = [model(f"good {i}", generator.normal(1, 0.1, 40)) for i in range(3)]
    bad = [model(f"bad {i}", generator.normal(3, 0.1, 40)) for i in range(2)]
    result = calibrate(good, bad, risk=0.05)
    rejected = sum(value > result.tau for each in good for value in each.sharpness)
    assert result.false_rejection == rejected / 120 <= 0.05 and result.false_acceptance == 0 and result.separation == 1
    assert 1.1 < result.tau < 1.3 and result.interval[0] <= result.tau <= result.interval[1] and 0 < result.error < 0.1
    assert result.without_one_model[0] <= result.tau <= result.without_one_model[1]
    assert (result.good, result.bad, result.seeds, result.warnings) == (
        ("good 0", "good 1", "good 2"),
        ("bad 0", "bad 1"),
        40,
        (),
    )
    other = calibrate(good, bad, risk=0.05, limit="false-acceptance")
    assert other.false_acceptance == 0.05 and 2.7 < other.tau < 2.9


def test_errors_on_models_that_had_no_part_in_tau():
    """Each good model by the tau of the other two, written out; bad ones by the tau of all."""
    good = [model("a", [1, 2, 3, 4]), model("b", [2, 3, 4, 5]), model("c", [3, 4, 5, 6])]
    found = calibrate(good, [model("d", [4, 5, 6, 7]), model("e", [8, 8, 8, 8])], risk=0.25)
    taus = [
        smallest_threshold_for_false_rejection([v for m in good if m is not left for v in m.sharpness], 0.25) for left in good
    ]
    shares = [sum(v > tau for v in m.sharpness) / 4 for m, tau in zip(good, taus, strict=True)]
    assert found.unseen_rejection.share == pytest.approx(sum(shares) / 3)
    assert found.unseen_acceptance.share == sum(v <= found.tau for v in (4, 5, 6, 7)) / 8
    low, high = found.unseen_rejection.interval
    assert 0 <= low < found.unseen_rejection.share < high <= 1


def test_no_error_on_few_models_says_little():
    good = [model(f"{i}", [1, 1, 1]) for i in range(5)]
    found = calibrate(good, risk=0.3)
    assert found.unseen_rejection.share == 0 and found.unseen_rejection.interval[0] == 0
    assert found.unseen_rejection.interval[1] == pytest.approx(1 - 0.05**0.2)  # 45 %
    assert math.isnan(found.unseen_acceptance.share) and math.isnan(calibrate(good[:1], risk=0.3).unseen_rejection.share)


def test_the_bootstrap_keeps_the_seeds_of_all_models_together():
    """Two models that agree seed by seed say no more about tau than one: the same error."""
    values = np.random.default_rng(6).normal(1, 0.2, 30)
    one = calibrate([model("a", values)], risk=0.2)
    two = calibrate([model("a", values), model("b", values)], risk=0.2)
    assert (one.tau, one.error, one.interval) == (two.tau, two.error, two.interval)


def test_warnings():
    lower, higher = model("a", np.linspace(1, 2, 30)), model("b", np.linspace(3, 4, 30))
    assert calibrate([lower, lower], [higher], risk=0.1).warnings == ()
    (few,) = calibrate([lower, lower], risk=0.01).warnings
    assert few == "60 values do not resolve a risk of 0.01; measure at least 100 (models x seeds)"
    (alone,) = calibrate([lower], risk=0.1).warnings
    assert alone.startswith("one model sets this threshold")
    (reversed_order,) = calibrate([higher, higher], [lower], risk=0.1).warnings
    assert "tend to have the lower values (separation 0.00)" in reversed_order
    (overlap,) = calibrate([lower, lower], [model("c", np.linspace(1.1, 2.1, 30))], risk=0.1).warnings
    assert overlap.startswith("good and bad models overlap (separation 0.58")


@pytest.mark.parametrize(
    ("good", "bad", "options", "message"),
    [
        ([], [], {}, "good: expected at least one model"),
        ([[1.0]], [], {"risk": 0.0}, "risk: expected a probability above 0 and below 1, got 0.0"),
        ([[1.0]], [], {"risk": 1.0}, "risk: expected"),
        ([[1.0]], [], {"limit": "both"}, "limit: expected false-rejection or false-acceptance, got 'both'"),
        ([[1.0]], [], {"limit": "false-acceptance"}, "bad: a limit on false acceptance needs"),
        ([[1.0], [1.0, 2.0]], [], {}, "expected the same seeds for all models, got 1 and 2 seeds"),
        ([[1.0]], [[1.0, 2.0]], {}, "bad: expected the 1 seeds of the good models, got 2"),
        ([[1.0, math.nan]], [], {}, "model 0: expected a finite directional sharpness"),
    ],
)
def test_what_cannot_be_calibrated(good, bad, options, message):
    with pytest.raises(ValueError, match=message):
        calibrate([model(f"model {i}", v) for i, v in enumerate(good)], [model("x", v) for v in bad], **options)
