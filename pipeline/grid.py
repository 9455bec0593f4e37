"""Pieces laid on the 15-minute grid: the tables ``intervals`` and ``gaps``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import polars as pl

from config.tables import GAPS, INTERVALS
from pipeline.pieces import Pieces, is_beside, is_covered, rule_frame
from pipeline.rules import EVER_US, GRID_US, MeterRule
from pipeline.sums import quotient, total, total_or_null


def portion(rate: pl.Expr, start: pl.Expr, end: pl.Expr) -> dict[str, pl.Expr]:
    """Part of a gap (t0, t1, amount, low, high) that falls into ``start`` to ``end``.

    All times in microseconds, ``rate`` in amount a microsecond or null. The amount is spread
    evenly; the bounds are what rated power allows inside, given the rest outside (law 2). An amount
    below zero flowed the other way; a low of minus infinity says that nothing bounds it.
    """
    dt = pl.col("t1") - pl.col("t0")
    overlap = pl.min_horizontal(pl.col("t1"), end) - pl.max_horizontal(pl.col("t0"), start)
    outside = dt - overlap
    low, high = pl.col("low"), pl.col("high")
    # A coarse register may show more than rated power allows: what is too much can be anywhere.
    known = pl.max_horizontal(low.abs(), pl.col("amount").abs())
    excess = pl.max_horizontal(known - rate * dt, 0.0)
    inside_most, outside_most = rate * overlap + excess, rate * outside + excess
    forward = low >= 0
    return {
        "overlap_us": overlap,
        "part": pl.col("amount") * quotient(overlap, dt),
        "part_low": pl.when(outside == 0)
        .then(low)
        .when(forward)
        .then(pl.max_horizontal((low - outside_most).fill_null(0.0), 0.0))
        .otherwise(pl.max_horizontal(low - outside_most, -inside_most).fill_null(low)),
        "part_high": pl.when(outside == 0)
        .then(high)
        .when(forward)
        .then(pl.min_horizontal(high, inside_most))
        .when(rate.is_null())
        .then(pl.when(high <= 0).then(0.0).otherwise(high))
        .otherwise(pl.min_horizontal(high + outside_most, inside_most)),
    }


def lay(
    pieces: Pieces,
    rules: Sequence[MeterRule],
    plant_id: str,
    backwards: Collection[str] = (),
    since_us: Mapping[str, int] | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The tables ``intervals`` and ``gaps`` of one plant, in each meter's amount unit.

    ``backwards``: meters that have flowed backwards. ``since_us``: by meter, from where on rows are
    given; what begins earlier is known already.
    """
    frame = rule_frame(rules)
    since = pl.col("meter_id").replace_strict(
        dict(since_us or {}), default=-EVER_US, return_dtype=pl.Int64
    )
    intervals = _intervals(pieces, frame, sorted(backwards), since).select(
        pl.lit(plant_id).alias("plant_id"),
        "meter_id",
        "quantity",
        pl.from_epoch(pl.col("bin") * GRID_US, "us")
        .dt.replace_time_zone("UTC")
        .alias("interval_start_utc"),
        "unit",
        *(pl.col(name) * pl.col("scale") for name in ("measured", "imputed")),
        "imputation_code",
        pl.min_horizontal(pl.col("covered_us") / GRID_US, 1.0).alias("coverage_ratio"),
        *(pl.col(name) * pl.col("scale") for name in ("low", "high")),
    )
    gaps = (
        pieces.gaps.lazy()
        .filter(pl.col("t0") >= since)
        .join(frame, on="meter_id")
        .sort("meter_id", "t0", "t1")
        .select(
            pl.lit(plant_id).alias("plant_id"),
            "meter_id",
            _time("t0").alias("gap_start_utc"),
            _time("t1").alias("gap_end_utc"),
            "code",
            "unit",
            *(pl.col(name) * pl.col("scale") for name in ("amount", "low", "high")),
            "max_rate_per_h",
        )
        .collect()
    )
    return intervals.cast(INTERVALS.polars_schema()), gaps.cast(GAPS.polars_schema())


