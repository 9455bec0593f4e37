"""A damaged spool file: set aside, never deleted, and what can be read of it goes on.

The rows that can be read go into a new file under a new id, and those that may already be in the
lake are marked ``unsure``: the flush compares them with the lake before it writes them.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from storage.durable import sync_folder
from storage.spool_file import open_read_write

log = logging.getLogger(__name__)

_ACCOUNT_TABLES = ("account", "received", "schedule", "ticks")
_TRIES = 100_000
"""Most ranges of rows that are tried; an unreadable page costs about 100."""


@dataclass(frozen=True)
class SpoolDamage:
    """What was found and done when a damaged spool was opened.

    ``rows_lost`` is the number of readings not yet accepted by the lake that could not be read;
    None when the count of them could not be read either. ``account_kept`` is False when the
    account could not be read whole and starts anew.
    """

    aside: Path
    cause: str
    rows_salvaged: int
    rows_lost: int | None
    account_kept: bool

    def __str__(self) -> str:
        lost = "an unknown number" if self.rows_lost is None else str(self.rows_lost)
        account = "" if self.account_kept else "; the account of readings starts anew"
        return (
            f"the spool was damaged ({self.cause}) and is kept as {self.aside}: "
            f"{self.rows_salvaged} readings were salvaged, {lost} not yet in the lake were not"
            f"{account}"
        )


def finish_interrupted(path: Path) -> None:
    """Complete a salvage that ended between its renames."""
    salvaged = _salvaging(path)
    if salvaged.exists() and not path.exists():
        _set_aside(path)  # its WAL must not be taken for the new file's
        salvaged.replace(path)
        sync_folder(path.parent)


def salvage(path: Path, cause: str) -> SpoolDamage:
    """Build a new spool from what can be read of ``path`` and put it in its place."""
    new = _salvaging(path)
    _remove_own(new)
    with closing(open_read_write(new)) as target:
        target.execute("BEGIN IMMEDIATE")
        salvaged, lost, account_kept = _copy(path, target)
        target.execute("COMMIT")
        target.execute("PRAGMA journal_mode=DELETE")  # all of it in the one file that is renamed
    aside = _set_aside(path)
    new.replace(path)
    sync_folder(path.parent)
    damage = SpoolDamage(aside, " ".join(cause.split()), salvaged, lost, account_kept)
    log.error("%s", damage)
    return damage


def _copy(path: Path, target: sqlite3.Connection) -> tuple[int, int | None, bool]:
    """Copy into ``target`` what can be read; rows salvaged, rows lost, account kept."""
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        source = sqlite3.connect(uri, uri=True, isolation_level=None)
    except sqlite3.Error:
        return 0, None, False
    with closing(source):
        accepted, waiting, last = _watermarks(source)
        salvaged = _copy_readings(source, target, last)
        _copy_whole(source, target, "rejected")
        _copy_whole(source, target, "state")
        whole = [_copy_whole(source, target, name) for name in _ACCOUNT_TABLES]
        account_kept = all(whole)
        if not account_kept:
            for name in _ACCOUNT_TABLES:
                target.execute(f"DELETE FROM {name}")
    (here,) = target.execute("SELECT coalesce(max(seq), 0) FROM readings").fetchone()
    (unsent,) = target.execute(
        "SELECT count(*) FROM readings WHERE seq > ?", (accepted or 0,)
    ).fetchone()
    # Numbers go on after the largest that was given. The name of the file is a new one all the
    # same: what its log held may be lost, and with it the knowledge of later numbers.
    end = max(here, accepted or 0, last or 0)
    target.execute("DELETE FROM sqlite_sequence WHERE name = 'readings'")
    target.execute("INSERT INTO sqlite_sequence(name, seq) VALUES('readings', ?)", (end,))
    target.execute(
        "UPDATE spool SET accepted = ?, taken = ?, unsure_through = ?, waiting = ?",
        (accepted or 0, accepted or 0, end, unsent),
    )
    lost = None if waiting is None else max(0, waiting - unsent)
    return salvaged, lost, account_kept


def _watermarks(source: sqlite3.Connection) -> tuple[int | None, int | None, int | None]:
    """Accepted watermark, readings waiting, last number given; None where not readable."""
    accepted = waiting = last = None
    with suppress(sqlite3.Error, TypeError):
        accepted, waiting = source.execute("SELECT accepted, waiting FROM spool").fetchone()
    with suppress(sqlite3.Error, TypeError):
        row = source.execute("SELECT seq FROM sqlite_sequence WHERE name = 'readings'").fetchone()
        last = row[0] if row else 0
    if not all(isinstance(mark, int | None) for mark in (accepted, waiting, last)):
        return None, None, None
    return accepted, waiting, last


def _copy_readings(source: sqlite3.Connection, target: sqlite3.Connection, last: int | None) -> int:
    count = 0
    for row in _readable_rows(source, last):
        # A row with a torn value fails the checks of the new table; it stays in the set-aside file.
        with suppress(sqlite3.IntegrityError, sqlite3.DataError):
            marks = ", ".join("?" * len(row))
            target.execute(f"INSERT INTO readings VALUES({marks})", row)
            count += 1
    return count


def _readable_rows(source: sqlite3.Connection, last: int | None) -> Iterator[tuple[object, ...]]:
    """Every row of readings that can be read, by halving the ranges that cannot."""
    tries = _TRIES
    ranges = [(0, last if last is not None else 2**40)]
    while ranges and tries:
        tries -= 1
        low, high = ranges.pop()
        try:
            rows = source.execute(
                "SELECT * FROM readings WHERE seq BETWEEN ? AND ? ORDER BY seq", (low, high)
            )
            for row in rows:
                yield row
                low = row[0] + 1
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            if low < high:
                middle = (low + high) // 2
                ranges += [(middle + 1, high), (low, middle)]


def _copy_whole(source: sqlite3.Connection, target: sqlite3.Connection, table: str) -> bool:
    """Copy a small table as far as it can be read; whether it was whole."""
    try:
        for row in source.execute(f"SELECT * FROM {table}"):
            marks = ", ".join("?" * len(row))
            target.execute(f"INSERT OR REPLACE INTO {table} VALUES({marks})", row)
    except (sqlite3.DatabaseError, UnicodeDecodeError):
        return False
    return True


def _set_aside(path: Path) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    # The file first: once it is gone, the salvaged one is known to be whole.
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside


def _salvaging(path: Path) -> Path:
    return path.with_name(f"{path.name}.salvaging")


def _remove_own(new: Path) -> None:
    """Remove an unfinished salvage of ours; what it was made from is still in place."""
    for suffix in ("-shm", "-wal", ""):
        new.with_name(new.name + suffix).unlink(missing_ok=True)
