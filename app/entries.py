"""Entries against what was entered before: new, known, a correction, or refused.

Entries are rows of ``outputs`` and ``statements``. An entry of the very span of an earlier one
corrects it: the earlier row stays in the lake, and the one entered last counts. A span whose last
row is a withdrawal is as if nothing had been entered for it, but that only a reason brings it back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from app.figures import output_meters
from collectors.files import REFUSED_SCHEMA, ReadFile
from config.site import Site
from config.tables import OUTPUTS, STATEMENTS, Table
from pipeline.periods import periods
from storage.lake import Lake

AMOUNTS: dict[Table, tuple[str, ...]] = {
    OUTPUTS: ("qualified_quantity", "output_value_cny"),
    STATEMENTS: ("opening_stock", "purchased", "closing_stock", "sold"),
}
LABELS: dict[Table, tuple[str, ...]] = {OUTPUTS: ("shift", "batch"), STATEMENTS: ()}
SAME_RATIO = 1e-9
"""Amounts that differ by less are the same, stated in two units."""
STOCK_RATIO = 1e-6

Row = dict[str, Any]
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Rules:
    """How corrections are taken.

    ``reason``: the one that was stated; ``or_else``: the one of a correction without any, None
    where it is refused then. ``seen``: the same file was taken before, so what it says was entered
    already. ``own_source``: the entries are a source's, which corrects only what it said itself;
    what somebody else entered meanwhile stays.
    """

    reason: str | None = None
    or_else: str | None = None
    seen: bool = False
    own_source: bool = False


@dataclass
class Judged:
    """``rows`` are to be appended; ``known`` are there already; ``corrected`` says old and new."""

    rows: pl.DataFrame
    known: int
    refused: pl.DataFrame
    corrected: list[str] = field(default_factory=list)


def judge(site: Site, lake: Lake, table: Table, read: ReadFile, rules: Rules) -> Judged:
    """What becomes of the entries of one file, or of one person."""
    entries = pl.concat([read.rows, read.origin], how="horizontal")
    there = lake.scan(table, site.id).sort("entered_utc", maintain_order=True).collect()
    refused = _overlapping(table, there, entries)
    if table is OUTPUTS:
        refused = pl.concat([_metered(site, entries), refused]).unique("line", keep="first")
    accepted = entries.join(refused, on="line", how="anti", maintain_order="left")
    history = _history(table, there, accepted)
    judged = Judged(read.rows.clear(), 0, refused)
    fresh: list[tuple[Row, list[Row]]] = []
    for row in accepted.sort("start_utc", "line").iter_rows(named=True):
        before = history.get(_key(table, row), [])
        if _is_known(table, row, before, rules):
            judged.known += 1
        else:
            fresh.append((row, before))
    stocks = _Stocks(site, history, [row for row, _ in fresh]) if table is STATEMENTS else None
    new: list[Row] = []
    troubles: list[tuple[int, str, str]] = []
    for row, before in fresh:
        line, text = row.pop("line"), row.pop("text")
        stated = row["reason"] or rules.reason
        broken = stocks.trouble(row) if stocks is not None else ""
        if broken and not stated:
            troubles.append((line, broken, text))
            continue
        if before and not (stated or rules.or_else):
            troubles.append((line, f"{said(site, before[-1])}; state why it is corrected", text))
            continue
        if before:
            row["reason"] = stated or rules.or_else
            # Also where this machine's clock was set back, what is entered last counts.
            newest = before[-1]["entered_utc"] + timedelta(microseconds=1)
            row["entered_utc"] = max(row["entered_utc"], newest)
            judged.corrected.append(_change(site, table, before[-1], row))
        elif broken:
            row["reason"] = stated
        if stocks is not None:
            stocks.take(row)
        new.append(row)
    judged.rows = pl.DataFrame(new, schema=dict(table.polars_schema()), orient="row")
    found = pl.DataFrame(troubles, schema=dict(REFUSED_SCHEMA), orient="row")
    judged.refused = pl.concat([read.refused, refused, found]).sort("line")
    return judged


def entry_text(site: Site, table: Table, row: Row) -> list[str]:
    """What was stored, and the periods whose figures it changes."""
    return [
        f"stored: {entry_what(site, table, row)}, by {row['entered_by']}"
        + (f", because: {row['reason']}" if row["reason"] else ""),
        f"spread evenly over its time; it enters the figures of {entry_periods(site, row)}",
    ]


def entry_what(site: Site, table: Table, row: Row) -> str:
    """Subject, span and amounts of an entry."""
    what = ", ".join(
        f"{name} {_shown(row[name])}" for name in AMOUNTS[table] if row[name] is not None
    )
    if table is STATEMENTS:
        what += f", consumed {_shown(row['consumed'])}"
    labels = [f"{name} {row[name]}" for name in LABELS[table] if row[name] is not None]
    span = span_text(site, row["start_utc"], row["end_utc"])
    said_of = f" ({', '.join(labels)})" if labels else ""
    return f"{row[table.key[1]]} {span}: {what} [{row['unit']}]{said_of}"


def entry_periods(site: Site, row: Row) -> str:
    """The days, months and years that an entry's span touches."""
    info = site.plant.plant
    touched = []
    for by in ("day", "month", "year"):
        found = periods(by, row["start_utc"], row["end_utc"], info.zone, info.month_end_day)
        labelled = found["period"].to_list()
        last = f" to {labelled[-1]}" if len(labelled) > 1 else ""
        touched.append(f"{by} {labelled[0]}{last}")
    return ", ".join(touched)


