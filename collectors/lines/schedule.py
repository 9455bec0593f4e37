"""Ticks at multiples of an interval since the epoch, so that polls of a plant line up."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from collectors.base import Clock

log = logging.getLogger("kgce.collectors.schedule")
LONGEST_STAGGERED_S = 60.0
LONGEST_STAGGER_S = 1.0


@dataclass(frozen=True)
class Due:
    """A tick to poll now, and the ticks before it whose whole interval has passed unpolled."""

    tick: int
    missed: range


class Schedule:
    """The ticks of one interval. Tick ``n`` is due at ``n * interval_us + phase_us`` since the
    epoch.

    ``stagger_ratio`` (0 to 1) spreads the polls of many lines over the first second of a short
    interval. At a minute and more all polls line up, so that counters are read at the turn of the
    quarter-hour, the day and the month.
    """

    def __init__(self, interval_s: float, clock: Clock, stagger_ratio: float = 0.0) -> None:
        self.interval_us = round(interval_s * 1e6)
        staggered = interval_s < LONGEST_STAGGERED_S
        spread_s = min(interval_s, LONGEST_STAGGER_S) if staggered else 0.0
        self._phase_us = round(stagger_ratio * spread_s * 1e6)
        self._clock = clock
        self._next = -(-(clock.now_us() - self._phase_us) // self.interval_us)

    def time_us(self, tick: int) -> int:
        """When ``tick`` is due: microseconds since the epoch, UTC."""
        return tick * self.interval_us + self._phase_us

    @property
    def next_us(self) -> int:
        """When the next tick is due."""
        return self.time_us(self._next)

    async def next_due(self) -> Due:
        """Wait for the next tick. A tick whose successor is due already counts as missed."""
        while (early_us := self.next_us - self._clock.now_us()) > 0:
            if early_us > 2 * self.interval_us:
                # Without this a clock that is set back by a day would stop the polls for a day.
                self._next = self._tick_at(self._clock.now_us()) + 1
                log.warning("the clock was set back by %.0f s", early_us / 1e6)
                continue
            await self._clock.sleep_until(self.next_us)
        tick = self._tick_at(self._clock.now_us())
        missed = range(self._next, tick)
        self._next = tick + 1
        return Due(tick, missed)

    def _tick_at(self, now_us: int) -> int:
        return (now_us - self._phase_us) // self.interval_us
