"""The account by day: which days the lake does not have as they are, and days that it keeps alone.

The lake's table ``losses`` is the image of these days. A day whose entries change is unbooked, with
a serial number; once the lake has it as of that number it is booked. Booked days of long ago are
joined into one, and from then on the lake alone has them. What comes for such a day later stands by
itself, and is added: see `DayBook.whole_from`.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from storage.account import Booking

KEPT_DAYS = 40
"""Days for which the spool keeps the account by day, once the lake has them."""
JOINED_DAY = -1_000_000
"""Stands for all days before those; lies before the year 1."""

_METERS = "(SELECT meter_id FROM received UNION SELECT meter_id FROM ticks)"


@dataclass(frozen=True)
class DayBook:
    """Entries by meter, day and outcome, as of one moment.

    ``name`` is the account's own: another spool's entries of the same day add to these. Days from
    ``whole_from`` on are here whole; of earlier ones only what came after they were joined.
    ``unbooked`` holds the serial numbers of the days that the lake does not have so.
    """

    name: str
    zone: str
    whole_from: int
    unbooked: Mapping[int, int]
    entries: Mapping[tuple[str, int], Mapping[str, int]]


def read_days(cursor: sqlite3.Cursor, booking: Booking, *, only_unbooked: bool) -> DayBook:
    """The account by day; ``booking`` holds what is not in the tables yet.

    ``only_unbooked``: without the days that the lake has, and of what is in the tables only.
    """
    name, zone, whole_from = cursor.execute("SELECT name, zone, whole_from FROM book").fetchone()
    unbooked = dict(cursor.execute("SELECT day, serial FROM unbooked").fetchall())
    query = f"SELECT meter_id, day, outcome, count FROM account WHERE day > {JOINED_DAY}"
    if only_unbooked:
        query = (
            f"SELECT a.meter_id, a.day, a.outcome, a.count FROM {_METERS} AS m "
            "CROSS JOIN unbooked AS u "
            "CROSS JOIN account AS a ON a.meter_id = m.meter_id AND a.day = u.day"
        )
    rows = cursor.execute(query).fetchall()
    rows += [(*key, count) for key, count in booking.counts().items()]
    entries: dict[tuple[str, int], Counter[str]] = {}
    for meter_id, day, outcome, count in rows:
        entries.setdefault((meter_id, day), Counter())[outcome] += count
    return DayBook(name, zone, whole_from, unbooked, entries)


def mark_booked(cursor: sqlite3.Cursor, name: str, booked: Mapping[int, int]) -> None:
    """The lake has these days of the account ``name``, as of their serial numbers."""
    cursor.executemany(
        "DELETE FROM unbooked WHERE day = ? AND serial = ? AND (SELECT name FROM book) = ?",
        [(day, serial, name) for day, serial in booked.items()],
    )


def join_old_days(cursor: sqlite3.Cursor, before_day: int) -> None:
    """Join the booked days before ``before_day`` into one per meter and outcome.

    A day that the lake does not have yet stays, and those after it. Looks at each meter's old rows
    only, not at the whole table.
    """
    (whole_from,) = cursor.execute("SELECT whole_from FROM book").fetchone()
    (waits,) = cursor.execute(
        "SELECT min(day) FROM unbooked WHERE day >= ?", (whole_from,)
    ).fetchone()
    before_day = before_day if waits is None else min(before_day, waits)
    if before_day <= whole_from:
        return
    old = f"FROM {_METERS} CROSS JOIN account USING (meter_id) WHERE day >= ? AND day < ?"
    span = (whole_from, before_day)
    cursor.execute(
        f"INSERT INTO account SELECT meter_id, {JOINED_DAY}, outcome, sum(count) {old} "
        "GROUP BY meter_id, outcome ON CONFLICT DO UPDATE SET count = count + excluded.count",
        span,
    )
    cursor.execute(
        f"DELETE FROM account WHERE (meter_id, day, outcome) IN "
        f"(SELECT meter_id, day, outcome {old})",
        span,
    )
    cursor.execute("UPDATE book SET whole_from = ?", (before_day,))


def begin_anew(cursor: sqlite3.Cursor) -> None:
    """Forget the account, and begin another; the lake keeps the days of the one before."""
    for table in ("account", "received", "ticks", "unbooked"):
        cursor.execute(f"DELETE FROM {table}")
    cursor.execute("UPDATE arrivals SET newest_us = NULL")
    cursor.execute("UPDATE book SET name = ?, whole_from = ?", (str(uuid.uuid4()), JOINED_DAY + 1))
