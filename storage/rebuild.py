"""What can be read of a spool's file, put into a new one.

Readings get new numbers, under the new file's own id. What may be in the lake already is marked
``unsure_through``: the flush compares it with the lake before it writes it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np

from config.tables import Reading
from storage.account import REPEATED
from storage.codec import Columns, Torn, Unstorable, columns_of, pack, unpack
from storage.day_book import begin_anew
from storage.repeats import Repeats
from storage.spool_file import WITHOUT_EXPECTED

_ACCOUNT_TABLES = ("account", "received", "schedule", "ticks")
_DAY_TABLES = ("book", "unbooked", "arrivals")
_TRIES = 100_000
"""Most ranges of rows that are tried; an unreadable page costs about 100."""
_GROUP_ROWS = 500
_BEFORE_ALL_US = -(2**62)
_UNREADABLE = (sqlite3.DatabaseError, UnicodeDecodeError)


def copy_readable(path: Path, target: sqlite3.Connection) -> tuple[int, int | None, bool]:
    """Copy into ``target`` what can be read; rows salvaged, rows lost, account kept."""
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        source = sqlite3.connect(uri, uri=True, isolation_level=None)
    except sqlite3.Error:
        return 0, None, False
    with closing(source):
        if _has_table(source, "readings"):
            accepted, waiting, _ = _marks(source, "accepted, waiting, accepted")
            new = _copy_readings(source, target, accepted or 0)
        else:
            accepted, waiting, folded_there = _marks(source, "accepted, last - accepted, folded")
            new, folded = _copy_groups(source, target, accepted, folded_there)
            _copy_rows(source, target, "remembered", "id")
            target.execute("UPDATE spool SET folded = ?", (folded,))
        kept = _copy_small(source, target) and accepted is not None
    if not kept:
        # Anew, with what waits for the lake as its first readings.
        for name in _ACCOUNT_TABLES:
            target.execute(f"DELETE FROM {name}")
        with closing(target.cursor()) as cursor:
            begin_anew(cursor)
        target.execute("UPDATE spool SET folded = 0")
    target.execute("UPDATE spool SET last = ?, unsure_through = ?", (new, new))
    return new, None if waiting is None else max(0, waiting - new), kept


def copy_format_1(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Copy a sound file of format 1, which has a row for each reading. Raises sqlite3.Error."""
    accepted, taken = source.execute("SELECT accepted, taken FROM spool").fetchone()
    in_flight = source.execute(
        "SELECT count(*) FROM readings WHERE seq > ? AND seq <= ?", (accepted, taken)
    ).fetchone()[0]
    new = _copy_readings(source, target, accepted)
    if not _copy_small(source, target):
        raise sqlite3.DatabaseError("a table of the account cannot be read")
    # Of a batch that was taken nobody knows whether the lake has it.
    target.execute("UPDATE spool SET last = ?, unsure_through = ?", (new, in_flight))


def _copy_readings(source: sqlite3.Connection, target: sqlite3.Connection, accepted: int) -> int:
    """The rows of format 1: what the lake has is remembered, the rest waits; how many wait."""
    with closing(target.cursor()) as cursor:
        repeats = Repeats(cursor, _BEFORE_ALL_US)
        last = 0
        for rows in _by_group(_readable(source, "readings", "seq"), accepted):
            readings = [Reading(*row[1:9]) for row in rows]
            try:
                columns = columns_of(readings)
            except Unstorable:
                continue  # values that a torn page made up; they stay in the set-aside file
            _, hashes = repeats.places(cursor, readings)
            repeats.add(columns, hashes)
            repeats.write(cursor)
            if rows[0][0] <= accepted:
                continue
            columns = columns._replace(
                day=np.array([row[9] for row in rows], np.int64),
                repeated=np.array([row[10] == REPEATED for row in rows], np.bool_),
            )
            last = _insert(target, last, columns)
        target.execute("UPDATE spool SET folded = ?", (last,))
        return last


