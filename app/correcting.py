"""Corrections by hand: a new row with who, when and why; what was read stays as it was."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

import polars as pl

from app import jobs
from config.book_tables import CORRECTIONS
from config.errors import InputError
from config.site import Site
from config.tables import GAPS
from storage.lake import Lake

EARLIEST_YEAR = 1990


def correct(
    site: Site,
    lake: Lake,
    meter_id: str,
    kind: str,
    start: datetime,
    end: datetime,
    *,
    value: float | None,
    reason: str,
    by_whom: str,
    now: datetime,
) -> None:
    """Enter one correction (kinds: see the table ``corrections``). Times are aware.

    Raises InputError where it cannot be right; then nothing is entered.
    """
    _refuse_meter(site, meter_id)
    _refuse_time(start, end, now, instant=kind == "reading")
    if not reason.strip():
        raise _refused("no reason", "a text that says why the correction is right")
    if value is not None and not math.isfinite(value):
        raise _refused(f"the value {value}", "a finite number")
    if kind == "amount":
        _refuse_amount(site, lake, meter_id, start, end, value)
    if kind == "void" and not _entered(site, lake, meter_id, start, end):
        raise _refused(
            f"no correction of {meter_id} from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC",
            "the very span of an earlier correction: `kgce show corrections`",
        )
    row = {
        "plant_id": site.id,
        "meter_id": meter_id,
        "kind": kind,
        "start_utc": start,
        "end_utc": end,
        "value": value,
        "reason": reason,
        "entered_by": by_whom,
        "entered_utc": now,
    }
    with lake.lock(jobs.LOCK_TIMEOUT_S):
        lake.append(CORRECTIONS, pl.DataFrame([row], schema=CORRECTIONS.polars_schema()))


def _refused(given: str, allowed: str, todo: str = "") -> InputError:
    return InputError(given, allowed=allowed, data="nothing was entered", todo=todo)


def _refuse_meter(site: Site, meter_id: str) -> None:
    meters = site.plant.meters
    if meter_id not in meters:
        raise _refused(f"no meter {meter_id!r} in the ledger", ", ".join(sorted(meters)[:20]))
    if meters[meter_id].connection is None:
        raise _refused(
            f"{meter_id!r} is not read: its amounts are stated",
            "meters with a connection",
            "enter the statement of the same span again: `kgce enter statement`",
        )


def _refuse_time(start: datetime, end: datetime, now: datetime, *, instant: bool) -> None:
    if end < start or (end == start and not instant):
        raise _refused(f"the end {end} is not after the start {start}", "an end after the start")
    if end > now:
        raise _refused(f"{end:%Y-%m-%d %H:%M} UTC is in the future", "times up to now")
    if start.year < EARLIEST_YEAR:
        raise _refused(f"the year {start.year}", f"{EARLIEST_YEAR} or later")


def _refuse_amount(
    site: Site, lake: Lake, meter_id: str, start: datetime, end: datetime, value: float | None
) -> None:
    """An amount fills the one place of its span across which nothing could be booked."""
    if value is None or value < 0:
        raise _refused(f"the amount {value}", "a number of at least 0")
    jobs.refresh(site, lake)
    unknown = (
        lake.scan(GAPS, site.id, to_utc=end + timedelta(microseconds=1))
        .filter(
            (pl.col("meter_id") == meter_id)
            & (pl.col("amount").is_null() | pl.col("code").str.ends_with(".settled"))
        )
        .collect()
        .sort("gap_start_utc")
    )
    inside = unknown.filter((pl.col("gap_start_utc") >= start) & (pl.col("gap_end_utc") <= end))
    if len(inside) == 1:
        row = inside.row(0, named=True)
        if row["high"] is not None and row["amount"] is None and value > row["high"]:
            raise _refused(
                f"{value} {row['unit']}", f"at most {row['high']:g}, by rated power over the gap"
            )
        return
    places = "; ".join(
        f"{row['gap_start_utc']:%Y-%m-%d %H:%M} to {row['gap_end_utc']:%H:%M} UTC ({row['code']})"
        for row in unknown.tail(5).iter_rows(named=True)
    )
    raise _refused(
        f"{len(inside)} places of {meter_id} in that span across which nothing could be booked",
        f"a span with exactly one; it has: {places or 'none'}",
    )


def _entered(site: Site, lake: Lake, meter_id: str, start: datetime, end: datetime) -> bool:
    rows = lake.scan(CORRECTIONS, site.id).filter(
        (pl.col("meter_id") == meter_id)
        & (pl.col("start_utc") == start)
        & (pl.col("end_utc") == end)
    )
    return rows.collect().height > 0
