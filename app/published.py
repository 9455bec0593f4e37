"""The published figures of a plant, as sheets are made of them."""

from __future__ import annotations

import re
from typing import Literal

import polars as pl

from config.errors import InputError
from config.site import Site
from config.tables import CONSUMPTION, INDICATORS, Table
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


class Published:
    """The lake of a plant, each table read at most once.

    Nothing is refreshed: what was published last is what sheets are made of.
    """

    def __init__(self, site: Site, lake: Lake) -> None:
        self.site = site
        self._lake = lake
        self._frames: dict[str, pl.DataFrame] = {}

    def rows(self, table: Table) -> pl.DataFrame:
        """All rows of the plant, sorted by the table's key. Not for readings and intervals."""
        if table.name not in self._frames:
            frame = self._lake.scan(table, self.site.id).collect()
            self._frames[table.name] = frame.sort(table.key)
        return self._frames[table.name]

    def of(self, table: Table, period: str) -> pl.DataFrame:
        """The rows of one month or year, of a table that has periods."""
        return self.rows(table).filter(
            pl.col("grain") == grain_of(period), pl.col("period") == period
        )

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
