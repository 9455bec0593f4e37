"""A DL/T 645 line that can read meters, and can do nothing else.

It opens by itself, and opens anew once where the other side had closed an idle connection. Nothing
in a reply tells which of two equal requests it belongs to: after a time-out, or a reply that does
not fit, the line is closed, and nothing is asked until it has been quiet.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from zoneinfo import ZoneInfo

from collectors.base import GOOD, Clock
from collectors.changes import Changes
from collectors.dlt645.frames import Dialogue
from collectors.dlt645.plan import ClockRequest, DataRequest, Request, split
from collectors.dlt645.values import DATE_BYTES, TIME_BYTES, meter_time
from collectors.lines.channel import Channel, open_serial, open_tcp
from collectors.lines.device_clocks import DeviceClocks
from collectors.lines.line import NOT_A_NUMBER, Found
from config.connections import Dlt645
from config.errors import (
    CollectError,
    ConnectFailed,
    DeviceException,
    ReplyRefused,
    ReplyTimeout,
)

_QUIET_S = (0.5, 1.0)  # least and most time of silence that is waited for: a meter answers in 0.5 s


class MeterLine:
    """One line, one request at a time: what `collectors.lines.poll.Poller` polls."""

    def __init__(self, settings: Dlt645, clock: Clock, zone: ZoneInfo, name: str = "") -> None:
        """``zone``: the time zone that the meters' clocks run in. ``name`` begins log lines."""
        self._settings = settings
        self._clock = clock
        self._zone = zone
        self._name = name or settings.peer
        self._dialogue = Dialogue(settings.wake_bytes)
        self._channel: Channel | None = None
        self._may_hold_late_replies = False
        self._free_at_s = 0.0
        self._quiet_s = min(max(_QUIET_S[0], settings.timeout_s / 2), _QUIET_S[1])
        self._clock_read_us = 0
        self._changes = Changes(logging.getLogger("kgce.collectors"))
        self.timeout_s = settings.timeout_s
        self.connects = 0
        self.late_replies = 0
        self.clocks = DeviceClocks(self._changes)

    @property
    def is_open(self) -> bool:
        return self._channel is not None and self._channel.is_open

    def take_slow(self) -> Mapping[str, float]:
        return {}

    async def open(self) -> None:
        await self._opened()

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    async def ask(self, question: Request, wait_s: float) -> bytes:  # noqa: ARG002
        if isinstance(question, ClockRequest):
            return await self._ask_clock(question)
        content = await self.read(question.address, question.data_id)
        if (error := question.misfit(content)) is not None:
            if isinstance(error, ReplyRefused):
                self._distrust()
            raise error
        return content

    def found(self, question: Request, content: bytes) -> Found:
        if isinstance(question, DataRequest):
            values, statuses = zip(*question.found(content), strict=True)
            return Found(values, None if all(status == GOOD for status in statuses) else statuses)
        self._compare_clocks(question, content)
        return Found([])

    def failed(self, question: Request, status: str) -> None:
        """Nothing depends on another request."""

    def is_unit_silent(self, error: CollectError) -> bool:
        return isinstance(error, ReplyTimeout | ConnectFailed)

    def is_refused_whole(self, error: CollectError) -> bool:
        return isinstance(error, DeviceException)

    def split(self, question: Request) -> tuple[Request, Request] | None:
        return split(question)

    async def read(self, address: str, data_id: str) -> bytes:
        """The data ``data_id`` of the meter ``address``, joined where they come in several frames.

        Raises ConnectFailed, ReplyTimeout, DeviceException or ReplyRefused.
        """
        content = await self._ask(self._dialogue.read(address, data_id))
        while self._dialogue.more:
            content += await self._ask(self._dialogue.read_following())
        return content

    async def read_address(self) -> str:
        """The address of the meter, where it is alone on the line. Raises as `read` does."""
        content = await self._ask(self._dialogue.read_address())
        return content[::-1].hex()

    async def _ask_clock(self, question: ClockRequest) -> bytes:
        """Date and time. The date is read anew where midnight may have passed in between."""
        date = await self._fixed(question.address, question.date_id, DATE_BYTES)
        time = await self._fixed(question.address, question.time_id, TIME_BYTES)
        self._clock_read_us = self._clock.now_us()
        if time[1:] == b"\0\0":
            date = await self._fixed(question.address, question.date_id, DATE_BYTES)
        return date + time

    async def _fixed(self, address: str, data_id: str, count: int) -> bytes:
        content = await self.read(address, data_id)
        if len(content) != count:
            self._distrust()
            raise ReplyRefused(f"{len(content)} bytes of data {data_id} instead of {count}")
        return content

    def _compare_clocks(self, question: ClockRequest, content: bytes) -> None:
        subject = f"{self._name}: {question}"
        shown = meter_time(content[:DATE_BYTES], content[DATE_BYTES:], self._zone)
        if shown is None:
            self._changes.note(subject, NOT_A_NUMBER, f"it shows no time: {content.hex(' ')}")
            return
        now_s = self._clock_read_us / 1e6
        self.clocks.compare(subject, question.meter_ids, shown.timestamp(), now_s)

    async def _ask(self, question: bytes) -> bytes:
        was_open = self.is_open
        try:
            return await self._exchange(question)
        except ConnectFailed:
            if not was_open:
                raise
        # The other side had closed an idle connection, and says so only when it is asked.
        self.close()
        return await self._exchange(question)

    async def _exchange(self, question: bytes) -> bytes:
        channel = await self._opened()
        loop = asyncio.get_running_loop()
        if (rest_s := self._free_at_s - loop.time()) > 0:
            await asyncio.sleep(rest_s)
        try:
            content = await channel.ask(question, self._dialogue.take, self.timeout_s)
        except (ReplyRefused, ReplyTimeout):
            self._distrust()
            raise
        finally:
            self._free_at_s = loop.time() + self._settings.pause_s
        if surplus := channel.surplus:
            self._distrust()
            raise ReplyRefused(f"{surplus} bytes behind the end of the reply")
        return content

    def _distrust(self) -> None:
        """What is still on its way can be told from nothing."""
        self.close()
        self._may_hold_late_replies = True

    async def _opened(self) -> Channel:
        if self._channel is None or not self._channel.is_open:
            self.close()
            self._channel = await self._open_channel()
            self.connects += 1
        if self._may_hold_late_replies:
            if await self._channel.listen(self._quiet_s):
                self.late_replies += 1
            self._may_hold_late_replies = False
        return self._channel

    async def _open_channel(self) -> Channel:
        settings = self._settings
        if settings.serial is not None:
            return await open_serial(settings.serial)
        assert settings.host is not None
        return await open_tcp(settings.host, settings.port, settings.timeout_s)
