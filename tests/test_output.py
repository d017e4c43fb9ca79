"""Output files: what may be written, that nothing half-made stays whatever ends the process, and that pairs stay pairs."""

import os
import random
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.harness.shell import ENVIRONMENT
from zkds import output
from zkds.dataset.files import commit_dataset
from zkds.dataset.opening import Opening, OpeningError
from zkds.dataset.records import from_arrays
from zkds.dataset.root import DataRoot
from zkds.output import Output, check_outputs, new_files, write_whole

pytestmark = pytest.mark.any_kernels

RECORDS = from_arrays(np.arange(48, dtype=np.uint8).reshape(3, 4, 4), np.array([0, 1, 2]), classes=3)


@pytest.fixture(params=["unnamed", "named"])
def naming(request, monkeypatch):
    """Both ways to make a file: without a name, and where the system knows no such files, with a temporary one."""
    if request.param == "named":
        monkeypatch.setattr(output, "UNNAMED", 0)
    return request.param


# ---- what may be written ---------------------------------------------------------------------------------------------


def make(kind, path):
    if kind == "socket":
        server = socket.socket(socket.AF_UNIX)
        server.bind(os.path.relpath(path))
        server.close()
    else:
        {"folder": os.mkdir, "fifo": os.mkfifo, "link": lambda path: os.symlink("other", path)}[kind](path)


@pytest.mark.parametrize("kind", ["folder", "fifo", "socket", "link"])
def test_what_is_no_regular_file_is_refused_and_stays(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.root"
    make(kind, path)
    before = path.lstat()
    for write in (lambda: write_whole(path, b"data"), lambda: commit_dataset(RECORDS, path, overwrite=True)):
        with pytest.raises(OSError, match=r"x\.root: (is a folder|is a symbolic link|exists and is no regular file)"):
            write()
    assert os.path.samestat(before, path.lstat()) and os.listdir(tmp_path) == ["x.root"]


@pytest.mark.parametrize("path", ["/dev/null", "/dev/full", "/dev/stdout"])
def test_devices_are_refused(path):
    before = os.lstat(path)
    with pytest.raises(OSError, match=f"{path}: (exists and is no regular file|is a symbolic link); give"):
        write_whole(path, b"data")
    assert os.path.samestat(before, os.lstat(path))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "output: expected the name of a file, got an empty one"),
        (".", "is the name of a folder"),
        ("new/", "new/: is the name of a folder"),
        ("..", "is the name of a folder"),
        ("none/x", "none/x: there is no folder none; make it first"),
        ("data/x", "data/x: there is no folder data; make it first"),
        ("/proc/x", "/proc/x: cannot be written in folder /proc: "),
        ("x" * 250, r"x: cannot be written in folder \.: File name too long"),
        ("data", "data: is read by this command, choose another name"),
        ("./data", "data: is read by this command, choose another name"),
    ],
)
def test_names_are_checked_before_any_work(tmp_path, monkeypatch, name, message):
    monkeypatch.chdir(tmp_path)
    Path("data").write_text("precious")
    with pytest.raises((OSError, ValueError), match=message):
        check_outputs(name, inputs=["data", "none"])
    assert os.listdir(tmp_path) == ["data"]


def test_results_have_different_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_outputs("a", None, "b", "-", "sub-a")
    for names in (("a", "./a"), ("a", str(tmp_path / "a"))):
        with pytest.raises(ValueError, match="expected different names for different results"):
            check_outputs(*names)
    with pytest.raises(ValueError, match="standard output can take one result only"):
        check_outputs("-", "-")


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    """Root may write anywhere, so the system's refusal is made up."""

    def refuse(**options):
        raise PermissionError(13, "Permission denied", str(tmp_path))

    monkeypatch.setattr(output.tempfile, "TemporaryFile", refuse)
    with pytest.raises(PermissionError, match=r"x: cannot be written in folder .*: Permission denied"):
        check_outputs(tmp_path / "x")


# ---- writing ---------------------------------------------------------------------------------------------------------


def test_files_get_their_names_and_modes_at_the_end(tmp_path, naming):
    public, private = tmp_path / "a", tmp_path / "b"
    with new_files(Output(private, private=True), Output(public)) as (secret, shown):
        secret.write(b"secret")
        shown.write(b"shown")
        assert len(os.listdir(tmp_path)) == {"unnamed": 0, "named": 2}[naming]
    assert (private.read_bytes(), public.read_bytes()) == (b"secret", b"shown")
    umask = os.umask(0)
    os.umask(umask)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (private, public)]
    assert modes == [0o600, 0o666 & ~umask] and sorted(os.listdir(tmp_path)) == ["a", "b"]
    write_whole(public, b"again")
    assert public.read_bytes() == b"again"
    with pytest.raises(FileExistsError, match="a exists; choose another name, or ask to overwrite it"):
        with new_files(Output(public), overwrite=False):
            raise AssertionError("no work is done")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_an_error_leaves_nothing(tmp_path, naming, error):
    (tmp_path / "a").write_text("old")
    with pytest.raises(error), new_files(Output(tmp_path / "a")) as (file,):
        file.write(b"new")
        raise error
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "old"


