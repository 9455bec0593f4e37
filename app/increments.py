"""Rows of a table that were made anew, in the place of their old ones: only days that differ."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime, time, timedelta

import polars as pl

from config.tables import Table
from storage.lake import Lake
from storage.rewriting import Rewritten

NOTHING = Rewritten(0, 0, ())
DAY = timedelta(days=1)


def replace_rows(
    lake: Lake,
    table: Table,
    plant_id: str,
    new: pl.DataFrame,
    scope: pl.Expr,
    *,
    from_utc: datetime | None = None,
    to_utc: datetime | None = None,
    ignoring: Collection[str] = (),
) -> tuple[Rewritten, pl.DataFrame]:
    """Put ``new`` in the place of all rows of the plant within ``scope``; what was done, and the
    rows by which the two differ (old and new).

    ``scope`` says of a row whether it was made anew; all its rows lie from ``from_utc`` to before
    ``to_utc``. ``ignoring``: columns that make no difference.
    """
    there = lake.scan(table, plant_id, from_utc=from_utc, to_utc=to_utc)
    old = there.filter(scope).collect()
    ignoring = [name for name in ignoring if name in table.names]
    compared = [name for name in table.names if name not in ignoring]
    differing = differences(old, new, compared)
    if differing.is_empty():
        return NOTHING, differing
    day = pl.col(table.time_column).dt.date()
    days = sorted(set(differing[table.time_column].dt.date()))
    rest = [
        lake.scan(table, plant_id, from_utc=start, to_utc=end).filter(~scope).collect()
        for start, end in runs(days)
    ]
    made = new.filter(day.is_in(days)).select(table.names)
    rows = pl.concat([*rest, made]).filter(day.is_in(days))
    done = lake.rewrite(table, plant_id, rows, days=days, ignoring=ignoring)
    return done, differing


def differences(old: pl.DataFrame, new: pl.DataFrame, compared: Collection[str]) -> pl.DataFrame:
    """Rows of either that the other does not have, by the columns that are compared."""
    names = list(compared)
    old, new = old.select(names), new.select(names)
    if old.is_empty() or new.is_empty():
        return pl.concat([old, new])
    return pl.concat(
        [
            old.join(new, on=names, how="anti", nulls_equal=True),
            new.join(old, on=names, how="anti", nulls_equal=True),
        ]
    )


def runs(days: Collection[date]) -> Iterator[tuple[datetime, datetime]]:
    """Start and end (UTC) of each run of days that follow each other."""
    first: date | None = None
    last: date | None = None
    for day in sorted(days):
        if last is not None and first is not None and day != last + DAY:
            yield _midnight(first), _midnight(last + DAY)
            first = day
        first, last = first or day, day
    if first is not None and last is not None:
        yield _midnight(first), _midnight(last + DAY)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(0), UTC)
