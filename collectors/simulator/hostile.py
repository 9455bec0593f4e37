"""A Modbus server that answers wrongly on purpose, and knows what was right.

Modbus TCP, RTU over TCP, or RTU on a serial port. It reads only: functions 3 and 4, any other gets
exception 1. Which replies are spoiled, and how, is drawn from a seed (`spoiling.Plan`); what the
registers hold is the affair of `contents`. `last` says what the last request ought to have been
given, so that whoever asked can tell a right value from a wrong one.

    async with HostileServer(SerialContents(), Plan(faults_of("tcp"), 0.5, seed=1)) as server:
        ...  # ask 127.0.0.1, server.port

An RTU line is one bus, whoever is connected to it: a late reply goes to the connection of that
time. It is not sent once the next request is there: an RTU frame does not say which of two equal
requests it answers, and no client could tell.
"""

from __future__ import annotations

import asyncio
import struct
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from collectors.simulator.contents import Contents
from collectors.simulator.modbus_frames import Asked, Frames, RtuFrames, TcpFrames
from collectors.simulator.modbus_server import (
    ILLEGAL_ADDRESS,
    ILLEGAL_FUNCTION,
    ILLEGAL_VALUE,
    MAX_REGISTERS,
    READ_FUNCTIONS,
)
from collectors.simulator.served_line import ServedLine, open_serial
from collectors.simulator.spoiling import VALUE_FAULTS, Fault, Plan, spoiled
from config.connections import SerialPort
from config.errors import ConfigError

_EARLIER = 8  # replies that are kept to be sent again
_LASTING = 20  # requests that a stuck value or a stepped clock lasts for
_JUMP = (600.0, 7200.0)  # least and most step of a device's clock, in moments
_BETWEEN_BYTES_S = 0.0002
_BROKEN = frozenset((Fault.silence, Fault.reset, Fault.close, Fault.deaf, Fault.half_open))


@dataclass(frozen=True)
class Served:
    """What one request ought to have been given. ``right`` is None for an exception."""

    asked: Asked
    right: bytes | None
    fault: Fault | None


@dataclass
class _Values:
    """How the values of one unit deviate."""

    since: float = 0.0
    stuck_at: float | None = None
    jump: float = 0.0
    left: int = 0


