"""A torn end of the spool's log: what was on disk before is not passed over without a word."""

from __future__ import annotations

import logging
import random
import shutil
import sqlite3
import struct
from pathlib import Path

import numpy as np
import pytest

from storage.flush import flush
from storage.lake import Lake
from storage.log_end import _chained, torn_log
from storage.spool import Spool
from tests.storage.conftest import OpenSpool
from tests.storage.readings import PLANT, reading
from tests.storage.test_flush import in_lake

GROUPS = 40
PER_GROUP = 5


@pytest.fixture
def killed(open_spool: OpenSpool, tmp_path: Path) -> Path:
    """The spool as a `kill -9` leaves it: GROUPS transactions, all of them in the log only."""
    spool = open_spool(tmp_path / "running" / "spool.db")
    for group in range(GROUPS):
        append(spool, group)
    (tmp_path / "killed").mkdir()
    for part in ("spool.db", "spool.db-wal"):
        shutil.copy(tmp_path / "running" / part, tmp_path / "killed" / part)
    return tmp_path / "killed" / "spool.db"


def append(spool: Spool, group: int) -> None:
    first = group * PER_GROUP
    spool.append([reading(n, float(n)) for n in range(first, first + PER_GROUP)])


def log_of(file: Path) -> Path:
    return file.with_name("spool.db-wal")


def flip(log: Path, at: int, count: int) -> None:
    content = bytearray(log.read_bytes())
    for place in range(at, at + count):
        content[place] ^= 0xFF
    log.write_bytes(content)


def values(spool: Spool) -> list[float]:
    batch = spool.take_batch(10_000)
    return [] if batch is None else batch.frame(PLANT)["value"].to_list()


def every(groups: int) -> list[float]:
    return [float(n) for n in range(groups * PER_GROUP)]


def test_the_checksum_is_that_of_sqlite(killed: Path) -> None:
    words = np.frombuffer(random.Random(1).randbytes(8 * 513), "<u4")
    s0, s1 = 7, 9
    for first, second in zip(words[::2].tolist(), words[1::2].tolist(), strict=True):
        s0 = (s0 + first + s1) % 2**32
        s1 = (s1 + second + s0) % 2**32
    assert _chained((7, 9), words) == (s0, s1)
    header = log_of(killed).read_bytes()[:32]
    assert _chained((0, 0), np.frombuffer(header[:24], "<u4")) == struct.unpack(">2I", header[24:])


def test_a_whole_log_is_left_alone(open_spool: OpenSpool, killed: Path) -> None:
    assert torn_log(killed) is None
    spool = open_spool(killed)
    assert spool.damage is None
    assert values(spool) == every(GROUPS)
    assert list(killed.parent.glob("*damaged*")) == []


def test_a_transaction_that_a_crash_cut_short_is_no_damage(
    open_spool: OpenSpool, killed: Path
) -> None:
    content = log_of(killed).read_bytes()
    # Its last page, which says that it is whole, was not written any more.
    log_of(killed).write_bytes(content[: -4096 - 24])
    assert torn_log(killed) is None
    assert open_spool(killed).damage is None


@pytest.mark.parametrize("how", ["flipped", "cut"])
def test_a_torn_last_transaction_is_counted_and_kept(
    open_spool: OpenSpool, killed: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    log = log_of(killed)
    if how == "cut":
        log.write_bytes(log.read_bytes()[:-300])
    else:
        flip(log, log.stat().st_size - 512, 512)
    content = log.read_bytes()
    with caplog.at_level(logging.ERROR):
        spool = open_spool(killed)
    damage = spool.damage
    assert damage is not None
    assert "last transaction" in damage.cause
    assert damage.aside.read_bytes() == content
    assert damage.rows_salvaged == (GROUPS - 1) * PER_GROUP
    assert damage.rows_lost == PER_GROUP
    assert str(damage.aside) in caplog.text
    assert values(spool) == every(GROUPS - 1)
    append(spool, GROUPS)
    spool.close()
    assert open_spool(killed).damage is None  # it is said once


def test_a_torn_transaction_without_readings_costs_none(
    open_spool: OpenSpool, killed: Path
) -> None:
    running = killed.parent.parent / "running"
    open_spool(running / "spool.db").put_state("daemon", "{}")
    shutil.copy(running / "spool.db-wal", log_of(killed))
    flip(log_of(killed), log_of(killed).stat().st_size - 100, 100)
    spool = open_spool(killed)
    assert spool.damage is not None
    assert spool.damage.rows_lost == 0
    assert values(spool) == every(GROUPS)


@pytest.mark.parametrize("where", [0.3, 0.6, 0.9])
def test_damage_inside_the_log_costs_only_what_it_covers(
    open_spool: OpenSpool, killed: Path, where: float
) -> None:
    log = log_of(killed)
    flip(log, int(log.stat().st_size * where), 300)
    spool = open_spool(killed)
    damage = spool.damage
    assert damage is not None
    there = values(spool)
    assert len(there) == damage.rows_salvaged == len(set(there))
    assert set(there) <= set(every(GROUPS))
    # A page holds some groups at the most, and later transactions write most pages again.
    assert damage.rows_lost == len(every(GROUPS)) - len(there) <= 10 * PER_GROUP


def test_a_torn_page_without_a_number_does_not_end_the_log(
    open_spool: OpenSpool, killed: Path
) -> None:
    content = bytearray(log_of(killed).read_bytes())
    at = 32 + 10 * (24 + 4096)
    content[at : at + 24] = bytes(24)
    log_of(killed).write_bytes(content)
    spool = open_spool(killed)
    assert spool.damage is not None
    assert set(every(GROUPS)[-10 * PER_GROUP :]) <= set(values(spool))


def test_a_spool_that_lost_the_end_of_its_log_doubles_nothing(
    open_spool: OpenSpool, lake: Lake, killed: Path
) -> None:
    running = open_spool(killed.parent.parent / "running" / "spool.db")
    flush(running, lake, PLANT, 100)
    before = in_lake(lake)
    # What the disk has of the log is what it had before; nothing in it tells that there was more.
    spool = open_spool(killed)
    for group in range(GROUPS, 2 * GROUPS):
        append(spool, group)
    flush(spool, lake, PLANT, 1_000)
    assert before == every(GROUPS)
    assert in_lake(lake) == every(2 * GROUPS)


def test_the_file_can_be_read_by_sqlite_afterwards(open_spool: OpenSpool, killed: Path) -> None:
    flip(log_of(killed), log_of(killed).stat().st_size // 2, 100)
    open_spool(killed).close()
    connection = sqlite3.connect(killed)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
