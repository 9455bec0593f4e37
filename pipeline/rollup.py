"""Intervals and gaps, summed to periods by meter, then up the node tree and to products."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import polars as pl

from pipeline.entries import entries_in_force
from pipeline.grid import portion
from pipeline.pieces import is_beside, is_covered
from pipeline.rules import GRID_US, US_PER_H, MeterRule
from pipeline.sums import quotient, total, total_or_null

METER_PERIOD_KEY = ("meter_id", "grain", "period", "start_utc", "end_utc", "whole")
SUMS = ("measured", "covered_s")
UNBOUNDED = float("inf")
ROUNDING_S = 0.001  # less is not missing time


def interval_sums(intervals: pl.LazyFrame, periods: pl.DataFrame) -> pl.DataFrame:
    """What intervals measured in each period, by meter: start_utc, measured, covered_s."""
    return (
        intervals.sort("interval_start_utc")
        .join_asof(
            periods.lazy().select("start_utc", "end_utc").sort("start_utc"),
            left_on="interval_start_utc",
            right_on="start_utc",
        )
        .filter(pl.col("interval_start_utc") < pl.col("end_utc"))
        .group_by("meter_id", "start_utc")
        .agg(
            measured=total("measured"),
            covered_s=total(pl.col("coverage_ratio") * (GRID_US / 1e6)),
        )
        .collect()
    )


def period_sums(parts: pl.LazyFrame, periods: pl.DataFrame) -> pl.DataFrame:
    """The same for longer periods, from shorter ones that tile them (start_utc and `SUMS`)."""
    return (
        parts.select("meter_id", *SUMS, part_utc="start_utc")
        .sort("part_utc")
        .join_asof(
            periods.lazy().select("start_utc", "end_utc").sort("start_utc"),
            left_on="part_utc",
            right_on="start_utc",
        )
        .filter(pl.col("part_utc") < pl.col("end_utc"))
        .group_by("meter_id", "start_utc")
        .agg(total(name).alias(name) for name in SUMS)
        .collect()
    )


def meter_periods(
    sums: pl.DataFrame,
    gaps: pl.LazyFrame,
    periods: pl.DataFrame,
    rules: Sequence[MeterRule],
    backwards: Collection[str],
) -> pl.DataFrame:
    """Amount of every meter in every period, in the columns of ``meter_periods`` and ``whole``.

    ``sums``: as `interval_sums` or `period_sums` makes them. ``amount`` is null where nothing is
    known of the period. A gap that lies inside a period is exact; of one that straddles its end,
    only the bounds are known, and the even share is booked. Time outside all readings adds nothing
    to ``amount`` and what rated power allows to ``high`` (and takes it from ``low``, where the
    meter is one of ``backwards``: it has flowed backwards). ``low`` and ``high`` are null where
    nothing bounds them.
    """
    is_backwards = pl.col("meter_id").is_in(sorted(backwards))
    return (
        _meters(rules)
        .join(periods.lazy(), how="cross")
        .join(sums.lazy(), on=("meter_id", "start_utc"), how="left")
        .join(_gap_parts(gaps, periods), on=("meter_id", "start_utc"), how="left")
        .with_columns(
            pl.col("measured", "covered_s", "part", "part_low", "gap_s").fill_null(0.0),
            part_high=pl.when(pl.col("gap_s").is_null()).then(0.0).otherwise(pl.col("part_high")),
            window_s=(pl.col("end_utc") - pl.col("start_utc")).dt.total_microseconds() / 1e6,
        )
        .with_columns(
            unseen_s=pl.col("window_s") - pl.col("covered_s") - pl.col("gap_s"),
            known=(pl.col("covered_s") > 0) | (pl.col("known_gaps").fill_null(0) > 0),
        )
        .with_columns(
            unseen=pl.when(pl.col("unseen_s") > ROUNDING_S)
            .then(pl.col("max_rate_per_h") * pl.col("unseen_s") / 3600)
            .otherwise(0.0)
        )
        .select(
            *METER_PERIOD_KEY,
            "measured",
            "covered_s",
            "unit",
            imputed="part",
            amount=pl.when("known").then(pl.col("measured") + pl.col("part")),
            low=bounded(
                pl.col("measured")
                + pl.col("part_low")
                - pl.when(is_backwards).then(pl.col("unseen").fill_null(UNBOUNDED)).otherwise(0.0)
            ),
            high=pl.col("measured") + pl.col("part_high") + pl.col("unseen"),
            coverage_ratio=pl.min_horizontal(
                quotient(pl.col("covered_s"), pl.col("window_s")), 1.0
            ),
        )
        .sort("meter_id", "start_utc")
        .collect()
    )


def bounded(low: pl.Expr) -> pl.Expr:
    """Null for the minus infinity by which the two tables say that nothing bounds it."""
    return pl.when(low.is_finite()).then(low)


def _meters(rules: Sequence[MeterRule]) -> pl.LazyFrame:
    return pl.LazyFrame(
        [(rule.meter_id, rule.unit, rule.max_rate_per_h) for rule in rules],
        schema={"meter_id": pl.String, "unit": pl.String, "max_rate_per_h": pl.Float64},
        orient="row",
    )


def _gap_parts(gaps: pl.LazyFrame, periods: pl.DataFrame) -> pl.LazyFrame:
    """What gaps put into each period."""
    start, end = pl.col("start_utc").to_physical(), pl.col("end_utc").to_physical()
    return (
        gaps.join_where(
            periods.lazy().select("start_utc", "end_utc"),
            pl.col("gap_start_utc") < pl.col("end_utc"),
            pl.col("gap_end_utc") > pl.col("start_utc"),
        )
        .with_columns(
            t0=pl.col("gap_start_utc").to_physical(), t1=pl.col("gap_end_utc").to_physical()
        )
        .with_columns(**portion(pl.col("max_rate_per_h") / US_PER_H, start, end))
        .group_by("meter_id", "start_utc")
        .agg(
            part=total("part"),
            part_low=total("part_low"),
            part_high=total_or_null("part_high"),
            known_gaps=pl.col("part").count(),
            # Covered gaps are in the intervals' coverage already.
            gap_s=pl.col("overlap_us").filter(~is_covered() & ~is_beside()).sum() / 1e6,
        )
    )


def node_consumption(by_meter: pl.DataFrame, weights: pl.DataFrame) -> pl.DataFrame:
    """Net consumption of every node and energy, from its meters' amounts and weights.

    A meter that is deducted lowers with its high and raises with its low. One unknown amount makes
    the sum unknown; the coverage is the weakest meter's: a figure is as good as its worst part.
    """
    plus = pl.col("weight") > 0
    return (
        weights.lazy()
        .join(by_meter.lazy(), on="meter_id")
        .with_columns(
            amount=pl.col("amount") * pl.col("weight"),
            low=pl.when(plus).then(pl.col("low")).otherwise(-pl.col("high")),
            high=pl.when(plus).then(pl.col("high")).otherwise(-pl.col("low")),
        )
        .group_by(
            "node_id", "energy_code", "grain", "period", "start_utc", "end_utc", "whole", "unit"
        )
        .agg(
            *(total_or_null(name).alias(name) for name in ("amount", "low", "high")),
            coverage_ratio=pl.col("coverage_ratio").min(),
        )
        .sort("node_id", "energy_code", "start_utc")
        .collect()
    )


def product_output(
    by_meter: pl.DataFrame,
    product_of: pl.DataFrame,
    typed: pl.LazyFrame,
    periods: pl.DataFrame,
) -> pl.DataFrame:
    """Output of every product and period, metered and typed together.

    ``product_of``: meter_id, product_id. ``typed``: rows of ``outputs``, each spread evenly over
    its own span; the last one entered for a span counts, unless it is withdrawn. Columns:
    product_id, the period's, unit, quantity, low, high, coverage_ratio.
    """
    metered = (
        product_of.lazy()
        .join(by_meter.lazy(), on="meter_id")
        .select(
            "product_id",
            *(name for name in METER_PERIOD_KEY if name != "meter_id"),
            "unit",
            quantity="amount",
            low="low",
            high="high",
            coverage_ratio="coverage_ratio",
        )
    )
    both = pl.concat([metered, _typed_output(typed, periods)], how="vertical_relaxed")
    return (
        both.group_by("product_id", "grain", "period", "start_utc", "end_utc", "whole", "unit")
        .agg(
            *(total_or_null(name).alias(name) for name in ("quantity", "low", "high")),
            coverage_ratio=pl.col("coverage_ratio").min(),
        )
        .sort("product_id", "start_utc")
        .collect()
    )


def _typed_output(typed: pl.LazyFrame, periods: pl.DataFrame) -> pl.LazyFrame:
    start = pl.col("period_start_utc").to_physical()
    end = pl.col("period_end_utc").to_physical()
    t0, t1 = pl.col("start_utc").to_physical(), pl.col("end_utc").to_physical()
    overlap = pl.min_horizontal(t1, end) - pl.max_horizontal(t0, start)
    inside = overlap == t1 - t0
    return (
        entries_in_force(typed, "product_id", "qualified_quantity")
        .join_where(
            periods.lazy().rename({"start_utc": "period_start_utc", "end_utc": "period_end_utc"}),
            pl.col("start_utc") < pl.col("period_end_utc"),
            pl.col("end_utc") > pl.col("period_start_utc"),
        )
        .with_columns(
            overlap_us=overlap,
            part=pl.col("qualified_quantity") * quotient(overlap, t1 - t0),
            sure=pl.when(inside).then(pl.col("qualified_quantity")).otherwise(0.0),
        )
        .group_by(
            "product_id", "grain", "period", "period_start_utc", "period_end_utc", "whole", "unit"
        )
        .agg(
            quantity=total("part"),
            low=total("sure"),
            high=total("qualified_quantity"),
            covered_us=pl.col("overlap_us").sum(),
        )
        .rename({"period_start_utc": "start_utc", "period_end_utc": "end_utc"})
        .with_columns(window_us=(pl.col("end_utc") - pl.col("start_utc")).dt.total_microseconds())
        .with_columns(
            # Nothing bounds what was made in time for which nothing was typed.
            high=pl.when(pl.col("covered_us") >= pl.col("window_us")).then("high"),
            coverage_ratio=pl.min_horizontal(
                quotient(pl.col("covered_us"), pl.col("window_us")), 1.0
            ),
        )
        .drop("covered_us", "window_us")
    )


def judged(figures: pl.DataFrame, required_coverage_ratio: float) -> pl.DataFrame:
    """With ``status`` instead of ``whole``: complete, partial, or refused.

    A refused figure has no amount (law 1); its bounds stay.
    """
    refused = (pl.col("coverage_ratio") < required_coverage_ratio) | pl.col("amount").is_null()
    return figures.with_columns(
        status=pl.when(refused)
        .then(pl.lit("refused"))
        .when("whole")
        .then(pl.lit("complete"))
        .otherwise(pl.lit("partial")),
        amount=pl.when(~refused).then(pl.col("amount")),
    ).drop("whole")
