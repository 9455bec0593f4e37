"""Readings of all meters to amounts on the 15-minute grid: reads top to bottom like the picture.

readings ─┬─ counters ── registers ── state machine ── bins ─┐
          ├─ gauges ──── trapezoids ─────────────────────────┼─ pieces ── grid ── intervals, gaps
          ├─ amounts ─── spans ──────────────────────────────┤
statements ───────────── spans ──────────────────────────────┘
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import polars as pl

from config.book_tables import CORRECTIONS
from pipeline.amounts import amount_pieces, span_pieces
from pipeline.bins import bin_counters
from pipeline.checkpoints import Checkpoint, Start, sample_checkpoints, since
from pipeline.corrections import Corrections, corrected, in_force, settled
from pipeline.entries import entries_in_force
from pipeline.findings import EVENT_SCHEMA, findings_of
from pipeline.gauges import Sampled, gauge_pieces
from pipeline.grid import lay
from pipeline.pieces import Pieces, counter_pieces, join_pieces, rule_frame
from pipeline.readings import good_rows
from pipeline.rules import MeterRule
from pipeline.sums import quotient


@dataclass(frozen=True)
class Known:
    """What earlier readings of a meter say of all its readings.

    ``backwards``: meters that have flowed backwards. ``quanta``: the smallest amounts, of meters
    whose rated power is known.
    """

    backwards: frozenset[str] = frozenset()
    quanta: Mapping[str, float] = field(default_factory=dict)


class Measured(NamedTuple):
    """Frames in the schemas of ``intervals``, ``gaps`` and ``findings``, and whose they are.

    ``starts`` of the meters that went on from a checkpoint; ``checkpoints`` to go on from next
    time; ``known`` from now on. ``unfit``: meters that could not go on from their checkpoint, and
    have to be measured from the beginning; nothing of them is in the frames.
    """

    intervals: pl.DataFrame
    gaps: pl.DataFrame
    findings: pl.DataFrame
    meters: frozenset[str]
    starts: Mapping[str, Start] = {}
    checkpoints: Sequence[Checkpoint] = ()
    known: Known = Known()
    unfit: Sequence[str] = ()


@dataclass
class _Made:
    """What the kinds of meters add to."""

    parts: list[Pieces] = field(default_factory=list)
    events: list[pl.DataFrame] = field(default_factory=lambda: [EVENT_SCHEMA.to_frame()])
    checkpoints: list[Checkpoint] = field(default_factory=list)
    starts: dict[str, Start] = field(default_factory=dict)
    unfit: list[str] = field(default_factory=list)
    backwards: set[str] = field(default_factory=set)
    quanta: dict[str, float] = field(default_factory=dict)


def measure(
    readings: pl.LazyFrame,
    statements: pl.LazyFrame,
    rules: Sequence[MeterRule],
    *,
    plant_id: str,
    window_us: int,
    corrections: pl.LazyFrame | None = None,
    resume: Mapping[str, Checkpoint] | None = None,
    known: Known | None = None,
) -> Measured:
    """Amounts of one plant's meters on the grid.

    ``readings``, ``statements`` and ``corrections`` have the columns of their tables; only good
    readings of the rules' meters and quantities enter. ``window_us``: how long a dip or spike may
    last. The result does not depend on the order of the readings, nor on readings that come twice.

    ``resume``: checkpoints of meters that go on; of them readings before ``from_us`` are passed
    over. ``known``: what was known when the checkpoints were made. Together with what was there
    from before ``starts``, the result is to the last bit that of measuring from the beginning.
    """
    resume, known = resume or {}, known or Known()
    typed = in_force(corrections if corrections is not None else _none())
    if resume.keys() >= {rule.meter_id for rule in rules}:
        readings = _read_once(readings)
    rows = _from_checkpoints(corrected(good_rows(readings, rules), typed), resume)
    made = _Made()
    _counters(rows, rules, window_us, resume, made)
    _gauges(rows, rules, resume, known, made)
    _amounts(rows, rules, resume, known, made)
    pieces, said = _statement_pieces(statements, rules)
    made.parts.append(pieces)
    made.events.append(said)
    return _laid(made, rules, plant_id, typed, resume, known)


def _none() -> pl.LazyFrame:
    return CORRECTIONS.polars_schema().to_frame().lazy()


def _read_once(readings: pl.LazyFrame) -> pl.LazyFrame:
    """The few days that meters go on from, held in memory: several passes go over them."""
    names = ("meter_id", "quantity", "time_utc", "value", "status", "received_utc")
    return readings.select(names).collect(engine="streaming").lazy()


def _from_checkpoints(rows: pl.LazyFrame, resume: Mapping[str, Checkpoint]) -> pl.LazyFrame:
    if not resume:
        return rows
    starts = pl.LazyFrame(
        [(point.meter_id, point.from_us) for point in resume.values()],
        schema={"meter_id": pl.String, "from_us": pl.Int64},
        orient="row",
    )
    late = rows.join(starts, on="meter_id", how="left").filter(
        pl.col("from_us").is_null() | (pl.col("t") >= pl.col("from_us"))
    )
    return late.drop("from_us")


def _only(
    rows: pl.LazyFrame, some: Sequence[MeterRule], every: Sequence[MeterRule]
) -> pl.LazyFrame:
    if len(some) == len(every):
        return rows
    return rows.filter(pl.col("meter_id").is_in([rule.meter_id for rule in some]))


def _counters(
    rows: pl.LazyFrame,
    rules: Sequence[MeterRule],
    window_us: int,
    resume: Mapping[str, Checkpoint],
    made: _Made,
) -> None:
    counters = [rule for rule in rules if rule.kind == "counter"]
    if not counters:
        return
    binned = bin_counters(_only(rows, counters, rules), counters, window_us, resume)
    made.parts.append(counter_pieces(binned.bins, binned.holes, binned.registers))
    made.parts.append(Pieces.of_gaps(binned.crossings))
    made.events.append(binned.events)
    made.checkpoints.extend(binned.checkpoints)
    made.starts.update(binned.starts)
    made.unfit.extend(binned.unfit)


def _gauges(
    rows: pl.LazyFrame,
    rules: Sequence[MeterRule],
    resume: Mapping[str, Checkpoint],
    known: Known,
    made: _Made,
) -> None:
    gauges = [rule for rule in rules if rule.kind == "gauge" and not rule.span_us]
    if not gauges:
        return
    sampled = gauge_pieces(_only(rows, gauges, rules), gauges, known.backwards)
    _take_samples(sampled, gauges, resume, known, made)


def _amounts(
    rows: pl.LazyFrame,
    rules: Sequence[MeterRule],
    resume: Mapping[str, Checkpoint],
    known: Known,
    made: _Made,
) -> None:
    spans = [rule for rule in rules if rule.span_us]
    if not spans:
        return
    sampled = amount_pieces(_only(rows, spans, rules), spans, known.quanta)
    _take_samples(sampled, spans, resume, known, made)
    made.quanta.update(sampled.quanta)
    made.unfit.extend(
        meter_id
        for meter_id in resume
        if meter_id in sampled.unsettled
        or sampled.quanta.get(meter_id) != known.quanta.get(meter_id)
    )


def _take_samples(
    sampled: Sampled,
    rules: Sequence[MeterRule],
    resume: Mapping[str, Checkpoint],
    known: Known,
    made: _Made,
) -> None:
    made.parts.append(sampled.pieces)
    made.events.append(since(sampled.events, resume))
    span_us = {rule.meter_id: rule.span_us for rule in rules}
    for (name,), part in sampled.believed.group_by("meter_id", maintain_order=True):
        meter_id = str(name)
        t = part["t"].to_numpy()
        points = sample_checkpoints(meter_id, t, span_us[meter_id])
        if (point := resume.get(meter_id)) is not None:
            points = [one for one in points if one.at_us > point.at_us]
            made.starts[meter_id] = Start(point.at_us, point.lay_us, point.at_us)
        made.checkpoints.extend(points)
    # Of two values for one time an earlier one may have entered into what is known.
    doubted = set(sampled.events.filter(pl.col("code") == "reading.conflict")["meter_id"])
    flowed = set(sampled.believed.filter(pl.col("value") < 0)["meter_id"].unique())
    made.backwards |= flowed
    made.unfit.extend(sorted(((flowed - known.backwards) | doubted) & resume.keys()))


def _statement_pieces(
    statements: pl.LazyFrame, rules: Sequence[MeterRule]
) -> tuple[Pieces, pl.DataFrame]:
    """Statements spread evenly over their own time; the last one entered for a time counts."""
    spans = (
        entries_in_force(statements, "meter_id", "consumed")
        .join(rule_frame(rules), on="meter_id")
        .select(
            "meter_id",
            "rate",
            t0=pl.col("start_utc").to_physical(),
            t1=pl.col("end_utc").to_physical(),
            # stated in the meter's amount unit already; pieces are raw
            amount=quotient(pl.col("consumed"), pl.col("scale")),
        )
        .collect()
    )
    return span_pieces(spans, code="statement.sparse")


def _laid(
    made: _Made,
    rules: Sequence[MeterRule],
    plant_id: str,
    typed: Corrections,
    resume: Mapping[str, Checkpoint],
    known: Known,
) -> Measured:
    pieces = join_pieces(made.parts)
    gaps, said = settled(pieces.gaps, typed, rules)
    backwards = frozenset(made.backwards | known.backwards)
    starts = {
        meter_id: made.starts.get(meter_id, Start(point.at_us, point.lay_us, point.at_us))
        for meter_id, point in resume.items()
        if meter_id not in made.unfit
    }
    dropped = set(made.unfit)
    intervals, gap_rows = lay(
        Pieces(_without(pieces.measured, dropped), _without(gaps, dropped)),
        rules,
        plant_id,
        backwards,
        {meter_id: start.lay_us for meter_id, start in starts.items()},
    )
    events = _without(pl.concat([*made.events, since(said, resume)]), dropped)
    return Measured(
        intervals,
        gap_rows,
        findings_of(events, plant_id),
        frozenset(rule.meter_id for rule in rules),
        starts,
        [point for point in made.checkpoints if point.meter_id not in dropped],
        Known(backwards, {**known.quanta, **made.quanta}),
        sorted(dropped),
    )


def _without(frame: pl.DataFrame, meters: Iterable[str]) -> pl.DataFrame:
    return frame.filter(~pl.col("meter_id").is_in(sorted(meters)))
