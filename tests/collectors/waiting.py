"""Waits for what a collector will do, bounded; and sinks and clocks that do as they are told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from collectors.base import Collector
from config.tables import Reading

PATIENCE_S = 30.0


async def until(condition: Callable[[], object], what: str = "") -> None:
    """Return once ``condition`` holds; fail after a generous while."""
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await asyncio.sleep(0.01)
    assert condition(), f"did not come about: {what or condition}"


@asynccontextmanager
async def running(collector: Collector) -> AsyncIterator[None]:
    """The collector at work; cancelled at the end. What it raises fails the test."""
    task = asyncio.create_task(collector.run())
    try:
        yield
    finally:
        if not task.done():
            task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class ManualClock:
    """Stands until it is told to go on."""

    def __init__(self, now_us: int) -> None:
        self._now_us = now_us
        self._moved = asyncio.Event()

    def now_us(self) -> int:
        return self._now_us

    async def sleep_until(self, time_us: int) -> None:
        while (before_us := self._now_us) < time_us:
            await self._moved.wait()
            if self._now_us < before_us:
                return

    def set(self, time_us: int) -> None:
        self._now_us = time_us
        self._moved.set()
        self._moved = asyncio.Event()


class WithholdingSink:
    """Takes readings, and says that they are durable only when it is told to."""

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self._callbacks: list[Callable[[], None]] = []

    def offer(
        self, readings: Sequence[Reading], on_durable: Callable[[], None] | None = None
    ) -> bool:
        self.readings.extend(readings)
        if on_durable is not None:
            self._callbacks.append(on_durable)
        return True

    def become_durable(self) -> None:
        """Call back from another thread, as a spool does."""
        callbacks, self._callbacks = self._callbacks, []
        thread = threading.Thread(target=lambda: [callback() for callback in callbacks])
        thread.start()
        thread.join()
