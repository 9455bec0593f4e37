"""What a simulated unit's registers hold at a moment.

The moment is a number that grows: seconds of a clock, or the serial number of the request. It is
handed in, so that a fault can show another moment than now, and the truth can be asked for later.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from collectors.simulator.modbus_server import (
    ILLEGAL_ADDRESS,
    TARGET_SILENT,
    wire_bytes,
)
from config.devices import byte_order, place, read_device, span
from config.errors import ConfigError
from config.models import Meter
from config.register_map import BASES, WIDTH_BYTES, Device, DeviceField
from config.site import Site

# Around what a gauge of a unit moves.
_USUAL = {"V": 230.0, "A": 10.0, "kW": 50.0, "W": 50_000.0, "Hz": 50.0, "degC": 60.0}
_COUNTER_STARTS_AT = (1_000.0, 100_000.0)
_COUNTED_PER_S = 0.05


class Contents(Protocol):
    """The registers of some units."""

    def moment(self, serial: int) -> float:
        """The moment of the request that has this serial number."""

    def read(
        self, unit: int, function: int, address: int, count: int, at: float, since: float
    ) -> bytes | int:
        """The bytes of the registers at the moment ``at``, or the code of an exception.

        Counters have rolled over at ``since``: they show what they counted from then on.
        """


class SerialContents:
    """Registers that hold something else for every request: a stale or foreign reply shows.

    For one register, any two requests less than 65,536 apart have different content; for two
    registers, or units, or functions, they have the same by chance (1 in 65,536).
    """

    def __init__(self, units: Iterable[int] = range(1, 31), registers: range = range(1000)) -> None:
        self._units = frozenset(units)
        self._registers = registers

    def moment(self, serial: int) -> float:
        return serial

    def read(
        self, unit: int, function: int, address: int, count: int, at: float, since: float
    ) -> bytes | int:
        if unit not in self._units:
            return TARGET_SILENT
        if address < self._registers.start or address + count > self._registers.stop:
            return ILLEGAL_ADDRESS
        moment = int(at - since)
        words = (
            _word(unit * 16 + function, register, moment)
            for register in range(address, address + count)
        )
        return b"".join(word.to_bytes(2, "big") for word in words)


def _word(place: int, register: int, moment: int) -> int:
    mixed = ((place << 16 | register) * 0x9E3779B97F4A7C15) >> 16
    odd = mixed >> 16 & 0xFFFF | 1  # odd: a bijection of the moment, modulo 65,536
    return (odd * moment + mixed) & 0xFFFF


class NumberContents:
    """Every register holds its own number: an address that is off by one shows."""

    def __init__(self, units: Iterable[int]) -> None:
        self._units = frozenset(units)

    def moment(self, serial: int) -> float:
        return serial

    def read(
        self,
        unit: int,
        function: int,  # noqa: ARG002
        address: int,
        count: int,
        at: float,  # noqa: ARG002
        since: float,  # noqa: ARG002
    ) -> bytes | int:
        if unit not in self._units:
            return TARGET_SILENT
        return b"".join(number.to_bytes(2, "big") for number in range(address, address + count))


@dataclass(frozen=True)
class Shown:
    """One value of a simulated meter."""

    name: str
    type: str  # a number type, or "string"
    order: str
    kind: str
    scale: float = 1.0
    start: float = 0.0
    least: float = -math.inf
    most: float = math.inf
    registers: int = 0

    def value(self, at: float, since: float) -> float:
        """In the unit of the map: a counter grows, a gauge moves 5 % around its middle."""
        if self.kind == "clock":
            return math.floor(at)
        if self.kind == "counter":
            first = self.start if since == 0 else -since * _COUNTED_PER_S
            return first + at * _COUNTED_PER_S
        moved = self.start * (1 + 0.05 * math.sin(at / 60 + len(self.name)))
        return min(max(moved, self.least), self.most)

    def wire(self, at: float, since: float) -> bytes:
        if self.type == "string":
            return self.name.encode("ascii", "replace")[: 2 * self.registers].ljust(
                2 * self.registers, b"\0"
            )
        return wire_bytes(self.value(at, since), self.type, self.order, self.scale)


@dataclass
class MeterContents:
    """Simulated meters: unit -> function -> their registers. Any other is exception 2."""

    units: dict[int, dict[int, dict[int, tuple[Shown, int]]]] = field(default_factory=dict)
    seconds: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        self._began = self.seconds()

    def moment(self, serial: int) -> float:  # noqa: ARG002
        return self.seconds() - self._began

    def put(self, unit: int, function: int, address: int, shown: Shown) -> None:
        """A value takes its registers; where one is taken, it stays with the one that was first."""
        words = self.units.setdefault(unit, {}).setdefault(function, {})
        for word in range(shown.registers):
            words.setdefault(address + word, (shown, word))

    def put_device(self, unit: int, device: Device, seed: int = 0) -> None:
        for name, one in device.fields.items():
            if one.address is not None:
                self._put_field(unit, device, name, one, seed)

    def _put_field(
        self,
        unit: int,
        device: Device,
        name: str,
        one: DeviceField,
        seed: int,
        order: str | None = None,
    ) -> None:
        for source in one.scale_from:
            where = place(device, source)
            number = 0.0 if source.use == "power_of_ten" else 1 / source.scale
            self.put(
                unit,
                where.function,
                where.address,
                _number(f"scale of {name}", where.type, where.order, "fixed", start=number),
            )
        registers = span(device, one)
        function = device.function_of(one.function)
        if one.type is None or one.type == "string":
            shown = Shown(name, "string", "", one.kind, registers=len(registers))
        else:
            spelled = place(device, one, order).order
            bounds = one.valid or (-math.inf, math.inf)
            start = _start(name, one, seed + unit)
            shown = _number(name, one.type, spelled, one.kind, one.scale, start, *bounds)
        self.put(unit, function, registers[0], shown)

    def put_meter(self, site: Site, meter: Meter, seed: int = 0) -> None:
        """The registers of one meter of a plant: all those of its device, or its own one."""
        unit = 1 if meter.unit_id is None else meter.unit_id
        if meter.device is not None:
            device = site.devices[meter.device]
            one = device.fields[meter.quantity or ""]
            changes = {"function": meter.function, "scale": meter.scale}
            own = one.model_copy(update={k: v for k, v in changes.items() if v is not None})
            if own.address is not None:
                # Before the rest: a register stays with the value that takes it first.
                self._put_field(unit, device, meter.quantity or "", own, seed, meter.order)
            self.put_device(unit, device, seed)
        elif meter.register_address is not None and meter.type is not None:
            shown = _number(
                meter.meter_id,
                meter.type,
                byte_order(meter.type, meter.order),
                meter.kind,
                1.0 if meter.scale is None else meter.scale,
                _start(meter.meter_id, meter, seed + unit),
            )
            function = meter.function or BASES[meter.register_base] or 3
            self.put(unit, function, meter.register_address - meter.register_base, shown)

    def read(
        self, unit: int, function: int, address: int, count: int, at: float, since: float
    ) -> bytes | int:
        if unit not in self.units:
            return TARGET_SILENT
        known = self.units[unit].get(function, {})
        if any(register not in known for register in range(address, address + count)):
            return ILLEGAL_ADDRESS
        data = bytearray()
        for register in range(address, address + count):
            shown, word = known[register]
            data += shown.wire(at, since)[2 * word : 2 * word + 2]
        return bytes(data)


def _number(
    name: str,
    number_type: str,
    order: str,
    kind: str,
    scale: float = 1.0,
    start: float = 0.0,
    least: float = -math.inf,
    most: float = math.inf,
) -> Shown:
    registers = WIDTH_BYTES[number_type] // 2
    return Shown(name, number_type, order, kind, scale, start, least, most, registers)


def _start(name: str, one: DeviceField | Meter, seed: int) -> float:
    """Where a counter starts, or around what a gauge moves."""
    drawn = random.Random(f"{seed} {name}")
    if one.kind == "counter":
        start = drawn.uniform(*_COUNTER_STARTS_AT)
    else:
        start = _USUAL.get(one.unit or "", 20.0)
    valid = one.valid if isinstance(one, DeviceField) else None
    if valid is not None and not valid[0] <= start <= valid[1]:
        finite = [bound for bound in valid if math.isfinite(bound)]
        start = sum(finite) / len(finite)
    scale = one.scale or 1.0
    most = _most(one.type)
    return min(start, 0.5 * most * abs(scale)) if most is not None else start


def _most(number_type: str | None) -> float | None:
    """The highest number of a type; None where it is beyond what a meter shows."""
    if number_type is None or number_type[0] not in "uibm":
        return None
    if number_type.startswith("bcd"):
        return float(10 ** (int(number_type[3:]) // 4) - 1)
    if number_type.startswith("m10k"):
        return float(10 ** (int(number_type[4:]) // 4) - 1)
    signed = number_type[0] == "i"
    return float(2 ** (int(number_type[1:]) - signed) - 1)


def contents_of_device(name: str, units: Iterable[int], seed: int = 0) -> MeterContents:
    """Units that are each a meter of the register map ``name``. Raises ConfigError."""
    device = read_device(name)
    contents = MeterContents()
    for unit in units:
        contents.put_device(unit, device, seed)
    if not contents.units:
        raise ConfigError(f"device {name!r} has no Modbus registers")
    return contents
