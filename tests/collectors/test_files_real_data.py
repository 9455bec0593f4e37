"""The example plants import the real files that they are for."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from collectors.files import ReadFile, read_readings
from config.load import load

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("KGCE_SHARED_DATA") or ROOT.parent / "shared" / "data")
STEEL = DATA / "steel_industry_daewoo_2018_15min.csv"
HOUSEHOLD = DATA / "uci_household_power_1min_2007-02-01_to_02.csv"
GONE = "not there; KGCE_SHARED_DATA names its folder"


def imported(example: str, mapping: str, file: Path) -> ReadFile:
    if not file.is_file():
        pytest.skip(f"{file}: {GONE}")
    site = load(ROOT / "examples" / example / "plant.yaml")
    how = site.plant.imports[mapping]
    assert file.match(how.files)
    return read_readings(file, how, site)


@pytest.mark.parametrize("example", ["steel-works", "household-power"])
def test_the_example_loads(example: str) -> None:
    assert load(ROOT / "examples" / example / "plant.yaml").plant.imports


def test_a_year_of_the_steel_works() -> None:
    read = imported("steel-works", "steel", STEEL)
    assert read.refused.is_empty()
    assert read.rows["value"].sum() == pytest.approx(959_636.71, abs=1e-6)
    assert set(read.rows["status"]) == {"good"}
    # 15-minute ends from 2018-01-01 00:15 to 2019-01-01 00:00 in Seoul (UTC+9), each once
    ends = read.rows["time_utc"].to_list()
    first = datetime(2017, 12, 31, 15, 15, tzinfo=UTC)
    assert ends == [first + number * timedelta(minutes=15) for number in range(35_040)]
    assert ends[-1] == datetime(2018, 12, 31, 15, tzinfo=UTC)


def test_two_days_of_the_household() -> None:
    read = imported("household-power", "household", HOUSEHOLD)
    assert read.refused.is_empty()
    power_kw = read.rows.filter(meter_id="incomer")
    # Paris is at UTC+1; the minute from 00:00 ends at 00:01.
    first = datetime(2007, 1, 31, 23, 1, tzinfo=UTC)
    assert power_kw["time_utc"].to_list() == [
        first + number * timedelta(minutes=1) for number in range(2880)
    ]
    assert power_kw["value"][0] == 0.326
    assert power_kw["value"].sum() / 60 == pytest.approx(58.208267, abs=1e-6)
    assert read.rows.height == 4 * 2880