def _time(name: str) -> pl.Expr:
    return pl.from_epoch(pl.col(name), "us").dt.replace_time_zone("UTC")


def _intervals(
    pieces: Pieces, frame: pl.LazyFrame, both_ways: list[str], since: pl.Expr
) -> pl.DataFrame:
    """One row for each meter and bin that holds anything, in raw amounts."""
    backwards = (
        pl.when(pl.col("meter_id").is_in(both_ways))
        .then(pl.col("unseen").fill_null(float("inf")))
        .otherwise(0.0)
    )
    measured = pieces.measured.lazy().rename({"amount": "measured"})
    new = pl.col("bin") * GRID_US >= since
    if pieces.gaps.is_empty():
        nothing = dict.fromkeys(("imputed", "gap_low", "gap_high"), pl.lit(0.0))
        none_us = dict.fromkeys(("gap_us", "covered_gap_us"), pl.lit(0, pl.Int64))
        both = measured.with_columns(imputation_code=pl.lit(""), **nothing, **none_us)
    else:
        both = _with_gaps(measured, _parts(pieces.gaps, frame))
    return (
        both.filter(new)
        .with_columns(covered_us=pl.col("covered_us") + pl.col("covered_gap_us"))
        .join(frame, on="meter_id")
        .with_columns(
            unseen_us=GRID_US - pl.col("covered_us") - pl.col("gap_us") + pl.col("covered_gap_us")
        )
        .with_columns(
            unseen=pl.when(pl.col("unseen_us") > 0)
            .then(pl.col("rate") * pl.col("unseen_us"))
            .otherwise(0.0)
        )
        .with_columns(
            low=pl.col("measured") + pl.col("gap_low") - backwards,
            high=pl.col("measured") + pl.col("gap_high") + pl.col("unseen"),
        )
        # A last reading on a boundary opens an interval in which nothing was seen yet.
        .filter((pl.col("covered_us") > 0) | (pl.col("gap_us") > 0) | (pl.col("measured") != 0))
        .sort("meter_id", "bin")
        .collect()
    )


def _with_gaps(measured: pl.LazyFrame, imputed: pl.LazyFrame) -> pl.LazyFrame:
    # No gap in an interval: nothing unbounded. A gap without a bound stays null.
    bound = pl.when(pl.col("gap_us").is_null()).then(0.0).otherwise(pl.col("gap_high"))
    return measured.join(imputed, on=("meter_id", "bin"), how="full", coalesce=True).with_columns(
        pl.col("measured", "imputed", "gap_low").fill_null(0.0),
        pl.col("covered_us", "gap_us", "covered_gap_us").fill_null(0),
        pl.col("imputation_code").fill_null(""),
        gap_high=bound,
    )


def _parts(gaps: pl.DataFrame, frame: pl.LazyFrame) -> pl.LazyFrame:
    """Gaps cut at the grid and summed by bin."""
    start = pl.col("bin") * GRID_US
    return (
        gaps.lazy()
        .join(frame.select("meter_id", "rate"), on="meter_id")
        .with_columns(bin=pl.int_ranges(pl.col("t0") // GRID_US, (pl.col("t1") - 1) // GRID_US + 1))
        .explode("bin")
        .with_columns(**portion(pl.col("rate"), start, start + GRID_US))
        .group_by("meter_id", "bin")
        .agg(
            imputed=total("part"),
            gap_low=total("part_low"),
            gap_high=total_or_null("part_high"),
            gap_us=pl.col("overlap_us").filter(~is_beside()).sum(),
            covered_gap_us=pl.col("overlap_us").filter(is_covered()).sum(),
            imputation_code=pl.col("code").unique().sort().str.join("+"),
        )
    )
