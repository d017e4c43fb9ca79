"""Whole commands on real networks: time, memory, bytes; beside the targets and the paper's estimates.

    python -m bench.main --data mnist.npz --repeat 5 --output bench/results/main.json
    python -m bench.main --toy --output toy.json          a small network on the digits, one run

Networks are trained once and kept in --models. The core's time is everything from the loaded model to the proof's bytes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.core.__main__ import machine
from bench.main.commands import run

TARGETS = {  # whole commands on 2 cores with AVX-512
    "commit_seconds": 4.0,
    "prove_seconds": 5.0,
    "prove_core_seconds": 2.5,
    "prove_peak_bytes": 2 << 30,
    "proof_bytes": 3 << 19,
    "verify_seconds": 1.5,
}
NETWORKS = ("lenet5", "lenet-k")
ANY_VALUE = "4095"  # a tau that every value meets: a verification of nothing ends with an exit code of its own
PAPER_MINUTES = 23.63  # LeNet, Table 6: an estimate from the figures reported for another system
PAPER_MEGABYTES = 9.85


def measure(subject: Mapping[str, Any], folder: Path, repeat: int, probe: Sequence[str]) -> dict[str, Any]:
    """All figures of one network; medians of `repeat` runs."""
    root, proof = folder / f"{subject['architecture']}.root", folder / f"{subject['architecture']}.bin"
    commit = run("zkds", "commit", "--data", subject["data"], "-o", str(root), "--json")
    proved = [
        run("zkds", "prove", "--model", subject["model"], "--commit", str(root), "-o", str(proof), "--json", *probe)
        for _ in range(repeat)
    ]
    wide = "--allow-surplus-classes"  # lenet-k has 16 outputs, MNIST 10 classes
    pins = ("--model", subject["model"], "--commit", str(root))
    verified = [run("zkds", "verify", str(proof), *pins, wide, "--json", *probe) for _ in range(repeat)]
    alone = [run("zkds", "verify", str(proof), "--tau", ANY_VALUE, wide, "--json") for _ in range(repeat)]
    contents = [json.loads(run.output) for run in proved]
    verdict = json.loads(verified[-1].output)
    stages = {stage: statistics.median(content["seconds"][stage] for content in contents) for stage in contents[0]["seconds"]}
    return {
        "commit_seconds": commit.seconds,
        "prove_seconds": statistics.median(run.seconds for run in proved),
        "prove_core_seconds": sum(seconds for stage, seconds in stages.items() if stage != "model"),
        "prove_peak_bytes": max(run.peak_bytes for run in proved),
        "proof_bytes": verdict["proof_bytes"],
        "verify_seconds": statistics.median(run.seconds for run in alone),
        "verify_with_model_seconds": statistics.median(run.seconds for run in verified),
        "verify_peak_bytes": max(run.peak_bytes for run in alone),
        "soundness_bits": verdict["soundness_bits"],
        "value": verdict["value"],
        "loss": verdict["loss"],
        "accuracy": verdict["accuracy"],
        "parameters": verdict["parameters"],
        "stages": stages,
        "training_loss": subject["loss"],
        "test_accuracy": subject["test_accuracy"],
    }


def trained(architecture: str, folder: Path, *arguments: str) -> dict[str, Any]:
    """Train a network, unless the folder holds it, in a process of its own: what `bench.demo.train --json` says of it."""
    output = run("bench.demo.train", architecture, "--folder", str(folder), "--json", *arguments).output
    result: dict[str, Any] = json.loads(output)
    return result


def print_figures(name: str, figures: dict[str, Any]) -> None:
    print(f"\n{name}")
    for figure, value in figures.items():
        if isinstance(value, dict):
            print(f"  {figure}: " + ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in value.items()))
            continue
        target = f"  target {TARGETS[figure]:,}" if figure in TARGETS else ""
        print(f"  {figure:28} {value:>16,.4f}{target}", flush=True)
    print(
        f"  the paper's estimate for LeNet: {PAPER_MINUTES} minutes, {PAPER_MEGABYTES} MB; "
        f"{60 * PAPER_MINUTES / figures['prove_seconds']:,.0f} times as long"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.main", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/mnist.npz"), help="MNIST as .npz")
    parser.add_argument("--models", type=Path, default=Path("build/bench-models"), help="where trained networks are kept")
    parser.add_argument("--repeat", type=int, default=5, help="runs of which the median is taken (default: 5)")
    parser.add_argument("--toy", action="store_true", help="a small network on the digits: does the bench still run?")
    parser.add_argument("--output", type=Path, default=Path("bench/results/main.json"), help="where the figures go")
    options = parser.parse_args()
    if not options.toy and not options.data.is_file():
        parser.error(
            f"{options.data}: no such file; --data (in make: MNIST=...) takes MNIST as .npz with x_train, y_train, x_test and "
            "y_test, --toy needs none"
        )
    if options.toy:
        subjects = [trained("digits-cnn", options.models, "--epochs", "1")]
    else:
        subjects = [trained(name, options.models, "--mnist", str(options.data)) for name in NETWORKS]
    probe = ("--steps", "2", "--batch-size", "2") if options.toy else ()
    report: dict[str, Any] = {"machine": machine(), "repeat": options.repeat, "targets": TARGETS, "networks": {}}
    with tempfile.TemporaryDirectory() as folder:
        for subject in subjects:
            figures = measure(subject, Path(folder), 1 if options.toy else options.repeat, probe)
            report["networks"][subject["architecture"]] = figures
            print_figures(subject["architecture"], figures)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=2) + "\n")
    print(f"\nwritten to {options.output}")


if __name__ == "__main__":
    main()
