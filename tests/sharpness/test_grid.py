"""Measuring many models: in processes as in one, comparing them, and the files that the numbers go to."""

import functools
import json
import math

import joblib
import pytest
import torch

from zkds.sharpness import SharpnessConfig, directional_sharpness
from zkds.sharpness.compare import compare
from zkds.sharpness.grid import Measurement, measure_grid
from zkds.sharpness.tables import measurement_rows, plain, read_csv, read_measurements, to_json, write_csv

pytestmark = pytest.mark.any_kernels

CONFIG = SharpnessConfig(batch_size=4, steps=3, probes=3)
SEED = bytes(range(32))


def small_network(seed):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(5, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3)).double()


def other_network():
    return torch.nn.Linear(6, 3)


@pytest.fixture
def data():
    return torch.randn(30, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1)), torch.arange(30) % 3


@pytest.fixture
def models():
    return {f"model {seed}": functools.partial(small_network, seed) for seed in range(4)}


def test_measurements_are_the_metric(models, data):
    measured = measure_grid(models, data, CONFIG, SEED)
    assert [each.name for each in measured] == list(models)
    model = small_network(2)
    result = directional_sharpness(model, data, CONFIG, SEED)
    assert measured[2].sharpness == tuple(probe.value for probe in result.probes)
    assert measured[2].trajectory == tuple(step.sharpness for step in result.history)
    logits = model(data[0])
    assert measured[2].loss == pytest.approx(torch.nn.functional.cross_entropy(logits, data[1]).item())
    assert measured[2].accuracy == float((logits.argmax(1) == data[1]).double().mean())
    assert measured[2].mean == pytest.approx(sum(measured[2].sharpness) / 3)
    assert measured[2].spread == pytest.approx(math.sqrt(sum((v - measured[2].mean) ** 2 for v in measured[2].sharpness) / 2))


def test_two_workers_and_a_backend_from_outside(models, data):
    alone = measure_grid(models, data, CONFIG, SEED)
    assert measure_grid(models, data, CONFIG, SEED, jobs=2) == alone
    with joblib.parallel_config(backend="loky", n_jobs=2):
        assert measure_grid(models, data, CONFIG, SEED) == alone


@pytest.mark.parametrize("jobs", [None, 2])
def test_progress_counts_models(models, data, jobs):
    seen = []
    measure_grid(models, data, CONFIG, SEED, jobs=jobs, progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen) and seen[-1] == (4, 4)


@pytest.mark.parametrize("jobs", [None, 2])
def test_an_error_names_the_model(data, jobs):
    with pytest.raises(ValueError, match=r"^model 9: model: fails on inputs of shape \(4, 5\)"):
        measure_grid({"model 0": functools.partial(small_network, 0), "model 9": other_network}, data, CONFIG, SEED, jobs=jobs)


def test_nothing_to_measure(data):
    with pytest.raises(ValueError, match="models: expected at least one model"):
        measure_grid({}, data, CONFIG, SEED)


# ---- comparing -------------------------------------------------------------------------------------------------------


def measurement(name, sharpness, asam=0.2, loss=0.5, accuracy=0.9):
    return Measurement(name, tuple(sharpness), (0.1, 0.30000000000000004), asam, loss, accuracy)


def test_compare():
    (result,) = compare([measurement("a", [1, 2, 3])], [measurement("b", [2, 2, 2], asam=0.4, loss=1.0, accuracy=0.6)])
    assert (result.benign, result.faulty) == ("a", "b")
    assert (result.sharpness, result.lower) == (1.0, 1 / 3)
    assert result.spread == pytest.approx(0.5)  # of 0.5, 1, 1.5
    assert (result.asam, result.loss, result.accuracy) == pytest.approx((0.5, 0.5, 1.5))


def test_compare_without_a_ratio():
    (result,) = compare([measurement("a", [1.0], loss=0.0)], [measurement("b", [0.0], loss=0.0)])
    assert math.isnan(result.sharpness) and math.isnan(result.spread) and math.isnan(result.loss) and result.lower == 0


def test_compare_pairs():
    with pytest.raises(ValueError, match="expected one faulty checkpoint for each benign one, got 2 and 1"):
        compare([measurement("a", [1])] * 2, [measurement("b", [1])])
    with pytest.raises(ValueError, match="a and b: expected the same seeds for both, got 1 and 2"):
        compare([measurement("a", [1])], [measurement("b", [1, 2])])


# ---- files -----------------------------------------------------------------------------------------------------------


def test_measurements_survive_csv(models, data, tmp_path):
    measured = measure_grid(models, data, CONFIG, SEED)
    many = [measurement('a,"b"\nc', [0.1 * k for k in range(12)])]  # twelve columns: 10 comes after 9
    for measurements in (measured, many):
        write_csv(tmp_path / "m.csv", measurement_rows(measurements))
        assert read_measurements(tmp_path / "m.csv") == measurements


def test_json_has_no_nan():
    comparison = compare([measurement("a", [1.0])], [measurement("b", [2.0])])
    text = to_json({"comparison": comparison, "seed": bytes(2)})
    assert json.loads(text)["comparison"][0]["spread"] is None and json.loads(text)["seed"] == "0000"
    assert json.loads(to_json(measurement("a", [1 / 3])))["sharpness"] == [1 / 3]
    assert plain((math.inf, 1)) == [None, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a line of column names"),
        ("a,b\n", "expected a line of column names"),
        ("a,b\n1,2,3\n", "line 2: expected 2 values"),
        ("a,b\n1,2\n3\n", "line 3: expected 2 values"),
    ],
)
def test_csv_files_that_are_none(tmp_path, text, message):
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_csv(tmp_path / "m.csv")


def test_a_csv_of_something_else(tmp_path):
    (tmp_path / "m.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="expected measurements, there is no column 'asam'"):
        read_measurements(tmp_path / "m.csv")
