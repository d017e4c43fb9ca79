"""Input files that must be regular: what is read at several places, or measured before it is read."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from zkds.errors import FileError


def open_regular(path: str | Path, if_missing: str = "no such file") -> BinaryIO:
    """The file, open for reading. Raises OSError naming it, or FileError if it is a pipe, a device or the like."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe without a writer would wait
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: {if_missing}") from None
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise FileError(f"{path}: is {'a folder' if stat.S_ISDIR(mode) else 'no regular file'}, expected a file")
