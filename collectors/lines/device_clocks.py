"""Devices' clocks against this machine's."""

from __future__ import annotations

from collections.abc import Iterable

from collectors.base import GOOD
from collectors.changes import Changes

MOST_OFFSET_S = 60.0
CLOCK_OFF = "clock_off"


class DeviceClocks:
    """``offset_s`` holds, by meter id, how far the device's clock ran ahead when last read."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self.offset_s: dict[str, float] = {}

    def compare(self, subject: str, meter_ids: Iterable[str], shown_s: float, now_s: float) -> None:
        """A device's clock showed ``shown_s`` at ``now_s``: seconds since the epoch, UTC."""
        offset_s = round(shown_s - now_s, 1)
        for meter_id in meter_ids:
            self.offset_s[meter_id] = offset_s
        is_off = abs(offset_s) > MOST_OFFSET_S
        detail = f"{offset_s:+.0f} s from this machine's"
        self._changes.note(subject, CLOCK_OFF if is_off else GOOD, detail)
