"""What has been trained and measured so far, as the tables ask for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from bench.experiments_cifar.cache import Cache
from bench.experiments_cifar.measure import CLEAN, MEMBERS, OWN, Key, measured
from bench.experiments_cifar.predictors import predictors
from bench.experiments_cifar.recipes import Pair, Recipe, Scale, plan


@dataclass(frozen=True)
class Found:
    scale: Scale
    records: Mapping[str, Mapping[str, Any]]
    lines: Mapping[Key, Mapping[str, Any]]

    @classmethod
    def read(cls, cache: Cache, scale: Scale) -> Found:
        records = {recipe.name: cache.record(recipe) for recipe in plan(scale)}
        lines = {key: line for key, line in measured(cache).items() if "error" not in line}
        return cls(scale, {name: record for name, record in records.items() if record}, lines)

    def line(self, recipe: Recipe, point: str, labels: str = OWN) -> Mapping[str, Any] | None:
        """None if it hasn't been measured. A model without a deviation has no clean labels but its own."""
        return self.lines.get((recipe.name, point, labels if recipe.deviation else OWN))

    def trained(self, recipe: Recipe, point: str) -> Mapping[str, float]:
        found: Mapping[str, float] = self.records[recipe.name]["points"][point]
        return found

    def gap(self, recipe: Recipe, point: str) -> float:
        """Test loss - training loss, on the labels that it was trained on."""
        known = self.trained(recipe, point)
        return known["test loss"] - known["loss"]

    @cached_property
    def _predictors(self) -> dict[Key, dict[str, float]]:
        return {key: predictors(line) for key, line in self.lines.items() if key[2] != MEMBERS}

    def predictors(self, recipe: Recipe, point: str, labels: str = OWN) -> dict[str, float]:
        return self._predictors[recipe.name, point, labels if recipe.deviation else OWN]

    def complete(self, pairs: list[Pair], point: str, labels: str) -> list[Pair]:
        """Those whose models have both been measured."""
        return [pair for pair in pairs if self.line(pair.benign, point, labels) and self.line(pair.faulty, point, labels)]

    def models(self) -> Iterator[dict[str, Any]]:
        """A row for each measured checkpoint."""
        for recipe in plan(self.scale):
            for point in self.records.get(recipe.name, {"points": {}})["points"]:
                for labels in (OWN, CLEAN) if recipe.deviation else (OWN,):
                    if self.line(recipe, point, labels):
                        values = self.predictors(recipe, point, labels)
                        yield {
                            "name": recipe.name,
                            "recipe": asdict(recipe),
                            "point": point,
                            "labels": labels,
                            "trained": rounded(self.trained(recipe, point)),
                            "measures": rounded(values),
                        }


def rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.5g}") for name, value in values.items()}
