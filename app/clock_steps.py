"""Steps of the machine's wall clock, seen because the monotonic clock does not step.

A clock that is slewed (NTP: at most 500 ppm) is no step. A machine that slept is one: the monotonic
clock stood still, and nothing was collected.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import polars as pl

from config.site import Site
from config.tables import FINDINGS
from storage.lake import Lake

log = logging.getLogger("kgce.clock")

STEP = "clock.step"

STEP_S = 0.5
"""Ticks come at most every 0.1 s; a smaller step moves readings by less than a poll takes."""
_READ_TOGETHER_S = 0.05
_TRIES = 5

ClockNs = Callable[[], int]


@dataclass
class ClockSteps:
    """Compares the clocks each time that `look` is called.

    ``steps`` counts the steps since the start; ``last_step_s`` is positive where the clock was set
    ahead. ``unbooked``: steps that are in no finding yet, with the time by the new clock.
    """

    wall_ns: ClockNs = time.time_ns
    monotonic_ns: ClockNs = time.monotonic_ns
    steps: int = 0
    last_step_s: float = 0.0
    unbooked: list[tuple[datetime, float]] = field(default_factory=list)
    _apart_ns: int | None = field(default=None, repr=False)

    def look(self) -> float | None:
        """The step in seconds since the last look, logged; None where there was none."""
        apart_ns = self._apart()
        before_ns, self._apart_ns = self._apart_ns, apart_ns
        if before_ns is None or abs(apart_ns - before_ns) < STEP_S * 1e9:
            return None
        self.steps += 1
        self.last_step_s = (apart_ns - before_ns) / 1e9
        self.unbooked.append((datetime.now(UTC), self.last_step_s))
        way = "ahead" if self.last_step_s > 0 else "back"
        log.warning(
            "the machine's clock was set %s by %.1f s; polls go on by the new time",
            way,
            abs(self.last_step_s),
        )
        return self.last_step_s

    def _apart(self) -> int:
        """Wall less monotonic time; read again where the machine paused between the two."""
        for _ in range(_TRIES):
            before = self.monotonic_ns()
            wall = self.wall_ns()
            after = self.monotonic_ns()
            if after - before < _READ_TOGETHER_S * 1e9:
                break
        return wall - (before + after) // 2


def book_steps(site: Site, lake: Lake, clocks: ClockSteps) -> None:
    """Steps that were seen, as findings of the plant.

    Raises StorageError; then they stay unbooked.
    """
    seen = list(clocks.unbooked)
    if not seen:
        return
    rows = [
        {
            "plant_id": site.id,
            "code": STEP,
            "severity": "warning",
            "subject": site.id,
            "start_utc": at,
            "end_utc": at,
            "message": f"the machine's clock was set {'ahead' if step_s > 0 else 'back'} by "
            f"{abs(step_s):.1f} s; readings carry the new time from then on",
            "evidence": json.dumps({"step_s": step_s}),
        }
        for at, step_s in seen
    ]
    lake.append(FINDINGS, pl.DataFrame(rows, schema=FINDINGS.polars_schema()))
    del clocks.unbooked[: len(seen)]
