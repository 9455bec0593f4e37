"""The plant's calendar: hours, shifts, days, statistical months and years in its own time zone.

A statistical month that ends on day 25 is labelled by the month in which it ends: 2026-10 runs from
26 September to 25 October. The statistical year is its twelve months.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, get_args
from zoneinfo import ZoneInfo

import polars as pl

from config.errors import InputError
from config.months import month_after, month_start, statistical_month
from config.shifts import ShiftPlan, shift_spans
from pipeline.rules import GRID_US

By = Literal["15min", "30min", "hour", "shift", "day", "month", "year"]
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
_CLOCK_MINUTES: dict[By, int] = {"15min": 15, "30min": 30, "hour": 60}
_NO_SHIFTS: ShiftPlan = {}


def periods(
    by: By,
    start: datetime,
    end: datetime,
    zone: ZoneInfo,
    month_end_day: int = 31,
    shifts: ShiftPlan = _NO_SHIFTS,
) -> pl.DataFrame:
    """All periods of a kind that overlap ``start`` to ``end`` (aware), clipped to it.

    Both are first moved outward to the 15-minute grid: an interval is in one period or in none.
    ``whole`` is False where the clip took something away. Days of 23 and 25 hours are as long as
    they are. Between shifts there may be time that no period holds. Raises InputError for shifts
    where there are none.

    >>> periods("month", datetime(2026, 9, 26, tzinfo=UTC), datetime(2026, 10, 26, tzinfo=UTC),
    ...         ZoneInfo("UTC"), 25)["period"].to_list()
    ['2026-10']
    """
    # In UTC times compare; two local times of one zone compare by their clocks alone.
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    if end <= start:
        return PERIOD_SCHEMA.to_frame()
    start, end = start - (start - _EPOCH) % _GRID, end + (_EPOCH - end) % _GRID
    if by == "shift":
        bounds = _shifts(shifts, start, end, zone)
    else:
        bounds = _bounds(by, start, end, zone, month_end_day)
    rows = []
    for label, first, after in bounds:
        if after > start:
            clipped = max(first, start), min(after, end)
            rows.append((by, label, *clipped, clipped == (first, after)))
    return pl.DataFrame(rows, schema=PERIOD_SCHEMA, orient="row")


def _bounds(
    by: By, start: datetime, end: datetime, zone: ZoneInfo, month_end_day: int
) -> Iterator[tuple[str, datetime, datetime]]:
    """Labels and bounds (UTC) of the periods from the one that holds ``start`` up to ``end``."""
    if by in _CLOCK_MINUTES:
        minutes = _CLOCK_MINUTES[by]
        first = _floor(start.astimezone(zone), minutes).astimezone(UTC)
        while first < end:
            after = _clock_end(first, minutes, zone)
            yield first.astimezone(zone).isoformat(timespec="minutes"), first, after
            first = after
        return
    starts = _local_starts(by, start.astimezone(zone).date(), month_end_day)
    label, day = next(starts)
    while (first := _midnight(day, zone)) < end:
        label_after, day = next(starts)
        yield label, first, _midnight(day, zone)
        label = label_after


def _shifts(
    plan: ShiftPlan, start: datetime, end: datetime, zone: ZoneInfo
) -> Iterator[tuple[str, datetime, datetime]]:
    """Labels such as ``2026-10-05 night``: the day that the shift belongs to, and its name."""
    if not plan:
        raise InputError(
            "periods by shift, and no shifts are configured",
            allowed="shifts of plant.yaml",
            todo="state them under `shifts:`, or ask by hour or day",
        )
    for span in shift_spans(plan, start, end, zone):
        yield f"{span.day.isoformat()} {span.name}", span.start_utc, span.end_utc


def _clock_end(first: datetime, minutes: int, zone: ZoneInfo) -> datetime:
    """End of the piece of the clock that begins at ``first`` (both UTC).

    True time: through a change of the clock by an hour each piece keeps its length. One by half an
    hour leaves half an hour of its own, so that those behind it begin on the clock's hour again.
    """
    after = (first + timedelta(minutes=minutes)).astimezone(zone)
    if after.utcoffset() == first.astimezone(zone).utcoffset():
        after = _floor(after, minutes)
    return after.astimezone(UTC)


def _floor(local: datetime, minutes: int) -> datetime:
    return local.replace(minute=local.minute // minutes * minutes, second=0, microsecond=0)


def _local_starts(by: By, day: date, month_end_day: int) -> Iterator[tuple[str, date]]:
    """Labels and first days of the periods from the one that ``day`` is in, without end."""
    while by == "day":
        yield day.isoformat(), day
        day += timedelta(1)
    year, month = statistical_month(day, month_end_day)
    while by == "year":
        yield f"{year:04}", month_start(year, 1, month_end_day)
        year += 1
    while True:
        yield f"{year:04}-{month:02}", month_start(year, month, month_end_day)
        year, month = month_after(year, month)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """The day's first moment, UTC."""
    return datetime.combine(day, time(0), zone).astimezone(UTC)
