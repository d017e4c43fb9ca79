"""Output files: the one place that decides what may be written, and how a file gets its name.

A new file has no name while it is written (O_TMPFILE), so that whatever kills the process leaves nothing of it. Where a file
system knows no such files, and for the moment before the rename, it has a temporary name beside its own, and the next writer of
the same name removes what a killed one left. At the end the file is on the disk, then gets its name by a rename; files that
belong together get theirs under a lock, so that what two processes write never mixes.

Refused before any work: what exists and is no regular file, such as a device, and symbolic links. A rename would replace the
link and not what it points to, and writing through it would write where nobody said.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import signal
import stat
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

STANDARD_OUTPUT = "-"
PRIVATE_MODE, PUBLIC_MODE = 0o600, 0o666  # the second less the umask
UNNAMED = getattr(os, "O_TMPFILE", 0)  # 0: a system that has none
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
NO_UNNAMED_FILES = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL)  # what file systems without them say


@dataclass(frozen=True)
class Output:
    """A file to be written. private: mode 0600 from the start."""

    path: Path
    private: bool = False


# ---- what may be written ---------------------------------------------------------------------------------------------


def check_outputs(*names: str | Path | None, overwrite: bool = True, inputs: Sequence[str | Path] = ()) -> None:
    """Before any work: raise unless a file of each name can be written. None and "-", standard output, are left out.

    overwrite   existing files may be replaced
    inputs      files that are read and must stay
    Raises ValueError for names that no file can have, or that another result or an input has, else an OSError; both name the
    file.
    """
    given = [name for name in names if name is not None]
    if sum(map(is_standard_output, given)) > 1:
        raise ValueError("-: standard output can take one result only")
    paths = [_named(name) for name in given if not is_standard_output(name)]
    for path in paths:
        _check_existing(path, overwrite)
        _check_folder(path)
    for path in paths:
        if sum(path.parent.samefile(other.parent) and path.name == other.name for other in paths) > 1:
            raise ValueError(f"{path}: expected different names for different results")
        if path.exists() and any(os.path.exists(source) and path.samefile(source) for source in inputs):
            raise ValueError(f"{path}: is read by this command, choose another name for its result")


def is_standard_output(name: str | Path) -> bool:
    """Whether a result of this name goes to standard output."""
    return name == STANDARD_OUTPUT


def refuse_standard_output(name: str, what: str) -> None:
    """Raise ValueError if the name is "-", for commands that write several files."""
    if is_standard_output(name):
        raise ValueError(f"--output -: {what} are two files, standard output cannot hold them; give a name")


def _named(name: str | Path) -> Path:
    path, text = Path(name), os.fspath(name)
    if not text:
        raise ValueError("output: expected the name of a file, got an empty one")
    if not path.name or path.name == ".." or text.endswith(("/", "/.")):
        raise IsADirectoryError(f"{text}: is the name of a folder, give that of a file")
    return path


def _check_existing(path: Path, overwrite: bool) -> None:
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return  # a missing folder is for `_check_folder` to name
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"{path}: is a folder, give the name of a file")
    if stat.S_ISLNK(mode):
        raise OSError(f"{path}: is a symbolic link; give the name of the file itself, or - for standard output")
    if not stat.S_ISREG(mode):
        raise OSError(f"{path}: exists and is no regular file; give another name, or - for standard output")
    if not overwrite:
        raise FileExistsError(f"{path} exists; choose another name, or ask to overwrite it")


def _check_folder(path: Path) -> None:
    """By making a file there: permissions don't tell all."""
    folder = path.parent
    if not folder.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {folder}; make it first")
    try:
        with tempfile.TemporaryFile(dir=folder):
            _temporary_name(path).unlink(missing_ok=True)  # says if the name is too long
    except OSError as error:
        raise type(error)(f"{path}: cannot be written in folder {folder}: {error.strerror}") from None


# ---- writing ---------------------------------------------------------------------------------------------------------


def write_whole(path: str | Path, data: bytes, *, private: bool = False) -> None:
    """Write a file, replacing one that exists; interrupted, it leaves that or none. private: mode 0600 from the start."""
    with new_files(Output(Path(path), private)) as (file,):
        file.write(data)


def write_result(name: str | Path, data: bytes, *, private: bool = False) -> None:
    """Write a file as `write_whole` does, or to standard output if the name is "-"."""
    if is_standard_output(name):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        write_whole(name, data, private=private)


def words_beside(*names: str | Path | None) -> contextlib.AbstractContextManager[object]:
    """Around what a command prints in words: it goes to stderr if a result goes to standard output."""
    taken = any(name is not None and is_standard_output(name) for name in names)
    return contextlib.redirect_stdout(sys.stderr) if taken else contextlib.nullcontext()


