"""What became of every reading: expected = good + missing(by reason) + dropped(by reason).

Outcomes are booked per meter and day of the plant, in the transaction that stores the readings.
The expected count of a polled meter is not a count: it is computed from the first and the last tick
of its schedule, and must agree with what was booked. By day it is counted, as an entry beside the
outcomes, and the days must add up to it.

Two cases. Ticks 10, 11, 14 arrive: three outcomes are booked, and 12 and 13, which nobody polled,
as ``not_running``; expected is 14 - 10 + 1 = 5. Then the clock is set back and tick 13 comes
again: its reading is kept, but the tick has its outcome already. It is booked as ``repeated``,
which stands outside the identity, and expected stays 5.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from config.tables import Reading
from storage.arrivals import Arrivals
from storage.days import Days
from storage.ticks import (
    ENDED,
    LONGEST_STEP_BACK_US,
    OPEN,
    RESCALED,
    Entry,
    Epoch,
    Going,
    by_day,
    fits,
    next_tick,
)

if TYPE_CHECKING:
    from storage.codec import Columns, Row

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

EXPECTED = "expected"
"""What the outcomes of a day must add up to; booked beside them."""
LATE = "late"
"""Stored, and counted under its outcome too: see `storage.arrivals`."""

RESERVED_OUTCOMES = (DUPLICATE, REPEATED, REJECTED, NOT_RUNNING, EXPECTED, LATE)
"""Booked by the spool itself; no reading may have one of them as its status."""
_DROPPED = frozenset((BAD_PAYLOAD, REJECTED))
OUTSIDE = frozenset((DUPLICATE, REPEATED, EXPECTED, LATE))
"""Entries that are not part of the identity's right side."""

_STATEMENT_ROWS = 200
"""Rows of one statement, about 0.2 ms."""
_ADD = "ON CONFLICT DO UPDATE SET count = count + excluded.count"


@dataclass(frozen=True)
class MeterAccount:
    """What became of a meter's readings since the account began. Counts of readings or ticks.

    For a polled meter ``expected`` is the number of ticks from the first to the last; for any
    other the number of readings received, without duplicates. ``duplicates``, ``repeated`` and
    ``late`` stand outside the identity.
    """

    meter_id: str
    expected: int
    good: int
    missing: Mapping[str, int]
    dropped: Mapping[str, int]
    duplicates: int
    repeated: int
    late: int = 0

    @property
    def balanced(self) -> bool:
        """Whether every expected reading has an outcome."""
        booked = self.good + sum(self.missing.values()) + sum(self.dropped.values())
        return self.expected == booked


