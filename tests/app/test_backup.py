"""A backup of a plant that goes on collecting, put elsewhere; damage of it is found and named."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from app import jobs
from app.restore import restore
from app.sites import load_site
from config.tables import TABLES
from tests.app.commands import collecting, files_below, inside, until
from tests.app.lab import (
    UNLIMITED,
    Publisher,
    Units,
    assert_every_tick_has_one_outcome,
    numbers_in_lake,
    write_lab,
)
from tests.app.works import filled, write_works
from tests.mosquitto import running_broker
from tests.plants import write_plant


def shown(plant: Path) -> dict[str, Any]:
    """The figures as `kgce show` gives them, and the rows of every table."""
    figures: dict[str, Any] = {
        what: inside("show", what, "-p", plant, "--format", "json").records()
        for what in ("consumption", "indicators")
    }
    site = load_site(plant)
    lake = jobs.open_lake(site)
    tables = {
        name: lake.scan(table, site.id).collect().sort(table.names).rows()
        for name, table in TABLES.items()
    }
    assert all(figures.values())
    assert tables["readings"]
    return figures | tables


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days of the works, with a register map and a file of refused rows."""
    file = write_works(tmp_path_factory.mktemp("backed-up") / "works")
    filled(file, days=2)
    (file.parent / "devices").mkdir()
    (file.parent / "devices" / "own.yaml").write_text("# a register map\n")
    (file.parent / "data" / "refused").mkdir()
    (file.parent / "data" / "refused" / "rows.csv").write_text("a,b\n")
    return file


@pytest.fixture(scope="module")
def archive(plant: Path) -> Path:
    target = plant.parent.parent / "plant.tar"
    ended = inside("backup", target, "-p", plant)
    assert ended.code == 0, ended
    return target


