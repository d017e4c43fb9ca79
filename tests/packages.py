"""`python -m tests.packages FOLDER`: a wheel as strangers install it, on every Python of this machine that it is made for.

No test of pytest's: it takes built distributions, fresh environments and an index of packages; `make packages` runs it. In each
environment, without a compiler and without torch: the version, then a data set committed, a proof made and verified.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.harness.commands import PROBE, SEED, save

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
OLDEST_NUMPY = "numpy==2.0.*"
WITH_OLDEST_NUMPY = "3.11"  # the newest Python that numpy 2.0 has wheels for is 3.12
CERTIFICATE = (
    "commit --data data.npz --classes 10",
    f"prove --model model.pt --commit data.root --seed {SEED} {PROBE} --output proof.bin",
    f"verify proof.bin --model model.pt --commit data.root --seed {SEED} --tau 1000 --max-loss 1000 --min-accuracy 0%",
)


def main() -> int:
    """Try the wheel; returns 0, or raises CalledProcessError for what failed first."""
    parser = argparse.ArgumentParser(prog="python -m tests.packages", description=__doc__)
    parser.add_argument("folder", type=Path, help="where one wheel and one source distribution of zkds are")
    folder = parser.parse_args().folder
    (wheel,) = folder.glob("zkds-*.whl")
    (source,) = folder.glob("zkds-*.tar.gz")
    assert "-cp311-abi3-" in wheel.name, f"{wheel.name} is for one Python only"
    print(f"{source.name}: {source.stat().st_size:,} bytes\n{wheel.name}: {wheel.stat().st_size:,} bytes", flush=True)
    with tempfile.TemporaryDirectory() as made:
        inputs = Path(made)
        write_inputs(inputs)
        for version, python in interpreters():
            requirements = [str(wheel.resolve())] + [OLDEST_NUMPY] * (version == WITH_OLDEST_NUMPY)
            print(f"Python {version}: {try_wheel(python, requirements, inputs)}", flush=True)
    return 0


def interpreters() -> Iterator[tuple[str, str]]:
    """(version, path) of what this machine has of PYTHONS: kept by pyenv, whose commands need not work, or on the path."""
    for version in PYTHONS:
        kept = sorted((Path.home() / ".pyenv/versions").glob(f"{version}.*/bin/python"))
        found = str(kept[-1]) if kept else shutil.which(f"python{version}")
        if found:
            yield version, found
        else:
            print(f"Python {version}: not on this machine", flush=True)


def write_inputs(folder: Path) -> None:
    """40 records and a network for them: random ones, since what is tried is whether the commands work."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (40, 1, 8, 8), dtype=np.uint8)
    np.savez(folder / "data.npz", x=images, y=np.arange(40) % 10)
    save(folder / "model.pt", 0)


def try_wheel(python: str, requirements: list[str], inputs: Path) -> str:
    """Install in a fresh environment and make a certificate there; returns what `zkds --version` and `pip list` say."""
    with tempfile.TemporaryDirectory() as made:
        environment, work = Path(made) / "environment", Path(made) / "work"
        shutil.copytree(inputs, work)
        run([python, "-m", "venv", str(environment)], work)
        inside = environment / "bin"
        run([str(inside / "pip"), "install", "--quiet", "--only-binary", ":all:", *requirements], work)
        for command in CERTIFICATE:
            run([str(inside / "zkds"), *command.split()], work)
        program = "import numpy, zkds.native as core; print(f'numpy {numpy.__version__}, kernels {core.instruction_set()}')"
        return run([str(inside / "zkds"), "--version"], work) + ", " + run([str(inside / "python"), "-c", program], work)


def run(command: list[str], cwd: Path) -> str:
    """The output of a process that sees neither this checkout nor a compiler. Raises CalledProcessError."""
    hidden = ("PYTHONPATH", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if name not in hidden} | {"CC": "false", "CXX": "false"}
    result = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    if result.returncode:
        print(result.stdout, result.stderr, sep="\n", file=sys.stderr)
    result.check_returncode()
    return result.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
