"""Experiments that set a benign model beside a faulty one (Section 5.1): their rows and their table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from bench.experiments.harness import Row, Setting, measured, with_spread
from bench.experiments.training import evaluate
from zkds.sharpness.compare import compare


def pair(
    setting: Setting,
    variant: str,
    benign: nn.Module,
    faulty: nn.Module,
    observed: tuple[float, float] | None = None,
    **extra: float,
) -> Row:
    """Both models on the clean training data. observed: the accuracy that a verifier sees, default that on the test images."""
    images = setting.images
    good, bad = measured("benign", benign, setting), measured("faulty", faulty, setting)
    (comparison,) = compare([good], [bad])
    tests = [evaluate(model, images.x_test, images.y_test) for model in (benign, faulty)]
    gaps = [loss - own.loss for (loss, _), own in zip(tests, (good, bad), strict=True)]
    return {
        "variant": variant,
        "observed": observed or (tests[0][1], tests[1][1]),
        "test accuracy": (tests[0][1], tests[1][1]),
        "gap": gaps,
        "benign": good,
        "faulty": bad,
        "comparison": comparison,
        "extra": extra,
    }


def summary(data_set: str, rows: list[Row]) -> list[Row]:
    """One line for each variant: means over the repetitions, ± their sample standard deviation."""
    variants = dict.fromkeys(row["variant"] for row in rows)
    return [_line(data_set, variant, [row for row in rows if row["variant"] == variant]) for variant in variants]


def _line(data_set: str, variant: str, rows: list[Row]) -> Row:
    extras: Mapping[str, Any] = {
        name: with_spread([row["extra"][name] for row in rows if name in row["extra"]]) for name in rows[0]["extra"]
    }
    return {
        "data": data_set,
        "models": variant,
        "runs": len(rows),
        "observed accuracy, benign": with_spread([row["observed"][0] for row in rows]),
        "faulty": with_spread([row["observed"][1] for row in rows]),
        "ratio of ASAM": with_spread([row["comparison"].asam for row in rows]),
        "ratio of F": with_spread([row["comparison"].sharpness for row in rows]),
        "F, benign": with_spread([row["benign"].mean for row in rows]),
        "F, faulty": with_spread([row["faulty"].mean for row in rows]),
        "benign lower": f"{sum(row['comparison'].lower for row in rows) / len(rows):.0%}",
        **extras,
    }
