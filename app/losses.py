"""The loss account by period: expected = good + missing(reason) + dropped(reason).

The spool counts by the plant's own day, and the lake's table ``losses`` is the image of its days:
`app.loss_booking` writes it. Months and years of the plant's calendar are sums of days, made when
they are asked for. What the daemon collected (``spool``) and what files held (``import``) are never
added to each other: the first knows what was due, the second only what the files should hold.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Any

import polars as pl

from app.time_bounds import time_bound
from config.errors import InputError
from config.loss_table import LOSSES
from config.months import statistical_month
from config.site import Site
from storage.account import EXPECTED, account_of
from storage.codec import MAX_TIME_US, MIN_TIME_US
from storage.day_book import DayBook
from storage.days import Days, label
from storage.lake import Lake
from storage.spool import Spool

SPOOL, IMPORT = "spool", "import"
GRAINS = ("day", "month", "year")
COUNTS = ("expected", "good", "missing", "dropped", "late", "duplicate", "repeated")
LOSS_SCREEN = ("period", "meter_id", *COUNTS, "reasons", "balanced", "source")
"""The columns that a screen has room for."""

Entries = Mapping[tuple[str, int], Mapping[str, int]]
"""Counts by outcome, of a meter and day."""


def spool_losses(book: DayBook, plant_id: str) -> pl.DataFrame:
    """The days of a spool's account, in the schema of the table.

    What came for a day after the spool had given it up stands in rows of its own, marked ``+``.
    """

    def source(day: int) -> str:
        return f"{SPOOL}:{book.name}{'' if day >= book.whole_from else '+'}"

    return losses_frame(plant_id, Days(book.zone), book.entries, source)


def losses_frame(
    plant_id: str, days: Days, entries: Entries, source: Callable[[int], str]
) -> pl.DataFrame:
    """One row for each meter and day of ``entries``; ``source`` names that of a day."""
    return pl.DataFrame(
        list(_rows(plant_id, days, entries, source)), schema=LOSSES.polars_schema(), orient="row"
    )


def _rows(
    plant_id: str, days: Days, entries: Entries, source: Callable[[int], str]
) -> Iterator[tuple[Any, ...]]:
    for (meter_id, day), booked in entries.items():
        one = account_of(meter_id, booked.get(EXPECTED, 0), booked)
        counts = (
            one.expected,
            one.good,
            sum(one.missing.values()),
            sum(one.dropped.values()),
            one.late,
            one.duplicates,
            one.repeated,
        )
        if any(counts):
            bounds = (min(max(us, MIN_TIME_US), MAX_TIME_US) for us in days.bounds(day))
            yield (
                plant_id,
                meter_id,
                "day",
                label(day),
                *bounds,
                *counts,
                _json({**one.missing, **one.dropped}),
                "yes" if one.balanced else "no",
                source(day),
            )


def known_losses(site: Site, lake: Lake) -> pl.DataFrame:
    """Every day's row: those of the lake, and of the spool's days what the spool says now."""
    there = lake.scan(LOSSES, site.id).collect()
    file = site.storage_path / "spool.db"
    if not file.is_file():
        return there
    view = Spool.read_only(file)
    try:
        now = spool_losses(view.account_by_day(), site.id)
    finally:
        view.close()
    same = ["meter_id", "period", "source"]
    return pl.concat([there.join(now, on=same, how="anti"), now])


def by_period(frame: pl.DataFrame, by: str, month_end_day: int) -> pl.DataFrame:
    """Rows of days summed by day, month or year of the plant's calendar, meter and kind of source.

    ``start_utc`` and ``end_utc`` are those of the days that are there. Raises InputError for
    another kind of period.
    """
    if by not in GRAINS:
        raise InputError(
            f"the loss account by {by}",
            allowed=", ".join(GRAINS),
            todo="ask with --by day, month or year",
        )
    labels = {day: period_label(date.fromisoformat(day), by, month_end_day) for day in
              frame["period"].unique()}  # fmt: skip
    grouped = (
        frame.with_columns(
            grain=pl.lit(by),
            period=pl.col("period").replace_strict(labels, return_dtype=pl.String()),
            source=pl.col("source").str.split(":").list.first(),
        )
        .group_by("plant_id", "meter_id", "grain", "period", "source")
        .agg(
            pl.col("start_utc").min(),
            pl.col("end_utc").max(),
            *(pl.col(name).sum() for name in COUNTS),
            pl.when((pl.col("balanced") == "yes").all())
            .then(pl.lit("yes"))
            .otherwise(pl.lit("no"))
            .alias("balanced"),
            pl.col("reasons").filter(pl.col("reasons") != ""),
        )
    )
    merged = [_json(_added(texts)) for texts in grouped["reasons"].to_list()]
    return (
        grouped.with_columns(reasons=pl.Series(merged, dtype=pl.String()))
        .select(LOSSES.names)
        .sort("start_utc", "meter_id", "source")
    )


def period_label(day: date, by: str, month_end_day: int) -> str:
    """The label of the day, month or year of the plant's calendar that a day is in.

    >>> period_label(date(2026, 9, 26), "month", 25), period_label(date(2026, 12, 31), "year", 25)
    ('2026-10', '2027')
    """
    if by == "day":
        return day.isoformat()
    year, month = statistical_month(day, month_end_day)
    return f"{year:04}" if by == "year" else f"{year:04}-{month:02}"


def losses(
    site: Site,
    frame: pl.DataFrame,
    *,
    by: str,
    start: datetime | None,
    end: datetime | None,
    meter_id: str | None = None,
) -> pl.DataFrame:
    """``frame``'s days from ``start`` (included) to ``end`` (not), by period. Raises InputError."""
    return by_period(
        _between(frame, start, end).filter(
            pl.lit(True) if meter_id is None else pl.col("meter_id") == meter_id
        ),
        by,
        site.plant.plant.month_end_day,
    )


