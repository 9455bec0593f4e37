"""The lake and the spool held still while both go on being written."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from config.errors import StorageError
from config.tables import READINGS
from storage.lake import Lake
from storage.pinned import PinnedTable, pinned_spool
from storage.spool import Spool
from tests.storage.conftest import OpenSpool
from tests.storage.readings import PLANT, START, hours, reading, readings_frame


def rows(lake: Lake) -> pl.DataFrame:
    return lake.scan(READINGS, PLANT).collect().sort(READINGS.key)


def copied(lake: Lake, pinned: list[PinnedTable], to: Path) -> Lake:
    """What was pinned, and nothing else."""
    for path in (path for table in pinned for path in (*table.log, *table.data)):
        (to / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(lake.path / path, to / path)
    return Lake(to)


class TestLake:
    @pytest.mark.parametrize("commits", [1, 24, 25, 26, 60])
    def test_a_copy_is_the_version_with_its_transactions(
        self, lake: Lake, tmp_path: Path, commits: int
    ) -> None:
        """Before, at and after a checkpoint of the log."""
        for number, hour in enumerate(hours(commits)):
            lake.append(READINGS, readings_frame([hour]), app=("spool:a", number))
        pinned = lake.pinned()
        copy = copied(lake, pinned, tmp_path / "copy")
        assert copy.versions() == lake.versions() == {"readings": commits}
        assert rows(copy).equals(rows(lake))
        assert [(t.rows, len(t.data)) for t in pinned] == [(commits, commits)]
        assert len(pinned[0].log) <= 30
        # It goes on from there, each transaction once.
        again = readings_frame(hours(1, START + timedelta(days=9)))
        assert not copy.append(READINGS, again, app=("spool:a", commits - 1))
        assert copy.append(READINGS, again, app=("spool:a", commits))
        assert rows(copy).height == commits + 1

    def test_what_is_written_meanwhile_is_not_in_it(self, lake: Lake, tmp_path: Path) -> None:
        for hour in hours(12):
            lake.append(READINGS, readings_frame([hour]))
        before, pinned = rows(lake), lake.pinned()
        lake.append(READINGS, readings_frame(hours(1), meter="late"))
        assert lake.compact(READINGS).partitions == 1
        lake.rewrite(READINGS, PLANT, readings_frame([]), days=[START.date()])
        lake.replace(READINGS, PLANT, readings_frame(hours(2)))
        assert lake.compact(READINGS).deleted == 0
        assert rows(copied(lake, pinned, tmp_path / "copy")).equals(before)

    def test_an_empty_lake_has_nothing_to_copy(self, lake: Lake) -> None:
        assert lake.pinned() == []


class TestSpool:
    def test_it_is_the_spool_of_that_moment(
        self, open_spool: OpenSpool, spool: Spool, tmp_path: Path
    ) -> None:
        spool.append([reading(n) for n in range(5)])
        with pinned_spool(spool.path) as copy:
            spool.append([reading(n) for n in range(5, 900)])
            batch = spool.take_batch(100)
            assert batch is not None
            batch.accept()
            copy(tmp_path / "copy.db")
        view = Spool.read_only(tmp_path / "copy.db")
        try:
            assert view.waiting() == 5
        finally:
            view.close()
        # The copy is a spool: it goes on from there, under the same name to the lake.
        again = open_spool(tmp_path / "copy.db")
        assert again.append([reading(n) for n in range(3, 8)]).stored == 3
        taken = again.take_batch(100)
        assert taken is not None
        assert (taken.app_id, taken.rows) == (batch.app_id, 8)

    def test_a_disk_without_room_is_explained(
        self, spool: Spool, small_disk: Path, tmp_path: Path
    ) -> None:
        for part in range(40):
            spool.append([reading(n, n * 1.1, meter=f"m{n % 97}") for n in
                          range(part * 2000, part * 2000 + 2000)])  # fmt: skip
        assert spool.used_bytes() > 100_000
        (small_disk / "filling").write_bytes(bytes(2**20 - 50_000))
        with (
            pytest.raises(StorageError, match="could not be copied"),
            pinned_spool(spool.path) as copy,
        ):
            copy(small_disk / "copy.db")

    def test_no_spool(self, tmp_path: Path) -> None:
        with pytest.raises(StorageError, match="no spool"), pinned_spool(tmp_path / "none.db"):
            pass
