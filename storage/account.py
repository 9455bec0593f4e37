"""What became of every reading: expected = good + missing(by reason) + dropped(by reason).

Outcomes are booked per meter and UTC day, in the transaction that stores the readings. The
expected count of a polled meter is not a count: it is computed from the first and the last tick of
its schedule, and must agree with what was booked.

Two cases. Ticks 10, 11, 14 arrive: three outcomes are booked, and 12 and 13, which nobody polled,
as ``not_running``; expected is 14 - 10 + 1 = 5. Then the clock is set back and tick 13 comes
again: its reading is kept, but the tick has its outcome already. It is booked as ``repeated``,
which stands outside the identity, and expected stays 5.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from config.tables import Reading

GOOD = "good"
DUPLICATE = "duplicate"
"""The same meter, quantity, time and value once more: refused."""
REPEATED = "repeated"
"""A poll of a tick that has its outcome already (the clock was set back): kept, not expected."""
REJECTED = "rejected"
"""Could not be stored, or was refused by the lake: kept in the spool's table ``rejected``."""
NOT_RUNNING = "not_running"
"""A tick of the schedule at which nothing polled."""
BAD_PAYLOAD = "bad_payload"

RESERVED_OUTCOMES = (DUPLICATE, REPEATED, REJECTED, NOT_RUNNING)
"""Booked by the spool itself; no reading may have one of them as its status."""
_DROPPED = frozenset((BAD_PAYLOAD, REJECTED))
_OUTSIDE = frozenset((DUPLICATE, REPEATED))

DAY_US = 86_400_000_000
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


@dataclass(frozen=True)
class MeterAccount:
    """What became of a meter's readings since the spool was made. Counts of readings or ticks.

    For a polled meter ``expected`` is the number of ticks from the first to the last; for any
    other the number of readings received, without duplicates.
    """

    meter_id: str
    expected: int
    good: int
    missing: Mapping[str, int]
    dropped: Mapping[str, int]
    duplicates: int
    repeated: int

    @property
    def balanced(self) -> bool:
        """Whether every expected reading has an outcome."""
        booked = self.good + sum(self.missing.values()) + sum(self.dropped.values())
        return self.expected == booked


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

    day_utc: int
    outcome: str
    scheduled: bool = False
    epoch: Epoch | None = None
    closed: Epoch | None = None
    missed: range | None = None

    @property
    def repeats(self) -> bool:
        """Whether the tick has its outcome already."""
        return self.scheduled and self.epoch is None


class Booking:
    """The bookings of one transaction; `write` puts them into its tables."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor
        self._counts: Counter[tuple[str, int, str]] = Counter()
        self._received: Counter[str] = Counter()
        self._known: dict[str, tuple[Epoch | None, int | None]] = {}
        self._changed: dict[tuple[str, int], Epoch] = {}

    def judge(self, reading: Reading) -> Entry:
        """How ``reading`` would be booked. Books nothing."""
        sequence, time_us = reading.sequence, reading.time_us
        if sequence is None:
            return Entry(time_us // DAY_US, reading.status)
        epoch, interval_us = self._known.get(reading.meter_id) or self._read(reading.meter_id)
        if not _fits(sequence, time_us, interval_us):
            # A tick of another interval, from before `schedule` was told: no tick of this one.
            return Entry(time_us // DAY_US, reading.status)
        # The tick's own day, so that a reading a little after midnight counts where it was due.
        day_utc = (time_us if interval_us is None else sequence * interval_us) // DAY_US
        if (
            epoch is not None
            and epoch.phase == OPEN
            and sequence <= epoch.last
            and epoch.last_us - time_us <= LONGEST_STEP_BACK_US
        ):
            return Entry(day_utc, REPEATED, scheduled=True)
        return _next_tick(reading.status, day_utc, sequence, time_us, epoch, interval_us)

    def book(self, meter_id: str, entry: Entry, outcome: str | None = None) -> None:
        """Book one stored reading, and the ticks missed before it; ``outcome`` replaces its own."""
        self._counts[meter_id, entry.day_utc, outcome or entry.outcome] += 1
        if not entry.scheduled:
            self._received[meter_id] += 1
        if entry.epoch is None:
            return
        if entry.missed:
            interval_us = entry.epoch.interval_us
            for day_utc, count in _by_day(entry.missed, interval_us, entry.day_utc):
                self._counts[meter_id, day_utc, NOT_RUNNING] += count
        for epoch in (entry.closed, entry.epoch):
            if epoch is not None:
                self._changed[meter_id, epoch.number] = epoch
        self._known[meter_id] = (entry.epoch, entry.epoch.interval_us)

    def duplicate(self, meter_id: str, day_utc: int) -> None:
        """Book a reading that was refused because it is there already."""
        self._counts[meter_id, day_utc, DUPLICATE] += 1

    def write(self) -> None:
        """Write every booking through the transaction's cursor."""
        self._cursor.executemany(
            "INSERT INTO account VALUES(?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET count = count + excluded.count",
            ((*key, count) for key, count in self._counts.items()),
        )
        self._cursor.executemany(
            "INSERT INTO received VALUES(?, ?) "
            "ON CONFLICT DO UPDATE SET count = count + excluded.count",
            self._received.items(),
        )
        self._cursor.executemany(
            "INSERT OR REPLACE INTO ticks VALUES(?, ?, ?, ?, ?, ?, ?)",
            ((meter_id, *epoch) for (meter_id, _), epoch in self._changed.items()),
        )

    def _read(self, meter_id: str) -> tuple[Epoch | None, int | None]:
        """The meter's last epoch and its interval, as they stand."""
        interval_us, *epoch = self._cursor.execute(
            "SELECT s.interval_us, epoch, t.interval_us, first, last, last_us, phase "
            "FROM (SELECT ? AS meter_id) LEFT JOIN schedule s USING (meter_id) "
            "LEFT JOIN ticks t USING (meter_id) ORDER BY epoch DESC LIMIT 1",
            (meter_id,),
        ).fetchone()
        known = (None if epoch[0] is None else Epoch(*epoch), interval_us)
        self._known[meter_id] = known
        return known


