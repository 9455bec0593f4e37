"""Amounts of meters in spans of time that are no published periods: tariff periods, demands."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from app import jobs
from app.calendar import reach
from app.progress import read_progress
from app.published import Published
from config.site import Site
from config.tables import GAPS
from pipeline.periods import PERIOD_SCHEMA
from pipeline.rollup import interval_sums, meter_periods
from pipeline.rules import rules_of
from pipeline.virtual import below_zero, rolled_up, virtual_periods, virtual_rules_of


def amounts_in(published: Published, meters: Collection[str], spans: pl.DataFrame) -> pl.DataFrame:
    """The meters' amounts in spans that do not overlap, in the columns of `meter_periods`.

    ``spans``: start_utc and end_utc, on the quarter hour. A gap inside a span is exact; of one
    that reaches out of it the even share is booked, and bounded.
    """
    site = published.site
    periods = spans.select("start_utc", "end_utc").with_columns(
        grain=pl.lit("span"), period=pl.col("start_utc").cast(pl.String), whole=pl.lit(True)
    )
    periods = periods.select(PERIOD_SCHEMA.names()).sort("start_utc")
    virtual = [rule for rule in virtual_rules_of(site) if rule.meter_id in meters]
    needed = {part for rule in virtual for part, _ in rule.weights or ((rule.meter_id, 1.0),)}
    needed |= {meter_id for meter_id in meters if meter_id not in site.plant.virtual}
    every = virtual_rules_of(site)
    rules = [r for r in [*rules_of(site), *rolled_up(every)] if r.meter_id in needed]
    first, last = reach(periods)
    gaps = (
        published.rows(GAPS)
        .lazy()
        .filter(
            pl.col("meter_id").is_in(sorted(needed)),
            pl.col("gap_start_utc") < last,
            pl.col("gap_end_utc") > first,
        )
    )
    backwards = _backwards(site)
    amounts = meter_periods(
        interval_sums(published.intervals(needed, first, last), periods),
        gaps,
        periods,
        rules,
        below_zero(every, backwards).union(backwards),
    )
    weighted = [rule for rule in virtual if rule.weights is not None]
    return pl.concat([amounts, virtual_periods(amounts, weighted)]).filter(
        pl.col("meter_id").is_in(sorted(meters))
    )


def _backwards(site: Site) -> frozenset[str]:
    """Meters that have flowed backwards, as the last refresh knows."""
    progress = read_progress(jobs.storage_folder(site) / jobs.PROGRESS, jobs.origin(site))
    return progress.known.backwards if progress is not None else frozenset()
