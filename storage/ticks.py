"""Ticks of a polled meter's schedule, in epochs: runs at one interval in which each is expected."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from storage.days import DAY_US, Days

SHORTEST_INTERVAL_US = 100_000
"""Ticks cannot come faster than the config allows (`interval_s` >= 0.1)."""
LONGEST_STEP_BACK_US = DAY_US
"""A clock that goes back further was wrong before: its ticks begin anew, none is repeated."""
CLOCK_SET_SINCE_US = 1_577_836_800_000_000
"""2020-01-01. A gateway without a battery starts in 1970 or 2000; the step to the right time is
no outage."""

# How an epoch of ticks stands.
OPEN = "open"
RESCALED = "rescaled"  # the interval was changed: the next epoch continues in time
ENDED = "ended"  # what comes next does not continue it


class Epoch(NamedTuple):
    """A run of ticks of one meter at one interval; ``last_us`` is the time of the last reading."""

    number: int
    interval_us: int | None
    first: int
    last: int
    last_us: int
    phase: str = OPEN


class Entry(NamedTuple):
    """How one reading is to be booked, if it is stored.

    ``epoch`` is None for a reading outside any schedule and for a repeated one. ``closed`` is the
    epoch that ``epoch`` follows, when it ends. ``missed`` is the range of ticks not polled.
    """

    day: int
    outcome: str
    scheduled: bool = False
    epoch: Epoch | None = None
    closed: Epoch | None = None
    missed: range | None = None

    @property
    def repeats(self) -> bool:
        """Whether the tick has its outcome already."""
        return self.scheduled and self.epoch is None


class Going:
    """The last epoch of a meter, open for the tick ``follows``.

    The ticks before ``stop`` are on ``day``. ``count`` of them with ``status`` are not in the
    counts yet.
    """

    __slots__ = (
        "count", "day", "epoch", "follows", "interval_us", "last_us", "slack_us", "status", "stop"
    )  # fmt: skip

    def __init__(self, epoch: Epoch | None, interval_us: int | None, days: Days) -> None:
        self.epoch = epoch
        self.interval_us = interval_us or 0
        self.slack_us = self.interval_us + DAY_US
        self.follows: int | None = None
        self.last_us = self.day = self.stop = self.count = 0
        self.status = ""
        if epoch is None or interval_us is None or epoch.phase != OPEN:
            return
        if epoch.last_us < CLOCK_SET_SINCE_US:
            return
        self.follows, self.last_us = epoch.last + 1, epoch.last_us
        self.day = days.of(self.follows * interval_us)
        self.stop = -(-days.bounds(self.day)[1] // interval_us)

    def now(self) -> Epoch | None:
        """The epoch as it stands after the ticks that followed."""
        if self.epoch is None or self.follows is None:
            return self.epoch
        number, interval_us, first, _, _, phase = self.epoch
        return Epoch(number, interval_us, first, self.follows - 1, self.last_us, phase)


def fits(sequence: int, time_us: int, interval_us: int | None) -> bool:
    """Whether a tick can have been due near ``time_us``."""
    if interval_us is None:
        return abs(sequence) * SHORTEST_INTERVAL_US <= abs(time_us) + DAY_US
    return abs(sequence * interval_us - time_us) <= interval_us + DAY_US


def next_tick(
    outcome: str,
    day: int,
    sequence: int,
    time_us: int,
    epoch: Epoch | None,
    interval_us: int | None,
) -> Entry:
    """The entry of a tick that is not a repeated one: the epoch goes on, or a new one begins."""
    if epoch is None:
        begun = Epoch(0, interval_us, sequence, sequence, time_us)
        return Entry(day, outcome, scheduled=True, epoch=begun)
    first = _first_expected(sequence, time_us, epoch, interval_us)
    if first is not None and epoch.phase == OPEN:
        going_on = Epoch(epoch.number, interval_us, epoch.first, sequence, time_us)
        missed = range(first, sequence) if first < sequence else None
        return Entry(day, outcome, scheduled=True, epoch=going_on, missed=missed)
    closed = epoch._replace(phase=ENDED)
    first = sequence if first is None else min(first, sequence)
    begun = Epoch(epoch.number + 1, interval_us, first, sequence, time_us)
    missed = range(first, sequence) if first < sequence else None
    return Entry(day, outcome, scheduled=True, epoch=begun, closed=closed, missed=missed)


def _first_expected(
    sequence: int, time_us: int, epoch: Epoch, interval_us: int | None
) -> int | None:
    """The tick that was due after the epoch's last; None where the new tick does not follow it."""
    if epoch.phase == ENDED:
        return None
    if epoch.last_us < CLOCK_SET_SINCE_US <= time_us:
        return None
    if epoch.last_us - time_us > LONGEST_STEP_BACK_US:
        return None
    if epoch.phase == RESCALED:
        if epoch.interval_us is None or interval_us is None:
            return None
        return epoch.last * epoch.interval_us // interval_us + 1
    elapsed_us = time_us - epoch.last_us + DAY_US
    if interval_us is None and (sequence - epoch.last) * SHORTEST_INTERVAL_US > elapsed_us:
        return None  # more ticks than the time has room for: counted on another scale
    return epoch.last + 1


def by_day(
    ticks: range, interval_us: int | None, day: int, days: Days
) -> Iterator[tuple[int, int]]:
    """Ticks per day; all on ``day`` where the interval is not known."""
    if interval_us is None:
        yield day, len(ticks)
        return
    tick = ticks.start
    while tick < ticks.stop:
        of = days.of(tick * interval_us)
        next_day_tick = -(-days.bounds(of)[1] // interval_us)  # first at or after midnight
        stop = min(next_day_tick, ticks.stop)
        yield of, stop - tick
        tick = stop
