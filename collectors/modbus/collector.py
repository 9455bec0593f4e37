"""Reads the meters of one Modbus line: TCP, TLS, RTU on a serial port, RTU over TCP."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping

from collectors.base import Clock, Sink, WallClock
from collectors.changes import Changes
from collectors.lines.device_clocks import DeviceClocks
from collectors.lines.line import Found
from collectors.lines.poll import Poller
from collectors.lines.scale import factor_and_divisor
from collectors.modbus.connection import ReadOnlyConnection
from collectors.modbus.numbers import Decoder, Number, decode
from collectors.modbus.plan import Request, poll_plan, split
from collectors.modbus.values import Span, modbus_connection
from config.errors import CollectError, ConnectFailed, DeviceException, ReplyShort, ReplyTimeout
from config.site import Site

ILLEGAL_ADDRESS = 2
GATEWAY_SILENT = (10, 11)


class Reply:
    """How the reply to one request is read."""

    def __init__(self, request: Request) -> None:
        self.request = request
        spans = [*(value.span for value in request.values), *request.spans]
        first = request.address
        self._decode = Decoder([(2 * (s.address - first), s.type, s.order) for s in spans])
        self._is_plain = all(value.is_plain for value in request.values)
        self._scales = [factor_and_divisor(value.scale) for value in request.values]
        floats = all(value.span.type in ("f32", "f64") for value in request.values)
        self._is_itself = floats and not request.spans and set(self._scales) == {(1, 1)}

    def found(self, wire: bytes, scales: dict[Span, Number | str]) -> Found:
        request = self.request
        numbers = self._decode(wire)
        if self._is_itself and self._is_plain and math.isfinite(sum(numbers)):
            return Found(numbers)
        for span, number in zip(request.spans, numbers[len(request.values) :], strict=True):
            scales[span] = number
        if self._is_plain:
            pairs = zip(numbers, self._scales, strict=False)
            values = [number * factor / divisor for number, (factor, divisor) in pairs]
            if math.isfinite(sum(values)):  # no value is NaN or infinite
                return Found(values)
        wanted = zip(request.values, numbers, strict=False)
        found = [value.found(number, scales) for value, number in wanted]
        return Found([value for value, _ in found], [status for _, status in found])


class ModbusLine:
    """Satisfies `collectors.lines.poll.Line`."""

    def __init__(
        self, connection: ReadOnlyConnection, timeout_s: float, clock: Clock, name: str
    ) -> None:
        self._connection = connection
        self._timeout_s = timeout_s
        self._clock = clock
        self._name = name
        self.clocks = DeviceClocks(Changes(logging.getLogger("kgce.collectors.lines")))
        self._replies: dict[Request, Reply] = {}
        self._scales: dict[Span, Number | str] = {}

    @property
    def timeout_s(self) -> float:
        return self._timeout_s

    @property
    def connects(self) -> int:
        return self._connection.connects

    @property
    def is_open(self) -> bool:
        return self._connection.is_open

    @property
    def late_replies(self) -> int:
        return self._connection.late_replies

    def take_slow(self) -> Mapping[str, float]:
        slow: Mapping[str, float] = self._connection.take_slow()
        return slow

    async def open(self) -> None:
        await self._connection.open()

    def close(self) -> None:
        self._connection.close()

    async def ask(self, question: Request, wait_s: float) -> bytes:
        wanted = (question.unit_id, question.function, question.address, question.count)
        return await self._connection.read(*wanted, wait_s)

    def found(self, question: Request, content: bytes) -> Found:
        if question.clock_of:
            return self._compare_clocks(question, content)
        reply = self._replies.get(question)
        if reply is None:
            reply = self._replies[question] = Reply(question)
        return reply.found(content, self._scales)

    def _compare_clocks(self, question: Request, content: bytes) -> Found:
        (span,) = question.spans
        shown_s = decode(content, span.type, span.order)
        self.clocks.compare(
            f"{self._name}: {question}", question.clock_of, shown_s, self._clock.now_us() / 1e6
        )
        return Found(())

    def failed(self, question: Request, status: str) -> None:
        for span in question.spans:
            self._scales[span] = status

    def is_unit_silent(self, error: CollectError) -> bool:
        if isinstance(error, DeviceException):
            return error.code in GATEWAY_SILENT
        return isinstance(error, ReplyTimeout | ConnectFailed)

    def is_refused_whole(self, error: CollectError) -> bool:
        if isinstance(error, DeviceException):
            return error.code == ILLEGAL_ADDRESS
        return isinstance(error, ReplyShort)

    def split(self, question: Request) -> tuple[Request, Request] | None:
        return split(question)


class ModbusCollector(Poller[Request]):
    """Polls one Modbus line."""

    def __init__(
        self,
        site: Site,
        connection_id: str,
        sink: Sink,
        clock: Clock | None = None,
        interval_s: float | None = None,
        stagger_ratio: float = 0.0,
    ) -> None:
        """``interval_s`` goes before the configuration's intervals. Raises ConfigError."""
        settings = modbus_connection(site, connection_id)
        clock = clock or WallClock()
        connection = ReadOnlyConnection(settings, site.folder)
        line = ModbusLine(connection, settings.timeout_s, clock, connection_id)
        plans = poll_plan(site, connection_id, interval_s)
        super().__init__(connection_id, line, plans, sink, clock, stagger_ratio)
        self.stats.clock_offset_s = line.clocks.offset_s
