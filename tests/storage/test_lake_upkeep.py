"""Compaction of the lake, and what a power cut leaves of it."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake

from config.tables import FINDINGS, READINGS, Table
from storage.frames import with_month
from storage.lake import Lake
from storage.snapshot import connect
from tests.storage.readings import PLANT, START, hours, readings_frame

OCTOBER = hours(3)
NOVEMBER = hours(3, datetime(2026, 11, 1, tzinfo=UTC))
A_SECOND = timedelta(seconds=1)


def rows(lake: Lake) -> pl.DataFrame:
    return lake.scan(READINGS, PLANT).collect().sort(READINGS.key)


def times(lake: Lake) -> list[datetime]:
    return rows(lake)["time_utc"].to_list()


def findings(times: list[datetime]) -> pl.DataFrame:
    """A finding at each time."""
    return pl.DataFrame(
        [(PLANT, "counter.dip", "info", "m1", time, time, "it fell", "{}") for time in times],
        schema=FINDINGS.polars_schema(),
        orient="row",
    )


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


class TestRetention:
    def test_what_was_superseded_within_the_retention_can_still_be_read(self, lake: Lake) -> None:
        """Compaction, replacement and rewriting leave the files of what somebody reads."""
        lake.append(READINGS, readings_frame(OCTOBER))
        version = lake.version(READINGS)
        before, reader = rows(lake), lake.scan(READINGS, PLANT)
        for hour in hours(12, START + timedelta(days=2)):
            lake.append(READINGS, readings_frame([hour]))
        lake.rewrite(READINGS, PLANT, readings_frame(OCTOBER[:1]), days=[START.date()])
        lake.replace(READINGS, PLANT, readings_frame(NOVEMBER))
        assert lake.compact(READINGS).deleted == 0
        assert reader.collect().sort(READINGS.key).equals(before)
        assert (
            lake.scan(READINGS, PLANT, version=version).collect().sort(READINGS.key).equals(before)
        )

    @pytest.mark.parametrize(("table", "kept_h"), [(READINGS, 48), (FINDINGS, 30 * 24)])
    def test_files_superseded_before_it_are_deleted(
        self, lake: Lake, table: Table, kept_h: int
    ) -> None:
        """By the log's own times: 47 hours and 49 after it was superseded, for the readings."""
        frame = readings_frame(OCTOBER) if table is READINGS else findings(OCTOBER)
        lake.append(table, frame)
        (file,) = lake.files(table)
        lake.rewrite(table, PLANT, frame.head(0), days=[START.date()])
        log = lake.path / table.name / "_delta_log"
        commit = log / f"{lake.version(table):020d}.json"
        as_written = commit.read_text()
        for hours_ago, is_there in ((kept_h - 1, True), (kept_h + 1, False)):
            removed = json.loads(as_written.splitlines()[-1])
            removed["remove"]["deletionTimestamp"] -= hours_ago * 3_600_000
            lines = [*as_written.splitlines()[:-1], json.dumps(removed)]
            for checkpoint in [*log.glob("*.checkpoint.parquet"), *log.glob("_last_checkpoint")]:
                checkpoint.unlink()
            commit.write_text("\n".join(lines) + "\n")
            lake.compact(table)
            assert file.exists() == is_there


class TestOlderSchema:
    """A table that an earlier kgce made, without a column that is declared now."""

    @pytest.fixture
    def older(self, lake: Lake) -> Lake:
        frame = with_month(READINGS, readings_frame(hours(3))).drop("sequence", "received_utc")
        write_deltalake(lake.path / "readings", frame, partition_by=["plant_id", "month"])
        return lake

    def columns(self, lake: Lake) -> set[str]:
        return {field.name for field in DeltaTable(lake.path / "readings").schema().fields}

    def test_it_is_read_as_it_stands(self, older: Lake) -> None:
        found = rows(older)
        assert found.schema == READINGS.polars_schema()
        assert found["sequence"].to_list() == found["received_utc"].to_list() == [None] * 3
        appended = older.appended(READINGS, PLANT, -1)
        assert appended is not None
        assert appended.rows.collect().sort("time_utc").equals(found)
        with connect(older) as sql:
            asked = sql.execute("SELECT sequence, received_utc, value FROM readings").fetchall()
        assert asked == [(None, None, 1.0)] * 3

    @pytest.mark.parametrize("write", ["append", "replace", "rewrite"])
    def test_every_write_brings_the_columns(self, older: Lake, write: str) -> None:
        new = readings_frame(hours(2, START + timedelta(days=1)))
        new = new.with_columns(sequence=pl.lit(7, pl.Int64))
        match write:
            case "append":
                older.append(READINGS, new)
            case "replace":
                older.replace(READINGS, PLANT, pl.concat([rows(older), new], how="diagonal")
                              .with_columns(pl.col("received_utc").fill_null(START)))  # fmt: skip
            case "rewrite":
                older.rewrite(READINGS, PLANT, new, days=[(START + timedelta(days=1)).date()])
        assert {"sequence", "received_utc"} <= self.columns(older)
        assert rows(older)["sequence"].to_list() == [None] * 3 + [7] * 2
        with connect(older) as sql:
            asked = sql.execute("SELECT sequence FROM readings ORDER BY time_utc").fetchall()
        assert asked == [(None,)] * 3 + [(7,)] * 2

    @pytest.mark.parametrize("new_rows", [False, True])
    def test_old_and_new_files_are_merged(self, older: Lake, new_rows: bool) -> None:
        frame = with_month(READINGS, readings_frame(hours(1, START + timedelta(hours=9))))
        for _ in range(8):
            write_deltalake(
                older.path / "readings", frame.drop("sequence", "received_utc"), mode="append"
            )
        if new_rows:
            new = readings_frame([START + timedelta(days=3)])
            older.append(READINGS, new.with_columns(sequence=pl.lit(7, pl.Int64)))
        before = rows(older)
        assert older.compact(READINGS).partitions == 1
        assert len(older.files(READINGS)) == 1
        assert rows(older).equals(before)
        assert before["sequence"].to_list()[-1] == (7 if new_rows else None)
