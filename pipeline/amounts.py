"""Amounts that each stand for a span of time: interval meters, means, batches, statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from pipeline.checkpoints import DAY_US, JITTER_RATIO
from pipeline.findings import EVENT_SCHEMA
from pipeline.gauges import Sampled, is_beyond, refused_events
from pipeline.pieces import GAP_SCHEMA, OVERLAP, Pieces, rule_frame, sum_by_bin
from pipeline.readings import samples_of
from pipeline.rules import GRID_US, US_PER_H, MeterRule
from pipeline.sums import quotient


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
    ruled = read.lazy().join(rule_frame(rules), on="meter_id", maintain_order="left").collect()
    quanta, unsettled = _pulses(ruled.filter(~is_mean), quanta or {})
    pulse = pl.col("meter_id").replace_strict(quanta, default=0.0, return_dtype=pl.Float64)
    most = pl.when(is_mean).then(pl.col("rate") * US_PER_H)
    samples = ruled.with_columns(
        most=most.otherwise(pl.col("rate") * pl.col("span_us") + pulse)
    ).with_columns(beyond=is_beyond(pl.col("value"), pl.col("most")))
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
        unsettled,
    )


def _pulses(
    samples: pl.DataFrame, known: Mapping[str, float]
) -> tuple[dict[str, float], frozenset[str]]:
    """By meter of known rated power the smallest amount that can be a pulse; and meters of which
    earlier readings have to tell whether another one is.

    Rated power allows it in its span; or it came twice, far enough apart for it to pass in between,
    and passes in a day. A single wrong amount says nothing of the meter.
    """
    some = samples.filter(pl.col("value") != 0, pl.col("rate").is_not_null()).select(
        "meter_id", "t", "rate", "span_us", size=pl.col("value").abs()
    )
    fits = ~is_beyond(pl.col("size"), pl.col("rate") * pl.col("span_us"))
    coarse = some.filter(~fits, pl.col("size") <= pl.col("rate") * DAY_US)
    twice = coarse.group_by("meter_id", "size", "rate", "span_us").agg(
        apart=pl.col("t").max() - pl.col("t").min()
    )
    again = twice.filter(
        pl.col("apart") > 0,
        pl.col("size") <= pl.col("rate") * (pl.col("apart") + pl.col("span_us")),
    )
    found = pl.concat([some.filter(fits).select("meter_id", "size"), again["meter_id", "size"]])
    smallest = dict(found.group_by("meter_id").agg(pl.col("size").min()).iter_rows())
    pulses = {
        meter_id: min(known.get(meter_id, value), value)
        for meter_id, value in {**known, **smallest}.items()
    }
    pulse = pl.col("meter_id").replace_strict(pulses, default=float("inf"), return_dtype=pl.Float64)
    return pulses, frozenset(coarse.filter(pl.col("size") < pulse)["meter_id"])


def span_pieces(
    spans: pl.DataFrame, *, code: str, jitter_ratio: float = 0.0
) -> tuple[Pieces, pl.DataFrame]:
    """Pieces of known amounts over known spans (meter_id, rate, t0, t1, amount); and events.

    A span inside one interval, or over one boundary, is measured; a longer one is a covered gap
    with ``code``: spread evenly over its time, exact in total. Time between spans is a gap of
    unknown amount.

    Where spans overlap all are booked, and time is covered once; but sure are only those that begin
    when every sure one before them has ended: an amount that overlaps these may have come twice.
    Two cases. 08:00 to 08:15 has 10 kWh, 08:07 to 08:22 has 10, 08:15 to 08:30 has 10: 30, and 20
    at least. 08:00 to 08:15 has 10 and 08:07 to 08:22 has 12: 22, and 10 at least.
    """
    bounded = _bounded(spans, jitter_ratio)
    bounded = bounded.with_columns(_sure(bounded))
    certain = pl.when("sure").then("amount").otherwise(0.0)
    reach = pl.col("to_bin") - pl.col("from_bin")
    inside, crossing = bounded.filter(reach == 0), bounded.filter(reach == 1)
    boundary = pl.col("to_bin") * GRID_US
    before = certain * quotient(boundary - pl.col("t0"), pl.col("dt"))
    measured = sum_by_bin(
        [
            inside.select(
                "meter_id",
                bin="from_bin",
                amount=certain,
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
                amount=certain - before,
                covered_us=pl.col("t1") - pl.max_horizontal("new_from", boundary),
            ),
        ]
    )
    whole = bounded.filter((reach > 1) | ~pl.col("sure")).select(
        "meter_id",
        "t0",
        "t1",
        code=pl.when(reach > 1).then(pl.lit(code)).otherwise(pl.lit(OVERLAP)),
        amount="amount",
        low=pl.when("sure").then("amount").otherwise(pl.min_horizontal("amount", 0.0)),
        high=pl.when("sure").then("amount").otherwise(pl.max_horizontal("amount", 0.0)),
    )
    gaps = pl.concat([whole, _holes(bounded)]).cast(GAP_SCHEMA)
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


def _sure(spans: pl.DataFrame) -> pl.Series:
    """Of spans in order of their ends, whether each begins after the sure ones before it."""
    overlaps = (spans["t0"] < spans["end_before"]).fill_null(False)
    sure = ~overlaps.to_numpy()
    t0, t1 = spans["t0"].to_numpy(), spans["t1"].to_numpy()
    ended_us, last = 0, -1
    for place in overlaps.arg_true().to_list():
        if place != last + 1:
            ended_us = t1[place - 1]
        sure[place] = t0[place] >= ended_us
        if sure[place]:
            ended_us = t1[place]
        last = place
    return pl.Series("sure", sure, dtype=pl.Boolean)


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
            code=pl.lit(OVERLAP),
            start_us="t1",  # what came, and not the time before it, which may be settled already
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
