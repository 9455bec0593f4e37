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


def periods(
    by: By, start: datetime, end: datetime, zone: ZoneInfo, month_end_day: int = 31
) -> pl.DataFrame:
    """All periods of a kind that overlap ``start`` to ``end`` (aware), clipped to it.

    ``whole`` is False where the clip took something away. Days of 23 and 25 hours are as long as
    they are.

    >>> periods("month", datetime(2026, 9, 26, tzinfo=UTC), datetime(2026, 10, 26, tzinfo=UTC),
    ...         ZoneInfo("UTC"), 25)["period"].to_list()
    ['2026-10']
    """
    if end <= start:
        return PERIOD_SCHEMA.to_frame()
    bounds = _local_bounds(by, start.astimezone(zone), end.astimezone(zone), month_end_day)
    rows = []
    for label, first, after in bounds:
        first_utc, after_utc = first.astimezone(UTC), after.astimezone(UTC)
        if first_utc < end and after_utc > start:
            clipped = max(first_utc, start), min(after_utc, end)
            rows.append((by, label, *clipped, clipped == (first_utc, after_utc)))
    return pl.DataFrame(rows, schema=PERIOD_SCHEMA, orient="row")


def _local_bounds(
    by: By, start: datetime, end: datetime, month_end_day: int
) -> Iterator[tuple[str, datetime, datetime]]:
    """Labels and local bounds of all periods that meet ``start`` to ``end``."""
    if by in ("15min", "hour"):
        step = timedelta(minutes=15 if by == "15min" else 60)
        first = start.replace(minute=0, second=0, microsecond=0)
        while first < end:
            # Absolute steps: through a change of the clock each period keeps its length.
            after = (first.astimezone(UTC) + step).astimezone(start.tzinfo)
            yield first.isoformat(timespec="minutes"), first, after
            first = after
        return
    zone = start.tzinfo
    if by == "day":
        day = start.date()
        while _midnight(day, zone) < end:
            yield day.isoformat(), _midnight(day, zone), _midnight(day + timedelta(1), zone)
            day += timedelta(1)
        return
    year, month = statistical_month(start.date(), month_end_day)
    if by == "year":
        while (first := _midnight(_month_start(year, 1, month_end_day), zone)) < end:
            yield f"{year:04}", first, _midnight(_month_start(year + 1, 1, month_end_day), zone)
            year += 1
        return
    while (first := _midnight(_month_start(year, month, month_end_day), zone)) < end:
        following = (year, month + 1) if month < 12 else (year + 1, 1)
        yield (
            f"{year:04}-{month:02}",
            first,
            _midnight(_month_start(*following, month_end_day), zone),
        )
        year, month = following


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


def _midnight(day: date, zone: object) -> datetime:
    return datetime.combine(day, time(0), tzinfo=zone)  # type: ignore[arg-type]
