"""Files that are dropped into a watched folder: each is taken once, whatever happens."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app import jobs
from app.folders import FolderCollector
from app.sites import load_site
from config.errors import ConfigError
from config.site import Site
from config.tables import READINGS
from tests.app.commands import Daemon, collecting, done, inside, until
from tests.app.works import COLUMNS, SECTIONS, counts, write_readings, write_works

KILLS = int(os.environ.get("KGCE_KILLS", "8"))
SEED = 20261122
QUICK = {"look_s": 0.1, "settle_s": 0.2}


def works(folder: Path, *, made: bool = True, **settings: Any) -> Path:
    """plant.yaml of the works, whose meters come by files dropped into `in`."""
    if made:
        (folder / "in").mkdir(parents=True)
    connection = {"type": "folder", "path": "in", **QUICK, **settings}
    return write_works(folder, connections={"historian": connection}, intervals={"poll_s": 900})


def collector(plant: Path) -> FolderCollector:
    site = load_site(plant)
    return FolderCollector(lambda: site, "historian")


def look_until(watching: FolderCollector, outcome: str, count: int = 1) -> None:
    def enough() -> bool:
        watching.look()
        return watching.stats.requests[outcome] >= count

    until(enough, f"{count} files {outcome}")


def rows(plant: Path) -> list[tuple[Any, ...]]:
    """The lake's readings as meter and time, each as often as it is there."""
    site = load_site(plant)
    frame = jobs.open_lake(site).scan(READINGS, site.id).select("meter_id", "time_utc").collect()
    return sorted(frame.iter_rows())


def expected(quarters: int) -> int:
    return len(COLUMNS) * quarters


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()


def drop(plant: Path, name: str, first: int, last: int) -> Path:
    """A file of the quarters ``first`` to ``last``, put in place whole as a careful sender does."""
    file = write_readings(plant.parent / f"{name}.writing", counts(first, last))
    return file.rename(plant.parent / "in" / name)


def test_a_file_is_taken_and_put_away(tmp_path: Path) -> None:
    plant = works(tmp_path)
    drop(plant, "scada-1.csv", 0, 95)
    watching = collector(plant)
    watching.look()
    assert rows(plant) == []  # it has only just been seen
    look_until(watching, "taken")
    assert len(set(rows(plant))) == len(rows(plant)) == expected(96)
    assert names(tmp_path / "in") == {"taken"}
    assert names(tmp_path / "in" / "taken") == {"scada-1.csv"}
    assert (watching.health.good, watching.health.dropped) == (expected(96), 0)
    assert (watching.health.state, watching.health.detail) == ("up", "")


def test_the_interval_of_the_meters_is_not_that_of_the_looks(tmp_path: Path) -> None:
    site = load_site(works(tmp_path))
    assert {site.plant.interval_s(meter) for meter in site.plant.meters.values()} == {900.0}


def test_a_file_that_grows_is_left_alone_until_it_rests(tmp_path: Path) -> None:
    plant = works(tmp_path, settle_s=0.5)
    whole = write_readings(tmp_path / "whole.csv", counts(0, 95)).read_bytes()
    file, watching = tmp_path / "in" / "scada.csv", collector(plant)
    step = len(whole) // 20 + 1
    with file.open("wb") as stream:
        for start in range(0, len(whole), step):
            stream.write(whole[start : start + step])
            stream.flush()
            # Looked at more often than it grows: only its growth keeps it from being taken.
            for _ in range(3):
                watching.look()
                time.sleep(0.03)
            assert file.exists()
    assert rows(plant) == []
    look_until(watching, "taken")
    assert len(rows(plant)) == expected(96)


