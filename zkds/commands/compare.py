"""`zkds compare`: how well directional sharpness tells a faulty model from a benign one."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from zkds.commands import DONE, Commands, add_parser
from zkds.commands.probing import (
    add_grid_options,
    measure_files,
    number,
    print_json,
    print_settings,
    print_table,
    print_warnings,
    seed_of,
    set_threads,
    settings,
    warnings_of,
    words,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zkds.sharpness.compare import Comparison
    from zkds.sharpness.grid import Measurement

EXAMPLES = """examples:
  zkds compare --benign clean.pt --faulty noisy.pt --data train.npz
  zkds compare --benign sam-1??.pt --faulty sgd-1??.pt --data train.npz --plot trajectories.png
                                                        checkpoint by checkpoint, drawn as Figure 1 of the paper

A ratio is the benign model's value over the faulty one's: below 1 the metric tells them apart, the lower the better; above 1 it
prefers the faulty model. "benign lower" is the share of seeds for which the benign model has the lower F: how often one probe
would get the two right. All models see the same batches."""


def add(commands: Commands) -> None:
    parser = add_parser(
        commands,
        "compare",
        summary="set benign models beside faulty ones",
        description="Directional sharpness of benign and faulty models, pair by pair, and what separates them.",
        examples=EXAMPLES,
    )
    parser.add_argument("--benign", nargs="+", metavar="FILE", required=True, help="models, or the checkpoints of one run")
    parser.add_argument("--faulty", nargs="+", metavar="FILE", required=True, help="as many, in the same order")
    add_grid_options(parser, probes=10)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    set_threads(options)
    from zkds.sharpness.compare import compare

    if len(options.benign) != len(options.faulty):
        counts = f"{len(options.benign)} and {len(options.faulty)}"
        raise ValueError(f"expected one --faulty model for each --benign one, got {counts}")
    seed = seed_of(options)
    found = measure_files([*options.benign, *options.faulty], options, seed)
    benign, faulty = found[: len(options.benign)], found[len(options.benign) :]
    comparisons = compare(benign, faulty)
    if options.plot:
        from zkds.sharpness.plots import plot_trajectories, save

        save(plot_trajectories({"benign": benign, "faulty": faulty}), options.plot)
    warnings = warnings_of(found)
    if options.json:
        print_json(settings(options, seed) | {"comparisons": comparisons, "models": found, "warnings": warnings})
        return DONE
    with words(options):
        _print(benign, faulty, comparisons)
        print_settings(options, seed)
        print_warnings(warnings)
    return DONE


def _print(benign: Sequence[Measurement], faulty: Sequence[Measurement], comparisons: Sequence[Comparison]) -> None:
    rows = [
        {
            "benign / faulty": f"{each.benign} / {each.faulty}",
            "F benign": number(good.mean, good.spread),
            "F faulty": number(bad.mean, bad.spread),
            "ratio of F": number(each.sharpness, each.spread),
            "benign lower": f"{each.lower:.0%}",
            "of ASAM": number(each.asam),
            "of loss": number(each.loss),
            "of accuracy": number(each.accuracy),
        }
        for good, bad, each in zip(benign, faulty, comparisons, strict=True)
    ]
    print_table(rows)
