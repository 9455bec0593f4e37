"""What was found in the readings, as rows of the table ``findings``."""

from __future__ import annotations

import polars as pl

from config.tables import FINDINGS

# What was seen, before it becomes a row: times in microseconds UTC.
EVENT_SCHEMA = pl.Schema(
    {
        "meter_id": pl.String(),
        "code": pl.String(),
        "start_us": pl.Int64(),
        "end_us": pl.Int64(),
        "evidence": pl.Struct(
            {
                "first_value": pl.Float64(),
                "last_value": pl.Float64(),
                "modulus": pl.Float64(),
                "discarded": pl.Int64(),  # readings that were not believed
            }
        ),
    }
)

# code -> (severity, message)
MESSAGES: dict[str, tuple[str, str]] = {
    "counter.dip": (
        "info",
        "the counter fell and jumped back: the low readings were discarded, the total is kept",
    ),
    "counter.spike": (
        "warning",
        "the counter jumped up and did not stay: the high readings were discarded",
    ),
    "counter.rollover": ("info", "the counter passed its modulus and began again: it was added"),
    "counter.rollover_ambiguous": (
        "warning",
        "at rated power the counter can have rolled over more than once here: nothing was booked "
        "across it",
    ),
    "counter.reset": (
        "warning",
        "the counter fell, stayed low and climbed (reset or replaced meter): nothing was booked "
        "across it; state the meter's dates and readings to settle it",
    ),
    "counter.jump": (
        "warning",
        "the counter rose faster than rated power, or where none is known than its own pace, "
        "allows and stayed: nothing was booked across it",
    ),
    "counter.frozen": (
        "warning",
        "the counter stood still and then rose in one step by more than rated power allows: what "
        "passed was laid over the time that it stood still",
    ),
    "counter.stepped": (
        "info",
        "the counter stood still for a little and then rose in one step by more than rated power "
        "allows: all of it is covered, but when it passed is not known",
    ),
    "counter.fall_ambiguous": (
        "warning",
        "the counter fell and came back, too late or too smoothly for a dip and without the climb "
        "of a reset, or lower than it had climbed meanwhile; or it fell to between where it had "
        "stood still and where it rose to: the readings that one cannot tell of were discarded and "
        "nothing was booked across them",
    ),
    "counter.fall_unsettled": (
        "warning",
        "the counter is lower than before: held back until later readings tell dip from reset",
    ),
    "counter.rise_unsettled": (
        "warning",
        "the counter rose faster than rated power, or where none is known than its own pace, "
        "allows: held back until later readings tell",
    ),
    "reading.conflict": (
        "warning",
        "several values for one time: the one that was received last is used, all are kept",
    ),
    "reading.not_finite": (
        "warning",
        "readings said to be good hold no number: they were taken for missing",
    ),
    "gauge.beyond_rated": (
        "warning",
        "the value is beyond rated power: it was not believed and leaves a gap",
    ),
    "amount.beyond_rated": (
        "warning",
        "the amount is more than rated power allows in its span: it was not believed and leaves a "
        "gap",
    ),
    "correction.settled": (
        "info",
        "a person stated what passed where nothing could be booked: it was laid over that time",
    ),
    "correction.unused": (
        "warning",
        "a stated amount fills no place: of places where nothing could be booked there is none in "
        "its time, or more than one; state it for a time that holds one",
    ),
    "amount.overlap": (
        "warning",
        "the span begins before the one before has ended: both were booked, low without what "
        "overlaps; look whether one came twice",
    ),
}


def findings_of(events: pl.DataFrame, plant_id: str) -> pl.DataFrame:
    """Rows of ``findings`` from events (meter_id, code, start_us, end_us, evidence as struct)."""
    severity = {code: entry[0] for code, entry in MESSAGES.items()}
    message = {code: entry[1] for code, entry in MESSAGES.items()}
    return (
        events.sort("meter_id", "start_us", "end_us", "code")
        .select(
            pl.lit(plant_id).alias("plant_id"),
            "code",
            pl.col("code").replace_strict(severity, return_dtype=pl.String).alias("severity"),
            pl.col("meter_id").alias("subject"),
            _time("start_us").alias("start_utc"),
            _time("end_us").alias("end_utc"),
            pl.col("code").replace_strict(message, return_dtype=pl.String).alias("message"),
            pl.col("evidence").struct.json_encode().alias("evidence"),
        )
        .cast(FINDINGS.polars_schema())
    )


def _time(name: str) -> pl.Expr:
    return pl.from_epoch(pl.col(name), "us").dt.replace_time_zone("UTC")
