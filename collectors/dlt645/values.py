"""What the data of a reply mean: binary-coded decimals, low byte first, and the meter's clock."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from collectors.base import GOOD
from collectors.lines.line import NOT_A_NUMBER, NOT_AVAILABLE, OUT_OF_RANGE
from collectors.lines.scale import factor_and_divisor
from config.connections import Dlt645
from config.errors import ConfigError
from config.models import Meter
from config.register_map import DeviceField
from config.site import Site

_SIGN = 0x80  # in the highest byte
_STAMP_BYTES = 5  # YYMMDDhhmm, behind the value of a maximum demand
_DEMAND = "01"


def decode(wire: bytes, *, signed: bool = False) -> int | float:
    """The number that ``wire`` holds; NaN for digits that are none.

    ``wire``: the value's bytes as they came, low byte first, 33 taken off.

    >>> decode(bytes.fromhex("78563412")), decode(bytes.fromhex("50120080"), signed=True)
    (12345678, -1250)
    """
    digits = bytearray(wire[::-1])
    negative = signed and bool(digits[0] & _SIGN)
    if negative:
        digits[0] &= ~_SIGN
    text = digits.hex()
    if not text.isdecimal():
        return math.nan
    return -int(text) if negative else int(text)


@dataclass(frozen=True)
class DataValue:
    """What one meter of the ledger wants.

    ``address``: the 12 digits of the device. ``data_id``: DI3 DI2 DI1 DI0 as printed. ``scale``
    and ``offset`` lead to the ledger's unit, ``valid`` is in it; ``not_available`` is not scaled.
    """

    meter_id: str
    quantity: str
    address: str
    data_id: str
    digits: int
    signed: bool = False
    scale: float = 1.0
    offset: float = 0.0
    not_available: tuple[int | float, ...] = ()
    valid: tuple[float, float] | None = None

    @property
    def item_bytes(self) -> int:
        """Bytes that the value takes in a reply, with the time that stands behind a demand."""
        return self._value_bytes + (_STAMP_BYTES if self.data_id.startswith(_DEMAND) else 0)

    @property
    def _value_bytes(self) -> int:
        return (self.digits + 1) // 2

    def found(self, item: bytes) -> tuple[float | None, str]:
        """The value in the ledger's unit, out of the ``item_bytes`` of its own.

        A meter fills what it does not have with FF.
        """
        wire = item[: self._value_bytes]
        if wire == b"\xff" * len(wire):
            return None, NOT_AVAILABLE
        number = decode(wire, signed=self.signed)
        if math.isnan(number):
            return None, NOT_A_NUMBER
        if number in self.not_available:
            return None, NOT_AVAILABLE
        factor, divisor = factor_and_divisor(self.scale)
        value = number * factor / divisor + self.offset
        if self.valid is not None and not self.valid[0] <= value <= self.valid[1]:
            return value, OUT_OF_RANGE
        return value, GOOD


def dlt645_connection(site: Site, connection_id: str) -> Dlt645:
    """The settings of a DL/T 645 connection. Raises ConfigError where it is none."""
    return site.connection(connection_id, "DL/T 645", Dlt645)


def data_values(site: Site, connection_id: str) -> tuple[DataValue, ...]:
    """What the meters of a DL/T 645 connection want, in the ledger's order.

    The scale of the ledger goes before the map's. Raises ConfigError for a meter whose data are
    not determined.
    """
    dlt645_connection(site, connection_id)
    meters = [meter for meter in site.plant.meters.values() if meter.connection == connection_id]
    return tuple(_data_value(site, meter) for meter in meters)


def _data_value(site: Site, meter: Meter) -> DataValue:
    device = site.devices.get(meter.device or "")
    field = device.fields.get(meter.quantity or "") if device is not None else None
    if field is None or field.data_id is None or meter.meter_address is None:
        raise ConfigError(
            f"meter {meter.meter_id}: device {meter.device}, quantity {meter.quantity}, "
            f"meter_address {meter.meter_address}",
            allowed="meter_address, and device and quantity of a map with data_id",
            todo="such as device dlt645-2007, quantity energy_import",
        )
    return field_value(
        field, meter.meter_id, meter.quantity_name, meter.meter_address, scale=meter.scale
    )


def field_value(
    field: DeviceField, meter_id: str, quantity: str, address: str, *, scale: float | None = None
) -> DataValue:
    """A field of a map, of the device at ``address``; ``scale`` goes before the map's.

    Raises ConfigError for a field that is no datum of DL/T 645.
    """
    if field.data_id is None or field.digits is None:
        raise ConfigError(f"{quantity}: no data_id", allowed="a field with data_id and digits")
    return DataValue(
        meter_id,
        quantity,
        address,
        field.data_id.upper(),
        field.digits,
        signed=field.signed,
        scale=field.scale if scale is None else scale,
        offset=field.offset,
        not_available=field.not_available,
        valid=field.valid,
    )


DATE_BYTES, TIME_BYTES = 4, 3


def meter_time(date: bytes, time: bytes, zone: ZoneInfo) -> datetime | None:
    """The time that a meter's clock shows, aware; None where it shows none.

    ``date``: week day, day, month, year of the century; ``time``: second, minute, hour; as they
    came, in binary-coded decimals. The clock is taken to run in ``zone``.

    >>> meter_time(bytes.fromhex("07221126"), bytes.fromhex("563412"), ZoneInfo("Asia/Shanghai"))
    datetime.datetime(2026, 11, 22, 12, 34, 56, tzinfo=zoneinfo.ZoneInfo(key='Asia/Shanghai'))
    """
    text = date[:0:-1].hex() + time[::-1].hex()
    if not text.isdecimal() or len(text) != 12:
        return None
    try:
        return datetime.strptime("20" + text, "%Y%m%d%H%M%S").replace(tzinfo=zone)
    except ValueError:
        return None
