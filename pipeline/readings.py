"""Good readings in the order of time, each time once.

Storage may hold them in any order and more than once. Two values for one time are a conflict: the
one that was received last is used (a corrected import goes before what it corrects), of two that
came together the larger one, so that it never matters how storage has laid them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from pipeline.checkpoints import DAY_US
from pipeline.findings import EVENT_SCHEMA
from pipeline.pieces import rule_frame
from pipeline.rules import MeterRule

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
TIMES_SCHEMA = pl.Schema({"meter_id": pl.String(), "t": pl.Int64()})


class Series(NamedTuple):
    """One meter's readings: ``t`` microseconds UTC, strictly rising, ``v`` raw and finite."""

    rule: MeterRule
    t: Ints
    v: Floats


def good_rows(readings: pl.LazyFrame, rules: Sequence[MeterRule]) -> pl.LazyFrame:
    """Good readings whose quantity is the one that the ledger names.

    Columns: meter_id, t in microseconds, value, received_utc.
    """
    key = ("meter_id", "quantity")
    changes = pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift(1)) for name in key)
    present = readings.select(key).filter(changes).unique().collect(engine="streaming")
    good = readings.filter(pl.col("status") == "good")
    if not set(present.iter_rows()) <= {(rule.meter_id, rule.quantity) for rule in rules}:
        mine = rule_frame(rules).select(key)
        good = good.join(mine, on=key, how="semi", maintain_order="left")
    return good.select("meter_id", "value", "received_utc", t=pl.col("time_utc").to_physical())


def series_of(rows: pl.LazyFrame, rules: Sequence[MeterRule]) -> tuple[list[Series], pl.DataFrame]:
    """Every meter's readings as arrays, in order of meter id, and events about single readings.

    ``rows``: as `good_rows` makes them, in any order. Meters are brought together by a radix sort
    where storage has them mixed, and sorted by time only where they are not.
    """
    found: dict[str, Series] = {}
    events: list[dict[str, Any]] = []
    in_conflict: list[pl.DataFrame] = []
    for rule, t, v in _by_meter(rows, rules):
        finite = np.isfinite(v)
        if not finite.all():
            events.extend(_not_finite(rule.meter_id, t[~finite]))
            t, v = t[finite], v[finite]
        t, v, conflicts = _in_order(t, v)
        found[rule.meter_id] = Series(rule, t, v)
        if len(conflicts):
            in_conflict.append(
                pl.DataFrame({"t": conflicts}).select(pl.lit(rule.meter_id).alias("meter_id"), "t")
            )
    said = pl.DataFrame(events, schema=EVENT_SCHEMA)
    if not in_conflict:
        return list(found.values()), said
    settled = _last_received(rows, pl.concat(in_conflict))
    for (meter_id,), chosen in settled.group_by("meter_id"):
        series = found[str(meter_id)]
        # The arrays may be the engine's own memory, which nobody may write to.
        values = series.v.copy()
        values[np.searchsorted(series.t, chosen["t"].to_numpy())] = chosen["value"].to_numpy()
        found[series.rule.meter_id] = series._replace(v=values)
    return list(found.values()), pl.concat([said, _conflict_events(settled)])


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


def _in_order(t: Ints, v: Floats) -> tuple[Ints, Floats, Ints]:
    """Sorted by time, each time once, and the times that have several values."""
    step = np.diff(t)
    if (step < 0).any():
        order = np.argsort(t, kind="stable")
        t, v = t[order], v[order]
        step = np.diff(t)
    if (step > 0).all():
        return t, v, t[:0]
    conflicts = np.unique(t[1:][(step == 0) & (np.diff(v) != 0)])
    last = np.append(step > 0, True)
    return t[last], v[last], conflicts


def samples_of(rows: pl.LazyFrame, rules: Sequence[MeterRule]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """meter_id, t, value sorted by meter and time, each time once; and events about readings.

    Values are by the ledger's ratio: those of later installations are converted.
    """
    frame, events = _samples(rows)
    for rule in rules:
        for era in rule.later:
            inside = (pl.col("meter_id") == rule.meter_id) & (pl.col("t") >= era.from_us)
            inside &= pl.col("t") < era.to_us
            value = pl.when(inside).then(pl.col("value") * (era.scale / rule.scale))
            frame = frame.with_columns(value.otherwise("value").alias("value"))
    return frame, events


def _samples(rows: pl.LazyFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    frame = rows.select("meter_id", "t", "value").collect(engine="streaming")
    finite = pl.col("value").is_finite().fill_null(False)
    said = [
        event
        for (meter_id,), part in frame.filter(~finite).group_by("meter_id")
        for event in _not_finite(str(meter_id), part["t"].to_numpy())
    ]
    events = pl.DataFrame(said, schema=EVENT_SCHEMA)
    frame = frame.filter(finite).sort("meter_id", "t", "value")
    following = pl.struct("meter_id", "t").shift(-1)
    again = (pl.struct("meter_id", "t") == following).fill_null(False)
    differs = again & (pl.col("value") != pl.col("value").shift(-1))
    times = frame.filter(differs).select("meter_id", "t").unique()
    frame = frame.filter(~again)
    if times.is_empty():
        return frame, events
    settled = _last_received(rows, times)
    frame = frame.update(settled.select("meter_id", "t", "value"), on=["meter_id", "t"])
    return frame, pl.concat([events, _conflict_events(settled)])


def _last_received(rows: pl.LazyFrame, times: pl.DataFrame) -> pl.DataFrame:
    """meter_id, t, value received last, first_value received first, of readings in conflict."""
    return (
        rows.join(times.lazy(), on=("meter_id", "t"), how="semi")
        .filter(pl.col("value").is_finite())
        .select("meter_id", "t", "received_utc", "value")
        .collect(engine="streaming")
        .sort("meter_id", "t", "received_utc", "value")
        .group_by("meter_id", "t", maintain_order=True)
        .agg(
            first_value=pl.col("value").first(),
            value=pl.col("value").last(),
            discarded=pl.col("value").n_unique() - 1,
        )
    )


def _conflict_events(settled: pl.DataFrame) -> pl.DataFrame:
    return settled.select(
        "meter_id",
        code=pl.lit("reading.conflict"),
        start_us="t",
        end_us="t",
        evidence=pl.struct(
            "first_value",
            last_value="value",
            modulus=pl.lit(None, pl.Float64),
            discarded=pl.col("discarded").cast(pl.Int64),
        ),
    ).cast(EVENT_SCHEMA)


def _not_finite(meter_id: str, t: Ints) -> Iterator[dict[str, Any]]:
    """One event for each UTC day."""
    days = t // DAY_US
    for day in np.unique(days):
        of_day = t[days == day]
        yield {
            "meter_id": meter_id,
            "code": "reading.not_finite",
            "start_us": int(of_day.min()),
            "end_us": int(of_day.max()),
            "evidence": {"discarded": len(of_day)},
        }
