"""The spool: readings are on disk here before anybody is told that they were received."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from config.errors import StorageError
from config.tables import Reading
from storage import spool_file
from storage.account import (
    REJECTED,
    REPEATED,
    Booking,
    book_rejection,
    reschedule,
)
from storage.arrivals import set_late_after
from storage.batch import Batch
from storage.codec import (
    MAX_TIME_US,
    MIN_TIME_US,
    Columns,
    Row,
    Unstorable,
    columns_of,
)
from storage.day_book import (
    KEPT_DAYS,
    DayBook,
    begin_anew,
    join_old_days,
    mark_booked,
    read_days,
)
from storage.days import DAY_US
from storage.groups import Memory, between, remembered, store
from storage.log_end import torn_log
from storage.salvage import SpoolDamage, convert, finish_interrupted, salvage, salvage_log
from storage.spool_file import EarlierFormat, NowUs, SpoolFile, explained, is_damage
from storage.ticks import Entry
from storage.view import SpoolView

__all__ = ["Appended", "Spool", "SpoolView"]

_GROUP_ROWS = 1_000
"""Most readings in one row of SQLite: what damage of a page costs, and what is read to reach one
reading."""
_FOLD_ROWS = 500_000
"""Most readings that the account's tables do not know of yet. Who opens the file or looks at the
account adds them from their groups, about a second's work."""
_PRUNE_ROWS = 1_000
"""Rows of fingerprints deleted in one transaction: as long as an append may have to wait."""
_HIGH_WATER_RATIO = 0.8
"""Above this share of the cap, remembered readings give way to new ones before their time."""


