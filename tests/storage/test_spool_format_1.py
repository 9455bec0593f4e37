"""The spool of kgce 0.1, which had a row for every reading, goes on in the format of today."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from config.errors import StorageBusy, StorageError
from config.tables import READINGS, Reading
from storage import spool_file
from storage.flush import flush
from storage.lake import Lake
from storage.spool import Appended
from tests.storage.conftest import OpenSpool
from tests.storage.readings import PLANT, START_US, polled, readings_frame

# As kgce 0.1 made it.
FORMAT_1 = """
CREATE TABLE spool(
  id INTEGER PRIMARY KEY CHECK(id = 1), uuid TEXT NOT NULL,
  accepted INTEGER NOT NULL DEFAULT 0, taken INTEGER NOT NULL DEFAULT 0,
  unsure_through INTEGER NOT NULL DEFAULT 0, waiting INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE readings(
  seq INTEGER PRIMARY KEY AUTOINCREMENT, meter_id TEXT NOT NULL, quantity TEXT NOT NULL,
  time_us INTEGER NOT NULL, value REAL, status TEXT NOT NULL, source TEXT NOT NULL,
  received_us INTEGER NOT NULL, sequence INTEGER, day_utc INTEGER NOT NULL, outcome TEXT,
  CHECK((value IS NULL) = (status <> 'good'))
) STRICT;
CREATE UNIQUE INDEX readings_once
  ON readings(time_us, meter_id, quantity, value) WHERE value IS NOT NULL;
CREATE TABLE rejected(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  seq INTEGER, meter_id TEXT NOT NULL, quantity TEXT, time_us INTEGER, value REAL, status TEXT,
  source TEXT, received_us INTEGER, sequence INTEGER,
  raw TEXT, reason TEXT NOT NULL, rejected_us INTEGER NOT NULL
) STRICT;
CREATE TABLE account(
  meter_id TEXT NOT NULL, day_utc INTEGER NOT NULL, outcome TEXT NOT NULL, count INTEGER NOT NULL,
  PRIMARY KEY(meter_id, day_utc, outcome)
) STRICT, WITHOUT ROWID;
CREATE TABLE received(meter_id TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE schedule(
  meter_id TEXT PRIMARY KEY, interval_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE ticks(
  meter_id TEXT NOT NULL, epoch INTEGER NOT NULL, interval_us INTEGER,
  first INTEGER NOT NULL, last INTEGER NOT NULL, last_us INTEGER NOT NULL, phase TEXT NOT NULL,
  PRIMARY KEY(meter_id, epoch)
) STRICT, WITHOUT ROWID;
CREATE TABLE state(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
PRAGMA user_version=1;
"""
ROWS, ACCEPTED, TAKEN = 3_000, 1_200, 1_500
DAY_US = 86_400_000_000


def rows() -> list[Reading]:
    return [polled(n, None if n % 100 == 7 else float(n)) for n in range(ROWS)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """ROWS minutely readings of which the lake has the first ACCEPTED; a batch is on its way.

    Tick 100 was repeated and refused, tick 50 was polled twice, and a number is missing.
    """
    path = tmp_path / "spool.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.executescript(FORMAT_1)
    given = rows()
    seqs = [n + 1 if n < 2_000 else n + 2 for n in range(ROWS)]
    connection.executemany(
        "INSERT INTO readings VALUES(?,?,?,?,?,?,?,?,?,?,?)",
        [
            (seq, *row, row.sequence * 60_000_000 // DAY_US, None)
            for seq, row in zip(seqs, given, strict=True)
        ],
    )
    connection.execute(
        "INSERT INTO spool VALUES(1, 'old', ?, ?, 0, ?)", (ACCEPTED, TAKEN, ROWS - ACCEPTED)
    )
    connection.execute("INSERT INTO schedule VALUES('m1', 60000000)")
    first = START_US // 60_000_000
    last_us = given[-1].time_us
    connection.execute(
        "INSERT INTO ticks VALUES('m1', 0, 60000000, ?, ?, ?, 'open')",
        (first, first + ROWS - 1, last_us),
    )
    connection.execute("INSERT INTO account VALUES('m1', 20727, 'good', ?)", (ROWS - ROWS // 100,))
    connection.execute("INSERT INTO account VALUES('m1', 20727, 'timeout', ?)", (ROWS // 100,))
    connection.execute("INSERT INTO account VALUES('m1', 20727, 'duplicate', 1)")
    connection.execute("INSERT INTO state VALUES('daemon', '{}')")
    connection.execute(
        "INSERT INTO rejected(meter_id, reason, rejected_us) VALUES('m1', 'broken', 5)"
    )
    connection.commit()
    connection.close()
    return path


def test_everything_in_it_goes_on(open_spool: OpenSpool, file: Path) -> None:
    spool = open_spool()
    assert spool.damage is None
    assert spool.waiting() == ROWS - ACCEPTED
    assert spool.oldest_waiting_us() == rows()[ACCEPTED].received_us
    assert spool.rows_between(0, ROWS) == [tuple(row) for row in rows()[ACCEPTED:]]
    assert spool.state() == {"daemon": "{}"}
    (account,) = spool.account()
    assert account.balanced
    assert (account.expected, account.good, account.duplicates) == (ROWS, ROWS - 30, 1)
    spool.append([polled(ROWS + 1)])
    (account,) = spool.account()
    assert account.balanced
    assert account.missing == {"timeout": 30, "not_running": 1}
    connection = sqlite3.connect(file)
    assert connection.execute("SELECT reason FROM rejected").fetchall() == [("broken",)]
    assert connection.execute("PRAGMA user_version").fetchone() == (spool_file.FORMAT,)
    connection.close()
    assert [path.name for path in file.parent.iterdir() if "spool.db." in path.name] == []


def test_repeats_of_its_readings_are_refused(open_spool: OpenSpool, file: Path) -> None:
    spool = open_spool()
    valued = [row for row in rows() if row.value is not None]
    assert spool.append(valued) == Appended(0, len(valued))


@pytest.mark.parametrize("arrived", [True, False], ids=["in the lake", "not in the lake"])
def test_a_batch_on_its_way_comes_to_the_lake_once(
    open_spool: OpenSpool, lake: Lake, file: Path, arrived: bool
) -> None:
    sent = rows()[: TAKEN if arrived else ACCEPTED]
    frame = readings_frame([])
    frame = frame.vstack(
        type(frame)(
            [
                (PLANT, r.meter_id, r.quantity, r.time_us, r.value, r.status, r.source,
                 r.received_us, r.sequence)
                for r in sent
            ],
            schema=frame.schema,
            orient="row",
        )
    )  # fmt: skip
    lake.append(READINGS, frame, app=("spool:old", len(sent)))
    spool = open_spool()
    flush(spool, lake, PLANT, 400)
    there = lake.scan(READINGS, PLANT).sort("time_utc").collect()
    assert there["sequence"].to_list() == [row.sequence for row in rows()]
    assert spool.waiting() == 0


def test_beside_a_kgce_that_has_it_open_it_is_left_alone(
    open_spool: OpenSpool, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_file, "BUSY_TIMEOUT_S", 0.2)
    monkeypatch.setattr("storage.salvage.BUSY_TIMEOUT_S", 0.2)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN")
    other.execute("SELECT * FROM spool").fetchone()
    with pytest.raises(StorageBusy):
        open_spool()
    assert other.execute("SELECT count(*) FROM readings").fetchone() == (ROWS,)
    other.close()
    assert open_spool().waiting() == ROWS - ACCEPTED


def test_a_view_of_it_says_what_to_do(open_spool: OpenSpool, file: Path) -> None:
    with pytest.raises(StorageError, match="earlier kgce") as caught:
        open_spool().read_only(make_copy(file))
    assert "kgce run" in caught.value.todo


def make_copy(file: Path) -> Path:
    """A file of format 1 beside the converted one."""
    path = file.with_name("old.db")
    connection = sqlite3.connect(path)
    connection.executescript(FORMAT_1)
    connection.close()
    return path


def test_a_damaged_one_is_salvaged(open_spool: OpenSpool, lake: Lake, file: Path) -> None:
    connection = sqlite3.connect(file)
    (root,) = connection.execute(
        "SELECT rootpage FROM sqlite_schema WHERE name = 'readings_once'"
    ).fetchone()
    connection.execute("PRAGMA journal_mode=DELETE")
    connection.close()
    with file.open("r+b") as handle:
        handle.seek((root - 1) * 4096)
        handle.write(b"\xff" * 4096)
    spool = open_spool()
    assert spool.damage is not None
    assert (spool.damage.rows_salvaged, spool.damage.rows_lost) == (ROWS - ACCEPTED, 0)
    assert spool.damage.account_kept
    flush(spool, lake, PLANT, 1_000)
    assert lake.scan(READINGS, PLANT).collect().height == ROWS - ACCEPTED
