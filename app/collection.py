"""The collectors that run, each a task of its own that ends only when it is told to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any

from collectors.base import Collector

log = logging.getLogger("kgce.daemon")


class Collection:
    """Collectors by connection. May be read from any thread, and changed in the loop's alone."""

    def __init__(self) -> None:
        self._collectors: dict[str, Collector] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def collectors(self) -> dict[str, Collector]:
        """The collectors by connection, in the order in which they were started; a copy."""
        return dict(self._collectors)

    def start(self, collectors: Mapping[str, Collector]) -> None:
        for name, collector in collectors.items():
            self._collectors[name] = collector
            self._tasks[name] = endless(collector.run(), f"the collector of {name}")

    async def stop(self, names: Iterable[str]) -> None:
        """Stop these at once, forget them, and return when they have ended."""
        stopping = [self._tasks.pop(name) for name in names]
        await ended(stopping)
        self._collectors = {n: c for n, c in self._collectors.items() if n in self._tasks}

    async def end(self) -> None:
        """Stop all; they can still be looked at, to see how they ended."""
        await ended(list(self._tasks.values()))


def endless(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    """A task that ends when it is cancelled. That it ends by itself is a bug: it is logged, and
    the others go on."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_note_end)
    return task


def _note_end(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and not task.cancelling():
        log.critical("%s ended by itself", task.get_name(), exc_info=task.exception())


async def ended(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel, and wait until all have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
