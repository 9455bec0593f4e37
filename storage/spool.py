"""The spool: readings are on disk here before anybody is told that they were received."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from config.errors import StorageError
from config.tables import Reading
from storage import spool_file
from storage.account import (
    DAY_US,
    REJECTED,
    REPEATED,
    Booking,
    Entry,
    MeterAccount,
    book_rejection,
    read_accounts,
    reschedule,
)
from storage.batch import Batch, Row
from storage.salvage import SpoolDamage, finish_interrupted, salvage
from storage.spool_file import READING_COLUMNS, NowUs, SpoolFile, explained, is_damage

_PRUNE_ROWS = 10_000
"""Rows deleted in one transaction, about 50 ms: as long as an append may have to wait."""
_HIGH_WATER_RATIO = 0.8
"""Above this share of the cap, remembered rows give way to new ones before their time."""

_REPEAT_KEY = "time_us, meter_id, quantity, value"
_INSERT = (
    f"INSERT INTO readings({READING_COLUMNS}, day_utc, outcome) VALUES(?,?,?,?,?,?,?,?,?,?) "
    f"ON CONFLICT({_REPEAT_KEY}) WHERE value IS NOT NULL DO NOTHING"
)
_UNSTORABLE = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    OverflowError,
    UnicodeEncodeError,
    TypeError,
)
"""Errors of one reading's content; anything else is trouble of the file."""


@dataclass(frozen=True)
class Appended:
    """What became of the readings of one append; the three add up to their number.

    ``rejected`` ones break the contract of a reading (no value though good, a time outside the
    years 1 to 9999); they are kept in the table ``rejected``.
    """

    stored: int
    duplicates: int
    rejected: int = 0


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
            return read_accounts(cursor)

    def state(self) -> dict[str, str]:
        """What the daemon last put: JSON texts by key. Raises StorageError."""
        with self._file.reading() as cursor:
            return dict(cursor.execute("SELECT key, value FROM state").fetchall())

    def waiting(self) -> int:
        """Readings that the lake does not have yet. Raises StorageError."""
        with self._file.reading() as cursor:
            return int(cursor.execute("SELECT waiting FROM spool").fetchone()[0])

    def used_bytes(self) -> int:
        """Bytes of the file that hold data. Raises StorageError."""
        return self._file.used_bytes()

    def close(self) -> None:
        self._file.close()