def test_a_refused_file_lies_beside_its_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plant = works(tmp_path)
    good = drop(plant, "scada-1.csv", 0, 3).read_text(encoding="utf-8")
    bad = tmp_path / "in" / "scada-2.csv"
    bad.write_text(good.replace("1040.0", "a lot"), encoding="utf-8")
    (tmp_path / "in" / "other.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    watching = collector(plant)
    with caplog.at_level(logging.WARNING):
        look_until(watching, "refused", 2)
        look_until(watching, "taken")
        for _ in range(5):
            watching.look()
    refused = tmp_path / "in" / "refused"
    assert names(refused) == {
        "other.csv", "other.csv.reason.txt", "scada-2.csv", "scada-2.csv.reason.txt",
    }  # fmt: skip
    reason = (refused / "scada-2.csv.reason.txt").read_text(encoding="utf-8")
    assert "scada-2.csv:3: " in reason
    assert "0 rows taken" in reason
    assert "0 mappings" in (refused / "other.csv.reason.txt").read_text(encoding="utf-8")
    assert len(rows(plant)) == expected(4)
    assert watching.health.detail.startswith("2 files refused, the last ")
    assert sum("scada-2.csv is refused" in record.message for record in caplog.records) == 1


def test_partial_takes_the_good_rows(tmp_path: Path) -> None:
    plant = works(tmp_path, partial=True)
    file = drop(plant, "scada.csv", 0, 3)
    file.write_text(file.read_text(encoding="utf-8").replace("1040.0", "a lot"), encoding="utf-8")
    watching = collector(plant)
    look_until(watching, "taken")
    assert len(rows(plant)) == expected(4) - 1
    assert (watching.health.good, watching.health.dropped) == (expected(4) - 1, 1)
    assert names(tmp_path / "data" / "refused")


def test_names_that_come_again_are_kept_apart(tmp_path: Path) -> None:
    plant = works(tmp_path)
    watching = collector(plant)
    for number in range(3):
        drop(plant, "scada.csv", 4 * number, 4 * number + 3)
        look_until(watching, "taken", number + 1)
    taken = names(tmp_path / "in" / "taken")
    assert len(taken) == 3
    assert all(name.startswith("scada") and name.endswith(".csv") for name in taken)
    assert len(rows(plant)) == expected(12)


def test_the_same_content_again_changes_nothing(tmp_path: Path) -> None:
    plant = works(tmp_path)
    watching = collector(plant)
    drop(plant, "scada-1.csv", 0, 9)
    look_until(watching, "taken")
    drop(plant, "scada-2.csv", 0, 9)
    drop(plant, "scada-3.csv", 5, 14)
    look_until(watching, "taken", 3)
    assert len(set(rows(plant))) == len(rows(plant)) == expected(15)
    assert watching.health.good == expected(15)


def test_what_is_not_meant_is_left_where_it_is(tmp_path: Path) -> None:
    plant = works(tmp_path)
    inbox = tmp_path / "in"
    drop(plant, ".scada.csv", 0, 3)
    drop(plant, "scada.csv.part", 0, 3)
    (inbox / "scada-empty.csv").touch()
    (inbox / "scada-folder.csv").mkdir()
    elsewhere = write_readings(tmp_path / "scada-there.csv", counts(0, 3))
    (inbox / "scada-link.csv").symlink_to(elsewhere)
    before = names(inbox)
    drop(plant, "SCADA-1.CSV", 0, 3)
    watching = collector(plant)
    look_until(watching, "refused")  # the name fits the folder's glob; no mapping is for it
    for _ in range(5):
        watching.look()
        time.sleep(0.1)
    assert names(inbox) == before | {"refused"}
    assert rows(plant) == []


def test_a_mapping_by_name_takes_any_name(tmp_path: Path) -> None:
    plant = works(tmp_path, mapping="scada", files="*.txt")
    drop(plant, "DAY 1.TXT", 0, 3)
    look_until(collector(plant), "taken")
    assert len(rows(plant)) == expected(4)


def test_a_file_that_changes_after_its_import_is_taken_again(tmp_path: Path) -> None:
    """Its rows are in the lake, it cannot be moved, and then its sender adds to it."""
    plant = works(tmp_path)
    blocked = tmp_path / "in" / "taken"
    blocked.write_text("a file where the folder should be", encoding="utf-8")
    file = drop(plant, "scada.csv", 0, 3)
    watching = collector(plant)
    until(lambda: watching.look() and "not moved" in watching.health.detail, "the import")
    assert len(rows(plant)) == expected(4)
    file.write_bytes(write_readings(tmp_path / "more", counts(0, 7)).read_bytes())
    blocked.unlink()
    look_until(watching, "taken")
    assert len(set(rows(plant))) == len(rows(plant)) == expected(8)
    assert watching.health.detail == ""


def test_a_file_that_cannot_be_moved_is_reported_once_and_imported_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plant = works(tmp_path)
    (tmp_path / "in" / "taken").write_text("in the way", encoding="utf-8")
    drop(plant, "scada.csv", 0, 3)
    watching = collector(plant)
    with caplog.at_level(logging.INFO):
        until(lambda: watching.look() and "not moved" in watching.health.detail, "the import")
        for _ in range(10):
            watching.look()
    assert sum("not moved" in record.message for record in caplog.records) == 1
    assert sum("rows taken" in record.message for record in caplog.records) == 1


def test_a_folder_that_goes_away_is_reported_once_and_taken_up_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plant = works(tmp_path)
    watching = collector(plant)
    watching.look()
    assert watching.health.state == "up"
    away = (tmp_path / "in").rename(tmp_path / "away")
    with caplog.at_level(logging.INFO):
        for _ in range(5):
            watching.look()
            assert watching.health.state == "down"
        assert "No such file" in watching.health.detail
        away.rename(tmp_path / "in")
        drop(plant, "scada.csv", 0, 3)
        look_until(watching, "taken")
    assert watching.health.state == "up"
    said = [r.message for r in caplog.records if r.message.startswith("historian: /")]
    assert len(said) == 1, said


def test_a_file_that_may_not_be_read_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    with tempfile.TemporaryDirectory() as name, caplog.at_level(logging.WARNING):
        folder = Path(name)
        folder.chmod(0o755)
        plant = works(folder)
        file = drop(plant, "scada.csv", 0, 3)
        file.chmod(0)
        watching = collector(plant)
        watching.look()
        time.sleep(0.3)
        with without_privileges():
            for _ in range(5):
                watching.look()
        assert watching.health.detail == "scada.csv is unreadable"
        assert sum("unreadable" in record.message for record in caplog.records) == 1
        file.chmod(0o644)
        look_until(watching, "taken")
        assert watching.health.detail == ""


@contextmanager
def without_privileges() -> Iterator[None]:
    """Root may read everything: for a while we are nobody."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_busy_lake_only_delays_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "LOCK_TIMEOUT_S", 0.1)
    plant = works(tmp_path)
    file = drop(plant, "scada.csv", 0, 3)
    watching = collector(plant)
    with jobs.open_lake(load_site(plant)).lock(1.0):
        until(lambda: watching.look() and watching.health.state == "waiting", "the busy lake")
        assert file.exists()
    look_until(watching, "taken")
    assert watching.health.state == "up"
    assert len(rows(plant)) == expected(4)


def test_a_mapping_that_changes_is_used_from_the_next_look_on(tmp_path: Path) -> None:
    plant = works(tmp_path)
    site: list[Site] = [load_site(plant)]
    watching = FolderCollector(lambda: site[0], "historian")
    file = drop(plant, "scada.csv", 0, 3)
    file.write_text(file.read_text(encoding="utf-8").replace("time,", "when,"), encoding="utf-8")
    look_until(watching, "refused")
    mapping = {**SECTIONS["imports"]["scada"], "time": {"columns": ["when"]}}
    connections = {"historian": {"type": "folder", "path": "in", **QUICK}}
    site[0] = load_site(write_works(tmp_path, connections=connections, imports={"scada": mapping}))
    (tmp_path / "in" / "refused" / "scada.csv").rename(file)
    look_until(watching, "taken")
    assert len(rows(plant)) == expected(4)


def test_it_ends_when_it_is_told_to_and_not_in_the_middle_of_a_file(tmp_path: Path) -> None:
    plant = works(tmp_path)
    for number in range(3):
        drop(plant, f"scada-{number}.csv", 96 * number, 96 * number + 95)
    watching = collector(plant)

    async def test() -> None:
        task = asyncio.create_task(watching.run())
        while not watching.stats.requests["taken"]:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(test())
    assert watching.health.state == "stopped"
    put_away = len(names(tmp_path / "in" / "taken"))
    assert len(rows(plant)) == expected(96) * put_away
    assert len(names(tmp_path / "in")) == 1 + 3 - put_away


def test_check_refuses_what_cannot_work(tmp_path: Path) -> None:
    missing = works(tmp_path / "a", made=False)
    said = inside("check", "-p", missing)
    assert said.code == 2
    assert f"no folder {tmp_path / 'a' / 'in'}" in said.err
    load_site(missing)  # the daemon starts all the same: a share may come later
    with pytest.raises(ConfigError, match="unknown mapping 'scda'") as refused:
        load_site(works(tmp_path / "b", mapping="scda"))
    assert "plant.yaml:" in str(refused.value)
    twice = {
        name: {"type": "folder", "path": path} for name, path in (("one", "in"), ("two", "./in"))
    }
    with pytest.raises(ConfigError, match="watched by 'one' already"):
        load_site(write_works(tmp_path / "c", connections={**SECTIONS["connections"], **twice}))


def test_check_and_the_daemon_tell_of_the_folder(tmp_path: Path) -> None:
    plant = works(tmp_path)
    line = f"historian: folder {tmp_path / 'in'}, *.csv every 0.1 s, read by the mapping that fits"
    assert line in done("check", "-p", plant).out
    with collecting(plant, tmp_path / "log") as daemon:
        drop(plant, "scada.csv", 0, 95)
        until(lambda: names(tmp_path / "in" / "taken") == {"scada.csv"}, "the file")
        until(
            lambda: f"connection historian: up; this run: {expected(96)} good" in state(plant),
            "the count",
        )
        assert inside("status", "-p", plant).code == 0  # no meter is silent
        assert daemon.stop() == 0
    assert len(rows(plant)) == expected(96)


def state(plant: Path) -> str:
    return inside("status", "-p", plant).err


def test_killed_between_import_and_move_it_takes_the_file_once(tmp_path: Path) -> None:
    plant = works(tmp_path)
    blocked = tmp_path / "in" / "taken"
    blocked.write_text("in the way of the move", encoding="utf-8")
    drop(plant, "scada.csv", 0, 95)
    with collecting(plant, tmp_path / "log") as daemon:
        until(lambda: "not moved" in daemon.said, "the import")
        daemon.kill()
    assert len(rows(plant)) == expected(96)
    blocked.unlink()
    with collecting(plant, tmp_path / "log") as daemon:
        until(lambda: names(blocked) == {"scada.csv"}, "the move")
        assert f"0 rows taken, {expected(96)} known already" in daemon.said
        assert daemon.stop() == 0
    assert len(set(rows(plant))) == len(rows(plant)) == expected(96)


def test_killed_at_random_moments_it_loses_and_doubles_nothing(tmp_path: Path) -> None:
    plant = works(tmp_path, settle_s=0)
    moments = random.Random(SEED)
    dropped = 0
    for _ in range(KILLS):
        daemon = Daemon(plant, tmp_path / "log")
        try:
            daemon.wait_until_it_collects()
            for _ in range(4):
                drop(plant, f"scada-{dropped}.csv", 24 * dropped, 24 * dropped + 23)
                dropped += 1
            time.sleep(moments.uniform(0.0, 0.8))
            daemon.kill()
        finally:
            daemon.close()
    with collecting(plant, tmp_path / "log") as daemon:
        taken = tmp_path / "in" / "taken"
        until(lambda: names(tmp_path / "in") == {"taken"}, "the last file")
        assert daemon.stop() == 0
    assert len(names(taken)) == dropped
    assert len(set(rows(plant))) == len(rows(plant)) == expected(24 * dropped)
