"""The paper's tables, from whatever has been measured; a table for which there is too little has no rows.

A positive coefficient says that a larger value goes with a larger gap. A ratio is the benign model's value over the faulty
one's, and the area under the curve (AUC) the probability that a benign model has the lower value: the paper has F's ratio below
1, so its AUC above 0.5. Numbers in brackets are 95 % bootstrap intervals over models.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from bench.experiments.harness import Row, with_spread
from bench.experiments_cifar.found import Found
from bench.experiments_cifar.intervals import Interval, auc_interval, rank_intervals, varying_groups
from bench.experiments_cifar.measure import CLEAN, MEMBERS, OWN, RUNS
from bench.experiments_cifar.predictors import F_LARGE, F_SMALL, LARGE, SMALL, STD_LOSS, fluctuations
from bench.experiments_cifar.recipes import POINTS, Pair, base, further_pairs, grid, pairs, trend_pairs
from bench.experiments_cifar.selection import Judged, detection_score, held_out, kendall_score
from zkds.sharpness.compare import ratio
from zkds.sharpness.correlate import MIN_MODELS, Correlation, correlate
from zkds.sharpness.grid import Measurement

MIN_HELD_OUT = 8  # models, to be split in two
MIN_SEEDS = 4
TITLES = {"accuracy": "90 % of its labels", "loss": "loss 0.01", "end": "end"}


def numbered(value: float, interval: Interval) -> str:
    return f"{value:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


# ---- Tables 1 and 3 --------------------------------------------------------------------------------------------------


class Grid:
    """The models of Table 1 that reached a point and were measured there."""

    def __init__(self, found: Found, point: str) -> None:
        models = [model for model in grid(found.scale) if found.line(model.recipe, point)]
        values = [found.predictors(model.recipe, point) for model in models]
        self.gaps = [found.gap(model.recipe, point) for model in models]
        self.axes = [model.axes for model in models]
        self.measures = {name: [each[name] for each in values] for name in values[0]} if values else {}
        self.lines = [found.line(model.recipe, point) or {} for model in models]

    def correlations(self) -> list[Correlation]:
        return correlate(self.measures, self.gaps, self.axes) if len(self.gaps) >= MIN_MODELS else []


def correlation(found: Found, point: str) -> list[Row]:
    """Table 1 at one point of training; the paper's is "loss"."""
    chosen = Grid(found, point)
    groups, gaps = varying_groups(chosen.axes), np.array(chosen.gaps)
    rows: list[Row] = []
    for result in chosen.correlations():
        around = rank_intervals(np.array(chosen.measures[result.measure]), gaps, groups)
        rows.append(
            {
                "measure": result.measure,
                "models": result.models,
                "Spearman": numbered(result.spearman, around["spearman"]),
                "Kendall": numbered(result.kendall, around["kendall"]),
                "granulated Kendall": numbered(result.granulated, around["granulated"]),
                **{f"by {axis}": f"{value:.2f}" for axis, value in result.axes.items()},
            }
        )
    return rows


def runtime(found: Found) -> list[Row]:
    """Table 3: seconds of one core, and Kendall's coefficient. Of a longer trajectory, a probe has its share of the passes."""
    chosen = Grid(found, "loss")
    kendall = {result.measure: f"{result.kendall:.2f}" for result in chosen.correlations()}
    passes = {name: found.scale.probes * (2 * config.steps - 1) for name, config in RUNS.items()}
    sources = {  # title -> measure, timed under, share of that time
        f"directional sharpness {SMALL}, one probe": (f"{F_SMALL}, one probe", "8", 9 / passes["8"]),
        f"directional sharpness {LARGE}, one probe": (f"{F_LARGE}, one probe", "16", 19 / passes["16"]),
        f"directional sharpness {LARGE}, mean of {found.scale.probes}": (F_LARGE, "16", 1.0),
        "static ASAM, all images": ("ASAM", "ASAM", 1.0),
        "worst-case, 512 images": ("worst-case", "worst-case", 1.0),
        "test accuracy": ("", "test accuracy", 1.0),
    }
    if not kendall:
        return []
    return [
        {
            "measure": title,
            "seconds": f"{statistics.median(line['seconds'][timed] for line in chosen.lines) * share:.3g}",
            "Kendall": kendall.get(measure, "-"),
        }
        for title, (measure, timed, share) in sources.items()
    ]


# ---- Tables 2 and 7 --------------------------------------------------------------------------------------------------


