"""A clock that jumps: when everybody sleeps, it is the next wake-up.

Collectors that take a `collectors.base.Clock` then read months through real sockets in seconds.
Time stands still while anybody is awake, so every reading of one tick carries one time.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count


class FastClock:
    """A discrete-event clock for ``participants``, each of which is in one sleep at a time.

    Time jumps to the earliest wake-up once that many sleep, and never past ``end_us``: then it
    is ``end_us``, `ended` returns, and whoever sleeps beyond it sleeps until cancelled. A
    participant that is done must leave (`participant` does it), else time stops for all.

    For one event loop; ``now_us`` may be asked from any thread.
    """

    def __init__(self, start_us: int, participants: int, end_us: int | None = None) -> None:
        self._now_us = start_us
        self._places = participants
        self._taken = 0
        self._end_us = end_us
        self._ended = asyncio.Event()
        self._order = count()
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []

    def now_us(self) -> int:
        """Microseconds since the epoch, UTC; the same until everybody sleeps."""
        return self._now_us

    async def sleep_until(self, time_us: int) -> None:
        """Return once it is ``time_us``; at once, but not before others ran, if it is already."""
        if time_us <= self._now_us:
            await asyncio.sleep(0)
            return
        waker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (time_us, next(self._order), waker))
        self._jump()
        try:
            await waker
        except asyncio.CancelledError:
            self._sleepers = [sleeper for sleeper in self._sleepers if sleeper[2] is not waker]
            heapq.heapify(self._sleepers)
            raise

    @asynccontextmanager
    async def participant(self) -> AsyncIterator[None]:
        """Take one of the places while inside, and give it up at the end.

        Beyond the ``participants`` of the constructor a place is added.
        """
        self._taken += 1
        self._places = max(self._places, self._taken)
        try:
            yield
        finally:
            self._taken -= 1
            self.leave()

    def leave(self) -> None:
        """One participant fewer to wait for."""
        self._places -= 1
        self._jump()

    async def ended(self) -> None:
        """Return once it is ``end_us``, or nobody is left."""
        await self._ended.wait()

    def _jump(self) -> None:
        if self._places <= 0:
            self._ended.set()
        while self._sleepers and self._sleepers[0][2].done():  # cancelled, and about to leave
            heapq.heappop(self._sleepers)
        asleep = sum(not waker.done() for _, _, waker in self._sleepers)
        if not asleep or asleep < self._places:
            return
        next_us = self._sleepers[0][0]
        if self._end_us is not None and next_us > self._end_us:
            self._now_us = self._end_us
            self._ended.set()
            return
        self._now_us = next_us
        while self._sleepers and self._sleepers[0][0] <= next_us:
            waker = heapq.heappop(self._sleepers)[2]
            if not waker.done():
                waker.set_result(None)
