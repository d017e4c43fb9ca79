"""The demonstration, as a user would type it: `make demo` sets everything up and runs this.

    python -m bench.demo --folder build/demo

Every command is printed before it runs, and must end with the exit code that is expected of it.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from pathlib import Path

ARCHITECTURE = "digits-cnn"


class Demonstration:
    """Runs commands and numbers them."""

    def __init__(self) -> None:
        self._count = 0

    def step(self, title: str, *command: str, expected: int = 0) -> None:
        """Prints the title and the command, runs it, and exits unless it ends with the exit code `expected`."""
        self._count += 1
        shown = shlex.join(command if command[0] == "zkds" else ("python", "-m", *command))
        print(f"\n{self._count}. {title}\n$ {shown}", flush=True)
        code = subprocess.run([sys.executable, "-m", *command], check=False).returncode
        if code != expected:
            sys.exit(f"the demonstration failed: expected exit code {expected}, got {code}")
        if expected:
            print(f"(exit code {code}, as it should be)")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.demo", description="The demonstration.")
    parser.add_argument("--folder", type=Path, default=Path("build/demo"), help="where its files go (default: build/demo)")
    folder = parser.parse_args().folder
    demonstration = Demonstration()
    data, root = (str(folder / f"{ARCHITECTURE}.{suffix}") for suffix in ("npz", "root"))
    demonstration.step(
        "Train a small network on scikit-learn's digits.", "bench.demo.train", ARCHITECTURE, "--folder", str(folder)
    )
    demonstration.step("Commit to the data set.", "zkds", "commit", "--data", data, "-o", root, "--overwrite")


if __name__ == "__main__":
    main()
