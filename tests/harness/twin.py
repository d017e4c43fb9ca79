"""A probe's trajectory against its slow twin, entry by entry, remainders included."""

import numpy as np

from tests.reference import fixed_point as slow
from zkds.circuits.operators import implicit
from zkds.circuits.probe import run
from zkds_verify.operators import implicit_rule as slow_implicit

REMAINDERS = {"gradient": "gradient: remainder", "update": "update: remainder"}
SOFTMAX_TENSORS = (
    "maximum",
    "exponential_product",
    "exponential_product_remainder",
    "exponential",
    "exponential_remainder",
    "exponential_sum",
    "logit_delta",
    "logit_delta_remainder",
)


def tensor(array):
    return {place: int(value) for place, value in np.ndenumerate(array)}


def same(array, expected):
    """Whether an array holds a dictionary's values."""
    return tensor(array) == expected


def set_least_weights(monkeypatch, least):
    """Of an implicit layer, in both."""
    names = ("MIN_WEIGHTS", "LEAST_WEIGHTS"), ("WEIGHTS_A_PRODUCT", "A_PRODUCT"), ("WEIGHTS_AN_ENTRY", "AN_ENTRY")
    for fast, slow_name in names:
        monkeypatch.setattr(implicit, fast, least if fast == "MIN_WEIGHTS" else 0)
        monkeypatch.setattr(slow_implicit, slow_name, least if fast == "MIN_WEIGHTS" else 0)


def check_against_twin(network, configuration, weights, inputs, labels):
    """Run both. The trajectory is returned."""
    found = run(network, weights, inputs, labels, configuration)
    tensors = {name: tensor(w) for name, w in weights.items()}
    passes, steps, results = slow.run(network, tensors, list(map(tensor, inputs)), labels.tolist(), configuration)
    assert {name: getattr(found, name) for name in results} == results
    for p, expected in enumerate(passes):
        for name in SOFTMAX_TENSORS:
            assert same(getattr(found, name)[p], expected[name]), name
        for name, values in expected["nodes"].items():
            assert same(found.values[name][p], values), (name, p)
    of_parameters = {name for name in found.values if name.split(": ")[0] in weights}
    assert set(found.values) - of_parameters == set(passes[0]["nodes"]) | check_products(found, passes)
    for t, expected in enumerate(steps):
        check_step(found, t, expected)
        assert found.losses[t].tolist() == passes[t]["losses"]
    return found


def check_products(found, passes):
    """The inner products of implicit layers, pass by pass; the names of their tensors."""
    expected = {}
    for one in passes:
        for node, products in one["products"].items():
            for word, pairs in products.items():
                for i, tensor in enumerate((f"{node}: {word}", f"{node}: {word}: remainder")):
                    expected.setdefault(tensor, []).extend(pair[i] for pair in pairs)
    for name, matrices in expected.items():
        assert np.array_equal(found.values[name], np.stack(matrices).astype(np.int64)), name
    return set(expected)


def check_step(found, t, expected):
    last = t == found.configuration.steps - 1
    assert found.loss_sums[t] == expected["loss_sum"]
    assert (found.loss_scales[t], found.scaled_eps[t]) == (expected["loss_scale"], expected["scaled_eps"])
    assert found.sharpness_squares[t] == expected["sharpness_squares"]
    assert found.log_ratios[t] == expected["log_ratio"]
    if not last:
        assert found.perturbation_squares[t] == expected["perturbation_squares"]
        assert (found.norms[t], found.kappas[t]) == (expected["norm"], expected["kappa"])
    scaled = ["scaled"] if "ASAM" in (found.configuration.sharpness, found.configuration.perturbation) else []
    names = ["gradient", *scaled, *([] if last else ["perturbation", "update"])]
    if found.configuration.perturbation == "ASAM" and not last:
        names.append("normalised")
    check_implicit(found, t, expected)
    for name in names:
        for parameter, pairs in expected[name].items():
            for i, tensor in enumerate((name, REMAINDERS.get(name, f"{name} remainder"))):
                values = found.values[f"{parameter}: {tensor}"][t]
                assert same(values, {place: pair[i] for place, pair in pairs.items()}), (tensor, parameter, t)


def check_implicit(found, t, expected):
    """What is stored for every step of implicit weights."""
    last, kinds = t == found.configuration.steps - 1, found.configuration.sharpness
    names = ["squares", *(["scaled squares"] if kinds == "ASAM" else [])]
    names += [] if last else ["perturbation factor", "update factor"]
    for parameter, (moved, remainder) in expected.get("moved", {}).items():
        for tensor, step, values in (("weights", t + 1, moved), ("update: remainder", t, remainder)):
            assert np.array_equal(found.values[f"{parameter}: {tensor}"][step].reshape(values.shape), values)
    for name in names:
        for parameter, pair in expected[name].items():
            for i, tensor in enumerate((name, f"{name}: remainder")):
                values = found.values[f"{parameter}: {tensor}"][t]
                same_rows = implicit.output_rows(values) if "factor" in name else values
                assert np.array_equal(same_rows, pair[i]), (tensor, parameter, t)
    for parameter in expected["squares"]:
        assert found.values[f"{parameter}: squares"].shape == (found.configuration.steps,)
        assert (f"{parameter}: scaled squares" in found.values) == (kinds == "ASAM")
        assert not any(f"{parameter}: {word}" in found.values for word in ("gradient", "update", "perturbation", "scaled"))
