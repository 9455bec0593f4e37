"""The two real files of the examples, through the commands that their READMEs give."""

from __future__ import annotations

import csv
import math
import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.app.commands import done, kgce

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
STEEL = DATA / "steel_industry_daewoo_2018_15min.csv"
POWER = DATA / "uci_household_power_1min_2007-02-01_to_02.csv"

needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"the real data are not part of kgce, and {DATA} is not here"
)


def example(name: str, folder: Path) -> Path:
    """The example's plant.yaml, where its data may be written."""
    shutil.copytree(ROOT / "examples" / name, folder / name, ignore=shutil.ignore_patterns("data"))
    return folder / name / "plant.yaml"


def show(plant: Path, by: str) -> list[dict[str, Any]]:
    """Consumption, as the READMEs ask for it."""
    return done("show", "consumption", "--by", by, "--format", "json", "-p", plant).records()


@needs_data
def test_a_year_of_the_steel_works(tmp_path: Path) -> None:
    plant = example("steel-works", tmp_path)
    imported = done("import", "readings", STEEL, "-p", plant)
    assert f"{STEEL}: 35040 rows taken, 0 known already, 0 refused" in imported.err
    (year,) = show(plant, "year")
    assert (year["period"], year["node_id"], year["unit"]) == ("2018", "works", "kWh")
    assert round(year["amount"] * 100) == 95_963_671
    assert year["amount"] == pytest.approx(959_636.71, rel=1e-12)
    assert round(year["kgce_calorific"] / 1000, 3) == 117.939
    assert (year["coverage_ratio"], year["status"]) == (1.0, "complete")
    assert year["low"] == year["high"] == year["amount"]
    days = show(plant, "day")
    assert [d["period"] for d in days] == [
        (date(2018, 1, 1) + timedelta(n)).isoformat() for n in range(365)
    ]
    # The last quarter hour of each day, printed as 00:00 of the same date, is in its own day.
    assert days[0]["amount"] == pytest.approx(steel_day("01/01/2018"), rel=1e-12)
    assert days[-1]["amount"] == pytest.approx(steel_day("31/12/2018"), rel=1e-12)
    assert math.fsum(d["amount"] for d in days) == pytest.approx(959_636.71, rel=1e-12)

    again = done("import", "readings", STEEL, "-p", plant)
    assert "0 rows taken, 35040 known already, 0 refused" in again.err
    assert "nothing changed since the last refresh" in again.err
    assert show(plant, "year") == [year]


def steel_day(day: str) -> float:
    with STEEL.open(encoding="utf-8-sig", newline="") as stream:
        rows = [r for r in csv.DictReader(stream) if r["date"].startswith(day)]
    assert len(rows) == 96
    return math.fsum(float(row["Usage_kWh"]) for row in rows)


@needs_data
def test_two_days_of_a_household(tmp_path: Path) -> None:
    plant = example("household-power", tmp_path)
    imported = done("import", "readings", POWER, "-p", plant)
    assert f"{POWER}: 11520 rows taken, 0 known already, 0 refused" in imported.err
    with POWER.open(encoding="utf-8", newline="") as stream:
        minutes = list(csv.DictReader(stream, delimiter=";"))
    assert len(minutes) == 2880
    house = [day for day in show(plant, "day") if day["node_id"] == "house"]
    assert [day["period"] for day in house] == ["2007-02-01", "2007-02-02"]
    minute_means_kwh = math.fsum(float(row["Global_active_power"]) for row in minutes) / 60
    total_kwh = math.fsum(day["amount"] for day in house)
    assert total_kwh == pytest.approx(minute_means_kwh, rel=0.001)
    # More than asked: a mean over a minute is exact, and so is each day.
    assert total_kwh == pytest.approx(minute_means_kwh, rel=1e-9)
    for day, start in zip(house, (0, 1440), strict=True):
        means = (float(row["Global_active_power"]) for row in minutes[start : start + 1440])
        assert day["amount"] == pytest.approx(math.fsum(means) / 60, rel=1e-9)
        assert (day["coverage_ratio"], day["status"]) == (1.0, "complete")
    kitchen = [day["amount"] for day in show(plant, "day") if day["node_id"] == "kitchen"]
    watt_hours = math.fsum(float(row["Sub_metering_1"]) for row in minutes)
    assert math.fsum(kitchen) == pytest.approx(watt_hours / 1000, rel=1e-9)


@pytest.mark.parametrize("name", sorted(p.name for p in (ROOT / "examples").iterdir()))
def test_every_example_checks(name: str, tmp_path: Path) -> None:
    plant = example(name, tmp_path)
    assert done("check", "-p", plant).err == ""
    text = (ROOT / "examples" / name / "README.md").read_text(encoding="utf-8")
    commands = [line for line in text.splitlines() if line.startswith("kgce ")]
    assert commands
    for command in commands:
        assert f"-p examples/{name}/plant.yaml" in command
        assert kgce(command.split()[1], "--help").code == 0


def test_the_examples_are_there() -> None:
    assert {"steel-works", "household-power"} <= {p.name for p in (ROOT / "examples").iterdir()}
