"""An in-memory collector and sink: for tests, and for programs that have readings already."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from collectors.base import GOOD, Health, Sink, offer_until_taken
from config.tables import Reading


class MemorySink:
    """Keeps readings in a list. ``capacity`` makes it full, as a spool can be."""

    def __init__(self, capacity: int | None = None) -> None:
        self.readings: list[Reading] = []
        self.capacity = capacity

    def offer(
        self, readings: Sequence[Reading], on_durable: Callable[[], None] | None = None
    ) -> bool:
        if self.capacity is not None and len(self.readings) + len(readings) > self.capacity:
            return False
        self.readings.extend(readings)
        if on_durable is not None:
            on_durable()
        return True


class MemoryCollector:
    """Hands over batches of readings that it is given, then waits to be cancelled."""

    def __init__(self, batches: Iterable[Sequence[Reading]], sink: Sink) -> None:
        self._batches = batches
        self._sink = sink
        self.health = Health("memory")

    async def run(self) -> None:
        self.health.state = "up"
        for batch in self._batches:
            await offer_until_taken(self._sink, batch, self.health)
            good = sum(reading.status == GOOD for reading in batch)
            self.health.good += good
            self.health.missing += len(batch) - good
            self.health.state = "up"
        await asyncio.Event().wait()
