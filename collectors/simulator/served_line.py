"""One line that a simulated Modbus server is asked on."""

from __future__ import annotations

import asyncio
import socket
import struct
import termios
from collections import deque
from collections.abc import Callable
from typing import Protocol

from pymodbus.transport.serialtransport import create_serial_connection

from collectors.simulator.modbus_frames import Frames
from collectors.simulator.spoiling import Fault
from config.connections import SerialPort
from config.errors import ConfigError

_PARITY = {"none": "N", "even": "E", "odd": "O"}


class Server(Protocol):
    """Who answers the requests of a line."""

    frames: Frames

    def joined(self, line: ServedLine) -> None: ...

    def left(self, line: ServedLine) -> None: ...

    def answer(self, line: ServedLine, transaction: int, unit: int, pdu: bytes) -> None: ...


class ServedLine(asyncio.Protocol):
    """One connection, or the serial port: takes requests, writes replies."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._received = bytearray()
        self._waiting: deque[tuple[bytes, float]] = deque()
        self._transport: asyncio.Transport | None = None
        self.silent_because: Fault | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._transport = None
        self._server.left(self)

    def data_received(self, data: bytes) -> None:
        self._received += data
        try:
            while self._transport is not None and (
                asked := self._server.frames.take(self._received)
            ):
                self._server.answer(self, *asked)
        except ValueError:
            self._received.clear()  # no Modbus: no later byte of it can be trusted

    def write(self, pieces: list[bytes], between_s: float = 0.0) -> None:
        """One piece after the other; never into the midst of what is being written."""
        idle = not self._waiting
        self._waiting += [(piece, between_s) for piece in pieces]
        if idle:
            self._write_next()

    def _write_next(self) -> None:
        if self._transport is None or not self._waiting:
            return
        piece, pause_s = self._waiting[0]
        self._transport.write(piece)
        asyncio.get_running_loop().call_later(pause_s, self._written)

    def _written(self) -> None:
        self._waiting.popleft()
        self._write_next()

    def end(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def reset(self) -> None:
        if self._transport is not None:
            raw = self._transport.get_extra_info("socket")
            if raw is not None:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
            self._transport = None


async def open_serial(port: SerialPort, make: Callable[[], asyncio.Protocol]) -> None:
    """Serve a serial port. Raises ConfigError."""
    try:
        await create_serial_connection(
            asyncio.get_running_loop(),
            make,
            port.device,
            baudrate=port.baud_rate,
            bytesize=port.data_bits,
            parity=_PARITY[port.parity],
            stopbits=port.stop_bits,
            timeout=0,
        )
    except (OSError, ValueError, termios.error) as error:
        raise ConfigError(
            f"{port.device}: {error}", allowed="a serial port that nobody else has open"
        ) from error