def span_text(site: Site, start: datetime, end: datetime) -> str:
    """A span in the plant's time; whole days as days."""
    zone = site.plant.plant.zone
    first, last = start.astimezone(zone), end.astimezone(zone)
    if (first.hour, first.minute, last.hour, last.minute) == (0, 0, 0, 0):
        day, until = first.date(), (last - timedelta(days=1)).date()
        return str(day) if day == until else f"{day} to {until}"
    return f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}"


def _history(table: Table, there: pl.DataFrame, entries: pl.DataFrame) -> dict[Key, list[Row]]:
    """What was entered of the subjects concerned, by key, the last one last."""
    subject = table.key[1]
    history: dict[Key, list[Row]] = {}
    for row in there.filter(pl.col(subject).is_in(entries[subject].implode())).iter_rows(
        named=True
    ):
        history.setdefault(_key(table, row), []).append(row)
    return history


def _key(table: Table, row: Row) -> Key:
    return tuple(row[name] for name in table.key)


def _is_known(table: Table, row: Row, before: Sequence[Row], rules: Rules) -> bool:
    own = [old for old in before if old["source"] == row["source"]] if rules.own_source else []
    compared = before if rules.seen else (own or before)[-1:]
    return any(_same(table, row, old) for old in compared)


def _same(table: Table, one: Row, other: Row) -> bool:
    if other["withdrawn"]:
        return False
    return all(one[name] == other[name] for name in LABELS[table]) and all(
        _close(one[name], other[name], SAME_RATIO) for name in AMOUNTS[table]
    )


def _close(one: float | None, other: float | None, ratio: float) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= ratio * max(abs(one), abs(other))


def _change(site: Site, table: Table, old: Row, new: Row) -> str:
    parts = [
        f"{name} {_shown(old[name])} -> {_shown(new[name])}"
        for name in (*AMOUNTS[table], *LABELS[table])
        if old[name] != new[name]
    ]
    where = f"{new[table.key[1]]} {span_text(site, new['start_utc'], new['end_utc'])}"
    return f"{where}: {', '.join(parts) or 'entered again'} [{new['unit']}]; {said(site, old)}"


def _shown(value: object) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value or "none")


def said(site: Site, old: Row) -> str:
    """Who entered, or withdrew, an earlier row, and when."""
    at = old["entered_utc"].astimezone(site.plant.plant.zone)
    done = "withdrawn" if old["withdrawn"] else "entered"
    return f"{done} before by {old['entered_by']} on {at:%Y-%m-%d %H:%M} ({old['source']})"


