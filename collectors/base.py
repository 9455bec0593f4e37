"""The seams of the collectors: the sink that takes readings, and the clock that they run by.

A sink is structural: the spool's writer and the in-memory sink both have ``offer``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from config.tables import Reading

GOOD = "good"


class Sink(Protocol):
    """Takes readings and keeps them durably."""

    def offer(
        self, readings: Sequence[Reading], on_durable: Callable[[], None] | None = None
    ) -> bool:
        """Take all of ``readings``, or none and return False because the sink is full.

        Never blocks; may be called from any thread. ``on_durable`` is called, from another thread,
        once the readings are on disk; it is never called when they could not be kept.
        """


class Clock(Protocol):
    """The time that polls are scheduled and stamped by."""

    def now_us(self) -> int:
        """Microseconds since the epoch, UTC."""

    async def sleep_until(self, time_us: int) -> None:
        """Return once ``now_us()`` is ``time_us`` or later, or when the clock was set back."""


class WallClock:
    """The machine's clock."""

    def now_us(self) -> int:
        return time.time_ns() // 1000

    async def sleep_until(self, time_us: int) -> None:
        left_us = time_us - self.now_us()
        while left_us > 0:
            # A step of the machine's clock is met within a second.
            await asyncio.sleep(min(left_us / 1e6, 1.0))
            before_us, left_us = left_us, time_us - self.now_us()
            if left_us > before_us:
                return


@dataclass
class Health:
    """What a connection last knew of itself; shown by `kgce status`."""

    connection: str
    state: str = "starting"  # starting, up, down, waiting (the sink is full), stopped
    detail: str = ""
    good: int = 0
    missing: int = 0
    dropped: int = 0
    last_good_us: int | None = None


class Collector(Protocol):
    """Reads one connection until it is cancelled."""

    health: Health

    async def run(self) -> None:
        """Read until cancelled. Trouble of a device is recorded, never raised."""


async def offer_until_taken(sink: Sink, readings: Sequence[Reading], health: Health) -> None:
    """Hand readings to the sink, waiting while it is full. Nothing is dropped."""
    while not sink.offer(readings):
        health.state = "waiting"
        health.detail = "the spool is full or cannot write"
        await asyncio.sleep(0.05)
