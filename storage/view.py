"""A spool that is only read: what it holds, what waits, and what became of every reading."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from storage.account import Booking, MeterAccount, read_accounts
from storage.codec import Row, unpack
from storage.day_book import DayBook, read_days
from storage.groups import between, unfolded
from storage.spool_file import SpoolFile


class SpoolView:
    """A spool that is only read, such as from `kgce status` beside the daemon."""

    def __init__(self, file: SpoolFile) -> None:
        self._file = file

    @property
    def path(self) -> Path:
        return self._file.path

    def account(self) -> list[MeterAccount]:
        """What became of every meter's readings, by meter id. Raises StorageError."""
        with self._file.reading() as cursor:
            return read_accounts(cursor, self._booking(cursor))

    def account_by_day(self) -> DayBook:
        """The account of the days that are kept by day. Raises StorageError."""
        with self._file.reading() as cursor:
            return read_days(cursor, self._booking(cursor), only_unbooked=False)

    def _booking(self, cursor: sqlite3.Cursor) -> Booking:
        """What is not in the account's tables yet."""
        booking = Booking(cursor)
        for columns in unfolded(cursor):
            booking.book(columns.rows())
        return booking

    def state(self) -> dict[str, str]:
        """What the daemon last put: JSON texts by key. Raises StorageError."""
        with self._file.reading() as cursor:
            return dict(cursor.execute("SELECT key, value FROM state").fetchall())

    def waiting(self) -> int:
        """Readings that the lake does not have yet. Raises StorageError."""
        with self._file.reading() as cursor:
            return int(cursor.execute("SELECT last - accepted FROM spool").fetchone()[0])

    def oldest_waiting_us(self) -> int | None:
        """When the oldest reading was received that the lake does not have; None if it has all.

        Microseconds since the epoch, UTC. Raises StorageError.
        """
        with self._file.reading() as cursor:
            first = cursor.execute(
                "SELECT first, accepted, body FROM groups, spool WHERE groups.last > accepted "
                "ORDER BY groups.last LIMIT 1"
            ).fetchone()
            if first is None:
                return None
            number, accepted, body = first
            received_us = unpack(body).received_us[max(0, accepted + 1 - number) :]
            return int(received_us.min())

    def waiting_rows(self, after: int, limit: int) -> tuple[int, int, list[Row]]:
        """The newest readings with numbers over ``after`` that the lake does not have yet, at
        most about ``limit``; before them the number up to which the lake has all, and the newest
        number. Raises StorageError.
        """
        with self._file.reading() as cursor:
            last, accepted = cursor.execute("SELECT last, accepted FROM spool").fetchone()
            groups = between(cursor, max(after, accepted, last - limit), last)
            return accepted, last, [row for columns in groups for row in columns.rows()]

    def used_bytes(self) -> int:
        """Bytes of the file that hold data. Raises StorageError."""
        return self._file.used_bytes()

    def close(self) -> None:
        self._file.close()
