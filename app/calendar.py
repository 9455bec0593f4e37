"""The periods of a plant: those inside the time that has data."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import polars as pl

from config.site import Site
from config.tables import READINGS, STATEMENTS
from pipeline.entries import entries_in_force
from pipeline.periods import PERIOD_SCHEMA, By, periods
from pipeline.rules import GRID_US
from storage.lake import Lake

CLOCK_AHEAD = timedelta(hours=1)
Span = tuple[datetime, datetime]


def calendar(
    site: Site,
    span: Span | None,
    by: By,
    start: datetime | None = None,
    end: datetime | None = None,
) -> pl.DataFrame:
    """The periods from ``start`` to ``end`` (aware) inside the time that has data (``span``).

    Periods that reach past the data are clipped to it, and not whole.
    """
    info, shifts = site.plant.plant, site.plant.shifts
    if span is None:
        return PERIOD_SCHEMA.to_frame()
    first, last = span
    if info.metering_since is not None:
        first = datetime.combine(info.metering_since, time(0), info.zone).astimezone(UTC)
    elif not start:
        # Without a stated first day, the time before the first reading is missing, not absent.
        around = periods(
            by, first, first + timedelta(seconds=1), info.zone, info.month_end_day, shifts
        )
        whole = periods(
            by,
            first - timedelta(days=400),
            first + timedelta(days=400),
            info.zone,
            info.month_end_day,
            shifts,
        )
        if len(around):  # time between two shifts is in no period
            first = whole.filter(pl.col("period") == around["period"][0])["start_utc"][0]
    inside = max(start or first, first), min(end or last, last)
    return periods(by, *inside, info.zone, info.month_end_day, shifts)


def data_span(site: Site, lake: Lake) -> Span | None:
    """First time with data, and the last grid boundary up to which the plant was read.

    None where there is no data. Statements count where there are no readings.
    """
    return span_of(lake.scan(READINGS, site.id)) or stated_span(site, lake)


def span_of(readings: pl.LazyFrame) -> Span | None:
    """The same of some readings."""
    # A meter whose clock runs ahead must not make everybody else look silent.
    believed = pl.col("time_utc") <= pl.col("received_utc") + CLOCK_AHEAD
    read = readings.filter(believed).select(
        first=pl.col("time_utc").min(), last=pl.col("time_utc").max()
    )
    return _gridded(*read.collect(engine="streaming").row(0))


def stated_span(site: Site, lake: Lake) -> Span | None:
    """The time that statements in force cover; None without any."""
    entered = entries_in_force(lake.scan(STATEMENTS, site.id), "meter_id", "consumed")
    typed = entered.select(first=pl.col("start_utc").min(), last=pl.col("end_utc").max())
    return _gridded(*typed.collect().row(0))


def reach(periods: pl.DataFrame) -> Span:
    """Start of the first and end of the last of some periods (at least one)."""
    return min(periods["start_utc"].to_list()), max(periods["end_utc"].to_list())


def _gridded(first: datetime | None, last: datetime | None) -> Span | None:
    if first is None or last is None:
        return None
    us = round(last.timestamp() * 1e6) // GRID_US * GRID_US
    return first, datetime.fromtimestamp(us / 1e6, UTC)
