"""A bus of DL/T 645 meters behind a TCP port, that answers as a test tells it.

Frames are made and read here by code of its own, so that a mistake of the collector shows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.collectors.servers import TcpServer

Steps = list[bytes | float]
"""What is sent; a number is a rest in seconds."""
Answer = bytes | Steps | None
SILENCE = b""
CLOSE = None

READ, FOLLOWING, ADDRESS = 0x11, 0x12, 0x13


def frame(address: str, control: int, data: bytes) -> bytes:
    """A frame: address as printed on the meter, data before 33 is added."""
    pairs = [address[i : i + 2] for i in (10, 8, 6, 4, 2, 0)]
    body = bytes([0x68, *(int(pair, 16) for pair in pairs), 0x68, control, len(data)])
    body += bytes((byte + 0x33) % 256 for byte in data)
    return body + bytes([sum(body) % 256, 0x16])


@dataclass(frozen=True)
class Asked:
    """A request as it came over the wire; ``data`` without the 33."""

    address: str
    control: int
    data: bytes
    wire: bytes

    @property
    def data_id(self) -> str:
        return self.data[3::-1].hex().upper()

    def reply(self, content: str | bytes, *, more: bool = False, sequence: int = 0) -> bytes:
        """The normal reply: ``content`` as on the wire, low byte first, before 33 is added."""
        content = bytes.fromhex(content) if isinstance(content, str) else content
        tail = bytes([sequence]) if sequence else b""
        return self.frame(self.data[:4] + content + tail, 0xA0 if more else 0x80)

    def error(self, code: int) -> bytes:
        return self.frame(bytes([code]), 0xC0)

    def frame(self, data: bytes, bits: int, *, address: str | None = None) -> bytes:
        return frame(self.address if address is None else address, self.control | bits, data)


class MeterBus(TcpServer):
    """Answers each request with what ``answer`` returns; SILENCE and CLOSE are answers too."""

    def __init__(self, answer: Callable[[Asked], Answer | Awaitable[Answer]]) -> None:
        super().__init__(self._converse)
        self.answer = answer
        self.asked: list[Asked] = []
        self.wire = b""  # every byte that came
        self.wakes: list[int] = []  # bytes FE before each frame
        self.left_over = b""  # what whoever connects hears first

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self.left_over)
        while True:
            asked = await self._next(reader)
            self.asked.append(asked)
            answer = self.answer(asked)
            answer = await answer if isinstance(answer, Awaitable) else answer
            if answer is CLOSE:
                return
            for step in [answer] if isinstance(answer, bytes) else answer:
                if isinstance(step, bytes):
                    writer.write(step)
                    await writer.drain()
                else:
                    await asyncio.sleep(step)

    async def _next(self, reader: asyncio.StreamReader) -> Asked:
        wakes = 0
        while (first := await reader.readexactly(1)) == b"\xfe":
            self.wire += first
            wakes += 1
        head = first + await reader.readexactly(9)
        rest = await reader.readexactly(head[9] + 2)
        wire = head + rest
        self.wire += wire
        self.wakes.append(wakes)
        assert head[0] == head[7] == 0x68
        assert rest[-1] == 0x16
        assert rest[-2] == sum(wire[:-2]) % 256
        data = bytes((byte - 0x33) % 256 for byte in rest[:-2])
        return Asked(head[6:0:-1].hex().upper(), head[8], data, wire)


class Meters:
    """Meters that know their data: by address, by data identifier, hex as on the wire.

    A datum that a meter does not have is answered with error 2; a meter that is not there is
    silent, as on a bus.
    """

    def __init__(self, data: dict[str, dict[str, str]]) -> None:
        self.data = data

    def __call__(self, asked: Asked) -> Answer:
        known = self.data.get(asked.address)
        if known is None:
            return SILENCE
        content = known.get(asked.data_id)
        return asked.error(2) if content is None else b"\xfe\xfe" + asked.reply(content)
