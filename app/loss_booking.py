"""The loss account's way into the lake: the spool's days, and the days of imported files.

The spool is the truth of what it counted, and the lake's rows are its image: a day whose entries
changed is written again whole, and marked as booked only after. A `kill -9` between the two has the
day written once more, to the same rows. Each account has a name of its own, so that a new spool in
the place of a lost one adds its rows, and takes none away.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from datetime import date, timedelta

import polars as pl

from app.losses import IMPORT, losses_frame, spool_losses
from config.base import IDENTIFIER
from config.loss_table import LOSSES
from config.site import Site
from config.tables import READINGS
from storage.account import EXPECTED, GOOD, REPEATED
from storage.days import Days
from storage.lake import Lake
from storage.spool import Spool

NOT_IMPORTED = "not_imported"
"""A time of the meter's interval, between its first imported reading and its last, without one."""

_IDENTIFIER = re.compile(IDENTIFIER)


def book_losses(site: Site, spool: Spool, lake: Lake) -> int:
    """Write the days whose account changed since the last time; the number of their rows.

    The caller holds the lake's lock. Raises StorageError; the days then wait for the next time.
    """
    book = spool.unbooked_days()
    if not book.unbooked:
        return 0
    frame = spool_losses(book, site.id)
    _put(lake, site.id, frame, pl.col("source").is_in(list(set(frame["source"]))))
    spool.days_booked(book)
    return frame.height


def book_imports(site: Site, lake: Lake, meters: Collection[str]) -> int:
    """Count the imported readings of some meters anew; the number of rows. For after an import.

    The caller holds the lake's lock. Raises StorageError.
    """
    mine = pl.col("meter_id").is_in(sorted(meters))
    frame = imported_losses(site, lake.scan(READINGS, site.id).filter(mine))
    there = lake.scan(LOSSES, site.id).filter((pl.col("source") == IMPORT) & mine).collect()
    gone = there.join(frame, on=["meter_id", "period"], how="anti")
    _put(lake, site.id, frame, (pl.col("source") == IMPORT) & mine, set(gone["period"]))
    return frame.height


def _put(
    lake: Lake,
    plant_id: str,
    frame: pl.DataFrame,
    scope: pl.Expr,
    emptied: Collection[str] = (),
) -> None:
    """Put ``frame`` in place of the rows of its days within ``scope``, and of ``emptied`` days."""
    labels = {*frame["period"], *emptied}
    if not labels:
        return
    # A day begins at most fourteen hours before its date does in UTC, and at most twelve after,
    # whatever zone its rows were written in.
    utc_days = {date.fromisoformat(text) - timedelta(n) for text in labels for n in (0, 1)}
    utc_days |= set(frame["start_utc"].dt.date())
    kept = (
        lake.scan(LOSSES, plant_id)
        .filter(pl.col("start_utc").dt.date().is_in(list(utc_days)))
        .filter(~(scope & pl.col("period").is_in(list(labels))))
        .collect()
    )
    lake.rewrite(LOSSES, plant_id, pl.concat([kept, frame]), days=utc_days)


def imported_losses(site: Site, readings: pl.LazyFrame) -> pl.DataFrame:
    """Rows of days for the readings that came from files, which alone have no connection's name.

    Where the configuration states a meter's interval, one reading is expected for each from the
    first imported to the last; where it does not, nothing tells what is missing, and those that are
    there are expected. A second reading of the same time or interval is ``repeated``.
    """
    mine = (
        readings.filter(~pl.col("source").str.contains(IDENTIFIER))
        .select("meter_id", "status", time_us=pl.col("time_utc").dt.epoch("us"))
        .collect()
    )
    if mine.is_empty():
        return LOSSES.polars_schema().to_frame()
    days = Days(str(site.plant.plant.zone))
    ticks = _ticks(mine, stated_intervals_us(site))
    entries: dict[tuple[str, int], Counter[str]] = {}
    for meter_id, day, outcome, count, readings_there in _by_day(ticks, days).iter_rows():
        booked = entries.setdefault((meter_id, day), Counter())
        booked[outcome] += count
        booked[EXPECTED] += count
        booked[REPEATED] += readings_there - count
    for meter_id, day, due in _due(ticks, days):
        booked = entries.setdefault((meter_id, day), Counter())
        booked[NOT_IMPORTED] += due - booked[EXPECTED]
        booked[EXPECTED] = due
    return losses_frame(site.id, days, entries, lambda _: IMPORT)


