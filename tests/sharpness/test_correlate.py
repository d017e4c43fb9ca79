"""Rank correlations: against their definitions."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference.statistics import granulated_by_definition, kendall_by_pairs, spearman_by_ranks
from zkds.sharpness.correlate import correlate

pytestmark = pytest.mark.any_kernels

GRID = [
    {"optimizer": optimizer, "rate": rate, "decay": decay}
    for optimizer, rate, decay in itertools.product(["sgd", "adam", "sam"], [0.1, 0.01], [0.0, 1e-4])
]
NO_TIES = st.permutations(range(len(GRID)))


@given(NO_TIES, NO_TIES, st.sets(st.integers(0, len(GRID) - 1), min_size=4))
def test_against_the_definitions_with_models_missing(values, gaps, kept):
    kept = sorted(kept)
    values, gaps, grid = [values[i] for i in kept], [gaps[i] for i in kept], [GRID[i] for i in kept]
    (result,) = correlate({"F": values}, gaps, grid)
    axes = granulated_by_definition(values, gaps, grid)
    assert result.axes == pytest.approx(axes)
    if axes:
        assert result.granulated == pytest.approx(sum(axes.values()) / len(axes))
    else:
        assert math.isnan(result.granulated)
    assert result.kendall == pytest.approx(kendall_by_pairs(values, gaps))
    assert result.spearman == pytest.approx(spearman_by_ranks(values, gaps))
    assert (result.measure, result.models) == ("F", len(kept)) and 0 <= result.p_value <= 1


@given(st.lists(st.integers(0, 3), min_size=len(GRID), max_size=len(GRID)), NO_TIES)
def test_ties(values, gaps):
    (result,) = correlate({"F": values}, gaps, GRID)
    assert result.axes == pytest.approx(granulated_by_definition(values, gaps, GRID))
    if len(set(values)) > 1:
        assert result.spearman == pytest.approx(spearman_by_ranks(values, gaps))
    else:
        assert math.isnan(result.spearman) and math.isnan(result.kendall)


def test_granulated_is_not_fooled_by_one_hyperparameter():
    """A measure that only tells optimizers apart: Kendall's coefficient rewards it, the granulated one by a third."""
    order = {"sgd": 0, "adam": 1, "sam": 2}
    gaps = np.array([order[setting["optimizer"]] + 0.01 * number for number, setting in enumerate(GRID)])
    values = [order[setting["optimizer"]] for setting in GRID]
    (result,) = correlate({"F": values}, gaps, GRID)
    assert result.kendall > 0.8 and result.axes == {"optimizer": 1.0, "rate": 0.0, "decay": 0.0}
    assert result.granulated == pytest.approx(1 / 3)


def test_no_hyperparameters():
    (result,) = correlate({"F": [1, 2, 3]}, [1, 2, 3], [{}, {}, {}])
    assert result.kendall == 1 and math.isnan(result.granulated) and result.axes == {}


@pytest.mark.parametrize(
    ("measures", "gaps", "grid", "message"),
    [
        ({"F": [1, 2]}, [1, 2], GRID[:2], "gaps: expected at least 3 models, got 2"),
        ({"F": [1, 2]}, [1, 2, 3], GRID[:3], r"F: expected one number for each of 3 models, got shape \(2,\)"),
        ({"F": [1, 2, math.nan]}, [1, 2, 3], GRID[:3], "F: expected finite numbers, model 2 has another"),
        ({"F": [1, 2, 3]}, [1, math.inf, 3], GRID[:3], "gaps: expected finite numbers, model 1 has another"),
        ({"F": [1, 2, 3]}, [1, 2, 3], GRID[:2], "hyperparameters: expected one set for each of 3 models, got 2"),
        ({"F": [1, 2, 3]}, [1, 2, 3], [*GRID[:2], {}], "hyperparameters: expected the same names"),
        ({"F": [1, 2, 3]}, [1, 2, 3], [*GRID[:2], GRID[0]], "expected no two models with the same"),
    ],
)
def test_what_cannot_be_correlated(measures, gaps, grid, message):
    with pytest.raises(ValueError, match=message):
        correlate(measures, gaps, grid)
