"""How good are the estimates of `zkds estimate`? Networks with random weights, proved, beside what was said before.

    python -m bench.estimate --output bench/results/estimate.json
    python -m bench.estimate --fit          and the factors of circuits/certificate/estimate.py, fitted to these runs
    python -m bench.estimate --toy

Every proof is made in a process of its own, on one thread, and its seconds, from the loaded model to the proof's bytes, are
processor time: other work on the machine disturbs them less. The kernels of the calibration are timed alike, just before and
just after the proof.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.__main__ import machine
from zkds import native
from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.circuits.certificate.calibration import calibrate
from zkds.circuits.certificate.estimate import COSTS, COUNTED, estimate_certificate
from zkds.circuits.certificate.proving import prove_certificate
from zkds.circuits.certificate.summary import supposed_statement
from zkds.circuits.model_files.model_file import load_model
from zkds.circuits.models.private_model import OpenedModel
from zkds.circuits.networks import zoo
from zkds.dataset.files import commit_dataset, opening_path
from zkds.dataset.opening import Opening
from zkds.dataset.records import from_arrays
from zkds.dataset.root import DataRoot

RECORDS = 256
SEED = bytes(range(32))
CLOSE = 0.25  # the estimates that are wanted
SMALL_STAGE = 0.02  # of a proof's time: of a smaller stage the absolute error counts


@dataclass(frozen=True)
class Subject:
    """A network of the zoo and a probe."""

    architecture: str
    steps: int = 5
    batch_size: int = 8
    sharpness: str = "ASAM"
    perturbation: str = "SAM"
    private: bool = False

    @property
    def configuration(self) -> Configuration:
        return Configuration.of(
            steps=self.steps, batch_size=self.batch_size, sharpness=self.sharpness, perturbation=self.perturbation
        )

    def __str__(self) -> str:
        parts = [self.architecture, f"T={self.steps}", f"B={self.batch_size}", f"{self.sharpness}/{self.perturbation}"]
        return " ".join(parts + ["private"] * self.private)


SUBJECTS = (
    Subject("lenet5"),
    Subject("lenet-k"),
    Subject("lenet5:1/2"),
    Subject("lenet5:2"),
    Subject("lenet5", sharpness="SAM"),
    Subject("lenet5", perturbation="ASAM"),
    Subject("lenet5", private=True),
    Subject("lenet5", steps=2, batch_size=16),
    Subject("mlp"),
    Subject("digits-cnn"),
    Subject("digits-mlp", steps=2, batch_size=4),
    Subject("lenet5-rgb-avg"),
    Subject("alexnet:1/8"),
    Subject("alexnet-k:1/4"),
    Subject("vgg11:1/8"),
    Subject("vgg11-bn:1/8"),
    Subject("vgg11-k:1/8"),
    Subject("resnet20:1/4", steps=2, batch_size=4),
    Subject("resnet18:1/8", steps=2, batch_size=4),
)
TOY = (Subject("digits-mlp", steps=2, batch_size=2),)


def save_model(architecture: str, path: str) -> None:
    """A checkpoint with random weights of the size that keeps activations as they are (He); batch norm has met random images.

    With PyTorch's first weights those of a deep and narrow network vanish, and its perturbations overflow; where nothing is
    normalised, sums of residual branches grow until gradients do.
    """
    import torch

    from zkds.circuits.networks.torch_module import build, save_checkpoint

    torch.manual_seed(0)
    module = build(architecture)
    for parameter in module.parameters():
        if parameter.ndim > 1:
            torch.nn.init.kaiming_normal_(parameter)
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            part.momentum = 1.0
    with torch.no_grad():
        module.train()(torch.rand(RECORDS, *zoo.network(architecture).input_shape))
    save_checkpoint(module, architecture, Path(path))


def measure(subject: Subject, model_path: str, root_path: str) -> dict[str, Any]:
    """The estimate and the proof, on one thread of a process that has done nothing else."""
    native.set_threads(1)
    clock = time.process_time
    root = DataRoot.read(root_path)
    network = zoo.network(subject.architecture)
    statement = supposed_statement(network, subject.configuration, root, seed=SEED, private_model=subject.private)
    before = calibrate(clock)
    weights = load_model(model_path).quantised()
    private = OpenedModel.commit(network, weights) if subject.private else None
    marks: list[tuple[str, float]] = []
    with Opening(opening_path(root_path), root) as opening:
        proof, _ = prove_certificate(
            network,
            weights,
            opening,
            subject.configuration,
            SEED,
            seed_given=True,
            private_model=private,
            max_work=1000,
            progress=lambda stage: marks.append((stage, clock())),
        )
    marks.append(("end", clock()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    after = calibrate(clock)
    estimate = estimate_certificate(statement, before)
    return {
        "name": str(subject),
        "cells": estimate.cells,
        "seconds": estimate.prove_seconds - estimate.seconds["model"],
        "measured_seconds": marks[-1][1] - marks[0][1],
        "stages": dict(estimate.seconds),
        "measured_stages": {stage: marks[j + 1][1] - at for j, (stage, at) in enumerate(marks[:-1])},
        "bytes": estimate.proof_bytes,
        "measured_bytes": len(proof),
        "memory": estimate.memory,
        "measured_memory": peak,
        "counts": vars(estimate.counts),
        "rates": [vars(before), vars(after)],
    }


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """The function's result, in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def fit(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, tuple[str, float]]]:
    """The factors of COSTS that are least off, relative to each measured stage, none below 0."""
    from scipy.optimize import nnls

    found: dict[str, dict[str, tuple[str, float]]] = {}
    for stage, terms in list(COSTS.items())[1:]:  # without the model
        wanted = np.array([row["measured_stages"][stage] for row in rows])
        weights = 1 / (wanted + SMALL_STAGE * np.array([row["measured_seconds"] for row in rows]))
        known = {name: factor for name, (unit, factor) in terms.items() if unit in COUNTED}
        free = [name for name in terms if name not in known]
        parts = {name: np.array([_unit_seconds(row, name, unit) for row in rows]) for name, (unit, _) in terms.items()}
        left = wanted - sum(factor * parts[name] for name, factor in known.items())
        factors, _ = nnls(np.stack([parts[name] * weights for name in free], axis=1), left * weights)
        fitted = known | dict(zip(free, (float(f"{factor:.2g}") for factor in factors), strict=True))
        found[stage] = {name: (unit, fitted[name]) for name, (unit, _) in terms.items()}
    return found