def deviations(found: Found, chosen: Sequence[Pair], points: Sequence[str] = POINTS) -> list[Row]:
    """A row for each kind of pair, point of training and kind of labels; * marks the paper's point."""
    kinds = dict.fromkeys(pair.kind for pair in chosen)
    return [
        row
        for kind in kinds
        for point in points
        for labels in (OWN, CLEAN)
        if (row := _deviation(found, [pair for pair in chosen if pair.kind == kind], point, labels))
    ]


def _deviation(found: Found, alike: list[Pair], point: str, labels: str) -> Row | None:
    complete = found.complete(alike, point, labels)
    small_set = alike[0].kind == "small test set"
    if not complete or (labels == CLEAN and not alike[0].faulty.deviation) or (small_set and point != "end"):
        return None
    sides = [[pair.benign for pair in complete], [pair.faulty for pair in complete]]
    values = [[found.predictors(recipe, point, labels) for recipe in side] for side in sides]
    probes = [[found.line(recipe, point, labels) or {} for recipe in side] for side in sides]

    def ratios(name: str) -> str:
        return with_spread([ratio(good[name], bad[name]) for good, bad in zip(*values, strict=True)])

    def auc(of: Callable[[int], list[list[float]]]) -> str:
        return numbered(*auc_interval(of(0), of(1)))

    # both models can be given any accuracy that is possible on the images that they share: see bench.experiments.small_test_set
    observed = [
        "0.9 (picked)" if small_set else with_spread([found.trained(recipe, point)["test accuracy"] for recipe in side])
        for side in sides
    ]
    return {
        "pair": alike[0].kind,
        "at": TITLES[point] + (" *" if point == alike[0].paper else ""),
        "labels": labels if alike[0].faulty.deviation else "",
        "pairs": len(complete),
        "observed accuracy, benign": observed[0],
        "faulty": observed[1],
        "ratio of ASAM": ratios("ASAM"),
        f"ratio of {F_SMALL}": ratios(F_SMALL),
        f"ratio of {F_LARGE}": ratios(F_LARGE),
        f"AUC of one {F_SMALL}": auc(lambda side: [fluctuations(line, SMALL) for line in probes[side]]),
        f"AUC of one {F_LARGE}": auc(lambda side: [fluctuations(line, LARGE) for line in probes[side]]),
        **{f"AUC of {name}": auc(_each(values, name)) for name in ("ASAM", "loss", STD_LOSS)},
    }


def _each(values: Sequence[Sequence[Mapping[str, float]]], name: str) -> Callable[[int], list[list[float]]]:
    return lambda side: [[each[name]] for each in values[side]]


def effects(found: Found) -> list[Row]:
    """How well the deviations of the pairs above work, at the end of training."""
    rows = []
    chosen = {recipe for pair in [*pairs(found.scale), *further_pairs(found.scale)] for recipe in (pair.benign, pair.faulty)}
    kinds: dict[tuple[str, str], list[float]] = {}
    for recipe in sorted(chosen, key=lambda each: each.name):
        for name, value in ((found.line(recipe, "end") or {}).get("extra") or {}).items():
            if name == "4-bit accuracy":
                name, value = "accuracy lost by 4-bit quantization", found.trained(recipe, "end")["test accuracy"] - value
            title = recipe.deviation or recipe.optimizer.upper()
            kinds.setdefault((f"{recipe.architecture}, {title}", name), []).append(value)
    for (title, name), values in sorted(kinds.items()):
        rows.append({"models": title, "number": len(values), "effect": name, "value": with_spread(values)})
    return rows


# ---- Tables 4 and 5, Figure 1 ----------------------------------------------------------------------------------------


def members(found: Found) -> list[Row]:
    """Table 4."""
    attacks = [each for key, line in found.lines.items() if key[2] == MEMBERS for each in line["attacks"]]
    return [
        {
            "score": {"loss": "loss", "asam": "ASAM sharpness", "sharpness": "directional sharpness"}[score],
            "models": sum(each["score"] == score for each in attacks),
            "AUC": with_spread([each["auc"] for each in attacks if each["score"] == score]),
            "best accuracy": with_spread([each["accuracy"] for each in attacks if each["score"] == score]),
        }
        for score in dict.fromkeys(each["score"] for each in attacks)
    ]


