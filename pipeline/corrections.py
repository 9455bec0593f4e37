"""Corrections by hand, laid over the readings. The readings themselves stay as they came.

Two cases. A reading typed in for 10:00 goes before whatever was read at 10:00. A stated amount for
5 October fills the one place of that day across which nothing could be booked; where there is none,
or more than one, it fills nothing, and a finding says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from pipeline.findings import EVENT_SCHEMA
from pipeline.rules import MeterRule

KINDS = ("reading", "discard", "amount", "void")


class Corrections(NamedTuple):
    """Those in force: meter_id, kind, start_us, end_us, value, entered_utc; the last one entered
    for a meter and span counts."""

    rows: pl.DataFrame

    def of(self, kind: str) -> pl.DataFrame:
        return self.rows.filter(pl.col("kind") == kind)


def in_force(corrections: pl.LazyFrame) -> Corrections:
    """Of all rows of the table ``corrections`` those that hold now."""
    return Corrections(
        corrections.sort("entered_utc", "kind", "value")
        .unique(("meter_id", "start_utc", "end_utc"), keep="last", maintain_order=True)
        .filter(pl.col("kind") != "void")
        .select(
            "meter_id",
            "kind",
            start_us=pl.col("start_utc").to_physical(),
            end_us=pl.col("end_utc").to_physical(),
            value="value",
            entered_utc="entered_utc",
        )
        .collect()
        .sort("meter_id", "start_us", "end_us")
    )


def corrected(rows: pl.LazyFrame, corrections: Corrections) -> pl.LazyFrame:
    """Good readings (`readings.good_rows`) with the corrections laid over them."""
    for meter_id, _, start_us, end_us, *_ in corrections.of("discard").iter_rows():
        inside = (pl.col("meter_id") == meter_id) & pl.col("t").is_between(start_us, end_us)
        rows = rows.filter(~inside)
    typed = corrections.of("reading").select(
        "meter_id", "value", received_utc="entered_utc", t="start_us"
    )
    if typed.is_empty():
        return rows
    kept = rows.join(typed.lazy(), on=("meter_id", "t"), how="anti")
    return pl.concat([kept, typed.lazy()])


def settled(
    gaps: pl.DataFrame, corrections: Corrections, rules: Sequence[MeterRule]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Gaps (raw) of unknown amount with the amounts that a person stated; and events."""
    stated = corrections.of("amount")
    scale = {rule.meter_id: rule.scale for rule in rules}
    events = []
    for meter_id, _, start_us, end_us, value, _ in stated.iter_rows():
        if meter_id not in scale:
            continue
        fits = (
            (pl.col("meter_id") == meter_id)
            & (pl.col("t0") >= start_us)
            & (pl.col("t1") <= end_us)
            & pl.col("amount").is_null()
        )
        found = gaps.filter(fits).height
        if found == 1:
            raw = pl.lit(value / scale[meter_id])
            gaps = gaps.with_columns(
                *(
                    pl.when(fits).then(raw).otherwise(pl.col(name)).alias(name)
                    for name in ("amount", "low", "high")
                ),
                code=pl.when(fits).then(pl.col("code") + ".settled").otherwise("code"),
            )
        events.append(
            {
                "meter_id": meter_id,
                "code": "correction.settled" if found == 1 else "correction.unused",
                "start_us": start_us,
                "end_us": end_us,
                "evidence": {"first_value": value, "discarded": 0},
            }
        )
    return gaps, pl.DataFrame(events, schema=EVENT_SCHEMA)
