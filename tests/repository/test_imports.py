"""Verifying takes little: what loads torch or the prover is known, and everything else doesn't."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.shell import ENVIRONMENT, HANGS, ROOT

pytestmark = pytest.mark.any_kernels

LARGE = ("torch", "galois", "numba", "matplotlib", "scipy", "sklearn", "joblib", "rich", "PIL", "hypothesis")
NEED_TORCH = (
    "zkds.sharpness",
    "zkds.circuits.networks.torch_module",
    "zkds.circuits.operators.torch_functions",
    "zkds.circuits.operators.convolution.torch_layers",
)


def loaded(*modules):
    """The names in sys.modules of a process that has imported these."""
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, cwd=ROOT, timeout=HANGS)
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


def all_modules():
    """Every module of the package by name, without zkds.__main__, which runs a command."""
    files = {path.relative_to(ROOT) for path in (ROOT / "zkds").rglob("*.py")}
    files |= {Path("zkds") / path.relative_to(ROOT) for path in (ROOT / "circuits").rglob("*.py")}
    names = {".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in files}
    return sorted(names - {"zkds.__main__"})


def test_modules_without_torch_load_no_large_library():
    modules = [name for name in all_modules() if not name.startswith(NEED_TORCH)]
    assert {"zkds.cli", "zkds.circuits.networks.graph", "zkds.circuits.model_files.model_file", "zkds.commands.commit"} <= set(
        modules
    )
    assert loaded(*modules).isdisjoint(LARGE)


@pytest.mark.parametrize(
    "module", ["zkds", "zkds.verifier", "zkds.circuits", "zkds.cli", "zkds.circuits.model_files.model_file"]
)
def test_what_a_verifier_imports_loads_no_prover(module):
    assert loaded(module).isdisjoint({"zkds.prover", "zkds.zk.simulator", *LARGE})


def test_the_index_of_the_circuits_names_every_file():
    index = (ROOT / "circuits/__init__.py").read_text()
    names = {path.stem for path in (ROOT / "circuits").iterdir() if path.name[0] not in "_."}
    missing = [name for name in sorted(names) if not {name, f"{name},"} & set(index.split())]
    assert not missing, "circuits/__init__.py should say what these are"
