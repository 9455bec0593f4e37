"""Requests as a server takes them off the wire, and the frames of its replies."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from pymodbus.framer.rtu import FramerRTU

_LONGEST_REQUEST = 260


@dataclass(frozen=True)
class Asked:
    """A request as it came; ``transaction`` is 0 with RTU framing."""

    serial: int
    transaction: int
    unit: int
    pdu: bytes

    @property
    def function(self) -> int:
        return self.pdu[0]

    def reply(self, data: bytes) -> bytes:
        return bytes((self.function, len(data))) + data

    def exception(self, code: int) -> bytes:
        return bytes((self.function | 0x80, code))


class TcpFrames:
    """Modbus TCP: header and PDU."""

    name = "tcp"

    def frame(self, asked: Asked, pdu: bytes, unit: int | None = None) -> bytes:
        return self.header(asked, len(pdu), unit=unit) + pdu

    def header(
        self,
        asked: Asked,
        pdu_bytes: int,
        *,
        unit: int | None = None,
        transaction: int | None = None,
        protocol: int = 0,
    ) -> bytes:
        return struct.pack(
            ">HHHB",
            asked.transaction if transaction is None else transaction,
            protocol,
            pdu_bytes + 1,
            asked.unit if unit is None else unit,
        )

    def take(self, received: bytearray) -> tuple[int, int, bytes] | None:
        """Transaction, unit and PDU of the request that ``received`` begins with, once whole.

        Raises ValueError where it begins with none.
        """
        if len(received) < 7:
            return None
        transaction, protocol, length, unit = struct.unpack_from(">HHHB", received)
        if protocol != 0 or not 2 <= length <= _LONGEST_REQUEST - 6:
            raise ValueError("no Modbus TCP")
        if len(received) < 6 + length:
            return None
        pdu = bytes(received[7 : 6 + length])
        del received[: 6 + length]
        return transaction, unit, pdu


class RtuFrames:
    """Modbus RTU: unit, PDU and check sum."""

    name = "rtu"

    def frame(self, asked: Asked, pdu: bytes, unit: int | None = None) -> bytes:
        body = bytes((asked.unit if unit is None else unit,)) + pdu
        return body + FramerRTU.compute_CRC(body).to_bytes(2, "big")

    def take(self, received: bytearray) -> tuple[int, int, bytes] | None:
        """As with TCP; the transaction is 0."""
        if len(received) < 8:
            return None
        # Requests of functions 15 and 16 carry a byte count and data; the others have 8 bytes.
        length = 9 + received[6] if received[1] in (15, 16) else 8
        if len(received) < length:
            return None
        body, check = bytes(received[: length - 2]), bytes(received[length - 2 : length])
        if FramerRTU.compute_CRC(body).to_bytes(2, "big") != check:
            raise ValueError("no Modbus RTU")
        del received[:length]
        return 0, body[0], body[1:]


Frames = TcpFrames | RtuFrames