def _unit_seconds(row: dict[str, Any], name: str, unit: str) -> float:
    """Of a term whose factor is 1, by the mean of both calibrations."""
    rates = [rates[unit] for rates in row["rates"]]
    return float(row["counts"].get(name, 1) * sum(rates) / len(rates))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.estimate", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", help="of the architectures")
    parser.add_argument("--fit", action="store_true", help="print factors fitted to these runs")
    parser.add_argument("--toy", action="store_true", help="one small network: does the bench still run?")
    parser.add_argument("--output", type=Path, default=Path("bench/results/estimate.json"))
    options = parser.parse_args()
    subjects = TOY if options.toy else [s for s in SUBJECTS if options.only is None or s.architecture in options.only]
    rows = []
    print(f"{'network':<42}{'s':>8}{'found':>8}{'off':>7}{'bytes':>11}{'off':>8}{'GiB':>7}{'found':>7}")
    with tempfile.TemporaryDirectory() as folder:
        for subject in subjects:
            rows.append(_measured(subject, Path(folder)))
            _print(rows[-1])
    if options.fit:
        for stage, terms in fit(rows).items():
            print(f"    {stage!r}: {terms},".replace("'", '"'))
    report = {"machine": machine(), "close": CLOSE, "rows": rows}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=1) + "\n")


def _measured(subject: Subject, folder: Path) -> dict[str, Any]:
    network = zoo.network(subject.architecture)
    model, root = folder / "m.pt", folder / "data.root"
    alone(save_model, subject.architecture, str(model))
    shape = network.input_shape
    images = np.random.default_rng(1).integers(0, 256, (RECORDS, *shape), dtype=np.uint8)
    commit_dataset(from_arrays(images, np.arange(RECORDS) % network.classes, classes=network.classes), root, overwrite=True)
    result: dict[str, Any] = alone(measure, subject, str(model), str(root))
    return result


def _print(row: dict[str, Any]) -> None:
    off = {name: row[name] / row[f"measured_{name}"] - 1 for name in ("seconds", "bytes")}
    far = "!" if abs(off["seconds"]) > CLOSE else " "
    gib = [row[name] / (1 << 30) for name in ("memory", "measured_memory")]
    print(
        f"{row['name']:<42}{row['seconds']:8.2f}{row['measured_seconds']:8.2f}{off['seconds']:+7.0%}{far}"
        f"{row['bytes']:10,}{off['bytes']:+8.2%}{gib[0]:7.2f}{gib[1]:7.2f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
