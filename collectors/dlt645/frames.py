"""DL/T 645-2007 frames: the three requests that read, and what counts as the reply to one.

    68  A0..A5  68  C  L  data  CS  16        wake bytes FE may stand before it

A is the meter's address, low byte first; L counts the data; each byte of data travels with 33
added; CS is the sum of everything before it, modulo 256. Reading data, reading the data that
follow and reading an address are the only requests that can be encoded here. A reply is compared
with its request: address, control code, identifier, sequence number, length, check sum.

The codec of the package ``dlt645`` is not used: it skips damaged frames in silence, compares
nothing with the request, and can encode writing and clearing.
"""

from __future__ import annotations

from functools import lru_cache

from config.errors import CollectError, DeviceException, ReplyRefused

READ, READ_FOLLOWING, READ_ADDRESS = 0x11, 0x12, 0x13
READS = (READ, READ_FOLLOWING, READ_ADDRESS)

_REPLY, _MORE, _ERROR = 0x80, 0xA0, 0xC0  # added to the control code of the request
START, END, WAKE = 0x68, 0x16, 0xFE
_MASK = 0x33
_GLITCHES = b"\x00\xfe\xff"  # what a line shows while its direction changes
FRAME_BYTES = 12  # of a frame without data
ID_BYTES = 4
MOST_DATA = 200  # bytes of data in one reply
MOST_FOLLOWING = 15  # frames that are fetched behind the first

ANYBODY = "AAAAAAAAAAAA"  # answered by whoever is alone on the line
BROADCAST = "999999999999"  # nobody answers it

ERROR_NAMES = {
    0x01: "other error", 0x02: "no such data", 0x04: "wrong password or no permission",
    0x08: "baud rate cannot be changed", 0x10: "too many annual time zones",
    0x20: "too many day tables", 0x40: "too many tariffs", 0x80: "reserved bit",
}  # fmt: skip
NO_SUCH_DATA = 0x02


def error_text(code: int) -> str:
    """The bits of an error byte by name.

    >>> error_text(0x06)
    'no such data, wrong password or no permission'
    """
    return ", ".join(name for bit, name in ERROR_NAMES.items() if code & bit) or "no bit set"


@lru_cache(4096)
def encode(control: int, address: str, data: bytes = b"") -> bytes:
    """The frame of a request, without wake bytes.

    ``address``: 12 digits as printed on the meter. ``data``: as meant, before 33 is added.
    Raises CollectError for anything that is no reading of one meter.
    """
    if control not in READS or address == BROADCAST or len(address) != 12:
        raise CollectError(
            f"control code {control:02X} to {address}: not sent",
            allowed="control codes 11, 12 and 13 to the 12 digits of one meter",
        )
    masked = bytes((byte + _MASK) & 0xFF for byte in data)
    frame = bytes([START, *bytes.fromhex(address)[::-1], START, control, len(data)]) + masked
    return frame + bytes([sum(frame) & 0xFF, END])


def _next_frame(received: bytearray) -> bytes | None:
    """The first whole frame, taken out of ``received``; None until it is whole.

    What stands before its first byte is skipped. Raises ReplyRefused for a damaged frame.
    """
    start = received.find(START)
    if start < 0:
        return None
    del received[:start]
    if len(received) > 7 and received[7] != START:
        raise ReplyRefused(f"a reply without its second 68: {received[:10].hex(' ')}")
    if len(received) < 10:
        return None
    length = received[9]
    if length > MOST_DATA:
        raise ReplyRefused(f"a reply with {length} bytes of data; at most {MOST_DATA} are allowed")
    if len(received) < FRAME_BYTES + length:
        return None
    frame = bytes(received[: FRAME_BYTES + length])
    if frame[-2] != sum(frame[:-2]) & 0xFF or frame[-1] != END:
        raise ReplyRefused(f"a reply of {len(frame)} bytes with a wrong check sum or end")
    del received[: FRAME_BYTES + length]
    return frame


def _drop_glitches(received: bytearray) -> None:
    """Forget what came where it is nothing but glitches."""
    if not received.strip(_GLITCHES):
        received.clear()


class Dialogue:
    """Packs the requests of one line, and finds their replies. One request is in flight.

    ``more`` tells whether the meter announced, with its last reply, that data follow.
    """

    def __init__(self, wake_bytes: int) -> None:
        self._wake = bytes([WAKE] * wake_bytes)
        self._frame = b""
        self._address = ANYBODY
        self._data_id = b""
        self._sequence = 0
        self.more = False

    def read(self, address: str, data_id: str) -> bytes:
        """The request for ``data_id`` (DI3 DI2 DI1 DI0 as printed) of one meter."""
        self._address, self._data_id = address, bytes.fromhex(data_id)[::-1]
        self._sequence = 0
        return self._request(READ, self._data_id)

    def read_following(self) -> bytes:
        """The request for the data that follow those of the last reply. Raises ReplyRefused."""
        if self._sequence == MOST_FOLLOWING:
            raise ReplyRefused(f"more than {MOST_FOLLOWING} frames follow")
        self._sequence += 1
        return self._request(READ_FOLLOWING, self._data_id + bytes([self._sequence]))

    def read_address(self) -> bytes:
        """The request for the address of the one meter on the line."""
        self._address, self._data_id = ANYBODY, b""
        return self._request(READ_ADDRESS, b"")

    def take(self, received: bytearray) -> bytes | None:
        """See `collectors.lines.channel.Take`: the data, without identifier and sequence number.

        Raises DeviceException and ReplyRefused.
        """
        while (frame := _next_frame(received)) is not None:
            if frame == self._frame:
                continue  # an interface that hears itself
            _drop_glitches(received)
            return self._content(frame)
        _drop_glitches(received)  # a meter that is silent on a noisy line is silent
        return None

    def _request(self, control: int, data: bytes) -> bytes:
        self.more = False
        self._frame = encode(control, self._address, data)
        return self._wake + self._frame

    def _content(self, frame: bytes) -> bytes:
        address, asked, control = frame[6:0:-1].hex(), self._frame[8], frame[8]
        data = bytes((byte - _MASK) & 0xFF for byte in frame[10:-2])
        if address != self._address and self._address != ANYBODY:
            raise ReplyRefused(f"a reply of meter {address} to a request to {self._address}")
        if control == asked | _ERROR:
            if len(data) != 1:
                raise ReplyRefused(f"an error reply with {len(data)} bytes instead of 1")
            raise DeviceException(f"error {data[0]} ({error_text(data[0])})", data[0])
        if control not in (asked | _REPLY, asked | _MORE):
            raise ReplyRefused(f"a reply with control code {control:02X} to {asked:02X}")
        if asked == READ_ADDRESS:
            if data != frame[1:7]:
                raise ReplyRefused(f"meter {address} says that it is {data[::-1].hex()}")
            return data
        return self._data(data, more=control == asked | _MORE)

    def _data(self, data: bytes, *, more: bool) -> bytes:
        if data[:ID_BYTES] != self._data_id:
            raise ReplyRefused(
                f"a reply with data {data[ID_BYTES - 1 :: -1].hex().upper()} to a request for "
                f"{self._data_id[::-1].hex().upper()}"
            )
        content = data[ID_BYTES:]
        if self._sequence:
            if content[-1:] != bytes([self._sequence]):
                raise ReplyRefused(
                    f"frame {content[-1:].hex()} to a request for frame {self._sequence}"
                )
            content = content[:-1]
        if not content:
            raise ReplyRefused("a reply with an identifier and no data")
        self.more = more
        return content
