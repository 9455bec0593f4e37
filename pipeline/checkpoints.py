"""Where measuring can go on, instead of beginning anew with a meter's first reading.

A checkpoint stands at a UTC midnight; one of a counter also at the last whole hour. As long as no
reading from before it comes, what was made from readings before it stays: a few readings from
before are read again as context, and from the interval ``lay_us`` on everything is made anew, to
the last bit as if from the beginning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from pipeline.rules import EVER_US, GRID_US

Ints = npt.NDArray[np.int64]
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
NEVER_US = -EVER_US
RECENT_DAYS = 8
"""Midnights kept before the last reading; before them one a month."""
JITTER_RATIO = 0.05
"""Spans that leave or overlap less than this of their length are jitter of the meter's stamps."""
_SPANS = 3  # spans before the first one that is laid: one is their end, two may join by jitter


@dataclass(frozen=True)
class Checkpoint:
    """``at_us``: readings from then on may be new. ``from_us``: first reading to read again.

    ``lay_us``: intervals, and gaps that begin, from then on are made anew. ``state``: what a
    counter's state machine has to know besides, as JSON.
    """

    meter_id: str
    at_us: int
    from_us: int
    lay_us: int
    state: str = ""


class Start(NamedTuple):
    """From where on a meter was measured anew: intervals and gaps that begin at or after
    ``lay_us``, findings that end at or after ``at_us``. What was before stays, as do checkpoints up
    to ``kept_us``."""

    at_us: int
    lay_us: int
    kept_us: int


def since(events: pl.DataFrame, resume: Mapping[str, Checkpoint]) -> pl.DataFrame:
    """Of events (meter_id, end_us) those that are not from before the checkpoints."""
    at_us = {meter_id: point.at_us for meter_id, point in resume.items()}
    start = pl.col("meter_id").replace_strict(at_us, default=NEVER_US, return_dtype=pl.Int64)
    return events.filter(pl.col("end_us") >= start)


def midnights(first_us: int, last_us: int) -> list[int]:
    """Midnights worth keeping after ``first_us`` up to ``last_us``, rising."""
    days = np.arange(first_us // DAY_US + 1, last_us // DAY_US + 1).astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    worth = np.append(True, months[1:] != months[:-1])[: len(days)]
    worth[-RECENT_DAYS:] = True
    return [int(day) * DAY_US for day in days[worth].astype(np.int64)]


def marks(first_us: int, last_us: int) -> list[int]:
    """`midnights`, and the last whole hour."""
    found, hour_us = midnights(first_us, last_us), last_us // HOUR_US * HOUR_US
    return found if hour_us <= first_us or hour_us in found else [*found, hour_us]


def sample_checkpoints(meter_id: str, t: Ints, span_us: int) -> list[Checkpoint]:
    """Checkpoints of a gauge or of amounts.

    ``t``: times of the believed samples, rising; ``span_us``: the time that each stands for.
    """
    found = []
    apart = _apart(t, span_us)
    for at_us in midnights(int(t[0]), int(t[-1])) if len(t) else []:
        before = int(t[np.searchsorted(t, at_us) - 1])
        lay_us = min(before, at_us - round((1 + JITTER_RATIO) * span_us)) // GRID_US * GRID_US
        first = int(np.searchsorted(t, lay_us, side="right" if span_us else "left"))
        context = first - 1 if not span_us else min(first - _SPANS, int(apart[first]) - 1)
        found.append(Checkpoint(meter_id, at_us, int(t[max(0, context)]), lay_us))
    return found


def _apart(t: Ints, span_us: int) -> Ints:
    """For each span the last one up to it that overlaps none before: which of those that overlap
    are sure is told from there on."""
    places = np.arange(len(t))
    overlaps = np.diff(t, prepend=t[:1]) < (1 - JITTER_RATIO) * span_us
    overlaps[:1] = False
    last: Ints = np.maximum.accumulate(np.where(overlaps, 0, places))
    return last


def joined(old: Iterable[Checkpoint], new: Iterable[Checkpoint], kept_us: int) -> list[Checkpoint]:
    """One meter's checkpoints after it went on: old ones up to ``kept_us``, and new ones.

    Only those worth keeping stay.
    """
    both = {point.at_us: point for point in old if point.at_us <= kept_us}
    both |= {point.at_us: point for point in new}
    if not both:
        return []
    worth = set(marks(min(both) - 1, max(both)))
    # The oldest of a month is worth it even where the month's first midnight was not valid.
    months: dict[object, int] = {}
    for at_us in sorted(both):
        months.setdefault(np.datetime64(at_us, "us").astype("datetime64[M]"), at_us)
    return [both[at_us] for at_us in sorted(both) if at_us in worth or at_us in months.values()]


def latest_before(points: Iterable[Checkpoint], time_us: int) -> Checkpoint | None:
    """The last checkpoint from which a reading at ``time_us`` is new."""
    fitting = [point for point in points if point.at_us <= time_us]
    return max(fitting, key=lambda point: point.at_us, default=None)
