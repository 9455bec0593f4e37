"""Readings of counters, reduced to one row for each meter and 15-minute bin.

Each meter's readings are handed whole to the counter's state machine. All passes run at array
speed; what is irregular is looked at one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from pipeline.counters import Event, Floats, Ints, Walk, walk
from pipeline.findings import EVENT_SCHEMA
from pipeline.readings import series_of
from pipeline.rules import GRID_US, MeterRule

# A bin: first and last believed reading, the amount (raw) and the holes between them. ``enter_add``
# is what the step into the bin gains beyond the difference of values, null where nothing may be
# booked; ``enter_code`` names that step where it is a gap whatever its length.
BIN_SCHEMA = pl.Schema(
    {
        "meter_id": pl.String(),
        "bin": pl.Int64(),
        "t0": pl.Int64(),
        "t1": pl.Int64(),
        "v0": pl.Float64(),
        "v1": pl.Float64(),
        "inner": pl.Float64(),
        "hole_us": pl.Int64(),
        "enter_add": pl.Float64(),
        "enter_code": pl.String(),
    }
)
# Two readings inside one bin that are too far apart, or between which nothing may be booked
# (amount null).
HOLE_SCHEMA = pl.Schema(
    {
        "meter_id": pl.String(),
        "t0": pl.Int64(),
        "t1": pl.Int64(),
        "code": pl.String(),
        "amount": pl.Float64(),
    }
)


@dataclass(frozen=True)
class Binned:
    """``bins`` sorted by meter and bin; ``holes`` inside bins; ``events`` for the findings."""

    bins: pl.DataFrame
    holes: pl.DataFrame
    events: pl.DataFrame


def bin_counters(rows: pl.LazyFrame, rules: Sequence[MeterRule], window_us: int) -> Binned:
    """Bins of all counters.

    ``rows``: as `readings.good_rows` makes them, in any order. ``window_us``: how long a dip or
    spike may last.
    """
    series, said = series_of(rows, rules)
    bins = [BIN_SCHEMA.to_frame()]
    holes: list[dict[str, Any]] = []
    events: list[dict[str, Any]] = []
    for rule, t, v in series:
        walked = walk(
            t,
            v,
            window_us=window_us,
            max_gap_us=rule.max_gap_us,
            modulus=rule.modulus,
            rate_per_us=rule.rate_per_us,
        )
        believed = _believed(t, v, walked)
        apart = _apart(rule, believed)
        bins.append(_bins(rule, believed, apart))
        holes.extend(_holes(rule, believed, apart))
        events.extend(_event(rule.meter_id, t, event) for event in walked.events)
    return Binned(
        pl.concat(bins),
        pl.DataFrame(holes, schema=HOLE_SCHEMA),
        pl.concat([said, pl.DataFrame(events, schema=EVENT_SCHEMA)]),
    )


class _Believed(NamedTuple):
    """The believed readings; ``codes`` of the steps that are gaps, by index; ``add`` is NaN where
    nothing is booked."""

    t: Ints
    v: Floats
    add: Floats
    codes: dict[int, str]


def _believed(t: Ints, v: Floats, walked: Walk) -> _Believed:
    add = np.where(walked.cut, np.nan, walked.add) if walked.codes else walked.add
    if walked.keep.all():
        return _Believed(t, v, add, walked.codes)
    kept = walked.keep
    place = np.cumsum(kept) - 1
    codes = {int(place[i]): code for i, code in walked.codes.items()}
    return _Believed(t[kept], v[kept], add[kept], codes)


def _apart(rule: MeterRule, believed: _Believed) -> Ints:
    """Indices of readings whose step from the one before is a gap."""
    far = np.flatnonzero(np.diff(believed.t) > rule.max_gap_us) + 1
    return np.union1d(far, np.fromiter(believed.codes, np.int64, len(believed.codes)))


def _first_of_bins(t: Ints) -> Ints:
    """Indices of the first reading of each bin that has one."""
    edges = np.arange(t[0] // GRID_US + 1, t[-1] // GRID_US + 1) * GRID_US
    if len(edges) < len(t):  # a few searches are much cheaper than many divisions
        starts: Ints = np.append(0, np.searchsorted(t, edges))
        return starts[np.flatnonzero(np.append(True, starts[1:] != starts[:-1]))]
    grid = t // GRID_US
    return np.flatnonzero(np.append(True, grid[1:] != grid[:-1]))


def _inside(first: Ints, readings: Ints) -> Iterator[tuple[int, int]]:
    """Of those readings that are not the first of their bin: index, and number of the bin."""
    at = np.searchsorted(first, readings, side="right") - 1
    later = first[at] != readings
    return zip(readings[later].tolist(), at[later].tolist(), strict=True)


def _bins(rule: MeterRule, believed: _Believed, apart: Ints) -> pl.DataFrame:
    t, v, add, codes = believed
    if not len(t):
        return BIN_SCHEMA.to_frame()
    first = _first_of_bins(t)
    last = np.append(first[1:], len(t)) - 1
    inner, hole = v[last] - v[first], np.zeros(len(first), np.int64)
    # What is odd inside a bin; the step into a bin belongs to two bins, and is laid elsewhere.
    for i, at in _inside(first, np.flatnonzero(add)):
        inner[at] += np.nan_to_num(add[i])
    for i, at in _inside(first, apart):
        inner[at] -= v[i] - v[i - 1] + np.nan_to_num(add[i])
        hole[at] += t[i] - t[i - 1]
    enter_code: list[str | None] | None = [codes.get(i) for i in first.tolist()] if codes else None
    return pl.DataFrame(
        {
            "bin": t[first] // GRID_US,
            "t0": t[first],
            "t1": t[last],
            "v0": v[first],
            "v1": v[last],
            "inner": inner,
            "hole_us": hole,
            "enter_add": pl.Series(add[first], nan_to_null=True),
        }
    ).select(
        pl.lit(rule.meter_id).alias("meter_id"),
        pl.all(),
        pl.Series("enter_code", enter_code or [None] * len(first), dtype=pl.String),
    )


def _holes(rule: MeterRule, believed: _Believed, apart: Ints) -> list[dict[str, Any]]:
    t, v, add, codes = believed
    return [
        {
            "meter_id": rule.meter_id,
            "t0": int(t[i - 1]),
            "t1": int(t[i]),
            "code": codes.get(int(i), "counter.gap"),
            "amount": None if np.isnan(add[i]) else float(v[i] - v[i - 1] + add[i]),
        }
        for i in apart
        if t[i - 1] // GRID_US == t[i] // GRID_US
    ]


def _event(meter_id: str, t: Ints, event: Event) -> dict[str, Any]:
    return {
        "meter_id": meter_id,
        "code": event.code,
        "start_us": int(t[event.first]),
        "end_us": int(t[event.last]),
        "evidence": event.evidence,
    }
