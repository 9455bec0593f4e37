"""What `kgce show` shows: rows of a table, published or computed for the time that is asked."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from app import jobs
from app.losses import LOSS_SCREEN, losses
from app.options import What
from config.site import Site
from config.tables import TABLES, Table
from pipeline.periods import By
from storage.lake import Lake

FIGURES = (What.consumption, What.indicators)
# Published for days, months and years only.
OF_PERIODS = (What.balances, What.conversions, What.allocations)

# The columns that a screen has room for; files have all.
SCREEN: dict[What, tuple[str, ...]] = {
    What.consumption: (
        "period", "node_id", "energy_code", "amount", "unit", "low", "high", "kgce_calorific",
        "coverage_ratio", "status", "confidence",
    ),
    What.indicators: (
        "period", "subject", "indicator", "value", "unit", "low", "high", "coverage_ratio",
        "status", "level_reached", "next_level", "distance_next", "tce_per_year",
    ),
    What.intervals: (
        "interval_start_utc", "meter_id", "measured", "imputed", "unit", "imputation_code",
        "coverage_ratio", "low", "high",
    ),
    What.findings: ("start_utc", "end_utc", "subject", "severity", "code", "message"),
    What.balances: (
        "period", "node_id", "energy_code", "main", "inside", "branches", "aside", "residual",
        "tolerance", "unit", "coverage_ratio", "status", "suspect", "suspect_cause",
        "suspect_factor",
    ),
    What.conversions: (
        "period", "node_id", "energy_code", "output", "unit", "input_kgce", "output_kgce",
        "efficiency_ratio", "low", "high", "specific_kgce", "coverage_ratio", "status",
    ),
    What.allocations: (
        "period", "node_id", "energy_code", "product_id", "share_ratio", "amount", "unit", "low",
        "high", "coverage_ratio", "rule", "status", "reason",
    ),
    What.losses: LOSS_SCREEN,
}  # fmt: skip


def for_screen(what: What, found: pl.DataFrame) -> pl.DataFrame:
    """The rows with what a person asks first: which level is next, and how far it is."""
    if what is not What.indicators:
        return found
    reached = pl.col("level_reached")
    following = pl.when(reached == 0).then(3).when(reached > 1).then(reached - 1)
    return found.with_columns(next_level=following).with_columns(
        distance_next=_of_next("distance_level{}"),
        tce_per_year=_of_next("distance_level{}_tce_per_year"),
    )


def _of_next(name: str) -> pl.Expr:
    return pl.coalesce(
        pl.when(pl.col("next_level") == level).then(pl.col(name.format(level)))
        for level in (1, 2, 3)
    )


def rows(
    site: Site,
    lake: Lake,
    what: What,
    *,
    by: By,
    start: datetime | None,
    end: datetime | None,
    subject: str | None = None,
    required_coverage_ratio: float | None = None,
) -> pl.DataFrame:
    """Rows of the table from ``start`` (included) to ``end`` (not), in order of their key.

    ``subject``: only one node or energy, product, or meter.
    """
    table = TABLES[what.value]
    if what is What.losses:
        days = lake.scan(table, site.id).collect()
        return losses(site, days, by=by, start=start, end=end, meter_id=subject)
    if what not in FIGURES:
        found = lake.scan(table, site.id, from_utc=start, to_utc=end).collect()
        if what in OF_PERIODS:
            found = found.filter(pl.col("grain") == by)
            return _only(found, subject).sort("start_utc", *table.key)
        return _only(found, subject).sort(table.key)
    if by in jobs.PUBLISHED and required_coverage_ratio is None:
        published = lake.scan(table, site.id, from_utc=start, to_utc=end)
        found = published.filter(pl.col("grain") == by).collect()
    else:
        computed = jobs.figures(
            site, lake, by, start=start, end=end, required_coverage_ratio=required_coverage_ratio
        )
        found = computed.consumption if what is What.consumption else computed.indicators
    order = _order(site, table)
    return _only(found, subject).sort("start_utc", *order, maintain_order=True)


def _order(site: Site, table: Table) -> list[pl.Expr]:
    """Subjects in the order in which plant.yaml has them."""
    if table.name == "consumption":
        nodes = pl.Enum(list(site.plant.nodes))
        return [pl.col("node_id").cast(nodes, strict=False), pl.col("energy_code")]
    products = pl.Enum(list(site.plant.products))
    return [pl.col("subject").cast(products, strict=False), pl.col("indicator"), pl.col("norm")]


def _only(frame: pl.DataFrame, subject: str | None) -> pl.DataFrame:
    if subject is None:
        return frame
    names = ("node_id", "energy_code", "subject", "meter_id", "product_id", "suspect")
    there = [name for name in names if name in frame.columns]
    return frame.filter(pl.any_horizontal(pl.col(name) == subject for name in there))
