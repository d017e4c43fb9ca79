"""CIFAR-10's experiments: recipes and their order, a folder that survives kills, measures and intervals as they are defined."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import statistics
from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.experiments.harness import PAPER, SEED
from bench.experiments_cifar import data, document, predictors, workers
from bench.experiments_cifar.cache import Cache
from bench.experiments_cifar.found import Found
from bench.experiments_cifar.intervals import agreements, auc_interval, rank_intervals, varying_groups
from bench.experiments_cifar.measure import MEMBERS, OWN, RUNS, measure_all, measured, wanted
from bench.experiments_cifar.recipes import FULL, TOY, Recipe, base, grid, grid_blocks, pairs, plan
from bench.experiments_cifar.selection import CHOSEN, held_out, kendall_score
from bench.experiments_cifar.tables import tables
from bench.experiments_cifar.training import Point, _Run, train
from tests.harness.shell import ROOT
from zkds.circuits.networks.torch_module import build
from zkds.sharpness import directional_sharpness, probe_batches
from zkds.sharpness.correlate import correlate

pytestmark = pytest.mark.any_kernels

TINY = replace(TOY, images=160)
RECIPE = Recipe("vgg11-bn:1/16", 160, 1, batch_size=80)


def never() -> None:
    """Nothing ends the work."""


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """One model, trained and with its measurement at the end."""
    folder = tmp_path_factory.mktemp("cache")
    data.prepare(folder, ROOT / "none", toy=160)
    found = Cache(folder)
    workers.train_one(found, RECIPE, "cpu", never)
    return found


@pytest.fixture(scope="module")
def images(cache):
    return data.load(cache.folder, 160)


# ---- recipes ---------------------------------------------------------------------------------------------------------


def test_the_plan_has_every_model_once_and_the_grid_first():
    recipes = plan(FULL)
    assert len({recipe.name for recipe in recipes}) == len(recipes)
    assert recipes[:48] == [model.recipe for model in grid_blocks(FULL)[0]] and {model.recipe for model in grid(FULL)} <= set(
        recipes
    )
    places = {recipe: number for number, recipe in enumerate(recipes)}
    kinds = {pair.kind for pair in pairs(FULL)}
    assert len(kinds) == 5 and all(sum(pair.kind == kind for pair in pairs(FULL)) >= 5 for kind in kinds)
    assert max(places[pair.faulty] for pair in pairs(FULL)) < min(places[each] for each in recipes if each.images > FULL.images)


def test_names_are_those_of_the_recipe():
    """Names of trained models must stay: with other ones all of a cache would be trained again."""
    assert RECIPE.name == Recipe("vgg11-bn:1/16", 160, 1, batch_size=80).name == "6981e9e6ab2fec46"
    assert RECIPE.name != replace(RECIPE, seed=1).name != replace(RECIPE, kept=(1,)).name


def test_axes_tell_the_models_of_the_grid_apart():
    axes = [model.axes for model in grid(FULL)]
    assert len({tuple(each.items()) for each in axes}) == len(axes)
    assert set(varying_groups(axes)) == {"architecture", "optimizer", "rate", "decay", "batch size", "dropout"}


# ---- data ------------------------------------------------------------------------------------------------------------


def test_fewer_images_are_a_part_of_more(cache, images):
    assert torch.equal(data.load(cache.folder, 40).x, images.x[:40])
    with pytest.raises(ValueError, match="images: expected at most 160, got 161"):
        data.load(cache.folder, 161)


def test_squares_have_the_colours_of_their_labels(images):
    spoiled = data.deviated(images, replace(RECIPE, deviation="spurious", share=0.5))
    changed = (spoiled.x != images.x).flatten(1).any(1)
    assert 60 <= int(changed.sum()) <= 100 and spoiled.y is images.y
    corner = spoiled.x[changed][:, :, : data.SQUARE, : data.SQUARE]
    assert torch.equal(corner, data.COLOURS[images.y[changed]][:, :, None, None].expand_as(corner))
    assert torch.equal(spoiled.x[:, :, data.SQUARE :], images.x[:, :, data.SQUARE :])
    assert len(data.COLOURS.unique(dim=0)) == 10


def test_deviations_by_name(images):
    assert data.deviated(images, RECIPE) is images
    assert int((data.deviated(images, replace(RECIPE, deviation="noise", share=0.1)).y != images.y).sum()) == 16
    assert not torch.equal(data.deviated(images, replace(RECIPE, deviation="backdoor", share=0.1)).x, images.x)
    with pytest.raises(ValueError, match="expected noise, backdoor or spurious, got 'other'"):
        data.deviated(images, replace(RECIPE, deviation="other"))


# ---- training --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["sam", "asam"])
def test_sharpness_aware_steps_take_the_gradient_at_the_perturbed_weights(images, optimizer):
    recipe = replace(RECIPE, optimizer=optimizer, decay=0.0)
    torch.manual_seed(0)
    model = build(recipe.architecture).double()
    run = _Run(recipe, images, model)
    x, y = images.x[:8].double(), images.y[:8]
    start = [parameter.detach().clone() for parameter in model.parameters()]

    def gradient(weights):
        model.train()
        with torch.no_grad():
            for parameter, weight in zip(model.parameters(), weights, strict=True):
                parameter.copy_(weight)
        return torch.autograd.grad(torch.nn.functional.cross_entropy(model(x), y), list(model.parameters()))

    first = gradient(start)
    scaled = [w.abs() * g if optimizer == "asam" else g for w, g in zip(start, first, strict=True)]
    norm = sum((part**2).sum() for part in scaled).sqrt()
    radius = 0.5 if optimizer == "asam" else 0.05
    moved = [
        w + radius * (w.abs() * part if optimizer == "asam" else part) / norm for w, part in zip(start, scaled, strict=True)
    ]
    expected = gradient(moved)
    gradient(start)
    statistics_before = model.get_submodule("features.1").running_mean.clone()
    run.model.train()
    torch.nn.functional.cross_entropy(model(x), y).backward()
    statistics_after = model.get_submodule("features.1").running_mean.clone()
    run._sharpness_aware(x, y)
    for parameter, weight, wanted_gradient in zip(model.parameters(), start, expected, strict=True):
        assert torch.equal(parameter, weight)
        torch.testing.assert_close(parameter.grad, wanted_gradient)
    assert not torch.equal(statistics_before, statistics_after)
    assert torch.equal(model.get_submodule("features.1").running_mean, statistics_after)


def test_rates_warm_up_and_fall_to_zero(images):
    run = _Run(replace(RECIPE, epochs=4), images, build(RECIPE.architecture))
    rates = [run._rate(step) for step in range(9)]
    np.testing.assert_allclose(rates, [0.25, 0.5, 0.75, 1, 1, (1 + 0.5**0.5) / 2, 0.5, (1 - 0.5**0.5) / 2, 0], atol=1e-12)


def test_training_keeps_its_points_and_repeats(images, monkeypatch):
    """A linear layer on easy images: both points are reached in the order of their difficulty."""
    monkeypatch.setattr(
        "bench.experiments_cifar.training.build", lambda _: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3072, 10))
    )
    recipe = replace(RECIPE, epochs=12, optimizer="adam", learning_rate=0.01, decay=0.0, dropout=0.1, batch_size=40, kept=(3,))
    first, again = (train(recipe, images) for _ in range(2))
    assert set(first.points) == {"accuracy", "loss", "epoch-3", "end"} and len(first.history) == 12
    assert first.points["accuracy"].epoch <= first.points["loss"].epoch < first.points["end"].epoch == 12
    for name, point in first.points.items():
        assert all(torch.equal(value, again.points[name].state[key]) for key, value in point.state.items())


def test_a_run_whose_loss_is_not_finite_ends(images):
    diverged = train(replace(RECIPE, epochs=3, learning_rate=1e30), images)
    assert "end" not in diverged.points and len(diverged.history) < 3


# ---- the folder ------------------------------------------------------------------------------------------------------


def test_a_model_is_there_with_its_record_or_not_at_all(cache, tmp_path):
    record = cache.record(RECIPE)
    assert record["recipe"]["seed"] == 0 and {"loss", "test accuracy"} <= set(record["points"]["end"])
    trained = train(RECIPE, data.load(cache.folder, 160))
    for name, value in cache.load(RECIPE, "end").state_dict().items():
        assert torch.equal(value, trained.points["end"].state[name])
    half = Cache(tmp_path)
    half.store(RECIPE, {}, trained.points)
    (tmp_path / "models" / RECIPE.name / "record.json").unlink()
    assert half.record(RECIPE) is None


def hold(folder, name, ready):
    with Cache(folder).claimed(name) as mine:
        ready.send(mine)
        ready.recv()


def test_a_claim_is_exclusive_and_ends_with_its_process(tmp_path):
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=hold, args=(tmp_path, "a", there))
    process.start()
    assert here.recv()
    with Cache(tmp_path).claimed("a") as mine, Cache(tmp_path).claimed("b") as other:
        assert other and not mine
    assert (tmp_path / "locks" / "a").read_text() == f"{process.pid}\n"
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with Cache(tmp_path).claimed("a") as mine:
        assert mine


def test_half_a_line_of_a_killed_writer_is_no_measurement(tmp_path):
    cache = Cache(tmp_path)
    cache.append({"number": 1})
    with open(tmp_path / "measurements.jsonl", "ab") as file:
        file.write(b'{"number": 2, "tra')
    cache.append({"number": 3})
    assert cache.measurements() == [{"number": 1}, {"number": 3}]


def test_workers_skip_what_is_trained_or_claimed_and_stop_in_time(cache, monkeypatch):
    trained = []
    monkeypatch.setattr(workers, "plan", lambda _: [RECIPE, replace(RECIPE, seed=1), replace(RECIPE, seed=2)])
    monkeypatch.setattr(workers, "train_one", lambda cache, recipe, *_: trained.append(recipe.seed))
    with cache.claimed(replace(RECIPE, seed=1).name):
        workers.train_all(cache, TINY, "cpu", never)
    assert trained == [2]

    def stop() -> None:
        raise workers.Stopped

    with pytest.raises(workers.Stopped):
        train(RECIPE, data.load(cache.folder, 160), "cpu", stop)


# ---- measures --------------------------------------------------------------------------------------------------------


def test_a_longer_trajectory_holds_the_shorter_ones(images):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.AvgPool2d(8), torch.nn.Flatten(), torch.nn.Linear(48, 10)).double()
    x = images.x.double()
    results = {name: directional_sharpness(model, (x, images.y), replace(each, probes=2), SEED) for name, each in RUNS.items()}
    line = {
        "trajectories": {
            name: [
                [[step.sharpness for step in probe.history], [step.loss for step in probe.history]] for probe in result.probes
            ]
            for name, result in results.items()
        },
        "asam": 1.0,
        "worst case": 2.0,
        "loss": 3.0,
    }
    small = directional_sharpness(model, (x, images.y), replace(PAPER, batch_size=8, steps=5, probes=2), SEED)
    assert predictors.fluctuations(line, predictors.SMALL) == [probe.value for probe in small.probes]
    found = predictors.predictors(line)
    assert found[predictors.F_SMALL] == small.value and found["worst-case"] == 2.0
    assert found[predictors.F_LARGE] == results["16"].value != found[f"F {predictors.FAST}"] == results["16 fast"].value
    for statistic, name in (("raw", "Std(s)"), ("log", "Std(log s)")):
        config = replace(PAPER, statistic=statistic)
        values = [
            probe_batches(model, (x, images.y), config, [step.indices for step in probe.history]).value
            for probe in results["16"].probes
        ]
        assert found[f"{name} {predictors.LARGE}"] == pytest.approx(statistics.fmean(values))


def test_what_the_loss_explains_is_taken_away():
    losses = np.array([0.1, 0.4, 0.2, 0.9])
    explained = losses**1.5 * 3  # log r = 2 log s - log L = 2 log L + constant
    assert predictors.corrected([(explained, losses), (2 * explained, losses)]) == pytest.approx(0, abs=1e-6)
    assert predictors.corrected([(np.exp([1.0, 2, 1, 2]), np.full(4, 0.5))]) == pytest.approx(1.0)


def test_every_checkpoint_is_measured_once(cache, monkeypatch):
    monkeypatch.setattr("bench.experiments_cifar.measure.plan", lambda _: [RECIPE])
    monkeypatch.setattr("bench.experiments_cifar.measure.WORST_CASE", 2)
    monkeypatch.setitem(RUNS, "8", replace(PAPER, batch_size=2, steps=3))
    monkeypatch.setitem(RUNS, "16", replace(PAPER, batch_size=2, steps=2))
    monkeypatch.setitem(RUNS, "16 fast", replace(PAPER, batch_size=2, steps=2))
    for _ in range(2):
        measure_all(cache, TINY, "cpu", never)
    assert [(line["point"], line["labels"]) for line in cache.measurements()] == [("end", OWN)]
    (line,) = measured(cache).values()
    assert line["loss"] == pytest.approx(cache.record(RECIPE)["points"]["end"]["loss"], rel=1e-5)
    assert len(line["trajectories"]["8"][0][0]) == 3 and set(line["extra"]) == {"4-bit accuracy"}


def test_what_cannot_be_measured_keeps_nothing_from_being_measured(cache, tmp_path, monkeypatch):
    other = replace(RECIPE, seed=1)
    monkeypatch.setattr("bench.experiments_cifar.measure.plan", lambda _: [other])
    monkeypatch.setattr("bench.experiments_cifar.found.plan", lambda _: [other])
    broken = {name: value * torch.nan for name, value in cache.load(RECIPE, "end").state_dict().items()}
    here = Cache(tmp_path)
    data.prepare(tmp_path, ROOT / "none", toy=160)
    here.store(other, {"points": {"end": {}}}, {"end": Point(1, broken)})
    measure_all(here, TINY, "cpu", never)
    assert "expected finite numbers" in here.measurements()[0]["error"] and not Found.read(here, TINY).lines


def test_labels_and_points_that_are_wanted():
    noisy = replace(base(FULL), deviation="noise", share=0.1, kept=())
    assert wanted(noisy, FULL) == [(point, kind) for point in ("loss", "end", "accuracy") for kind in ("own", "clean")]
    assert wanted(base(FULL), FULL)[-1] == ("end", MEMBERS) and ("epoch-28", OWN) in wanted(base(FULL), FULL)
    assert wanted(grid(FULL)[0].recipe, FULL) == [("loss", OWN), ("end", OWN)]


# ---- intervals and tables --------------------------------------------------------------------------------------------


def test_intervals_hold_the_coefficients_and_narrow_with_the_noise():
    generator = np.random.default_rng(1)
    axes = [{"a": a, "b": b} for a in range(6) for b in range(5)]
    gaps = generator.normal(size=30)
    (exact,) = correlate({"m": gaps + 0.5 * generator.normal(size=30)}, gaps, axes)
    values = gaps + 0.5 * np.random.default_rng(2).normal(size=30)
    (noisy,) = correlate({"m": values}, gaps, axes)
    around = rank_intervals(values, gaps, varying_groups(axes))
    for name in ("spearman", "kendall", "granulated"):
        assert -1 <= around[name].low < getattr(noisy, name) < around[name].high <= 1
    perfect = rank_intervals(gaps, gaps, varying_groups(axes))
    assert all(each.low == each.high == 1 or name == "spearman" for name, each in perfect.items())
    assert exact.models == 30 and agreements(gaps, -gaps).sum() == -30 * 29


def test_area_under_the_curve():
    value, around = auc_interval([[1.0, 2.0], [3.0, 4.0]], [[2.5, 5.0], [6.0, 7.0]])
    assert value == 1 - 2 / 16 and around.low <= value <= around.high == 1


def test_held_out_models_judge_what_was_chosen():
    generator = np.random.default_rng(0)
    gaps = list(generator.normal(size=24))
    measures = {"good": [-gap for gap in gaps], "noise": list(generator.normal(size=24))}
    judged = held_out(list(measures), 24, kendall_score(measures, gaps))
    assert judged["good"].score == judged[CHOSEN].score == judged["good"].chosen == 1 and abs(judged["noise"].score) < 0.5


@pytest.fixture(scope="module")
def found(cache):
    """All of the plan, each model with what the one of `cache` has, a little changed."""
    scale = replace(FULL, seeds=4, probes=2)
    generator = np.random.default_rng(0)
    records, lines = {}, {}
    for recipe in plan(scale):
        trained = {"loss": 0.01, "accuracy": 0.9, "test loss": 1 + generator.random(), "test accuracy": 0.6}
        points = ["accuracy", "loss", "end", *(f"epoch-{epoch}" for epoch in recipe.kept)]
        records[recipe.name] = {"points": dict.fromkeys(points, trained), "seconds": 1}
        for point, kind in wanted(recipe, scale):
            key = {"name": recipe.name, "point": point, "labels": kind}
            drawn = {name: generator.random((2, 2, 20)).tolist() for name in RUNS}
            attack = {"score": "loss", "auc": 0.6, "accuracy": 0.5, "threshold": 1.0}
            lines[recipe.name, point, kind] = key | {
                "trajectories": drawn,
                "asam": generator.random(),
                "worst case": generator.random(),
                "loss": 0.01,
                "accuracy": 0.9,
                "seconds": dict.fromkeys([*RUNS, "ASAM", "worst-case", "test accuracy"], 1.0),
                "extra": {},
                "attacks": [attack],
            }
    return Found(scale, records, lines)


def test_every_table_has_rows_once_all_is_measured(found, tmp_path, monkeypatch):
    monkeypatch.setattr("bench.experiments_cifar.intervals.DRAWS", 5)
    monkeypatch.setattr("bench.experiments_cifar.selection.SPLITS", 5)
    made = tables(found)
    assert set(made) == set(document.SECTIONS)
    assert {name for name, rows in made.items() if not rows} == {"effects"}
    assert made["table 1"][0]["models"] == len(grid(FULL)) and len(made["table 5"]) == 6
    assert sum(row["pair"] == "small test set" for row in made["table 2"]) == 2
    results = tmp_path / "results.json"
    results.write_text(json.dumps({"planned": 2, "trained": 1, "tables": made}))
    text = document.with_results("a\n<!-- cifar -->\nold\n<!-- end cifar -->\nb\n", results)
    assert (
        text.startswith("a\n<!-- cifar -->\n1 of 2 models") and text.endswith("<!-- end cifar -->\nb\n") and "old" not in text
    )
    assert document.with_results(text, results) == text


def test_tables_of_nothing_are_empty():
    assert not any(tables(Found(FULL, {}, {})).values())


def test_the_document_shows_the_results():
    text = (ROOT / document.DOCUMENT).read_text(encoding="utf-8")
    assert document.PLACE.search(text) and document.with_results(text, ROOT / document.RESULTS) == text
