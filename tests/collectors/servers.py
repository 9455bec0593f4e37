"""A Modbus TCP server that answers as a test tells it, rightly or wrongly."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Asked:
    """A request as it came over the wire."""

    transaction: int
    unit_id: int
    function: int
    address: int
    count: int

    def frame(
        self, pdu: bytes, *, transaction: int | None = None, unit_id: int | None = None
    ) -> bytes:
        """An answer with the header that fits, but for what is given."""
        here = self.transaction if transaction is None else transaction
        unit = self.unit_id if unit_id is None else unit_id
        return struct.pack(">HHHB", here, 0, len(pdu) + 1, unit) + pdu

    def pdu(self, registers: Sequence[int]) -> bytes:
        count = len(registers)
        return struct.pack(f">BB{count}H", self.function, 2 * count, *registers)

    def reply(self, registers: Sequence[int]) -> bytes:
        return self.frame(self.pdu(registers))

    def exception(self, code: int) -> bytes:
        return self.frame(bytes([self.function | 0x80, code]))

    @property
    def addresses(self) -> range:
        return range(self.address, self.address + self.count)


SILENCE = b""
CLOSE = None
Answer = bytes | None


def own_addresses(asked: Asked) -> Answer:
    """Each register holds its own address: a wrong address shows as a wrong value."""
    return asked.reply(list(asked.addresses))


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class TcpServer:
    """A TCP server on a port of its own, whose connections end with it."""

    def __init__(self, handler: Handler, tls: ssl.SSLContext | None = None) -> None:
        self.port = free_port()
        self.connections = 0
        self._handler = handler
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def listen(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, ssl=self._tls
        )

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self.hang_up()
            await self._server.wait_closed()

    async def hang_up(self) -> None:
        """Close every connection."""
        tasks = list(self._open)
        for writer in self._open.values():
            writer.close()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        self.connections += 1
        try:
            await self._handler(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            del self._open[task]
            writer.close()


class ScriptedServer(TcpServer):
    """Answers each request with what ``answer`` returns; SILENCE and CLOSE are answers too."""

    def __init__(
        self,
        answer: Callable[[Asked], Answer | Awaitable[Answer]],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(self._converse, tls)
        self.answer = answer
        self.asked: list[Asked] = []
        self.wire = b""  # every byte that came

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            header = await reader.readexactly(7)
            transaction, _protocol, length, unit_id = struct.unpack(">HHHB", header)
            body = await reader.readexactly(length - 1)
            self.wire += header + body
            asked = Asked(transaction, unit_id, *struct.unpack(">BHH", body))
            self.asked.append(asked)
            answer = self.answer(asked)
            answer = await answer if isinstance(answer, Awaitable) else answer
            if answer is CLOSE:
                return
            writer.write(answer)
            await writer.drain()
