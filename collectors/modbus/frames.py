"""Modbus requests, and what counts as the reply to one: MBAP (TCP, TLS) and RTU framing.

Reads are the only requests that can be encoded here. A reply is compared byte by byte with its
request: transaction, protocol, unit, function, length, byte count, check sum (Modbus Messaging on
TCP/IP Implementation Guide V1.0b, 3.1.3; Application Protocol V1.1b3, 6.3; Serial Line V1.02, 2.5).
"""

from __future__ import annotations

import struct
import time
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

from pymodbus.framer.rtu import FramerRTU
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadInputRegistersRequest

from config.errors import CollectError, DeviceException, ReplyRefused, ReplyShort

_READS: dict[int, type[ReadHoldingRegistersRequest]] = {
    3: ReadHoldingRegistersRequest,
    4: ReadInputRegistersRequest,
}
READ_FUNCTIONS = tuple(_READS)
MOST_REGISTERS = 125  # Application Protocol V1.1b3, 6.3

EXCEPTION_NAMES = {
    1: "illegal function", 2: "illegal data address", 3: "illegal data value",
    4: "device failure", 5: "acknowledge", 6: "device busy", 8: "memory parity error",
    10: "gateway path unavailable", 11: "gateway target failed to respond",
}  # fmt: skip

_HEADER_BYTES = 6  # transaction, protocol, length; the length counts what follows
_SHORTEST, _LONGEST = 3, 254  # unit, function and one byte; unit and a PDU of 253 bytes
_LAST_TRANSACTION = 0xFFFF
_REMEMBERED = 1000  # requests whose late replies are known for what they are
_LOOKED_FOR = 16  # given-up requests whose replies are looked for within another


class Framing(Protocol):
    """How one line packs requests, and finds their replies. One request is in flight."""

    late_replies: int

    def ask(self, unit_id: int, pdu: bytes) -> bytes:
        """The frame of a request; ``take`` looks for its reply from now on."""

    def take(self, received: bytearray) -> bytes | None:
        """See `collectors.lines.channel.Take`: the registers' bytes as they stand on the wire."""

    def give_up(self) -> None:
        """The reply to the last request is waited for no longer."""

    def pass_over(self, received: bytearray) -> None:
        """Look at what came while nothing was asked."""

    def take_slow(self) -> dict[int, float]:
        """Units whose late reply came since the last call, and seconds since their request."""


@lru_cache(4096)
def read_pdu(function: int, address: int, count: int) -> bytes:
    """The PDU that reads ``count`` registers from ``address`` (counted from 0) on.

    Raises CollectError for anything that is no read of registers.
    """
    if (
        function not in _READS
        or not 1 <= count <= MOST_REGISTERS
        or not 0 <= address <= 65536 - count
    ):
        raise CollectError(
            f"function {function}, {count} registers from {address}: not sent",
            allowed=f"functions 3 and 4, 1 to {MOST_REGISTERS} registers of 0 to 65535",
        )
    return bytes([function]) + _READS[function](address=address, count=count).encode()


def _registers(asked: bytes, reply: bytes) -> bytes:
    """The registers' bytes of the PDU ``reply`` to the PDU ``asked``."""
    function, wanted = reply[0], asked[0]
    if function == wanted | 0x80:
        if len(reply) != 2:
            raise ReplyRefused(f"an exception of {len(reply) - 1} bytes instead of 1")
        name = EXCEPTION_NAMES.get(reply[1], "unknown")
        raise DeviceException(f"exception {reply[1]} ({name})", reply[1])
    if function != wanted:
        raise ReplyRefused(f"a reply of function {function} to function {wanted}")
    data_bytes = 2 * int.from_bytes(asked[3:5], "big")
    if len(reply) != data_bytes + 2 or reply[1] != data_bytes:
        counts = reply[1] if len(reply) > 1 else 0
        # Some devices give what they have where they should say that an address is wrong.
        is_whole = len(reply) in (1, counts + 2) and counts < data_bytes
        raise (ReplyShort if is_whole else ReplyRefused)(
            f"a reply of {len(reply) - 2} bytes that counts {counts}, instead of {data_bytes}"
        )
    return reply[2:]


