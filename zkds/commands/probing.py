"""What the commands that measure models share: the options of a probe, loading models, tables, files of results."""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zkds import output
from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.commands.data import add_data_options, read_records
from zkds.commands.model_options import add_model_options, model_choice
from zkds.commands.progress import Stages
from zkds.dataset.files import opening_path
from zkds.dataset.sampling import SEED_BYTES

if TYPE_CHECKING:
    from zkds.sharpness import SharpnessConfig
    from zkds.sharpness.grid import Measurement

OUTPUTS = ("csv", "plot", "output", "report")
# as in a proof, so that one tau serves both
STEPS, BATCH_SIZE = Configuration.steps, Configuration.batch_size
RHO, LEARNING_RATE = float(Configuration.rho), float(Configuration.learning_rate)
MAX_THREADS = 256
PLOT_SUFFIXES = (".png", ".svg", ".pdf")


def add_probe_options(parser: argparse.ArgumentParser, *, probes: int | None) -> None:
    """The settings of directional sharpness, and --seed. probes: default of --probes; None: one example alone, B = 1."""
    group = parser.add_argument_group("the probe")
    if probes is None:
        parser.set_defaults(probes=1, batch_size=1)
    else:
        group.add_argument("--probes", type=int, default=probes, metavar="N", help=f"seeds for each model (default: {probes})")
        group.add_argument(
            "--batch-size", type=int, default=BATCH_SIZE, metavar="B", help=f"records in a step{_default(BATCH_SIZE)}"
        )
    group.add_argument("--steps", type=int, default=STEPS, metavar="T", help=f"steps{_default(STEPS)}")
    group.add_argument("--rho", type=float, default=RHO, help=f"radius of the perturbation{_default(RHO)}")
    group.add_argument("--lr", type=float, default=LEARNING_RATE, help=f"learning rate of a step{_default(LEARNING_RATE)}")
    group.add_argument("--sharpness", choices=("asam", "sam"), default="asam", help="what a step measures (default: asam)")
    group.add_argument("--perturbation", choices=("sam", "asam"), default="sam", help="of the update (default: sam)")
    group.add_argument(
        "--parameters",
        choices=("all", "trainable"),
        default="all",
        help="which are measured and moved: all, as in a proof, or those that require a gradient (default: all)",
    )
    group.add_argument("--scale", choices=("all", "weights"), default="all", help="what asam scales by size (default: all)")
    group.add_argument("--eta", type=float, default=0.0, help="what asam adds to the size (default: 0)")
    group.add_argument(
        "--statistic",
        choices=("log_ratio", "raw", "log"),
        default="log_ratio",
        help="F: the deviation of ln(s^2/L), s or ln s (default: log_ratio)",
    )
    parser.add_argument(
        "--threads", type=_threads, metavar="N", help="threads of torch, for large networks (default: ZKDS_THREADS, or 1)"
    )
    group.add_argument("--seed", type=_seed, metavar="HEX", help="32 bytes; the same seed repeats the run (default: random)")


def _default(value: float) -> str:
    return f" (default: {value})"


def _seed(text: str) -> bytes:
    if not re.fullmatch(f"[0-9a-fA-F]{{{2 * SEED_BYTES}}}", text):
        raise argparse.ArgumentTypeError(f"expected {2 * SEED_BYTES} hexadecimal digits, got {text!r}")
    return bytes.fromhex(text)


def probe_config(options: argparse.Namespace) -> SharpnessConfig:
    from zkds.sharpness import SharpnessConfig

    return SharpnessConfig(
        batch_size=options.batch_size,
        steps=options.steps,
        rho=options.rho,
        learning_rate=options.lr,
        sharpness=options.sharpness,
        perturbation=options.perturbation,
        scale=options.scale,
        eta=options.eta,
        statistic=options.statistic,
        probes=options.probes,
        parameters=options.parameters,
    )


def proof_configuration(options: argparse.Namespace, purpose: str) -> Configuration:
    """The probe as proofs have it. Raises ValueError, naming the purpose and the option, for settings that they do not have."""
    for name, wanted in (("scale", "all"), ("eta", 0), ("statistic", "log_ratio")):
        if getattr(options, name) != wanted:
            raise ValueError(f"{purpose}: proofs have --{name} {wanted}, got {getattr(options, name)}")
    return Configuration.of(
        steps=options.steps,
        batch_size=options.batch_size,
        rho=str(options.rho),
        learning_rate=str(options.lr),
        sharpness=options.sharpness.upper(),
        perturbation=options.perturbation.upper(),
    )


def set_threads(options: argparse.Namespace) -> None:
    """Threads of torch: --threads, else ZKDS_THREADS, else OMP_NUM_THREADS, else 1. To be called before torch is imported.

    One is the default since OpenMP's threads wait for each other by spinning: beside other jobs that is many times slower, and
    small networks gain nothing from more.
    """
    given = options.threads or os.environ.get("ZKDS_THREADS")
    count = str(given or os.environ.get("OMP_NUM_THREADS") or 1)
    os.environ.update(OMP_NUM_THREADS=count, MKL_NUM_THREADS=count)  # those of workers, too
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if given and "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(int(given))


