"""A Modbus TCP connection that can read registers, and can do nothing else.

pymodbus encodes the requests and keeps the socket. What it does not check is checked here, byte by
byte, before it sees a reply: transaction, protocol, unit, function, length and byte count
(Modbus Messaging on TCP/IP Implementation Guide V1.0b, 3.1.3; Application Protocol V1.1b3, 6.3).
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Awaitable, Callable
from typing import Any

from pymodbus import exceptions as pymodbus_errors
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.pdu import ModbusPDU

from config.errors import (
    CollectError,
    ConnectFailed,
    DeviceException,
    ReplyRefused,
    ReplyTimeout,
)

READ_FUNCTIONS = (3, 4)
_HEADER_BYTES = 6  # transaction, protocol, length; the length counts what follows
_SHORTEST, _LONGEST = 3, 254  # unit, function and one byte; unit and a PDU of 253 bytes
_PYMODBUS_SLACK_S = 5.0  # its own time-out must come after ours: ours knows the reason
_NEVER = 1_000_000_000
_BUFFER_BYTES = 4096

EXCEPTION_NAMES = {
    1: "illegal function", 2: "illegal data address", 3: "illegal data value",
    4: "device failure", 5: "acknowledge", 6: "device busy", 8: "memory parity error",
    10: "gateway path unavailable", 11: "gateway target failed to respond",
}  # fmt: skip

# First match wins: TimeoutError is an OSError.
_MEANING: tuple[tuple[type[Exception], type[CollectError]], ...] = (
    (TimeoutError, ReplyTimeout),
    (OSError, ConnectFailed),
    (pymodbus_errors.ConnectionException, ConnectFailed),
    (pymodbus_errors.ModbusException, ReplyRefused),
    (Exception, ReplyRefused),
)

# It logs every failed poll; the collector logs when trouble begins and when it ends.
if logging.getLogger("pymodbus").level == logging.NOTSET:
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)


def collect_error(error: Exception) -> CollectError:
    """``error`` of asyncio, the socket or pymodbus as one of ours; ours are left as they are."""
    if isinstance(error, CollectError):
        return error
    ours = next(ours for theirs, ours in _MEANING if isinstance(error, theirs))
    return ours(f"{type(error).__name__}: {error}")


def check_reply(asked: bytes, received: bytes) -> int:
    """Compare the bytes ``received`` with the request frame ``asked``.

    Returns the bytes of a reply that is not whole yet: 0 where none is under way. Late replies to
    earlier requests are passed over. Raises ReplyRefused where the reply does not fit the request.
    """
    rest = received
    while len(rest) >= _HEADER_BYTES:
        transaction, protocol, length = struct.unpack(">HHH", rest[:_HEADER_BYTES])
        if protocol != 0 or not _SHORTEST <= length <= _LONGEST:
            raise ReplyRefused(f"a reply with protocol {protocol} and length {length}")
        if len(rest) < _HEADER_BYTES + length:
            break
        frame, rest = rest[: _HEADER_BYTES + length], rest[_HEADER_BYTES + length :]
        if 0 < transaction < int.from_bytes(asked[:2], "big"):
            continue
        _check_frame(asked, frame)
        return 0
    return len(rest)


def _check_frame(asked: bytes, frame: bytes) -> None:
    if frame[:2] != asked[:2] or frame[6] != asked[6]:
        raise ReplyRefused(
            f"a reply of transaction {int.from_bytes(frame[:2], 'big')}, unit {frame[6]} to "
            f"transaction {int.from_bytes(asked[:2], 'big')}, unit {asked[6]}"
        )
    function, wanted = frame[7], asked[7]
    content = len(frame) - 8
    if function == wanted | 0x80:
        if content != 1:
            raise ReplyRefused(f"an exception of {content} bytes instead of 1")
        return
    if function != wanted:
        raise ReplyRefused(f"a reply of function {function} to function {wanted}")
    data_bytes = 2 * int.from_bytes(asked[10:12], "big")
    if frame[8] != data_bytes or content != data_bytes + 1:
        raise ReplyRefused(
            f"a reply of {content - 1} bytes that counts {frame[8]}, instead of {data_bytes}"
        )


_Reader = Callable[..., Awaitable[ModbusPDU]]


async def _begun(reader: _Reader, address: int, count: int, unit_id: int) -> ModbusPDU:
    """The call itself may raise; inside a coroutine that is an outcome like any other."""
    return await reader(address, count=count, device_id=unit_id)


class ReadOnlyConnection:
    """One TCP connection, one request at a time. Only functions 3 and 4 can be asked.

    The pymodbus client itself is not kept: its two read methods are, and each frame that it would
    send is looked at once more before it leaves.
    """

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        client = AsyncModbusTcpClient(
            host,
            port=port,
            timeout=timeout_s + _PYMODBUS_SLACK_S,
            retries=0,
            reconnect_delay=0,
            trace_packet=self._look_at,
            trace_connect=self._connection_changed,
        )
        # Left alone it hangs up after some time-outs: dead units would cost the live ones theirs.
        client.set_max_no_responses(_NEVER)
        # It drops what is longer; a late reply and the one awaited may come together.
        client.ctx.max_buffer_size = _BUFFER_BYTES
        # Its own connect() keeps the reason of a failure to itself.
        self._open: Callable[[], Awaitable[object]] = client.ctx.call_create
        self._close = client.close
        self._readers: dict[int, _Reader] = {
            3: client.read_holding_registers,
            4: client.read_input_registers,
        }
        self._peer = f"{host}:{port}"
        self._timeout_s = timeout_s
        self._asked = b""
        self._unfinished = 0
        self._trouble: asyncio.Future[CollectError] | None = None
        self.is_open = False

    @classmethod
    async def open(cls, host: str, port: int, timeout_s: float) -> ReadOnlyConnection:
        """Connect within ``timeout_s``. Raises ConnectFailed."""
        connection = cls(host, port, timeout_s)
        try:
            async with asyncio.timeout(timeout_s):
                await connection._open()
        except TimeoutError:
            connection.close()
            raise ConnectFailed(f"{host}:{port} took no connection in {timeout_s:g} s") from None
        except Exception as error:
            connection.close()
            raise ConnectFailed(f"{host}:{port}: {error}") from error
        return connection

    def close(self) -> None:
        self.is_open = False
        self._close()

    async def read(self, unit_id: int, function: int, address: int, count: int) -> bytes:
        """The bytes of ``count`` registers, as they stand on the wire.

        Raises ConnectFailed, ReplyTimeout, DeviceException or ReplyRefused. After a ReplyRefused
        the connection is closed: whatever else lies in it cannot be told apart.
        """
        self._unfinished = 0
        self._trouble = asyncio.get_running_loop().create_future()
        asking = asyncio.ensure_future(_begun(self._readers[function], address, count, unit_id))
        either: set[asyncio.Future[Any]] = {asking, self._trouble}
        try:
            await asyncio.wait(either, timeout=self._timeout_s, return_when=asyncio.FIRST_COMPLETED)
            return self._outcome(asking, count)
        except ReplyRefused:
            self.close()
            raise
        finally:
            self._trouble = None
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    def _outcome(self, asking: asyncio.Future[ModbusPDU], count: int) -> bytes:
        if not asking.done():
            if self._trouble is not None and self._trouble.done():
                raise self._trouble.result()
            if self._unfinished:
                raise ReplyRefused(f"a reply that stops after {self._unfinished} bytes")
            raise ReplyTimeout(f"no reply in {self._timeout_s:g} s")
        try:
            reply = asking.result()
        except Exception as error:
            raise collect_error(error) from error
        if reply.isError():
            code = reply.exception_code
            name = EXCEPTION_NAMES.get(code, "unknown")
            raise DeviceException(f"exception {code} ({name})", code)
        if len(reply.registers) != count:
            raise ReplyRefused(f"{len(reply.registers)} registers instead of {count}")
        return struct.pack(f">{count}H", *reply.registers)

    def _look_at(self, sending: bool, data: bytes) -> bytes:
        """What pymodbus may send, and what it may see of what came."""
        if sending:
            if data[7] not in READ_FUNCTIONS:
                raise CollectError(f"function {data[7]} is no read of registers: not sent")
            self._asked = data
            return data
        if self._trouble is None:
            return b""  # nothing is asked; pymodbus drops these bytes before it sends the next
        try:
            self._unfinished = check_reply(self._asked, data)
        except ReplyRefused as error:
            self._give_up(error)
            return b""
        return data

    def _connection_changed(self, connected: bool) -> None:
        self.is_open = connected
        if not connected:
            self._give_up(ConnectFailed(f"{self._peer} closed the connection"))

    def _give_up(self, error: CollectError) -> None:
        if self._trouble is not None and not self._trouble.done():
            self._trouble.set_result(error)