class HostileServer:
    """Serves ``contents``, spoiled by ``plan``; ``async with`` it."""

    def __init__(
        self,
        contents: Contents,
        plan: Plan,
        *,
        framing: str = "tcp",
        host: str = "127.0.0.1",
        port: int = 0,
        serial: SerialPort | None = None,
        late_s: tuple[float, float] = (5.0, 10.0),
    ) -> None:
        """``framing``: "tcp" or "rtu"; with ``serial`` a port is served instead of a socket.

        ``late_s``: least and most delay of a late reply.
        """
        self._contents, self._plan = contents, plan
        self.frames: Frames = RtuFrames() if framing == "rtu" or serial else TcpFrames()
        self.host, self.port = host, port
        self._serial = serial
        self._late_s = late_s
        self._earlier: deque[bytes] = deque(maxlen=_EARLIER)
        self._values: dict[int, _Values] = {}
        self._lines: set[ServedLine] = set()
        self._newest: ServedLine | None = None
        self._next_is_deaf = False
        self._server: asyncio.Server | None = None
        self.last: Served | None = None
        self.told: Callable[[Served], None] | None = None  # of each request, before its reply
        self.requests = 0
        self.faults: Counter[Fault | None] = Counter()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        if self._serial is not None:
            await open_serial(self._serial, lambda: ServedLine(self))
            return self
        try:
            self._server = await loop.create_server(lambda: ServedLine(self), self.host, self.port)
        except OSError as error:
            raise ConfigError(
                f"{self.host}:{self.port}: {error.strerror or error}",
                todo="take another --port, or end the program that has this one",
            ) from error
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for line in tuple(self._lines):
            line.end()
        if self._server is not None:
            await self._server.wait_closed()

    def joined(self, line: ServedLine) -> None:
        line.silent_because = Fault.deaf if self._next_is_deaf else None
        self._next_is_deaf = False
        self._lines.add(line)
        self._newest = line

    def left(self, line: ServedLine) -> None:
        self._lines.discard(line)

    def answer(self, line: ServedLine, transaction: int, unit: int, pdu: bytes) -> None:
        self.requests += 1
        asked = Asked(self.requests, transaction, unit, pdu)
        fault = line.silent_because or self._plan.next()
        self.faults[fault] += 1
        content = self._content(asked, fault)
        right = content if isinstance(content, bytes) else None
        self.last = Served(asked, right, fault)
        if self.told is not None:
            self.told(self.last)
        reply = asked.exception(content) if isinstance(content, int) else asked.reply(content)
        if fault in _BROKEN:
            self._break(line, fault)
            return
        if fault is Fault.late:
            self._send_late(line, asked, reply)
            return
        pieces = [self.frames.frame(asked, reply)]
        if fault is not None and right is not None:
            drawn = self._plan.drawn
            pieces = spoiled(fault, self.frames, asked, reply, self._earlier, drawn)
        self._earlier.append(self.frames.frame(asked, reply))
        line.write(pieces, _BETWEEN_BYTES_S if fault is Fault.byte_by_byte else 0.0)

    def _content(self, asked: Asked, fault: Fault | None) -> bytes | int:
        """The registers' bytes, or the code of an exception."""
        if asked.function not in READ_FUNCTIONS:
            return ILLEGAL_FUNCTION
        if len(asked.pdu) != 5:
            return ILLEGAL_VALUE
        address, count = struct.unpack(">HH", asked.pdu[1:])
        if not 1 <= count <= MAX_REGISTERS:
            return ILLEGAL_VALUE
        if address + count > 65536:
            return ILLEGAL_ADDRESS
        now = self._contents.moment(asked.serial)
        values = self._values.setdefault(asked.unit, _Values())
        at = self._shown_moment(values, now, fault)

        def read(moment: float) -> bytes | int:
            return self._contents.read(
                asked.unit, asked.function, address, count, moment, values.since
            )

        content = read(at)
        before = read(at - 1) if fault is Fault.torn else content
        if isinstance(content, bytes) and isinstance(before, bytes) and fault is Fault.torn:
            cut = 2 * self._plan.drawn.randrange(1, count + 1)
            return before[:cut] + content[cut:]
        return content

    def _shown_moment(self, values: _Values, now: float, fault: Fault | None) -> float:
        values.left = max(0, values.left - 1)
        if not values.left:
            values.stuck_at, values.jump = None, 0.0
        if fault in VALUE_FAULTS and fault is not Fault.torn:
            drawn = self._plan.drawn
            if fault is Fault.rollover:
                values.since = now
            else:
                values.left = _LASTING
                values.stuck_at = now if fault is Fault.stuck else None
                sign = drawn.choice((-1, 1))
                values.jump = sign * drawn.uniform(*_JUMP) if fault is Fault.clock_jump else 0.0
        return values.stuck_at if values.stuck_at is not None else now + values.jump

    def _break(self, line: ServedLine, fault: Fault) -> None:
        if fault is Fault.half_open:
            line.silent_because = fault
        elif fault is Fault.reset:
            line.reset()
        elif fault is Fault.close:
            line.end()
        elif fault is Fault.deaf and line.silent_because is None:
            self._next_is_deaf = True
            line.end()

    def _send_late(self, line: ServedLine, asked: Asked, reply: bytes) -> None:
        def send() -> None:
            if isinstance(self.frames, TcpFrames):
                line.write([frame])
            elif self.requests == asked.serial and self._newest is not None:
                self._newest.write([frame])

        frame = self.frames.frame(asked, reply)
        delay_s = self._plan.drawn.uniform(*self._late_s)
        asyncio.get_running_loop().call_later(delay_s, send)
