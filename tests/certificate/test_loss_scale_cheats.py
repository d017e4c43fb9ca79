"""Provers that choose the loss scale, or scale one thing and not the other: rejected, for the exact reason.

Batches of a confident network, whose losses are near 1e-13, or 0. Every prover lies in one step, and everything behind follows.
"""

from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from tests.certificate.test_certificate_cheats import FALSE_CLAIM, rejected
from tests.harness.certificates import CONFIGURATION, LABELS, NETWORKS, TINY, broken_identities, cheat, opening
from tests.harness.whole_proof import LIGERO_REASON
from zkds.circuits import probe
from zkds.circuits.arithmetic.fixed_point import FIRST_SCALE, MAX_LOSS_SCALE, round_half_up
from zkds.circuits.certificate.verifying import Pins, verify_certificate
from zkds.circuits.metric.batch_loss import EPS_SHIFT
from zkds.dataset.sampling import batches

pytestmark = pytest.mark.slow

STEPS, BATCH = CONFIGURATION.steps, CONFIGURATION.batch_size


def seed_of_label_zero():
    """A seed whose batches have records of class 0 alone."""
    for number in count():
        seed = number.to_bytes(32, "little")
        drawn = batches(seed, opening("features").root.count, STEPS, BATCH)
        if not (LABELS[np.array(drawn)] % 2).any():
            return seed
    raise AssertionError


CASE = replace(TINY, seed=seed_of_label_zero())


def confident(distance):
    """Weights with which class 0 is so far ahead of class 1, whatever the record is."""
    found = {name: np.zeros(shape, dtype=np.int64) for name, shape in NETWORKS["dense"].parameters}
    found["hidden.bias"][:] = 4 << 40
    found["fc.weight"].reshape(2, -1)[:] = np.array([[1], [-1]]) * round(distance / 24 * 2**40)
    return found


def case(distance=29.5):
    return cheat(CASE, model=confident(distance))


def patched_loss(monkeypatch, change):
    """The semantics with change(loss, eps_int) in place of every batch's loss."""
    unpatched = probe.batch_loss

    def other(losses, configuration, place):
        return change(unpatched(losses, configuration, place))

    monkeypatch.setattr(probe, "batch_loss", other)


def scaled_by(loss, scale):
    """With another k, and the X that belongs to it."""
    eps = CONFIGURATION.eps_int * loss.counted << 2 * scale
    return replace(loss, scale=scale, eps=round_half_up(eps, EPS_SHIFT))


def column(found, name, values):
    """`found` with one column replaced."""
    assert found.columns[name].shape == values.shape
    return replace(found, columns=found.columns | {name: values.astype(np.uint32)})


def test_honest_proofs_about_tiny_losses():
    for distance, scale in ((29.5, 33), (60, MAX_LOSS_SCALE)):
        found = case(distance)
        assert set(found.trajectory.loss_scales) == {scale} and broken_identities(found) == []
        verdict = verify_certificate(found.proof(), allow_plain=True, pins=Pins(allow_saturated=True))
        assert verdict.statement.results.saturated == (STEPS if distance == 60 else 0)
    mean = case().trajectory.total_loss / 2**48 / (STEPS * BATCH)
    assert 1e-13 < mean < 2e-13


@pytest.mark.parametrize("change, identity", [(1, "loss scale: not above"), (-1, "loss scale: not below")])
def test_another_scale(lenient, change, identity):
    """Deltas, gradients, eps and ratios are all of 2^(k + 1) or 2^(k - 1)."""
    patched_loss(lenient, lambda loss: scaled_by(loss, loss.scale + change))
    rejected(case(), FALSE_CLAIM, [identity], hidden_reason=LIGERO_REASON)


def test_no_scale(lenient):
    """As if a small loss were like any other."""
    patched_loss(lenient, lambda loss: scaled_by(loss, 0))
    rejected(case(20), FALSE_CLAIM, ["loss scale: not below"])


def test_another_scale_of_a_loss_of_zero(lenient):
    """k is the largest one there is."""
    patched_loss(lenient, lambda loss: scaled_by(loss, MAX_LOSS_SCALE - 1))
    rejected(case(60), FALSE_CLAIM, ["loss scale: not below"])


