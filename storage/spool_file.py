"""The spool's file: one SQLite database, how it is opened, locked and shared by threads.

SQLite in WAL mode with ``synchronous=FULL``: a transaction that has been committed outlives the
process and the power. One connection per open file, used by one thread at a time under a lock;
other processes read beside it through `open_read_only`.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from config.errors import StorageBusy, StorageError
from storage.codec import Torn, is_whole

FORMAT = 3
"""Kept in the file's ``user_version``. A file of a later format is not opened; one of format 1,
which kept a row per reading, is converted when it is opened for writing. One of format 2, whose
account had days of UTC and no expected counts by day, is changed where it stands."""

BUSY_TIMEOUT_S = 30.0
CACHE_KIB = 32 * 1024
CHECK_S = 20.0
"""Longest check at opening. Format 2 takes about 0.4 s per GB that the system has in memory."""

# Readings are numbered without holes, up to `last`. The lake has those up to `accepted`, and groups
# holds the others. The tables account, received, ticks, arrivals and remembered know of those up to
# `folded`; the later ones are added, from their groups, by whoever opens the file or asks for the
# account. `unbooked` names the days of the account that the lake does not have as they are.
_TABLES = """
CREATE TABLE IF NOT EXISTS spool(
  id INTEGER PRIMARY KEY CHECK(id = 1),
  uuid TEXT NOT NULL,
  last INTEGER NOT NULL DEFAULT 0,
  accepted INTEGER NOT NULL DEFAULT 0,
  taken INTEGER NOT NULL DEFAULT 0,
  folded INTEGER NOT NULL DEFAULT 0,
  unsure_through INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS groups(
  last INTEGER PRIMARY KEY, first INTEGER NOT NULL, body BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS remembered(
  id INTEGER PRIMARY KEY, span INTEGER NOT NULL, newest_us INTEGER NOT NULL, prints BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS remembered_span ON remembered(span);
CREATE TABLE IF NOT EXISTS rejected(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  seq INTEGER, meter_id TEXT NOT NULL, quantity TEXT, time_us INTEGER, value REAL, status TEXT,
  source TEXT, received_us INTEGER, sequence INTEGER,
  raw TEXT, reason TEXT NOT NULL, rejected_us INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS account(
  meter_id TEXT NOT NULL, day INTEGER NOT NULL, outcome TEXT NOT NULL, count INTEGER NOT NULL,
  PRIMARY KEY(meter_id, day, outcome)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS book(
  id INTEGER PRIMARY KEY CHECK(id = 1), name TEXT NOT NULL, zone TEXT NOT NULL DEFAULT 'UTC',
  serial INTEGER NOT NULL DEFAULT 0, whole_from INTEGER NOT NULL DEFAULT -999999
) STRICT;
CREATE TABLE IF NOT EXISTS unbooked(day INTEGER PRIMARY KEY, serial INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS arrivals(
  meter_id TEXT PRIMARY KEY, newest_us INTEGER, late_after_us INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS received(
  meter_id TEXT PRIMARY KEY, count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS schedule(
  meter_id TEXT PRIMARY KEY, interval_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ticks(
  meter_id TEXT NOT NULL, epoch INTEGER NOT NULL, interval_us INTEGER,
  first INTEGER NOT NULL, last INTEGER NOT NULL, last_us INTEGER NOT NULL, phase TEXT NOT NULL,
  PRIMARY KEY(meter_id, epoch)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS state(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""

WITHOUT_EXPECTED = """
INSERT INTO account SELECT meter_id, day, 'expected', sum(count) FROM account
WHERE outcome NOT IN ('duplicate', 'repeated') GROUP BY 1, 2;
INSERT INTO unbooked SELECT DISTINCT day, 0 FROM account WHERE day > -1000000;
"""
"""What an account of an earlier format lacks."""
_FROM_FORMAT_2 = "ALTER TABLE account RENAME COLUMN day_utc TO day;" + WITHOUT_EXPECTED

log = logging.getLogger(__name__)

_CHECK = "the check at opening"
_DAMAGE_CODES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class SpoolFile:
    """An open spool file: one connection, one lock, and its transactions."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self.lock = threading.RLock()

    @contextmanager
    def transaction(self, data: str) -> Iterator[sqlite3.Cursor]:
        """Everything inside is on disk afterwards, or nothing of it is.

        ``data`` says, for the error's text, what happens to the data if it fails.
        Raises StorageError when SQLite cannot do it (disk full, locked, damaged).
        """
        with self.lock:
            try:
                # Closed here: a cursor in the traceback of an error would hold the file open.
                with closing(self._connection.cursor()) as cursor:
                    cursor.execute("BEGIN IMMEDIATE")
                    yield cursor
                self._connection.execute("COMMIT")
            except BaseException as error:
                # A rollback that fails has been done by SQLite already.
                with suppress(sqlite3.Error):
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                if isinstance(error, Torn):
                    raise damaged(self.path, error, data) from error
                if isinstance(error, sqlite3.Error):
                    raise explained(self.path, error, data) from error
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Cursor]:
        """A read of several tables as of one moment. Raises StorageError."""
        with self.lock:
            try:
                self._connection.execute("BEGIN")
                try:
                    with closing(self._connection.cursor()) as cursor:
                        yield cursor
                finally:
                    with suppress(sqlite3.Error):
                        self._connection.execute("ROLLBACK")
            except Torn as error:
                raise damaged(self.path, error, "nothing was changed") from error
            except sqlite3.Error as error:
                raise explained(self.path, error, "nothing was changed") from error

    def used_bytes(self) -> int:
        """Bytes of the file that hold data; pages freed by pruning are not counted."""
        with self.reading() as cursor:
            return used_bytes(cursor)

    def close(self) -> None:
        with self.lock:
            self._connection.close()


def used_bytes(cursor: sqlite3.Cursor) -> int:
    """Bytes of the pages in use. Freed pages stay in the file, and are written again first."""
    pages, free, size = (
        int(cursor.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


class EarlierFormat(Exception):
    """The file has to be converted before it is used."""


def open_read_write(path: Path) -> sqlite3.Connection:
    """Open or create the spool; raise sqlite3.Error when it cannot be used as it is.

    The structure of the file is checked before anything builds on it, then the checksums of what
    waits for the lake, the oldest first; for CHECK_S at the most, so that a large file on a slow
    disk is not read whole while plants wait. What the check does not reach is found when it is
    read: SQLite looks at every page, and the flush meets the oldest readings first, which the next
    opening checks again. Raises EarlierFormat.
    """
    connection = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        connection.execute("PRAGMA journal_size_limit=67108864")
        found = _format(path, connection)
        _check(path, connection)
        if found == 1:
            raise EarlierFormat
        # In one transaction: whoever reads beside us finds no file without its first row.
        connection.executescript(
            f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version={FORMAT}; "
            f"INSERT INTO spool(id, uuid) VALUES(1, '{uuid.uuid4()}') ON CONFLICT DO NOTHING; "
            f"INSERT INTO book(id, name) VALUES(1, '{uuid.uuid4()}') ON CONFLICT DO NOTHING; "
            f"{_FROM_FORMAT_2 if found == 2 else ''} COMMIT"
        )
    except BaseException:
        connection.close()
        raise
    return connection


def _check(path: Path, connection: sqlite3.Connection) -> None:
    watch = threading.Timer(CHECK_S, connection.interrupt)
    watch.start()
    try:
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise sqlite3.DatabaseError(f"{_CHECK}: {verdict}")
        if _format(path, connection) >= 2:
            for last, body in connection.execute("SELECT last, body FROM groups ORDER BY last"):
                if not is_whole(body):
                    raise sqlite3.DatabaseError(f"{_CHECK}: the readings up to {last} are torn")
    except sqlite3.OperationalError as error:
        if _code(error) != sqlite3.SQLITE_INTERRUPT:
            raise
        log.warning("%s: the check at opening was ended after %.0f s", path, CHECK_S)
        return
    finally:
        watch.cancel()
        watch.join()


def open_read_only(path: Path, *, timeout_s: float) -> sqlite3.Connection:
    """Open a spool beside the process that writes it. Raises StorageError."""
    if not path.exists():
        raise StorageError(
            f"there is no spool at {path}",
            data="nothing has been collected into this folder yet",
            todo="start the daemon with `kgce run`, or check storage.path in plant.yaml",
        )
    # Without the right to write into the folder SQLite cannot share a WAL; when no WAL is there,
    # nobody writes and the file can be read as it stands.
    quiet = not path.with_name(f"{path.name}-wal").exists()
    uri = f"{path.absolute().as_uri()}?mode=ro"
    try:
        try:
            return _connected(path, uri, timeout_s)
        except sqlite3.OperationalError as error:
            if not quiet or _code(error) not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
                raise
            return _connected(path, f"{uri}&immutable=1", timeout_s)
    except sqlite3.Error as error:
        raise explained(path, error, "nothing was changed") from error


def _connected(path: Path, uri: str, timeout_s: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        uri, uri=True, timeout=timeout_s, isolation_level=None, check_same_thread=False
    )
    try:
        if 0 < _format(path, connection) < FORMAT:
            raise StorageError(
                f"{path} was written by an earlier kgce",
                allowed=f"format {FORMAT}",
                data="the file was not touched",
                todo="start the daemon with `kgce run`: it converts the file",
            )
        connection.execute("SELECT uuid FROM spool").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _format(path: Path, connection: sqlite3.Connection) -> int:
    """The file's format; 0 of an empty one. Raises StorageError where it is a later one."""
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if found > FORMAT:
        raise StorageError(
            f"{path} has format {found}, written by a later kgce",
            allowed=f"format {FORMAT} or earlier",
            data="the file was not touched",
            todo="install the later kgce again, or set another storage.path",
        )
    return found


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file itself is broken, and not the disk full, locked or read-only."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return str(error).startswith(_CHECK)
    return (code & 0xFF) in _DAMAGE_CODES or code == sqlite3.SQLITE_IOERR_SHORT_READ


def _code(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def explained(path: Path, error: sqlite3.Error, data: str) -> StorageError:
    """SQLite's error in the four parts of ours."""
    what = f"{path}: {error}"
    match _code(error):
        case sqlite3.SQLITE_FULL:
            return StorageError(
                f"{what}: the disk that holds the spool is full",
                allowed="free space for the spool, storage.spool_max_mb at the most",
                data=data,
                todo="free space on that disk; kgce goes on by itself",
            )
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StorageBusy(
                f"{what}: another process held the spool for {BUSY_TIMEOUT_S:.0f} s",
                allowed="writing in short transactions",
                data=data,
                todo="end the other process that writes this spool",
            )
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return damaged(path, error, data)
        case _:
            return StorageError(
                what,
                allowed="a folder that this user can write, on a disk without errors",
                data=data,
                todo="check the folder's owner, the mount and the disk's health",
            )


def damaged(path: Path, error: Exception, data: str) -> StorageError:
    """What is said of a file whose content the disk has changed."""
    return StorageError(
        f"{path}: {error}: the spool's file is damaged",
        allowed="a file that only kgce writes",
        data=data,
        todo="restart kgce: it sets the file aside and salvages what can be read; "
        "then check the disk",
    )


def now_us() -> int:
    """Microseconds since the epoch, UTC."""
    return time.time_ns() // 1000


NowUs = Callable[[], int]
