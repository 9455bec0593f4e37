"""Faulted streams of counters, gauges and amounts whose true energy is known.

The true flow of a stream is drawn first; what the meter shows of it, and what is lost, comes after.
The oracle is `Stream.true`: the energy that has passed up to a time, whatever was shown. Flow is
even between two neighbouring readings of the schedule (a gauge's runs straight); where readings
between two believed ones are lost or false, but these are near enough for the meter to count as
watched, it is even between these two: that is what "watched" says, and nobody can know better.

Faults keep `CLEAN` good readings between them. Two faults at one place can look like a third: then
nobody can tell, and the stream says so (``decidable`` is False).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from hypothesis import strategies as st

from config.tables import READINGS, STATEMENTS
from pipeline.measure import Measured, measure
from pipeline.rules import MeterRule
from tests.pipeline.stream_faults import (
    FIRST,
    GAP_FACTOR,
    HOUR_US,
    LOST,
    OTHER_REGISTER,
    OVERLOAD,
    PLACED,
    Plan,
    amounts,
    counter,
    gauge,
)

MIDNIGHT_US = 1_789_948_800_000_000  # 2026-09-21, UTC
CLEAN = 5
WINDOW_US = 24 * HOUR_US


@dataclass
class Stream:
    """``readings``: (time_us, value) as they arrive. ``knots``: (time_us, true energy up to it).

    ``tolerance``: how far a right figure may be from the truth (rounding; the step of a coarse
    register). ``decidable``: whether the readings tell what happened.
    """

    rule: MeterRule
    readings: list[tuple[int, float]]
    knots: list[tuple[int, float]]
    tolerance: float
    faults: list[str] = field(default_factory=list)
    decidable: bool = True

    def true(self, start_us: int, end_us: int) -> float:
        """The energy between two times, of which each is a knot, a midnight, or outside."""
        times, totals = zip(*self.knots, strict=True)
        before, after = np.interp([start_us, end_us], times, totals)
        return float(after - before)


def readings_frame(streams: dict[str, list[tuple[int, float]]]) -> pl.LazyFrame:
    rows = [
        ("p", meter_id, "value", t, v, "good", "test", t, None)
        for meter_id, readings in streams.items()
        for t, v in readings
    ]
    raw = READINGS.polars_schema()
    as_int = {**raw, "time_utc": pl.Int64, "received_utc": pl.Int64}
    return pl.LazyFrame(rows, schema=as_int, orient="row").cast(raw)


def run(streams: dict[str, list[tuple[int, float]]], *rules: MeterRule) -> Measured:
    return measure(
        readings_frame(streams),
        STATEMENTS.polars_schema().to_frame().lazy(),
        rules,
        plant_id="p",
        window_us=WINDOW_US,
    )


@st.composite
def faulted_streams(draw: st.DrawFn) -> Stream:
    """A meter read for up to a few days around a midnight, with up to four faults."""
    kind = draw(st.sampled_from(("counter", "counter", "counter", "gauge", "amount")))
    interval_us = draw(st.sampled_from((60, 300, 900, 3600))) * 1_000_000
    n = draw(st.integers(12, 160))
    chance = random.Random(draw(st.integers(0, 2**31)))
    first = (
        MIDNIGHT_US - draw(st.integers(0, n)) * interval_us + draw(st.sampled_from((0, 7_000_000)))
    )
    faults: list[str] = []
    jitter = interval_us // 10 if kind != "amount" and draw(st.booleans()) else 0
    times = [first + i * interval_us + chance.randint(0, jitter) for i in range(n)]
    rated = draw(st.sampled_from((1.0, 40.0, 5000.0)))
    plan = Plan(kind, interval_us, times, rated, draw(st.booleans()), None, 0.0, [], chance)
    if kind == "counter":
        if plan.rate_known and draw(st.booleans()):
            plan.modulus = plan.most * draw(st.sampled_from((3, 10, 100, 100_000)))
            faults.append("rollover" if plan.modulus > 10 * plan.most else "overflows")
        if draw(st.integers(0, 3)) == 0:
            plan.quantum = plan.most * draw(st.sampled_from((0.1, 1.0, 7.0)))
            if plan.modulus is not None:
                plan.quantum = min(plan.quantum, plan.modulus / 20)
            faults.append("coarse")
        if draw(st.integers(0, 9)) == 0 and "overflows" not in faults:
            plan.places.append((draw(st.sampled_from(FIRST)), 0, 1))
    for fault in draw(st.lists(st.sampled_from(sorted(PLACED[kind])), max_size=3)):
        _place(draw, plan, fault)
    plan.places.sort(key=lambda place: place[1])
    if not plan.rate_known:
        faults.append("no rated power")
    if jitter:
        faults.append("jitter")
    shown, knots = {"counter": counter, "gauge": gauge, "amount": amounts}[kind](plan)
    gone = {i for fault, a, b in plan.places if fault in LOST for i in range(a, b)}
    readings = [row for i, row in enumerate(shown) if i not in gone]
    if repeats := draw(st.lists(st.integers(0, len(readings) - 1), max_size=4)):
        readings += [readings[i] for i in repeats]
        faults.append("repeats")
    if draw(st.booleans()):
        chance.shuffle(readings)
        faults.append("disorder")
    largest = max(abs(total) for _, total in knots) + (plan.modulus or 0.0)
    return Stream(
        _rule(plan),
        readings,
        knots,
        1e-9 * max(1.0, largest)
        # Each register's steps come at another phase of the truth.
        + plan.quantum * (1 + sum(f in OTHER_REGISTER for f, _, _ in plan.places)),
        faults + [fault for fault, _, _ in plan.places],
        plan.decidable,
    )


def _place(draw: st.DrawFn, plan: Plan, fault: str) -> None:
    """Put a fault where there is room for it."""
    if not plan.rate_known and (
        fault == "frozen"
        or (fault == "spike" and plan.kind != "counter")
        or (fault == "replaced by higher" and plan.quantum)
    ):
        return  # without a rated power that is a load like another
    if (
        plan.modulus is not None
        and plan.modulus <= 10 * plan.most
        and fault not in ("outage", "lost")
    ):
        return  # a register that rolls over every few readings tells nothing else
    least = GAP_FACTOR if fault == "frozen" else 1
    length, n = draw(st.integers(least, PLACED[plan.kind][fault])), len(plan.times)
    a = draw(st.integers(CLEAN, max(CLEAN, n - 1 - CLEAN)))
    b = a + length
    if b > n - CLEAN or any(a < e + CLEAN and s < b + CLEAN for _, s, e in plan.places):
        return
    plan.places.append((fault, a, b))


def _rule(plan: Plan) -> MeterRule:
    return MeterRule(
        meter_id="m",
        quantity="value",
        kind=plan.kind,
        unit="kWh",
        scale=1.0,
        max_gap_us=GAP_FACTOR * plan.interval_us,
        span_us=plan.interval_us if plan.kind == "amount" else 0,
        modulus=plan.modulus,
        rate_per_us=plan.rated_per_h * OVERLOAD / HOUR_US if plan.rate_known else None,
    )
