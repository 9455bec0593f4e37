"""Several processes write one lake at once: each transaction is there once."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError

from config.tables import READINGS
from storage.frames import with_month
from storage.lake import Lake
from tests.storage.readings import PLANT, START, hours, readings_frame

COUNT = 6


def race(lake: Lake, app_ids: Sequence[str]) -> list[int]:
    """Start a writer for each id, let them go together; what each says it wrote."""
    command = [sys.executable, "-m", "tests.storage.racing_writer"]
    writers = [
        subprocess.Popen(
            [*command, str(lake.path), app_id, str(COUNT), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        for number, app_id in enumerate(app_ids)
    ]
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    told = [int(writer.communicate()[0]) for writer in writers]
    assert all(writer.returncode == 0 for writer in writers)
    return told


def test_writers_with_the_same_transaction_cannot_both_win(lake: Lake) -> None:
    wrote = race(lake, ["spool:a"] * 3)
    rows = lake.scan(READINGS, PLANT).collect()
    assert sum(wrote) == COUNT
    assert rows.height == rows["time_utc"].n_unique() == COUNT
    assert [rows.filter(value=n).height for n in range(3)] == wrote


def test_compaction_beside_writers_changes_no_row(lake: Lake) -> None:
    done = threading.Event()
    merged: list[int] = []

    def compact_without_end() -> None:
        while not done.is_set():
            merged.append(lake.compact(READINGS).partitions)

    thread = threading.Thread(target=compact_without_end)
    thread.start()
    try:
        assert race(lake, ["spool:a", "spool:b", "spool:c"]) == [COUNT] * 3
    finally:
        done.set()
        thread.join()
    merged.append(lake.compact(READINGS).partitions)
    assert sum(merged) > 0
    rows = lake.scan(READINGS, PLANT).collect()
    assert rows.group_by("meter_id").len()["len"].to_list() == [COUNT] * 3
    assert not rows.is_duplicated().any()


def test_writers_of_their_own_all_win(lake: Lake) -> None:
    assert race(lake, ["spool:a", "spool:b", "spool:c"]) == [COUNT] * 3
    rows = lake.scan(READINGS, PLANT).collect()
    assert rows.group_by("meter_id").len()["len"].to_list() == [COUNT] * 3
    assert not rows.is_duplicated().any()


def test_a_transaction_that_came_between_look_and_write_is_not_doubled(lake: Lake) -> None:
    """The race made certain: both have looked before either writes."""
    lake.append(READINGS, readings_frame(hours(1)), app=("spool:a", 1))
    frame = readings_frame(hours(1, START.replace(day=2)))

    class Overtaken(Lake):
        overtakings = 1

        def _commit(self, *arguments) -> None:
            if self.overtakings:
                self.overtakings -= 1
                assert lake.append(READINGS, frame, app=("spool:a", 2))
            super()._commit(*arguments)

    assert not Overtaken(lake.path).append(READINGS, frame, app=("spool:a", 2))
    assert lake.scan(READINGS, PLANT).collect().height == 2


def test_readings_that_come_in_during_a_replacement_are_not_lost_unseen(lake: Lake) -> None:
    lake.append(READINGS, readings_frame(hours(2)))
    late = readings_frame(hours(1, START.replace(day=9)), meter="late")

    class Overtaken(Lake):
        overtakings = 1

        def _commit(self, *arguments) -> None:
            if self.overtakings:
                self.overtakings -= 1
                lake.append(READINGS, late)
            super()._commit(*arguments)

    new = readings_frame(hours(3), value=2.0)
    assert Overtaken(lake.path).replace(READINGS, PLANT, new)
    # The replacement was made again on the version that has them, and says what it replaced.
    assert lake.scan(READINGS, PLANT).collect().sort("time_utc").equals(new)
    assert lake.scan(READINGS, PLANT, version=lake.version(READINGS) - 1).collect().height == 3


def test_the_library_refuses_a_rewrite_of_what_has_changed_since(lake: Lake) -> None:
    """What compaction builds on: it reads a partition, and appends may come before it writes."""
    lake.append(READINGS, readings_frame(hours(2)))
    stale = DeltaTable(lake.path / "readings")
    lake.append(READINGS, readings_frame(hours(1, START.replace(day=9))))
    rewritten = with_month(READINGS, readings_frame(hours(2)))
    with pytest.raises(CommitFailedError, match="concurrent"):
        write_deltalake(
            stale,
            rewritten,
            mode="overwrite",
            predicate="plant_id = 'p1' AND month = '2026-10'",
        )
    assert lake.scan(READINGS, PLANT).select(pl.len()).collect().item() == 3