def _fits(sequence: int, time_us: int, interval_us: int | None) -> bool:
    """Whether a tick can have been due near ``time_us``."""
    if interval_us is None:
        return abs(sequence) * SHORTEST_INTERVAL_US <= abs(time_us) + DAY_US
    return abs(sequence * interval_us - time_us) <= interval_us + DAY_US


def _next_tick(
    outcome: str,
    day_utc: int,
    sequence: int,
    time_us: int,
    epoch: Epoch | None,
    interval_us: int | None,
) -> Entry:
    """The entry of a tick that is not a repeated one: the epoch goes on, or a new one begins."""
    if epoch is None:
        begun = Epoch(0, interval_us, sequence, sequence, time_us)
        return Entry(day_utc, outcome, scheduled=True, epoch=begun)
    first = _first_expected(sequence, time_us, epoch, interval_us)
    if first is not None and epoch.phase == OPEN:
        going_on = Epoch(epoch.number, interval_us, epoch.first, sequence, time_us)
        missed = range(first, sequence) if first < sequence else None
        return Entry(day_utc, outcome, scheduled=True, epoch=going_on, missed=missed)
    closed = epoch._replace(phase=ENDED)
    first = sequence if first is None else min(first, sequence)
    begun = Epoch(epoch.number + 1, interval_us, first, sequence, time_us)
    missed = range(first, sequence) if first < sequence else None
    return Entry(day_utc, outcome, scheduled=True, epoch=begun, closed=closed, missed=missed)


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


def _by_day(ticks: range, interval_us: int | None, day_utc: int) -> Iterator[tuple[int, int]]:
    """Ticks per UTC day; all on ``day_utc`` where the interval is not known."""
    if interval_us is None:
        yield day_utc, len(ticks)
        return
    tick = ticks.start
    while tick < ticks.stop:
        day = tick * interval_us // DAY_US
        next_day_tick = -(-(day + 1) * DAY_US // interval_us)  # first tick at or after midnight
        stop = min(next_day_tick, ticks.stop)
        yield day, stop - tick
        tick = stop


def reschedule(cursor: sqlite3.Cursor, intervals_s: Mapping[str, float]) -> None:
    """Set which meters are polled and every how many seconds; close epochs that no longer hold."""
    intervals_us = {m: max(1, round(seconds * 1e6)) for m, seconds in intervals_s.items()}
    going = cursor.execute(
        "SELECT meter_id, epoch, interval_us, phase FROM ticks WHERE phase <> ?", (ENDED,)
    ).fetchall()
    for meter_id, number, old_us, phase in going:
        new_us = intervals_us.get(meter_id)
        now = OPEN if new_us == old_us else RESCALED
        if new_us is None or old_us is None:
            now = ENDED  # no longer polled; or polled by an interval that was never told
        if now != phase:
            cursor.execute(
                "UPDATE ticks SET phase = ? WHERE meter_id = ? AND epoch = ?",
                (now, meter_id, number),
            )
    cursor.execute("DELETE FROM schedule")
    cursor.executemany("INSERT INTO schedule VALUES(?, ?)", intervals_us.items())


def book_rejection(cursor: sqlite3.Cursor, after: int, through: int) -> None:
    """Move the outcomes of the readings with ``after`` < seq <= ``through`` to rejected.

    A repeated reading stays repeated: its tick has its outcome from another reading.
    """
    for outcome, sign in (("status", -1), (f"'{REJECTED}'", 1)):
        cursor.execute(
            f"INSERT INTO account SELECT meter_id, day_utc, {outcome}, {sign} * count(*) "
            "FROM readings WHERE seq > ? AND seq <= ? AND outcome IS NULL GROUP BY 1, 2, 3 "
            "ON CONFLICT DO UPDATE SET count = count + excluded.count",
            (after, through),
        )


def read_accounts(cursor: sqlite3.Cursor) -> list[MeterAccount]:
    """The account of every meter that was ever heard of, by meter id."""
    expected: Counter[str] = Counter()
    for table, amount in (("ticks", "sum(last - first + 1)"), ("received", "sum(count)")):
        rows = cursor.execute(f"SELECT meter_id, {amount} FROM {table} GROUP BY meter_id")
        for meter_id, count in rows:
            expected[meter_id] += count
    outcomes: dict[str, dict[str, int]] = {meter_id: {} for meter_id in expected}
    rows = cursor.execute("SELECT meter_id, outcome, sum(count) FROM account GROUP BY 1, 2")
    for meter_id, outcome, count in rows:
        if count:
            outcomes.setdefault(meter_id, {})[outcome] = count
    return [_account(m, expected[m], booked) for m, booked in sorted(outcomes.items())]


def _account(meter_id: str, expected: int, booked: Mapping[str, int]) -> MeterAccount:
    inside = {o: n for o, n in booked.items() if o != GOOD and o not in _OUTSIDE}
    return MeterAccount(
        meter_id=meter_id,
        expected=expected,
        good=booked.get(GOOD, 0),
        missing={o: n for o, n in inside.items() if o not in _DROPPED},
        dropped={o: n for o, n in inside.items() if o in _DROPPED},
        duplicates=booked.get(DUPLICATE, 0),
        repeated=booked.get(REPEATED, 0),
    )
