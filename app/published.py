"""The published figures of a plant, as sheets are made of them."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Concatenate, Literal, ParamSpec

import polars as pl

from config.book_tables import METER_PERIODS
from config.errors import InputError
from config.site import Site
from config.tables import CONSUMPTION, INDICATORS, INTERVALS, Table
from config.units import KGCE_PER_TCE
from indicators.coal import coefficient, label_day
from indicators.intensity import Bounded
from indicators.numerators import STATUSES
from indicators.shares import sum_or_none
from pipeline.virtual import virtual_periods, virtual_rules_of
from storage.lake import Lake

_GRAINS: dict[str, Literal["month", "year"]] = {
    r"\d{4}-(0[1-9]|1[0-2])": "month",
    r"\d{4}": "year",
}


def grain_of(period: str) -> Literal["month", "year"]:
    """Kind of the period that a label names. Raises InputError for any other text.

    >>> grain_of("2026-10"), grain_of("2026")
    ('month', 'year')
    """
    for form, grain in _GRAINS.items():
        if re.fullmatch(form, period):
            return grain
    raise InputError(f"period {period!r}", allowed="a month, 2026-10, or a year, 2026")


P = ParamSpec("P")


def made_once(
    make: Callable[Concatenate[Published, P], pl.DataFrame],
) -> Callable[Concatenate[Published, P], pl.DataFrame]:
    """Keeps what was made of a `Published`: documents share the sheets that they are made of."""

    @functools.wraps(make)
    def kept(published: Published, /, *args: P.args, **named: P.kwargs) -> pl.DataFrame:
        key = (make.__module__, make.__name__, args, tuple(sorted(named.items())))
        if key not in published.made:
            published.made[key] = make(published, *args, **named)
        return published.made[key]

    return kept


class Published:
    """The lake of a plant, each table read at most once.

    Nothing is refreshed: what was published last is what sheets are made of.
    """

    def __init__(self, site: Site, lake: Lake) -> None:
        self.site = site
        self.lake = lake
        self.made: dict[Hashable, pl.DataFrame] = {}
        self._frames: dict[str, pl.DataFrame] = {}

    @classmethod
    def of_site(cls, site: Site) -> Published:
        return cls(site, Lake(site.lake_path))

    def rows(self, table: Table) -> pl.DataFrame:
        """All rows of the plant, sorted by the table's key. Not for readings and intervals."""
        if table.name not in self._frames:
            frame = self.lake.scan(table, self.site.id).collect()
            self._frames[table.name] = frame.sort(table.key)
        return self._frames[table.name]

    def of(self, table: Table, period: str) -> pl.DataFrame:
        """The rows of one month or year, of a table that has periods."""
        return self.rows(table).filter(
            pl.col("grain") == grain_of(period), pl.col("period") == period
        )

    def amounts(self, period: str) -> dict[str, dict[str, Any]]:
        """What each meter counted in a month or year, read or virtual, by id: METER_PERIODS."""
        rows = self.of(METER_PERIODS, period).drop("plant_id").with_columns(whole=pl.lit(True))
        both = pl.concat([rows, virtual_periods(rows, virtual_rules_of(self.site))])
        return {row["meter_id"]: row for row in both.iter_rows(named=True)}

    def intervals(self, meters: Collection[str], start: datetime, end: datetime) -> pl.LazyFrame:
        """Rows of INTERVALS of some meters, from ``start`` up to ``end``; read each time."""
        found = self.lake.scan(INTERVALS, self.site.id, from_utc=start, to_utc=end)
        return found.filter(pl.col("meter_id").is_in(sorted(meters)))

    def require(self, period: str) -> None:
        """Raises InputError where nothing is published for the month or year."""
        if len(self.of(CONSUMPTION, period)) or len(self.of(INDICATORS, period)):
            return
        there = self.rows(CONSUMPTION).filter(pl.col("grain") == grain_of(period))
        raise InputError(
            f"no figures of {period}",
            allowed=", ".join(sorted(there["period"].unique())) or "none yet",
            todo="kgce refresh, once readings and outputs of it are in",
        )

    def span(self, period: str) -> tuple[datetime, datetime] | None:
        """The time that the figures of a month or year cover; None without any."""
        rows = self.of(CONSUMPTION, period)
        if rows.is_empty():
            return None
        first, last = rows.select(pl.col("start_utc").min(), pl.col("end_utc").max()).row(0)
        return first, last


def sheet_of(sheet: Table, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """The rows in the columns of the sheet; what a row does not have is empty."""
    plain = [{name: row.get(name) for name in sheet.names} for row in rows]
    return pl.DataFrame(plain, schema=sheet.polars_schema())


def plant_tce(published: Published, period: str) -> Bounded:
    """Comprehensive energy of the plant [tce, calorific] with its bounds; one part unknown makes
    the sum unknown. GB/T 2589-2020."""
    site = published.site
    sums: tuple[list[float | None], ...] = ([], [], [])
    for row in published.of(CONSUMPTION, period).iter_rows(named=True):
        if row["node_id"] != site.plant.root:
            continue
        factor = coefficient(
            site.library, row["energy_code"], row["unit"], "calorific", label_day(period)
        ).kgce_per_unit
        for values, name in zip(sums, ("amount", "low", "high"), strict=True):
            known = row[name] is not None and factor is not None
            values.append(row[name] * factor / KGCE_PER_TCE if known else None)
    return Bounded(*(sum_or_none(values) for values in sums))


def exactly(value: float) -> Bounded:
    """A quantity that is known."""
    return Bounded(value, value, value)


def worst_status(statuses: Iterable[str]) -> str:
    """The worst of some figures' statuses; refused where there are none."""
    return max(statuses, key=STATUSES.index, default=STATUSES[-1])
