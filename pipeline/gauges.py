"""Gauges integrated over time: a rate such as kW becomes an amount such as kWh.

Between two samples the rate runs straight (trapezoid rule), so at every boundary of the grid the
step is split exactly as that line demands. Over a gap the integral is only an estimate.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import polars as pl

from pipeline.findings import EVENT_SCHEMA
from pipeline.pieces import GAP_SCHEMA, Pieces, rule_frame, sum_by_bin
from pipeline.readings import samples_of
from pipeline.rules import GRID_US, US_PER_H, MeterRule
from pipeline.sums import quotient


class Sampled(NamedTuple):
    """What was made of samples.

    ``believed``: meter_id, t, value (raw), by meter and time. ``quanta``: the smallest amounts of
    meters that count pulses; ``unsettled``: meters of which earlier readings may tell a smaller
    one.
    """

    pieces: Pieces
    events: pl.DataFrame
    believed: pl.DataFrame
    quanta: Mapping[str, float] = {}
    unsettled: Collection[str] = frozenset()


def gauge_pieces(
    rows: pl.LazyFrame, rules: Sequence[MeterRule], backwards: Collection[str] = ()
) -> Sampled:
    """Pieces of gauges, and events of samples that were not believed.

    ``rows``: as `readings.good_rows` makes them, values raw rates an hour, in any order. A sample
    beyond the rated power is not believed and leaves a gap. ``backwards``: meters that are known to
    have flowed backwards already.
    """
    read, events = samples_of(rows, rules)
    samples = (
        read.lazy()
        .join(rule_frame(rules), on="meter_id", maintain_order="left")
        .with_columns(beyond=is_beyond(pl.col("value"), pl.col("rate") * US_PER_H))
        .collect()
    )
    believed = samples.filter(~pl.col("beyond"))
    negative = sorted({*backwards, *believed.filter(pl.col("value") < 0)["meter_id"]})
    steps = _steps(believed, negative)
    whole = steps.filter(pl.col("watched") & (pl.col("to_bin") == pl.col("from_bin")))
    split = _split(steps.filter(pl.col("watched") & (pl.col("to_bin") > pl.col("from_bin"))))
    columns = ("meter_id", "bin", "amount", "covered_us")
    measured = sum_by_bin(
        [
            whole.select("meter_id", bin="from_bin", amount="amount", covered_us="dt"),
            split.filter(~pl.col("sparse")).select(columns),
        ]
    )
    gaps = [_gaps(steps.filter(~pl.col("watched"))), _sparse(split.filter("sparse"))]
    refused = refused_events(samples.filter("beyond"), "gauge.beyond_rated")
    return Sampled(
        Pieces(measured, pl.concat(gaps)),
        pl.concat([events, refused]),
        believed.select("meter_id", "t", "value"),
    )


def is_beyond(value: pl.Expr, most: pl.Expr) -> pl.Expr:
    """Whether a value is beyond what rated power allows; a hair more is rounding."""
    return (value.abs() > most * (1 + 1e-9)).fill_null(False)


def refused_events(refused: pl.DataFrame, code: str) -> pl.DataFrame:
    """One event for each reading that was not believed (meter_id, t, value)."""
    return refused.select(
        "meter_id",
        code=pl.lit(code),
        start_us="t",
        end_us="t",
        evidence=pl.struct(
            first_value="value",
            last_value="value",
            modulus=pl.lit(None, pl.Float64),
            discarded=pl.lit(1, pl.Int64),
        ),
    ).cast(EVENT_SCHEMA)


def _steps(samples: pl.DataFrame, backwards: list[str]) -> pl.DataFrame:
    # The last instant of a step that ends on a boundary belongs to the interval before it.
    to_bin = (pl.col("t1") - 1) // GRID_US
    return (
        samples.lazy()
        .select(
            "meter_id",
            "max_gap_us",
            "rate",
            t0=pl.col("t").shift(1).over("meter_id"),
            t1="t",
            v0=pl.col("value").shift(1).over("meter_id"),
            v1="value",
            both_ways=pl.col("meter_id").is_in(backwards),
        )
        .filter(pl.col("t0").is_not_null())
        .with_columns(
            dt=pl.col("t1") - pl.col("t0"), from_bin=pl.col("t0") // GRID_US, to_bin=to_bin
        )
        .with_columns(
            amount=(pl.col("v0") + pl.col("v1")) / 2 * pl.col("dt") / US_PER_H,
            watched=pl.col("dt") <= pl.col("max_gap_us"),
        )
        .collect(engine="streaming")
    )


def _split(steps: pl.DataFrame) -> pl.DataFrame:
    """Watched steps cut at the grid along their line: meter_id, bin, t0, t1, amount, covered_us.

    ``sparse``: the step goes over more than one boundary, so that some interval has no sample.
    """
    rate = quotient(pl.col("v1") - pl.col("v0"), pl.col("dt"))
    start = pl.max_horizontal(pl.col("t0"), pl.col("bin") * GRID_US)
    end = pl.min_horizontal(pl.col("t1"), (pl.col("bin") + 1) * GRID_US)
    middle = (start + end) / 2 - pl.col("t0")
    return (
        steps.lazy()
        .with_columns(
            bin=pl.int_ranges("from_bin", pl.col("to_bin") + 1),
            sparse=pl.col("to_bin") - pl.col("from_bin") > 1,
        )
        .explode("bin")
        .select(
            "meter_id",
            "bin",
            "sparse",
            t0=start,
            t1=end,
            amount=(pl.col("v0") + rate * middle) * (end - start) / US_PER_H,
            covered_us=end - start,
        )
        .collect()
    )


def _sparse(parts: pl.DataFrame) -> pl.DataFrame:
    return parts.select(
        "meter_id",
        "t0",
        "t1",
        code=pl.lit("gauge.sparse"),
        amount="amount",
        low="amount",
        high="amount",
    ).cast(GAP_SCHEMA)


def _gaps(steps: pl.DataFrame) -> pl.DataFrame:
    most = pl.col("rate") * pl.col("dt")
    return steps.select(
        "meter_id",
        "t0",
        "t1",
        code=pl.lit("gauge.gap"),
        amount="amount",
        low=pl.when("both_ways").then((-most).fill_null(float("-inf"))).otherwise(0.0),
        high=most,
    ).cast(GAP_SCHEMA)