@dataclass(frozen=True)
class Appended:
    """What became of the readings of one append; the three add up to their number.

    ``rejected`` ones break the contract of a reading (no value though good, a time outside the
    years 1 to 9999); they are kept in the table ``rejected``.
    """

    stored: int
    duplicates: int
    rejected: int = 0


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
        self._memory: Memory | None = None
        self._joined_on: int | None = None
        connection, self.damage = _open(file)
        super().__init__(SpoolFile(file, connection))

    @staticmethod
    def read_only(file: Path, *, timeout_s: float = 5.0) -> SpoolView:
        """Read a spool while another process writes it. Raises StorageError if there is none."""
        return SpoolView(SpoolFile(file, spool_file.open_read_only(file, timeout_s=timeout_s)))

    def schedule(
        self,
        intervals_s: Mapping[str, float],
        *,
        late_after_s: Mapping[str, float] | None = None,
        zone: str | None = None,
    ) -> None:
        """Say which meters are polled, and every how many seconds; before collectors start.

        A meter that keeps its interval goes on: ticks since its last reading count as
        ``not_running``. With another interval it goes on at the new one. A meter that is not
        named any more ends, and nothing is expected of it. ``late_after_s``: how old the readings
        of other meters may arrive before they count as late. ``zone``: the time zone whose days
        the account is kept by, as it was where None. Raises StorageError.
        """
        with self._writing("the old schedule holds") as (cursor, memory):
            self._fold(cursor, memory)
            reschedule(cursor, intervals_s)
            set_late_after(cursor, late_after_s or {})
            if zone is not None:
                cursor.execute("UPDATE book SET zone = ?", (zone,))
            memory.booking = Booking(cursor)

    def unbooked_days(self) -> DayBook:
        """The account of the days that the lake does not have as they are. Raises StorageError."""
        with self._writing("the lake's loss account stays as it is") as (cursor, memory):
            self._fold(cursor, memory)
            return read_days(cursor, memory.booking, only_unbooked=True)

    def days_booked(self, book: DayBook) -> None:
        """Say that the lake has these days; those that changed meanwhile stay unbooked.

        Raises StorageError.
        """
        with self._file.transaction("the days are booked once more") as cursor:
            mark_booked(cursor, book.name, book.unbooked)

    def append(self, readings: Sequence[Reading]) -> Appended:
        """Store readings, without those that are there already; on disk when it returns.

        Raises StorageError; then none of them is stored or counted.
        """
        with self._writing("none of these readings was stored") as (cursor, memory):
            stored = rejected = 0
            for start in range(0, len(readings), _GROUP_ROWS):
                group = readings[start : start + _GROUP_ROWS]
                try:
                    stored += store(cursor, memory, group, columns_of(group))
                except Unstorable:
                    sound = self._store_sound(cursor, memory, group)
                    stored, rejected = stored + sound.stored, rejected + sound.rejected
            if stored:
                cursor.execute("UPDATE spool SET last = ?", (memory.last,))
            # A reading put apart is in no group: its tick must be known from the tables.
            if rejected or memory.unfolded >= _FOLD_ROWS:
                self._fold(cursor, memory)
        return Appended(stored, len(readings) - stored - rejected, rejected)

    def _store_sound(
        self, cursor: sqlite3.Cursor, memory: Memory, readings: Sequence[Reading]
    ) -> Appended:
        """Store a group without those that break the contract, which are put apart in turn."""
        stored = rejected = 0
        sound: list[Reading] = []
        for reading in readings:
            try:
                columns_of([reading])
                sound.append(reading)
            except Unstorable as error:
                if sound:
                    stored += store(cursor, memory, sound, columns_of(sound))
                    sound = []
                self._put_apart(cursor, memory.booking, reading, error)
                rejected += 1
        if sound:
            stored += store(cursor, memory, sound, columns_of(sound))
        return Appended(stored, len(readings) - stored - rejected, rejected)

    def _put_apart(
        self, cursor: sqlite3.Cursor, booking: Booking, reading: Reading, error: Unstorable
    ) -> None:
        """Keep a reading that breaks the contract, so that it cannot hold up the others."""
        now_us = self._now_us()
        meter_id = _printable(reading.meter_id)
        cursor.execute(
            "INSERT INTO rejected(meter_id, raw, reason, rejected_us) VALUES(?, ?, ?, ?)",
            (meter_id, _printable(tuple(reading)), f"cannot be stored: {error}", now_us),
        )
        entry = Entry(booking.day_of(now_us), REJECTED)
        if meter_id == reading.meter_id and _is_timed(reading):
            entry = booking.judge(meter_id, reading.time_us, REJECTED, reading.sequence)
        booking.book_entry(meter_id, entry, REPEATED if entry.repeats else REJECTED)

    @contextmanager
    def _writing(self, data: str) -> Iterator[tuple[sqlite3.Cursor, Memory]]:
        """A transaction, and what is known without asking the file; forgotten if it fails."""
        with self._file.lock:
            try:
                with self._file.transaction(data) as cursor:
                    yield cursor, self._current(cursor)
            except BaseException:
                self._memory = None
                raise

    def _booking(self, cursor: sqlite3.Cursor) -> Booking:
        return self._current(cursor).booking

    def _current(self, cursor: sqlite3.Cursor) -> Memory:
        """What is known of the file as it stands: read anew when another connection wrote."""
        version = int(cursor.execute("PRAGMA data_version").fetchone()[0])
        if self._memory is None or self._memory.data_version != version:
            self._memory = remembered(cursor, version, self._now_us())
        return self._memory

    def _fold(self, cursor: sqlite3.Cursor, memory: Memory) -> None:
        """Put into the tables what is known from the groups only."""
        memory.booking.write(cursor)
        memory.repeats.write(cursor)
        memory.unfolded = 0
        cursor.execute("UPDATE spool SET folded = last")

    def take_batch(self, limit: int) -> Batch | None:
        """The next readings for the lake, ``limit`` at the most; None when it has all.

        Until it is accepted or rejected the same batch is taken again, also after a crash and
        with another limit. Raises StorageError.
        """
        with self._file.transaction("nothing was taken") as cursor:
            name, last, accepted, taken, unsure_through = cursor.execute(
                "SELECT uuid, last, accepted, taken, unsure_through FROM spool"
            ).fetchone()
            if last <= accepted:
                return None
            again = taken > accepted
            if not again:
                taken = min(last, accepted + limit)
                # On disk before anybody sees the batch: its content must not change by a crash.
                cursor.execute("UPDATE spool SET taken = ?", (taken,))
        unsure = accepted < unsure_through
        return Batch(self, f"spool:{name}", accepted, taken, unsure=unsure, again=again)

    def last_number(self) -> int:
        """The number of the newest reading; 0 when there was none. Raises StorageError."""
        with self._file.reading() as cursor:
            return int(cursor.execute("SELECT last FROM spool").fetchone()[0])

    def rows_between(self, after: int, through: int) -> list[Row]:
        """The rows with ``after`` < number <= ``through``, in the order in which they came.

        Raises StorageError.
        """
        return [row for columns in self.columns_between(after, through) for row in columns.rows()]

    def columns_between(self, after: int, through: int) -> list[Columns]:
        """The same by columns, group by group. Raises StorageError."""
        # By a connection of its own: an append need not wait until they are read.
        file = SpoolFile(self.path, spool_file.open_read_only(self.path, timeout_s=30.0))
        try:
            with file.reading() as cursor:
                return between(cursor, after, through)
        finally:
            file.close()

    def end_batch(self, version: int, rejected_because: str | None) -> None:
        """Move the watermark past ``version``; see `Batch.accept` and `Batch.reject`."""
        with self._writing("the batch is kept and taken again") as (cursor, memory):
            accepted = cursor.execute("SELECT accepted FROM spool").fetchone()[0]
            if accepted >= version:
                return
            self._fold(cursor, memory)
            if rejected_because is not None:
                self._reject(cursor, memory, accepted, version, rejected_because)
            cursor.execute("DELETE FROM groups WHERE last <= ?", (version,))
            cursor.execute("UPDATE spool SET accepted = ?, taken = ?", (version, version))
        self._prune()

    def _reject(
        self, cursor: sqlite3.Cursor, memory: Memory, after: int, through: int, reason: str
    ) -> None:
        """Keep the readings apart that the lake refuses; they may come again."""
        number = after
        for columns in between(cursor, after, through):
            book_rejection(cursor, columns)
            memory.repeats.forget(cursor, columns)
            rows = columns.rows()
            cursor.executemany(
                f"INSERT INTO rejected(seq, {_READING_COLUMNS}, reason, rejected_us) "
                "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    (number + place, *row, reason, self._now_us())
                    for place, row in enumerate(rows, start=1)
                ),
            )
            number += len(rows)

    def renew(self) -> None:
        """Give the spool a new name, because the lake has later batches of it than it knows of.

        That is a spool put back from a copy: the numbers that it gives were used before, and the
        lake would take new readings for old ones. The account is one of earlier days too, and the
        lake may have later entries of it; another begins, with what waits for the lake as its
        first readings. Raises StorageError.
        """
        with self._file.lock:
            with self._writing("the spool is as it was") as (cursor, memory):
                self._fold(cursor, memory)
                begin_anew(cursor)
                cursor.execute(
                    "UPDATE spool SET uuid = ?, unsure_through = last, folded = accepted",
                    (str(uuid.uuid4()),),
                )
            self._memory = None

    def put_state(self, key: str, json_text: str) -> None:
        """Keep what `kgce status` shows of the daemon. Raises StorageError."""
        with self._file.transaction("the state shown is the one before") as cursor:
            cursor.execute("INSERT OR REPLACE INTO state VALUES(?, ?)", (key, json_text))

    def has_room(self) -> bool:
        """Whether the file is under its cap. Raises StorageError.

        Readings that the lake has, and that are only remembered to refuse repeats, give way first.
        """
        more = True
        while self.used_bytes() >= self.max_bytes and more:
            more = self._prune_some(early=True)
        return self.used_bytes() < self.max_bytes

    def close(self) -> None:
        with suppress(StorageError):  # what is not folded is in the groups
            if self._memory is not None and self._memory.unfolded:
                with self._writing("it is in the groups") as (cursor, memory):
                    self._fold(cursor, memory)
        self._memory = None
        super().close()

    def _prune(self) -> None:
        """Forget what was remembered long enough, and days of the account that nobody asks for."""
        more = True
        while more:
            early = self.used_bytes() >= self.max_bytes * _HIGH_WATER_RATIO
            more = self._prune_some(early=early)
        today = self._now_us() // DAY_US
        if self._joined_on != today:
            with self._file.transaction("the account was not made shorter") as cursor:
                join_old_days(cursor, today - KEPT_DAYS)
            self._joined_on = today

    def _prune_some(self, *, early: bool) -> bool:
        """Delete the oldest fingerprints; whether there may be more to delete."""
        with self._file.lock, self._file.transaction("nothing was forgotten") as cursor:
            cursor.execute(
                "DELETE FROM remembered WHERE id IN (SELECT id FROM remembered ORDER BY id LIMIT ?)"
                " AND (newest_us <= ? OR ?)",
                (_PRUNE_ROWS, self._now_us() - self.dedupe_us, early),
            )
            if self._memory is not None and cursor.rowcount:
                self._memory.repeats.table_changed()
            return cursor.rowcount == _PRUNE_ROWS


