"""Amounts that each stand for a span of time: interval meters, means, batches, statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from pipeline.findings import EVENT_SCHEMA
from pipeline.gauges import Sampled, is_beyond, refused_events
from pipeline.pieces import GAP_SCHEMA, Pieces, rule_frame, sum_by_bin
from pipeline.readings import samples_of
from pipeline.rules import GRID_US, US_PER_H, MeterRule
from pipeline.sums import quotient

# Spans of a meter that leave or overlap less than this are the jitter of its stamps.
JITTER_RATIO = 0.05


def amount_pieces(
    rows: pl.LazyFrame, rules: Sequence[MeterRule], quanta: Mapping[str, float] | None = None
) -> Sampled:
    """Pieces of meters whose readings are amounts, or means of a gauge, over a span; and events.

    ``rows``: as `readings.good_rows` makes them; ``t`` is the end of the span, whose length is the
    rule's. What is beyond rated power is not believed and leaves a gap; one pulse of a coarse meter
    never is. ``quanta``: the smallest amounts that are known already, by meter.
    """
    gauges = [rule.meter_id for rule in rules if rule.kind == "gauge"]
    is_mean = pl.col("meter_id").is_in(gauges)
    read, events = samples_of(rows, rules)
    quanta = _smallest(read, quanta or {})
    quantum = pl.col("meter_id").replace_strict(quanta, default=None, return_dtype=pl.Float64)
    most = pl.when(is_mean).then(pl.col("rate") * US_PER_H)
    samples = (
        read.lazy()
        .join(rule_frame(rules), on="meter_id", maintain_order="left")
        .with_columns(most=most.otherwise(pl.col("rate") * pl.col("span_us") + quantum))
        .with_columns(beyond=is_beyond(pl.col("value"), pl.col("most")))
        .collect()
    )
    hours = pl.when(is_mean).then(pl.col("span_us") / US_PER_H).otherwise(1.0)
    believed = samples.filter(~pl.col("beyond"))
    spans = believed.select(
        "meter_id",
        "rate",
        t0=pl.col("t") - pl.col("span_us"),
        t1="t",
        amount=pl.col("value") * hours,
    )
    refused = refused_events(samples.filter("beyond"), "amount.beyond_rated")
    pieces, overlaps = span_pieces(spans, code="amount.sparse", jitter_ratio=JITTER_RATIO)
    return Sampled(
        pieces,
        pl.concat([events, refused, overlaps]),
        believed.select("meter_id", "t", "value"),
        quanta,
    )


def _smallest(samples: pl.DataFrame, known: Mapping[str, float]) -> dict[str, float]:
    """By meter the smallest amount that is not 0: one pulse, where the meter is coarse."""
    some = samples.filter(pl.col("value") != 0).group_by("meter_id")
    found = dict(some.agg(pl.col("value").abs().min()).iter_rows())
    return {
        meter_id: min(known.get(meter_id, value), value)
        for meter_id, value in {**known, **found}.items()
    }


def span_pieces(
    spans: pl.DataFrame, *, code: str, jitter_ratio: float = 0.0
) -> tuple[Pieces, pl.DataFrame]:
    """Pieces of known amounts over known spans (meter_id, rate, t0, t1, amount); and events.

    A span inside one interval, or over one boundary, is measured; a longer one is a covered gap
    with ``code``: spread evenly over its time, exact in total. Time between spans is a gap of
    unknown amount. Where spans overlap all are booked, and time is covered once.
    """
    bounded = _bounded(spans, jitter_ratio)
    reach = pl.col("to_bin") - pl.col("from_bin")
    inside, crossing = bounded.filter(reach == 0), bounded.filter(reach == 1)
    boundary = pl.col("to_bin") * GRID_US
    before = pl.col("amount") * quotient(boundary - pl.col("t0"), pl.col("dt"))
    measured = sum_by_bin(
        [
            inside.select(
                "meter_id",
                bin="from_bin",
                amount="amount",
                covered_us=pl.col("t1") - pl.col("new_from"),
            ),
            crossing.select(
                "meter_id",
                bin="from_bin",
                amount=before,
                covered_us=boundary - pl.min_horizontal("new_from", boundary),
            ),
            crossing.select(
                "meter_id",
                bin="to_bin",
                amount=pl.col("amount") - before,
                covered_us=pl.col("t1") - pl.max_horizontal("new_from", boundary),
            ),
        ]
    )
    spread = bounded.filter(reach > 1).select(
        "meter_id",
        "t0",
        "t1",
        code=pl.lit(code),
        amount="amount",
        low="amount",
        high="amount",
    )
    gaps = pl.concat([spread, _holes(bounded)]).cast(GAP_SCHEMA)
    return Pieces(measured, gaps), _overlaps(bounded)


def _bounded(spans: pl.DataFrame, jitter_ratio: float) -> pl.DataFrame:
    """Spans in order of their ends, with jitter taken out; ``new_from``: what they newly cover."""
    end_before = pl.col("t1").cum_max().shift(1).over("meter_id")
    off = pl.col("t0") - pl.col("end_before")
    jitter = off.abs() <= jitter_ratio * (pl.col("t1") - pl.col("t0"))
    joined = jitter & (pl.col("end_before") < pl.col("t1"))
    return (
        spans.sort("meter_id", "t1", "t0")
        .with_columns(end_before=end_before)
        .with_columns(t0=pl.when(joined).then("end_before").otherwise("t0"))
        .with_columns(
            dt=pl.col("t1") - pl.col("t0"),
            from_bin=pl.col("t0") // GRID_US,
            to_bin=(pl.col("t1") - 1) // GRID_US,
            new_from=pl.max_horizontal("t0", "end_before"),
        )
    )


def _holes(spans: pl.DataFrame) -> pl.DataFrame:
    """Time between one span's end and the next one's start."""
    hole = pl.col("t0") - pl.col("end_before")
    return spans.filter(hole > 0).select(
        "meter_id",
        t0="end_before",
        t1="t0",
        code=pl.lit("amount.missing"),
        amount=pl.lit(None, pl.Float64),
        low=pl.lit(0.0),
        high=pl.col("rate") * hole,
    )


def _overlaps(spans: pl.DataFrame) -> pl.DataFrame:
    return (
        spans.filter(pl.col("t0") < pl.col("end_before"))
        .select(
            "meter_id",
            code=pl.lit("amount.overlap"),
            start_us="t0",
            end_us="t1",
            evidence=pl.struct(
                first_value="amount",
                last_value="amount",
                modulus=pl.lit(None, pl.Float64),
                discarded=pl.lit(0, pl.Int64),
            ),
        )
        .cast(EVENT_SCHEMA)
    )
