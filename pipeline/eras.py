"""A counter's readings cut where another meter or another ratio was installed.

Two cases. A meter replaced at 10:00 with both readings on record: the old register's last step ends
at 10:00 with its final reading, the new one's first step begins there, and nothing is missing. One
replaced without them: what passed between the old register's last reading and the new one's first
is bounded by rated power, and nothing is booked for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from pipeline.checkpoints import Checkpoint
from pipeline.pieces import GAP_SCHEMA
from pipeline.readings import Floats, Ints, Series
from pipeline.rules import MeterRule, successions


class Ends(NamedTuple):
    """The first and the last believed reading of a series."""

    first_us: int
    first: float
    last_us: int
    last: float


def cut(series: Series) -> list[Series]:
    """The series of each installation, with the readings that its records state."""
    rule, t, v = series
    if not rule.later:
        return [series]
    parts = []
    for era in rule.eras:
        inside = slice(*np.searchsorted(t, (era.from_us, era.to_us)))
        parts.append(Series(era, *_with_records(era, t[inside], v[inside])))
    return parts


def going_on(series: Series, point: Checkpoint) -> Series:
    """The part of a series that goes on from a checkpoint: the last installation's."""
    rule, t, v = series
    era = rule.eras[-1]
    inside = t >= era.from_us
    if point.from_us <= era.from_us:
        return Series(era, *_with_records(era, t[inside], v[inside]))
    return Series(era, t[inside], v[inside])


def _with_records(era: MeterRule, t: Ints, v: Floats) -> tuple[Ints, Floats]:
    if era.start is not None:
        later = t > era.from_us  # the record goes before a reading of the same moment
        t, v = np.append(era.from_us, t[later]), np.append(era.start, v[later])
    if era.final is not None:
        t, v = np.append(t, era.to_us), np.append(v, era.final)
    return t, v


def crossings(rule: MeterRule, ends: Sequence[Ends | None]) -> pl.DataFrame:
    """Gaps between the series of one meter's installations, in raw amounts of the ledger's row.

    ``ends``: of each installation, None where it has no believed reading.
    """
    rows = []
    last: tuple[MeterRule, Ends] | None = None
    for era, end in zip(rule.eras, ends, strict=True):
        if end is None:
            continue
        if last is not None and last[1].last_us < end.first_us:
            rows.append(_crossing(rule, *last, era, end))
        last = era, end
    return pl.DataFrame(rows, schema=GAP_SCHEMA, orient="row")


def _crossing(
    rule: MeterRule, old: MeterRule, before: Ends, new: MeterRule, after: Ends
) -> tuple[str, int, int, str, float | None, float, float | None]:
    t0, t1 = before.last_us, after.first_us
    step = after.first - before.last
    follows = any(pair == (old, new) for pair in successions(rule))
    if follows and not new.new_register and step >= 0:
        ratios = old.scale / rule.scale, new.scale / rule.scale
        share = (new.from_us - t0) / (t1 - t0)
        amount = step * (ratios[0] * share + ratios[1] * (1 - share))
        sure = share == 1 or ratios[0] == ratios[1]
        low, high = (amount, amount) if sure else (step * min(ratios), step * max(ratios))
        watched = t1 - t0 <= rule.max_gap_us
        code = "installation.sparse" if sure and watched else "installation.ratio"
        return rule.meter_id, t0, t1, code, amount, low, high
    most = None if rule.rate_per_us is None else rule.rate_per_us * (t1 - t0)
    return rule.meter_id, t0, t1, "installation.unread", None, 0.0, most
