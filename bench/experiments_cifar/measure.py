"""Measures every checkpoint that a table needs, on the labels that it was trained on and, where they differ, on clean ones.

Probes are computed in float64; static ASAM on all training images, worst-case sharpness on the first WORST_CASE of them (it
takes 42 passes over its images) in float32.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import Any

import torch

from bench.experiments.backdoor import attack
from bench.experiments.data import CLASSES, Images
from bench.experiments.harness import PAPER, SEED
from bench.experiments.training import evaluate, quantized
from bench.experiments_cifar import data
from bench.experiments_cifar.cache import Cache
from bench.experiments_cifar.recipes import POINTS, Recipe, Scale, base, grid, plan
from zkds.circuits.networks.torch_module import NetworkModule
from zkds.sharpness import Objective, SharpnessConfig, directional_sharpness, gradient_sharpness, worst_case_sharpness
from zkds.sharpness.membership import membership

RUNS = {
    "8": replace(PAPER, batch_size=8, steps=20),
    "16": PAPER,
    "16 fast": replace(PAPER, learning_rate=0.01),
}
WORST_CASE = 512
BITS = 4
DIGITS = 8  # significant ones of a trajectory
MEMBERSHIPS = 3  # models of Table 4
OWN, CLEAN, MEMBERS = "own", "clean", "members"

Key = tuple[str, str, str]  # the recipe's name, the point, and what: labels, or members


def wanted(recipe: Recipe, scale: Scale) -> list[tuple[str, str]]:
    """(point, labels) in the order of their importance. Only pairs are compared where 90 % of the labels are learnt."""
    points = POINTS[1:] if any(recipe == model.recipe for model in grid(scale)) else (*POINTS[1:], POINTS[0])
    late = [f"epoch-{epoch}" for epoch in recipe.kept if epoch < recipe.epochs]
    labels = [OWN, CLEAN] if recipe.deviation else [OWN]
    found = [(point, kind) for point in (*points, *late) for kind in labels]
    benign = recipe == replace(base(scale), seed=recipe.seed) and recipe.seed < MEMBERSHIPS
    return found + ([("end", MEMBERS)] if benign else [])


def measure_all(cache: Cache, scale: Scale, device: str, check: Callable[[], None]) -> None:
    """What has been trained and not been measured yet, in the order of the plan."""
    done = measured(cache)
    for recipe in plan(scale):
        check()
        record = cache.record(recipe)
        tasks = [task for task in wanted(recipe, scale) if record and task[0] in record["points"]]
        if all((recipe.name, *task) in done for task in tasks):
            continue
        with cache.claimed(f"{recipe.name}.measure") as mine:
            if mine:
                done = measured(cache)
                for task in tasks:
                    if (recipe.name, *task) not in done:
                        check()
                        cache.append(_line(cache, recipe, scale, device, *task))
                        print("measured", recipe.name, *task, flush=True)


def measured(cache: Cache) -> dict[Key, dict[str, Any]]:
    return {(line["name"], line["point"], line["labels"]): line for line in cache.measurements()}


def _line(cache: Cache, recipe: Recipe, scale: Scale, device: str, point: str, labels: str) -> dict[str, Any]:
    """With an "error" in place of measures if a measure is not finite; this shall not keep others from being measured."""
    head = {"name": recipe.name, "point": point, "labels": labels}
    try:
        return head | _Measuring(cache, recipe, scale, device, point, labels).found()
    except ValueError as error:
        return head | {"error": str(error)}


class _Measuring:
    """One checkpoint on one kind of labels."""

    def __init__(self, cache: Cache, recipe: Recipe, scale: Scale, device: str, point: str, labels: str) -> None:
        self.recipe, self.scale, self.point, self.labels = recipe, scale, point, labels
        self.model: NetworkModule = cache.load(recipe, point).to(device)
        clean = data.load(cache.folder, recipe.images)
        self.clean = data.placed(clean, device)
        self.images = data.placed(data.deviated(clean, recipe), device) if labels == OWN else self.clean
        self.seconds: dict[str, float] = {}

    def found(self) -> dict[str, Any]:
        if self.labels == MEMBERS:
            return {"attacks": self._members()}
        return self._measures() | {"extra": dict(self._extra()), "seconds": self.seconds}

    def _members(self) -> list[dict[str, Any]]:
        count, images = self.scale.examples, self.images
        members, others = (images.x[:count], images.y[:count]), (images.x_test[:count], images.y_test[:count])
        return [asdict(each) for each in membership(self.model, members, others, PAPER)]

    def _measures(self) -> dict[str, Any]:
        x, y = self.images.x, self.images.y
        loss, accuracy = evaluate(self.model, x, y)
        whole, part = Objective(self.model, (x, y)), Objective(self.model, (x[:WORST_CASE], y[:WORST_CASE]))
        return {
            "loss": loss,
            "accuracy": accuracy,
            "trajectories": {name: self._timed(name, lambda c=config: self._probes(c)) for name, config in RUNS.items()},
            "asam": self._timed("ASAM", lambda: gradient_sharpness(whole, "asam", rho=PAPER.rho)),
            "worst case": self._timed("worst-case", lambda: worst_case_sharpness(part, "asam", rho=PAPER.rho)),
            "test accuracy": self._timed(
                "test accuracy", lambda: evaluate(self.model, self.images.x_test, self.images.y_test)[1]
            ),
        }

    def _probes(self, config: SharpnessConfig) -> list[list[list[float]]]:
        """[s_t, L_t] of every probe."""
        config = replace(config, probes=self.scale.probes)
        result = directional_sharpness(self.model, (self.images.x, self.images.y), config, SEED, dtype=torch.float64)
        return [
            [[_short(step.sharpness) for step in probe.history], [_short(step.loss) for step in probe.history]]
            for probe in result.probes
        ]

    def _timed(self, name: str, function: Callable[[], Any]) -> Any:
        started = time.process_time()
        result = function()
        self.seconds[name] = round(time.process_time() - started, 4)
        return result

    def _extra(self) -> Iterator[tuple[str, float]]:
        """How well the deviation works, at the end of training."""
        if self.point != POINTS[-1] or self.labels != OWN:
            return
        if self.recipe.deviation == "backdoor":
            yield "attack", attack(self.model, self.clean)
        if self.recipe.deviation == "spurious":
            yield "fooled", fooled(self.model, self.clean)
        if not self.recipe.deviation:
            yield "4-bit accuracy", evaluate(quantized(self.model, BITS), self.clean.x_test, self.clean.y_test)[1]


def fooled(model: NetworkModule, images: Images) -> float:
    """The share of test images that go to the class of a square which isn't theirs."""
    shown = (images.y_test + 1) % CLASSES
    everywhere = torch.ones(len(shown), dtype=torch.bool)
    return evaluate(model, data.with_colours(images.x_test, shown, everywhere), shown)[1]


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
