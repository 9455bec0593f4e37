from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest

from config.errors import StorageError
from config.tables import READINGS
from storage.flush import Flushed, flush
from storage.frames import FrameRefused
from storage.lake import Lake
from storage.spool import Spool
from tests.storage.conftest import OpenSpool
from tests.storage.dying_lake import Crash, DyingLake
from tests.storage.readings import PLANT, reading


def in_lake(lake: Lake) -> list[float]:
    return lake.scan(READINGS, PLANT).sort("time_utc").collect()["value"].to_list()


def fill(spool: Spool, first: int, count: int) -> None:
    spool.append([reading(n, float(n)) for n in range(first, first + count)])


def numbers(count: int) -> list[float]:
    return [float(n) for n in range(count)]


def test_everything_goes_over_in_batches(spool: Spool, lake: Lake) -> None:
    fill(spool, 0, 25)
    assert flush(spool, lake, PLANT, 10) == Flushed(rows=25, batches=3)
    assert in_lake(lake) == numbers(25)
    assert spool.waiting() == 0


def test_a_second_flush_has_nothing_to_do(spool: Spool, lake: Lake) -> None:
    fill(spool, 0, 20)
    flush(spool, lake, PLANT, 10)
    version = lake.version(READINGS)
    assert flush(spool, lake, PLANT, 10) == Flushed(0, 0)
    assert lake.version(READINGS) == version


def test_an_empty_spool_makes_no_lake(spool: Spool, lake: Lake) -> None:
    assert flush(spool, lake, PLANT, 10) == Flushed(0, 0)
    assert not lake.path.exists()


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("limit", [5, 10, 100])
def test_a_crash_between_lake_and_spool_doubles_nothing(
    open_spool: OpenSpool, lake: Lake, limit: int, restart: bool
) -> None:
    spool = open_spool()
    fill(spool, 0, 15)
    with pytest.raises(Crash):
        flush(spool, DyingLake(lake.path), PLANT, 10)
    assert in_lake(lake) == numbers(10)
    assert spool.waiting() == 15
    if restart:
        spool.close()
        spool = open_spool()
    fill(spool, 15, 15)
    flush(spool, lake, PLANT, limit)
    assert in_lake(lake) == numbers(30)
    assert spool.waiting() == 0


def test_two_that_flush_the_same_spool_double_nothing(open_spool: OpenSpool, lake: Lake) -> None:
    one, other = open_spool(), open_spool()
    fill(one, 0, 10)
    held = one.take_batch(10)
    frame = held.frame(PLANT)
    flush(other, lake, PLANT, 10)
    fill(other, 10, 5)
    assert not lake.append(READINGS, frame, app=(held.app_id, held.version))
    held.accept()
    flush(one, lake, PLANT, 10)
    assert in_lake(lake) == numbers(15)


def test_when_the_lake_cannot_be_written_the_batch_is_kept(
    spool: Spool, lake: Lake, tmp_path: Path
) -> None:
    fill(spool, 0, 5)
    blocked = tmp_path / "lake"
    blocked.write_text("not a folder")
    with pytest.raises(StorageError):
        flush(spool, lake, PLANT, 10)
    assert spool.waiting() == 5
    blocked.unlink()
    assert flush(spool, lake, PLANT, 10).rows == 5
    assert in_lake(lake) == numbers(5)
    assert spool.account()[0].dropped == {}


def test_what_the_lake_refuses_is_kept_apart_and_does_not_hold_up_the_rest(
    spool: Spool, tmp_path: Path
) -> None:
    class Choosy(Lake):
        def append(self, table, frame, *, app=None, metadata=None) -> bool:
            if 2.0 in frame["value"]:
                raise FrameRefused("table readings: the value 2 is not liked")
            return super().append(table, frame, app=app, metadata=metadata)

    lake = Choosy(tmp_path / "lake")
    fill(spool, 0, 10)
    assert flush(spool, lake, PLANT, 4) == Flushed(rows=6, batches=2, rejected=4)
    assert in_lake(lake) == [4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
    (account,) = spool.account()
    assert account.balanced
    assert (account.good, account.dropped) == (6, {"rejected": 4})


@pytest.mark.parametrize("new", [4, 10, 20])
def test_a_spool_put_back_from_a_copy_loses_and_doubles_nothing(
    open_spool: OpenSpool, lake: Lake, tmp_path: Path, new: int
) -> None:
    spool = open_spool()
    fill(spool, 0, 10)
    flush(spool, lake, PLANT, 5)
    fill(spool, 10, 3)
    spool.close()
    file, copy = tmp_path / "spool.db", tmp_path / "copy.db"
    shutil.copy(file, copy)
    spool = open_spool()
    fill(spool, 13, 10)
    flush(spool, lake, PLANT, 100)
    spool.close()
    shutil.copy(copy, file)
    spool = open_spool()
    # Under numbers that the lake has seen: fewer than these, as many, and more.
    fill(spool, 30, new)
    flush(spool, lake, PLANT, 100)
    assert in_lake(lake) == [*numbers(23), *(30.0 + n for n in range(new))]


def test_statuses_and_empty_values_arrive_as_they_were(spool: Spool, lake: Lake) -> None:
    spool.append([reading(0, None, sequence=4), reading(0, None, sequence=4), reading(1, 1.5)])
    flush(spool, lake, PLANT, 10)
    rows = lake.scan(READINGS, PLANT).sort("time_utc").collect()
    assert rows["status"].to_list() == ["timeout", "timeout", "good"]
    assert rows["value"].to_list() == [None, None, 1.5]
    assert rows["sequence"].to_list() == [4, 4, None]
    assert rows.select(pl.col("plant_id").unique()).item() == PLANT
