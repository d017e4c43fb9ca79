"""How much memory a proof takes, from its relation alone, and whether this machine has it: before anything is computed."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Protocol

from zkds.circuits.certificate.statement import SharpnessStatement
from zkds.circuits.networks.graph import Network
from zkds.errors import ZkdsError
from zkds.identities.block import Block
from zkds.identities.gadget import Gadgets
from zkds.identities.rounded_sum import RoundedSum
from zkds.lookup.plan import cut_into_chunks
from zkds.statement import Relation, Statement
from zkds.tensors.circuit import Component
from zkds.tensors.field_tables import flat_length
from zkds.tensors.tensor import Committed

GIB = float(1 << 30)

# The sizes of what is held, so many bytes of each; the constants that no array says are from `python -m bench.main.large`,
# which prints the peak of every stage, and docs/performance.md has its figures.
BASE_BYTES = 256 << 20  # Python, numpy, constant tables, relation and layout
CELL_BYTES = 4  # of the vector
POINT_BYTES = 48  # of the code: roots of its transform, the tree over its columns
WEIGHT_BYTES = 60  # of the model: as it was read, as integers, in the committed form
# of which one is held at a time
LEAF_BYTES = 16  # of a chunk of the lookup argument: a tree of fractions without its two lowest levels
ROUNDED_BYTES = 64  # an entry of a rounded tensor while its carries are made: integers of 8 bytes
FACTOR_BYTES = 40  # a digit of a product of a block: its table in F, that of the other factor in K, both bound, and copies
VALUE_BYTES = 8  # a committed value in the trajectory, which goes as the vector is written

CGROUP = Path("/sys/fs/cgroup")
CGROUP_FILES = (  # limit, usage, and the file that says how much of it is cache that can be dropped; versions 2 and 1
    ("memory.max", "memory.current", "memory.stat"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
)

SMALL_VALUES = 1 << 21  # fewer than a hundred cells each


class MemoryRejected(ZkdsError):
    """A proof would take more memory than this machine has. Raised before anything is computed."""


class OfNetwork(Protocol):
    """A statement about a network."""

    @property
    def network(self) -> Network: ...


class Sized(Relation, Protocol):
    """A circuit about a network that knows how many cells it commits."""

    cells: int
    components: list[Component]

    @property
    def statement(self) -> OfNetwork: ...
    @property
    def committed(self) -> list[Committed]: ...


def prover_bytes(relation: Sized) -> int:
    """The peak of the memory of a process that proves this relation: an estimate."""
    whole = Statement(relation)
    code = whole.parameters.code
    kept = BASE_BYTES + POINT_BYTES * code.points + WEIGHT_BYTES * relation.statement.network.tensor_count
    return kept + max(CELL_BYTES * whole.layout.cells + _largest_stage(relation, whole), _trajectory(relation))


def _largest_stage(relation: Sized, whole: Statement) -> int:
    """What the stage that holds the most holds beside the vector."""
    chunks = cut_into_chunks(whole.layout.checked_cells)
    sums = [math.prod(part.output.shape) for part in relation.components if isinstance(part, RoundedSum)]
    factors = [sum(left.digits * flat_length(left.shape) for left in block.products) for block in blocks_of(relation)]
    return max(
        LEAF_BYTES << max(chunk.log_size for chunk in chunks),
        ROUNDED_BYTES * max(sums, default=0),
        FACTOR_BYTES * max(factors, default=0),
    )


def blocks_of(relation: Sized) -> list[Block]:
    """All blocks of identities, of gadgets and by themselves."""
    of_gadgets = [block for part in relation.components if isinstance(part, Gadgets) for block in part.blocks]
    return of_gadgets + [part for part in relation.components if isinstance(part, Block)]


def _trajectory(relation: Sized) -> int:
    """All values, before the first is written."""
    return VALUE_BYTES * sum(math.prod(tensor.shape) for tensor in relation.committed)


def is_small(statement: SharpnessStatement) -> bool:
    """Whether a proof takes at most a few GiB whatever the operators, by the weights of all steps and outputs of all passes."""
    network, configuration = statement.network, statement.configuration
    records = statement.probes * configuration.passes * configuration.batch_size
    records += sum(evaluation.samples for evaluation in statement.evaluations)
    outputs = records * sum(math.prod(placed.output) for placed in network.placed)
    return statement.steps * network.tensor_count + outputs <= SMALL_VALUES


def require_memory(relation: Sized) -> None:
    """Raise MemoryRejected, with the estimate and what to do, if the machine can't hold a proof of this relation."""
    needed, available = prover_bytes(relation), available_bytes()
    if needed > available:
        raise MemoryRejected(
            f"memory: proving takes about {needed / GIB:.1f} GiB for {relation.cells:,} cells, available are "
            f"{available / GIB:.1f} GiB; fewer probes (--probes), fewer steps (--steps), a smaller batch "
            "(--batch-size), fewer evaluated records (--evaluate) or SAM sharpness (--sharpness SAM) take less"
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