class _Stocks:
    """The statements in force, of which each begins with the stock that the one before left."""

    def __init__(self, site: Site, history: dict[Key, list[Row]], coming: Sequence[Row]) -> None:
        self._site = site
        self._coming: set[Key] = set()
        self._by_start: dict[Key, Row] = {}
        self._by_end: dict[Key, Row] = {}
        for rows in history.values():
            if not rows[-1]["withdrawn"]:
                self.take(rows[-1])
        self._coming = {(row["meter_id"], row["start_utc"]) for row in coming}

    def take(self, row: Row) -> None:
        self._by_start[row["meter_id"], row["start_utc"]] = row
        self._by_end[row["meter_id"], row["end_utc"]] = row
        self._coming.discard((row["meter_id"], row["start_utc"]))

    def trouble(self, row: Row) -> str:
        """Stock that vanishes or appears between two statements is energy that nobody counts."""
        for other, left, found in self._neighbours(row):
            if not _close(left, found, STOCK_RATIO):
                span = span_text(self._site, other["start_utc"], other["end_utc"])
                after = other["start_utc"] > row["start_utc"]
                return (
                    f"closing stock {left:.12g} {row['unit']} is not the opening stock "
                    f"{found:.12g} of the next statement ({span})"
                    if after
                    else f"opening stock {found:.12g} {row['unit']} is not the closing stock "
                    f"{left:.12g} of the statement before ({span})"
                ) + "; correct it, or state the reason, such as a stocktake"
        return ""

    def _neighbours(self, row: Row) -> Iterator[tuple[Row, float, float]]:
        """The statements that meet this one, with the stock left and the stock found."""
        before = self._by_end.get((row["meter_id"], row["start_utc"]))
        if before is not None:
            yield before, before["closing_stock"], row["opening_stock"]
        following = row["meter_id"], row["end_utc"]
        after = self._by_start.get(following)
        if after is not None and following not in self._coming:  # else it is looked at by itself
            yield after, row["closing_stock"], after["opening_stock"]


def _metered(site: Site, entries: pl.DataFrame) -> pl.DataFrame:
    """Entries of products whose output meters say: they would count twice."""
    metered = output_meters(site)
    reason = pl.format("the output of {} is metered, and would count twice", "product_id")
    return _refused(
        entries.filter(pl.col("product_id").is_in(list(metered.values()))), reason=reason
    )


def _overlapping(table: Table, there: pl.DataFrame, entries: pl.DataFrame) -> pl.DataFrame:
    """Entries that overlap another span in the lake; the very same span corrects it.

    ``there``: in the order in which they were entered. What was withdrawn is in nobody's way.
    """
    subject = table.key[1]
    last = there.unique(table.key, keep="last", maintain_order=True)
    known = last.filter(pl.col("withdrawn").is_null())
    known = known.select(subject, "start_utc", "end_utc", "source")
    start, end = pl.col("start_utc"), pl.col("end_utc")
    other_start, other_end = pl.col("start_utc_there"), pl.col("end_utc_there")
    clash = (
        entries.join(known, on=subject, suffix="_there")
        .filter(
            (start < other_end)
            & (end > other_start)
            & ((start != other_start) | (end != other_end))
        )
        .sort("line", "start_utc_there")
    )
    reason = pl.format(
        "the span overlaps one of {} entered before: {} to {} (UTC, from {})",
        subject,
        other_start.dt.strftime("%Y-%m-%d %H:%M"),
        other_end.dt.strftime("%Y-%m-%d %H:%M"),
        "source_there",
    )
    return _refused(clash.unique("line", keep="first", maintain_order=True), reason=reason)


def _refused(entries: pl.DataFrame, reason: pl.Expr) -> pl.DataFrame:
    return entries.select("line", "text", reason=reason).select(REFUSED_SCHEMA.names())
