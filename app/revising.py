"""Figures that were published: closing them, and writing down what changes them.

A closed period keeps its figures whatever comes later; only a restatement, with a reason, changes
them. Of open periods, a change of a whole month's or year's figure is written down too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import polars as pl

from config.book_tables import CLOSINGS, REVISIONS
from config.tables import CONSUMPTION, FINDINGS, INDICATORS, Table
from storage.lake import Lake

STALE = "period.closed_differs"
WRITTEN_DOWN = ("month", "year")

_SUBJECT = {CONSUMPTION: ("node_id", "energy_code"), INDICATORS: ("subject", "indicator")}
_VALUE = {CONSUMPTION: "amount", INDICATORS: "value"}
_SAME = ("plant_id", "table", "subject", "figure", "grain", "period")


class Closed(NamedTuple):
    """A closed period."""

    grain: str
    period: str
    start_utc: datetime
    end_utc: datetime


@dataclass(frozen=True)
class Entry:
    """Who changes figures, when, and why. ``kind``: data, configuration or restatement."""

    kind: str
    reason: str
    entered_by: str
    entered_utc: datetime


def closed_periods(lake: Lake, plant_id: str) -> list[Closed]:
    """The closed periods of a plant, earliest first."""
    rows = lake.scan(CLOSINGS, plant_id).select(Closed._fields).unique().collect()
    return [Closed(*row) for row in rows.sort("start_utc", "end_utc").iter_rows()]


def inside(closed: Sequence[Closed]) -> pl.Expr:
    """Whether a row's period lies in a closed one."""
    start, end = pl.col("start_utc"), pl.col("end_utc")
    return pl.any_horizontal(
        pl.lit(False), *((start >= one.start_utc) & (end <= one.end_utc) for one in closed)
    )


def figure_of(table: Table) -> pl.Expr:
    """What a row is a figure of, beside its subject."""
    second = pl.col(_SUBJECT[table][1])
    if table is CONSUMPTION:
        return second
    norm = pl.when(pl.col("norm") == "").then(pl.lit("")).otherwise("|" + pl.col("norm"))
    return second + norm


def compared(table: Table, old: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    """Rows of both side by side, in the columns of ``revisions`` but for who and why; only those
    whose value or status differs. A row that one of them lacks has an empty status there."""
    keys = ["plant_id", "subject", "figure", "grain", "period"]

    def side(frame: pl.DataFrame, name: str) -> pl.DataFrame:
        rows = [
            json.dumps(row, default=str, ensure_ascii=False) for row in frame.iter_rows(named=True)
        ]
        return frame.select(
            "plant_id",
            pl.col(_SUBJECT[table][0]).alias("subject"),
            figure_of(table).alias("figure"),
            "grain",
            "period",
            "start_utc",
            "end_utc",
            "unit",
            pl.col(_VALUE[table]).alias(f"{name}_value"),
            pl.col("status").alias(f"{name}_status"),
            pl.Series(f"{name}_row", rows, dtype=pl.String),
        )

    both = side(old, "old").join(side(new, "new"), on=keys, how="full", coalesce=True)
    differs = pl.col("old_value").ne_missing(pl.col("new_value")) | pl.col("old_status").ne_missing(
        pl.col("new_status")
    )
    return both.filter(differs).select(
        "plant_id",
        pl.lit(table.name).alias("table"),
        *keys[1:],
        *(
            pl.coalesce(name, f"{name}_right").alias(name)
            for name in ("start_utc", "end_utc", "unit")
        ),
        "old_value",
        "new_value",
        pl.col("old_status", "new_status", "old_row").fill_null(""),
    )


def revisions(table: Table, old: pl.DataFrame, new: pl.DataFrame, entry: Entry) -> pl.DataFrame:
    """Rows of ``revisions``: what becomes of figures that were published as whole."""
    told = old.filter(pl.col("grain").is_in(WRITTEN_DOWN) & (pl.col("status") == "complete"))
    keys = [name for name in table.key if name in table.names]
    again = new.join(told.select(keys), on=keys, how="semi")
    return _signed(compared(table, told, again), entry)


def _signed(rows: pl.DataFrame, entry: Entry) -> pl.DataFrame:
    return rows.with_columns(
        kind=pl.lit(entry.kind),
        reason=pl.lit(entry.reason),
        entered_by=pl.lit(entry.entered_by),
        entered_utc=pl.lit(entry.entered_utc).cast(pl.Datetime("us", "UTC")),
    ).select(REVISIONS.names)


def restated(table: Table, old: pl.DataFrame, new: pl.DataFrame, entry: Entry) -> pl.DataFrame:
    """Rows of ``revisions`` for everything that differs."""
    return _signed(compared(table, old, new), entry)


def write_revisions(lake: Lake, plant_id: str, rows: pl.DataFrame) -> int:
    """Append revisions, but for those that an interrupted refresh has written already."""
    if rows.is_empty():
        return 0
    last = (
        lake.scan(REVISIONS, plant_id)
        .sort("entered_utc")
        .unique(_SAME, keep="last", maintain_order=True)
        .select(*_SAME, "old_row", "new_value", "new_status")
        .collect()
    )
    rows = rows.join(last, on=last.columns, how="anti", nulls_equal=True)
    if len(rows):
        lake.append(REVISIONS, rows)
    return len(rows)


def stale_figures(
    table: Table, old: pl.DataFrame, new: pl.DataFrame, closed: Sequence[Closed]
) -> pl.DataFrame:
    """Figures of closed periods, themselves and not the days in them, that would be others now."""
    own = pl.any_horizontal(
        pl.lit(False),
        *((pl.col("grain") == one.grain) & (pl.col("period") == one.period) for one in closed),
    )
    return compared(table, old.filter(own), new.filter(own))


def closed_findings(plant_id: str, stale: pl.DataFrame, closed: Sequence[Closed]) -> pl.DataFrame:
    """One finding for each of the closed periods whose figures would be others now."""
    rows: list[dict[str, Any]] = []
    for one in closed:
        mine = stale.filter((pl.col("grain") == one.grain) & (pl.col("period") == one.period))
        if mine.is_empty():
            continue
        shown = mine.select("table", "subject", "figure", "unit", "old_value", "new_value")
        rows.append(
            {
                "plant_id": plant_id,
                "code": STALE,
                "severity": "warning",
                "subject": one.period,
                "start_utc": one.start_utc,
                "end_utc": one.end_utc,
                "message": f"{len(mine)} figures of the closed period would be others now: they "
                "stay until `kgce period restate` says why they change",
                "evidence": json.dumps(shown.to_dicts(), ensure_ascii=False),
            }
        )
    return pl.DataFrame(rows, schema=FINDINGS.polars_schema())
