"""Readings of counters, reduced to one row for each meter and 15-minute bin.

Each meter's readings are brought together (a radix sort by meter where storage has them mixed),
sorted by time only where they are not, and handed to the counter's state machine. All passes run at
array speed; what is irregular is looked at one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from pipeline.counters import Event, Floats, Ints, Walk, walk
from pipeline.rules import GRID_US, MeterRule

# A bin: first and last believed reading, the amount (raw) and the holes between them, and what the
# step into the bin is known for.
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
EVENT_SCHEMA = pl.Schema(
    {
        "meter_id": pl.String(),
        "code": pl.String(),
        "start_us": pl.Int64(),
        "end_us": pl.Int64(),
        "evidence": pl.Struct(
            {"first_value": pl.Float64(), "last_value": pl.Float64(), "modulus": pl.Float64()}
        ),
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

    ``rows``: meter_id, t (microseconds UTC), value (raw), in any order, good readings only.
    ``window_us``: how long a dip or spike may last.
    """
    bins = [BIN_SCHEMA.to_frame()]
    holes: list[dict[str, Any]] = []
    events: list[dict[str, Any]] = []
    for rule, t, v in _by_meter(rows, rules):
        t, v, conflicts = _in_order(rule.meter_id, t, v)
        walked = walk(t, v, window_us=window_us, modulus=rule.modulus, rate_per_us=rule.rate_per_us)
        believed = _believed(t, v, walked)
        bins.append(_bins(rule, believed))
        holes.extend(_holes(rule, believed))
        events.extend(conflicts)
        events.extend(_event(rule.meter_id, t, event) for event in walked.events)
    return Binned(
        pl.concat(bins),
        pl.DataFrame(holes, schema=HOLE_SCHEMA),
        pl.DataFrame(events, schema=EVENT_SCHEMA),
    )


def _by_meter(
    rows: pl.LazyFrame, rules: Sequence[MeterRule]
) -> Iterator[tuple[MeterRule, Ints, Floats]]:
    """Times and values of each meter that has readings, as stored, in order of meter id."""
    by_id = {rule.meter_id: rule for rule in rules}
    meters = pl.Enum(sorted(by_id))
    frame = rows.select(
        "t", "value", meter=pl.col("meter_id").cast(meters).to_physical().cast(pl.UInt16)
    ).collect(engine="streaming")
    meter, t, v = (frame[name].to_numpy() for name in ("meter", "t", "value"))
    if (meter[1:] < meter[:-1]).any():
        order = np.argsort(meter, kind="stable")  # a radix sort: 16-bit keys
        t, v = t[order], v[order]
    counts = np.bincount(meter, minlength=len(by_id))
    ends = np.cumsum(counts)
    for meter_id, count, end in zip(sorted(by_id), counts, ends, strict=True):
        if count:
            yield by_id[meter_id], t[end - count : end], v[end - count : end]


def _in_order(meter_id: str, t: Ints, v: Floats) -> tuple[Ints, Floats, list[dict[str, Any]]]:
    """Sorted by time, each time once; two values for one time: the one stored last is used."""
    finite = np.isfinite(v)
    if not finite.all():
        t, v = t[finite], v[finite]
    step = np.diff(t)
    if (step < 0).any():
        order = np.argsort(t, kind="stable")
        t, v = t[order], v[order]
        step = np.diff(t)
    if (step > 0).all():
        return t, v, []
    conflicts = [
        {
            "meter_id": meter_id,
            "code": "reading.conflict",
            "start_us": int(t[i]),
            "end_us": int(t[i]),
            "evidence": {"first_value": float(v[i]), "last_value": float(v[i + 1])},
        }
        for i in np.flatnonzero((step == 0) & (np.diff(v) != 0))
    ]
    last = np.append(step > 0, True)
    return t[last], v[last], conflicts


class _Believed(NamedTuple):
    """The believed readings; ``codes`` of those into which nothing is booked, by index."""

    t: Ints
    v: Floats
    add: Floats
    codes: dict[int, str]


def _believed(t: Ints, v: Floats, walked: Walk) -> _Believed:
    codes = {event.last: event.code for event in walked.events if walked.cut[event.last]}
    if walked.keep.all():
        return _Believed(t, v, walked.add, codes)
    kept = walked.keep
    place = np.cumsum(kept) - 1
    return _Believed(
        t[kept], v[kept], walked.add[kept], {int(place[i]): code for i, code in codes.items()}
    )


def _apart(rule: MeterRule, believed: _Believed) -> Ints:
    """Indices of readings whose step from the one before is a hole or a cut."""
    far = np.flatnonzero(np.diff(believed.t) > rule.max_gap_us) + 1
    return np.union1d(far, np.fromiter(believed.codes, np.int64, len(believed.codes)))


def _bins(rule: MeterRule, believed: _Believed) -> pl.DataFrame:
    t, v, add, codes = believed
    if not len(t):
        return BIN_SCHEMA.to_frame()
    grid = t // GRID_US
    first = np.flatnonzero(np.append(True, grid[1:] != grid[:-1]))
    last = np.append(first[1:], len(t)) - 1
    inner, hole = v[last] - v[first], np.zeros(len(first), np.int64)
    # What is odd inside a bin; the step into a bin belongs to two bins, and is laid elsewhere.
    for i in np.setdiff1d(np.flatnonzero(add), first):
        inner[np.searchsorted(first, i, "right") - 1] += add[i]
    for i in np.setdiff1d(_apart(rule, believed), first):
        at = np.searchsorted(first, i, "right") - 1
        inner[at] -= v[i] - v[i - 1] + add[i]
        hole[at] += t[i] - t[i - 1]
    entered = dict(zip(first.tolist(), range(len(first)), strict=True)) if codes else {}
    enter_code: list[str | None] = [None] * len(first)
    for i, code in codes.items():
        if i in entered:
            enter_code[entered[i]] = code
    return pl.DataFrame(
        {
            "bin": grid[first],
            "t0": t[first],
            "t1": t[last],
            "v0": v[first],
            "v1": v[last],
            "inner": inner,
            "hole_us": hole,
            "enter_add": add[first],
            "enter_code": pl.Series(enter_code, dtype=pl.String),
        }
    ).select(pl.lit(rule.meter_id).alias("meter_id"), pl.all())


def _holes(rule: MeterRule, believed: _Believed) -> list[dict[str, Any]]:
    t, v, add, codes = believed
    return [
        {
            "meter_id": rule.meter_id,
            "t0": int(t[i - 1]),
            "t1": int(t[i]),
            "code": codes.get(int(i), "counter.gap"),
            "amount": None if int(i) in codes else float(v[i] - v[i - 1] + add[i]),
        }
        for i in _apart(rule, believed)
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
