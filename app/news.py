"""What came into the lake since the last refresh, and what it touches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from app.calendar import Span, data_span, span_of
from app.measuring import Touched
from app.progress import Progress
from config.book_tables import CORRECTIONS
from config.site import Site
from config.tables import OUTPUTS, READINGS, STATEMENTS, Table
from storage.lake import Lake

SOURCES = (READINGS, OUTPUTS, STATEMENTS, CORRECTIONS)


@dataclass(frozen=True)
class News:
    """``touched``: meters. ``entered``: spans of outputs. ``span``: the time that new rows cover.
    ``versions``: of the tables, up to which it is told. ``nothing``: no row came."""

    touched: Touched
    entered: Sequence[Span]
    span: Span | None
    versions: dict[str, int]
    nothing: bool = False


def everything(site: Site, lake: Lake) -> News:
    """All there is, as if nothing had been computed before."""
    versions = lake.versions()
    return News(
        Touched({}, every=True),
        (),
        data_span(site, lake),
        {table.name: versions[table.name] for table in SOURCES if table.name in versions},
    )


def news_of(site: Site, lake: Lake, progress: Progress) -> News | None:
    """What came since ``progress``; None where that cannot be told."""
    rows: dict[Table, pl.LazyFrame] = {}
    versions = {}
    for table in SOURCES:
        if lake.version(table) is None:
            if table.name in progress.versions:
                return None
            rows[table] = table.polars_schema().to_frame().lazy()
            continue
        new = lake.appended(table, site.id, progress.versions.get(table.name, -1))
        if new is None:
            return None
        rows[table], versions[table.name] = new.rows, new.version
    if versions == progress.versions:
        return News(Touched({}), (), None, versions, nothing=True)
    if READINGS.name in versions and READINGS.name not in progress.versions:
        return None  # statements covered the time that has data; now readings do
    stated = not rows[STATEMENTS].head(1).collect().is_empty()
    if stated and lake.scan(READINGS, site.id).head(1).collect().is_empty():
        return None  # the time that has data is what statements cover, and may become less
    span = span_of(rows[READINGS])
    entered = rows[OUTPUTS].select("start_utc", "end_utc").unique().collect()
    counts = [frame.select(pl.len()).collect().item() for frame in rows.values()]
    return News(
        _touched(site, lake, rows),
        [(start, end) for start, end in entered.iter_rows()],
        span,
        versions,
        nothing=not any(counts),
    )


def _touched(site: Site, lake: Lake, rows: dict[Table, pl.LazyFrame]) -> Touched:
    meters = site.plant.meters
    good = rows[READINGS].filter(pl.col("status") == "good")
    since = _first_times(good, "time_utc")
    anew = set(rows[STATEMENTS].select("meter_id").unique().collect()["meter_id"])
    for meter_id, time_us in _first_times(rows[CORRECTIONS], "start_utc").items():
        since[meter_id] = min(time_us, since.get(meter_id, time_us))
        if meter_id in meters and meters[meter_id].kind != "counter":
            anew.add(meter_id)  # the value that is corrected may have entered into what is known
    stated = set(lake.scan(STATEMENTS, site.id).select("meter_id").unique().collect()["meter_id"])
    known = since.keys() & meters.keys()
    return Touched(
        {meter_id: since[meter_id] for meter_id in known},
        frozenset((anew | (stated & known)) & meters.keys()),
    )


def _first_times(rows: pl.LazyFrame, time: str) -> dict[str, int]:
    first = rows.group_by("meter_id").agg(pl.col(time).to_physical().min()).collect()
    return dict(first.iter_rows())


def joined(one: Span | None, other: Span | None) -> Span | None:
    """The time from the earlier start to the later end."""
    if one is None or other is None:
        return one or other
    return min(one[0], other[0]), max(one[1], other[1])
