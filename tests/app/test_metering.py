"""`kgce metering`: rates from tree and ledger, calibration, accuracy, and which edition judged."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from config.errors import ConfigError
from config.load import load
from tests.app.commands import inside
from tests.app.works import METERS, filled, write_works

DAY = "2025-10-01"
DATES = {"calibrated_on": "2025-01-01", "calibration_due": "2026-01-01"}
LEDGER = [row | DATES | {"accuracy_class": "0.5"} for row in METERS]


def rates(plant: Path, day: str = DAY, *more: str) -> dict[tuple[str, str], dict[str, Any]]:
    ended = inside("metering", "--on", day, "-p", plant, "--format", "json", *more)
    assert ended.code in (0, 1), ended
    return {(row["energy_class"], row["level"]): row for row in ended.records()}


def meters(plant: Path, day: str = DAY) -> dict[str, dict[str, Any]]:
    ended = inside("metering", "--meters", "--on", day, "-p", plant, "--format", "json")
    return {row["meter_id"]: row for row in ended.records()}


def works(folder: Path, **sections: Any) -> Path:
    plant = write_works(folder, meters=LEDGER, **sections)
    filled(plant, days=31)
    return plant


def test_the_works_is_provided_and_says_by_which_edition(tmp_path: Path) -> None:
    plant = works(tmp_path)
    found = rates(plant)
    assert {key: (row["needed"], row["value"], row["status"]) for key, row in found.items()} == {
        ("electricity", "plant"): (1.0, 100.0, "met"),
        ("coal", "plant"): (1.0, 100.0, "met"),
        ("electricity", "process"): (2.0, 100.0, "met"),
        ("coal", "process"): (1.0, 100.0, "met"),
    }
    assert {row["edition"] for row in found.values()} == {"GB 17167-2006"}
    assert {row["newer_edition"] for row in found.values()} == {""}
    # The rate at the plant was read; that the kiln is a main unit hangs on a threshold from memory.
    assert found["electricity", "plant"]["confidence"] == "seen"
    assert found["electricity", "process"]["confidence"] == "recalled"
    now = inside("metering", "--on", "2026-02-01", "-p", plant)
    assert "GB 17167-2025 is in force and its contents are not here" in now.err
    assert now.code == 1  # its meters were due on 2026-01-01
    assert inside("metering", "--on", DAY, "-p", plant).code == 0


def test_a_file_of_the_newer_edition_judges_from_its_day(tmp_path: Path) -> None:
    columns = (
        "id,edition,kind,energy_class,level,case,grade,value,unit,effective_from,effective_to,"
        "confidence,note\n"
    )
    row = "new,GB 17167-2025,provision,electricity,plant,,,100,%,2026-02-01,,seen,page 5\n"
    tmp_path.mkdir(exist_ok=True)
    (tmp_path / "own.csv").write_text(columns + row, encoding="utf-8")
    told = {"standards": {"metering_provision": "own.csv"}}
    plant = works(tmp_path, assessment=told)
    before, after = rates(plant, "2026-01-31"), rates(plant, "2026-02-01")
    key = ("electricity", "plant")
    assert before[key]["edition"] == "GB 17167-2006"
    assert (after[key]["edition"], after[key]["newer_edition"]) == ("GB 17167-2025", "")
    assert json.loads(after[key]["rows"]) == ["new"]
    # What the file does not hold is not known, and the older edition's row does not step in.
    assert after["coal", "plant"]["status"] == "unknown"
    assert after["coal", "plant"]["required"] is None


def test_flows_without_a_meter_lower_the_rate(tmp_path: Path) -> None:
    nodes = {
        "works": {"name": "Works", "level": "plant"},
        "kiln": {"name": "Kiln", "level": "process", "parent": "works"},
        "mill": {"name": "Mill", "level": "process", "parent": "works"},
        "fan": {"name": "Fan", "level": "equipment", "parent": "kiln"},
        "dryer": {"name": "Dryer", "level": "equipment", "parent": "mill"},
    }
    unmetered = [
        {"node": "works", "energy": "electricity", "note": "feeder 2"},
        {"node": "mill", "energy": "diesel", "yearly_amount": 39_999},  # kg; 40 t/a is a main unit
        {"node": "kiln", "energy": "diesel", "yearly_amount": 40_000},
        {"node": "fan", "energy": "electricity", "rated_per_h": 500},  # the kiln has a meter
        {"node": "dryer", "energy": "diesel", "rated_per_h": 600, "points": 2},  # 0.5 t/h
        {"node": "dryer", "energy": "coke"},  # nobody knows its size
    ]
    found = rates(works(tmp_path, nodes=nodes, assessment={"metering": {"unmetered": unmetered}}))
    plant = found["electricity", "plant"]
    assert (plant["needed"], plant["installed"], plant["value"]) == (2.0, 1.0, 50.0)
    assert plant["status"] == "not_met"
    diesel = found["oil_products", "process"]
    assert (diesel["needed"], diesel["value"], diesel["status"]) == (1.0, 0.0, "not_met")
    assert ("electricity", "equipment") not in found
    dryer = found["oil_products", "equipment"]
    assert (dryer["needed"], dryer["value"], dryer["required"]) == (2.0, 0.0, 95.0)
    coke = found["coke", "equipment"]
    assert (coke["value"], coke["low"], coke["high"], coke["status"]) == (None, 0, 100, "unknown")


def test_a_statement_is_a_meter_where_the_ledger_says_by_which(tmp_path: Path) -> None:
    plant = write_works(tmp_path)  # without accuracy class and dates
    filled(plant)
    coal = rates(plant)["coal", "plant"]
    assert (coal["value"], coal["low"], coal["high"]) == (None, 0.0, 100.0)
    assert "no accuracy class or calibration says by which instrument" in coal["reason"]


def test_calibration_and_accuracy_by_meter(tmp_path: Path) -> None:
    ledger = [
        row | {"e-kiln": {"calibration_due": "2025-09-30"}, "e-mill": {"calibration_due": ""},
               "e-works": {"accuracy_class": "1.0"}}.get(row["meter_id"], {})
        for row in LEDGER
    ]  # fmt: skip
    plant = write_works(tmp_path, meters=ledger)
    filled(plant, days=31)
    found = meters(plant)
    assert {one: row["calibration"] for one, row in found.items()} == {
        "c-kiln": "valid", "e-kiln": "overdue", "e-mill": "unknown", "e-works": "valid",
    }  # fmt: skip
    assert found["e-kiln"]["days_left"] == -1
    # 115,200 kWh a month make the user one of class III at the least.
    assert found["e-works"]["required_class"] == "0.5S / 0.5 / 1.0"
    assert found["e-works"]["accuracy"] == "unknown"
    assert found["e-kiln"]["accuracy"] == "inside"
    ended = inside("metering", "--on", DAY, "-p", plant)
    assert ended.code == 1
    assert "calibration overdue: e-kiln" in ended.err


@pytest.mark.parametrize(("stated", "accuracy"), [("III", "met"), ("II", "not_met")])
def test_a_stated_class_of_user_settles_the_accuracy(
    tmp_path: Path, stated: str, accuracy: str
) -> None:
    ledger = [row | {"accuracy_class": "1.0"} for row in LEDGER]
    told = {"metering": {"user_class": stated}}
    plant = write_works(tmp_path, meters=ledger, assessment=told)
    filled(plant, days=31)
    assert meters(plant)["e-works"]["accuracy"] == accuracy


def test_the_rows_of_the_edition_are_the_ones_of_the_table() -> None:
    file = Path(__file__).parents[2] / "config" / "standards" / "metering_provision.csv"
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    asked = {row["id"]: row["value"] for row in rows if row["kind"] == "provision"}
    assert asked["GB 17167-2006|provision|steam|process"] == "80"
    assert asked["GB 17167-2006|provision|waste_energy|equipment"] == ""
    assert len(asked) == 14 * 3
    assert all(row["id"].split("|")[0] == row["edition"] for row in rows)
    doubtful = [row for row in rows if row["value"] == "" and row["kind"] == "provision"]
    assert {row["confidence"] for row in doubtful} == {"doubtful"}


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "node": (
        {"metering": {"unmetered": [{"node": "kilm", "energy": "diesel"}]}},
        r"(?s)assessment\.metering\.unmetered\.0\.node.*kilm.*did you mean 'kiln'",
    ),
    "energy": (
        {"metering": {"unmetered": [{"node": "kiln", "energy": "deisel"}]}},
        r"(?s)energy.*deisel.*did you mean 'diesel'",
    ),
    "product": ({"supervision": {"new_products": ["clinkr"]}}, r"new_products.*clinkr"),
    "meter": (
        {"supervision": {"filed_outages": [
            {"meters": ["e-kilm"], "first_day": "2025-11-01", "last_day": "2025-11-02", "note": "x"}
        ]}},
        r"filed_outages.*e-kilm",
    ),
    "days": (
        {"supervision": {"filed_outages": [
            {"first_day": "2025-11-03", "last_day": "2025-11-02", "note": "x"}
        ]}},
        r"last_day 2025-11-02 is before first_day",
    ),
    "unit": (
        {"supervision": {"reported": [{"node": "works", "energy": "electricity", "unit": "t",
                                       "period": "2025-11", "amount": 1, "source": "205-1"}]}},
        r"unit.*'t' \(mass\) does not convert to 'kWh'",
    ),
    "twice": (
        {"supervision": {"reported": [{"node": "works", "energy": "electricity", "unit": "kWh",
                                       "period": "2025-11", "amount": 1, "source": "205-1"}] * 2}},
        r"stands twice",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_with_its_place(name: str, tmp_path: Path) -> None:
    told, says = WRONG[name]
    with pytest.raises(ConfigError, match=says):
        load(write_works(tmp_path, assessment=told))
