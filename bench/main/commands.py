"""Commands as a user runs them: wall time, peak memory, output."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """One command: its standard output, seconds from start to exit, and the peak of its resident memory in bytes."""

    output: str
    seconds: float
    peak_bytes: int


def run(module: str, *arguments: str) -> Run:
    """Run `python -m module arguments` in a process of its own. Raises RuntimeError, with its errors, if it fails.

    The peak counts what this process holds when it starts the other one: callers import nothing large.
    """
    command = [sys.executable, "-m", module, *arguments]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stderr is not None
    output = process.stdout.read()
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    process.stderr.close()
    if process.returncode:
        raise RuntimeError(f"{module} {' '.join(arguments)}: exit code {process.returncode}\n{output}{errors}")
    return Run(output, seconds, usage.ru_maxrss * 1024)
