"""Which emission factor holds, and that what the file prints is what its constituents give."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from config.carbon import Carbon
from config.models import FactorRow
from config.standards import read_library
from config.standards_emission import GRID_REGIONS, NATION, EmissionRow, RegionRow
from config.standards_files import read_dataset
from config.standards_rows import STANDARDS_FOLDER
from indicators.emission_factors import (
    CarbonRules,
    EmissionFactor,
    emission_factor,
    fuel_factor,
    grid_factor,
)
from indicators.integrity import emission_doubts

DAY = date(2025, 9, 1)
FUJIAN = "350000"
MEASURED = {"energy": "raw_coal", "effective_from": "2025-01-01", "source": "certificate 12"}


def rules(region: str = FUJIAN, **settings: Any) -> CarbonRules:
    rows, regions = read_dataset(EmissionRow), read_dataset(RegionRow)
    return CarbonRules(Carbon.model_validate(settings), region, read_library(), rows, regions)


def printed() -> list[dict[str, str]]:
    with (STANDARDS_FOLDER / "emission_factors.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_row_is_there() -> None:
    kinds = [row.kind for row in read_dataset(EmissionRow).values()]
    assert {kind: kinds.count(kind) for kind in kinds} == {"grid": 70, "heat": 1, "fuel": 68}


def test_what_is_printed_is_what_the_constituents_give() -> None:
    whole, without, off = 0, dict[str, int](), []
    for row in printed():
        parts = [row[k] for k in ("ncv_gj_per_unit", "carbon_tc_per_tj", "oxidation_ratio")]
        if row["kind"] != "fuel":
            continue
        if not all(parts) or not row["tco2_per_unit"]:
            without[row["fuel_set"]] = without.get(row["fuel_set"], 0) + 1
            continue
        ncv, carbon, oxidation = map(Decimal, parts)
        made = ncv * carbon * oxidation * 44 / 12 / 1000
        stated = Decimal(row["tco2_per_unit"])
        last_digit = Decimal(1).scaleb(stated.as_tuple().exponent)  # type: ignore[arg-type]
        assert abs(made - stated) <= last_digit, row["id"]
        if abs(made - stated) > last_digit / 2:
            off.append((row["id"], f"{stated} {made:.6f}"))
        whole += 1
    assert (whole, without) == (53, {"public_institutions": 10, "power": 5})
    assert off == [("fuel|provincial_2025|bituminous_coal", "1.7418 1.741750")]


def test_every_province_leads_to_a_grid() -> None:
    regions = read_dataset(RegionRow).values()
    places = {row.region for row in read_dataset(EmissionRow).values() if row.kind == "grid"}
    assert {row.grid_region for row in regions} == {*GRID_REGIONS, ""}
    assert places == {row.name_zh for row in regions if row.name_zh in places} | {
        *GRID_REGIONS,
        NATION,
    }
    by_code = {row.id: row for row in regions}
    assert (by_code["35"].name_zh, by_code["35"].grid_region) == ("福建", "East")


# region, year, settings -> factor [tCO2/MWh], row, what the note says
GRID: dict[str, tuple[str, int, dict[str, Any], float | None, str, str]] = {
    "of the year": (FUJIAN, 2023, {}, 0.4211, "grid|福建|2023", ""),
    "of an earlier year": (FUJIAN, 2025, {}, 0.4211, "grid|福建|2023", "of 2023"),
    "never of a later year": (FUJIAN, 2022, {}, 0.4092, "grid|福建|2022", ""),
    "the region where the province has none so early": (
        FUJIAN, 2020, {}, 0.7035, "grid|East|2012", "none of 福建 up to 2020; of 2012",
    ),
    "a province without rows": ("540100", 2023, {}, 0.2472, "grid|Southwest|2023", "none of 西藏"),
    "the region, by choice": (
        FUJIAN, 2023, {"grid_level": "region"}, 0.55, "grid|East|2023", "",
    ),
    "the nation, by choice": (FUJIAN, 2023, {"grid_level": "nation"}, 0.5306, "grid|CN|2023", ""),
    "two grids": ("150000", 2022, {"grid_level": "region"}, 0.5366, "grid|CN|2022", ""),
    "one of two grids": (
        "150000", 2022, {"grid_level": "region", "grid_region": "Northeast"},
        0.5564, "grid|Northeast|2022", "",
    ),
    "no region": ("", 2023, {}, 0.5306, "grid|CN|2023", "plant.region is not stated"),
    "another use": (
        FUJIAN, 2023, {"grid_use": "fossil"}, 0.8273, "grid|CN|2023|fossil", "none of 福建",
    ),
    "nothing so early": (FUJIAN, 2011, {}, None, "", "no grid factor"),
    "the plant's own": (
        FUJIAN, 2025, {"grid": [{"year": 2024, "tco2_per_mwh": 0.4, "source": "notice 9"}]},
        0.4, "plant|grid|2024", "notice 9; of 2024",
    ),
    "the plant's own is of a later year": (
        FUJIAN, 2023, {"grid": [{"year": 2024, "tco2_per_mwh": 0.4, "source": "notice 9"}]},
        0.4211, "grid|福建|2023", "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", GRID)
def test_grid_factor(case: str) -> None:
    region, year, settings, value, row, said = GRID[case]
    found = grid_factor(rules(region, **settings), year)
    assert (found.tco2_per_unit, found.row) == (value, row)
    assert said in found.note if said else found.note == ""


def test_the_region_of_a_province_is_recalled() -> None:
    assert grid_factor(rules(), 2023).confidence == "seen"
    assert grid_factor(rules(grid_level="region"), 2023).confidence == "recalled"
    assert grid_factor(rules(grid_level="region", grid_region="East"), 2023).confidence == "seen"
    assert grid_factor(rules(), 2021).confidence == "recalled"


def of(energy: str, unit: str, **settings: Any) -> EmissionFactor:
    found = emission_factor(rules(**settings), energy, unit, DAY)
    assert found is not None
    return found


def test_a_thousand_tonnes_of_bituminous_coal() -> None:
    found = of("raw_coal", "kg", fuels=[{**MEASURED, "fuel": "bituminous_coal"}])
    assert found.tco2_per_unit is not None
    assert found.tco2_per_unit * 1e6 == pytest.approx(23.204 * 26.18 * 0.93 * 44 / 12, rel=1e-12)
    assert found.tco2_per_unit * 1e6 == pytest.approx(2071.5, abs=0.01)
    assert (found.row, found.note) == ("fuel|ndrc|bituminous_coal", "certificate 12")


def test_gas_converts_from_ten_thousand_cubic_metres() -> None:
    found = of("natural_gas", "m3")
    assert found.tco2_per_unit == pytest.approx(389.31 * 15.3 * 0.99 * 44 / 12 / 1e7, rel=1e-12)


def test_a_calorific_value_that_only_the_coal_equivalent_takes_is_said() -> None:
    own = FactorRow.model_validate(
        {
            "energy": "natural_gas", "unit": "m3", "ncv_kj_per_unit": 35_000,
            "effective_from": "2025-01-01", "source": "certificate 3",
        }
    )  # fmt: skip
    mine = rules()._replace(library=read_library().with_own((own,)))
    found = fuel_factor(mine, "natural_gas", DAY)
    assert found.tco2_per_unit == fuel_factor(rules(), "natural_gas", DAY).tco2_per_unit
    assert "not by the plant's own of `factors`" in found.note
    gas = {**MEASURED, "energy": "natural_gas", "unit": "m3", "ncv_gj_per_unit": 0.035}
    measured = mine._replace(settings=Carbon.model_validate({"fuels": [gas]}))
    found = fuel_factor(measured, "natural_gas", DAY)
    assert found.tco2_per_unit == pytest.approx(0.035 * 15.3 * 0.99 * 44 / 12 / 1000)
    assert found.note == "certificate 12"


def test_what_was_measured_stands_in_the_place_of_the_row() -> None:
    measured = {**MEASURED, "fuel": "bituminous_coal", "unit": "t", "ncv_gj_per_unit": 25.0}
    found = of("raw_coal", "t", fuels=[measured])
    assert found.tco2_per_unit == pytest.approx(25.0 * 26.18 * 0.93 * 44 / 12 / 1000, rel=1e-12)
    assert found.row == "plant|raw_coal|2025-01-01;fuel|ndrc|bituminous_coal"
    whole = {**measured, "carbon_tc_per_tj": 27.0, "oxidation_ratio": 0.98}
    found = of("raw_coal", "t", fuels=[whole])
    assert found.tco2_per_unit == pytest.approx(25.0 * 27.0 * 0.98 * 44 / 12 / 1000, rel=1e-12)
    assert found.row == "plant|raw_coal|2025-01-01"
    later = {**whole, "effective_from": "2025-10-01"}
    assert of("raw_coal", "t", fuels=[later]).tco2_per_unit is None


@pytest.mark.parametrize(
    ("energy", "settings", "says"),
    [
        ("raw_coal", {}, "no row of raw_coal in the set ndrc"),
        ("producer_gas", {}, "there is one in provincial_old"),
        ("hydrogen", {}, "no row of hydrogen"),
        ("coal_slime", {"fuel_set": "power"}, "oxidation rate not known"),
        ("diesel", {"fuel_set": "public_institutions"}, "is per L, and amounts are in kg"),
        ("coke", {"fuels": [{**MEASURED, "energy": "coke", "fuel_set": "power"}]}, "set power"),
    ],
)
def test_an_unknown_fuel_is_unknown(energy: str, settings: dict[str, Any], says: str) -> None:
    found = of(energy, read_library().energies[energy], **settings)
    assert found.tco2_per_unit is None
    assert says in found.note


def test_blast_furnace_gas_of_the_contradicted_set_is_doubtful() -> None:
    ours = of("blast_furnace_gas", "m3")
    assert (ours.row, ours.confidence, ours.note) == ("fuel|ndrc|blast_furnace_gas", "seen", "")
    assert ours.tco2_per_unit == pytest.approx(37.69 * 70.8 * 0.99 * 44 / 12 / 1e7, rel=1e-12)
    old = of("blast_furnace_gas", "m3", fuel_set="provincial_old")
    assert old.confidence == "doubtful"
    assert "contradicts fuel|ndrc|blast_furnace_gas" in old.note
    assert ours.tco2_per_unit is not None
    assert old.tco2_per_unit is not None
    assert ours.tco2_per_unit / old.tco2_per_unit > 5


def test_no_row_of_the_default_set_is_contradicted() -> None:
    rows = [row for row in read_dataset(EmissionRow).values() if row.conflicts_with]
    assert {row.fuel_set for row in rows} == {"provincial_old", "power"}
    assert "fuel|provincial_old|blast_furnace_gas" in {row.id for row in rows}


def test_heat_and_steam() -> None:
    assert of("heat", "MJ").tco2_per_unit == pytest.approx(0.11 / 1000)
    steam = of("steam_low_pressure", "kg")  # 0.1286 kgce of 29.3076 MJ
    assert steam.tco2_per_unit == pytest.approx(0.11 * 0.1286 * 29.3076 / 1000)
    supply = {
        "supplier": "Haicang", "tco2_per_gj": 0.08, "effective_from": "2025-01-01",
        "source": "contract",
    }  # fmt: skip
    found = of("heat", "GJ", heat=[supply])
    assert (found.tco2_per_unit, found.row) == (0.08, "plant|Haicang|heat|2025-01-01")
    assert of("steam_low_pressure", "kg", heat=[supply]).row == "heat|default"


def test_media_and_biomass() -> None:
    assert emission_factor(rules(), "water_fresh", "t", DAY) is None
    assert fuel_factor(rules(), "biomass_straw", DAY).tco2_per_unit == 0
    assert fuel_factor(rules(biomass=[]), "biomass_straw", DAY).tco2_per_unit is None


@pytest.mark.parametrize(
    ("row", "changed", "says"),
    [
        ("fuel|ndrc|coke", {"tco2_per_unit": 3.0}, "3 is not the 2.852 of its parts"),
        ("fuel|ndrc|coke", {"energy": "cokes"}, "energy 'cokes' is not known"),
        ("fuel|ndrc|coke", {"unit": "ton"}, "unit 'ton' is not known"),
        ("fuel|ndrc|coke", {"conflicts_with": "x"}, "contradicts x"),
        ("grid|福建|2022", {"year": "2023"}, "stands beside grid|福建|2023"),
        ("grid|福建|2022", {"year": ""}, "a grid factor has a year, a region and a use"),
    ],
)
def test_a_wrong_row_is_found(row: str, changed: dict[str, Any], says: str) -> None:
    ours = read_dataset(EmissionRow)
    wrong = {**ours, row: replace(ours[row], **changed)}
    found = [d.message for d in emission_doubts(wrong.values(), read_library())
             if d.severity == "error"]  # fmt: skip
    assert found == [says]