class Booking:
    """What is known of every meter's ticks, and the bookings that are not in the tables yet."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._counts: Counter[tuple[str, int, str]] = Counter()
        self._received: Counter[tuple[str, int]] = Counter()
        self._days = Days(cursor.execute("SELECT zone FROM book").fetchone()[0])
        self._arrivals = Arrivals(cursor)
        self._changed: dict[tuple[str, int], Epoch] = {}
        self._moved: dict[str, Going] = {}
        self._intervals: dict[str, int] = dict(cursor.execute("SELECT * FROM schedule").fetchall())
        self._going: dict[str, Going] = {}
        # The last epoch of a meter comes last, and stays.
        ticks = cursor.execute("SELECT * FROM ticks ORDER BY meter_id, epoch").fetchall()
        for meter_id, *epoch in ticks:
            self._follow(meter_id, Epoch(*epoch))

    def book(self, readings: Sequence[Reading | Row]) -> tuple[list[int], list[int]]:
        """Book readings in their order; the day of each, and the places of repeated ones."""
        days: list[int] = []
        repeated: list[int] = []
        counts, received, going_of = self._counts, self._received, self._going
        day_of, is_late = self._days.of, self._arrivals.is_late
        for place, reading in enumerate(readings):
            meter_id, _, time_us, _, status, _, received_us, sequence = reading
            if sequence is None:
                day = day_of(time_us)
                counts[meter_id, day, status] += 1
                received[meter_id, day] += 1
                if is_late(meter_id, time_us, received_us):
                    counts[meter_id, day, LATE] += 1
                days.append(day)
                continue
            going = going_of.get(meter_id)
            if (  # the next tick of an open epoch on the same day: what nearly all are
                going is not None
                and sequence == going.follows
                and sequence < going.stop
                and going.last_us < time_us
                and abs(sequence * going.interval_us - time_us) <= going.slack_us
            ):
                going.follows = sequence + 1
                going.last_us = time_us
                if status == going.status and going.count:
                    going.count += 1
                else:
                    self._settle(meter_id)
                    self._moved[meter_id] = going
                    going.status, going.count = status, 1
                days.append(going.day)
                continue
            entry = self.judge(meter_id, time_us, status, sequence)
            self.book_entry(meter_id, entry)
            days.append(entry.day)
            if entry.repeats:
                repeated.append(place)
        return days, repeated

    def day_of(self, time_us: int) -> int:
        """The plant's day of a moment."""
        return self._days.of(time_us)

    def judge(self, meter_id: str, time_us: int, status: str, sequence: int | None) -> Entry:
        """How a reading would be booked. Books nothing."""
        if sequence is None:
            return Entry(self._days.of(time_us), status)
        interval_us = self._intervals.get(meter_id)
        if not fits(sequence, time_us, interval_us):
            # A tick of another interval, from before `schedule` was told: no tick of this one.
            return Entry(self._days.of(time_us), status)
        going = self._going.get(meter_id)
        epoch = None if going is None else going.now()
        # The tick's own day, so that a reading a little after midnight counts where it was due.
        day = self._days.of(time_us if interval_us is None else sequence * interval_us)
        if (
            epoch is not None
            and epoch.phase == OPEN
            and sequence <= epoch.last
            and epoch.last_us - time_us <= LONGEST_STEP_BACK_US
        ):
            return Entry(day, REPEATED, scheduled=True)
        return next_tick(status, day, sequence, time_us, epoch, interval_us)

    def book_entry(self, meter_id: str, entry: Entry, outcome: str | None = None) -> None:
        """Book one reading, and the ticks missed before it; ``outcome`` replaces its own."""
        counts = self._counts
        counts[meter_id, entry.day, outcome or entry.outcome] += 1
        if not entry.scheduled:
            self._received[meter_id, entry.day] += 1
        if entry.epoch is None:
            return
        counts[meter_id, entry.day, EXPECTED] += 1
        if entry.missed:
            interval_us = entry.epoch.interval_us
            for day, count in by_day(entry.missed, interval_us, entry.day, self._days):
                counts[meter_id, day, NOT_RUNNING] += count
                counts[meter_id, day, EXPECTED] += count
        for epoch in (entry.closed, entry.epoch):
            if epoch is not None:
                self._changed[meter_id, epoch.number] = epoch
        self._settle(meter_id)
        self._follow(meter_id, entry.epoch)

    def _follow(self, meter_id: str, epoch: Epoch) -> None:
        self._going[meter_id] = Going(epoch, self._intervals.get(meter_id), self._days)

    def _settle(self, meter_id: str) -> None:
        """Take the ticks that followed into the counts."""
        if (going := self._moved.pop(meter_id, None)) is not None:
            self._counts[meter_id, going.day, going.status] += going.count
            self._counts[meter_id, going.day, EXPECTED] += going.count
            going.count = 0

    def write(self, cursor: sqlite3.Cursor) -> None:
        """Put every booking into the tables; there is none afterwards."""
        add_counts(cursor, self.counts())
        _put(cursor, f"INSERT INTO received VALUES {{}} {_ADD}", list(self.received().items()))
        self._arrivals.write(cursor)
        ticks = [(meter_id, *epoch) for (meter_id, _), epoch in self.epochs().items()]
        _put(cursor, "INSERT OR REPLACE INTO ticks VALUES {}", ticks)
        for going in self._moved.values():
            going.count = 0
        self._counts.clear()
        self._received.clear()
        self._changed.clear()
        self._moved.clear()

    def counts(self) -> Counter[tuple[str, int, str]]:
        """Entries by meter, day and outcome that are not in the table."""
        counts = self._counts.copy()
        for meter_id, going in self._moved.items():
            counts[meter_id, going.day, going.status] += going.count
            counts[meter_id, going.day, EXPECTED] += going.count
        for (meter_id, day), count in self._received.items():
            counts[meter_id, day, EXPECTED] += count
        return counts

    def received(self) -> Counter[str]:
        """Readings outside any schedule, by meter, that are not in the table."""
        received: Counter[str] = Counter()
        for (meter_id, _), count in self._received.items():
            received[meter_id] += count
        return received

    def epochs(self) -> dict[tuple[str, int], Epoch]:
        """The epochs that are not in the table as they stand."""
        epochs = dict(self._changed)
        for meter_id, going in self._moved.items():
            if (epoch := going.now()) is not None:
                epochs[meter_id, epoch.number] = epoch
        return epochs


