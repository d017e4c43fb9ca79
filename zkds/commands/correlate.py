"""`zkds correlate`: does the metric follow the generalization gap over a grid of models?"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zkds.commands import DONE, Commands, add_parser
from zkds.commands.data import read_records
from zkds.commands.model_options import ModelChoice, model_choice
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
    from zkds.dataset.records import Records
    from zkds.sharpness.correlate import Correlation
    from zkds.sharpness.grid import Measurement

MODEL, GAP = "model", "gap"
EXAMPLES = """examples:
  zkds correlate --grid grid.csv --data train.npz                     grid.csv has a column gap
  zkds correlate --grid grid.csv --data train.npz --test test.npz     gap = test loss - training loss
  zkds correlate --grid grid.csv --data mnist.npz --arrays x_train y_train --test mnist.npz --test-arrays x_test y_test

grid.csv has a line for each model; its other columns are the hyperparameters that the granulated coefficient goes by:
  model,optimizer,lr,gap
  sgd-1.pt,sgd,0.1,0.31
  sam-1.pt,sam,0.1,0.22

Positive coefficients: the larger the measure, the larger the gap."""


def add(commands: Commands) -> None:
    parser = add_parser(
        commands,
        "correlate",
        summary="correlate the metric with the generalization gap",
        description="Spearman's, Kendall's and the granulated Kendall coefficient of measures and gap, over a grid of models.",
        examples=EXAMPLES,
    )
    parser.add_argument("--grid", metavar="FILE", required=True, help="a .csv file: model, hyperparameters, perhaps gap")
    parser.add_argument("--test", metavar="PATH", help="test data; needed without a column gap")
    parser.add_argument("--test-arrays", nargs=2, metavar=("X", "Y"), help="names in it (default: those of --arrays)")
    add_grid_options(parser, probes=10)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    set_threads(options)
    from zkds.sharpness.correlate import correlate
    from zkds.sharpness.tables import read_csv

    rows = read_csv(options.grid)
    if MODEL not in rows[0]:
        raise ValueError(f"{options.grid}: expected a column {MODEL} with the file of each model, got {', '.join(rows[0])}")
    if (GAP in rows[0]) == bool(options.test):
        raise ValueError(f"{options.grid}: expected either a column {GAP} or --test with the test data")
    folder = Path(options.grid).parent
    paths = [str(folder / row[MODEL]) for row in rows]
    if len(set(paths)) < len(paths):
        raise ValueError(f"{options.grid}: expected every model once")
    known = _gaps(options.grid, rows) if GAP in rows[0] else []
    tests = [] if known else [read_records(options, options.test, options.test_arrays)]
    seed = seed_of(options)
    found = measure_files(paths, options, seed)
    gaps = known or _measured_gaps(found, tests[0], options)
    names = [name for name in rows[0] if name not in (MODEL, GAP)]
    values = {
        "directional sharpness": [each.mean for each in found],
        "ASAM sharpness": [each.asam for each in found],
        "loss": [each.loss for each in found],
    }
    results = correlate(values, gaps, [{name: row[name] for name in names} for row in rows])
    if options.plot:
        from zkds.sharpness.plots import plot_correlation, save

        save(plot_correlation(values, gaps, [row[names[0]] for row in rows] if names else None), options.plot)
    warnings = warnings_of(found)
    if options.json:
        print_json(settings(options, seed) | {"correlations": results, "gaps": gaps, "models": found, "warnings": warnings})
        return DONE
    with words(options):
        _print(results)
        print_settings(options, seed)
        print_warnings(warnings)
    return DONE


def _gaps(path: str, rows: Sequence[dict[str, str]]) -> list[float]:
    try:
        return [float(row[GAP]) for row in rows]
    except ValueError:
        raise ValueError(f"{path}: expected a number in every line of the column {GAP}") from None


def _measured_gaps(found: Sequence[Measurement], test: Records, options: argparse.Namespace) -> list[float]:
    """Test loss - training loss of each model."""
    from joblib import Parallel, delayed

    losses = Parallel(n_jobs=options.jobs)(delayed(_loss)(each.name, model_choice(options), test) for each in found)
    return [test - each.loss for test, each in zip(losses, found, strict=True)]


def _loss(path: str, choice: ModelChoice, records: Records) -> float:
    from zkds.sharpness.baselines import evaluate
    from zkds.sharpness.model_file import load_module

    return evaluate(load_module(path, **choice), records).loss


def _print(results: Sequence[Correlation]) -> None:
    print(f"{results[0].models} models\n")
    print_table(
        [
            {
                "measure": each.measure,
                "Spearman": number(each.spearman),
                "Kendall": number(each.kendall),
                "p-value": number(each.p_value),
                "granulated": number(each.granulated),
                **{f"by {axis}": number(value) for axis, value in each.axes.items()},
            }
            for each in results
        ]
    )