def test_a_scale_for_an_ordinary_loss(lenient):
    """k = 1 where a loss is above the target."""
    patched_loss(lenient, lambda loss: scaled_by(loss, 1))
    rejected(cheat(), FALSE_CLAIM, ["loss scale: not above"])


@pytest.mark.parametrize("change", [1, -1])
def test_the_selector_beside_the_right_one(lenient, change):
    found = case()
    selectors = np.roll(found.columns["loss scale: selectors/0"], change, axis=0)
    moved = column(found, "loss scale: selectors/0", selectors)
    rejected(moved, FALSE_CLAIM, ["loss scale: scale", "statistic: log ratios"], hidden_reason=LIGERO_REASON)


def test_two_selectors(lenient):
    """2^k is twice the right one as 2^(k - 1) + 2^(k - 1), k and 2^k otherwise as they are: there is one too many."""
    found = case()
    selectors, scale = found.columns["loss scale: selectors/0"].copy(), found.trajectory.loss_scales[0]
    selectors[scale, 0], selectors[scale - 1, 0] = 0, 2
    changed = column(found, "loss scale: selectors/0", selectors)
    names = broken_identities(changed)
    assert "loss scale: one scale" in names and "loss scale: scale" not in names


def test_eps_that_is_not_scaled(lenient):
    """X = round(eps_int L, 10): l is off by what eps makes of the ratio."""

    def unscaled(loss):
        return replace(loss, eps=round_half_up(CONFIGURATION.eps_int * loss.counted, EPS_SHIFT))

    patched_loss(lenient, unscaled)
    rejected(case(), FALSE_CLAIM, ["loss scale: scaled eps"], hidden_reason=LIGERO_REASON)


def test_deltas_that_are_not_scaled(lenient):
    """The gradient is that of the loss itself: the ratio is smaller by 2^(2k), and most of it is eps."""
    unpatched = probe.logit_delta

    def unscaled(result, labels, scale):
        return unpatched(result, labels, FIRST_SCALE if scale % FIRST_SCALE == 0 else scale)

    lenient.setattr(probe, "logit_delta", unscaled)
    rejected(case(20), FALSE_CLAIM, ["first passes: delta"], hidden_reason=LIGERO_REASON)


def test_deltas_whose_sum_is_not_scaled(lenient):
    """2^k e_i against y_i sum: the number 2^k sum is committed as the sum itself."""
    found = case()
    scaled = {name for name in found.columns if name.startswith("first passes: scaled sum")}
    same = {name: np.zeros_like(found.columns[name]) for name in scaled}
    same |= {name.replace("sum", "scaled sum", 1): values for name, values in found.columns.items() if name in _sums(found)}
    rejected(replace(found, columns=found.columns | same), FALSE_CLAIM, ["first passes: scaled sum", "first passes: delta"])


def _sums(found):
    return [name for name in found.columns if name.startswith("first passes: sum")]


def test_a_ratio_of_the_scaled_gradient(lenient):
    """l without - 2 k LN2: larger by as much as the loss is small."""
    unpatched = probe.log_ratio
    lenient.setattr(probe, "log_ratio", lambda squares, loss, place: unpatched(squares, replace(loss, scale=0), place))
    rejected(case(), FALSE_CLAIM, ["statistic: log ratios"], hidden_reason=LIGERO_REASON)


def test_a_saturated_batch_that_is_said_to_be_none(lenient):
    """The bit of the first one is 0, the count fits, and the gap, which is negative, wraps around its width."""
    found = cheat(CASE, model=confident(60), results=lambda results: replace(results, saturated=results.saturated - 1))
    bits = found.columns["statistic: saturated/0"].copy()
    bits[0] = 0
    changed = column(found, "statistic: saturated/0", bits)
    gap = found.relation.probes[0].scalars.statistic.saturated_gap
    values = np.array([1 - CONFIGURATION.loss_floor, CONFIGURATION.loss_floor - 2], dtype=object)
    changed = replace(changed, columns=changed.columns | gap.split(values))
    rejected(changed, FALSE_CLAIM, ["statistic: saturated"], hidden_reason=LIGERO_REASON)
