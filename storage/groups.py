"""Readings in groups: stored, read again, and what is known of the file without asking it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from config.tables import Reading
from storage.account import DUPLICATE, Booking, add_counts
from storage.codec import Columns, columns_of, pack, unpack
from storage.repeats import Repeats


@dataclass
class Memory:
    """What is known of the file without asking it, as of ``data_version``.

    ``last`` is the number of the last reading, ``unfolded`` how many of them only groups hold.
    """

    data_version: int
    booking: Booking
    repeats: Repeats
    last: int
    unfolded: int = 0


def remembered(cursor: sqlite3.Cursor, data_version: int, now_us: int) -> Memory:
    (last,) = cursor.execute("SELECT last FROM spool").fetchone()
    memory = Memory(data_version, Booking(cursor), Repeats(cursor, now_us), last)
    for columns in unfolded(cursor):
        rows = columns.rows()
        _, hashes = memory.repeats.places(cursor, rows)
        memory.repeats.add(columns, hashes)
        memory.booking.book(rows)
        memory.unfolded += columns.size
    return memory


def store(
    cursor: sqlite3.Cursor, memory: Memory, readings: Sequence[Reading], columns: Columns
) -> int:
    """Store a group without those that came before, which are counted; how many were stored."""
    before, hashes = memory.repeats.places(cursor, readings)
    if before:
        gone = set(before)
        _count_duplicates(cursor, memory.booking, [readings[place] for place in before])
        hashes = [hash_ for place, hash_ in enumerate(hashes) if place not in gone]
        readings = [reading for place, reading in enumerate(readings) if place not in gone]
        if not readings:
            return 0
        columns = columns_of(readings)
    days, repeated = memory.booking.book(readings)
    columns.repeated[repeated] = True
    columns = columns._replace(day=np.array(days, np.int64))
    memory.repeats.add(columns, hashes)
    first, memory.last = memory.last + 1, memory.last + len(readings)
    cursor.execute("INSERT INTO groups VALUES(?, ?, ?)", (memory.last, first, pack(columns)))
    memory.unfolded += len(readings)
    return len(readings)


def _count_duplicates(
    cursor: sqlite3.Cursor, booking: Booking, readings: Sequence[Reading]
) -> None:
    """Count repeats in the table at once: no group holds them."""
    counts: Counter[tuple[str, int, str]] = Counter()
    for meter_id, _, time_us, _, status, _, _, sequence in readings:
        day = booking.judge(meter_id, time_us, status, sequence).day
        counts[meter_id, day, DUPLICATE] += 1
    add_counts(cursor, counts)


def unfolded(cursor: sqlite3.Cursor) -> list[Columns]:
    """The groups that the account does not know of yet."""
    folded, last = cursor.execute("SELECT folded, last FROM spool").fetchone()
    return between(cursor, folded, last)


def between(cursor: sqlite3.Cursor, after: int, through: int) -> list[Columns]:
    """The groups from ``after`` to ``through``, the first and last cut to it."""
    rows = cursor.execute(
        "SELECT first, last, body FROM groups WHERE last > ? AND first <= ? ORDER BY last",
        (after, through),
    ).fetchall()
    found = []
    for first, last, body in rows:
        columns = unpack(body)
        if first <= after or last > through:
            columns = columns.part(max(0, after + 1 - first), through + 1 - first)
        found.append(columns)
    return found
