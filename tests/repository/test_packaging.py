"""What is installed: every module once, under its own name, from the source distribution as well."""

import subprocess
import sys
import tarfile

import pytest

from tests.harness.shell import HANGS, ROOT

pytestmark = pytest.mark.any_kernels


def setup(*arguments):
    command = [sys.executable, "setup.py", "-q", *map(str, arguments)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HANGS)
    assert result.returncode == 0, result.stderr


def modules(folder, name):
    return {f"{name}/{path.relative_to(folder)}" for path in folder.rglob("*.py")}


@pytest.fixture(scope="module")
def expected():
    assert (ROOT / "zkds/circuits").resolve() == ROOT / "circuits"
    package = {path for path in modules(ROOT / "zkds", "zkds") if not path.startswith("zkds/circuits/")}
    return package - {"zkds/_native.py"} | modules(ROOT / "circuits", "zkds/circuits")


def test_the_install_holds_every_module_once(tmp_path, expected):
    setup("egg_info", "--egg-base", tmp_path, "build_py", "--build-lib", tmp_path / "lib")
    installed = [str(path.relative_to(tmp_path / "lib")) for path in (tmp_path / "lib").rglob("*.py")]
    assert sorted(installed) == sorted(expected)


def test_the_source_distribution_holds_every_module_once(tmp_path, expected):
    setup("egg_info", "--egg-base", tmp_path, "sdist", "-d", tmp_path)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        names = [name.partition("/")[2] for name in file.getnames()]
    sources = [f"zkds/{name}" if name.startswith("circuits/") else name for name in names]
    assert sorted(name for name in sources if name.startswith("zkds/") and name.endswith(".py")) == sorted(expected)
