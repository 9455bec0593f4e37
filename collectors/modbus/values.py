"""What each meter wants from the registers of its unit, and what the registers say."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from collectors.base import GOOD
from collectors.lines.line import NOT_A_NUMBER, NOT_AVAILABLE, OUT_OF_RANGE
from collectors.lines.scale import factor_and_divisor
from collectors.modbus.numbers import Number, bits_of, decode
from config.connections import Modbus, ModbusLine
from config.devices import byte_order, place
from config.errors import ConfigError, NotAsked
from config.models import Meter
from config.register_map import BASES, WIDTH_BYTES, Device, DeviceField
from config.site import Site

LAST_REGISTER = 65535


@dataclass(frozen=True)
class Span:
    """Registers that hold one number. ``address`` is counted from 0."""

    unit_id: int
    function: int
    address: int
    type: str
    order: str

    @property
    def count(self) -> int:
        """Registers that the number takes."""
        return WIDTH_BYTES[self.type] // 2

    @property
    def end(self) -> int:
        """The first register behind the number."""
        return self.address + self.count


@dataclass(frozen=True)
class Scaler:
    """A number that another value's scale is read from: an exponent of 10, or a factor."""

    span: Span
    is_exponent: bool
    scale: float = 1.0

    def factor(self, number: Number) -> float:
        """What the value is multiplied by; NaN where the number is none."""
        if not math.isfinite(number) or (self.is_exponent and abs(number) > 30):
            return math.nan  # such as 0x8000, by which SunSpec says that there is no value
        return float(10.0**number) if self.is_exponent else number * self.scale


@dataclass(frozen=True)
class RegisterValue:
    """What one meter wants from a unit.

    ``scale`` and ``offset`` lead to the ledger's unit. ``max_registers`` and ``max_hole`` are the
    device's own limits for one request, None where it states none.
    """

    meter_id: str
    quantity: str
    span: Span
    scale: float = 1.0
    offset: float = 0.0
    scale_from: tuple[Scaler, ...] = ()
    bits: tuple[int, int] | None = None
    not_available: tuple[Number, ...] = ()
    valid: tuple[float, float] | None = None
    max_registers: int | None = None
    max_hole: int | None = None

    @property
    def is_plain(self) -> bool:
        """Whether it is its number times its scale, and nothing else."""
        fancy = (self.offset, self.scale_from, self.bits, self.not_available, self.valid)
        return not any(fancy)

    @property
    def spans(self) -> tuple[Span, ...]:
        """All the registers that it needs."""
        return (self.span, *(scaler.span for scaler in self.scale_from))

    def found(
        self, number: Number, scales: Mapping[Span, Number | str]
    ) -> tuple[float | None, str]:
        """The value, or why there is none. ``scales``: the numbers that scales are read from, or
        the status of one that could not be read."""
        if number in self.not_available:
            return None, NOT_AVAILABLE
        if not math.isfinite(number):
            return None, NOT_A_NUMBER
        if self.bits is not None:
            number = bits_of(number, self.bits)
        factor, divisor = factor_and_divisor(self.scale)
        value = number * factor / divisor
        for scaler in self.scale_from:
            read = scales.get(scaler.span, NotAsked.status)
            if isinstance(read, str):
                return None, read
            factor = scaler.factor(read)
            if not math.isfinite(factor):
                return None, NOT_AVAILABLE
            exact_factor, divisor = factor_and_divisor(factor)
            value = value * exact_factor / divisor
        value += self.offset
        if not math.isfinite(value):
            return None, NOT_A_NUMBER
        if self.valid is not None and not self.valid[0] <= value <= self.valid[1]:
            return value, OUT_OF_RANGE
        return value, GOOD


def modbus_connection(site: Site, connection_id: str) -> Modbus:
    """The settings of a Modbus connection. Raises ConfigError where it is none."""
    settings = site.connection(connection_id, "Modbus", ModbusLine)
    assert isinstance(settings, Modbus)  # there are no other lines
    return settings


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
    for span in value.spans:
        if span.end > LAST_REGISTER + 1:
            raise ConfigError(
                f"meter {meter.meter_id}: {span.type} at register {span.address} ends past "
                f"register {LAST_REGISTER}",
                allowed=f"registers 0 to {LAST_REGISTER}",
                todo="correct register or type in the ledger",
            )
    return value


def _unit_id(meter: Meter) -> int:
    return 1 if meter.unit_id is None else meter.unit_id


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
    return field_value(
        device,
        field,
        meter.meter_id,
        meter.quantity_name,
        unit_id=_unit_id(meter),
        function=meter.function,
        order=meter.order,
        scale=meter.scale,
    )


def field_value(
    device: Device,
    field: DeviceField,
    meter_id: str,
    quantity: str,
    *,
    unit_id: int,
    function: int | None = None,
    order: str | None = None,
    scale: float | None = None,
) -> RegisterValue:
    """A number of a register map; ``function``, ``order`` and ``scale`` go before the map's.

    Raises ConfigError for a field that is no number of a Modbus register.
    """
    where = place(device, field, order)
    scalers = []
    for source in field.scale_from:
        at = place(device, source)
        span = Span(unit_id, at.function, at.address, at.type, at.order)
        scalers.append(Scaler(span, source.use == "power_of_ten", source.scale))
    return RegisterValue(
        meter_id,
        quantity,
        Span(unit_id, function or where.function, where.address, where.type, where.order),
        scale=field.scale if scale is None else scale,
        offset=field.offset,
        scale_from=tuple(scalers),
        bits=field.bits,
        not_available=field.not_available,
        valid=field.valid,
        max_registers=device.max_registers,
        max_hole=device.max_hole,
    )


def _from_ledger(meter: Meter) -> RegisterValue:
    if meter.register_address is None or meter.type is None:
        raise ConfigError(
            f"meter {meter.meter_id}: neither a device nor register and type",
            allowed="device and quantity of its register map; or register and type",
        )
    span = Span(
        _unit_id(meter),
        meter.function or BASES[meter.register_base] or 3,
        meter.register_address - meter.register_base,
        meter.type,
        byte_order(meter.type, meter.order),
    )
    scale = 1.0 if meter.scale is None else meter.scale
    return RegisterValue(meter.meter_id, meter.quantity_name, span, scale=scale)


Read = Callable[[int, int, int], bytes]
"""The registers' bytes of a function, from an address (counted from 0) on, so many."""


def read_fields(device: Device, read: Read) -> dict[str, float | str | None]:
    """Every field of a register map, each read by itself: numbers, texts, None for no value.

    Raises whatever ``read`` raises.
    """
    return dict(_read_fields(device, read))


def _read_fields(device: Device, read: Read) -> Iterator[tuple[str, float | str | None]]:
    def number(span: Span) -> Number:
        return decode(read(span.function, span.address, span.count), span.type, span.order)

    for name, field in device.fields.items():
        if field.address is None:
            continue
        if field.type == "string":
            wire = read(
                device.function_of(field.function),
                field.address - device.base,
                field.registers or 1,
            )
            yield name, text_of(wire, field.order)
            continue
        value = field_value(device, field, name, name, unit_id=0)
        scales = {scaler.span: number(scaler.span) for scaler in value.scale_from}
        found, status = value.found(number(value.span), scales)
        yield name, found if status == GOOD else None


def text_of(wire: bytes, order: str | None = None) -> str:
    """The text in registers, up to the first NUL; ``order`` BA: the bytes of each are swapped."""
    if order == "BA":
        wire = b"".join(wire[i : i + 2][::-1] for i in range(0, len(wire), 2))
    return wire.split(b"\0")[0].decode("latin-1").strip()
