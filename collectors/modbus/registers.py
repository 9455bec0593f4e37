"""Modbus registers: what each meter wants, how it is decoded, and which requests fetch it."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby

from config.connections import ModbusTcp
from config.devices import byte_order, place
from config.errors import ConfigError, InputError
from config.models import Meter
from config.register_map import BASES, WIDTH_BYTES
from config.site import Site

LAST_REGISTER = 65535
_FORMATS = {
    "u16": ">H", "i16": ">h", "u32": ">I", "i32": ">i",
    "u64": ">Q", "i64": ">q", "f32": ">f", "f64": ">d",
}  # fmt: skip


@cache
def _wire_positions(order: str) -> tuple[int, ...]:
    """Positions on the wire, most significant byte first."""
    return tuple(order.index(letter) for letter in sorted(order))


def decode(wire: bytes, number_type: str, order: str) -> int | float:
    """The number that ``wire`` holds.

    ``wire``: the value's bytes as they came. ``order`` spells them, A for the most significant.

    >>> decode(bytes.fromhex("449A5000"), "f32", "ABCD")
    1234.5
    >>> decode(bytes.fromhex("5000449A"), "f32", "CDAB")
    1234.5

    NaN for digits that are none: a nibble above 9 (bcd), a register above 9999 (m10k).
    Raises InputError where the lengths of ``wire``, ``number_type`` and ``order`` differ.
    """
    width = WIDTH_BYTES[number_type]
    if len(wire) != width or len(order) != width:
        raise InputError(
            f"{len(wire)} bytes in order {order!r} for {number_type}",
            allowed=f"{width} bytes and {width} letters",
        )
    big_endian = bytes(wire[position] for position in _wire_positions(order))
    if number_type.startswith("bcd"):
        digits = big_endian.hex()
        return int(digits) if digits.isdecimal() else math.nan
    if number_type.startswith("m10k"):
        words = struct.unpack(f">{width // 2}H", big_endian)
        return int("".join(f"{word:04}" for word in words)) if max(words) < 10_000 else math.nan
    if width == 6:
        return int.from_bytes(big_endian, "big", signed=number_type[0] == "i")
    number: int | float = struct.unpack(_FORMATS[number_type], big_endian)[0]
    return number


def _scaled(number: int | float, scale: float) -> float:
    """``number * scale``, but 12345 * 0.01 is 123.45 here, not 123.45000000000002."""
    if 1e-9 <= abs(scale) <= 1:
        divisor = round(1 / scale)
        if 1 / divisor == scale:
            return number / divisor
    return number * scale


@dataclass(frozen=True)
class RegisterValue:
    """What one meter wants from a unit.

    ``address`` is the register number counted from 0. ``scale`` leads to the ledger's unit.
    ``max_registers`` is the device's own limit for one request, None where it states none.
    """

    meter_id: str
    quantity: str
    unit_id: int
    function: int
    address: int
    type: str
    order: str
    scale: float = 1.0
    max_registers: int | None = None

    @property
    def count(self) -> int:
        """Registers that the value takes."""
        return WIDTH_BYTES[self.type] // 2

    @property
    def end(self) -> int:
        """The first register behind the value."""
        return self.address + self.count

    def read_from(self, wire: bytes, first_register: int) -> float:
        """The value in the ledger's unit, out of the bytes from ``first_register`` on.

        May be NaN or infinite, as a meter sends it.
        """
        start = (self.address - first_register) * 2
        number = decode(wire[start : start + self.count * 2], self.type, self.order)
        return _scaled(number, self.scale)


@dataclass(frozen=True)
class Request:
    """One read request, and the values that its reply holds."""

    unit_id: int
    function: int
    address: int
    count: int
    values: tuple[RegisterValue, ...]

    def __str__(self) -> str:
        """Such as ``unit 3, registers 100 to 103 (function 4)``."""
        last = self.address + self.count - 1
        registers = f"registers {self.address} to {last}" if self.count > 1 else f"register {last}"
        return f"unit {self.unit_id}, {registers} (function {self.function})"


def modbus_connection(site: Site, connection_id: str) -> ModbusTcp:
    """The settings of a Modbus connection. Raises ConfigError where it is none."""
    connection = site.plant.connections.get(connection_id)
    if not isinstance(connection, ModbusTcp):
        raise ConfigError(
            f"connection {connection_id!r} is no Modbus connection",
            allowed=", ".join(
                name for name, one in site.plant.connections.items() if isinstance(one, ModbusTcp)
            )
            or "none is configured",
        )
    return connection


def register_values(site: Site, connection_id: str) -> tuple[RegisterValue, ...]:
    """What the meters of a Modbus connection want, in the ledger's order.

    A meter with a device takes its field of the register map; function, order and scale of the
    ledger go before the map's. Raises ConfigError for a meter whose registers are not determined.
    """
    modbus_connection(site, connection_id)
    meters = [meter for meter in site.plant.meters.values() if meter.connection == connection_id]
    return tuple(_register_value(site, meter) for meter in meters)


def _register_value(site: Site, meter: Meter) -> RegisterValue:
    value = _from_device(site, meter) if meter.device is not None else _from_ledger(meter)
    if value.end > LAST_REGISTER + 1:
        raise ConfigError(
            f"meter {meter.meter_id}: {value.type} at register {value.address} ends past register "
            f"{LAST_REGISTER}",
            allowed=f"registers 0 to {LAST_REGISTER}",
            todo="correct register or type in the ledger",
        )
    return value


def _from_device(site: Site, meter: Meter) -> RegisterValue:
    device = site.devices[meter.device or ""]
    field = device.fields.get(meter.quantity or "")
    if field is None or meter.register_address is not None or meter.type is not None:
        raise ConfigError(
            f"meter {meter.meter_id}: device {meter.device}, quantity {meter.quantity}, register "
            f"{meter.register_address}, type {meter.type}",
            allowed="device and quantity of its register map; or register and type",
            todo=f"quantities of {meter.device}: {', '.join(device.fields)}",
        )
    where = place(device, field, meter.order)
    return RegisterValue(
        meter_id=meter.meter_id,
        quantity=meter.quantity_name,
        unit_id=1 if meter.unit_id is None else meter.unit_id,
        function=meter.function or where.function,
        address=where.address,
        type=where.type,
        order=where.order,
        scale=field.scale if meter.scale is None else meter.scale,
        max_registers=device.max_registers,
    )


def _from_ledger(meter: Meter) -> RegisterValue:
    if meter.register_address is None or meter.type is None:
        raise ConfigError(
            f"meter {meter.meter_id}: neither a device nor register and type",
            allowed="device and quantity of its register map; or register and type",
        )
    return RegisterValue(
        meter_id=meter.meter_id,
        quantity=meter.quantity_name,
        unit_id=1 if meter.unit_id is None else meter.unit_id,
        function=meter.function or BASES[meter.register_base] or 3,
        address=meter.register_address - meter.register_base,
        type=meter.type,
        order=byte_order(meter.type, meter.order),
        scale=1.0 if meter.scale is None else meter.scale,
    )


def plan_requests(
    values: Iterable[RegisterValue], max_registers: int, max_hole: int
) -> tuple[Request, ...]:
    """Requests that fetch ``values``: few, and none that tears a value.

    Neighbours of one unit and function share a request, over holes of up to ``max_hole`` unwanted
    registers. A request has at most ``max_registers`` registers, or the least that a device of the
    unit takes. Raises ConfigError for a value that is longer than that.
    """

    def unit_and_function(value: RegisterValue) -> tuple[int, int]:
        return value.unit_id, value.function

    def place(value: RegisterValue) -> tuple[int, int, int, int]:
        return *unit_and_function(value), value.address, value.end

    requests: list[Request] = []
    for (unit_id, function), group in groupby(sorted(values, key=place), unit_and_function):
        here = list(group)
        limit = min([max_registers, *(v.max_registers for v in here if v.max_registers)])
        for run in _runs(here, limit, max_hole):
            requests.append(_request(unit_id, function, run))
    return tuple(requests)


def _runs(
    values: Sequence[RegisterValue], limit: int, max_hole: int
) -> Iterable[list[RegisterValue]]:
    run: list[RegisterValue] = []
    end = 0
    for value in values:
        if value.count > limit:
            raise ConfigError(
                f"meter {value.meter_id}: {value.type} takes {value.count} registers, one request "
                f"{limit}: the value would be torn",
                allowed="a value inside one request",
                todo="correct max_registers or the type",
            )
        too_far = value.address - end > max_hole
        if run and (too_far or value.end - run[0].address > limit):
            yield run
            run, end = [], 0
        run.append(value)
        end = max(end, value.end)
    if run:
        yield run


def _request(unit_id: int, function: int, values: Sequence[RegisterValue]) -> Request:
    address = values[0].address
    count = max(value.end for value in values) - address
    return Request(unit_id, function, address, count, tuple(values))


def split(request: Request) -> tuple[Request, Request] | None:
    """Two requests for the values of one, cut at its widest hole, or else nearest to its middle.

    None where every cut would tear a value.
    """
    values = request.values
    middle = request.address + request.count / 2
    cuts = []
    end = request.address
    for index, value in enumerate(values):
        if index and value.address >= end:
            cuts.append((value.address - end, -abs(value.address - middle), index))
        end = max(end, value.end)
    if not cuts:
        return None
    index = max(cuts)[-1]
    unit_id, function = request.unit_id, request.function
    return _request(unit_id, function, values[:index]), _request(unit_id, function, values[index:])


def plan_line(requests: Sequence[Request]) -> str:
    """Such as ``3 requests touch 24 registers for 9 values``."""
    verb = "touches" if len(requests) == 1 else "touch"
    registers = sum(request.count for request in requests)
    values = sum(len(request.values) for request in requests)
    return (
        f"{_counted(len(requests), 'request')} {verb} {_counted(registers, 'register')} for "
        f"{_counted(values, 'value')}"
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def poll_plan(
    site: Site, connection_id: str, interval_s: float | None = None
) -> dict[float, tuple[Request, ...]]:
    """The requests of a connection by their interval in seconds, shortest first.

    ``interval_s`` goes before the intervals of the configuration. Raises ConfigError.
    """
    connection = modbus_connection(site, connection_id)
    by_interval: dict[float, list[RegisterValue]] = {}
    for value in register_values(site, connection_id):
        own_s = site.plant.interval_s(site.plant.meters[value.meter_id])
        by_interval.setdefault(own_s if interval_s is None else interval_s, []).append(value)
    limits = connection.max_registers, connection.max_hole
    return {
        interval: plan_requests(by_interval[interval], *limits) for interval in sorted(by_interval)
    }
