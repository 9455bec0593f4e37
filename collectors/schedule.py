"""Ticks at multiples of an interval since the epoch, so that polls of a plant line up."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass

from collectors.base import Clock

log = logging.getLogger("kgce.collectors.schedule")
_CLOCK_CHECK_S = 5.0


@dataclass(frozen=True)
class Due:
    """A tick to poll now, and the ticks before it whose whole interval has passed unpolled."""

    tick: int
    missed: range


class Schedule:
    """The ticks of one interval. Tick ``n`` is due at ``n * interval_us`` since the epoch."""

    def __init__(self, interval_s: float, clock: Clock) -> None:
        self.interval_us = round(interval_s * 1e6)
        self._clock = clock
        self._next = -(-clock.now_us() // self.interval_us)

    def time_us(self, tick: int) -> int:
        """When ``tick`` is due: microseconds since the epoch, UTC."""
        return tick * self.interval_us

    async def next_due(self) -> Due:
        """Wait for the next tick. A tick whose successor is due already counts as missed."""
        while (early_us := self.time_us(self._next) - self._clock.now_us()) > 0:
            if early_us > 2 * self.interval_us:
                # Without this a clock that is set back by a day would stop the polls for a day.
                self._next = self._clock.now_us() // self.interval_us + 1
                log.warning("the clock was set back by %.0f s", early_us / 1e6)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(early_us / 1e6 + _CLOCK_CHECK_S):
                    await self._clock.sleep_until(self.time_us(self._next))
        tick = self._clock.now_us() // self.interval_us
        missed = range(self._next, tick)
        self._next = tick + 1
        return Due(tick, missed)
