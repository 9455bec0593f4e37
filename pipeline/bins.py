"""Readings of counters, reduced to one row for each meter and 15-minute bin.

The heavy pass reads every reading once, in the order in which it was stored, without a sort. Bins
in which something is irregular (disorder, repeats, falls, rises beyond the rated power, holes) are
read again in a window around them, sorted, and judged by the counter's state machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from pipeline.counters import SETTLED_READINGS, Event, Ints, Walk, walk
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


def bin_counters(
    rows: pl.LazyFrame, rules: Sequence[MeterRule], window_us: int, *, together: bool = False
) -> Binned:
    """Bins of all counters.

    ``rows``: meter_id, t (microseconds UTC), value (raw), in any order, good readings only.
    ``window_us``: how long a dip or spike may last. ``together``: each meter's readings mostly
    stand together, as compaction leaves them; it only changes the speed.
    """
    bins = _heavy_pass(rows, rules, together)
    limits = _limits(rules)
    whole, holes, events = _regular(bins), HOLE_SCHEMA.to_frame(), EVENT_SCHEMA.to_frame()
    flagged = pl.concat([_odd_inside(bins, limits), _odd_steps(whole, limits)])
    judged = flagged.clear()
    while not flagged.is_empty():
        judged = pl.concat([judged, flagged])
        affected = _affected(bins, judged, window_us)
        repaired, holes, events = _repair(rows, affected, rules, window_us)
        apart = _regular(bins.join(affected, on=("meter_id", "bin"), how="anti"))
        whole = pl.concat([apart, repaired]).sort("meter_id", "bin")
        # What was believed may have changed the step out of the window: then it grows.
        flagged = _odd_steps(whole, limits).join(affected, on=("meter_id", "bin"), how="anti")
    return Binned(whole, holes, events)


# Meter number and bin in one integer: one such key groups much faster than two columns.
BIN_BITS = 40


def _heavy_pass(rows: pl.LazyFrame, rules: Sequence[MeterRule], together: bool) -> pl.DataFrame:
    """One row for each meter and bin, with what is needed to see irregularity."""
    meters = pl.Enum(sorted(rule.meter_id for rule in rules))
    dt, dv = pl.col("t").diff(), pl.col("value").diff()
    if together:
        # A step over two meters is none: where a run of rows breaks off inside a bin, the bin
        # has two entries, and is looked at again.
        dt = pl.when(pl.col("meter") == pl.col("meter").shift(1)).then(dt).otherwise(None)
    else:
        dt, dv = dt.over("meter"), dv.over("meter")
    inside = pl.col("t") - pl.col("dt") >= pl.col("bin") * GRID_US
    backwards = (pl.col("dt") <= 0) | ((pl.col("dv") < 0) & pl.col("dt").is_not_null())
    return (
        rows.select(
            "t",
            "value",
            meter=pl.col("meter_id").cast(meters).to_physical().cast(pl.Int64),
            bin=pl.col("t") // GRID_US,
        )
        .with_columns(dt=dt, dv=dv)
        .select(
            "t",
            "value",
            "dv",
            key=pl.col("meter") * 2**BIN_BITS + pl.col("bin"),
            dt=pl.when(inside).then(pl.col("dt")),
        )
        .with_columns(
            rate=pl.when(backwards).then(float("inf")).otherwise(pl.col("dv") / pl.col("dt"))
        )
        .group_by("key")
        .agg(
            t0=pl.col("t").first(),
            t1=pl.col("t").last(),
            v0=pl.col("value").first(),
            v1=pl.col("value").last(),
            entries=pl.col("dt").null_count(),
            dt_max=pl.col("dt").max(),
            rate_max=pl.col("rate").max(),
        )
        .sort("key")
        .with_columns(
            meter_id=(pl.col("key") // 2**BIN_BITS).cast(pl.UInt32).cat.to(meters).cast(pl.String),
            bin=pl.col("key") % 2**BIN_BITS,
        )
        .collect(engine="streaming")
    )


def _limits(rules: Sequence[MeterRule]) -> pl.DataFrame:
    return pl.DataFrame(
        [(rule.meter_id, rule.rate_per_us, rule.modulus, rule.max_gap_us) for rule in rules],
        schema={
            "meter_id": pl.String,
            "rate": pl.Float64,
            "modulus": pl.Float64,
            "max_gap_us": pl.Int64,
        },
        orient="row",
    )


def _odd_inside(bins: pl.DataFrame, limits: pl.DataFrame) -> pl.DataFrame:
    """(meter_id, bin) with disorder, repeats, holes or unbelievable steps between its readings."""
    odd = (
        (pl.col("entries") > 1)
        | (pl.col("dt_max") > pl.col("max_gap_us"))
        | pl.col("rate_max").is_infinite()
        | (pl.col("rate_max") > pl.col("rate"))
    )
    found = bins.lazy().join(limits.lazy(), on="meter_id").filter(odd.fill_null(False))
    return found.select("meter_id", "bin").collect()


def _odd_steps(bins: pl.DataFrame, limits: pl.DataFrame) -> pl.DataFrame:
    """(meter_id, bin) entered by a step that falls, or that no meter of that rating can make."""
    step_v = (pl.col("v0") - pl.col("v1").shift(1) + pl.col("enter_add")).over("meter_id")
    step_t = (pl.col("t0") - pl.col("t1").shift(1)).over("meter_id")
    rate = pl.col("rate")
    odd = (
        (pl.col("dt") <= 0)
        | (pl.col("dv") < 0)
        | (pl.col("dv") > rate * pl.col("dt"))
        | (pl.col("dt") * rate >= pl.col("modulus"))
    )
    return (
        bins.lazy()
        .select("meter_id", "bin", "enter_code", dv=step_v, dt=step_t)
        .join(limits.lazy(), on="meter_id")
        .filter(odd.fill_null(False) & pl.col("enter_code").is_null())
        .select("meter_id", "bin")
        .collect()
    )


def _regular(bins: pl.DataFrame) -> pl.DataFrame:
    return bins.select(
        "meter_id",
        "bin",
        "t0",
        "t1",
        "v0",
        "v1",
        inner=pl.col("v1") - pl.col("v0"),
        hole_us=pl.lit(0, pl.Int64),
        enter_add=pl.lit(0.0),
        enter_code=pl.lit(None, pl.String),
    )


def _affected(bins: pl.DataFrame, flagged: pl.DataFrame, window_us: int) -> pl.DataFrame:
    """(meter_id, bin, run): the bins to judge again, in runs that are judged on their own.

    All occupied bins within the window of a flagged one; where readings are sparse at least the
    next few; and one regular bin before them, whose readings are the baseline.
    """
    reach = window_us // GRID_US + 1
    here = pl.when(pl.col("flagged")).then(pl.col("bin"))
    marked = (
        bins.lazy()
        .select("meter_id", "bin")
        .join(
            flagged.lazy().unique().with_columns(flagged=True),
            on=("meter_id", "bin"),
            how="left",
            maintain_order="left",
        )
        .with_columns(
            since=pl.col("bin") - here.forward_fill().over("meter_id"),
            until=here.backward_fill().over("meter_id") - pl.col("bin"),
            rank=here.is_not_null().cum_sum().over("meter_id"),
        )
        .with_columns(place=pl.int_range(pl.len()).over("meter_id", "rank"))
        .with_columns(
            inside=(
                (pl.col("since") <= reach)
                | (pl.col("until") <= reach)
                | ((pl.col("rank") > 0) & (pl.col("place") <= SETTLED_READINGS))
            ).fill_null(False)
        )
        .with_columns(marked=pl.col("inside") | pl.col("inside").shift(-1).over("meter_id"))
        .with_columns(marked=pl.col("marked").fill_null(False) | pl.col("inside"))
        .with_columns(run=pl.struct("meter_id", "marked").rle_id())
    )
    return marked.filter("marked").select("meter_id", "bin", "run").collect()


def _repair(
    rows: pl.LazyFrame, affected: pl.DataFrame, rules: Sequence[MeterRule], window_us: int
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    by_id = {rule.meter_id: rule for rule in rules}
    again = (
        rows.with_columns(bin=pl.col("t") // GRID_US)
        .join(affected.lazy(), on=("meter_id", "bin"), maintain_order="left")
        .with_row_index("order")
        .collect(engine="streaming")
        .sort("meter_id", "run", "t", "order")
    )
    bins: list[pl.DataFrame] = []
    holes: list[dict[str, Any]] = []
    events: list[dict[str, Any]] = []
    for (meter_id, _), window in again.group_by(("meter_id", "run"), maintain_order=True):
        rule = by_id[str(meter_id)]
        t, v = window["t"].to_numpy(), window["value"].to_numpy()
        last_of_time = np.append(np.diff(t) > 0, True)
        events.extend(_conflicts(rule.meter_id, t, v))
        t, v = t[last_of_time], v[last_of_time]
        walked = walk(t, v, window_us=window_us, modulus=rule.modulus, rate_per_us=rule.rate_per_us)
        bins.append(_bins_of_walk(rule, t, v, walked))
        holes.extend(_holes(rule, t, v, walked))
        events.extend(_event(rule.meter_id, t, event) for event in walked.events)
    return (
        pl.concat(bins),
        pl.DataFrame(holes, schema=HOLE_SCHEMA),
        pl.DataFrame(events, schema=EVENT_SCHEMA),
    )


def _conflicts(meter_id: str, t: Ints, v: Any) -> list[dict[str, Any]]:
    """Two values for one time: the one stored last is used, and it is said."""
    at = np.flatnonzero((np.diff(t) == 0) & (np.diff(v) != 0))
    return [
        {
            "meter_id": meter_id,
            "code": "reading.conflict",
            "start_us": int(t[i]),
            "end_us": int(t[i]),
            "evidence": {"first_value": float(v[i]), "last_value": float(v[i + 1])},
        }
        for i in at
    ]


def _event(meter_id: str, t: Ints, event: Event) -> dict[str, Any]:
    return {
        "meter_id": meter_id,
        "code": event.code,
        "start_us": int(t[event.first]),
        "end_us": int(t[event.last]),
        "evidence": event.evidence,
    }


def _cut_codes(walked: Walk) -> dict[int, str]:
    """Kept readings into which nothing is booked, and why."""
    return {event.last: event.code for event in walked.events if walked.cut[event.last]}


def _holes(rule: MeterRule, t: Ints, v: Any, walked: Walk) -> list[dict[str, Any]]:
    kept = np.flatnonzero(walked.keep)
    codes = _cut_codes(walked)
    odd = walked.cut[kept[1:]] | (np.diff(t[kept]) > rule.max_gap_us)
    inside = np.diff(t[kept] // GRID_US) == 0
    return [
        {
            "meter_id": rule.meter_id,
            "t0": int(t[before]),
            "t1": int(t[after]),
            "code": codes.get(int(after), "counter.gap"),
            "amount": None
            if walked.cut[after]
            else float(v[after] - v[before] + walked.add[after]),
        }
        for before, after in ((kept[i], kept[i + 1]) for i in np.flatnonzero(odd & inside))
    ]


def _bins_of_walk(rule: MeterRule, t: Ints, v: Any, walked: Walk) -> pl.DataFrame:
    """Bins of the believed readings of one window."""
    kept = np.flatnonzero(walked.keep)
    tk, vk, add, cut = t[kept], v[kept], walked.add[kept], walked.cut[kept]
    grid = tk // GRID_US
    first = np.flatnonzero(np.append(True, np.diff(grid) > 0))
    last = np.append(first[1:], len(kept)) - 1
    dt = np.diff(tk, prepend=tk[0])
    apart = cut | (dt > rule.max_gap_us)
    amount = np.where(apart, 0.0, np.diff(vk, prepend=vk[0]) + add)
    hole = np.where(apart, dt, 0)
    amount[first], hole[first] = 0.0, 0  # the step into a bin belongs to two bins
    codes = _cut_codes(walked)
    return pl.DataFrame(
        {
            "meter_id": [rule.meter_id] * len(first),
            "bin": grid[first],
            "t0": tk[first],
            "t1": tk[last],
            "v0": vk[first],
            "v1": vk[last],
            "inner": np.add.reduceat(amount, first),
            "hole_us": np.add.reduceat(hole, first),
            "enter_add": add[first],
            "enter_code": [codes.get(int(i)) for i in kept[first]],
        },
        schema=BIN_SCHEMA,
    )
