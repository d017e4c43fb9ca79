"""Large networks with random weights on random records: cells, processor time, memory by stage, proof and verification.

    python -m bench.main.large --networks alexnet-k --steps 2 5
    python -m bench.main.large --networks lenet5 --evaluate 1000
    python -m bench.main.large --networks lenet5 --probes 5

Figures do not depend on the weights, so no network is trained. Each probe is proved in a process of its own, which samples its
resident memory; one that this machine cannot hold is printed with the reason of its refusal.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from zkds.circuits.arithmetic.fixed_point import Configuration
from zkds.circuits.certificate.proving import prove_certificate
from zkds.circuits.certificate.relation import DirectionalSharpness
from zkds.circuits.certificate.verifying import Pins, verify_certificate
from zkds.circuits.networks import zoo
from zkds.circuits.networks.graph import Network
from zkds.circuits.networks.weights import quantise
from zkds.dataset.opening import Opening
from zkds.dataset.root import DataRoot
from zkds.errors import ZkdsError
from zkds.integers.limbs import I64
from zkds.statement import Statement

NETWORKS = ("lenet5", "lenet-k", "alexnet-k", "vgg11-k", "vgg11")
RECORDS = 64
SAMPLE_SECONDS = 0.01
GIB = float(1 << 30)


class Stages:
    """Processor seconds and the peak of the resident memory, GiB, of every stage that has begun."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.peaks: dict[str, float] = {}
        self._stage, self._since, self._ended = "start", time.process_time(), False
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def begin(self, stage: str) -> None:
        now = time.process_time()
        self.seconds[self._stage] = now - self._since
        self._stage, self._since = stage, now

    def end(self) -> None:
        self.begin("end")
        self._ended = True
        self._thread.join()

    def _sample(self) -> None:
        while not self._ended:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            stage = self._stage
            self.peaks[stage] = max(self.peaks.get(stage, 0.0), pages * resource.getpagesize() / GIB)
            time.sleep(SAMPLE_SECONDS)


def resident_peak() -> float:
    """The most that this process has held, GiB; `getrusage` would tell the most that its parent held before it began, too."""
    status = Path("/proc/self/status").read_text()
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(kilobytes) * 1024 / GIB


def random_weights(network: Network) -> dict[str, I64]:
    """Of the size that keeps activations as they are (He), without biases; batch norms as they begin."""
    generator = np.random.default_rng(1)
    floats = {name: np.zeros(shape) for name, shape in network.tensors}
    for name, shape in network.tensors:
        if len(shape) > 1:
            floats[name] = generator.normal(size=shape) * math.sqrt(2 / math.prod(shape[1:]))
        elif name.endswith((".running_var", ".weight")):
            floats[name] = np.ones(shape)
    return quantise(network, {name: values.astype(np.float32).astype(np.float64) for name, values in floats.items()})


def committed_records(network: Network, folder: Path, count: int = RECORDS) -> Path:
    """data.root of random images."""
    generator = np.random.default_rng(2)
    images = generator.integers(0, 256, (count, *network.input_shape), dtype=np.uint8)
    np.savez(folder / "data.npz", x=images, y=generator.integers(0, network.classes, count))
    root = folder / "data.root"
    command = [sys.executable, "-m", "zkds", "commit", "--data", str(folder / "data.npz"), "-o", str(root)]
    subprocess.run([*command, "--classes", str(network.classes)], check=True, capture_output=True)
    return root


def prove(name: str, configuration: Configuration, folder: Path, evaluated: int = 0, probes: int = 1) -> dict[str, Any]:
    """One proof in this process, and its verification; or the reason why there is none.

    evaluated: on how many records the network is evaluated as well
    probes: how many
    """
    network = zoo.network(name)
    root = committed_records(network, folder, max(RECORDS, evaluated))
    weights = random_weights(network)
    stages, started = Stages(), time.perf_counter()
    try:
        with Opening(root.with_suffix(".open"), DataRoot.read(root)) as opening:
            data, statement = prove_certificate(
                network,
                weights,
                opening,
                configuration,
                bytes(32),
                seed_given=True,
                evaluations=[(opening, evaluated)] if evaluated else [],
                probes=probes,
                max_work=8,
                progress=stages.begin,
            )
    except ZkdsError as error:
        return {"refused": str(error)}
    stages.end()
    seconds = time.perf_counter() - started
    peak = resident_peak()
    before = time.process_time()
    verify_certificate(data, Pins(allow_surplus_classes=True, allow_saturated=True), max_work=8)
    verified = time.process_time() - before
    return {
        "parameters": network.parameter_count,
        "cells": Statement(DirectionalSharpness(statement)).layout.cells,
        "processor_seconds": sum(stages.seconds.values()),
        "seconds": seconds,
        "peak_gib": peak,
        "proof_bytes": len(data),
        "verify_processor_seconds": verified,
        "stages": {stage: (stages.seconds[stage], stages.peaks.get(stage, 0.0)) for stage in stages.seconds},
    }


def measured(name: str, steps: int, sharpness: str, evaluated: int = 0, probes: int = 1) -> dict[str, Any]:
    """`prove` in a fresh process."""
    command = [sys.executable, "-m", "bench.main.large", "--one", "--networks", name, "--steps", str(steps)]
    command += ["--sharpness", sharpness, "--evaluate", str(evaluated), "--probes", str(probes)]
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    figures: dict[str, Any] = json.loads(found)
    return figures


def print_figures(name: str, steps: int, figures: dict[str, Any]) -> None:
    print(f"\n{name}, T = {steps}")
    if "refused" in figures:
        print(f"  refused: {figures['refused']}", flush=True)
        return
    print(
        f"  {figures['parameters']:,} parameters, {figures['cells'] / 1e6:.1f} M cells: "
        f"{figures['processor_seconds']:.1f} s of processor time, {figures['seconds']:.1f} s, "
        f"{figures['peak_gib']:.2f} GiB, {figures['proof_bytes']:,} bytes; "
        f"verified in {figures['verify_processor_seconds']:.2f} s of processor time"
    )
    for stage, (seconds, peak) in figures["stages"].items():
        print(f"    {stage:24} {seconds:8.2f} s  {peak:6.2f} GiB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.main.large", description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=NETWORKS, help="of the zoo")
    parser.add_argument("--steps", nargs="+", type=int, default=[5], help="T (default: 5)")
    parser.add_argument("--sharpness", choices=("ASAM", "SAM"), default="ASAM", help="of the probe (default: ASAM)")
    parser.add_argument("--evaluate", type=int, default=0, help="on so many records as well (default: 0)")
    parser.add_argument("--probes", type=int, default=1, help="in one proof (default: 1)")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help="where the figures go, as JSON")
    options = parser.parse_args()
    if options.one:
        configuration = Configuration.of(steps=options.steps[0], sharpness=options.sharpness)
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(prove(options.networks[0], configuration, Path(folder), options.evaluate, options.probes)))
        return
    report = {}
    for name in options.networks:
        for steps in options.steps:
            figures = measured(name, steps, options.sharpness, options.evaluate, options.probes)
            report[f"{name}, T = {steps}"] = figures
            print_figures(name, steps, figures)
    if options.output is not None:
        options.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