def test_a_file_that_appears_meanwhile_is_kept(tmp_path, naming):
    with pytest.raises(FileExistsError, match="exists"):
        with new_files(Output(tmp_path / "a"), overwrite=False):
            (tmp_path / "a").write_text("somebody else's")
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "somebody else's"


def test_a_full_disk_is_named(tmp_path):
    def full():
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="a: No space left on device"), new_files(Output(tmp_path / "a")) as (file,):
        file.write(b"x")
        os.dup2(os.open("/dev/full", os.O_WRONLY), file.fileno())
    assert os.listdir(tmp_path) == []


def test_the_next_writer_sweeps_what_a_killed_one_left(tmp_path):
    left, other = tmp_path / f".a.{'0' * 16}", tmp_path / f".ab.{'0' * 16}"
    left.write_text("secret")
    other.write_text("another name's")
    (tmp_path / ".a.lock").touch()
    with new_files(Output(tmp_path / "a")) as (file,):
        file.write(b"new")
    assert sorted(os.listdir(tmp_path)) == [other.name, "a"]


def test_a_writer_at_work_is_not_swept(tmp_path, monkeypatch):
    monkeypatch.setattr(output, "UNNAMED", 0)
    path = tmp_path / "a"
    with new_files(Output(path)) as (first,):
        first.write(b"first")
        with new_files(Output(path)) as (second,):
            second.write(b"second")
        assert path.read_bytes() == b"second"
    assert path.read_bytes() == b"first" and os.listdir(tmp_path) == ["a"]


def test_an_interruption_waits_until_a_pair_has_its_names(tmp_path, monkeypatch):
    replace = os.replace

    def interrupted(source, target):
        replace(source, target)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(output.os, "replace", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            commit_dataset(RECORDS, tmp_path / "data.root")
    finally:
        signal.signal(signal.SIGINT, before)
    assert sorted(os.listdir(tmp_path)) == ["data.open", "data.root"]
    Opening(tmp_path / "data.open", DataRoot.read(tmp_path / "data.root")).close()


# ---- killed, and side by side ----------------------------------------------------------------------------------------

COMMIT = """
import os, random, sys, time
import numpy as np
from zkds import output
from zkds.dataset.files import commit_dataset
from zkds.dataset.records import from_arrays
if {named}:
    output.UNNAMED = 0
replace = os.replace
output.os.replace = lambda *names: (replace(*names), time.sleep(random.random() * 0.01))
records = from_arrays(np.zeros((50, 8, 8), np.uint8), np.arange(50) % 2)
print("ready", flush=True)
for line in sys.stdin:
    commit_dataset(records, line.strip(), overwrite=True)
    print("done", flush=True)
"""


class Committer:
    """A process that commits to the names that it is told, and takes its time between the two renames."""

    def __init__(self, *, named=False):
        command = [sys.executable, "-c", COMMIT.format(named=named)]
        self.process = subprocess.Popen(
            command, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.wait()

    def tell(self, *paths):
        self.process.stdin.write("".join(f"{path}\n" for path in paths))

    def wait(self):
        assert self.process.stdout.readline()

    def end(self):
        self.process.kill()
        self.process.communicate()


@pytest.mark.parametrize("named", [False, True])
def test_nothing_with_records_in_it_survives_kills(tmp_path, named):
    """The process commits over and over, is killed at a random time; then what it left is looked at, and swept."""
    path, rng = tmp_path / "data.root", random.Random(1)
    for _ in range(4):
        committer = Committer(named=named)
        committer.tell(*[path] * 50)
        time.sleep(rng.uniform(0.01, 0.2))
        committer.end()
        try:
            Opening(tmp_path / "data.open", DataRoot.read(path)).close()
        except (FileNotFoundError, OpeningError) as error:  # killed between the two renames, or before the first
            assert re.search("[Nn]o such file|belongs to another data.root: use the pair", str(error))
        commit_dataset(RECORDS, path, overwrite=True)
        assert sorted(os.listdir(tmp_path)) == ["data.open", "data.root"]
        Opening(tmp_path / "data.open", DataRoot.read(path)).close()


def test_two_processes_that_commit_to_one_name_leave_a_pair(tmp_path):
    committers = [Committer(), Committer()]
    for number in range(16):
        path = tmp_path / f"{number}.root"
        for committer in committers:
            committer.tell(path)
        for committer in committers:
            committer.wait()
        Opening(path.with_suffix(".open"), DataRoot.read(path)).close()
        assert sorted(os.listdir(tmp_path)) == [f"{number}.open", f"{number}.root"]
        path.unlink()
        path.with_suffix(".open").unlink()
    for committer in committers:
        committer.end()
