"""Readings of all meters to amounts on the 15-minute grid: reads top to bottom like the picture.

readings ─┬─ counters ── bins ── state machine ─┐
          ├─ gauges ──── trapezoids ────────────┼─ pieces ── grid ── intervals, gaps
          ├─ amounts ─── spans ─────────────────┤
statements ───────────── spans ─────────────────┘
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from pipeline.amounts import amount_pieces, span_pieces
from pipeline.bins import EVENT_SCHEMA, bin_counters
from pipeline.findings import findings_of
from pipeline.gauges import gauge_pieces
from pipeline.grid import lay
from pipeline.pieces import Pieces, counter_pieces, join_pieces, rule_frame
from pipeline.rules import MeterRule


class Measured(NamedTuple):
    """Frames in the schemas of ``intervals``, ``gaps`` and ``findings``."""

    intervals: pl.DataFrame
    gaps: pl.DataFrame
    findings: pl.DataFrame


def measure(
    readings: pl.LazyFrame,
    statements: pl.LazyFrame,
    rules: Sequence[MeterRule],
    *,
    plant_id: str,
    window_us: int,
) -> Measured:
    """Amounts of one plant's meters on the grid.

    ``readings`` and ``statements`` have the columns of their tables; only good readings of the
    rules' meters and quantities enter. ``window_us``: how long a dip or spike may last. The result
    does not depend on the order of the readings, nor on readings that come twice.
    """
    rows = _good_rows(readings, rules)
    parts: list[Pieces] = []
    events = [EVENT_SCHEMA.to_frame()]
    if counters := [rule for rule in rules if rule.kind == "counter"]:
        binned = bin_counters(_only(rows, counters, rules), counters, window_us)
        parts.append(counter_pieces(binned.bins, binned.holes, counters))
        events.append(binned.events)
    if gauges := [rule for rule in rules if rule.kind == "gauge" and not rule.span_us]:
        pieces, refused = gauge_pieces(_only(rows, gauges, rules), gauges)
        parts.append(pieces)
        events.append(_refused_gauges(refused))
    if spans := [rule for rule in rules if rule.span_us]:
        parts.append(amount_pieces(_only(rows, spans, rules), spans))
    parts.append(_statement_pieces(statements, rules))
    intervals, gaps = lay(join_pieces(parts), rules, plant_id)
    return Measured(intervals, gaps, findings_of(pl.concat(events), plant_id))


def _good_rows(readings: pl.LazyFrame, rules: Sequence[MeterRule]) -> pl.LazyFrame:
    """meter_id, t, value of good readings whose quantity is the one that the ledger names."""
    key = ("meter_id", "quantity")
    changes = pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift(1)) for name in key)
    present = readings.select(key).filter(changes).unique().collect(engine="streaming")
    good = readings.filter(pl.col("status") == "good")
    if not set(present.iter_rows()) <= {(rule.meter_id, rule.quantity) for rule in rules}:
        mine = rule_frame(rules).select(key)
        good = good.join(mine, on=key, how="semi", maintain_order="left")
    return good.select("meter_id", "value", t=pl.col("time_utc").to_physical())


def _only(
    rows: pl.LazyFrame, some: Sequence[MeterRule], every: Sequence[MeterRule]
) -> pl.LazyFrame:
    if len(some) == len(every):
        return rows
    return rows.filter(pl.col("meter_id").is_in([rule.meter_id for rule in some]))


def _refused_gauges(refused: pl.DataFrame) -> pl.DataFrame:
    return refused.select(
        "meter_id",
        code=pl.lit("gauge.beyond_rated"),
        start_us="t",
        end_us="t",
        evidence=pl.struct(
            first_value="value", last_value="value", modulus=pl.lit(None, pl.Float64)
        ),
    ).cast(EVENT_SCHEMA)


def _statement_pieces(statements: pl.LazyFrame, rules: Sequence[MeterRule]) -> Pieces:
    """Statements spread evenly over their own time; the last one entered for a time counts."""
    spans = (
        statements.sort("entered_utc")
        .unique(("meter_id", "start_utc", "end_utc"), keep="last")
        .join(rule_frame(rules), on="meter_id")
        .select(
            "meter_id",
            "rate",
            t0=pl.col("start_utc").to_physical(),
            t1=pl.col("end_utc").to_physical(),
            # stated in the meter's amount unit already; pieces are raw
            amount=pl.col("consumed") / pl.col("scale"),
        )
        .sort("meter_id", "t1")
        .collect()
    )
    return span_pieces(spans, code="statement.sparse")