def _threads(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= MAX_THREADS):
        raise argparse.ArgumentTypeError(f"expected a number from 1 to {MAX_THREADS}, got {text[:20]!r}")
    return int(text)


def seed_of(options: argparse.Namespace) -> bytes:
    """--seed, or fresh bytes from the operating system."""
    return os.urandom(SEED_BYTES) if options.seed is None else bytes(options.seed)


# ---- many models -----------------------------------------------------------------------------------------------------


def add_grid_options(parser: argparse.ArgumentParser, *, probes: int) -> None:
    """What the commands about many models share: models, data, probe, workers and files."""
    add_model_options(parser)
    add_data_options(parser)
    add_probe_options(parser, probes=probes)
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes, -1 for one a core (default: 1)")
    parser.add_argument("--csv", metavar="FILE", help="write every model's values, one line each")
    parser.add_argument("--plot", metavar="FILE", help="draw a picture, .png, .svg or .pdf")


def check_outputs(options: argparse.Namespace) -> None:
    """Before anything is measured: files that could not be written afterwards."""
    results = [getattr(options, name, None) for name in OUTPUTS]
    plot = getattr(options, "plot", None)
    if plot is not None and Path(plot).suffix not in PLOT_SUFFIXES:
        raise ValueError(f"--plot {plot}: expected a name that ends in {', '.join(PLOT_SUFFIXES)}")
    if options.json and any(map(output.is_standard_output, filter(None, results))):
        raise ValueError("--json and a result named - go both to standard output; give the result a name")
    inputs = [getattr(options, name, None) for name in ("data", "model", "test", "grid")]
    inputs += [name for path, _ in getattr(options, "evaluate", None) or [] for name in (path, opening_path(path))]
    models = [path for name in ("benign", "faulty", "good", "bad") for path in getattr(options, name, [])]
    output.check_outputs(*results, inputs=[path for path in [*inputs, *models] if path is not None])


def words(options: argparse.Namespace) -> contextlib.AbstractContextManager[object]:
    """Around what a command prints in words: stderr if one of its results goes to standard output."""
    return output.words_beside(*(getattr(options, name, None) for name in OUTPUTS))


def check_model(path: str) -> None:
    if not Path(path).is_file():
        raise ValueError(f"{path}: no such file; a model is a file of torch.export.save, or a checkpoint of the zoo")


def measure_files(paths: Sequence[str], options: argparse.Namespace, seed: bytes) -> list[Measurement]:
    """Every model file on --data, each once even if it is named twice; --csv is written. Shows progress."""
    from zkds.sharpness.grid import measure_grid
    from zkds.sharpness.model_file import load_module

    check_outputs(options)
    for path in paths:
        check_model(path)
    records = read_records(options)
    whole = {path: str(Path(path).resolve()) for path in paths}  # a worker may be in another folder
    sources = {path: functools.partial(load_module, whole[path], **model_choice(options)) for path in paths}
    with Stages({"measuring": 1}, unit="models") as stages:
        stages.begin("measuring")
        found = measure_grid(sources, records, probe_config(options), seed, jobs=options.jobs, progress=stages.report)
    by_name = {measurement.name: measurement for measurement in found}
    if options.csv:
        from zkds.sharpness.tables import measurement_rows, write_csv

        write_csv(options.csv, measurement_rows(found))
    return [by_name[path] for path in paths]


# ---- results ---------------------------------------------------------------------------------------------------------


def settings(options: argparse.Namespace, seed: bytes) -> dict[str, Any]:
    """What a result depends on, for JSON."""
    return {"data": options.data, "seed": seed.hex(), "config": probe_config(options).to_dict()}


def print_settings(options: argparse.Namespace, seed: bytes) -> None:
    print(
        f"\nprobe  B = {options.batch_size}, T = {options.steps}, rho = {options.rho:g}, lr = {options.lr:g}, "
        f"{options.sharpness} sharpness, {options.perturbation} steps, {options.parameters} parameters, "
        f"probes a model: {options.probes}"
    )
    print(f"seed   {seed.hex()}")


def print_json(result: Mapping[str, Any]) -> None:
    from zkds.sharpness.tables import plain

    print(json.dumps(plain(result), allow_nan=False))


def print_table(rows: Sequence[Mapping[str, str]]) -> None:
    """Columns under their names, words to the left and the rest, numbers, to the right of a column."""
    names = list(rows[0])
    widths = [max(len(name), *(len(row[name]) for row in rows)) for name in names]
    for line in ({name: name for name in names}, *rows):
        first, *others = (line[name] for name in names)
        cells = [first.ljust(widths[0]), *(text.rjust(width) for text, width in zip(others, widths[1:], strict=True))]
        print("  ".join(cells).rstrip())


def number(value: float, spread: float | None = None) -> str:
    """3 significant digits, with a spread where there is one; "-" for what is not a number."""
    if value != value:
        return "-"
    known = spread is not None and spread == spread
    return f"{value:.3g} ± {spread:.2g}" if known else f"{value:.3g}"


def warnings_of(measurements: Sequence[Measurement]) -> list[str]:
    """What says that a model is not trained: such models have the lowest F of all."""
    return [f"{each.name}: {warning}" for each in measurements for warning in each.warnings]


def print_warnings(warnings: Sequence[str]) -> None:
    for warning in warnings:
        print(f"warning: {warning}")
