"""Means over windows: windows, integers and deltas against torch's autograd in float64 and the slow twin; weights; misuse."""

import random
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from tests.reference import pools as reference
from zkds.circuits.operators.averages import Means, adaptive, divided, round_quotient, sliding
from zkds.circuits.operators.window_sums import Windows
from zkds.field import K, P, from_pairs
from zkds.tensors.axes import VectorAxis
from zkds_verify.operators import average_windows

UNIT = 2.0**-32


@st.composite
def pools(draw):
    """(height and width, Means, the slow twin's windows of either axis, the same pool in torch)"""
    size = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    if draw(st.booleans()):
        outputs = draw(st.tuples(st.integers(1, 10), st.integers(1, 10)))
        windows = [average_windows.adaptive_windows(*pair) for pair in zip(size, outputs, strict=True)]
        means = Means(*(adaptive(*pair) for pair in zip(size, outputs, strict=True)))
        return size, means, windows, lambda x: functional.adaptive_avg_pool2d(x, outputs)
    kernel = tuple(draw(st.integers(1, 5)) for _ in size)
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    size = tuple(max(n, k - 2 * p) for n, k, p in zip(size, kernel, padding, strict=True))
    stride = tuple(draw(st.integers(1, 6)) for _ in size)
    ceil_mode, include, override = draw(st.booleans()), draw(st.booleans()), draw(st.sampled_from([None, 1, 3, 8]))
    numbers = list(zip(size, kernel, stride, padding, strict=True))
    windows = [average_windows.sliding_windows(*four, ceil_mode, include) for four in numbers]
    axes = [sliding(*four, ceil_mode=ceil_mode, count_include_pad=include) for four in numbers]
    if override is not None:
        windows = [[(inside, count) for inside, _ in axis] for axis, count in zip(windows, (override, 1), strict=True)]
        axes = [divided(axis, count) for axis, count in zip(axes, (override, 1), strict=True)]
    options = {"ceil_mode": ceil_mode, "count_include_pad": include, "divisor_override": override}
    return size, Means(*axes), windows, lambda x: functional.avg_pool2d(x, kernel, stride, padding, **options)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(pools(), st.integers(0, 1 << 30))
def test_means_and_deltas_are_those_of_torch(pool, seed):
    """Within half a unit of 2^-32 and the rounding of float64: 2^-43 for values below 2^10, times the divisors' excess."""
    size, means, _, in_torch = pool
    generator = np.random.default_rng(seed)
    values = generator.integers(-(1 << 42), 1 << 42, (2, 3, *size))
    x = torch.from_numpy(values * UNIT).requires_grad_()
    y = in_torch(x)
    deltas = generator.integers(-(1 << 42), 1 << 42, y.shape)
    y.backward(torch.from_numpy(deltas * UNIT))
    rounding = 0 if means.is_exact else UNIT / 2
    for found, total, expected in (
        (means.sums(values), means.totals, y.detach().numpy()),
        (means.spread(deltas), means.entry_totals, x.grad.numpy()),
    ):
        scale = max(1, total.high / means.divisor)
        if means.is_exact:
            assert np.abs(found * (UNIT / 2**means.bits) - expected).max() <= 2.0**-40 * scale
        else:
            quotient = round_quotient(found, means.divisor)
            assert np.abs(quotient.value * UNIT - expected).max() <= rounding + 2.0**-40 * scale


@settings(max_examples=100, deadline=None, derandomize=True)
@given(pools(), st.integers(0, 1 << 30))
def test_integers_are_those_of_the_slow_twin(pool, seed):
    size, means, windows, _ = pool
    generator = np.random.default_rng(seed)
    image = generator.integers(-(1 << 42), 1 << 42, size)
    sums = means.sums(image)
    assert means.divisor == average_windows.common_divisor(*windows)
    assert dict(np.ndenumerate(sums)) == reference.average_pool(image.tolist(), *windows)
    deltas = generator.integers(-(1 << 45), 1 << 45, sums.shape)
    spread, expected = means.spread(deltas), reference.average_pool_backward(dict(np.ndenumerate(deltas)), *windows)
    assert all(value == expected[place] for place, value in np.ndenumerate(spread))
    found = round_quotient(sums, means.divisor)
    for value, remainder, total in zip(found.value.flat, found.remainder.flat, sums.flat, strict=True):
        assert (value, remainder) == reference.rounded_quotient(int(total), means.divisor)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(pools())
