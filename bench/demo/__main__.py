"""The demonstration, as a user would type it: `make demo` sets everything up and runs this.

    python -m bench.demo --folder build/demo

Train a few networks, calibrate tau on them, commit, prove, verify; then reject a tampered proof and a tau that is too low.
Every command is printed before it runs, and must end with the exit code that is expected of it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ARCHITECTURE = "digits-cnn"
PROBE = ("--steps", "5", "--batch-size", "8")  # of calibration, proof and audit alike: the defaults
CALIBRATION_SEEDS = (1, 2, 3)  # of the networks that tau is calibrated on; the proven one has seed 0


class Demonstration:
    """Runs commands and numbers them."""

    def __init__(self) -> None:
        self._count = 0

    def step(self, title: str, *command: str, expected: int = 0) -> None:
        """Print the title and the command, run it, and exit unless it ends with the exit code `expected`."""
        self._run(title, command, expected=expected, capture=False)
        if expected:
            print(f"(exit code {expected}, as it should be)")

    def json(self, title: str, *command: str) -> dict[str, Any]:
        """Likewise, with --json: what the command says, which is not printed."""
        result: dict[str, Any] = json.loads(self._run(title, (*command, "--json"), expected=0, capture=True))
        return result

    def _run(self, title: str, command: Sequence[str], *, expected: int, capture: bool) -> str:
        self._count += 1
        shown = shlex.join(command if command[0] == "zkds" else ("python", "-m", *command))
        print(f"\n{self._count}. {title}\n$ {shown}", flush=True)
        output = subprocess.PIPE if capture else None
        finished = subprocess.run([sys.executable, "-m", *command], check=False, stdout=output, text=True)
        if finished.returncode != expected:
            sys.exit(f"the demonstration failed: expected exit code {expected}, got {finished.returncode}")
        return finished.stdout or ""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.demo", description="The demonstration.")
    parser.add_argument("--folder", type=Path, default=Path("build/demo"), help="where its files go (default: build/demo)")
    parser.add_argument("--probes", default="20", help="probes of each network in the calibration (default: 20)")
    options = parser.parse_args()
    folder, demonstration = options.folder, Demonstration()
    model, data, root, proof = (str(folder / f"{ARCHITECTURE}.{suffix}") for suffix in ("pt", "npz", "root", "bin"))
    tau = str(folder / "tau.json")
    others = _train(demonstration, folder)
    calibration = demonstration.json(
        "Calibrate tau on three other networks, trained alike: reject such a network at most one time in a hundred.",
        *(
            "zkds",
            "calibrate",
            "--good",
            *others,
            "--risk",
            "0.01",
            "--data",
            data,
            "--probes",
            options.probes,
            *PROBE,
            "-o",
            tau,
        ),
        *("--seed", _seed("calibration")),
    )
    print(f"tau = {calibration['calibration']['tau']:.3f}; {tau} has it and its settings")
    demonstration.step(
        "Commit to the data set: data.root is published.", "zkds", "commit", "--data", data, "-o", root, "--overwrite"
    )
    seed = _seed("tomorrow's lottery")
    print("\nData root and model are public now, so somebody else may draw the seed that decides the batches.")
    probe = ("--model", model, "--commit", root, "--seed", seed, *PROBE)
    demonstration.step("Prove the model's directional sharpness.", "zkds", "prove", *probe, "-o", proof)
    demonstration.step(
        "Verify: this model, this data, this seed, and at most tau; a trained network, too.",
        *("zkds", "verify", proof, "--strict", *probe, "--tau", tau, "--max-loss", "0.5", "--min-accuracy", "0.8"),
    )
    demonstration.step(
        "The owner, who holds the data, sees the same value in floating point, and the probe's trajectory.",
        *("zkds", "audit", "--model", model, "--data", data, "--seed", seed, "--tau", tau, *PROBE),
    )
    tampered = str(folder / "tampered.bin")
    _tamper(Path(proof), Path(tampered))
    demonstration.step("A proof with one bit changed is rejected.", "zkds", "verify", tampered, "--tau", tau, expected=1)
    demonstration.step(
        "So is the proof for a tau that the model doesn't meet.", "zkds", "verify", proof, "--tau", "0.01", expected=1
    )
    print(f"\nDone. The files are in {folder}.")


def _seed(name: str) -> str:
    """32 bytes in hex. Fixed, so that the demonstration ends alike every time; in earnest, somebody else draws them."""
    return hashlib.sha256(name.encode()).hexdigest()


def _train(demonstration: Demonstration, folder: Path) -> list[str]:
    """Train the network and those for the calibration; returns the latter's model files."""
    train = ("bench.demo.train", ARCHITECTURE, "--folder")
    demonstration.step("Train a small network on scikit-learn's digits.", *train, str(folder))
    others = []
    for seed in CALIBRATION_SEEDS:
        other = folder / f"seed-{seed}"
        demonstration.step(f"And one from other initial weights ({seed}).", *train, str(other), "--seed", str(seed))
        others.append(str(other / f"{ARCHITECTURE}.pt"))
    return others


def _tamper(proof: Path, tampered: Path) -> None:
    """Copy the proof, one bit in its middle changed."""
    data = bytearray(proof.read_bytes())
    data[len(data) // 2] ^= 1
    tampered.write_bytes(data)


if __name__ == "__main__":
    main()
