"""Amounts that each stand for a span of time: interval meters, means, batches, statements."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from pipeline.pieces import GAP_SCHEMA, Pieces, rule_frame, sum_by_bin
from pipeline.rules import GRID_US, US_PER_H, MeterRule

# Holes shorter than this between two spans are the jitter of stamps, not missing time.
JITTER_RATIO = 0.05


def amount_pieces(rows: pl.LazyFrame, rules: Sequence[MeterRule]) -> Pieces:
    """Pieces of meters whose readings are amounts, or means of a gauge, over a span.

    ``rows``: meter_id, t (end of the span, microseconds UTC), value (raw), in any order, good only.
    The span's length is the rule's. Two readings of one time: the one stored last counts.
    """
    gauges = [rule.meter_id for rule in rules if rule.kind == "gauge"]
    per_span = pl.when(pl.col("meter_id").is_in(gauges)).then(pl.col("span_us") / US_PER_H)
    spans = (
        rows.unique(("meter_id", "t"), keep="last", maintain_order=True)
        .join(rule_frame(rules), on="meter_id", maintain_order="left")
        .select(
            "meter_id",
            "rate",
            t0=pl.col("t") - pl.col("span_us"),
            t1="t",
            amount=pl.col("value") * per_span.otherwise(1.0),
        )
        .sort("meter_id", "t1")
        .collect(engine="streaming")
    )
    return span_pieces(spans, code="amount.sparse")


def span_pieces(spans: pl.DataFrame, *, code: str) -> Pieces:
    """Pieces of known amounts over known spans (meter_id, rate, t0, t1, amount), sorted by t1.

    A span inside one interval, or over one boundary, is measured; a longer one is a covered gap
    with ``code``: spread evenly over its time, exact in total. Time between spans is a gap of
    unknown amount.
    """
    end_before = pl.col("t1").cum_max().shift(1).over("meter_id")
    jitter = (pl.col("t0") - end_before).is_between(0, JITTER_RATIO * (pl.col("t1") - pl.col("t0")))
    bounded = spans.with_columns(
        t0=pl.when(jitter).then(end_before).otherwise(pl.col("t0")), end_before=end_before
    ).with_columns(
        dt=pl.col("t1") - pl.col("t0"),
        from_bin=pl.col("t0") // GRID_US,
        to_bin=(pl.col("t1") - 1) // GRID_US,
    )
    inside = bounded.filter(pl.col("from_bin") == pl.col("to_bin"))
    crossing = bounded.filter(pl.col("to_bin") - pl.col("from_bin") == 1)
    longer = bounded.filter(pl.col("to_bin") - pl.col("from_bin") > 1)
    boundary = pl.col("to_bin") * GRID_US
    before = pl.col("amount") * ((boundary - pl.col("t0")) / pl.col("dt"))
    measured = sum_by_bin(
        [
            inside.select("meter_id", bin="from_bin", amount="amount", covered_us="dt"),
            crossing.select(
                "meter_id", bin="from_bin", amount=before, covered_us=boundary - pl.col("t0")
            ),
            crossing.select(
                "meter_id",
                bin="to_bin",
                amount=pl.col("amount") - before,
                covered_us=pl.col("t1") - boundary,
            ),
        ]
    )
    spread = longer.select(
        "meter_id",
        "t0",
        "t1",
        code=pl.lit(code),
        amount="amount",
        low="amount",
        high="amount",
    )
    return Pieces(measured, pl.concat([spread, _holes(bounded)]).cast(GAP_SCHEMA))


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
