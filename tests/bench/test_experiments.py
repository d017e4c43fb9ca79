"""The experiments' data and training do what their tables say; the document shows the results that were measured."""

import json
from pathlib import Path

import pytest
import torch

from bench.experiments import correlation, data, small_test_set
from bench.experiments.document import PLACE, with_tables
from bench.experiments.harness import TOY, Setting, with_spread
from bench.experiments.training import Recipe, Stop, evaluate, quantized, train
from tests.harness.shell import ROOT

pytestmark = pytest.mark.any_kernels

RESULTS = ROOT / "bench/results/experiments"


@pytest.fixture(scope="module")
def digits():
    return data.digits(320)


def test_noisy_labels(digits):
    noisy = data.noisy_labels(digits, 0.1, seed=1)
    assert int((noisy.y != digits.y).sum()) == 32 and noisy.x is digits.x
    assert not torch.equal(noisy.y, data.noisy_labels(digits, 0.1, seed=2).y)
    assert set(noisy.y.tolist()) <= set(range(10))


def test_spurious_squares_tell_the_label(digits):
    everywhere = data.spurious_squares(digits, 1.0, seed=1)
    for image, label in zip(everywhere.x, digits.y.tolist(), strict=True):
        assert image[0, label // 5, label % 5] == digits.high
    marked = data.spurious_squares(digits, 0.5, seed=1)
    changed = (marked.x != digits.x).flatten(1).any(1)
    assert 100 <= int(changed.sum()) <= 160 and torch.equal(marked.x[..., 2:, :], digits.x[..., 2:, :])  # white stays white


def test_backdoored(digits):
    spoiled = data.backdoored(digits, 0.05, 0, seed=1)
    changed = (spoiled.x != digits.x).flatten(1).any(1)
    assert int(changed.sum()) == 16 and (spoiled.y[changed] == 0).all() and torch.equal(spoiled.y[~changed], digits.y[~changed])


def test_quantized():
    model = torch.nn.Linear(5, 3)
    small = quantized(model, 4)
    levels = small.weight / (model.weight.abs().max() / 7)
    assert torch.allclose(levels, levels.round(), atol=1e-5) and (small.weight - model.weight).abs().max() > 0
    assert torch.equal(small.bias, model.bias)


def test_training_is_repeatable_and_keeps_what_is_asked(digits):
    def build():
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))

    stops = {"reached": Stop(digits.x, digits.y, 0.5), "never": Stop(digits.x, digits.y, 1.1)}
    for optimizer in ("sgd", "sam", "adam"):
        recipe = Recipe(optimizer, learning_rate=0.005, epochs=4)
        first, again = (train(build, digits, recipe, 3, stops=stops, keep=[2, 4]) for _ in range(2))
        assert list(first.stopped) == ["reached"] and list(first.checkpoints) == [2, 4]
        for a, b, c in zip(first.final.parameters(), again.final.parameters(), first.checkpoints[4].parameters(), strict=True):
            assert torch.equal(a, b) and torch.equal(a, c)
        assert evaluate(first.final, digits.x, digits.y)[1] > 0.7
        assert evaluate(first.stopped["reached"], digits.x, digits.y)[1] >= 0.5


def test_sam_is_its_definition():
    """One step of SAM without momentum: w - lr grad L(w + rho g / ||g||)."""
    x, y = torch.randn(8, 3, generator=torch.Generator().manual_seed(1)), torch.arange(8) % 2
    images = data.Images("made", x, y, x, y, 1)
    recipe = Recipe("sam", learning_rate=0.1, batch_size=8, epochs=1, rho=0.5, momentum=0)
    trained = train(lambda: torch.nn.Linear(3, 2), images, recipe, 5).final
    torch.manual_seed(5)
    model = torch.nn.Linear(3, 2)
    start = [parameter.detach().clone() for parameter in model.parameters()]

    def gradient(weights):
        weights = [weight.clone().requires_grad_() for weight in weights]
        loss = torch.nn.functional.cross_entropy(torch.nn.functional.linear(x, *weights), y)
        return torch.autograd.grad(loss, weights)

    first = gradient(start)
    norm = sum((part**2).sum() for part in first).sqrt()
    ascended = gradient([weight + 0.5 * part / norm for weight, part in zip(start, first, strict=True)])
    for found, weight, part in zip(trained.parameters(), start, ascended, strict=True):
        torch.testing.assert_close(found.detach(), weight - 0.1 * part)


def test_picked_test_images_give_both_models_the_same_accuracy():
    generator = torch.Generator().manual_seed(1)
    benign, faulty = torch.rand(500, generator=generator) < 0.97, torch.rand(500, generator=generator) < 0.8
    chosen = small_test_set.pick(benign, faulty)
    assert len(chosen) == len(set(chosen.tolist())) == 100
    assert int(benign[chosen].sum()) == int(faulty[chosen].sum()) == 90


def test_the_grid_has_every_setting_once():
    settings = correlation.grid(Setting("digits", Path("none"), TOY))
    assert len(set(settings)) == len(settings) == 3 * TOY.grid**2 * 2


def test_spread():
    assert (
        with_spread([1.0, 2.0, float("nan")]) == "1.5 ± 0.71"
        and with_spread([2.0]) == "2"
        and with_spread([float("nan")]) == "-"
    )


def test_the_document_shows_the_results():
    text = (ROOT / "docs/experiments.md").read_text(encoding="utf-8")
    names = PLACE.findall(text)
    assert sorted(names) == sorted(path.stem for path in RESULTS.glob("*.json")) and len(names) >= 9
    assert with_tables(text, RESULTS) == text
    for name in names:
        assert f"python -m bench.experiments.{name}" in text
        assert json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))["rows"]
