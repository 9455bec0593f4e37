"""Virtual meters interval by interval: expressions that are no weighted sums of meters.

all parts measured             measured = f(parts)
a part partly seen, or imputed imputed = f(parts), with bounds
f unknown, such as x / 0       a gap without an amount, and no row
a part has no row              nothing: missing is never zero
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from config.tables import GAPS, INTERVALS
from pipeline.bounds import Bounded, Floats
from pipeline.rules import GRID_US
from pipeline.virtual import QUANTITY, VirtualRule, evaluate

Ints: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]

SEEN = 1 - 1e-9  # a coverage that is whole but for rounding
# Codes of gaps. *.sparse: the parts were watched all the time, so it costs no coverage.
PARTIAL, SPARSE, UNKNOWN = "virtual.partial", "virtual.sparse", "virtual.unknown"
# A gap of a gauge has an estimated amount; any other without one is booked as nothing.
ESTIMATED = "gauge.gap"


class VirtualMeasured(NamedTuple):
    """Rows in the schemas of ``intervals`` and ``gaps``, to be put beside those of `measure`."""

    intervals: pl.DataFrame
    gaps: pl.DataFrame


class _Grid(NamedTuple):
    """One meter by interval: start in microseconds, rising; ``whole`` where all was measured."""

    start_us: Ints
    of: Bounded
    coverage: Floats
    whole: Flags


def virtual_intervals(
    intervals: pl.LazyFrame | pl.DataFrame, rules: Sequence[VirtualRule], plant_id: str
) -> VirtualMeasured:
    """The virtual meters of ``rules`` that are no weighted sums, from their meters' ``intervals``.

    ``rules``: all of `virtual_rules_of`. Each interval stands for itself, so that a part of
    ``intervals`` gives that part of the result, to the last bit. A gap inside one interval stands
    at its end; `meter_periods` needs the gaps to know the bounds.
    """
    wanted = _needed(rules)
    grids = dict(_read(intervals, wanted))
    made = [INTERVALS.polars_schema().to_frame()]
    gaps = [GAPS.polars_schema().to_frame()]
    for rule in wanted:
        grid = _grid(rule, grids)
        grids[rule.meter_id] = grid
        if rule.weights is None:
            rows, holes = _tables(rule, grid, plant_id)
            made.append(rows)
            gaps.append(holes)
    return VirtualMeasured(
        pl.concat(made).sort("meter_id", "interval_start_utc"),
        pl.concat(gaps).sort("meter_id", "gap_start_utc"),
    )


def _needed(rules: Sequence[VirtualRule]) -> list[VirtualRule]:
    """Rules that are no weighted sums, and those that they are made of, in order."""
    wanted = {rule.meter_id for rule in rules if rule.weights is None}
    for rule in reversed(rules):
        if rule.meter_id in wanted:
            wanted.update(_entering(rule))
    return [rule for rule in rules if rule.meter_id in wanted]


def _entering(rule: VirtualRule) -> list[str]:
    """Ids of the meters that the rule is computed from."""
    if rule.weights is None:
        return list(rule.parts)
    return [part for part, _ in rule.weights]


def _read(
    intervals: pl.LazyFrame | pl.DataFrame, rules: Sequence[VirtualRule]
) -> Iterable[tuple[str, _Grid]]:
    made = {rule.meter_id for rule in rules}
    ids = sorted({part for rule in rules for part in _entering(rule)} - made)
    unknown = (
        (pl.col("coverage_ratio") <= 0)
        & (pl.col("amount") == 0)
        & (pl.col("high").is_null() | (pl.col("high") != 0))
        & (pl.col("imputation_code") != ESTIMATED)
    )
    frame = (
        intervals.lazy()
        .filter(pl.col("meter_id").is_in(ids))
        .with_columns(amount=pl.col("measured") + pl.col("imputed"))
        .select(
            "meter_id",
            start_us=pl.col("interval_start_utc").to_physical(),
            amount=pl.when(~unknown).then("amount").otherwise(float("nan")),
            low="low",
            high=pl.col("high").fill_null(float("inf")),
            coverage=pl.col("coverage_ratio"),
            whole=(pl.col("coverage_ratio") >= SEEN) & (pl.col("imputation_code") == ""),
        )
        .sort("meter_id", "start_us")
        .collect()
    )
    for meter_id in ids:
        one = frame.filter(pl.col("meter_id") == meter_id)
        bounded = Bounded(*(one[name].to_numpy() for name in ("amount", "low", "high")))
        yield (
            meter_id,
            _Grid(
                one["start_us"].to_numpy(),
                bounded,
                one["coverage"].to_numpy(),
                one["whole"].to_numpy(),
            ),
        )


def _grid(rule: VirtualRule, grids: Mapping[str, _Grid]) -> _Grid:
    """The rule's meter in the intervals that all its parts have."""
    parts = {part: grids[part] for part in _entering(rule)}
    common = reduce(np.intersect1d, (grid.start_us for grid in parts.values()))
    met = {part: _at(grid, common) for part, grid in parts.items()}
    of = evaluate(
        rule.expression, rule.scale, rule.weights, {part: grid.of for part, grid in met.items()}
    )
    known = ~np.isnan(of.amount)
    # What is known lies inside its bounds; a quotient can miss them by a rounding.
    low = np.where(known, np.fmin(of.low, of.amount), of.low)
    high = np.where(known, np.fmax(of.high, of.amount), of.high)
    return _Grid(
        common,
        Bounded(of.amount, low, high),
        np.minimum.reduce([grid.coverage for grid in met.values()]),
        np.logical_and.reduce([grid.whole for grid in met.values()]) & known,
    )


