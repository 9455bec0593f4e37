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
from pipeline.bins import bin_counters
from pipeline.findings import EVENT_SCHEMA, findings_of
from pipeline.gauges import gauge_pieces
from pipeline.grid import lay
from pipeline.pieces import Pieces, counter_pieces, join_pieces, rule_frame
from pipeline.readings import good_rows
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
    rows = good_rows(readings, rules)
    parts: list[Pieces] = []
    events = [EVENT_SCHEMA.to_frame()]
    if counters := [rule for rule in rules if rule.kind == "counter"]:
        binned = bin_counters(_only(rows, counters, rules), counters, window_us)
        parts.append(counter_pieces(binned.bins, binned.holes, counters))
        events.append(binned.events)
    if gauges := [rule for rule in rules if rule.kind == "gauge" and not rule.span_us]:
        pieces, said = gauge_pieces(_only(rows, gauges, rules), gauges)
        parts.append(pieces)
        events.append(said)
    if spans := [rule for rule in rules if rule.span_us]:
        pieces, said = amount_pieces(_only(rows, spans, rules), spans)
        parts.append(pieces)
        events.append(said)
    pieces, said = _statement_pieces(statements, rules)
    parts.append(pieces)
    events.append(said)
    intervals, gaps = lay(join_pieces(parts), rules, plant_id)
    return Measured(intervals, gaps, findings_of(pl.concat(events), plant_id))


def _only(
    rows: pl.LazyFrame, some: Sequence[MeterRule], every: Sequence[MeterRule]
) -> pl.LazyFrame:
    if len(some) == len(every):
        return rows
    return rows.filter(pl.col("meter_id").is_in([rule.meter_id for rule in some]))


def _statement_pieces(
    statements: pl.LazyFrame, rules: Sequence[MeterRule]
) -> tuple[Pieces, pl.DataFrame]:
    """Statements spread evenly over their own time; the last one entered for a time counts."""
    spans = (
        statements.sort("entered_utc", "consumed")
        .unique(("meter_id", "start_utc", "end_utc"), keep="last", maintain_order=True)
        .join(rule_frame(rules), on="meter_id")
        .select(
            "meter_id",
            "rate",
            t0=pl.col("start_utc").to_physical(),
            t1=pl.col("end_utc").to_physical(),
            # stated in the meter's amount unit already; pieces are raw
            amount=pl.col("consumed") / pl.col("scale"),
        )
        .collect()
    )
    return span_pieces(spans, code="statement.sparse")