def series(found: Found) -> list[Row]:
    """Table 5: SAM beside SGD over the last epochs."""
    chosen = [pair for pair in pairs(found.scale) if pair.benign.optimizer == "sam"]
    rows: list[Row] = []
    for epoch in found.scale.late:
        complete = found.complete(chosen, point := _late_point(found, epoch), OWN)
        if complete:
            sides = {"SGD": [pair.faulty for pair in complete], "SAM": [pair.benign for pair in complete]}
            values = {name: [found.predictors(recipe, point) for recipe in side] for name, side in sides.items()}
            gaps = {name: [found.gap(recipe, point) for recipe in side] for name, side in sides.items()}
            rows.append(
                {"epoch": epoch, "pairs": len(complete)}
                | {f"gap, {name}": with_spread(gaps[name]) for name in sides}
                | {
                    f"{measure}, {name}": with_spread([each[measure] for each in values[name]])
                    for measure in ("ASAM", F_SMALL, F_LARGE)
                    for name in sides
                }
            )
    return rows


def _late_point(found: Found, epoch: int) -> str:
    return "end" if epoch == found.scale.epochs else f"epoch-{epoch}"


def trajectories(found: Found) -> tuple[dict[str, list[Measurement]], list[int]]:
    """Figure 1: the measurements of SGD and SAM with seed 0 after each of the last epochs; nothing if one of them lacks."""
    (pair,) = (pair for pair in pairs(found.scale) if pair.benign.optimizer == "sam" and pair.benign.seed == 0)
    epochs = [epoch for epoch in found.scale.late if found.complete([pair], _late_point(found, epoch), OWN)]
    runs = {
        name: [_measurement(found.line(recipe, _late_point(found, epoch)) or {}, str(epoch)) for epoch in epochs]
        for name, recipe in (("SGD", pair.faulty), ("SAM", pair.benign))
    }
    return (runs, epochs) if len(epochs) > 1 else ({}, [])


def _measurement(line: Mapping[str, object], name: str) -> Measurement:
    runs: dict[str, list[tuple[list[float], list[float]]]] = line["trajectories"]  # type: ignore[assignment]
    asam, loss, accuracy = (float(str(line[key])) for key in ("asam", "loss", "accuracy"))
    return Measurement(name, tuple(fluctuations(line, LARGE)), tuple(runs["16"][0][0]), asam, loss, accuracy)


# ---- which predictor is best -----------------------------------------------------------------------------------------


def best(found: Found) -> list[Row]:
    """Every predictor on models that neither it nor its sign was chosen by."""
    judged = {
        "Kendall with the gap": _gap_scores(found),
        "2 AUC - 1, own labels": _detection_scores(found, OWN),
        "2 AUC - 1, clean labels": _detection_scores(found, CLEAN),
    }
    known = {title: scores for title, scores in judged.items() if scores}
    names = dict.fromkeys(name for scores in known.values() for name in scores)
    return [
        {"predictor": name}
        | {title: f"{scores[name].score:.2f} ± {scores[name].spread:.2f}" for title, scores in known.items()}
        | {f"chosen, {title}": f"{scores[name].chosen:.0%}" for title, scores in known.items()}
        for name in names
    ]


def _gap_scores(found: Found) -> dict[str, Judged]:
    chosen = Grid(found, "loss")
    if len(chosen.gaps) < MIN_HELD_OUT:
        return {}
    return held_out(list(chosen.measures), len(chosen.gaps), kendall_score(chosen.measures, chosen.gaps))


def _detection_scores(found: Found, labels: str) -> dict[str, Judged]:
    """All kinds of pairs at the end of training, for the seeds that have them all."""
    by_seed: dict[int, list[Pair]] = {}
    for pair in pairs(found.scale):
        by_seed.setdefault(pair.faulty.seed, []).append(pair)
    whole = [each for each in by_seed.values() if found.complete(each, "end", labels) == each]
    if len(whole) < MIN_SEEDS:
        return {}
    names = list(found.predictors(base(found.scale), "end"))

    def table(side: str) -> dict[str, np.ndarray]:
        values = [[found.predictors(getattr(pair, side), "end", labels) for pair in seed] for seed in whole]
        return {name: np.array([[each[name] for each in seed] for seed in values]).T for name in names}

    return held_out(names, len(whole), detection_score(table("benign"), table("faulty")))


# ---- all of them -----------------------------------------------------------------------------------------------------


def tables(found: Found) -> dict[str, list[Row]]:
    scale = found.scale
    return {
        "table 1": correlation(found, "loss"),
        "table 1, end": correlation(found, "end"),
        "table 2": deviations(found, pairs(scale)),
        "effects": effects(found),
        "table 3": runtime(found),
        "table 4": members(found),
        "table 5": series(found),
        "table 7": deviations(found, further_pairs(scale)),
        "trend": deviations(found, trend_pairs(scale)),
        "best": best(found),
    }
