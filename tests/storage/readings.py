"""Readings and frames for the tests of storage, counted from one moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

from config.tables import READINGS, Reading

START = datetime(2026, 10, 1, tzinfo=UTC)
START_US = int(START.timestamp()) * 1_000_000
PLANT = "p1"


def reading(
    at_s: float = 0,
    value: float | None = 1.0,
    *,
    meter: str = "m1",
    quantity: str = "energy",
    status: str | None = None,
    sequence: int | None = None,
) -> Reading:
    """A reading ``at_s`` seconds after START; without a value it is a time-out."""
    time_us = START_US + round(at_s * 1e6)
    status = status or ("good" if value is not None else "timeout")
    return Reading(meter, quantity, time_us, value, status, "line1", time_us + 5, sequence)


def polled(
    tick: int,
    value: float | None = 1.0,
    *,
    interval_s: float = 60,
    meter: str = "m1",
    status: str | None = None,
    late_us: int = 1000,
) -> Reading:
    """The reading of the tick ``tick`` intervals after START, taken a little late."""
    interval_us = round(interval_s * 1e6)
    sequence = START_US // interval_us + tick
    time_us = sequence * interval_us + late_us
    status = status or ("good" if value is not None else "timeout")
    return Reading(meter, "energy", time_us, value, status, "line1", time_us + 5, sequence)


def readings_frame(
    times: list[datetime], *, meter: str = "m1", plant: str = PLANT, value: float = 1.0
) -> pl.DataFrame:
    """A frame of good readings in the schema of the table."""
    count = len(times)
    return pl.DataFrame(
        {
            "plant_id": [plant] * count,
            "meter_id": [meter] * count,
            "quantity": ["energy"] * count,
            "time_utc": times,
            "value": [value] * count,
            "status": ["good"] * count,
            "source": ["line1"] * count,
            "received_utc": times,
            "sequence": [None] * count,
        },
        schema=READINGS.polars_schema(),
    )


def hours(count: int, start: datetime = START) -> list[datetime]:
    """``count`` times, an hour apart."""
    return [start + timedelta(hours=hour) for hour in range(count)]
