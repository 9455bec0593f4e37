"""A stream of bytes to one peer, over TCP, TLS or a serial port, with one question in flight.

What is sent, and which bytes are the reply, is the protocol's affair; when to stop waiting is
decided here. Bytes that come while nothing is asked are never taken for a reply.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import termios
from collections.abc import Callable
from contextlib import suppress

from pymodbus.transport.serialtransport import create_serial_connection
from serial import SerialException

from config.connections import SerialPort
from config.errors import CollectError, ConnectFailed, ReplyRefused, ReplyTimeout

Take = Callable[[bytearray], bytes | None]
"""Looks at what came since the question. Removes the reply from it and returns its content once it
is whole; returns None until then. Raises CollectError for what is no reply to the question."""

MOST_BYTES = 65_536  # no protocol here has longer replies: more is a flood
_PARITY = {"none": "N", "even": "E", "odd": "O"}
_KEEP_ALIVE = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))


class Channel(asyncio.Protocol):
    """One open stream. Made by `open_tcp` or `open_serial`."""

    def __init__(self, peer: str) -> None:
        self._peer = peer
        self._received = bytearray()
        self._take: Take | None = None
        self._answer: asyncio.Future[bytes] | None = None
        self._transport: asyncio.Transport | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._deadline_s = self._timeout_s = 0.0
        self.is_open = False
        self.on_stray: Callable[[bytearray], None] = lambda _: None
        """Looks at what came while nothing was asked; may remove what it knows."""

    async def ask(self, question: bytes, take: Take, timeout_s: float) -> bytes:
        """Send ``question`` and return what ``take`` makes of the reply. One at a time.

        Raises ConnectFailed, ReplyTimeout, ReplyRefused, and whatever ``take`` raises.
        """
        if self._transport is None or not self.is_open:
            raise ConnectFailed(f"{self._peer} is not connected")
        self._received.clear()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bytes] = loop.create_future()
        self._answer = answer
        self._take = take
        self._timeout_s, self._deadline_s = timeout_s, loop.time() + timeout_s
        if self._watch is None or self._watch.when() > self._deadline_s:
            self._watch_until(self._deadline_s)
        try:
            self._transport.write(question)
            return await answer
        finally:
            self._take = self._answer = None

    @property
    def surplus(self) -> int:
        """Bytes that came and are no part of a reply."""
        return len(self._received)

    async def listen(self, for_s: float) -> int:
        """Wait until nothing has come for ``for_s`` (four times that at the most); drop all of it.

        Returns the number of bytes that were dropped.
        """
        dropped = 0
        for _ in range(4):
            await asyncio.sleep(for_s)
            if not self._received:
                break
            dropped += len(self._received)
            self._received.clear()
        return dropped

    def close(self) -> None:
        self.is_open = False
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if self._transport is not None:
            # Not close(): that would wait for a peer that takes nothing more.
            self._transport.abort()
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) > MOST_BYTES:
            self._end(ReplyRefused(f"{self._peer} sends without end"))
            self.close()
        if self._take is None:
            self.on_stray(self._received)
            return
        try:
            content = self._take(self._received)
        except CollectError as error:
            self._end(error)
        else:
            if content is not None and self._answer is not None and not self._answer.done():
                self._take = None
                self._answer.set_result(content)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        why = f": {exc}" if exc else ""
        self._end(ConnectFailed(f"{self._peer} closed the connection{why}"))

    def _watch_until(self, when_s: float) -> None:
        # One timer for many questions: most are answered long before it, and move it on.
        if self._watch is not None:
            self._watch.cancel()
        self._watch = asyncio.get_running_loop().call_at(when_s, self._look_at_the_time)

    def _look_at_the_time(self) -> None:
        self._watch = None
        if self._answer is None:
            return
        if asyncio.get_running_loop().time() < self._deadline_s:
            self._watch_until(self._deadline_s)
        elif self._received:
            self._end(ReplyRefused(f"a reply that stops after {len(self._received)} bytes"))
        else:
            self._end(ReplyTimeout(f"no reply in {self._timeout_s:g} s"))

    def _end(self, error: CollectError) -> None:
        self._take = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


async def open_tcp(
    host: str,
    port: int,
    timeout_s: float,
    tls: ssl.SSLContext | None = None,
    server_name: str | None = None,
) -> Channel:
    """Connect within ``timeout_s``. ``server_name``: the name that the certificate must bear,
    default ``host``. Raises ConnectFailed."""
    peer = f"{host}:{port}"
    channel = Channel(peer)
    loop = asyncio.get_running_loop()
    name = (server_name or host) if tls is not None else None
    try:
        async with asyncio.timeout(timeout_s):
            transport, _ = await loop.create_connection(
                lambda: channel, host, port, ssl=tls, server_hostname=name
            )
    except TimeoutError:
        channel.close()
        raise ConnectFailed(f"{peer} took no connection in {timeout_s:g} s") from None
    except ssl.SSLError as error:
        raise ConnectFailed(
            f"{peer}: TLS: {error.reason or error}",
            todo="check tls.ca_file, tls.server_name and the certificates' dates on both sides",
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a host name that no resolver takes
        raise ConnectFailed(f"{peer}: {error}") from error
    raw = transport.get_extra_info("socket")
    if raw is not None:
        _keep_alive(raw)
    return channel


def _keep_alive(raw: socket.socket) -> None:
    """So that a peer that vanished without a word is noticed within a minute."""
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE:
        if hasattr(socket, name):
            raw.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def open_serial(port: SerialPort) -> Channel:
    """Open a serial port for us alone. Raises ConnectFailed."""
    channel = Channel(port.device)
    opened = asyncio.Event()
    made = channel.connection_made

    def connection_made(transport: asyncio.BaseTransport) -> None:
        made(transport)
        opened.set()

    channel.connection_made = connection_made  # type: ignore[method-assign]
    try:
        transport, _ = await create_serial_connection(
            asyncio.get_running_loop(),
            lambda: channel,
            port.device,
            baudrate=port.baud_rate,
            bytesize=port.data_bits,
            parity=_PARITY[port.parity],
            stopbits=port.stop_bits,
            timeout=0,
        )
    # SerialException is an OSError; termios refuses parities and speeds in its own words.
    except (OSError, ValueError, termios.error) as error:
        raise ConnectFailed(f"{port.device}: {_reason(error)}", todo=_advice(error)) from error
    await opened.wait()
    if port.parity != "none":
        with suppress(termios.error):  # a port that cannot tell passes them on
            _spoil_wrong_parity(transport.sync_serial.fileno())  # type: ignore[attr-defined]
    return channel


def _spoil_wrong_parity(port: int) -> None:
    """pyserial passes bytes of wrong parity on; from now on they come as 00, and no check sum fits.

    ``port``: its file descriptor. Raises termios.error.
    """
    attributes = termios.tcgetattr(port)
    attributes[0] |= termios.INPCK
    termios.tcsetattr(port, termios.TCSANOW, attributes)


def _reason(error: Exception) -> str:
    if isinstance(error, SerialException) and error.errno is not None:
        return errno.errorcode.get(error.errno, str(error.errno)) + f": {error}"
    return str(error)


def _advice(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number == errno.ENOENT:
        return "check the device name: `ls -l /dev/serial/by-id` shows the ports that are there"
    if number in (errno.EACCES, errno.EPERM):
        return "give the user of kgce the port: usually `usermod -aG dialout <user>`"
    if number in (errno.EAGAIN, errno.EBUSY):
        return "another program has the port open; one master alone may talk on a bus"
    return "check serial.device in plant.yaml; it must be a serial port"