_READING_COLUMNS = (
    "meter_id, quantity, time_us, value, status, source, received_us, sequence"  # as in Reading
)


def _open(file: Path) -> tuple[sqlite3.Connection, SpoolDamage | None]:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        finish_interrupted(file)
        torn = torn_log(file)
        damage = salvage_log(file, torn) if torn is not None else None
        salvaged = torn is not None and torn.transactions > 1
    except OSError as error:
        raise StorageError(
            f"{file}: {error}",
            allowed="a folder that this user can write",
            data="nothing was opened",
            todo="check storage.path in plant.yaml, and the folder's owner",
        ) from error
    for _ in range(3):
        try:
            return spool_file.open_read_write(file), damage
        except EarlierFormat:
            try:
                convert(file)
            except sqlite3.Error as error:
                raise explained(file, error, "the spool was not converted") from error
        except sqlite3.Error as error:
            if salvaged or not is_damage(error):
                raise explained(file, error, "the spool was not opened or changed") from error
            damage, salvaged = salvage(file, str(error)), True
    raise AssertionError("unreachable: the third opening returns or raises")


def _printable(given: object) -> str:
    text = given if isinstance(given, str) else repr(given)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _is_timed(reading: Reading) -> bool:
    """Whether a reading that breaks the contract can be booked at its time and tick."""
    time_us, sequence = reading.time_us, reading.sequence
    if type(time_us) is not int or not MIN_TIME_US <= time_us <= MAX_TIME_US:
        return False
    return sequence is None or (type(sequence) is int and abs(sequence) < 2**63)