class MbapFraming:
    """Modbus TCP: a transaction number tells a late reply from the one awaited."""

    def __init__(self) -> None:
        self.late_replies = 0
        self._requests = 0
        self._transaction = 0
        self._unit_id = 0
        self._pdu = b""
        self._asked_s = 0.0
        self._given_up: dict[int, tuple[int, float]] = {}
        self._slow: dict[int, float] = {}
        self._late_heads: deque[bytes] = deque(maxlen=2 * _LOOKED_FOR)

    def ask(self, unit_id: int, pdu: bytes) -> bytes:
        self._asked_s = time.monotonic()
        self._requests += 1
        self._transaction = (self._requests - 1) % _LAST_TRANSACTION + 1
        self._unit_id, self._pdu = unit_id, pdu
        return struct.pack(">HHHB", self._transaction, 0, len(pdu) + 1, unit_id) + pdu

    def take(self, received: bytearray) -> bytes | None:
        while len(received) >= _HEADER_BYTES:
            transaction, protocol, length = struct.unpack_from(">HHH", received)
            if protocol != 0 or not _SHORTEST <= length <= _LONGEST:
                raise ReplyRefused(f"a reply with protocol {protocol} and length {length}")
            if len(received) < _HEADER_BYTES + length:
                break
            unit_id, reply = received[6], bytes(received[7 : _HEADER_BYTES + length])
            del received[: _HEADER_BYTES + length]
            if transaction == self._transaction and unit_id == self._unit_id:
                if self._late_heads and self._begins_within(reply, received):
                    raise ReplyRefused("a reply that stops, and a late one in its midst")
                return _registers(self._pdu, reply)
            if not self._was_asked(transaction):
                raise ReplyRefused(
                    f"a reply of transaction {transaction}, unit {unit_id} to transaction "
                    f"{self._transaction}, unit {self._unit_id}"
                )
            self._note_late(transaction)
        return None

    def give_up(self) -> None:
        while len(self._given_up) >= _REMEMBERED:
            del self._given_up[next(iter(self._given_up))]
        self._given_up[self._transaction] = self._unit_id, self._asked_s
        data_bytes = 2 * int.from_bytes(self._pdu[3:5], "big")
        for length, rest in (
            (data_bytes + 3, (self._pdu[0], data_bytes)),
            (3, (self._pdu[0] | 0x80,)),
        ):
            head = struct.pack(">HHHB", self._transaction, 0, length, self._unit_id)
            self._late_heads.append(head + bytes(rest))

    def _begins_within(self, reply: bytes, behind: bytearray) -> bool:
        """Whether a late reply begins inside ``reply``: it then fills what the device left out."""
        stream = reply + behind
        return any(0 <= stream.find(head) < len(reply) for head in self._late_heads)

    def pass_over(self, received: bytearray) -> None:
        while len(received) >= _HEADER_BYTES:
            transaction, _, length = struct.unpack_from(">HHH", received)
            if len(received) < _HEADER_BYTES + length:
                return
            del received[: _HEADER_BYTES + length]
            self._note_late(transaction)

    def take_slow(self) -> dict[int, float]:
        slow, self._slow = self._slow, {}
        return slow

    def _note_late(self, transaction: int) -> None:
        self.late_replies += 1
        unit_id, asked_s = self._given_up.pop(transaction, (None, 0.0))
        if unit_id is not None:
            self._slow[unit_id] = time.monotonic() - asked_s

    def _was_asked(self, transaction: int) -> bool:
        """Whether ``transaction`` is that of an earlier request."""
        ago = (self._transaction - transaction) % _LAST_TRANSACTION
        return transaction > 0 and 0 < ago <= min(self._requests - 1, _REMEMBERED)


class RtuFraming:
    """Modbus RTU: nothing in a reply tells which of two equal requests it belongs to.

    Whoever asks keeps quiet after a time-out until no late reply can come any more.
    """

    def __init__(self) -> None:
        self.late_replies = 0
        self._unit_id = 0
        self._pdu = b""

    def ask(self, unit_id: int, pdu: bytes) -> bytes:
        self._unit_id, self._pdu = unit_id, pdu
        frame = bytes([unit_id]) + pdu
        return frame + FramerRTU.compute_CRC(frame).to_bytes(2, "big")

    def take(self, received: bytearray) -> bytes | None:
        if len(received) < 2:
            return None
        unit_id, function = received[0], received[1]
        if unit_id != self._unit_id:
            raise ReplyRefused(f"a reply of unit {unit_id} to unit {self._unit_id}")
        if function == self._pdu[0] | 0x80:
            length = 5
        elif function == self._pdu[0]:
            length = 5 + 2 * int.from_bytes(self._pdu[3:5], "big")
        else:
            raise ReplyRefused(f"a reply of function {function} to function {self._pdu[0]}")
        if len(received) < length:
            return None
        frame = bytes(received[:length])
        if FramerRTU.compute_CRC(frame[:-2]).to_bytes(2, "big") != frame[-2:]:
            raise ReplyRefused(f"a reply of {length} bytes with a wrong check sum")
        del received[:length]
        return _registers(self._pdu, frame[1:-2])

    def give_up(self) -> None:
        """Nothing tells a late reply."""

    def pass_over(self, received: bytearray) -> None:
        """Whatever it is, it is no reply."""

    def take_slow(self) -> dict[int, float]:
        return {}


FRAMINGS: dict[str, Callable[[], Framing]] = {"modbus_tcp": MbapFraming, "modbus_rtu": RtuFraming}