def test_totals_are_sums_of_ones(pool):
    size, means, windows, _ = pool
    totals = reference.average_pool([[1] * size[1]] * size[0], *windows)
    spread = reference.average_pool_backward(dict.fromkeys(totals, 1), *windows)
    at_entries = [spread[place] for place in np.ndindex(*size)]
    assert (means.totals.low, means.totals.high) == (min(totals.values()), max(totals.values()))
    assert (means.entry_totals.low, means.entry_totals.high) == (min(at_entries), max(at_entries))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(pools(), st.integers(0, 1 << 30))
def test_weights_are_added_up_like_integers(pool, seed):
    size, means, _, _ = pool
    rng = random.Random(seed)
    for axis, length in zip((means.rows, means.columns), size, strict=True):
        windows = axis.windows
        for count, apply, matrix in (
            (length, windows.sums_axis, windows.sums(np.eye(length, dtype=np.int64), 0)),
            (windows.count, windows.spread_axis, windows.spread(np.eye(windows.count, dtype=np.int64), 0)),
        ):
            weights = [K(rng.choice([rng.randrange(P), P - 1]), rng.choice([rng.randrange(P), P - 1])) for _ in range(count)]
            found = from_pairs(apply(VectorAxis.of(weights)).vector())
            for row, weight in zip(matrix, found, strict=True):
                assert sum((w * int(factor) for w, factor in zip(weights, row, strict=True)), K(0)) == weight


def test_exact_means():
    whole = Means(adaptive(8, 1), adaptive(4, 1))
    assert (whole.is_exact, whole.bits, whole.divisor) == (True, 5, 32)
    corners = sliding(4, 2, 2, 1, count_include_pad=False)  # 1, 2 and 1 entries: over 2, the single ones twice
    assert (corners.windows.factors.tolist(), corners.divisor) == ([2, 1, 2], 2)
    with pytest.raises(ValueError, match="expected a divisor that is a power of two, got 3"):
        Means(adaptive(3, 1), adaptive(1, 1)).bits  # noqa: B018


def test_means_that_change_nothing():
    assert Means(adaptive(5, 5), sliding(3, 1, 1, 0)).changes_nothing
    others = (adaptive(5, 4), sliding(5, 1, 2, 0), divided(adaptive(5, 5), 2), sliding(5, 2, 1, 1), adaptive(1, 2))
    for axis in others:
        assert not Means(adaptive(3, 3), axis).changes_nothing


def test_halves_go_up():
    found = round_quotient(np.array([-3, 3, 2, -2, 0], dtype=np.int64), 6)
    assert found.value.tolist() == [0, 1, 0, 0, 0] and found.remainder.tolist() == [0, 0, 5, 1, 3]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((4, 0, 1, 0), "kernel and stride of at least 1"),
        ((4, 3, 0, 0), "kernel and stride of at least 1"),
        ((4, 3, 1, 2), "padding of at most half the kernel"),
        ((2, 3, 1, 0), "expected windows that fit 2 entries"),
    ],
)
def test_windows_that_torch_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        sliding(*arguments)
    length, kernel, stride, padding = arguments
    with pytest.raises(RuntimeError):
        functional.avg_pool2d(torch.zeros(1, 1, 8, length), (1, kernel), (1, stride), (0, padding))


def test_misuse():
    with pytest.raises(ValueError, match="at least 1 output"):
        adaptive(4, 0)
    for starts, stops, factors, message in (
        ((), (), (), "expected intervals of 4 entries"),
        ((0, 2), (2, 5), (1, 1), "expected intervals of 4 entries"),
        ((0, 2), (2, 2), (1, 1), "none empty"),
        ((1, 0), (2, 2), (1, 1), "ends that never decrease"),
        ((0, 1), (3, 2), (1, 1), "ends that never decrease"),
        ((0, 1), (2, 2), (1,), "expected 2 positive factors"),
        ((0, 1), (2, 2), (1, 0), "expected 2 positive factors"),
        ((0, 1), (2, 2), (1, 1 << 28), re.escape(f"below {1 << 30}")),
    ):
        with pytest.raises(ValueError, match=message):
            Windows(4, *(np.array(given, dtype=np.int64) for given in (starts, stops, factors)))
