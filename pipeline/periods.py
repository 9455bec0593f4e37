"""The plant's calendar: hours, days, statistical months and years in its own time zone.

A statistical month that ends on day 25 is labelled by the month in which it ends: 2026-10 runs from
26 September to 25 October. The statistical year is its twelve months.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, get_args
from zoneinfo import ZoneInfo

import polars as pl

from pipeline.rules import GRID_US

By = Literal["15min", "hour", "day", "month", "year"]
BYS: tuple[By, ...] = get_args(By)
PERIOD_SCHEMA = pl.Schema(
    {
        "grain": pl.String(),
        "period": pl.String(),
        "start_utc": pl.Datetime("us", "UTC"),
        "end_utc": pl.Datetime("us", "UTC"),
        "whole": pl.Boolean(),
    }
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_GRID = timedelta(microseconds=GRID_US)


def periods(
    by: By, start: datetime, end: datetime, zone: ZoneInfo, month_end_day: int = 31
) -> pl.DataFrame:
    """All periods of a kind that overlap ``start`` to ``end`` (aware), clipped to it.

    Both are first moved outward to the 15-minute grid: an interval is in one period or in none.
    ``whole`` is False where the clip took something away. Days of 23 and 25 hours are as long as
    they are.

    >>> periods("month", datetime(2026, 9, 26, tzinfo=UTC), datetime(2026, 10, 26, tzinfo=UTC),
    ...         ZoneInfo("UTC"), 25)["period"].to_list()
    ['2026-10']
    """
    # In UTC times compare; two local times of one zone compare by their clocks alone.
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    if end <= start:
        return PERIOD_SCHEMA.to_frame()
    start, end = start - (start - _EPOCH) % _GRID, end + (_EPOCH - end) % _GRID
    rows = []
    for label, first, after in _bounds(by, start, end, zone, month_end_day):
        if after > start:
            clipped = max(first, start), min(after, end)
            rows.append((by, label, *clipped, clipped == (first, after)))
    return pl.DataFrame(rows, schema=PERIOD_SCHEMA, orient="row")


def _bounds(
    by: By, start: datetime, end: datetime, zone: ZoneInfo, month_end_day: int
) -> Iterator[tuple[str, datetime, datetime]]:
    """Labels and bounds (UTC) of the periods from the one that holds ``start`` up to ``end``."""
    if by in ("15min", "hour"):
        step = timedelta(minutes=15 if by == "15min" else 60)
        first = start.astimezone(zone).replace(minute=0).astimezone(UTC)
        while first < end:
            # Steps of true time: through a change of the clock each period keeps its length.
            yield first.astimezone(zone).isoformat(timespec="minutes"), first, first + step
            first += step
        return
    starts = _local_starts(by, start.astimezone(zone).date(), month_end_day)
    label, day = next(starts)
    while (first := _midnight(day, zone)) < end:
        label_after, day = next(starts)
        yield label, first, _midnight(day, zone)
        label = label_after


def _local_starts(by: By, day: date, month_end_day: int) -> Iterator[tuple[str, date]]:
    """Labels and first days of the periods from the one that ``day`` is in, without end."""
    while by == "day":
        yield day.isoformat(), day
        day += timedelta(1)
    year, month = statistical_month(day, month_end_day)
    while by == "year":
        yield f"{year:04}", _month_start(year, 1, month_end_day)
        year += 1
    while True:
        yield f"{year:04}-{month:02}", _month_start(year, month, month_end_day)
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)


def statistical_month(day: date, month_end_day: int) -> tuple[int, int]:
    """Year and month of the statistical month that ``day`` belongs to.

    >>> statistical_month(date(2026, 9, 26), 25), statistical_month(date(2026, 9, 25), 25)
    ((2026, 10), (2026, 9))
    """
    last = min(month_end_day, monthrange(day.year, day.month)[1])
    if day.day <= last:
        return day.year, day.month
    return (day.year, day.month + 1) if day.month < 12 else (day.year + 1, 1)


def _month_start(year: int, month: int, month_end_day: int) -> date:
    """First day of a statistical month: the day after the one before ends."""
    year, month = (year, month - 1) if month > 1 else (year - 1, 12)
    last = min(month_end_day, monthrange(year, month)[1])
    return date(year, month, last) + timedelta(1)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """The day's first moment, UTC."""
    return datetime.combine(day, time(0), zone).astimezone(UTC)
