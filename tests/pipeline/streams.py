"""Faulted counter streams whose true energy is known, for property tests and benchmarks."""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl
from hypothesis import strategies as st

from config.tables import READINGS, STATEMENTS
from pipeline.measure import Measured, measure
from pipeline.rules import MeterRule

START_US = 1_790_000_000_000_000  # some day in 2026, not on a grid boundary
HOUR_US = 3_600_000_000
WINDOW_US = 24 * HOUR_US


@dataclass
class Stream:
    """``readings``: (time_us, value) as they arrive. ``true``: (time_us, total) without faults."""

    rule: MeterRule
    readings: list[tuple[int, float]]
    true: list[tuple[int, float]]
    faults: list[str] = field(default_factory=list)

    @property
    def true_energy(self) -> float:
        return self.true[-1][1] - self.true[0][1]


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


def counter(meter_id: str = "m", **changes: object) -> MeterRule:
    settings = {"max_gap_us": 3 * 900_000_000, "scale": 1.0, "unit": "kWh", **changes}
    return MeterRule(meter_id=meter_id, quantity="value", kind="counter", **settings)  # type: ignore[arg-type]


@st.composite
def faulted_streams(draw: st.DrawFn) -> Stream:
    """A counter read for up to a few days, with gaps, repeats, disorder, rollovers and dips."""
    interval_us = draw(st.sampled_from([60, 300, 900, 3600])) * 1_000_000
    n = draw(st.integers(8, 120))
    rate_per_h = draw(st.sampled_from([1.0, 40.0, 5000.0]))
    step_most = rate_per_h * interval_us / HOUR_US
    steps = draw(st.lists(st.floats(0, 1, allow_subnormal=False), min_size=n, max_size=n))
    jitter = draw(st.lists(st.integers(0, interval_us // 10), min_size=n, max_size=n))
    faults: list[str] = []
    start = draw(st.floats(0, 1e5))
    true: list[tuple[int, float]] = []
    total = start
    for i, (share, late) in enumerate(zip(steps, jitter, strict=True)):
        total += share * step_most * 0.9 if i else 0.0
        true.append((START_US + i * interval_us + late, total))
    modulus = None
    values = [v for _, v in true]
    if draw(st.booleans()):
        modulus = draw(st.sampled_from([1000.0, 10_000.0, 65_536.0]))
        values = [v % modulus for v in values]
        faults.append("rollover")
    shown = [(t, v) for (t, _), v in zip(true, values, strict=True)]
    if draw(st.booleans()):
        at = draw(st.integers(2, n - 2))
        low = draw(st.sampled_from([0.0, 0.0, 0.25]))
        for i in range(at, min(at + draw(st.integers(1, 3)), n - 1)):
            shown[i] = (shown[i][0], shown[at - 1][1] * low)
        faults.append("dip")
    kept = set(range(n))
    for _ in range(draw(st.integers(0, 2))):
        at, length = draw(st.integers(1, n - 2)), draw(st.integers(1, 40))
        kept -= set(range(at, min(at + length, n - 1)))
        faults.append("gap")
    shown = [row for i, row in enumerate(shown) if i in kept]
    shown += draw(st.lists(st.sampled_from(shown), max_size=4))
    if draw(st.booleans()):
        shown = draw(st.permutations(shown))
        faults.append("disorder")
    known_rate = modulus is not None or draw(st.booleans())
    rule = counter(
        max_gap_us=3 * interval_us,
        modulus=modulus,
        rate_per_us=rate_per_h * 1.2 / HOUR_US if known_rate else None,
    )
    return Stream(rule, list(shown), true, faults)
