"""The command line: its commands, and what becomes of their errors.

Exit codes: 0 done, or a valid proof that meets what was asked of it; 1 rejected; 2 bad usage, or input or output that cannot be
used; 3 a valid proof of which nothing was asked; 70 a bug of zkds (see __main__.py); 130 interrupted, 141 nobody reads the
output, 143 terminated.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from zkds import __version__
from zkds.commands import BAD_INPUT, BROKEN_PIPE, INTERRUPTED, TERMINATED
from zkds.commands.progress import drop, to_stderr
from zkds.errors import ZkdsError

# numpy's matrix products are small here, and its threads wait for each other by spinning: next to anything else that runs they
# are several times slower than one. The core has its own. Read when numpy is loaded, which only commands do.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

COMMANDS = (
    *("commit", "commit-model", "quantise", "seed", "estimate", "prove", "verify", "inspect", "attest", "compile"),
    *("audit", "compare", "calibrate", "correlate", "membership", "zkpot"),
)
OPTIONAL_PACKAGES = ("torch", "rich", "scipy", "matplotlib", "sklearn", "joblib")  # the extra `audit` of pyproject.toml


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    _plug_standard_streams()
    if sys.stdout is None:
        complain("standard output is closed; redirect it to /dev/null if nobody should read it")
        return BAD_INPUT
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        try:
            options = _parser(arguments).parse_args(arguments)
            return int(options.run(options))
        finally:
            _flush_output()
    except KeyboardInterrupt:
        complain("interrupted; no file is left half-written")
        return INTERRUPTED
    except BrokenPipeError:  # nobody reads the rest, as in `zkds inspect proof.bin | head`
        return BROKEN_PIPE
    except UsageError as error:
        to_stderr(error.usage)
        message = str(error)
    except MemoryError:
        message = "not enough memory"
    except OSError as error:
        message = _in_words(error)
    except (ZkdsError, ValueError) as error:
        message = str(error)
    except ModuleNotFoundError as error:
        if error.name not in OPTIONAL_PACKAGES:
            raise
        message = f"this command needs {error.name}: pip install 'zkds[audit]'"
    finally:
        signal.signal(signal.SIGTERM, previous)
    complain(message)
    if "--json" in arguments:
        _print_error(message)
    return BAD_INPUT


class UsageError(Exception):
    """Arguments that a command does not have, or that it misses; `usage` says which it has."""

    def __init__(self, message: str, usage: str) -> None:
        super().__init__(message)
        self.usage = usage


class _Parser(argparse.ArgumentParser):
    """Raises its errors, so that `main` tells all errors alike."""

    def error(self, message: str) -> NoReturn:
        command = self.prog.partition(" ")[2]
        raise UsageError(f"{command}: {message}" if command else message, self.format_usage())


def _print_error(message: str) -> None:
    """The error as a result, for whoever asked for JSON; unless standard output is what failed."""
    with contextlib.suppress(OSError):
        print(json.dumps({"error": message}))
        _flush_output()


def complain(text: str) -> None:
    """A message in one line on stderr."""
    to_stderr(f"zkds: {text}\n")


def _in_words(error: OSError) -> str:
    """Such as "m.pt: no such file or directory"; without a file's name if the error has none."""
    if not error.strerror:
        return str(error)
    reason = error.strerror[:1].lower() + error.strerror[1:]
    return reason if error.filename is None else f"{os.fsdecode(error.filename)}: {reason}"


def _plug_standard_streams() -> None:
    """A file opened while one of the descriptors 0 to 2 is closed would take its place, and messages would go into it."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may be any bytes


def _flush_output() -> None:
    """Raises OSError naming standard output; what could not be written is dropped, or the interpreter would try again."""
    try:
        sys.stdout.flush()
    except OSError as error:
        drop(sys.stdout)
        raise OSError(error.errno, error.strerror, "standard output") from None


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    """An orderly exit, so that half-made files are removed."""
    del number, frame
    sys.exit(TERMINATED)


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of the command that is asked for; of all, for help and for errors. Others are not even imported."""
    parser = _Parser(prog="zkds", description="Zero-knowledge proofs of directional sharpness.")
    parser.add_argument("--version", action="version", version=f"zkds {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name in arguments[:1] if arguments[:1] and arguments[0] in COMMANDS else COMMANDS:
        importlib.import_module(f"zkds.commands.{name.replace('-', '_')}").add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
