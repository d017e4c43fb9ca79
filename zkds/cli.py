"""The command line: its commands, and what becomes of their errors.

Exit codes: 0 done or accepted, 1 rejected, 2 bad usage or input that cannot be used, 130 interrupted, 141 nobody reads
the output, 143 terminated.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from zkds import __version__
from zkds.commands import BAD_INPUT, BROKEN_PIPE, INTERRUPTED, TERMINATED
from zkds.errors import ZkdsError

# numpy's matrix products are small here, and its threads wait for each other by spinning: next to anything else that runs they
# are several times slower than one. The core has its own. Read when numpy is loaded, which only commands do.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

COMMANDS = (
    *("commit", "commit-model", "prove", "verify", "inspect", "compile"),
    *("audit", "compare", "calibrate", "correlate", "membership"),
)
OPTIONAL_PACKAGES = ("torch", "rich", "scipy", "matplotlib", "sklearn", "joblib")  # the extra `audit` of pyproject.toml


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parser(arguments).parse_args(arguments)
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        code = int(options.run(options))
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("\nzkds: interrupted, nothing was written", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # nobody reads the rest, as in `zkds inspect proof.bin | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except MemoryError:
        print("zkds: not enough memory", file=sys.stderr)
    except (ZkdsError, ValueError, OSError) as error:
        print(f"zkds: {error}", file=sys.stderr)
    except ModuleNotFoundError as error:
        if error.name not in OPTIONAL_PACKAGES:
            raise
        print(f"zkds: this command needs {error.name}: pip install 'zkds[audit]'", file=sys.stderr)
    finally:
        signal.signal(signal.SIGTERM, previous)
    return BAD_INPUT


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    """An orderly exit, so that half-made files are removed."""
    del number, frame
    sys.exit(TERMINATED)


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of the command that is asked for; of all, for help and for errors. Others are not even imported."""
    parser = argparse.ArgumentParser(prog="zkds", description="Zero-knowledge proofs of directional sharpness.")
    parser.add_argument("--version", action="version", version=f"zkds {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name in arguments[:1] if arguments[:1] and arguments[0] in COMMANDS else COMMANDS:
        importlib.import_module(f"zkds.commands.{name.replace('-', '_')}").add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
