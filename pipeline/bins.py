"""Readings of counters, reduced to one row for each register and 15-minute bin.

The readings of each register (a meter's, from one installation to the next) are handed to the
counter's state machine. All passes run at array speed; what is irregular is looked at one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from pipeline.checkpoints import DAY_US, Checkpoint, Start, since
from pipeline.counters import Event, Floats, Ints, Walk
from pipeline.eras import Ends, crossings, cut, going_on
from pipeline.findings import EVENT_SCHEMA
from pipeline.pieces import GAP_SCHEMA
from pipeline.readings import series_of
from pipeline.registers import walk_register
from pipeline.rules import GRID_US, MeterRule

# A bin: first and last believed reading, the amount (raw) and the holes between them. ``enter_add``
# is what the step into the bin gains beyond the difference of values, null where nothing may be
# booked; ``enter_code`` names that step where it is a gap whatever its length.
BIN_SCHEMA = pl.Schema(
    {
        "register": pl.Int32(),
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
        "register": pl.Int32(),
        "t0": pl.Int64(),
        "t1": pl.Int64(),
        "code": pl.String(),
        "amount": pl.Float64(),
    }
)


@dataclass
class Binned:
    """``registers``: the rule of each register, by its number. ``bins`` sorted by register and bin;
    ``holes`` inside bins; ``crossings`` between registers of one meter (`pieces.GAP_SCHEMA`);
    ``events`` for the findings.

    ``checkpoints`` of every meter; ``starts``: from where on a meter that went on was made anew;
    ``unfit``: meters that cannot go on from their checkpoint.
    """

    registers: list[MeterRule]
    bins: pl.DataFrame
    holes: pl.DataFrame
    crossings: pl.DataFrame
    events: pl.DataFrame
    checkpoints: list[Checkpoint]
    starts: dict[str, Start]
    unfit: list[str]


def bin_counters(
    rows: pl.LazyFrame,
    rules: Sequence[MeterRule],
    window_us: int,
    resume: Mapping[str, Checkpoint] | None = None,
) -> Binned:
    """Bins of all counters.

    ``rows``: as `readings.good_rows` makes them, in any order. ``window_us``: how long a dip or
    spike may last. ``resume``: meters that go on from a checkpoint; of them ``rows`` holds the
    readings from its ``from_us`` on.
    """
    series, said = series_of(rows, rules)
    # Of readings that are no numbers there is one event for each day: such a day is made whole.
    by_day = set(said.filter(pl.col("code") == "reading.not_finite")["meter_id"])
    said = since(said, resume or {})
    made = Binned([], BIN_SCHEMA.to_frame(), HOLE_SCHEMA.to_frame(), said, said, [], {}, [])
    bins: list[_Bins] = []
    holes, crossed = [], [GAP_SCHEMA.to_frame()]
    events: list[dict[str, Any]] = []
    for whole in series:
        rule, point = whole.rule, (resume or {}).get(whole.rule.meter_id)
        ends: list[Ends | None] = []
        for part in cut(whole) if point is None else [going_on(whole, point)]:
            walked = walk_register(part, window_us, point)
            if walked is None:
                made.unfit.append(rule.meter_id)
                break
            number = len(made.registers)
            made.registers.append(part.rule)
            believed = _believed(part.t, part.v, walked.walk)
            apart = _apart(part.rule, believed)
            if len(believed.t):
                bins.append(_bins(number, believed, apart))
            holes.extend(_holes(number, believed, apart))
            events.extend(_event(rule.meter_id, part.t, event) for event in walked.walk.events)
            ends.append(_ends(believed))
            if point is not None:
                made.starts[rule.meter_id] = Start(point.at_us, walked.lay_us, walked.kept_us)
            if part.rule.to_us == rule.eras[-1].to_us:
                points = walked.checkpoints
                at_hours = rule.meter_id not in by_day
                made.checkpoints.extend(p for p in points if at_hours or p.at_us % DAY_US == 0)
        else:
            if point is None:
                crossed.append(crossings(rule, ends))
    made.bins, made.crossings = _frame(bins), pl.concat(crossed)
    made.holes = pl.DataFrame(holes, schema=HOLE_SCHEMA)
    made.events = pl.concat([said, pl.DataFrame(events, schema=EVENT_SCHEMA)])
    return made


def _ends(believed: _Believed) -> Ends | None:
    t, v = believed.t, believed.v
    return Ends(int(t[0]), float(v[0]), int(t[-1]), float(v[-1])) if len(t) else None


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
    if not believed.codes:
        return far
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


class _Bins(NamedTuple):
    """The bins of one register, in the columns of `BIN_SCHEMA`; ``enter_code`` None where no step
    has a code."""

    register: Ints
    bin: Ints
    t0: Ints
    t1: Ints
    v0: Floats
    v1: Floats
    inner: Floats
    hole_us: Ints
    enter_add: Floats
    enter_code: list[str | None] | None


def _bins(register: int, believed: _Believed, apart: Ints) -> _Bins:
    t, v, add, codes = believed
    first = _first_of_bins(t)
    last = np.append(first[1:], len(t)) - 1
    inner, hole = v[last] - v[first], np.zeros(len(first), np.int64)
    # What is odd inside a bin; the step into a bin belongs to two bins, and is laid elsewhere.
    for i, at in _inside(first, np.flatnonzero(add)):
        inner[at] += np.nan_to_num(add[i])
    for i, at in _inside(first, apart):
        inner[at] -= v[i] - v[i - 1] + np.nan_to_num(add[i])
        hole[at] += t[i] - t[i - 1]
    return _Bins(
        np.full(len(first), register),
        t[first] // GRID_US,
        t[first],
        t[last],
        v[first],
        v[last],
        inner,
        hole,
        add[first],
        [codes.get(i) for i in first.tolist()] if codes else None,
    )


def _frame(registers: Sequence[_Bins]) -> pl.DataFrame:
    """The bins of all registers as one frame; a frame for each would take longer to make."""
    if not registers:
        return BIN_SCHEMA.to_frame()
    *columns, codes = zip(*registers, strict=True)
    if any(codes):
        named = [code or [None] * len(one.bin) for one, code in zip(registers, codes, strict=True)]
        enter_code = pl.Series([name for names in named for name in names], dtype=pl.String)
    else:
        enter_code = pl.repeat(
            None, sum(len(one.bin) for one in registers), dtype=pl.String, eager=True
        )
    frame = pl.DataFrame(
        {
            name: pl.Series(np.concatenate(parts), nan_to_null=name == "enter_add")
            for name, parts in zip(_Bins._fields, columns, strict=False)
        }
    )
    return frame.with_columns(enter_code.alias("enter_code")).cast(BIN_SCHEMA)


def _holes(register: int, believed: _Believed, apart: Ints) -> list[dict[str, Any]]:
    t, v, add, codes = believed
    return [
        {
            "register": register,
            "t0": int(t[i - 1]),
            "t1": int(t[i]),
            "code": codes.get(int(i), "counter.gap"),
            "amount": None if np.isnan(add[i]) else float(v[i] - v[i - 1] + add[i]),
        }
        for i in apart
        if t[i - 1] // GRID_US == t[i] // GRID_US
    ]


def _event(meter_id: str, t: Ints, event: Event) -> dict[str, Any]:
    """It ends with the reading by which it was judged, or with the last one concerned."""
    return {
        "meter_id": meter_id,
        "code": event.code,
        "start_us": int(t[event.first]),
        "end_us": int(t[max(event.last, event.at)]),
        "evidence": event.evidence,
    }
