"""A damaged spool: kgce starts, nothing is deleted, and what can be read goes on."""

from __future__ import annotations

import logging
import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from config.errors import StorageError
from config.tables import READINGS
from storage.flush import flush
from storage.lake import Lake
from storage.spool import Spool
from tests.storage.conftest import OpenSpool
from tests.storage.readings import PLANT, polled, reading

ROWS = 5_000


@pytest.fixture
def file(open_spool: OpenSpool, tmp_path: Path) -> Path:
    """A closed spool of ROWS readings, of which the lake took the first 1,000."""
    spool = open_spool()
    spool.append([reading(n, float(n)) for n in range(ROWS)])
    spool.take_batch(1_000).accept()
    spool.close()
    return tmp_path / "spool.db"


def overwrite(file: Path, at: int, data: bytes) -> None:
    with file.open("r+b") as handle:
        handle.seek(at)
        handle.write(data)


def waiting_values(spool: Spool) -> list[float]:
    batch = spool.take_batch(10 * ROWS)
    return [] if batch is None else batch.frame(PLANT)["value"].to_list()


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_salvaged(open_spool: OpenSpool, file: Path, keep: float) -> None:
    whole = file.read_bytes()
    size = int(len(whole) * keep)
    with file.open("r+b") as handle:
        handle.truncate(size)
    spool = open_spool()
    damage = spool.damage
    assert damage is not None
    assert damage.aside.read_bytes() == whole[:size]
    assert damage.aside.name.startswith("spool.db.damaged-")
    values = waiting_values(spool)
    assert len(set(values)) == len(values)
    assert set(values) <= {float(n) for n in range(ROWS)}
    assert spool.append([reading(-1)]).stored == 1


def test_garbage_in_the_middle_costs_only_what_it_covers(
    open_spool: OpenSpool, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    connection = sqlite3.connect(file)
    body = connection.execute("SELECT body FROM groups WHERE last = 3000").fetchone()[0]
    connection.close()
    # A page in the middle of a group's bytes, where SQLite itself looks for nothing.
    at = file.read_bytes().find(body[8_000:8_100])
    overwrite(file, at, random.Random(1).randbytes(1_000))
    with caplog.at_level(logging.ERROR):
        spool = open_spool()
    damage = spool.damage
    assert damage is not None
    assert damage.rows_salvaged + 1_000 == ROWS - 1_000
    assert damage.rows_lost == 1_000
    values = waiting_values(spool)
    assert len(values) + damage.rows_lost == ROWS - 1_000
    assert values == sorted(set(values))
    assert str(damage.aside) in caplog.text
    assert f"{damage.rows_salvaged} readings were salvaged" in caplog.text


def test_what_the_lake_took_is_known_and_not_sent_again(open_spool: OpenSpool, file: Path) -> None:
    overwrite(file, file.stat().st_size - 4096, b"\xff" * 4096)
    spool = open_spool()
    assert spool.damage is not None
    assert min(waiting_values(spool)) >= 1_000
    assert spool.append([reading(n, float(n)) for n in range(10)]).duplicates == 10


@pytest.mark.parametrize("content", [b"no database at all" * 1_000, b"\0" * 8192], ids=len)
def test_a_file_without_a_header_starts_anew_and_is_kept(
    open_spool: OpenSpool, file: Path, content: bytes
) -> None:
    file.write_bytes(content)
    spool = open_spool()
    assert spool.damage is not None
    assert spool.damage.rows_salvaged == 0
    assert spool.damage.rows_lost is None
    assert not spool.damage.account_kept
    assert spool.damage.aside.read_bytes() == content
    assert spool.append([reading(0)]).stored == 1


def test_the_account_outlives_damage_elsewhere(open_spool: OpenSpool, tmp_path: Path) -> None:
    spool = open_spool()
    spool.schedule({"m1": 60})
    spool.append([polled(n, float(n)) for n in range(ROWS)])
    before = spool.account()
    spool.close()
    file = tmp_path / "spool.db"
    overwrite(file, file.stat().st_size // 2 // 4096 * 4096, b"\xff" * 4096)
    spool = open_spool()
    assert spool.damage is not None
    assert spool.damage.account_kept
    assert spool.account() == before
    spool.append([polled(ROWS + 2)])
    (account,) = spool.account()
    assert account.balanced
    assert account.missing == {"not_running": 2}


def test_an_undamaged_file_is_left_alone(open_spool: OpenSpool, file: Path) -> None:
    assert open_spool().damage is None
    assert [path.name for path in file.parent.glob("*damaged*")] == []


def test_a_salvage_that_was_cut_short_is_completed(open_spool: OpenSpool, file: Path) -> None:
    # As left by a crash between the renames: the salvaged file is whole, the damaged one aside,
    # and the damaged one's log still in place.
    file.rename(file.with_name("spool.db.salvaging"))
    file.with_name("spool.db-wal").write_bytes(b"the log of the damaged file")
    spool = open_spool()
    assert spool.damage is None
    assert spool.waiting() == ROWS - 1_000
    (log,) = file.parent.glob("spool.db.damaged-*-wal")
    assert log.read_bytes() == b"the log of the damaged file"


def test_a_salvage_that_was_not_finished_is_made_again(open_spool: OpenSpool, file: Path) -> None:
    shutil.copy(file, file.with_name("spool.db.salvaging"))
    overwrite(file, file.stat().st_size - 4096, b"\xff" * 4096)
    spool = open_spool()
    assert spool.damage is not None
    assert spool.waiting() > 0
    assert not file.with_name("spool.db.salvaging").exists()


@pytest.mark.parametrize("lost_watermark", [False, True])
def test_after_a_salvage_the_lake_gets_every_reading_once(
    open_spool: OpenSpool, lake: Lake, tmp_path: Path, lost_watermark: bool
) -> None:
    spool = open_spool()
    spool.append([reading(n, float(n)) for n in range(2_000)])
    spool.append([reading(n, None) for n in range(2_000, 2_100)])
    flush(spool, lake, PLANT, 500)
    spool.append([reading(n, float(n)) for n in range(3_000, 3_500)])
    taken = spool.take_batch(100)
    lake.append(READINGS, taken.frame(PLANT), app=(taken.app_id, taken.version))  # and the crash
    spool.close()
    file = tmp_path / "spool.db"
    if lost_watermark:
        connection = sqlite3.connect(file)
        connection.execute("DROP TABLE spool")
        connection.close()
    size = file.stat().st_size
    overwrite(file, size - 4096, b"\xff" * 4096)
    spool = open_spool()
    assert spool.damage is not None
    assert spool.damage.rows_salvaged == 500
    flush(spool, lake, PLANT, 700)
    rows = lake.scan(READINGS, PLANT).collect()
    assert not rows.is_duplicated().any()
    assert rows.height == 2_600
    spool.append([reading(9_000, 1.0)])
    assert flush(spool, lake, PLANT, 700).rows == 1
    assert lake.scan(READINGS, PLANT).collect().height == rows.height + 1


def test_damage_met_while_running_tells_to_restart(open_spool: OpenSpool, file: Path) -> None:
    spool = open_spool()
    batch = spool.take_batch(ROWS)
    overwrite(file, 4096, b"\xff" * (file.stat().st_size - 4096))
    with pytest.raises(StorageError, match="damaged") as caught:
        batch.frame(PLANT)
    assert "restart kgce" in caught.value.todo
