"""Amounts by meter and period as `meter_periods` gives them, written down by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import polars as pl

Figures = tuple[float | None, float | None, float | None, float]
SHANGHAI = ZoneInfo("Asia/Shanghai")
SCHEMA = {
    "meter_id": pl.String,
    "grain": pl.String,
    "period": pl.String,
    "start_utc": pl.Datetime("us", "UTC"),
    "end_utc": pl.Datetime("us", "UTC"),
    "whole": pl.Boolean,
    "unit": pl.String,
    "amount": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "coverage_ratio": pl.Float64,
}


def midnight(day: date) -> datetime:
    """The day's first moment in Shanghai, UTC."""
    return datetime.combine(day, time(0), SHANGHAI).astimezone(UTC)


def span(grain: str, period: str) -> tuple[datetime, datetime]:
    """Start and end of a day, calendar month or year in Shanghai."""
    first = date.fromisoformat((period + "-01-01")[:10])
    if grain == "day":
        return midnight(first), midnight(first + timedelta(1))
    if grain == "year":
        return midnight(first), midnight(date(first.year + 1, 1, 1))
    after = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return midnight(first), midnight(after)


def exact(amount: float | None) -> Figures:
    """An amount that was seen without a gap."""
    return amount, amount, amount, 1.0


def rows(grain: str, period: str, meters: Mapping[str, Figures], unit: str = "kWh") -> pl.DataFrame:
    """One row a meter of one period."""
    start, end = span(grain, period)
    data = [(one, grain, period, start, end, True, unit, *seen) for one, seen in meters.items()]
    return pl.DataFrame(data, schema=SCHEMA, orient="row")


def days(first: date, meters: Mapping[str, Sequence[float]], unit: str = "kWh") -> pl.DataFrame:
    """Days from ``first`` on, seen without a gap, and the month that they are of as their sum."""
    count = {len(amounts) for amounts in meters.values()}
    assert len(count) == 1
    frames = [
        rows(
            "day",
            (first + timedelta(n)).isoformat(),
            {one: exact(float(amounts[n])) for one, amounts in meters.items()},
            unit,
        )
        for n in range(count.pop())
    ]
    month = {one: exact(float(sum(amounts))) for one, amounts in meters.items()}
    return pl.concat([*frames, rows("month", first.isoformat()[:7], month, unit)])
