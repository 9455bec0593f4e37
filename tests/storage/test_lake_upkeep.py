"""Compaction of the lake, and what a power cut leaves of it."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from config.tables import READINGS
from storage.lake import Lake
from tests.storage.readings import PLANT, START, hours, readings_frame

OCTOBER = hours(3)
NOVEMBER = hours(3, datetime(2026, 11, 1, tzinfo=UTC))
A_SECOND = timedelta(seconds=1)


def rows(lake: Lake) -> pl.DataFrame:
    return lake.scan(READINGS, PLANT).collect().sort(READINGS.key)


def times(lake: Lake) -> list[datetime]:
    return rows(lake)["time_utc"].to_list()


@pytest.fixture
def filled(lake: Lake) -> Lake:
    lake.append(READINGS, readings_frame(OCTOBER + NOVEMBER))
    return lake


class TestCompaction:
    def many(self, lake: Lake, count: int = 12) -> pl.DataFrame:
        for hour in reversed(hours(count)):
            lake.append(READINGS, readings_frame([hour, hour + A_SECOND]))
            lake.append(READINGS, readings_frame([hour], meter="m0"))
        return rows(lake)

    def test_many_files_become_one_sorted_one_of_the_same_rows(self, lake: Lake) -> None:
        before = self.many(lake)
        done = lake.compact(READINGS)
        assert (done.partitions, done.files_before, done.files_after) == (1, 24, 1)
        (file,) = lake.files(READINGS)
        stored = pl.read_parquet(file, hive_partitioning=False)
        assert stored.equals(stored.sort("meter_id", "quantity", "time_utc"))
        assert rows(lake).equals(before)

    def test_again_it_finds_nothing_to_do(self, lake: Lake) -> None:
        self.many(lake)
        lake.compact(READINGS)
        version = lake.version(READINGS)
        assert lake.compact(READINGS).partitions == 0
        assert lake.version(READINGS) == version

    def test_the_month_that_goes_on_is_merged_too(self, lake: Lake) -> None:
        now = datetime.now(UTC)
        for second in range(12):
            lake.append(READINGS, readings_frame([now + timedelta(seconds=second)]))
        lake.compact(READINGS)
        assert len(lake.files(READINGS)) <= 2  # two if the month changes under the test
        assert rows(lake).height == 12

    def test_few_files_are_left_alone(self, filled: Lake) -> None:
        assert filled.compact(READINGS).partitions == 0

    def test_an_empty_lake_has_nothing_to_merge(self, lake: Lake) -> None:
        assert lake.compact(READINGS).files_before == 0

    def test_superseded_files_stay_for_older_versions(self, lake: Lake) -> None:
        before = self.many(lake)
        version = lake.version(READINGS)
        assert lake.compact(READINGS).deleted == 0
        old = lake.scan(READINGS, PLANT, version=version).collect().sort(READINGS.key)
        assert old.equals(before)

    def test_what_a_crash_left_behind_is_deleted_when_it_is_old(self, filled: Lake) -> None:
        folder = filled.path / "readings/plant_id=p1/month=2026-10"
        old, new = folder / "part-old.parquet", folder / "part-new.parquet"
        for path in (old, new):
            path.write_bytes(b"never committed")
        long_ago = time.time() - 40 * 86_400
        os.utime(old, (long_ago, long_ago))
        assert filled.compact(READINGS).deleted == 1
        assert not old.exists()
        assert new.exists()
        assert times(filled) == OCTOBER + NOVEMBER


class TestPowerCut:
    """What a power cut can leave of a commit that nobody was told of."""

    def log(self, lake: Lake, version: int) -> Path:
        return lake.path / f"readings/_delta_log/{version:020d}.json"

    @pytest.mark.parametrize("keep_ratio", [0.3, 0.9])
    def test_half_a_commit_is_set_aside_and_the_batch_written_again(
        self, filled: Lake, keep_ratio: float, caplog: pytest.LogCaptureFixture
    ) -> None:
        more = readings_frame(hours(2, START + timedelta(days=5)))
        filled.append(READINGS, more, app=("spool:a", 1))
        commit = self.log(filled, filled.version(READINGS))
        content = commit.read_bytes()
        commit.write_bytes(content[: int(len(content) * keep_ratio)])
        assert times(filled) == OCTOBER + NOVEMBER
        assert "torn by a power cut" in caplog.text
        assert filled.append(READINGS, more, app=("spool:a", 1))
        assert rows(filled).height == 8
        assert list(commit.parent.glob("*.torn-*"))

    def test_an_empty_commit_is_written_again(self, filled: Lake) -> None:
        filled.append(READINGS, readings_frame(OCTOBER[:1], meter="m2"), app=("spool:a", 1))
        self.log(filled, filled.version(READINGS)).write_bytes(b"")
        assert filled.append(READINGS, readings_frame(OCTOBER[:1], meter="m2"), app=("spool:a", 1))
        assert rows(filled).height == 7

    @pytest.mark.parametrize("damage", ["truncated", "empty", "gone", "zeros"])
    def test_a_commit_whose_data_did_not_reach_the_disk_is_written_again(
        self, filled: Lake, damage: str
    ) -> None:
        more = readings_frame(OCTOBER[:1], meter="m2")
        known = set(filled.files(READINGS))
        filled.append(READINGS, more, app=("spool:a", 1))
        (file,) = set(filled.files(READINGS)) - known
        size = file.stat().st_size
        match damage:
            case "truncated":
                os.truncate(file, size // 2)
            case "empty":
                os.truncate(file, 0)
            case "gone":
                file.unlink()
            case "zeros":
                file.write_bytes(bytes(size))
        assert filled.append(READINGS, more, app=("spool:a", 1))
        assert rows(filled).height == 7

    def test_a_first_commit_torn_is_no_table(self, lake: Lake) -> None:
        lake.append(READINGS, readings_frame(OCTOBER))
        for version in (0, 1):
            self.log(lake, version).write_bytes(b'{"protocol"')
        assert lake.append(READINGS, readings_frame(NOVEMBER))
        assert times(lake) == NOVEMBER
