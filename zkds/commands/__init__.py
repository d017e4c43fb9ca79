"""One file for each command of `zkds`, and what all of them share.

A command is a module with `add(commands)`, which declares its arguments, and `run(options)`, which does the work and returns
an exit code. Its result goes to stdout, in words or as JSON; progress and errors go to stderr. Modules import at their top only
what is light: torch and its like are imported inside `run`, so that `zkds verify` starts fast and needs none of them.
"""

from __future__ import annotations

import argparse
from typing import TypeAlias

DONE = 0  # or a valid proof that meets all that was asked for
REJECTED = 1  # a proof rejected
BAD_INPUT = 2  # bad usage, or input that cannot be used
NOTHING_PINNED = 3  # a valid proof, of which nothing was asked
INTERRUPTED = 130
BROKEN_PIPE = 141
TERMINATED = 143

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_parser(commands: Commands, name: str, *, summary: str, description: str, examples: str) -> argparse.ArgumentParser:
    """The parser of one command: its one-line summary, its description and its examples, printed as they stand, and --json."""
    parser = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser
