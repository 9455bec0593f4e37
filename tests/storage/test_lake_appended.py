"""Rows appended to the lake since a version: exactly those, or None where nobody can tell."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake

from config.tables import READINGS
from storage.frames import with_month
from storage.lake import Lake
from tests.storage.readings import PLANT, START, hours, readings_frame

NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
A_SECOND = timedelta(seconds=1)


def told(lake: Lake, since: int) -> list[tuple[str, datetime]]:
    found = lake.appended(READINGS, PLANT, since)
    assert found is not None
    assert found.version == lake.version(READINGS)
    frame = found.rows.collect()
    assert frame.schema == READINGS.polars_schema()
    return sorted(frame.select("meter_id", "time_utc").iter_rows())


def append(lake: Lake, meter: str, times: list[datetime]) -> list[tuple[str, datetime]]:
    lake.append(READINGS, readings_frame(times, meter=meter))
    return [(meter, time) for time in times]


def many(lake: Lake, meter: str, start: datetime, count: int = 9) -> list[tuple[str, datetime]]:
    return [row for time in hours(count, start) for row in append(lake, meter, [time])]


@pytest.fixture
def since(lake: Lake) -> int:
    """A lake with rows in it already, and its version."""
    append(lake, "before", hours(3))
    return lake.version(READINGS)


class TestWhatWasAppended:
    def test_exactly_the_rows_since(self, lake: Lake, since: int) -> None:
        assert told(lake, since) == []
        first = append(lake, "m1", [*hours(2), *hours(2, NOVEMBER)])
        middle = lake.version(READINGS)
        second = append(lake, "m2", hours(1))
        assert told(lake, since) == first + second
        assert told(lake, middle) == second
        assert told(lake, lake.version(READINGS)) == []

    def test_the_whole_table_is_what_was_appended_to_nothing(self, lake: Lake, since: int) -> None:
        assert [row[0] for row in told(lake, 0)] == ["before"] * 3
        assert told(lake, -1) == told(lake, 0)

    def test_rows_of_another_plant_are_not_among_them(self, lake: Lake, since: int) -> None:
        lake.append(READINGS, readings_frame(hours(2), plant="p2"))
        rows = append(lake, "m1", hours(1))
        assert told(lake, since) == rows

    def test_an_empty_commit_adds_none(self, lake: Lake, since: int) -> None:
        lake.append(READINGS, readings_frame([]), app=("spool:a", 1))
        assert lake.version(READINGS) == since + 1
        assert told(lake, since) == []

    def test_compactions_of_both_kinds_are_passed_over(self, lake: Lake, since: int) -> None:
        old = many(lake, "m1", START)
        today = datetime.now(UTC).replace(hour=0, minute=0)
        new = [row for n in range(9) for row in append(lake, "m2", [today + n * A_SECOND])]
        merged = lake.version(READINGS)
        assert lake.compact(READINGS).partitions == 2
        kinds = {entry["operation"] for entry in DeltaTable(lake.path / "readings").history(2)}
        assert kinds == {"WRITE", "OPTIMIZE"}  # sorted by us, merged by the library
        later = append(lake, "m3", hours(2))
        assert told(lake, since) == sorted(old + new + later)
        assert told(lake, merged) == later

    def test_checkpoints_in_between(self, lake: Lake, since: int) -> None:
        rows = many(lake, "m1", START, 30)
        assert list((lake.path / "readings/_delta_log").glob("*.checkpoint.parquet"))
        assert told(lake, since) == rows

    def test_what_replaces_another_plants_rows_takes_none_of_ours(
        self, lake: Lake, since: int
    ) -> None:
        rows = append(lake, "m1", hours(1))
        lake.append(READINGS, readings_frame(hours(2), plant="p2"))
        lake.replace(READINGS, "p2", readings_frame(hours(1), plant="p2"))
        assert told(lake, since) == rows

    def test_files_older_than_a_column(self, lake: Lake) -> None:
        older = with_month(READINGS, readings_frame(hours(3))).drop("sequence")
        write_deltalake(lake.path / "readings", older, partition_by=["plant_id", "month"])
        rows = append(lake, "m2", hours(2))
        assert len(told(lake, -1)) == 5
        assert told(lake, 0) == rows

    def test_each_row_is_told_once_while_others_append(self, lake: Lake, since: int) -> None:
        """Followed by version, with appends and compactions going on: none missed, none twice."""
        done = threading.Event()

        def append_and_compact() -> None:
            for number, hour in enumerate(hours(40)):
                lake.append(READINGS, readings_frame([hour]))
                if number % 13 == 12:
                    lake.compact(READINGS)
            done.set()

        thread = threading.Thread(target=append_and_compact)
        thread.start()
        seen: list[datetime] = []
        version, looks, last = since, 0, False
        while not last:
            last = done.is_set()
            found = Lake(lake.path).appended(READINGS, PLANT, version)
            assert found is not None
            rows, version = found
            seen += rows.collect()["time_utc"].to_list()
            looks += 1
        thread.join()
        assert sorted(seen) == hours(40)
        assert looks > 1


class TestNobodyCanTell:
    def test_a_table_that_is_not_there(self, lake: Lake) -> None:
        assert lake.appended(READINGS, PLANT, -1) is None

    @pytest.mark.parametrize("by", [1, 1000])
    def test_a_version_that_is_not_there_yet(self, lake: Lake, since: int, by: int) -> None:
        assert lake.appended(READINGS, PLANT, since + by) is None
        assert lake.appended(READINGS, PLANT, -2) is None

    def test_rows_were_replaced(self, lake: Lake, since: int) -> None:
        lake.replace(READINGS, PLANT, readings_frame(hours(1), value=2.0))
        assert lake.appended(READINGS, PLANT, since) is None
        rows = append(lake, "m1", hours(1))
        assert told(lake, since + 1) == rows

    def test_a_day_was_rewritten(self, lake: Lake, since: int) -> None:
        lake.rewrite(READINGS, PLANT, readings_frame([], value=2.0), days=[START.date()])
        assert lake.appended(READINGS, PLANT, since) is None

    def test_rows_were_deleted_or_restored_by_another_program(self, lake: Lake, since: int) -> None:
        append(lake, "m1", hours(1, NOVEMBER))
        table = DeltaTable(lake.path / "readings")
        table.delete("meter_id = 'm1'")
        assert lake.appended(READINGS, PLANT, since) is None
        deleted = lake.version(READINGS)
        table.restore(deleted - 1)
        assert lake.appended(READINGS, PLANT, deleted) is None

    def test_a_commit_is_past_its_retention(self, lake: Lake, since: int) -> None:
        many(lake, "m1", START, 3)
        lake.compact(READINGS)  # makes a checkpoint, without which the table needs each commit
        (lake.path / f"readings/_delta_log/{since + 2:020d}.json").unlink()
        assert lake.appended(READINGS, PLANT, since) is None
        assert len(told(lake, since + 2)) == 1

    def test_a_data_file_was_vacuumed(self, lake: Lake, since: int) -> None:
        rows = many(lake, "m1", START)
        assert lake.compact(READINGS).partitions == 1
        assert told(lake, since) == rows
        table = DeltaTable(lake.path / "readings")
        assert table.vacuum(0, dry_run=False, enforce_retention_duration=False, full=True)
        assert lake.appended(READINGS, PLANT, since) is None
        assert told(lake, lake.version(READINGS)) == []

    def test_a_commit_that_cannot_be_read(self, lake: Lake, since: int) -> None:
        many(lake, "m1", START, 3)
        lake.compact(READINGS)
        (lake.path / f"readings/_delta_log/{since + 2:020d}.json").write_text('{"add":')
        assert lake.appended(READINGS, PLANT, since) is None

    def test_the_commit_of_a_compaction_says_that_no_row_changed(
        self, lake: Lake, since: int, tmp_path: Path
    ) -> None:
        many(lake, "m1", START)
        lake.compact(READINGS)
        commit = lake.path / f"readings/_delta_log/{lake.version(READINGS):020d}.json"
        actions = [json.loads(line) for line in commit.read_text().splitlines()]
        changes = [
            a[kind]["dataChange"] for a in actions for kind in ("add", "remove") if kind in a
        ]
        assert changes == [False] * 11
        assert pl.read_parquet(lake.files(READINGS), hive_partitioning=False).height == 12

    def test_the_newest_commit_was_torn(self, lake: Lake, since: int) -> None:
        """It never was: what it was to append comes again, under the same version."""
        rows = append(lake, "m1", hours(1))
        append(lake, "m2", hours(1, START + timedelta(days=1)))
        torn = lake.path / f"readings/_delta_log/{lake.version(READINGS):020d}.json"
        torn.write_bytes(torn.read_bytes()[:200])
        assert told(lake, since) == rows
        assert lake.appended(READINGS, PLANT, since + 2) is None