def _at(grid: _Grid, start_us: Ints) -> _Grid:
    at = np.searchsorted(grid.start_us, start_us)
    return _Grid(
        start_us, Bounded(*(column[at] for column in grid.of)), grid.coverage[at], grid.whole[at]
    )


def _tables(rule: VirtualRule, grid: _Grid, plant_id: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    rows = pl.LazyFrame(
        {
            "start_us": grid.start_us,
            "amount": grid.of.amount + 0.0,  # no -0.0
            "low": grid.of.low + 0.0,
            "high": grid.of.high + 0.0,
            "coverage_ratio": grid.coverage,
            "is_whole": grid.whole,
        }
    ).with_columns(
        pl.lit(plant_id).alias("plant_id"),
        pl.lit(rule.meter_id).alias("meter_id"),
        pl.lit(rule.unit).alias("unit"),
        pl.col("amount").fill_nan(None),
        high=pl.when(pl.col("high").is_finite()).then("high"),
        seen_us=(pl.col("coverage_ratio") * GRID_US).round().cast(pl.Int64).clip(0, GRID_US),
        code=pl.when(pl.col("amount").is_nan())
        .then(pl.lit(UNKNOWN))
        .when("is_whole")
        .then(pl.lit(""))
        .when(pl.col("coverage_ratio") >= SEEN)
        .then(pl.lit(SPARSE))
        .otherwise(pl.lit(PARTIAL)),
    )
    made = rows.filter(pl.col("amount").is_not_null()).select(
        "plant_id",
        "meter_id",
        pl.lit(QUANTITY).alias("quantity"),
        _time(pl.col("start_us")).alias("interval_start_utc"),
        "unit",
        pl.when("is_whole").then("amount").otherwise(0.0).alias("measured"),
        pl.when("is_whole").then(0.0).otherwise("amount").alias("imputed"),
        pl.col("code").alias("imputation_code"),
        "coverage_ratio",
        "low",
        "high",
    )
    # A gap takes the time that its interval was not seen.
    before_us = pl.when(pl.col("code") == PARTIAL).then("seen_us").otherwise(0)
    holes = rows.filter(~pl.col("is_whole")).select(
        "plant_id",
        "meter_id",
        _time(pl.col("start_us") + before_us).alias("gap_start_utc"),
        _time(pl.col("start_us") + GRID_US).alias("gap_end_utc"),
        "code",
        "unit",
        "amount",
        "low",
        "high",
        pl.lit(None, pl.Float64).alias("max_rate_per_h"),
    )
    return (
        made.cast(INTERVALS.polars_schema()).collect(),
        holes.cast(GAPS.polars_schema()).collect(),
    )


def _time(microseconds: pl.Expr) -> pl.Expr:
    return pl.from_epoch(microseconds, "us").dt.replace_time_zone("UTC")