@contextlib.contextmanager
def new_files(*outputs: Output, overwrite: bool = True) -> Iterator[list[BinaryIO]]:
    """New files to write to. When the block ends they get their names, in this order; if it raises, nothing is left of them.

    overwrite: existing files are replaced; else FileExistsError. Raises what `check_outputs` raises, and OSError.
    """
    paths = [output.path for output in outputs]
    check_outputs(*paths, overwrite=overwrite)
    for path in paths:
        _sweep(path)
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(_NewFile(output)) for output in outputs]
        with _naming(files):
            yield [new.file for new in files]
            for new in files:
                new.flush()
        with _lock(paths[0]), _undisturbed():
            for path in paths:
                _check_existing(path, overwrite)
            for new in files:
                new.link()
            for new in files:
                new.publish()


class _NewFile:
    """A file that has no name yet, or a temporary one. Locked, which tells it from one that a killed process left."""

    def __init__(self, output: Output) -> None:
        self.path = output.path
        self._mode = PRIVATE_MODE if output.private else PUBLIC_MODE
        self._temporary: Path | None = None

    def __enter__(self) -> _NewFile:
        self.file: BinaryIO = os.fdopen(self._open(), "wb")
        return self

    def __exit__(self, *error: object) -> None:
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # of a full disk, which `flush` has told
            self.file.close()

    def _open(self) -> int:
        descriptor = self._open_unnamed()
        while descriptor is None:
            self._temporary = _temporary_name(self.path)
            descriptor = os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, self._mode)
            if not (_try_lock(descriptor) and _is(self._temporary, descriptor)):  # swept in the moment before
                os.close(descriptor)
                descriptor = None
        return descriptor

    def _open_unnamed(self) -> int | None:
        if not UNNAMED:
            return None
        try:
            descriptor = os.open(self.path.parent, UNNAMED | os.O_WRONLY | os.O_CLOEXEC, self._mode)
        except OSError as error:
            if error.errno not in NO_UNNAMED_FILES:
                raise
            return None
        if _try_lock(descriptor) and os.path.exists(_link_to(descriptor)):
            return descriptor
        os.close(descriptor)
        return None

    def flush(self) -> None:
        """Put everything that was written on the disk, before the file gets its name."""
        self.file.flush()
        os.fsync(self.file.fileno())

    def link(self) -> None:
        """Give the file a temporary name if it has none: a link cannot replace a file, the rename of `publish` can."""
        if self._temporary is None:
            self._temporary = _temporary_name(self.path)
            with _folder(self.path) as folder:
                os.link(_link_to(self.file.fileno()), self._temporary.name, dst_dir_fd=folder, follow_symlinks=True)

    def publish(self) -> None:
        """Give the file its name, and put that on the disk as well."""
        assert self._temporary is not None
        os.replace(self._temporary, self.path)
        with _folder(self.path) as folder:
            os.fsync(folder)


@contextlib.contextmanager
def _folder(path: Path) -> Iterator[int]:
    """The folder of a file, open."""
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _naming(files: Sequence[_NewFile]) -> Iterator[None]:
    """An error of the disk names the file; which one, write does not say."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno in DISK_ERRORS:
            raise OSError(f"{' or '.join(str(new.path) for new in files)}: {error.strerror}") from None
        raise


def _link_to(descriptor: int) -> str:
    return f"/proc/self/fd/{descriptor}"


def _temporary_name(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}")


def _try_lock(descriptor: int) -> bool:
    """Lock a file unless somebody else has; the lock ends with the process."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sweep(path: Path) -> None:
    """Remove temporary files for this name that nobody holds: their process was killed."""
    pattern = re.compile(re.escape(f".{path.name}.") + "[0-9a-f]{16}")
    for name in os.listdir(path.parent):
        if pattern.fullmatch(name):
            with contextlib.suppress(OSError):  # gone, or somebody else's
                descriptor = os.open(path.with_name(name), os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
                try:
                    if _try_lock(descriptor):
                        path.with_name(name).unlink()
                finally:
                    os.close(descriptor)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """One process at a time gives names to the files of `path`. Its lock file is gone afterwards."""
    lock = path.with_name(f".{path.name}.lock")
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is(lock, descriptor):  # or the process before has removed it
                try:
                    yield
                finally:
                    lock.unlink()
                return
        finally:
            os.close(descriptor)


def _is(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait until the files have their names: a moment."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []
    signals = (signal.SIGINT, signal.SIGTERM)
    previous = {each: signal.signal(each, lambda number, frame: waiting.append(number)) for each in signals}
    try:
        yield
    finally:
        for each, handler in previous.items():
            signal.signal(each, handler)
        for number in waiting:
            signal.raise_signal(number)
