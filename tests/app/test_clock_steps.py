"""Steps of the wall clock, told by clocks that the test sets."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app import jobs
from app.clock_steps import ClockSteps, book_steps
from config.tables import FINDINGS
from tests.app.commands import inside
from tests.app.works import filled, write_works


class Clocks:
    """A wall and a monotonic clock, in seconds."""

    def __init__(self) -> None:
        self.wall_s, self.monotonic_s = 1_760_000_000.0, 50.0
        self.steps = ClockSteps(lambda: round(self.wall_s * 1e9), self._monotonic_ns)
        self.pauses_s: list[float] = []

    def _monotonic_ns(self) -> int:
        at_ns = round(self.monotonic_s * 1e9)
        if self.pauses_s:
            pause_s = self.pauses_s.pop(0)
            self.monotonic_s += pause_s
            self.wall_s += pause_s
        return at_ns

    def passes(self, seconds: float, *, stepping_s: float = 0.0) -> float | None:
        self.wall_s += seconds + stepping_s
        self.monotonic_s += seconds
        return self.steps.look()


def test_a_step_is_logged_and_counted_once(caplog: pytest.LogCaptureFixture) -> None:
    clocks = Clocks()
    assert clocks.passes(2) is None
    assert clocks.passes(2) is None
    assert clocks.passes(2, stepping_s=3600) == pytest.approx(3600)
    assert clocks.passes(2) is None
    assert (clocks.steps.steps, round(clocks.steps.last_step_s)) == (1, 3600)
    assert clocks.passes(2, stepping_s=-90.5) == pytest.approx(-90.5)
    assert (clocks.steps.steps, clocks.steps.last_step_s) == (2, pytest.approx(-90.5))
    assert [record.message for record in caplog.records] == [
        "the machine's clock was set ahead by 3600.0 s; polls go on by the new time",
        "the machine's clock was set back by 90.5 s; polls go on by the new time",
    ]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_a_slewed_clock_does_not_step() -> None:
    """500 ppm for an hour of heartbeats: 1.8 s in all, and no step."""
    clocks = Clocks()
    for _ in range(1800):
        assert clocks.passes(2, stepping_s=0.001) is None
    assert clocks.steps.steps == 0


def test_a_machine_that_pauses_between_two_clocks_does_not_step() -> None:
    clocks = Clocks()
    assert clocks.passes(2) is None
    clocks.pauses_s = [7.0, 0.0, 3.0, 0.0]  # at the first and the third reading
    assert clocks.passes(2) is None
    clocks.pauses_s = [9.0]
    assert clocks.passes(2) is None
    assert clocks.steps.steps == 0


def test_the_machines_clocks_agree() -> None:
    steps = ClockSteps()
    assert steps.look() is None
    assert steps.look() is None


def test_steps_become_findings_once_and_an_inspector_sees_them(tmp_path: Path) -> None:
    plant = write_works(tmp_path)
    site, lake = filled(plant)
    clocks = Clocks()
    clocks.passes(2)
    clocks.passes(2, stepping_s=-7200)
    clocks.passes(2, stepping_s=-60)
    inside_september = [datetime(2025, 9, day, tzinfo=UTC) for day in (10, 12)]
    steps = [step_s for _, step_s in clocks.steps.unbooked]
    clocks.steps.unbooked[:] = zip(inside_september, steps, strict=True)
    book_steps(site, lake, clocks.steps)
    book_steps(site, lake, clocks.steps)
    assert clocks.steps.unbooked == []
    jobs.refresh(site, lake, force=True)
    found = lake.scan(FINDINGS, site.id).filter(code="clock.step").sort("start_utc").collect()
    assert found["start_utc"].to_list() == inside_september
    rows = inside("supervise", "2025-09", "-p", plant, "--format", "json").records()
    signs = [(row["verdict"], row["value"]) for row in rows if row["check_id"] == "T04"]
    assert signs == [
        ("exceeds", pytest.approx(7200, abs=1)),
        ("insufficient data", pytest.approx(60, abs=1)),
    ]