def members(archive: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(archive) as tar:
        return {member.name: member for member in tar}


class TestWhatIsBackedUp:
    def test_everything_comes_back(self, plant: Path, archive: Path, tmp_path: Path) -> None:
        ended = inside("restore", archive, tmp_path / "there")
        assert ended.code == 0, ended
        there = tmp_path / "there" / "plant.yaml"
        assert shown(there) == shown(plant)
        for name in ("plant.yaml", "meters.csv", "devices/own.yaml", "data/refused/rows.csv"):
            assert (there.parent / name).read_bytes() == (plant.parent / name).read_bytes()
        assert not (there.parent / "scada.csv").exists()  # nothing that was only beside it
        site = load_site(there)
        assert jobs.open_lake(site).versions() == jobs.open_lake(load_site(plant)).versions()

    def test_the_manifest_states_every_file_table_and_version(
        self, plant: Path, archive: Path
    ) -> None:
        held = members(archive)
        with tarfile.open(archive) as tar:
            manifest = json.load(tar.extractfile("manifest.json"))
        assert list(held)[-1] == "manifest.json"
        assert set(manifest["files"]) == set(held) - {"manifest.json"}
        assert all(manifest["files"][n]["size"] == held[n].size for n in manifest["files"])
        lake = jobs.open_lake(load_site(plant))
        assert {n: t["version"] for n, t in manifest["tables"].items()} == lake.versions()
        assert manifest["tables"]["readings"]["rows"] == 4 * (2 * 96 + 1)
        assert archive.stat().st_mode & 0o077 == 0  # it may hold passwords

    def test_verify_uses_it_and_leaves_nothing(
        self, plant: Path, archive: Path, tmp_path: Path
    ) -> None:
        before = files_below(plant.parent)
        ended = inside("restore", archive, "--verify", env={"TMPDIR": str(tmp_path)})
        assert ended.code == 0, ended
        assert f"table readings: version 1, all {4 * (2 * 96 + 1)} rows read" in ended.out
        assert "all figures recomputed: none differs" in ended.out
        assert "can be used" in ended.err
        assert list(tmp_path.iterdir()) == []
        assert files_below(plant.parent) == before

    def test_a_folder_gets_a_file_named_by_time_each_time(
        self, plant: Path, tmp_path: Path
    ) -> None:
        inside("backup", tmp_path, "-p", plant)
        (made,) = tmp_path.iterdir()
        assert made.name.startswith("kgce-works-2")
        assert made.name.endswith("Z.tar")

    def test_a_plant_that_has_collected_nothing_yet(self, tmp_path: Path) -> None:
        plant = write_plant(tmp_path / "new")
        assert inside("backup", tmp_path / "new.tar", "-p", plant).code == 0
        ended = inside("restore", tmp_path / "new.tar", "--verify")
        assert ended.code == 0, ended
        assert "nothing had been collected yet" in ended.out

    def test_files_outside_the_plants_folder_are_kept_and_named(self, tmp_path: Path) -> None:
        keys = tmp_path / "keys"
        keys.mkdir()
        (keys / "password").write_text("secret")
        plant = write_plant(
            tmp_path / "plant",
            connections={
                "broker": {
                    "type": "mqtt", "host": "127.0.0.1", "username": "kgce",
                    "password_file": str(keys / "password"),
                },
                "gateway": {"type": "modbus_tcp", "host": "127.0.0.1"},
                "historian": {"type": "files"},
            },
            storage={"path": str(tmp_path / "far" / "data")},
        )  # fmt: skip
        assert inside("backup", tmp_path / "b.tar", "-p", plant).code == 0
        ended = inside("restore", tmp_path / "b.tar", tmp_path / "there")
        assert ended.code == 0, ended
        (kept,) = (tmp_path / "there" / "elsewhere").rglob("password")
        assert kept.read_text() == "secret"
        assert f"plant.yaml names {keys / 'password'}: it is in {kept}" in ended.err
        assert f"set it to {tmp_path / 'there' / 'data'}" in ended.err
        # Verified, the copy is used, and not the data that plant.yaml still names.
        before = files_below(tmp_path / "far") if (tmp_path / "far").exists() else None
        assert inside("restore", tmp_path / "b.tar", "--verify").code == 0
        assert (files_below(tmp_path / "far") if (tmp_path / "far").exists() else None) == before


class TestWhileItCollects:
    def test_each_reading_is_in_it_once(self, tmp_path: Path) -> None:
        """Spool and lake belong together: what waited goes into the lake once, and none is lost."""
        with (
            Units() as units,
            running_broker(tmp_path, extra=UNLIMITED) as broker,
            Publisher(broker.port) as publisher,
        ):
            plant = write_lab(tmp_path / "lab", modbus_port=units.port, mqtt_port=broker.port)
            with collecting(plant, tmp_path / "log") as daemon:
                publisher.publish_all_the_time(pause_s=0.02)
                until(lambda: len(numbers_in_lake(plant)) > 20, "messages in the lake")
                archives = []
                for n in range(2):
                    known = numbers_in_lake(plant)[-1]
                    assert inside("backup", tmp_path / f"{n}.tar", "-p", plant).code == 0
                    archives.append((tmp_path / f"{n}.tar", known))
                    until(lambda k=known: numbers_in_lake(plant)[-1] > k + 20, "it goes on")
                publisher.stop()
                assert daemon.stop() == 0
        for archive, known in archives:
            there = tmp_path / archive.stem
            assert inside("restore", archive, there).code == 0
            assert inside("refresh", "-p", there / "plant.yaml").code == 0
            numbers = numbers_in_lake(there / "plant.yaml")
            assert numbers == list(range(1, len(numbers) + 1))
            assert len(numbers) >= known
            for meter in ("e-one", "e-two"):
                assert_every_tick_has_one_outcome(there / "plant.yaml", meter)
        assert inside("restore", archives[-1][0], "--verify").code == 0


class TestDamage:
    def spoiled(self, archive: Path, at: int, folder: Path) -> Path:
        content = bytearray(archive.read_bytes())
        content[at] ^= 1
        spoiled = folder / "spoiled.tar"
        spoiled.write_bytes(content)
        return spoiled

    @pytest.mark.parametrize(
        "part",
        [".parquet", "plant.yaml", "_delta_log/00000000000000000001.json"],
    )
    def test_one_flipped_bit_is_found_and_named(
        self, archive: Path, tmp_path: Path, part: str
    ) -> None:
        held = members(archive)
        member = next(held[name] for name in held if name.endswith(part))
        spoiled = self.spoiled(archive, member.offset_data + member.size // 2, tmp_path)
        for more in ([tmp_path / "there"], ["--verify"]):
            ended = inside("restore", spoiled, *more, env={"TMPDIR": str(tmp_path)})
            assert ended.code == 1, ended
            assert f"! {member.name} was changed" in ended.err
        assert [path.name for path in tmp_path.iterdir()] == ["spoiled.tar"]

    def test_a_backup_cut_short_is_refused(self, archive: Path, tmp_path: Path) -> None:
        content = archive.read_bytes()
        last = members(archive)["manifest.json"]
        lengths = [0, 1000, len(content) // 2, last.offset_data - 512, last.offset_data + 100]
        for length in lengths:
            cut = tmp_path / "cut.tar"
            cut.write_bytes(content[:length])
            ended = inside("restore", cut, tmp_path / "there")
            assert ended.code == 1, (length, ended)
            assert not (tmp_path / "there").exists()

    def test_a_file_that_is_no_backup(self, tmp_path: Path) -> None:
        (tmp_path / "notes.tar").write_text("hello")
        assert inside("restore", tmp_path / "notes.tar", "--verify").code == 1
        assert inside("restore", tmp_path / "absent.tar", "--verify").code == 2

    def test_figures_that_are_not_those_of_the_readings_are_found(self, tmp_path: Path) -> None:
        """Every hash is right, but a figure was changed before it was backed up."""
        plant = write_works(tmp_path / "works")
        site, lake = filled(plant, days=2)
        table = TABLES["consumption"]
        rows = lake.scan(table, site.id).collect()
        lake.replace(table, site.id, rows.with_columns(amount=rows["amount"] * 1.01))
        assert inside("backup", tmp_path / "b.tar", "-p", plant).code == 0
        ended = inside("restore", tmp_path / "b.tar", "--verify")
        assert ended.code == 1
        assert "recomputed, the figures of consumption are others" in ended.err


class TestRefused:
    def test_a_backup_is_never_written_over(self, plant: Path, archive: Path) -> None:
        before = archive.read_bytes()
        ended = inside("backup", archive, "-p", plant)
        assert ended.code == 2
        assert "exists already" in ended.err
        assert archive.read_bytes() == before

    def test_a_backup_into_the_data_itself(self, plant: Path) -> None:
        ended = inside("backup", plant.parent / "data" / "b.tar", "-p", plant)
        assert ended.code == 2
        assert "inside the plant's data folder" in ended.err

    def test_a_restore_over_something(self, archive: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("mine")
        for folder in (tmp_path, tmp_path / "file"):
            ended = inside("restore", archive, folder)
            assert ended.code == 2
            assert "not empty" in ended.err
        assert files_below(tmp_path) == {tmp_path / "file": b"mine"}
        (tmp_path / "empty").mkdir()
        assert inside("restore", archive, tmp_path / "empty").code == 0

    def test_neither_or_both_of_folder_and_verify(self, archive: Path, tmp_path: Path) -> None:
        assert inside("restore", archive).code == 2
        assert inside("restore", archive, tmp_path / "there", "--verify").code == 2


class TestFullDisk:
    def test_it_is_seen_before_anything_is_written(self, plant: Path, small_disk: Path) -> None:
        ended = inside("backup", small_disk / "b.tar", "-p", plant)
        assert ended.code == 2
        assert "1 MB free" in ended.err
        assert list(small_disk.iterdir()) == []

    def test_a_disk_that_fills_up_leaves_no_half_backup(
        self, plant: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Somebody else fills it while the backup is made: the look ahead cannot help.
        monkeypatch.setattr("app.backup.SPARE_BYTES", -(2**30))
        (plant.parent / "data" / "refused" / "large.csv").write_bytes(os.urandom(2**20))
        try:
            ended = inside("backup", small_disk / "b.tar", "-p", plant)
        finally:
            (plant.parent / "data" / "refused" / "large.csv").unlink()
        assert ended.code == 2
        assert "No space left" in ended.err
        assert list(small_disk.iterdir()) == []

    def test_nor_half_a_plant(
        self, archive: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("app.restore.SPARE_BYTES", -(2**30))
        (small_disk / "filling").write_bytes(bytes(2**20 - 40_000))
        ended = inside("restore", archive, small_disk / "there")
        assert ended.code == 2
        assert "No space left" in ended.err
        assert [path.name for path in small_disk.iterdir()] == ["filling"]


def test_it_can_be_restored_by_code(archive: Path, tmp_path: Path) -> None:
    restored = restore(archive, tmp_path / "there")
    assert restored.storage == tmp_path / "there" / "data"
    assert (restored.wants_path, restored.moved) == (False, {})
