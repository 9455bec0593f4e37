"""`kgce carbon` on a works whose September is known by arithmetic."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import polars as pl
import pytest

from app import carbon as sheets
from app.published import Published
from tests.app.carbon_works import CARBON, PRODUCTS, STATED, stated, write_carbon_works
from tests.app.commands import inside
from tests.app.works import COAL_T, QUARTERS, STEPS, filled, write_works
from tests.plants import SECTIONS as NODES

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"
GRID = 0.4211  # Fujian 2023, tCO2/MWh
COAL = 23.204 * 26.18 * 0.93 * 44 / 12 / 1000  # bituminous, tCO2/t
COKE = 28.446 * 29.4 * 0.93 * 44 / 12 / 1000
TOTAL = 1000 * COAL + 70 * COKE + 100 * GRID + 500 * 0.11 - 3 * GRID
POWER_KWH = 112_000  # 100,000 bought, 20,000 of its own, 8,000 sold
TCE = (
    POWER_KWH * 0.1229
    + 500_000 * 0.03412
    + 1_000_000 * 0.7143
    + 70_000 * 0.9714
    + 10_000 * 0.571
    + 1_000 * 0.2571
) / 1000
CERTIFICATES = [
    {"id": "GEC-1", "kwh": 60_000, "period": "2025-09", "technology": "wind", "source": "GEC"},
    {"id": "T-2", "kind": "traded", "kwh": 50_000, "period": "2025-09", "source": "contract"},
    {"id": "S-1", "kind": "sold", "kwh": 8_000, "period": "2025-09", "source": "GEC"},
]

GYPSUM = {"material": "gypsum", "supplier": "Haida", "unit": "t", "source": "report 31"}
PURCHASES = [
    {**GYPSUM, "period": "2025-08", "quantity": 300, "tco2_per_unit": 0.02},
    {**GYPSUM, "period": "2025-09", "quantity": 500, "tco2_per_unit": 0.02},
    {**GYPSUM, "material": "bags", "period": "2025-10", "quantity": 9},
]


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("carbon")
    file = write_carbon_works(folder, {"certificates": CERTIFICATES, "purchases": PURCHASES})
    stated(file)
    return file


def rows_of(plant: Path, sheet: str, period: str = "2025-09") -> list[dict[str, Any]]:
    done = inside("carbon", period, "-p", plant, "--sheet", sheet, "--format", "json")
    assert done.code == 0, done.err
    return done.records()


def balance(plant: Path, period: str = "2025-09") -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["scope"], row["source"]): row for row in rows_of(plant, "carbon", period)}


def items(plant: Path, period: str = "2025-09") -> dict[tuple[str, str], dict[str, Any]]:
    found = rows_of(plant, "renewables", period)
    return {(row["item"], row["subject"]): row for row in found}


def figures(plant: Path) -> dict[tuple[str, str], dict[str, Any]]:
    found = rows_of(plant, "intensity")
    return {(row["indicator"], row["subject"]): row for row in found}


def works(folder: Path, carbon: dict[str, Any], *meters: str, **more: Any) -> Path:
    """The works with these meters alone."""
    chosen = {meter_id: STATED[meter_id] for meter_id in meters}
    chosen |= more.pop("meters", {})
    file = write_carbon_works(folder, {"renewable_meters": [], **carbon}, stated=chosen)
    stated(file, chosen, **more)
    return file


def test_each_source_and_the_total(plant: Path) -> None:
    rows = balance(plant)
    assert {key: row["value"] for key, row in rows.items()} == {
        ("direct", "raw_coal"): pytest.approx(1000 * COAL, rel=1e-12),
        ("direct", "coke"): pytest.approx(70 * COKE, rel=1e-12),
        ("electricity", "electricity"): pytest.approx(100 * GRID, rel=1e-12),
        ("exported", "electricity"): pytest.approx(-3 * GRID, rel=1e-12),
        ("own_renewable", "electricity"): 0,
        ("heat", "heat"): pytest.approx(55, rel=1e-12),
        ("feedstock", "coke"): 0,
        ("biomass", "biomass_firewood"): 0,
        ("direct", "all"): pytest.approx(1000 * COAL + 70 * COKE, rel=1e-12),
        ("electricity", "all"): pytest.approx(100 * GRID, rel=1e-12),
        ("heat", "all"): pytest.approx(55, rel=1e-12),
        ("exported", "all"): pytest.approx(-3 * GRID, rel=1e-12),
        ("total", "all"): pytest.approx(TOTAL, rel=1e-12),
    }
    total = rows["total", "all"]
    assert total["low"] == total["high"] == pytest.approx(TOTAL, rel=1e-12)
    assert (total["status"], total["coverage_ratio"], total["reason"]) == ("complete", 1, "")
    assert set(total["factors"].split(";")) == {
        "grid|福建|2023", "heat|default", "fuel|ndrc|coke", "fuel|ndrc|bituminous_coal",
    }  # fmt: skip
    assert "nor that of water_fresh" in total["note"]
    assert rows["own_renewable", "electricity"]["amount"] == 15_000
    assert rows["feedstock", "coke"]["amount"] == 30_000


def test_a_factor_of_another_year_is_said(plant: Path) -> None:
    row = balance(plant)["electricity", "electricity"]
    assert (row["factor"], row["factors"]) == (GRID / 1000, "grid|福建|2023")
    assert "of 2023, the latest up to 2025" in row["note"]
    assert "of 2023" in figures(plant)["carbon_per_output_value", "plant"]["note"]


def test_for_a_unit_of_product_money_and_energy(plant: Path) -> None:
    rows = figures(plant)
    assert {key: (row["value"], row["unit"]) for key, row in rows.items()} == {
        ("carbon_per_product", "clinker"): (pytest.approx(COAL / 5, rel=1e-12), "tCO2/t"),
        ("product_footprint", "clinker"): (pytest.approx(COAL * 200, rel=1e-12), "kgCO2/t"),
        ("carbon_per_output_value", "plant"): (
            pytest.approx(TOTAL / 2000, rel=1e-12), "tCO2/10^4 CNY",
        ),
        ("carbon_per_added_value", "plant"): (
            pytest.approx(TOTAL / 500, rel=1e-12), "tCO2/10^4 CNY",
        ),
        ("carbon_per_energy", "plant"): (pytest.approx(TOTAL / TCE, rel=1e-12), "tCO2/tce"),
    }  # fmt: skip
    product = rows["carbon_per_product", "clinker"]
    assert (product["numerator"], product["denominator"]) == (pytest.approx(1000 * COAL), 5000)
    assert product["factors"] == "fuel|ndrc|bituminous_coal"
    footprint = rows["product_footprint", "clinker"]
    assert "gate to gate" in footprint["note"]
    assert footprint["numerator"] == pytest.approx(1000 * COAL)


def test_two_products_of_the_works_with_counters(tmp_path: Path) -> None:
    carbon = {"fuels": CARBON["fuels"]}
    file = write_works(tmp_path, assessment={"carbon": carbon})
    filled(file, days=20)
    rows = figures(file)
    row = rows["carbon_per_product", "cement"]
    days_20 = 20 * 96
    power = days_20 * (STEPS["e-kiln"] + STEPS["e-mill"]) / 1000 * GRID
    share = 20 / 30  # of the month's coal
    assert row["value"] == pytest.approx(
        (COAL_T * share * COAL + power) / (days_20 * STEPS["p-cement"]), rel=1e-9
    )
    assert row["status"] == "partial"
    assert row["low"] < row["value"]
    assert days_20 < QUARTERS
    missing = rows["carbon_per_output_value", "plant"]
    assert (missing["value"], missing["status"]) == (None, "refused")
    assert "no output_value_cny of 2025-09" in missing["reason"]


def test_a_product_takes_its_share_of_shared_energy_and_no_raw_material(tmp_path: Path) -> None:
    meters = {name: STATED[name] for name in ("grid", "coal", "coke", "coke-raw")}
    meters["office"] = ("office", "electricity", "input", "kWh", 10_000.0)
    rule = {"node": "office", "from": "2025-01-01", "shares": {"clinker": 0.6, "cement": 0.4}}
    later = {**rule, "from": "2025-09-16", "shares": {"clinker": 0.2, "cement": 0.8}}
    cement = {"name": "Cement", "unit": "t", "boundary": ["mill"]}
    office = {"name": "Office", "level": "process", "parent": "works"}
    file = write_carbon_works(
        tmp_path,
        {"renewable_meters": []},
        stated=meters,
        nodes={**NODES["nodes"], "office": office},
        products={**PRODUCTS, "cement": cement},
        allocations=[rule, later],
    )
    stated(file, meters)
    rows = figures(file)
    clinker = rows["carbon_per_product", "clinker"]
    assert clinker["numerator"] == pytest.approx(1000 * COAL + 4 * GRID, rel=1e-12)
    assert clinker["value"] == pytest.approx((1000 * COAL + 4 * GRID) / 5000, rel=1e-12)
    made = rows["carbon_per_product", "cement"]
    assert (made["value"], made["reason"]) == (None, "no output of it")
    assert made["numerator"] == pytest.approx(6 * GRID, rel=1e-12)


def test_claims_count_once_and_never_more_than_was_consumed(plant: Path) -> None:
    rows = items(plant)
    counted = {key: (row["stated"], row["value"], row["unused"]) for key, row in rows.items()}
    assert counted["own", "pv"] == (20_000, 12_000, 8_000)
    assert counted["traded", "T-2"] == (50_000, 50_000, 0)
    assert counted["certificate", "GEC-1"] == (60_000, 50_000, 10_000)
    assert counted["sold", "S-1"] == (8_000, 0, 8_000)
    assert counted["biomass", "biomass_firewood"] == (10_000, 10_000, 0)
    assert rows["electricity", "all"]["value"] == POWER_KWH
    assert rows["energy", "all"]["value"] == pytest.approx(TCE, rel=1e-12)
    renewable = (POWER_KWH * 0.1229 + 10_000 * 0.571) / 1000
    assert rows["renewable", "all"]["value"] == pytest.approx(renewable, rel=1e-12)
    rate = rows["renewable_rate", "all"]
    assert rate["value"] == pytest.approx(renewable / TCE, rel=1e-12)
    assert rate["low"] == rate["high"] == rate["value"]
    assert rate["confidence"] == "recalled"  # of the factor of firewood


def test_a_virtual_meter_of_what_is_used_counts_the_same(tmp_path: Path) -> None:
    meters = {
        "grid": STATED["grid"],
        "pv": ("works", "electricity", "check", "kWh", 20_000.0),
        "pv-sold": ("works", "electricity", "check", "kWh", 5_000.0),
    }
    used = {
        "name": "Sun used", "node": "works", "energy": "electricity",
        "expression": "pv - [pv-sold]",
    }  # fmt: skip
    tag = {"meter": "pv-used", "technology": "solar"}
    file = write_carbon_works(
        tmp_path, {"renewable_meters": [tag]}, stated=meters, virtual={"pv-used": used}
    )
    stated(file, meters)
    rows = balance(file)
    assert rows["own_renewable", "electricity"]["amount"] == 15_000
    assert rows["total", "all"]["value"] == pytest.approx(100 * GRID, rel=1e-12)
    assert items(file)["renewable_rate", "all"]["value"] == pytest.approx(15 / 115, rel=1e-12)


def test_nuclear_power_is_not_renewable_and_a_year_has_its_own_certificates(
    tmp_path: Path,
) -> None:
    nuclear = {"id": "N", "kwh": 10_000, "technology": "nuclear", "source": "contract"}
    year = {"id": "Y", "kwh": 20_000, "period": "2025", "source": "GEC"}
    carbon = {"certificates": [{**nuclear, "period": "2025-09"}, year]}
    file = works(tmp_path, carbon, "grid", "coal")
    month = items(file)
    assert ("certificate", "Y") not in month
    assert month["renewable", "all"]["value"] == 0
    assert month["renewable_rate", "all"]["value"] == 0
    assert month["non_fossil", "all"]["value"] == pytest.approx(1.229)
    assert "20000 kWh stated for 2025" in month["renewable", "all"]["note"]
    assert items(file, "2025")["certificate", "Y"]["stated"] == 20_000


def test_an_unknown_fuel_makes_the_total_unknown(tmp_path: Path) -> None:
    file = works(tmp_path, {"fuels": []}, "grid", "coal")
    rows = balance(file)
    coal, total = rows["direct", "raw_coal"], rows["total", "all"]
    assert (coal["amount"], coal["factor"], coal["value"]) == (1_000_000, None, None)
    assert "no row of raw_coal in the set ndrc" in coal["reason"]
    assert (total["value"], total["low"], total["high"]) == (None, None, None)
    assert (total["status"], total["reason"]) == ("refused", f"raw_coal: {coal['reason']}")
    assert rows["electricity", "all"]["value"] == pytest.approx(100 * GRID)
    for row in figures(file).values():
        assert row["value"] is None
        assert row["status"] == "refused"
        assert "no row of raw_coal" in row["reason"]
    said = inside("carbon", "2025-09", "-p", file)
    assert said.code == 0
    assert "no row of raw_coal in the set ndrc" in said.err


def test_missing_coverage_refuses_the_total_and_keeps_its_bound(tmp_path: Path) -> None:
    file = works(tmp_path, {}, "grid", "coal", ends={"coal": "2025-09-15"})
    total = balance(file)["total", "all"]
    assert (total["value"], total["status"]) == (None, "refused")
    assert total["coverage_ratio"] == pytest.approx(0.5)
    assert "raw_coal: refused, with a coverage of 50.0%" in total["reason"]
    assert total["low"] == pytest.approx(1000 * COAL + 100 * GRID)
    assert total["high"] is None
    value = figures(file)["carbon_per_output_value", "plant"]
    assert (value["value"], value["status"], value["high"]) == (None, "refused", None)
    assert value["low"] == pytest.approx(total["low"] / 2000)
    rate = items(file)["renewable_rate", "all"]
    assert (rate["value"], rate["status"]) == (None, "refused")


def test_a_contradicted_row_is_never_taken_silently(tmp_path: Path) -> None:
    gas = {"gas": ("works", "blast_furnace_gas", "input", "m3", 10_000.0)}
    ours = balance(works(tmp_path / "a", {}, meters=gas))
    assert ours["total", "all"]["value"] == pytest.approx(37.69 * 70.8 * 0.99 * 44 / 12 / 1000)
    assert ours["total", "all"]["confidence"] == "seen"
    old = balance(works(tmp_path / "b", {"fuel_set": "provincial_old"}, meters=gas))
    assert old["total", "all"]["value"] == pytest.approx(37.63 * 12.2 * 0.99 * 44 / 12 / 1000)
    assert old["total", "all"]["confidence"] == "doubtful"
    assert "contradicts fuel|ndrc|blast_furnace_gas" in old["direct", "blast_furnace_gas"]["note"]


def test_json_and_files_are_as_the_schema_says(plant: Path, tmp_path: Path) -> None:
    for sheet, name in (
        ("carbon", "carbon"),
        ("intensity", "carbon_intensity"),
        ("renewables", "renewables"),
    ):
        schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
        rows = rows_of(plant, sheet)
        jsonschema.validate(rows, schema)
        file = tmp_path / f"{name}.parquet"
        inside("carbon", "2025-09", "-p", plant, "--sheet", sheet, "--format", "parquet",
               "-o", file)  # fmt: skip
        assert pl.read_parquet(file).to_dicts() == rows


def test_the_library_shows_emission_factors() -> None:
    found = inside("standards", "search", "福建", "grid", "2023", "--format", "json").records()
    assert [(row["id"], row["levels"]) for row in found] == [("grid|福建|2023", "0.4211")]


def test_what_was_bought_by_month_and_year(plant: Path) -> None:
    gypsum, total = rows_of(plant, "supply")
    assert (gypsum["value"], total["value"], total["material"]) == (10, 10, "total")
    year = rows_of(plant, "supply", "2025")
    assert [row["value"] for row in year] == [6, 10, None, None]
    assert (year[-1]["known"], year[-1]["status"]) == (16, "refused")
    assert year[-1]["reason"] == "bags: its footprint is not reported"
    done = inside("carbon", "2024", "-p", plant, "--sheet", "supply")
    assert "nothing that was bought in 2024 is stated" in done.err


def test_screens_of_both_languages(plant: Path) -> None:
    said = inside("carbon", "2025-09", "-p", plant, "--lang", "zh")
    assert "化石燃料燃烧" in said.out
    assert "排放范围" in said.out
    said = inside("carbon", "2025-09", "-p", plant, "--sheet", "renewables", "--lang", "zh")
    assert "可再生能源利用率" in said.out


@pytest.mark.parametrize("sheet", ["carbon", "intensity", "renewables"])
def test_what_there_is_not(plant: Path, sheet: str) -> None:
    done = inside("carbon", "2024-09", "-p", plant, "--sheet", sheet)
    assert (done.code, done.out) == (2, "")
    assert "no figures of 2024-09" in done.err


def test_other_code_gets_the_same_frames(plant: Path) -> None:
    from app import jobs
    from app.sites import load_site

    site = load_site(plant)
    published = Published(site, jobs.open_lake(site))
    assert sheets.carbon(published, "2025-09").to_dicts() == rows_of(plant, "carbon")
    found = sheets.carbon_intensity(published, "2025-09")
    assert found.to_dicts() == rows_of(plant, "intensity")
    assert sheets.renewables(published, "2025-09").to_dicts() == rows_of(plant, "renewables")
