"""Put new rows in place of those of some UTC days: what differs, and which files it takes.

A day that is rewritten gets a file of its own, so that rewriting it again drops and adds whole
files and costs the same however long the history is. Out of a file of several days, such as
compaction makes of a past month, it is taken: what was before it and what was behind it become a
file each.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import polars as pl
from deltalake import DeltaTable
from deltalake.transaction import AddAction, RemoveAction

from config.tables import Table
from storage.datafiles import DataFile, data_files, month_of_day, rows_of, write_file
from storage.frames import FrameRefused

_NTH = "_nth"
"""Counts rows of one key, of which there should be one."""
_IN_OLD, _IN_NEW, _NEW = "_in_old", "_in_new", "_new"


class Rewritten(NamedTuple):
    """What a rewrite did.

    ``changed``: rows inserted, updated and deleted, by the table's key. ``written``: rows put into
    files, those of a changed day that stay the same among them. ``days``: the changed ones.
    """

    changed: int
    written: int
    days: tuple[date, ...]


class Differences(NamedTuple):
    """Rows by which new content differs, the days they are of, and all rows of these days."""

    changed: int
    days: tuple[date, ...]
    rows: pl.DataFrame


class Plan(NamedTuple):
    """The actions of one commit."""

    done: Rewritten
    actions: list[AddAction | RemoveAction]


def plan(
    table: Table,
    delta: DeltaTable,
    folder: Path,
    plant_id: str,
    new: pl.DataFrame,
    days: Collection[date],
    ignoring: Collection[str],
) -> Plan:
    """Compare with the version ``delta`` stands at, and write the files that it takes."""
    known = [f for f in data_files(table, delta) if f.plant_id == plant_id and f.meets(days)]
    old = _read(table, folder, plant_id, known).filter(_day(table).is_in(list(days))).collect()
    found = differences(table, old, new, ignoring)
    if not found.days:
        return Plan(Rewritten(0, 0, ()), [])
    superseded = [file for file in known if file.meets(found.days)]
    mixed = [file for file in superseded if file.one_day is None]
    others = _read(table, folder, plant_id, mixed).filter(~_day(table).is_in(found.days)).collect()
    actions: list[AddAction | RemoveAction] = [
        write_file(table, folder, part.sort(table.key), month_of_day(_first_day(table, part)))
        for part in (*_by_day(table, found.rows), *_between(table, others, found.days))
    ]
    actions += [file.removal() for file in superseded]
    return Plan(Rewritten(found.changed, found.rows.height + others.height, found.days), actions)


def _by_day(table: Table, rows: pl.DataFrame) -> list[pl.DataFrame]:
    return rows.with_columns(_day(table).alias(_NEW)).partition_by(_NEW, include_key=False)


def _between(table: Table, rows: pl.DataFrame, days: Collection[date]) -> list[pl.DataFrame]:
    """Rows of other days than ``days``, by month and by the days that they lie between."""
    cuts = pl.Series(sorted(days), dtype=pl.Date)
    day = rows[table.time_column].dt.date()
    where = pl.DataFrame({"_after": cuts.search_sorted(day), "_month": day.dt.truncate("1mo")})
    return rows.hstack(where).partition_by(where.columns, include_key=False)


def _first_day(table: Table, rows: pl.DataFrame) -> date:
    day: date = rows[table.time_column][0].date()
    return day


def differences(
    table: Table, old: pl.DataFrame, new: pl.DataFrame, ignoring: Collection[str] = ()
) -> Differences:
    """Compare rows, in whatever order, by the table's key; one that moves to another day is one.

    Columns of ``ignoring`` do not count; a row that differs in them alone keeps its old content.
    The key's columns always count.
    """
    # A row at another time is another row, also where the key does not hold the time.
    own = [*table.key, *({table.time_column} - {*table.key})]
    key = [*own, _NTH]
    others = [name for name in table.names if name not in own]
    both = (
        _numbered(table, old)
        .with_columns(pl.lit(True).alias(_IN_OLD))
        .join(
            _numbered(table, new).with_columns(pl.lit(True).alias(_IN_NEW)),
            on=key,
            how="full",
            suffix=_NEW,
            coalesce=True,
            nulls_equal=True,
        )
    )
    same = pl.all_horizontal(
        pl.col(_IN_OLD, _IN_NEW).is_not_null(),
        *(pl.col(n).eq_missing(pl.col(n + _NEW)) for n in others if n not in ignoring),
    )
    both = both.with_columns(same.alias("_same"), _day(table).alias("_day"))
    differing = both.filter(~pl.col("_same"))
    days = tuple(sorted(differing["_day"].unique().to_list()))
    of_days = both.filter(pl.col("_day").is_in(days))
    kept = of_days.filter("_same").select(table.names)
    put = of_days.filter(~pl.col("_same") & pl.col(_IN_NEW).is_not_null()).select(
        *own, *(pl.col(name + _NEW).alias(name) for name in others)
    )
    changed = differing.select(*table.key, _NTH).n_unique()
    return Differences(changed, days, pl.concat([kept, put.select(table.names)]))


def refuse_strange(
    table: Table, rows: pl.DataFrame, days: Collection[date], ignoring: Collection[str]
) -> None:
    """Raises FrameRefused for rows of other days than ``days``, and for unknown columns."""
    if unknown := set(ignoring) - set(table.names):
        raise FrameRefused(
            f"table {table.name}: columns to ignore: {', '.join(sorted(unknown))}",
            allowed=", ".join(table.names),
            data="nothing was replaced",
            todo="name columns that the table has",
        )
    beyond = sorted(set(rows[table.time_column].dt.date().unique()) - set(days))
    if beyond:
        raise FrameRefused(
            f"table {table.name}: rows of {len(beyond)} other days, the first {beyond[0]}",
            allowed=f"UTC days {_listed(days)}",
            data="nothing was replaced",
            todo="correct what makes the frame, or name the days that it covers",
        )


def _listed(days: Iterable[date]) -> str:
    names = [day.isoformat() for day in sorted(days)]
    return ", ".join(names) if len(names) < 10 else f"{names[0]} to {names[-1]}, {len(names)} days"


def _read(table: Table, folder: Path, plant_id: str, found: Iterable[DataFile]) -> pl.LazyFrame:
    return rows_of(table, plant_id, [folder / unquote(file.path) for file in found])


def _day(table: Table) -> pl.Expr:
    return pl.col(table.time_column).dt.date()


def _identity(table: Table) -> list[str]:
    """What tells rows of one day apart; not every key has the time in it."""
    return list(dict.fromkeys((*table.key, table.time_column)))


def _numbered(table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with one key more, which makes it unique."""
    rows = rows.select(table.names)
    if not rows.select(_identity(table)).is_duplicated().any():
        return rows.with_columns(pl.lit(0, pl.Int64).alias(_NTH))
    return rows.sort(table.names).with_columns(
        pl.int_range(pl.len(), dtype=pl.Int64).over(_identity(table)).alias(_NTH)
    )