class Spool(SpoolView):
    """The durable queue between collectors and lake; may be used from several threads.

    ``max_bytes`` is the size from which it has no room; ``dedupe_s`` the seconds for which a
    reading is remembered, to refuse its repeats. A damaged file is set aside and salvaged: see
    ``damage``. Raises StorageError when the folder cannot be written.
    """

    def __init__(
        self,
        file: Path,
        *,
        max_bytes: int,
        dedupe_s: float,
        now_us: NowUs = spool_file.now_us,
    ) -> None:
        self.max_bytes = max_bytes
        self.dedupe_us = round(dedupe_s * 1e6)
        self._now_us = now_us
        connection, self.damage = _open(file)
        super().__init__(SpoolFile(file, connection))

    @staticmethod
    def read_only(file: Path, *, timeout_s: float = 5.0) -> SpoolView:
        """Read a spool while another process writes it. Raises StorageError if there is none."""
        return SpoolView(SpoolFile(file, spool_file.open_read_only(file, timeout_s=timeout_s)))

    def schedule(self, intervals_s: Mapping[str, float]) -> None:
        """Say which meters are polled, and every how many seconds; before collectors start.

        A meter that keeps its interval goes on: ticks since its last reading count as
        ``not_running``. With another interval it goes on at the new one. A meter that is not
        named any more ends, and nothing is expected of it. Raises StorageError.
        """
        with self._file.transaction("the old schedule holds") as cursor:
            reschedule(cursor, intervals_s)

    def append(self, readings: Sequence[Reading]) -> Appended:
        """Store readings, without those that are there already; on disk when it returns.

        Raises StorageError; then none of them is stored or counted.
        """
        stored = duplicates = rejected = 0
        with self._file.transaction("none of these readings was stored") as cursor:
            booking = Booking(cursor)
            for reading in readings:
                entry: Entry | None = None
                try:
                    entry = booking.judge(reading)
                    outcome = REPEATED if entry.repeats else None
                    cursor.execute(_INSERT, (*reading, entry.day_utc, outcome))
                except _UNSTORABLE as error:
                    self._put_apart(cursor, booking, reading, entry, error)
                    rejected += 1
                    continue
                if cursor.rowcount:
                    booking.book(reading.meter_id, entry)
                    stored += 1
                else:
                    booking.duplicate(reading.meter_id, entry.day_utc)
                    duplicates += 1
            booking.write()
            cursor.execute("UPDATE spool SET waiting = waiting + ?", (stored,))
        return Appended(stored, duplicates, rejected)

    def _put_apart(
        self,
        cursor: sqlite3.Cursor,
        booking: Booking,
        reading: Reading,
        entry: Entry | None,
        error: Exception,
    ) -> None:
        """Keep a reading that breaks the contract, so that it cannot hold up the others."""
        now_us = self._now_us()
        meter_id = _printable(reading.meter_id)
        cursor.execute(
            "INSERT INTO rejected(meter_id, raw, reason, rejected_us) VALUES(?, ?, ?, ?)",
            (meter_id, _printable(tuple(reading)), f"cannot be stored: {error}", now_us),
        )
        if entry is None or meter_id != reading.meter_id or not _is_day(entry.day_utc):
            entry = Entry(now_us // DAY_US, REJECTED)
        booking.book(meter_id, entry, REPEATED if entry.repeats else REJECTED)

    def take_batch(self, limit: int) -> Batch | None:
        """The next readings for the lake, ``limit`` at the most; None when it has all.

        Until it is accepted or rejected the same batch is taken again, also after a crash and
        with another limit. Raises StorageError.
        """
        with self._file.transaction("nothing was taken") as cursor:
            name, accepted, taken, unsure_through = cursor.execute(
                "SELECT uuid, accepted, taken, unsure_through FROM spool"
            ).fetchone()
            if taken <= accepted:
                taken = cursor.execute(
                    "SELECT max(seq) FROM "
                    "(SELECT seq FROM readings WHERE seq > ? ORDER BY seq LIMIT ?)",
                    (accepted, limit),
                ).fetchone()[0]
                if taken is None:
                    return None
                # On disk before anybody sees the batch: its content must not change by a crash.
                cursor.execute("UPDATE spool SET taken = ?", (taken,))
            rows = _count(cursor, accepted, taken)
        return Batch(self, f"spool:{name}", accepted, taken, rows, accepted < unsure_through)

    def last_number(self) -> int:
        """The number of the newest reading; 0 when there is none. Raises StorageError."""
        with self._file.reading() as cursor:
            newest = cursor.execute("SELECT coalesce(max(seq), 0) FROM readings")
            return int(newest.fetchone()[0])

    def rows_between(self, after: int, through: int) -> list[Row]:
        """The rows with ``after`` < seq <= ``through``. Raises StorageError."""
        # By a connection of its own: an append need not wait until they are read.
        file = SpoolFile(self.path, spool_file.open_read_only(self.path, timeout_s=30.0))
        try:
            with file.reading() as cursor:
                return cursor.execute(
                    f"SELECT {READING_COLUMNS} FROM readings "
                    "WHERE seq > ? AND seq <= ? ORDER BY seq",
                    (after, through),
                ).fetchall()
        finally:
            file.close()

    def end_batch(self, version: int, rejected_because: str | None) -> None:
        """Move the watermark past ``version``; see `Batch.accept` and `Batch.reject`."""
        with self._file.transaction("the batch is kept and taken again") as cursor:
            accepted = cursor.execute("SELECT accepted FROM spool").fetchone()[0]
            if accepted >= version:
                return
            rows = _count(cursor, accepted, version)
            if rejected_because is not None:
                book_rejection(cursor, accepted, version)
                cursor.execute(
                    f"INSERT INTO rejected(seq, {READING_COLUMNS}, reason, rejected_us) "
                    f"SELECT seq, {READING_COLUMNS}, ?, ? FROM readings "
                    "WHERE seq > ? AND seq <= ?",
                    (rejected_because, self._now_us(), accepted, version),
                )
                cursor.execute(
                    "DELETE FROM readings WHERE seq > ? AND seq <= ?", (accepted, version)
                )
            cursor.execute(
                "UPDATE spool SET accepted = ?, taken = ?, waiting = waiting - ?",
                (version, version, rows),
            )
        self._prune(rows)

    def renew(self) -> None:
        """Give the spool a new name, because the lake has later batches of it than it knows of.

        That is a spool put back from a copy: the numbers that it gives were used before, and the
        lake would take new readings for old ones. Raises StorageError.
        """
        with self._file.transaction("the spool is as it was") as cursor:
            last = cursor.execute("SELECT max(seq) FROM readings").fetchone()[0] or 0
            cursor.execute(
                "UPDATE spool SET uuid = ?, unsure_through = ?", (str(uuid.uuid4()), last)
            )

    def put_state(self, key: str, json_text: str) -> None:
        """Keep what `kgce status` shows of the daemon. Raises StorageError."""
        with self._file.transaction("the state shown is the one before") as cursor:
            cursor.execute("INSERT OR REPLACE INTO state VALUES(?, ?)", (key, json_text))

    def has_room(self) -> bool:
        """Whether the file is under its cap. Raises StorageError.

        Rows that the lake has, and that are only remembered to refuse repeats, give way first.
        """
        more = True
        while self.used_bytes() >= self.max_bytes and more:
            more = self._prune_some(self._now_us() - self.dedupe_us, early=True)
        return self.used_bytes() < self.max_bytes

    def _prune(self, taken_rows: int) -> None:
        """Forget about twice as many rows as were taken, so that forgetting keeps up."""
        for _ in range(2 * taken_rows // _PRUNE_ROWS + 1):
            early = self.used_bytes() >= self.max_bytes * _HIGH_WATER_RATIO
            if not self._prune_some(self._now_us() - self.dedupe_us, early=early):
                return

    def _prune_some(self, received_before_us: int, *, early: bool) -> bool:
        """Delete the oldest accepted rows; whether there may be more to delete."""
        with self._file.transaction("nothing was forgotten") as cursor:
            cursor.execute(
                "DELETE FROM readings WHERE seq IN (SELECT seq FROM readings "
                "WHERE seq <= (SELECT accepted FROM spool) ORDER BY seq LIMIT ?) "
                "AND (received_us <= ? OR ?)",
                (_PRUNE_ROWS, received_before_us, early),
            )
            return cursor.rowcount == _PRUNE_ROWS


def _open(file: Path) -> tuple[sqlite3.Connection, SpoolDamage | None]:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        finish_interrupted(file)
    except OSError as error:
        raise StorageError(
            f"{file}: {error}",
            allowed="a folder that this user can write",
            data="nothing was opened",
            todo="check storage.path in plant.yaml, and the folder's owner",
        ) from error
    damage = None
    for _ in range(2):
        try:
            return spool_file.open_read_write(file), damage
        except sqlite3.Error as error:
            if damage is not None or not is_damage(error):
                raise explained(file, error, "the spool was not opened or changed") from error
            damage = salvage(file, str(error))
    raise AssertionError("unreachable: the second opening returns or raises")


def _count(cursor: sqlite3.Cursor, after: int, through: int) -> int:
    rows = cursor.execute(
        "SELECT count(*) FROM readings WHERE seq > ? AND seq <= ?", (after, through)
    )
    return int(rows.fetchone()[0])


def _printable(given: object) -> str:
    text = given if isinstance(given, str) else repr(given)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _is_day(day_utc: int) -> bool:
    return spool_file.MIN_TIME_US <= day_utc * DAY_US <= spool_file.MAX_TIME_US
