"""`kgce audit`: each table of a plant whose two years are known by arithmetic.

The years are those of a worked example: 22,400 tce for 56,000 and 29,640 tce for 78,000 units of
output, which saves 1,560 tce (GB/T 13234).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.app.commands import inside
from tests.plants import write_plant

KGCE_PER_KG = 0.7143
RAW_TCE = 500.0
METERS = (
    {"meter_id": "coal", "name": "Weighbridge", "node": "works", "energy": "raw_coal",
     "kind": "amount", "unit": "t", "calibration_due": "2025-06-30"},
    {"meter_id": "raw", "name": "Coal to gas", "node": "kiln", "energy": "raw_coal",
     "role": "feedstock", "kind": "amount", "unit": "t", "accuracy_class": "0.5"},
)  # fmt: skip
PUMP = {
    "name": "Pump 2", "node": "kiln", "model": "Y280S-4", "count": 3, "rated_kw": 75,
    "in_use_since": 1998, "obsolete": True, "listed_in": "high-consumption motors, batch 2",
}  # fmt: skip
WASTE_GAS = {
    "name": "Waste gas", "node": "kiln", "energy": "raw_coal", "role": "recovered",
    "expression": "coal * 0.1",
}  # fmt: skip
MONEY = [
    {"period": "2024", "output_value_cny": 560e6, "source": "B204-1"},
    {"period": "2025", "output_value_cny": 780e6, "source": "B204-1"},
]


def tonnes(tce: float) -> float:
    return tce / KGCE_PER_KG


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audit")
    product = {"name": "Glass", "unit": "t", "boundary": ["works"], "norms": []}
    file = write_plant(
        folder,
        meters=METERS,
        products={"glass": product},
        imports=None,
        virtual={"waste-gas": WASTE_GAS},
        assessment={"economy": MONEY, "equipment": {"pump-2": PUMP}},
    )
    (folder / "coal.csv").write_text(
        "meter_id,start,end,opening_stock,purchased,closing_stock,sold\n"
        f"coal,2024-01-01,2024-12-31,0,{tonnes(22_400) + 900},900,0\n"
        f"coal,2025-01-01,2025-12-31,900,{tonnes(29_640)},850,50\n"
        f"raw,2025-01-01,2025-12-31,0,{tonnes(RAW_TCE)},0,0\n"
        "raw,2024-01-01,2024-12-31,0,0,0,0\n",
        encoding="utf-8",
    )
    (folder / "made.csv").write_text(
        "product_id,start,end,qualified_quantity\n"
        "glass,2024-01-01,2024-12-31,56000\nglass,2025-01-01,2025-12-31,78000\n",
        encoding="utf-8",
    )
    for kind, name in (("statements", "coal.csv"), ("production", "made.csv")):
        done = inside("import", kind, folder / name, "-p", file)
        assert done.code == 0, done.err
    return file


def rows(plant: Path, table: str) -> list[dict[str, Any]]:
    done = inside("audit", "2025", "--table", table, "-p", plant, "--format", "json")
    assert done.code == 0, done.err
    return done.records()


def test_what_was_used_with_stocks_raw_material_and_the_total(plant: Path) -> None:
    coal, total = rows(plant, "consumption")
    assert (coal["energy_code"], coal["energy_name"], coal["unit"]) == ("raw_coal", "原煤", "kg")
    assert coal["tce_calorific"] == pytest.approx(29_640)
    assert coal["feedstock_tce"] == pytest.approx(RAW_TCE)
    assert coal["share_ratio"] == 1
    stocks = [coal[name] for name in ("opening_stock", "purchased", "closing_stock", "sold")]
    # What went to the kiln as raw material came over the weighbridge.
    assert stocks == pytest.approx([900e3, tonnes(29_640) * 1000, 850e3, 50e3])
    assert total["tce_calorific"] == coal["tce_calorific"]
    assert total["status"] == "complete"


def test_what_a_virtual_meter_recovers_is_there(plant: Path) -> None:
    (recovered,) = rows(plant, "conversion")
    assert (recovered["kind"], recovered["node_id"]) == ("recovery", "kiln")
    assert recovered["output_tce"] == pytest.approx(2964)


def test_two_years_of_a_product_with_numerator_and_denominator(plant: Path) -> None:
    (glass,) = rows(plant, "products")
    assert glass["before_value"] == pytest.approx(400)
    assert glass["value"] == pytest.approx(380)
    assert (glass["before_denominator"], glass["denominator"]) == (56_000, 78_000)
    assert glass["numerator"] == pytest.approx(29_640e3)
    assert glass["change_ratio"] == pytest.approx(-0.05)


def test_what_was_saved_by_product_and_by_output_value(plant: Path) -> None:
    found = {row["subject"]: row for row in rows(plant, "savings")}
    for row in found.values():
        assert row["saved_tce"] == pytest.approx(1560)
        assert row["low"] == pytest.approx(1560)
    assert found["output_value"]["before"] == pytest.approx(0.4)
    assert found["output_value"]["quantity"] == 78_000


def test_meters_are_judged_on_the_last_day_and_equipment_by_its_catalogue(plant: Path) -> None:
    meters = {row["meter_id"]: row for row in rows(plant, "meters")}
    assert [meters[one]["calibration"] for one in ("coal", "raw")] == ["overdue", "unknown"]
    assert meters["coal"]["amount"] == pytest.approx(tonnes(29_640) * 1000)
    (pump,) = rows(plant, "equipment")
    assert (pump["total_kw"], pump["obsolete"]) == (225, True)


def test_factors_on_both_bases_name_their_row(plant: Path) -> None:
    found = {row["basis"]: row for row in rows(plant, "factors")}
    assert found["calorific"]["kgce_per_unit"] == KGCE_PER_KG
    assert found["equivalent"]["factor"] == "GB/T 2589-2020|RAW_COAL"


def test_each_table_to_a_file_as_its_schema_says(plant: Path, tmp_path: Path) -> None:
    done = inside("audit", "2025", "-p", plant, "--format", "json", "--dir", tmp_path / "out")
    assert done.code == 0, done.err
    schemas = Path(__file__).parents[2] / "docs" / "schemas"
    written = sorted((tmp_path / "out").glob("*.json"))
    assert len(written) >= 8
    for file in written:
        jsonschema.validate(
            json.loads(file.read_text(encoding="utf-8")),
            json.loads((schemas / f"{file.stem}.schema.json").read_text(encoding="utf-8")),
        )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["2025-09"], "allowed: a year, such as 2026"),
        (["1999"], "no figures of 1999\n  allowed: 2024, 2025"),
        (["2025", "--table", "x"], "table 'x'\n  allowed: consumption, "),
    ],
)
def test_what_there_is_not_is_refused(plant: Path, arguments: list[str], says: str) -> None:
    done = inside("audit", *arguments, "-p", plant)
    assert done.code == 2
    assert says in done.err


def test_all_documents_of_a_year_are_those_of_their_commands(plant: Path, tmp_path: Path) -> None:
    done = inside("documents", "2025", "--dir", tmp_path / "pack", "-p", plant)
    assert done.code == 0, done.err
    pack = {file.stem: file.read_text(encoding="utf-8") for file in (tmp_path / "pack").iterdir()}
    assert len(pack) >= 14
    alone = {
        "rubric-document": ("rubric", "2025"),
        "rubric": ("rubric", "2025", "--rows"),
        "benchmarking": ("benchmark", "2025"),
        "supervision": ("supervise", "2025"),
        "renewables": ("carbon", "2025", "--sheet", "renewables"),
        "cost": ("cost", "2025"),
        "audit_products": ("audit", "2025", "--table", "products"),
    }
    for name, command in alone.items():
        assert inside(*command, "-p", plant, "--format", "json").out == pack[name], name
    refused = inside("documents", "2025", "--dir", tmp_path, "-p", plant, "--format", "table")
    assert refused.code == 2
