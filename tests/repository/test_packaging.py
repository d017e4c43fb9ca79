"""What is imported is this checkout, without symbolic links; what is installed is every module once, under its own name."""

import ast
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest

import zkds.circuits.certificate.verifying
from tests.harness.shell import ENVIRONMENT, HANGS, ROOT

pytestmark = pytest.mark.any_kernels

FOLDERS = ("bench", "circuits", "docs", "native", "tests", "zkds")
LOADED = """
import sys
import zkds.cli, zkds.circuits.certificate.verifying
names = [name for name in sys.modules if name.split(".")[0] == "zkds" and name != "zkds._native.lib"]
print(*(sys.modules[name].__file__ for name in names))
"""


# ---- in place --------------------------------------------------------------------------------------------------------


def test_what_is_tested_here_is_this_checkout():
    for module in (zkds, zkds.circuits, zkds.circuits.certificate.verifying):
        assert Path(module.__file__).is_relative_to(ROOT)


def test_no_file_is_a_link():
    """Some systems check links out as files that hold a name, and some archives leave them out."""
    assert not [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_symlink()]


def test_another_checkout_is_used_whole(tmp_path):
    """Modules of two checkouts never mix, whichever of them the environment has installed."""
    for folder in ("zkds", "circuits"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    command = [sys.executable, "-c", LOADED]
    environment = ENVIRONMENT | {"PYTHONPATH": str(tmp_path)}
    result = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, timeout=HANGS)
    files = [Path(name) for name in result.stdout.split()]
    assert tmp_path / "circuits/certificate/verifying.py" in files and tmp_path / "zkds/cli.py" in files, result.stderr
    assert all(file.is_relative_to(tmp_path) for file in files)


def test_the_package_of_the_circuits_holds_no_code():
    """In a checkout another file stands for it, zkds/circuits/__init__.py."""
    (docstring,) = ast.parse((ROOT / "circuits/__init__.py").read_text()).body
    assert isinstance(docstring, ast.Expr)


# ---- installed -------------------------------------------------------------------------------------------------------


def setup(*arguments):
    command = [sys.executable, "setup.py", "-q", *map(str, arguments)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HANGS)
    assert result.returncode == 0, result.stderr


def modules(folder, name):
    return {f"{name}/{path.relative_to(folder)}" for path in folder.rglob("*.py")}


@pytest.fixture(scope="module")
def expected():
    """What leads to the circuits in a checkout isn't installed: their own package takes its place."""
    package = modules(ROOT / "zkds", "zkds") - {"zkds/_native.py", "zkds/circuits/__init__.py"}
    return package | modules(ROOT / "circuits", "zkds/circuits")


def test_the_install_holds_every_module_once(tmp_path, expected):
    setup("egg_info", "--egg-base", tmp_path, "build_py", "--build-lib", tmp_path / "lib")
    installed = [str(path.relative_to(tmp_path / "lib")) for path in (tmp_path / "lib").rglob("*.py")]
    assert sorted(installed) == sorted(expected)
    package = (tmp_path / "lib/zkds/circuits/__init__.py").read_text()
    assert package == (ROOT / "circuits/__init__.py").read_text()


def test_the_source_distribution_is_the_whole_checkout(tmp_path):
    if not (ROOT / ".git").exists():
        pytest.skip("what belongs to a checkout is git's to say, and this is none")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    setup("egg_info", "--egg-base", tmp_path, "sdist", "-d", tmp_path)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        names = {member.name.partition("/")[2] for member in file.getmembers() if member.isfile()}
    assert not set(tracked.split("\0")) - {""} - names
    assert not [name for name in names if Path(name).suffix in (".so", ".o", ".pyc")]


def test_the_license_is_named_and_there():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["license"] == "Apache-2.0" and "Apache License" in (ROOT / "LICENSE").read_text()


def test_every_wheel_says_the_version_of_the_package(tmp_path):
    setup("egg_info", "--egg-base", tmp_path)
    (information,) = tmp_path.glob("*.egg-info/PKG-INFO")
    assert f"\nVersion: {zkds.__version__}\n" in information.read_text()
