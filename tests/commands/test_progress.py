"""Progress on stderr: quiet when short, one line when long, the time left."""

import time

import pytest

from zkds.commands import progress
from zkds.commands.progress import Stages

pytestmark = pytest.mark.any_kernels


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_short_work_prints_nothing(clock, capsys):
    with Stages({"reading": 1, "proving": 9}) as stages:
        stages.begin("reading")
        clock[0] += 0.4
        stages.begin("proving")
        clock[0] += 0.5
        stages.report(9, 10)
    assert capsys.readouterr().err == ""
    assert stages.seconds == pytest.approx({"reading": 0.4, "proving": 0.5})


def test_long_work_prints_stage_and_time_left_every_five_seconds(clock, capsys):
    with Stages({"reading": 1, "proving": 9}, unit="layers") as stages:
        stages.begin("reading")
        clock[0] += 2
        stages.begin("proving")
        clock[0] += 4
        stages.report(1, 10)
        clock[0] += 4
        stages.report(4, 9)
    assert capsys.readouterr().err == (
        "proving (stage 2 of 2), about 18 s left\nproving (stage 2 of 2), 4 of 9 layers, about 10 s left\n"
    )


def test_a_terminal_shows_one_line_and_erases_it(clock, capsys, monkeypatch):
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True, raising=False)
    with Stages({"committing": 1}, unit="records") as stages:
        stages.begin("committing")
        for done in (1, 2, 3):
            clock[0] += 1
            stages.report(done, 4)
    lines = capsys.readouterr().err.split("\r\033[K")
    assert lines == [
        "",
        "committing, 1 of 4 records, about 3 s left",
        "committing, 2 of 4 records, about 2 s left",
        "committing, 3 of 4 records, about 1 s left",
        "",
    ]


def test_misuse():
    with pytest.raises(ValueError, match="at least one stage"):
        Stages({})
    with pytest.raises(ValueError, match="positive shares"):
        Stages({"reading": 0})
    stages = Stages({"reading": 1, "proving": 1})
    with pytest.raises(ValueError, match="report: expected after begin"):
        stages.report(1, 2)
    stages.begin("proving")
    with pytest.raises(ValueError, match=r"stage: expected one of \[\], got 'reading'"):
        stages.begin("reading")


def test_ticks_tell_what_is_left_by_the_stages_before(clock, capsys):
    with Stages({"reading": 1, "proving": 9}) as stages:
        stages.tick()
        stages.begin("reading")
        clock[0] += 2
        stages.expect({"reading": 1, "proving": 4})
        stages.begin("proving")
        clock[0] += 6
        stages.tick()
        clock[0] += 60
        stages.tick()
    assert capsys.readouterr().err == (
        "proving (stage 2 of 2), about 8 s left\n"
        "proving (stage 2 of 2), about 2 s left\n"
        "proving (stage 2 of 2), about 3 s left\n"
    )


def test_the_clock_ticks_while_the_work_is_silent(monkeypatch, capsys):
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)
    monkeypatch.setattr(progress, "LOG_INTERVAL", 0.0)
    monkeypatch.setattr(progress, "TERMINAL_INTERVAL", 0.001)
    with Stages({"proving": 1}, ticking=True) as stages:
        stages.begin("proving")
        while capsys.readouterr().err.count("proving") < 3:
            time.sleep(0.01)  # the clock's thread must come to its turn
