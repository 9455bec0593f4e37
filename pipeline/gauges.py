"""Gauges integrated over time: a rate such as kW becomes an amount such as kWh.

Between two samples the rate runs straight (trapezoid rule), so at an interval's boundary the step
is split exactly as that line demands. Over a gap the integral is only an estimate.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from pipeline.pieces import GAP_SCHEMA, Pieces, rule_frame, sum_by_bin
from pipeline.rules import GRID_US, US_PER_H, MeterRule


def gauge_pieces(rows: pl.LazyFrame, rules: Sequence[MeterRule]) -> tuple[Pieces, pl.DataFrame]:
    """Pieces of gauges, and the samples that were not believed (meter_id, t, value).

    ``rows``: meter_id, t (microseconds UTC), value (raw rate an hour), in any order, good only.
    A sample beyond the rated power is not believed and leaves a gap.
    """
    samples = (
        rows.unique(("meter_id", "t"), keep="last", maintain_order=True)
        .join(rule_frame(rules), on="meter_id", maintain_order="left")
        .with_columns(beyond=pl.col("value").abs() > pl.col("rate") * US_PER_H)
        .with_columns(pl.col("beyond").fill_null(False))
        .collect(engine="streaming")
    )
    refused = samples.filter("beyond").select("meter_id", "t", "value")
    steps = _steps(samples.filter(~pl.col("beyond")))
    one_bin = steps.filter(pl.col("whole")).select(
        "meter_id", bin="from_bin", amount="amount", covered_us="dt"
    )
    crossing = steps.filter(pl.col("split"))
    boundary = pl.col("to_bin") * GRID_US
    before_us = boundary - pl.col("t0")
    rate_there = pl.col("v0") + (pl.col("v1") - pl.col("v0")) * (before_us / pl.col("dt"))
    before = (pl.col("v0") + rate_there) / 2 * before_us / US_PER_H
    measured = sum_by_bin(
        [
            one_bin,
            crossing.select("meter_id", bin="from_bin", amount=before, covered_us=before_us),
            crossing.select(
                "meter_id",
                bin="to_bin",
                amount=pl.col("amount") - before,
                covered_us=pl.col("t1") - boundary,
            ),
        ]
    )
    gaps = steps.filter(~pl.col("whole") & ~pl.col("split"))
    return Pieces(measured, _gaps(gaps)), refused


def _steps(samples: pl.DataFrame) -> pl.DataFrame:
    # The last instant of a step that ends on a boundary belongs to the interval before it.
    to_bin = (pl.col("t1") - 1) // GRID_US
    return (
        samples.lazy()
        .sort("meter_id", "t")
        .select(
            "meter_id",
            "max_gap_us",
            "rate",
            t0=pl.col("t").shift(1).over("meter_id"),
            t1="t",
            v0=pl.col("value").shift(1).over("meter_id"),
            v1="value",
        )
        .filter(pl.col("t0").is_not_null())
        .with_columns(
            dt=pl.col("t1") - pl.col("t0"), from_bin=pl.col("t0") // GRID_US, to_bin=to_bin
        )
        .with_columns(
            amount=(pl.col("v0") + pl.col("v1")) / 2 * pl.col("dt") / US_PER_H,
            watched=pl.col("dt") <= pl.col("max_gap_us"),
        )
        .with_columns(
            whole=pl.col("watched") & (pl.col("to_bin") == pl.col("from_bin")),
            split=pl.col("watched") & (pl.col("to_bin") - pl.col("from_bin") == 1),
        )
        .collect(engine="streaming")
    )


def _gaps(steps: pl.DataFrame) -> pl.DataFrame:
    most = pl.col("rate") * pl.col("dt")
    backwards = (pl.col("v0") < 0) | (pl.col("v1") < 0)
    return steps.select(
        "meter_id",
        "t0",
        "t1",
        code=pl.when("watched").then(pl.lit("gauge.sparse")).otherwise(pl.lit("gauge.gap")),
        amount="amount",
        low=pl.when("watched").then(pl.col("amount")).when(backwards).then(-most).otherwise(0.0),
        high=pl.when("watched").then(pl.col("amount")).otherwise(most),
    ).cast(GAP_SCHEMA)
