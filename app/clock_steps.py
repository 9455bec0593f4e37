"""Steps of the machine's wall clock, seen because the monotonic clock does not step.

A clock that is slewed (NTP: at most 500 ppm) is no step. A machine that slept is one: the monotonic
clock stood still, and nothing was collected.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

log = logging.getLogger("kgce.clock")

STEP_S = 0.5
"""Ticks come at most every 0.1 s; a smaller step moves readings by less than a poll takes."""
_READ_TOGETHER_S = 0.05
_TRIES = 5

ClockNs = Callable[[], int]


@dataclass
class ClockSteps:
    """Compares the clocks each time that `look` is called.

    ``steps`` counts the steps since the start; ``last_step_s`` is positive where the clock was set
    ahead.
    """

    wall_ns: ClockNs = time.time_ns
    monotonic_ns: ClockNs = time.monotonic_ns
    steps: int = 0
    last_step_s: float = 0.0
    _apart_ns: int | None = field(default=None, repr=False)

    def look(self) -> float | None:
        """The step in seconds since the last look, logged; None where there was none."""
        apart_ns = self._apart()
        before_ns, self._apart_ns = self._apart_ns, apart_ns
        if before_ns is None or abs(apart_ns - before_ns) < STEP_S * 1e9:
            return None
        self.steps += 1
        self.last_step_s = (apart_ns - before_ns) / 1e9
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
