"""Progress of long work on stderr: the stage it is in, how far that is, and the time left of the whole.

Nothing is printed about work that takes less than a second. On a terminal one line is redrawn; elsewhere, as in logs, a line is
printed every five seconds.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self, TextIO

QUIET_SECONDS = 1.0
TERMINAL_INTERVAL = 0.2
LOG_INTERVAL = 5.0
MOST_OF_A_STAGE = 0.95  # is done at most while it lasts
ERASE_LINE = "\r\033[K"


def to_stderr(text: str) -> None:
    """Print without end of line. Work goes on, and ends as it would, if nobody can see what is printed."""
    try:
        print(text, end="", file=sys.stderr, flush=True)
    except OSError:
        drop(sys.stderr)


def drop(stream: TextIO) -> None:
    """Throw away what a stream holds and gets; otherwise the interpreter tries to write it again at its end, and fails."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


class Stages:
    """A context manager around work that consists of named stages.

    expected   stage -> its expected share of the time, in any unit, in the order of the work; the time left is computed from it
    unit       what `report` counts
    ticking    the work doesn't report: what is left is told again and again, from the time that the stages before took

    `seconds` holds the measured time of each stage that has begun and ended.

        with Stages({"reading": 1, "proving": 20}) as stages:
            stages.begin("reading")
            ...
            stages.begin("proving")
            prove(..., progress=stages.report)
    """

    def __init__(self, expected: Mapping[str, float], *, unit: str = "", ticking: bool = False) -> None:
        self.seconds: dict[str, float] = {}
        self.expect(expected)
        self._order = list(expected)
        self._unit = unit
        self._terminal = sys.stderr.isatty()
        self._stage: str | None = None
        self._start = self._stage_start = self._last = time.monotonic()
        self._shown = False
        self._ended = threading.Event()
        self._clock = threading.Thread(target=self._tick_until_ended, daemon=True) if ticking else None

    def __enter__(self) -> Self:
        if self._clock is not None:
            self._clock.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        if self._clock is not None:
            self._clock.join()
        self._end_stage()
        if self._shown and self._terminal:
            to_stderr(ERASE_LINE)

    def expect(self, expected: Mapping[str, float]) -> None:
        """Other shares of the same stages from now on: more is known of the work. Raises ValueError unless all are above 0."""
        if not expected or any(share <= 0 for share in expected.values()):
            raise ValueError(f"expected: at least one stage and positive shares, got {dict(expected)}")
        self._expected = dict(expected)

    def begin(self, stage: str) -> None:
        """Ends the stage before, if any. Raises ValueError on a stage that is unknown or not after it."""
        previous = -1 if self._stage is None else self._order.index(self._stage)
        if stage not in self._order[previous + 1 :]:
            raise ValueError(f"stage: expected one of {self._order[previous + 1 :]}, got {stage!r}")
        self._end_stage()
        self._stage = stage
        self._show(0)

    def report(self, done: int, total: int) -> None:
        """`done` of `total` units of the present stage are done. Raises ValueError before the first stage."""
        self._show(done / total, f"{done} of {total}{f' {self._unit}' if self._unit else ''}" if done else "")

    def tick(self) -> None:
        """Time has passed in the present stage, if there is one: as much of it is done as of its time, by the stages before."""
        if self._stage is None:
            return
        position = self._order.index(self._stage)
        shares = list(self._expected.values())
        before, passed = self._stage_start - self._start, time.monotonic() - self._stage_start
        seconds = shares[position] * before / sum(shares[:position]) if position else 0.0
        self._show(min(passed / seconds, MOST_OF_A_STAGE) if seconds else 0)

    def _tick_until_ended(self) -> None:
        while not self._ended.wait(TERMINAL_INTERVAL):
            self.tick()

    def _end_stage(self) -> None:
        now = time.monotonic()
        if self._stage is not None:
            self.seconds[self._stage] = now - self._stage_start
        self._stage_start = now

    def _show(self, done: float, counted: str = "") -> None:
        """done: the part of the present stage that is."""
        if self._stage is None:
            raise ValueError("report: expected after begin")
        now = time.monotonic()
        interval = TERMINAL_INTERVAL if self._terminal else LOG_INTERVAL
        if now - self._start < QUIET_SECONDS or (self._shown and now - self._last < interval):
            return
        self._last, self._shown = now, True
        text = self._text(self._stage, done, counted, now - self._start)
        to_stderr(f"{ERASE_LINE}{text}" if self._terminal else f"{text}\n")

    def _text(self, stage: str, done: float, counted: str, elapsed: float) -> str:
        position = self._order.index(stage)
        shares = list(self._expected.values())
        fraction = (sum(shares[:position]) + shares[position] * done) / sum(shares)
        parts = [stage]
        if len(shares) > 1:
            parts[0] += f" (stage {position + 1} of {len(shares)})"
        if counted:
            parts.append(counted)
        if fraction:
            parts.append(f"about {elapsed * (1 - fraction) / fraction:.0f} s left")
        return ", ".join(parts)
