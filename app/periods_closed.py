"""Closing a period, and restating a closed one: the only way in which its figures change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from app import jobs
from app.calendar import calendar
from app.increments import replace_rows
from app.progress import read_progress
from app.publishing import PUBLISHED, Targets, compute, put
from app.revising import STALE, Closed, Entry, closed_periods, restated, write_revisions
from config.book_tables import CLOSINGS, REVISIONS
from config.errors import InputError
from config.site import Site
from config.tables import CONSUMPTION, FINDINGS, INDICATORS
from pipeline.periods import By
from pipeline.rules import rules_of
from storage.lake import Lake

CLOSABLE: tuple[By, ...] = ("month", "year")


@dataclass(frozen=True)
class Book:
    """A period with the figures that are published of it."""

    closed: Closed
    figures: int
    refused: int


def close(site: Site, lake: Lake, period: str, *, reason: str, by_whom: str, now: datetime) -> Book:
    """Freeze the figures of a month (2026-10) or year (2026), as they are after a refresh.

    Raises InputError for a period that is closed, has no figures, or has not ended.
    """
    jobs.refresh(site, lake)
    with lake.lock(jobs.LOCK_TIMEOUT_S):
        found = _period(site, lake, period)
        if any(one == found for one in closed_periods(lake, site.id)):
            raise InputError(
                f"{period} is closed already",
                data="nothing was changed",
                todo=f"`kgce period restate {period} --reason ...` changes it",
            )
        rows = _figures(site, lake, found)
        _note(site, lake, found, "close", reason, by_whom, now)
    return Book(found, len(rows), int((rows["status"] == "refused").sum()))


def restate(
    site: Site, lake: Lake, period: str, *, reason: str, by_whom: str, now: datetime
) -> pl.DataFrame:
    """Bring the figures of a closed period up to what is known now; rows of ``revisions``.

    Raises InputError for a period that is not closed, and without a reason.
    """
    if not reason.strip():
        raise InputError("no reason", allowed="a text that says why", data="nothing was changed")
    jobs.refresh(site, lake)
    with lake.lock(jobs.LOCK_TIMEOUT_S):
        closed = closed_periods(lake, site.id)
        mine = [one for one in closed if one.period == period]
        if not mine:
            raise InputError(
                f"{period} is not closed",
                allowed=", ".join(one.period for one in closed) or "nothing is closed",
                data="nothing was changed",
                todo="open periods follow the data by themselves",
            )
        return _restate(
            site,
            lake,
            mine[0],
            [one for one in closed if one != mine[0]],
            Entry("restatement", reason, by_whom, now),
        )


def _restate(
    site: Site, lake: Lake, one: Closed, others: list[Closed], entry: Entry
) -> pl.DataFrame:
    progress = read_progress(jobs.storage_folder(site) / jobs.PROGRESS, jobs.origin(site))
    span = progress.span if progress is not None else jobs.data_span(site, lake)
    todo = []
    for grain in PUBLISHED:
        found = calendar(site, span, grain)
        inside = found.filter(
            (pl.col("start_utc") >= one.start_utc) & (pl.col("end_utc") <= one.end_utc)
        )
        todo.append(Targets(grain, inside, None, found.clear()))
    made = compute(site, lake, todo, rules_of(site), jobs.provenance(site, lake))
    inside_it = (pl.col("start_utc") >= one.start_utc) & (pl.col("end_utc") <= one.end_utc)
    rows = pl.concat(
        restated(
            table,
            lake.scan(table, site.id, from_utc=one.start_utc).filter(inside_it).collect(),
            frame,
            entry,
        )
        for table, frame in ((CONSUMPTION, made.consumption), (INDICATORS, made.indicators))
    )
    if len(rows):
        write_revisions(lake, site.id, rows)
        _note(site, lake, one, "restate", entry.reason, entry.entered_by, entry.entered_utc)
        put(site, lake, todo, made, entry, every=False, closed=others)
        stale = (pl.col("code") == STALE) & (pl.col("subject") == one.period)
        replace_rows(lake, FINDINGS, site.id, FINDINGS.polars_schema().to_frame(), stale)
    return rows.select(REVISIONS.names)


def _period(site: Site, lake: Lake, period: str) -> Closed:
    span = jobs.data_span(site, lake)
    for grain in CLOSABLE:
        found = calendar(site, span, grain).filter(pl.col("period") == period)
        if found.is_empty():
            continue
        row = found.row(0, named=True)
        if not row["whole"]:
            raise InputError(
                f"{period} is not whole: data reaches to {row['end_utc']:%Y-%m-%d %H:%M} UTC",
                allowed="a month or year that has ended",
                data="nothing was changed",
                todo="close it when its last readings are in",
            )
        return Closed(grain, period, row["start_utc"], row["end_utc"])
    months = calendar(site, span, "month")["period"].to_list()
    raise InputError(
        f"no period {period!r} with data",
        allowed=f"{months[0]} to {months[-1]}, or a year" if months else "there is no data yet",
        data="nothing was changed",
    )


def _figures(site: Site, lake: Lake, one: Closed) -> pl.DataFrame:
    rows = lake.scan(CONSUMPTION, site.id, from_utc=one.start_utc, to_utc=one.end_utc)
    own = (pl.col("grain") == one.grain) & (pl.col("period") == one.period)
    return rows.filter(own).collect()


def _note(
    site: Site, lake: Lake, one: Closed, action: str, reason: str, by_whom: str, now: datetime
) -> None:
    row = {
        "plant_id": site.id,
        **one._asdict(),
        "action": action,
        "reason": reason,
        "entered_by": by_whom,
        "entered_utc": now,
        "provenance": jobs.provenance(site, lake),
    }
    lake.append(CLOSINGS, pl.DataFrame([row], schema=CLOSINGS.polars_schema()))
