"""How fast this machine is: a run of the kernels that a proof spends its time in, less than a second, with as many threads as
it would have.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from zkds import lookup, sumcheck
from zkds.channel import DryRun, ProverChannel
from zkds.commit.commitment import commit
from zkds.commit.layout import Column, Layout
from zkds.commit.parameters import Parameters, make_code
from zkds.field import ONE
from zkds.lookup import Lookup, RangeTable, multiplicity_column
from zkds.native import U64, exact
from zkds.native.exact import View
from zkds.transcript import Transcript
from zkds.wire import ProofWriter

LOG_SIZE = 19  # of arrays: larger than caches, and soon done
LOG_LOOKUPS = 21  # of lookups and of sumchecks: fewer are mostly the interpreter's rounds, which no second thread shares
ROWS = 4  # of the committed matrix
SIDE = 384  # of the multiplied matrices
WIDE_BITS = (46, 44)
DRY_LOG_SIZE = 26  # of lookups that a verifier checks without a proof
REPEAT = 3


@dataclass(frozen=True)
class Rates:
    """Seconds for one of each.

    encoded    point of a codeword: transform, hash
    leaf       lookup, with its table
    position   of a product sumcheck
    mac        product in an exact matrix product
    entry      of an int64 array: a sum, a shift, a mask
    message    that a verifier receives in a sumcheck: the interpreter
    """

    encoded: float
    leaf: float
    position: float
    mac: float
    entry: float
    message: float


def calibrate(clock: Callable[[], float] = time.perf_counter) -> Rates:
    """The fastest of a few runs of each."""
    return Rates(*(_fastest(make(), clock) for make in (_encoded, _leaf, _position, _mac, _entry, _message)))


Work = tuple[int, Callable[[], object]]  # how many units, what does them
GOLDEN = 0x9E3779B97F4A7C15  # an odd number: its multiples modulo 2^64 look random enough to time with


def _numbers(bits: int, *shape: int) -> U64:
    """As many numbers of so many bits."""
    multiples = np.arange(1, math.prod(shape) + 1, dtype=np.uint64) * np.uint64(GOLDEN)
    return (multiples >> np.uint64(64 - bits)).reshape(shape)


def _fastest(work: Work, clock: Callable[[], float]) -> float:
    units, run = work
    times = []
    for _ in range(REPEAT):
        started = clock()
        run()
        times.append(clock() - started)
    return min(times) / units


def _encoded() -> Work:
    code = make_code(ROWS, LOG_SIZE, 1, padded=True)
    cells = (ROWS - 1) * 2 << LOG_SIZE
    vector = _numbers(16, cells).astype(np.uint32)
    parameters = Parameters(cells, code, ())
    return ROWS * code.points, lambda: commit(vector, parameters, None)


def _lookups(log_size: int) -> tuple[list[Lookup], Layout]:
    lookups = [Lookup(RangeTable(16), "limbs")]
    return lookups, Layout([Column("limbs", (1 << log_size,)), multiplicity_column(lookups)], ["limbs"])


def _leaf() -> Work:
    lookups, layout = _lookups(LOG_LOOKUPS)
    vector = np.zeros(layout.cells, dtype=np.uint32)
    layout.write(vector, "limbs", _numbers(16, 1 << LOG_LOOKUPS).astype(np.uint32))
    lookup.multiplicities(lookups, layout, vector)
    return 1 << LOG_LOOKUPS, lambda: lookup.prove(_channel(), lookups, layout, vector)


def _position() -> Work:
    tables = _numbers(60, 2, 1 << LOG_LOOKUPS - 3, 2, 8)

    def run() -> None:
        sumcheck.prove(_channel(), [table.copy() for table in tables], [(ONE, (0, 1))], name="calibration")

    return 1 << LOG_LOOKUPS, run


def _mac() -> Work:
    left, right = (_numbers(bits, 1, SIDE, SIDE).astype(np.int64) for bits in WIDE_BITS)
    view = View.of_matrix(SIDE, SIDE)
    low, high = (np.zeros((1, SIDE, SIDE), dtype=np.int64) for _ in range(2))
    return SIDE**3, lambda: exact.wide(left, view, right, view, WIDE_BITS, low, high, view)


def _entry() -> Work:
    values = _numbers(40, 1 << LOG_SIZE).astype(np.int64)
    return values.size, lambda: ((values + np.int64(1 << 31)) >> np.int64(16)) & np.int64(0xFFFF)


def _message() -> Work:
    lookups, layout = _lookups(DRY_LOG_SIZE)

    def run() -> int:
        channel = DryRun()
        lookup.verify(channel, lookups, layout)
        return channel.constraints.messages

    return run(), run


def _channel() -> ProverChannel:
    return ProverChannel(Transcript(), ProofWriter(), None)
