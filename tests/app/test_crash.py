"""The crash harness, `benchmarks/crash.py`, with fewer kills; disk full; a damaged spool's end.

`KGCE_KILLS` is the number of kills (50).
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from app import jobs
from app.sites import load_site
from benchmarks.crash import campaign, table
from benchmarks.crash_plant import CrashPlant, wait_for
from benchmarks.write_points import ALL, REFRESH, end_at
from tests.app.commands import done, environment
from tests.app.lab import NUMBERED, status
from tests.app.works import counts, write_readings, write_works

KILLS = int(os.environ.get("KGCE_KILLS", "50"))
SEED = 20261122
ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(900)
def test_killed_at_every_write_point_it_loses_and_doubles_nothing(tmp_path: Path) -> None:
    tally = campaign(KILLS, SEED, tmp_path)
    shown = "\n".join(table(tally))
    print(shown)  # noqa: T201 - for `pytest -s`
    assert tally.ok, shown
    assert tally.kills.total() == KILLS
    assert tally.kills.keys() >= ALL.keys() or len(ALL) > KILLS
    assert all(one.acknowledged > 0 for one in tally.came), shown


def test_a_point_that_is_no_more_is_an_error() -> None:
    gone = next(iter(ALL.values()))
    for where in ("storage.spool:no_such_thing", "storage.no_such_module:store"):
        with pytest.raises((AttributeError, ImportError)):
            end_at(type(gone)("gone", where, gone.moment), 1)


@pytest.fixture(scope="module")
def late_rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A works whose figures do not know the rows of its second day yet."""
    folder = tmp_path_factory.mktemp("late")
    plant = write_works(folder / "works")
    for name, first, last in (("scada-1", 0, 95), ("scada-3", 192, 240), ("scada-2", 96, 191)):
        file = write_readings(folder / f"{name}.csv", counts(first, last))
        done("import", "readings", file, "-p", plant, "--no-refresh")
        if name == "scada-3":
            done("refresh", "-p", plant)
    return plant.parent


@pytest.mark.parametrize(
    "point",
    [
        "intervals committed",
        "gaps committed",
        "meters summed",
        "consumption committed",
        "figures put",
        "progress written, not in place",
    ],
)
def test_after_a_kill_in_a_refresh_the_next_one_leaves_no_figure_behind(
    late_rows: Path, tmp_path: Path, point: str
) -> None:
    plant = Path(shutil.copytree(late_rows, tmp_path / "works")) / "plant.yaml"
    assert point in {one.name for one in REFRESH}
    command = [sys.executable, "-m", "benchmarks.write_points", point, "refresh", "-p", str(plant)]
    ended = subprocess.run(
        command, capture_output=True, cwd=ROOT, env=environment(), timeout=120, check=False
    )
    assert ended.returncode == -signal.SIGKILL, ended
    site = load_site(plant)
    jobs.refresh(site, jobs.open_lake(site))
    assert not any(jobs.refresh(site, jobs.open_lake(site), force=True).rows.values())


def fill(file: Path) -> None:
    """Write until the disk is full."""
    handle = os.open(file, os.O_CREAT | os.O_WRONLY)
    try:
        while True:
            os.write(handle, bytes(4096))
    except OSError:
        pass
    finally:
        os.close(handle)


@pytest.mark.parametrize("small_disk", [8], indirect=True)
def test_on_a_full_disk_it_waits_says_so_and_goes_on(small_disk: Path, tmp_path: Path) -> None:
    with CrashPlant(tmp_path, storage=small_disk / "data") as plant:
        plant.begin()
        with plant.daemon() as daemon:
            daemon.wait_until_it_collects()
            ballast = small_disk / "ballast"
            fill(ballast)
            plant.drop_file()
            assert wait_for(lambda: "the disk that holds the spool is full" in daemon.said)
            good = plant.account(NUMBERED["meter_id"]).good
            time.sleep(2.0)
            assert plant.account(NUMBERED["meter_id"]).good - good <= 50  # it waits
            ballast.unlink()
            published = plant.publisher.published
            assert wait_for(lambda: plant.account(NUMBERED["meter_id"]).good > published)
        assert plant.settle() == 0
        assert plant.faults() == []


@pytest.mark.parametrize("where", ["end cut", "end changed", "middle changed"])
def test_damage_of_the_spools_log_is_told_and_costs_only_what_it_covers(
    tmp_path: Path, where: str
) -> None:
    intervals = {"poll_s": 0.2, "flush_s": 2.5, "refresh_s": 60.0}
    with CrashPlant(tmp_path, intervals=intervals) as plant:
        plant.begin()
        with plant.daemon() as daemon:
            daemon.wait_until_it_collects()
            assert wait_for(lambda: plant.account(NUMBERED["meter_id"]).good > 50)
        on_a_page = most_on_a_page(plant.plant.parent / "data", tmp_path / "copy")
        damage(plant.plant.parent / "data" / "spool.db-wal", where)
        with plant.daemon() as daemon:
            daemon.wait_until_it_collects()
            said = daemon.said
            assert "the spool was damaged (page " in said
            assert daemon.stop() == 0
        aside = list((plant.plant.parent / "data").glob("spool.db.damaged-*-log"))
        assert len(aside) == 1
        assert str(aside[0]) in said
        assert plant.settle() == 0
        messages = plant.messages()
        assert not messages.doubled
        # What is lost lies together: the readings of one torn page.
        lost = messages.lost
        assert lost == list(range(lost[0], lost[-1] + 1) if lost else ()), messages
        assert len(lost) <= on_a_page, messages
        assert status(plant.plant).out
        assert all(account.balanced for account in plant.accounts())


def most_on_a_page(data: Path, copy: Path) -> int:
    """How many readings, of all meters, the groups hold that a page of the spool has room for."""
    copy.mkdir()
    for name in ("spool.db", "spool.db-wal"):
        shutil.copy(data / name, copy)
    with closing(sqlite3.connect(copy / "spool.db")) as spool:
        (page_bytes,) = spool.execute("PRAGMA page_size").fetchone()
        groups = spool.execute("SELECT last - first + 1, length(body) FROM groups").fetchall()
    most = 0
    for start in range(len(groups)):
        readings, size = 0, 0
        for count, length in groups[start:]:
            if readings and size + length > page_bytes:
                break
            readings, size = readings + count, size + length
        most = max(most, readings)
    return most


def damage(log: Path, where: str) -> None:
    size = log.stat().st_size
    if where == "end cut":
        os.truncate(log, size - 300)
        return
    at = size - 512 if where == "end changed" else size // 2
    with log.open("r+b") as file:
        file.seek(at)
        there = file.read(300)
        file.seek(at)
        file.write(bytes(byte ^ 0xFF for byte in there))