def _copy_groups(
    source: sqlite3.Connection,
    target: sqlite3.Connection,
    accepted: int | None,
    folded: int | None,
) -> tuple[int, int]:
    """The groups that wait for the lake; how many readings, and how many of them were folded."""
    new = new_folded = 0
    for number, first, body in _readable(source, "groups", "last"):
        try:
            columns = unpack(body)
        except (Torn, TypeError):
            continue
        columns = columns.part(max(0, (accepted or 0) + 1 - first), columns.size)
        if columns.size:
            new = _insert(target, new, columns)
        if folded is not None and number <= folded:
            new_folded = new
    return new, new_folded


def _insert(target: sqlite3.Connection, last: int, columns: Columns) -> int:
    """Add a group after the number ``last``; the number of its last reading."""
    end = last + columns.size
    target.execute("INSERT INTO groups VALUES(?, ?, ?)", (end, last + 1, pack(columns)))
    return end


def _by_group(rows: Iterator[tuple[Any, ...]], accepted: int) -> Iterator[list[tuple[Any, ...]]]:
    """Rows in groups, none of them on both sides of ``accepted``."""
    group: list[tuple[Any, ...]] = []
    for row in rows:
        full = len(group) == _GROUP_ROWS
        if group and (full or (group[0][0] <= accepted) != (row[0] <= accepted)):
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def _copy_small(source: sqlite3.Connection, target: sqlite3.Connection) -> bool:
    """Copy the tables that are the same in all formats; whether the account was whole."""
    _copy_rows(source, target, "rejected", "id")
    _copy_whole(source, target, "state")
    whole = [_copy_whole(source, target, name) for name in _ACCOUNT_TABLES]
    if _has_table(source, "book"):
        whole += [_copy_whole(source, target, name) for name in _DAY_TABLES]
    else:
        # The account was kept by an earlier format; statement by statement, in the transaction.
        for statement in WITHOUT_EXPECTED.split(";"):
            target.execute(statement)
    return all(whole)


def _copy_rows(
    source: sqlite3.Connection, target: sqlite3.Connection, table: str, key: str
) -> None:
    for row in _readable(source, table, key):
        marks = ", ".join("?" * len(row))
        # A row with a torn value fails the checks of the new table.
        with suppress(sqlite3.IntegrityError, sqlite3.DataError):
            target.execute(f"INSERT INTO {table} VALUES({marks})", row)


def _copy_whole(source: sqlite3.Connection, target: sqlite3.Connection, table: str) -> bool:
    """Copy a small table as far as it can be read; whether it was whole."""
    try:
        for row in source.execute(f"SELECT * FROM {table}"):
            marks = ", ".join("?" * len(row))
            target.execute(f"INSERT OR REPLACE INTO {table} VALUES({marks})", row)
    except _UNREADABLE:
        return False
    return True


def _readable(source: sqlite3.Connection, table: str, key: str) -> Iterator[tuple[Any, ...]]:
    """Every row of a table that can be read, by halving the ranges of keys that cannot."""
    tries = _TRIES
    ranges = [(0, 2**40)]
    while ranges and tries:
        tries -= 1
        low, high = ranges.pop()
        try:
            rows = source.execute(
                f"SELECT * FROM {table} WHERE {key} BETWEEN ? AND ? ORDER BY {key}", (low, high)
            )
            for row in rows:
                yield row
                low = row[0] + 1
        except _UNREADABLE:
            if low < high:
                middle = (low + high) // 2
                ranges += [(middle + 1, high), (low, middle)]


def _has_table(source: sqlite3.Connection, name: str) -> bool:
    with suppress(*_UNREADABLE):
        found = source.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (name,))
        return found.fetchone() is not None
    return False


def _marks(source: sqlite3.Connection, columns: str) -> tuple[int | None, int | None, int | None]:
    """Numbers from the table spool; None where they cannot be read."""
    with suppress(*_UNREADABLE, TypeError):
        row = source.execute(f"SELECT {columns} FROM spool").fetchone()
        if all(isinstance(mark, int) for mark in row):
            return row[0], row[1], row[2]
    return None, None, None