def stated_intervals_us(site: Site) -> dict[str, int]:
    """The interval of each meter for which the configuration states one.

    A meter of no connection is not polled, and ``poll_s`` says nothing of it.
    """
    plant = site.plant
    of_all = "poll_s" in plant.intervals.model_fields_set
    stated = {}
    for meter_id, meter in plant.meters.items():
        connection = plant.connections.get(meter.connection or "")
        of_connection = connection is not None and (
            of_all or getattr(connection, "interval_s", None) is not None
        )
        if meter.interval_s is not None or meter.span_minutes is not None or of_connection:
            stated[meter_id] = round(plant.interval_s(meter) * 1e6)
    return stated


def _ticks(mine: pl.DataFrame, intervals_us: dict[str, int]) -> pl.DataFrame:
    """Each time at which a meter was read: ``at_us``, its outcome, and how many readings it has.

    With an interval, times are counted in intervals from the first reading, to the nearest.
    """
    known = pl.DataFrame(
        list(intervals_us.items()),
        schema={"meter_id": pl.String(), "interval_us": pl.Int64()},
        orient="row",
    )
    first_us = pl.col("time_us").min().over("meter_id")
    interval_us = pl.col("interval_us")
    nearest = (pl.col("time_us") - first_us + interval_us // 2) // interval_us
    good = pl.col("status") == GOOD
    return (
        mine.join(known, on="meter_id", how="left")
        .with_columns(
            first_us=first_us,
            at_us=pl.when(interval_us.is_null())
            .then(pl.col("time_us"))
            .otherwise(first_us + nearest * interval_us),
        )
        .group_by("meter_id", "at_us", "first_us", "interval_us")
        .agg(
            outcome=pl.when(good.any()).then(pl.lit(GOOD)).otherwise(pl.col("status").min()),
            readings=pl.len(),
        )
    )


def _by_day(ticks: pl.DataFrame, days: Days) -> pl.DataFrame:
    """Ticks and readings by meter, day and outcome."""
    first, last = ticks.select(a=pl.col("at_us").min(), b=pl.col("at_us").max()).row(0)
    numbers = range(days.of(first), days.of(last) + 1)
    starts = pl.DataFrame({"day": numbers, "at_us": [days.bounds(day)[0] for day in numbers]})
    return (
        ticks.sort("at_us")
        .join_asof(starts.set_sorted("at_us"), on="at_us")
        .group_by("meter_id", "day", "outcome")
        .agg(count=pl.len(), readings=pl.col("readings").sum())
        .sort("meter_id", "day", "outcome")
    )


def _due(ticks: pl.DataFrame, days: Days) -> list[tuple[str, int, int]]:
    """How many ticks of its interval each meter has on each day from its first to its last."""
    spans = (
        ticks.filter(pl.col("interval_us").is_not_null())
        .group_by("meter_id", "interval_us")
        .agg(first=pl.col("first_us").min(), last=pl.col("at_us").max())
        .sort("meter_id")
    )
    due = []
    for meter_id, interval_us, first, last in spans.iter_rows():
        for day in range(days.of(first), days.of(last) + 1):
            start, end = days.bounds(day)
            begun = -(-(max(start, first) - first) // interval_us)
            ended = -(-(min(end, last + 1) - first) // interval_us)
            due.append((meter_id, day, ended - begun))
    return due
