"""What an OPC UA data value says: a number and its time, or the reason why there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from asyncua import ua

from collectors.base import GOOD

BAD_QUALITY = "bad_quality"
BAD_PAYLOAD = "bad_payload"
NOT_A_NUMBER = "not_a_number"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The least and the greatest time that can be encoded stand for none (OPC 10000-6, 5.2.2.5).
_FIRST, _LAST = datetime(1602, 1, 1, tzinfo=UTC), datetime(9998, 12, 31, tzinfo=UTC)
_NUMBERS = frozenset(
    (
        ua.VariantType.SByte,
        ua.VariantType.Byte,
        ua.VariantType.Int16,
        ua.VariantType.UInt16,
        ua.VariantType.Int32,
        ua.VariantType.UInt32,
        ua.VariantType.Int64,
        ua.VariantType.UInt64,
        ua.VariantType.Float,
        ua.VariantType.Double,
    )
)
# StatusCode, Part 4, 7.39.2: severity and code in the upper half; InfoType DataValue with Overflow.
_CODE_BITS = 0xFFFF0000
_INFO_TYPE_BITS, _DATA_VALUE, _OVERFLOW = 0x0C00, 0x0400, 0x0080


@dataclass(frozen=True)
class Sample:
    """One data value. Times are microseconds since the epoch, UTC, or None where none is stated.

    ``value`` is None exactly when ``status`` is not ``good``; then ``detail`` says why.
    ``overflow``: the server's queue was full, and values before this one are lost.
    """

    value: float | None
    status: str
    detail: str
    source_us: int | None
    server_us: int | None
    overflow: bool

    @property
    def stated_us(self) -> int | None:
        """The source's time, else the server's."""
        return self.source_us if self.source_us is not None else self.server_us


def sample_of(data: ua.DataValue) -> Sample:
    """What ``data`` says, judged by its quality first and its type second."""
    code = data.StatusCode.value if data.StatusCode is not None else 0
    value, status, detail = _judged(code, data.Value)
    # asyncua 2.1 reads the source's picoseconds after the server's time, which they precede
    # (OPC 10000-6, 5.2.2.17): with them, the server's time is garbage.
    server = data.ServerTimestamp if data.SourcePicoseconds is None else None
    return Sample(
        value,
        status,
        detail,
        time_us(data.SourceTimestamp),
        time_us(server),
        code & _INFO_TYPE_BITS == _DATA_VALUE and bool(code & _OVERFLOW),
    )


def _judged(code: int, variant: ua.Variant | None) -> tuple[float | None, str, str]:
    """Value, status and why. A value that is not good is not used, whatever it is."""
    if code >> 30:
        return None, BAD_QUALITY, code_name(code)
    if variant is None or variant.VariantType is ua.VariantType.Null:
        return None, BAD_PAYLOAD, "an empty value"
    if variant.VariantType not in _NUMBERS or isinstance(variant.Value, list | tuple):
        kind = "an array of " if isinstance(variant.Value, list | tuple) else ""
        return None, BAD_PAYLOAD, f"{kind}{variant.VariantType.name}, not a number"
    if not isinstance(variant.Value, int | float):
        return None, BAD_PAYLOAD, "an empty value"
    number = float(variant.Value)
    if not math.isfinite(number):
        return None, NOT_A_NUMBER, str(number)
    return number, GOOD, ""


def code_name(code: int) -> str:
    """The name of a status code without its flags, such as BadSensorFailure."""
    name = ua.StatusCode(ua.UInt32(code & _CODE_BITS)).name
    return name if name not in ("Bad", "Uncertain") else f"{name} (0x{code:08X})"


def time_us(stamp: datetime | None) -> int | None:
    """Microseconds since the epoch, UTC; None where there is no time."""
    if stamp is None:
        return None
    if stamp.tzinfo is None:
        stamp = stamp.replace(tzinfo=UTC)
    return (stamp - _EPOCH) // timedelta(microseconds=1) if _FIRST < stamp < _LAST else None
