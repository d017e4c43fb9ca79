"""How much memory a proof takes, from its relation alone, and whether this machine has it: before anything is computed."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Protocol

from zkds.circuits.certificate.statement import SharpnessStatement
from zkds.errors import ZkdsError

GIB = float(1 << 30)

# Measured by `python -m bench.main.large`: peaks of whole processes, rounded up.
BASE_BYTES = 256 << 20  # Python, numpy, constant tables, the model's weights
CELL_BYTES = 18  # a cell: 4 in the vector; its column and the integers it was cut from, while the witness is made

CGROUP = Path("/sys/fs/cgroup")
CGROUP_FILES = (  # limit, usage, and the file that says how much of it is cache that can be dropped; versions 2 and 1
    ("memory.max", "memory.current", "memory.stat"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
)


SMALL_VALUES = 1 << 21  # fewer than a hundred cells each


class MemoryRejected(ZkdsError):
    """A proof would take more memory than this machine has. Raised before anything is computed."""


class Sized(Protocol):
    """A relation that knows how many cells it commits."""

    cells: int


def prover_bytes(relation: Sized) -> int:
    """The peak of the memory of a process that proves this relation, an estimate from above."""
    return BASE_BYTES + CELL_BYTES * relation.cells


def is_small(statement: SharpnessStatement) -> bool:
    """Whether a proof takes at most a few GiB whatever the operators, by the weights of all steps and outputs of all passes."""
    network, configuration = statement.network, statement.configuration
    outputs = configuration.passes * configuration.batch_size * sum(math.prod(placed.output) for placed in network.placed)
    return configuration.steps * network.tensor_count + outputs <= SMALL_VALUES


def require_memory(relation: Sized) -> None:
    """Raise MemoryRejected, with the estimate and what to do, if the machine can't hold a proof of this relation."""
    needed, available = prover_bytes(relation), available_bytes()
    if needed > available:
        raise MemoryRejected(
            f"memory: proving takes about {needed / GIB:.1f} GiB for {relation.cells:,} cells, available are "
            f"{available / GIB:.1f} GiB; fewer steps (--steps), a smaller batch (--batch-size) or SAM sharpness "
            "(--sharpness SAM) take less"
        )


def available_bytes() -> int:
    """What this process may still allocate: of the machine's memory, and within the limits of its control group."""
    return min([_machine_bytes(), *(free for free in (_group_bytes(*names) for names in CGROUP_FILES) if free is not None)])


def _machine_bytes() -> int:
    """Of memory that is free or can be freed; where the system doesn't say, of all memory."""
    try:
        fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        return int(fields["MemAvailable"].split()[0]) << 10
    except (OSError, KeyError, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _group_bytes(limit: str, usage: str, statistics: str) -> int | None:
    """What a control group leaves; None if it has no such limit."""
    try:
        most, used = (int((CGROUP / name).read_text()) for name in (limit, usage))
        fields = dict(line.split() for line in (CGROUP / statistics).read_text().splitlines())
        return max(0, most - used + int(fields["inactive_file"]))
    except (OSError, KeyError, ValueError):
        return None
