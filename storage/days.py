"""The plant's own days: on which day a moment lies, and when a day begins and ends.

A day is a number, counted from 1970-01-01 of the plant's calendar, so that months and years of that
calendar are sums of days. A day of 23 or 25 hours is one day.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAY_US = 86_400_000_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_US = timedelta(microseconds=1)
_MOST_KNOWN = 10_000


class Days:
    """The days of one time zone. ``start_us`` to ``end_us`` is the day last asked for, ``day``."""

    def __init__(self, zone: str) -> None:
        self.zone = zone
        self._info = None if zone == "UTC" else ZoneInfo(zone)
        self._starts: dict[int, int] = {}
        self._offset_us = 0
        self.day = 0
        self.start_us, self.end_us = self.bounds(0)

    def of(self, time_us: int) -> int:
        """The day of a moment, in microseconds since the epoch, UTC."""
        if self.start_us <= time_us < self.end_us:
            return self.day
        day = (time_us + self._offset_us) // DAY_US
        start_us, end_us = self.bounds(day)
        while time_us < start_us:
            day, (start_us, end_us) = day - 1, (self._start(day - 1), start_us)
        while time_us >= end_us:
            day, (start_us, end_us) = day + 1, (end_us, self._start(day + 2))
        self._offset_us = day * DAY_US - start_us
        self.day, self.start_us, self.end_us = day, start_us, end_us
        return day

    def bounds(self, day: int) -> tuple[int, int]:
        """When the day begins and when the next one does, in microseconds since the epoch, UTC."""
        return self._start(day), self._start(day + 1)

    def _start(self, day: int) -> int:
        if self._info is None:
            return day * DAY_US
        start_us = self._starts.get(day)
        if start_us is None:
            if len(self._starts) >= _MOST_KNOWN:
                self._starts.clear()
            start_us = self._starts[day] = _midnight_us(day, self._info)
        return start_us


def _midnight_us(day: int, zone: ZoneInfo) -> int:
    """The day's first moment; that of UTC outside the years that a calendar has."""
    try:
        first = datetime.combine(date.fromordinal(_EPOCH_ORDINAL + day), time(0), zone)
        return (first.astimezone(UTC) - _EPOCH) // _US
    except (ValueError, OverflowError):
        return day * DAY_US


def label(day: int) -> str:
    """The date of a day; the first or last that a calendar has where there is none.

    >>> label(0), label(20_000)
    ('1970-01-01', '2024-10-04')
    """
    ordinal = min(max(_EPOCH_ORDINAL + day, date.min.toordinal()), date.max.toordinal())
    return date.fromordinal(ordinal).isoformat()
