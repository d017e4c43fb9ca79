"""The fixed-point semantics against its slow twin, entry by entry, remainders included."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, reject, seed, settings
from hypothesis import strategies as st

from tests.harness.graphs import GRAPHS
from tests.harness.layers import Layer, Pool, layered
from tests.harness.probes import degenerate, probe
from tests.harness.random_networks import random_networks, random_probe
from tests.harness.sweeps import examples
from tests.harness.twin import check_against_twin
from zkds.circuits.arithmetic.fixed_point import Configuration, Overflow, Place
from zkds.circuits.metric.batch_loss import batch_loss
from zkds.circuits.metric.deviation import is_below_eps, is_saturated
from zkds.circuits.networks import zoo
from zkds.circuits.probe import run

EXAMPLES = examples(50)
SMALL = layered(
    (2, 7, 9),
    (
        Layer("first", 3, 2, (3, 2), (1, 1), (1, 0), pool=Pool("max", 2), relu=True),
        Layer("second", 4, 3, (2, 2), pool=Pool("average", 2), relu=True, bias=False),
        Layer("scores", 3, 4, (1, 1)),
    ),
)


@pytest.mark.parametrize("sharpness", ["ASAM", "SAM"])
@pytest.mark.parametrize("perturbation", ["SAM", "ASAM"])
def test_small_network(sharpness, perturbation):
    configuration = Configuration.of(
        steps=3, batch_size=3, learning_rate="0.01", sharpness=sharpness, perturbation=perturbation
    )
    check_against_twin(SMALL, configuration, *probe(SMALL, configuration, np.random.default_rng(5)))


@pytest.mark.parametrize("architecture", ["digits-cnn", "digits-mlp"])
def test_networks_of_the_zoo(architecture):
    network, configuration = zoo.network(architecture), Configuration.of(steps=2, batch_size=1)
    check_against_twin(network, configuration, *probe(network, configuration, np.random.default_rng(1), 0.1))


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs(name):
    network, configuration = GRAPHS[name], Configuration.of(steps=2, batch_size=2, learning_rate="0.01")
    check_against_twin(network, configuration, *probe(network, configuration, np.random.default_rng(3), 0.5))


@pytest.mark.sweep
@seed(20261130)
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
@given(random_networks(), st.integers(0, 2**32 - 1), st.sampled_from(["0.25", "0.0001", "0.000001"]))
def test_random_networks(network, random_seed, learning_rate):
    configuration = Configuration.of(steps=2, batch_size=2, learning_rate=learning_rate)
    try:
        check_against_twin(network, configuration, *random_probe(network, configuration, random_seed))
    except Overflow:
        reject()


@pytest.mark.parametrize("steps", [2, 4])
def test_saturated_batches_and_ratios_below_eps(steps):
    network, configuration, *arguments = degenerate(steps)
    check_against_twin(network, configuration, *arguments)
    found = run(network, *arguments, configuration)
    assert (found.saturated, found.below_eps) == (steps - 1, steps - 2)
    for batch_size in (1, 3, 4096):
        chosen = replace(configuration, batch_size=batch_size, eps=Fraction(1, 10**12))
        floor = chosen.loss_floor
        assert Fraction(floor, batch_size << 58) == Fraction(1, 1 << 44)
        assert is_saturated(batch_loss([floor - 1], chosen, Place(0)), chosen)
        assert not is_saturated(batch_loss([floor], chosen, Place(0)), chosen)
        large = batch_loss([1 << 62], chosen, Place(0))
        assert (large.scale, large.eps) == (0, chosen.eps_int << 52)
        assert [is_below_eps(squares, large) for squares in ((large.eps >> 16) - 1, large.eps >> 16)] == [True, False]
        assert is_below_eps(0, batch_loss([0], chosen, Place(0)))  # a loss of 0 counts as one unit