def period_losses(
    site: Site, lake: Lake, by: str, first: str | None, last: str | None
) -> pl.DataFrame:
    """What is known now, by period, between two days (or times) as a person writes them.

    Raises InputError.
    """
    zone = site.plant.plant.zone
    start, end = time_bound(first, zone, end=False), time_bound(last, zone, end=True)
    return losses(site, known_losses(site, lake), by=by, start=start, end=end)


def loss_summary(
    frame: pl.DataFrame, start: datetime | None = None, end: datetime | None = None
) -> dict[str, dict[str, Any]]:
    """The days that begin from ``start`` on and before ``end``, as one sum for each source.

    ``frame`` has rows of days, as the lake keeps them. By ``spool`` and ``import``: the number of
    meters, the counts of the table, ``reasons`` by outcome, ``balanced``, and ``good_ratio``, the
    share of the expected readings that are good (None where nothing was expected). A source
    without rows is not there.
    """
    found: dict[str, dict[str, Any]] = {}
    part = _between(frame, start, end)
    for kind in (SPOOL, IMPORT):
        rows = part.filter(pl.col("source").str.split(":").list.first() == kind)
        if rows.is_empty():
            continue
        counts = rows.select(pl.col(name).sum() for name in COUNTS).row(0, named=True)
        expected = counts["expected"]
        found[kind] = {
            "meters": rows["meter_id"].n_unique(),
            **counts,
            "reasons": dict(sorted(_added(rows["reasons"]).items())),
            "balanced": bool((rows["balanced"] == "yes").all()),
            "good_ratio": counts["good"] / expected if expected else None,
        }
    return found


def loss_lines(summary: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A line for each source, for a report's foot.

    >>> one = {"meters": 2, "expected": 10, "good": 8, "missing": 2, "dropped": 0, "late": 1,
    ...        "duplicate": 0, "repeated": 0, "reasons": {"timeout": 2}, "balanced": True}
    >>> loss_lines({"spool": one})
    ['spool, 2 meters: 10 expected = 8 good + 2 missing + 0 dropped (timeout 2); late 1, \
duplicate 0, repeated 0']
    """
    lines = []
    for kind, one in summary.items():
        sign = "=" if one["balanced"] else "IS NOT"
        why = ", ".join(f"{reason} {count}" for reason, count in one["reasons"].items())
        lines.append(
            f"{kind}, {one['meters']} meters: {one['expected']} expected {sign} {one['good']} good "
            f"+ {one['missing']} missing + {one['dropped']} dropped"
            + (f" ({why})" if why else "")
            + f"; late {one['late']}, duplicate {one['duplicate']}, repeated {one['repeated']}"
        )
    return lines


def _between(frame: pl.DataFrame, start: datetime | None, end: datetime | None) -> pl.DataFrame:
    if start is not None:
        frame = frame.filter(pl.col("start_utc") >= start)
    if end is not None:
        frame = frame.filter(pl.col("start_utc") < end)
    return frame


def _added(texts: Iterable[str]) -> Counter[str]:
    total: Counter[str] = Counter()
    for text in texts:
        if text:
            total.update(json.loads(text))
    return total


def _json(reasons: Mapping[str, int]) -> str:
    return json.dumps(dict(reasons), sort_keys=True) if reasons else ""
