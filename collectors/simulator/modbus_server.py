"""A Modbus TCP server that shows a plant's meters at the clock's now. It reads only.

Functions 3 and 4; any other is answered with exception 1. Each unit has the registers of its
meters' maps and no others: a request that touches any other register gets exception 2, as strict
meters do. An unknown unit, or one that is out, gets exception 11.
"""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from collectors.base import Clock
from collectors.simulator.metered import MeteredPlant
from config.devices import byte_order, place, read_device
from config.models import Meter
from config.register_map import BASES, WIDTH_BYTES

READ_FUNCTIONS = (3, 4)
MAX_REGISTERS = 125
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, TARGET_SILENT = 1, 2, 3, 11
_HEADER = struct.Struct(">HHHB")  # transaction, protocol (0), bytes that follow, unit
_READ_REQUEST = struct.Struct(">BHH")  # function, address, count
_MOST_BYTES = 260  # Modbus messaging on TCP/IP 1.0b, 4.1: the longest frame

FLOAT_FORMATS = {"f32": ">f", "f64": ">d"}
DECIMAL = ("bcd", "m10k")  # four decimal digits a register


@dataclass(frozen=True)
class Value:
    """One value in the registers of a unit; without a meter it reads 0."""

    address: int
    type: str
    order: str
    scale: float
    meter_id: str | None

    @property
    def registers(self) -> range:
        return range(self.address, self.address + WIDTH_BYTES[self.type] // 2)


def wire_bytes(reading: float, number_type: str, order: str, scale: float = 1.0) -> bytes:
    """``reading`` as the bytes on the wire; integers wrap as registers do.

    ``order`` spells the bytes with A for the most significant.

    >>> wire_bytes(1234.5, "f32", "ABCD").hex(" "), wire_bytes(1234.5, "f32", "CDAB").hex(" ")
    ('44 9a 50 00', '50 00 44 9a')
    """
    number = reading / scale
    if number_type in FLOAT_FORMATS:
        big_endian = struct.pack(FLOAT_FORMATS[number_type], number)
    elif number_type.startswith(DECIMAL):
        digits = 4 * (WIDTH_BYTES[number_type] // 2)
        shown = f"{round(number) % 10**digits:0{digits}}"
        words = [shown[i : i + 4] for i in range(0, digits, 4)]
        base = 16 if number_type.startswith("bcd") else 10
        big_endian = b"".join(int(word, base).to_bytes(2, "big") for word in words)
    else:
        width = WIDTH_BYTES[number_type]
        big_endian = (round(number) % (1 << 8 * width)).to_bytes(width, "big")
    return bytes(big_endian[ord(letter) - ord("A")] for letter in order)


# unit -> function -> register -> the value that it is part of
Registers = dict[int, dict[int, dict[int, Value]]]


def registers_of(meters: Mapping[str, Meter]) -> Registers:
    """The registers of every unit that a Modbus meter of ``meters`` is on."""
    units: Registers = {}
    for meter in meters.values():
        unit = meter.unit_id if meter.unit_id is not None else 1
        for function, value in _values_of(meter):
            registers = units.setdefault(unit, {}).setdefault(function, {})
            for register in value.registers:
                # A meter's own value stands before the map's values that nobody meters.
                if value.meter_id is not None or register not in registers:
                    registers[register] = value
    return units


def _values_of(meter: Meter) -> list[tuple[int, Value]]:
    if meter.device is not None:
        device = read_device(meter.device)
        values = []
        for name, field in device.fields.items():
            if field.address is not None and field.type != "string":
                function, address, number_type, order = place(device, field)
                metered = meter.meter_id if name == meter.quantity else None
                value = Value(address, number_type, order, field.scale, metered)
                values.append((function, value))
        return values
    if meter.register_address is None or meter.type is None:
        return []
    order = byte_order(meter.type, meter.order)
    scale = 1.0 if meter.scale is None else meter.scale
    address = meter.register_address - meter.register_base
    value = Value(address, meter.type, order, scale, meter.meter_id)
    return [(meter.function or BASES[meter.register_base] or 3, value)]


class ModbusServer:
    """Serves the Modbus meters of ``plant``; ``async with`` it, then connect to ``port``.

    ``requests`` counts by function code, ``exceptions`` by exception code.
    """

    def __init__(
        self, plant: MeteredPlant, clock: Clock, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self._plant = plant
        self._clock = clock
        self._host, self.port = host, port
        self._units = registers_of(plant.meters)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Transport] = set()
        self.requests: Counter[int] = Counter()
        self.exceptions: Counter[int] = Counter()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(self.reply, self._connections), self._host, self.port
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
            for transport in tuple(self._connections):
                transport.close()
            await self._server.wait_closed()

    def reply(self, unit: int, request: bytes) -> bytes:
        """The answer to one request, both without the frame's header."""
        function = request[0] if request else 0
        self.requests[function] += 1
        exception, data = self._read(unit, function, request)
        if exception:
            self.exceptions[exception] += 1
            return bytes((function | 0x80, exception))
        return bytes((function, len(data))) + data

    def _read(self, unit: int, function: int, request: bytes) -> tuple[int, bytes]:
        """Exception code, or 0 and the registers' bytes."""
        now_us = self._clock.now_us()
        if unit not in self._units or self._plant.faults.unit_is_out(unit, now_us):
            return TARGET_SILENT, b""
        if function not in READ_FUNCTIONS:
            return ILLEGAL_FUNCTION, b""
        if len(request) != _READ_REQUEST.size:
            return ILLEGAL_VALUE, b""
        _, address, count = _READ_REQUEST.unpack(request)
        if not 1 <= count <= MAX_REGISTERS:
            return ILLEGAL_VALUE, b""
        known = self._units[unit].get(function, {})
        wanted = range(address, address + count)
        if any(register not in known for register in wanted):
            return ILLEGAL_ADDRESS, b""
        return 0, self._bytes(known, wanted, now_us)

    def _bytes(self, known: Mapping[int, Value], wanted: range, now_us: int) -> bytes:
        data = bytearray()
        register = wanted.start
        while register < wanted.stop:
            value = known[register]
            taken = value.registers
            whole = wire_bytes(self._shown(value, now_us), value.type, value.order, value.scale)
            stop = min(taken.stop, wanted.stop)
            data += whole[2 * (register - taken.start) : 2 * (stop - taken.start)]
            register = stop
        return bytes(data)

    def _shown(self, value: Value, now_us: int) -> float:
        if value.meter_id is None or self._plant.faults.meter_dips(value.meter_id, now_us):
            return 0.0
        return self._plant.register_reading(value.meter_id, now_us)


class _Connection(asyncio.Protocol):
    """Cuts the stream into frames, and answers each in turn."""

    def __init__(
        self, reply: Callable[[int, bytes], bytes], connections: set[asyncio.Transport]
    ) -> None:
        self._reply = reply
        self._connections = connections
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while len(self._received) >= _HEADER.size:
            transaction, protocol, length, unit = _HEADER.unpack_from(self._received)
            if protocol != 0 or not 2 <= length <= _MOST_BYTES - 6:
                self._transport.abort()  # not Modbus: no later byte can be trusted
                return
            if len(self._received) < 6 + length:
                return
            request = self._received[_HEADER.size : 6 + length]
            self._received = self._received[6 + length :]
            answer = self._reply(unit, request)
            header = _HEADER.pack(transaction, 0, len(answer) + 1, unit)
            self._transport.write(header + answer)
