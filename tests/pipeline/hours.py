"""Readings and rules in round numbers: times in minutes after a midnight in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from config.tables import READINGS, STATEMENTS
from pipeline.measure import Measured, measure
from pipeline.periods import By, periods
from pipeline.rollup import interval_sums, meter_periods
from pipeline.rules import US_PER_H, MeterRule

MIDNIGHT = datetime(2026, 10, 5, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return MIDNIGHT + timedelta(minutes=minutes)


def rule(kind: str, **changes: Any) -> MeterRule:
    settings: dict[str, Any] = {
        "meter_id": "m", "quantity": "value", "unit": "kWh", "scale": 1.0,
        "max_gap_us": 45 * 60_000_000, **changes,
    }  # fmt: skip
    if (rated := settings.pop("rated_per_h", None)) is not None:
        settings["rate_per_us"] = rated / US_PER_H
    return MeterRule(kind=kind, **settings)


def readings(*rows: tuple[float, float | None], meter_id: str = "m") -> pl.LazyFrame:
    """(minutes, value); None is a reading that failed."""
    return pl.LazyFrame(
        [
            ("p", meter_id, "value", at(m), v, "timeout" if v is None else "good", "t", at(m), None)
            for m, v in rows
        ],
        schema=READINGS.polars_schema(),
        orient="row",
    )


def measured(*frames: pl.LazyFrame, rules: list[MeterRule], statements: Any = None) -> Measured:
    none = STATEMENTS.polars_schema().to_frame().lazy()
    every = pl.concat([READINGS.polars_schema().to_frame().lazy(), *frames])
    return measure(
        every,
        none if statements is None else statements,
        rules,
        plant_id="p",
        window_us=24 * US_PER_H,
    )


def by_period(made: Measured, rules: list[MeterRule], by: By, first: float, last: float) -> Any:
    calendar = periods(by, at(first), at(last), ZoneInfo("UTC"))
    sums = interval_sums(made.intervals.lazy(), calendar)
    return meter_periods(sums, made.gaps.lazy(), calendar, rules, made.known.backwards)