def add_counts(cursor: sqlite3.Cursor, counts: Mapping[tuple[str, int, str], int]) -> None:
    """Add to the counts of the table, by meter, day and outcome; the days wait for the lake."""
    rows = [(*key, count) for key, count in counts.items() if count]
    if not rows:
        return
    _put(cursor, f"INSERT INTO account VALUES {{}} {_ADD}", rows)
    cursor.execute("UPDATE book SET serial = serial + 1")
    cursor.executemany(
        "INSERT OR REPLACE INTO unbooked SELECT ?, serial FROM book",
        [(day,) for day in {day for _, day, _ in counts}],
    )


def _put(cursor: sqlite3.Cursor, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
    """Run ``statement`` with its VALUES, some hundred rows at a time.

    `executemany` gives the interpreter's lock back and asks for it again at every row; beside a
    busy thread it would wait for it each time.
    """
    for start in range(0, len(rows), _STATEMENT_ROWS):
        part = rows[start : start + _STATEMENT_ROWS]
        marks = f"({', '.join('?' * len(part[0]))})"
        cursor.execute(
            statement.format(", ".join([marks] * len(part))), tuple(chain.from_iterable(part))
        )


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


def book_rejection(cursor: sqlite3.Cursor, columns: Columns) -> None:
    """Move the outcomes of readings that are in the tables to rejected.

    A repeated reading stays repeated: its tick has its outcome from another reading.
    """
    moved: Counter[tuple[str, int, str]] = Counter()
    days, repeated = columns.day.tolist(), columns.repeated.tolist()
    for row, day, repeats in zip(columns.rows(), days, repeated, strict=True):
        if not repeats:
            moved[row[0], day, row[4]] -= 1
            moved[row[0], day, REJECTED] += 1
    add_counts(cursor, moved)


def read_accounts(cursor: sqlite3.Cursor, booking: Booking) -> list[MeterAccount]:
    """The account of every meter that was ever heard of, by meter id.

    ``booking`` holds what is not in the tables yet.
    """
    expected = booking.received()
    expected.update(dict(cursor.execute("SELECT meter_id, count FROM received").fetchall()))
    rows = cursor.execute("SELECT meter_id, epoch, last - first + 1 FROM ticks").fetchall()
    ticks = {(meter_id, number): count for meter_id, number, count in rows}
    for key, epoch in booking.epochs().items():
        ticks[key] = epoch.last - epoch.first + 1
    for (meter_id, _), count in ticks.items():
        expected[meter_id] += count
    booked: dict[str, Counter[str]] = {meter_id: Counter() for meter_id in expected}
    rows = cursor.execute(
        "SELECT meter_id, outcome, sum(count) FROM account GROUP BY 1, 2"
    ).fetchall()
    rows += [(meter_id, outcome, n) for (meter_id, _, outcome), n in booking.counts().items()]
    for meter_id, outcome, count in rows:
        booked.setdefault(meter_id, Counter())[outcome] += count
    return [account_of(m, expected[m], booked[m]) for m in sorted(booked)]


def account_of(meter_id: str, expected: int, booked: Mapping[str, int]) -> MeterAccount:
    """The account that ``booked`` outcomes make."""
    inside = {o: n for o, n in booked.items() if n and o != GOOD and o not in OUTSIDE}
    return MeterAccount(
        meter_id=meter_id,
        expected=expected,
        good=booked.get(GOOD, 0),
        missing={o: n for o, n in inside.items() if o not in _DROPPED},
        dropped={o: n for o, n in inside.items() if o in _DROPPED},
        duplicates=booked.get(DUPLICATE, 0),
        repeated=booked.get(REPEATED, 0),
        late=booked.get(LATE, 0),
    )
