"""MQTT packets out of the socket, many to a read.

paho reads each packet by three calls or more, and builds objects for it that nobody here needs.
Messages of QoS 0 and 1 that are whole are therefore taken here. Every other packet, and whatever
cannot be read, is left to paho, which judges it as ever.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import NamedTuple, Protocol

_READ_BYTES = 1 << 18
_READS_PER_TURN = 4  # so that a fast broker cannot keep a turn from ending
_LONGEST_LENGTH_BYTES = 4  # MQTT 5.0, 1.5.5
_PUBLISH = 0x30
_MALFORMED = -1


class Message(NamedTuple):
    """A PUBLISH packet. ``mid`` is its packet identifier; 0 with QoS 0."""

    topic: bytes
    payload: bytes
    mid: int
    qos: int
    retain: bool
    dup: bool


class _Stream(Protocol):
    """What is used of a socket or an SSL socket."""

    def recv(self, size: int, /) -> bytes: ...
    def send(self, data: bytes | bytearray, /) -> int: ...
    def close(self) -> None: ...
    def fileno(self) -> int: ...
    def setblocking(self, flag: bool, /) -> None: ...


class PacketSocket:
    """A socket that reads ahead: paho's ``recv`` is served from what `fill` has read."""

    def __init__(self, stream: _Stream, *, version5: bool) -> None:
        self._stream = stream
        self._version5 = version5
        self._data = b""
        self._at = 0
        self._chunks: list[bytes] = []  # the rest of a packet longer than what has come
        self._chunk_bytes = 0
        self._needed_bytes = 0  # what the packet at ``_at`` still lacked when it was looked at
        self._end: OSError | None = None
        self._ended = False
        self.more = False  # the last `fill` ended before the stream was empty

    def fill(self) -> bool:
        """Read what has come; whether anything has. Errors show once the bytes before are used."""
        came = False
        self.more = False
        try:
            for _ in range(_READS_PER_TURN):
                chunk = self._stream.recv(_READ_BYTES)
                if not chunk:
                    self._ended = True
                    break
                came = True
                self._chunks.append(chunk)
                self._chunk_bytes += len(chunk)
                # A TLS record is at most 16 KB: what the record layer holds shows in no select.
                if len(chunk) < _READ_BYTES and not isinstance(self._stream, ssl.SSLSocket):
                    break
            else:
                self.more = True
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError as error:
            self._end = error
        if self._chunk_bytes >= self._needed_bytes or self._ended or self._end is not None:
            self._data = self._data[self._at :] + b"".join(self._chunks)
            self._at, self._needed_bytes = 0, 0
            self._chunks, self._chunk_bytes = [], 0
        return came

    def messages(self, most: int) -> list[Message]:
        """Up to ``most`` messages, as far as no other packet stands before them."""
        found: list[Message] = []
        data, at, size = self._data, self._at, len(self._data)
        while len(found) < most and size - at >= 2:
            head = data[at]
            if head & 0xF4 != _PUBLISH or head & 6 == 6:  # another packet; QoS 2 or 3
                break
            length, body = data[at + 1], at + 2
            if length & 0x80:
                length, body = _number(data, at + 1)
            end = body + length
            if body < 0 or end > size:
                break
            message = self._message(data, head, body, end)
            if message is None:
                break
            found.append(message)
            at = end
        self._at = at
        return found

    def _message(self, data: bytes, head: int, body: int, end: int) -> Message | None:
        """The message in ``data[body:end]``; None where paho shall judge it."""
        payload_at = body + 2
        if payload_at > end:
            return None
        payload_at += data[body] << 8 | data[body + 1]
        topic, mid = data[body + 2 : payload_at], 0
        if head & 2:
            if payload_at + 2 > end:
                return None
            mid = data[payload_at] << 8 | data[payload_at + 1]
            payload_at += 2
        if self._version5:
            if payload_at >= end:
                return None
            length, payload_at = _number(data, payload_at)
            if payload_at < 0:
                return None
            payload_at += length
        if payload_at > end or not topic or (head & 2 and not mid):
            return None
        return Message(
            topic, data[payload_at:end], mid, (head & 6) >> 1, head & 1 == 1, head & 8 == 8
        )

    def has_packet(self) -> bool:
        """Whether paho can read something at once: a whole packet, a broken one, or the end."""
        left = len(self._data) - self._at
        if self._ended or self._end is not None:
            return True
        if left < 2:
            return False
        length, body = _number(self._data, self._at + 1)
        if body < 0:
            return length == _MALFORMED
        self._needed_bytes = max(body + length - len(self._data), 0)
        return self._needed_bytes == 0

    # What paho calls.

    def recv(self, size: int) -> bytes:
        if self._at < len(self._data):
            part = self._data[self._at : self._at + size]
            self._at += len(part)
            return part
        if self._end is not None:
            raise self._end
        if self._ended:
            return b""
        raise BlockingIOError

    def send(self, data: bytes | bytearray) -> int:
        return self._stream.send(data)

    def close(self) -> None:
        self._stream.close()

    def fileno(self) -> int:
        return self._stream.fileno()

    def setblocking(self, flag: bool) -> None:
        self._stream.setblocking(flag)


def _number(data: bytes, at: int) -> tuple[int, int]:
    """The variable byte integer at ``at``, and where it ends.

    (-1, -1) where it is malformed, (0, -1) where its end has not come.
    """
    number = 0
    for place in range(_LONGEST_LENGTH_BYTES):
        if at + place >= len(data):
            return 0, -1
        byte = data[at + place]
        number |= (byte & 0x7F) << 7 * place
        if not byte & 0x80:
            return number, at + place + 1
    return _MALFORMED, -1


def acknowledgements(mids: Sequence[int]) -> bytes:
    """PUBACK packets for ``mids``, in this order (success; the same in both versions)."""
    return b"".join([b"\x40\x02" + mid.to_bytes(2, "big") for mid in mids])
