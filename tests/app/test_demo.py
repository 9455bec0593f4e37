"""`kgce demo`: a plant over real sockets, every figure held to the simulator's truth."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import jsonschema
import pytest

from tests.app.commands import done, files_below, inside, kgce

SCHEMA = Path(__file__).parents[2] / "docs" / "schemas" / "indicators.schema.json"
DAYS = 37
"""Past the two days on which the kiln stands, while cement is made."""
DEMO = ("demo", "--seconds", "2", "--dir")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that a demo was run into."""
    folder = tmp_path_factory.mktemp("demo") / "plant"
    ended = kgce(*DEMO, folder, "--days", DAYS)
    assert ended.code == 0, ended
    (folder / "said.txt").write_text(ended.out + ended.err, encoding="utf-8")
    return folder


def test_every_figure_is_the_truth(folder: Path) -> None:
    said = (folder / "said.txt").read_text(encoding="utf-8")
    assert "every figure equals the truth" in said
    found = re.search(r"truth: (\d+) figures by day, month and year, 0 wrong", said)
    assert found is not None, said
    assert int(found[1]) > 50
    expected, good, missing, dropped = (
        int(re.search(rf"{word} ([\d,]+)", said)[1].replace(",", ""))  # type: ignore[index]
        for word in ("expected", "= good", "missing", "dropped")
    )
    assert expected == good + missing + dropped
    # Quarter hours by at least 14 meters, and some seconds live.
    assert expected > 14 * 96 * DAYS


def test_it_finds_the_faults_that_it_plays_and_accuses_no_honest_meter(folder: Path) -> None:
    said = (folder / "said.txt").read_text(encoding="utf-8")
    found = re.findall(r"found: (\S+) at (\S+),", said)
    assert sorted(found) == [("counter.dip", "kiln"), ("counter.rollover", "coal_mill")]


def test_what_it_leaves(folder: Path) -> None:
    left = {path.name for path in folder.iterdir()}
    assert {"plant.yaml", "meters.csv", "data", "out"} <= left
    records = json.loads((folder / "out" / "indicators.json").read_text(encoding="utf-8"))
    jsonschema.validate(records, json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert {r["grain"] for r in records} == {"day", "month", "year"}
    assert {r["subject"] for r in records} >= {"clinker", "cement"}
    assert any(r["value"] is not None and r["level_reached"] is not None for r in records)


def test_its_plant_is_one_like_any_other(folder: Path) -> None:
    plant = folder / "plant.yaml"
    checked = done("check", "-p", plant)
    meters = re.search(r"(\d+) meters", checked.out)
    assert meters is not None
    assert int(meters[1]) >= 14
    shown = inside("show", "indicators", "--by", "day", "--format", "json", "-p", plant)
    out = json.loads((folder / "out" / "indicators.json").read_text(encoding="utf-8"))
    key = ("subject", "indicator", "norm", "period")
    by_day = sorted((r for r in out if r["grain"] == "day"), key=lambda r: [r[k] for k in key])
    assert sorted(shown.records(), key=lambda r: [r[k] for k in key]) == by_day
    assert "nothing changed" in inside("refresh", "-p", plant).err
    again = inside("refresh", "--force", "-p", plant)
    assert again.err.endswith("rows that differ: none\n")
    state = inside("status", "-p", plant, "--format", "json")
    assert state.code == 0, state.err
    assert all(row["balanced"] for row in state.records())


def test_again_into_the_same_folder(folder: Path, tmp_path: Path) -> None:
    """An earlier demo is replaced, whole."""
    copy = tmp_path / "plant"
    shutil.copytree(folder, copy)
    assert kgce(*DEMO, copy, "--days", 3).code == 0
    assert not (copy / "said.txt").exists()
    assert len(json.loads((copy / "out" / "indicators.json").read_text(encoding="utf-8"))) > 0


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    for name, content in (("notes.txt", "mine"), ("plant.yaml", "plant: {id: mine}\n")):
        folder = tmp_path / name.split(".")[0]
        folder.mkdir()
        (folder / name).write_text(content, encoding="utf-8")
        before = files_below(folder)
        ended = kgce(*DEMO, folder, "--days", DAYS)
        assert (ended.code, ended.out) == (2, ""), ended
        assert f"{folder} is not empty, and no earlier demo" in ended.err
        assert files_below(folder) == before


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    ended = kgce(*DEMO, tmp_path / "file")
    assert (ended.code, ended.out) == (2, ""), ended
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"
