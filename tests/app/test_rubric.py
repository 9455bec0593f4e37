"""`kgce rubric` and `kgce platform` on the works, whose September is known by arithmetic."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import polars as pl
import pytest
from ruamel.yaml import YAML

from app import jobs
from app.imports import import_file
from app.options import Kind
from app.sites import load_site
from config.park import Park
from config.rubric import Rubric
from tests.app.commands import inside
from tests.app.works import (
    CLINKER_KGCE_PER_T,
    CLINKER_T,
    COLUMNS,
    KGCE_PER_KWH,
    METERS,
    PRODUCTION,
    QUARTERS,
    SECTIONS,
    STATED,
    STEPS,
    counts,
    filled,
    write_readings,
    write_text,
    write_works,
)
from tests.plants import CLINKER_ENERGY, write_plant

SCHEMA = Path(__file__).parents[2] / "docs" / "schemas" / "rubric-document.schema.json"
CLINKER_TCE = CLINKER_KGCE_PER_T * CLINKER_T / 1000
CEMENT_TCE = CLINKER_TCE + QUARTERS * STEPS["e-mill"] * KGCE_PER_KWH / 1000
CEMENT_KGCE_PER_T = CEMENT_TCE * 1000 / (QUARTERS * STEPS["p-cement"])
SHOWN = {"document": "report 7", "date": "2026-01-09", "by": "Lin"}
REFERENCES = [
    {"item": "G25-01", "product": "clinker", "lead": 70, "base": 90, "unit": "kgce/t",
     "source": "annex"},
    {"item": "G25-01", "product": "cement", "lead": 60, "base": 80, "unit": "kgce/t",
     "source": "annex"},
    {"item": "G25-08", "lead": 90, "base": 70, "unit": "%", "source": "annex"},
]  # fmt: skip
EVIDENCE = [
    *({"item": f"G25-BR-{letter}", "met": True, **SHOWN} for letter in "abc"),
    {"item": "G25-12", "met": True, **SHOWN},
    {"item": "G25-09", "met": False, **SHOWN},
    {"item": "G25-08", "value": 75, "unit": "%", **SHOWN},
    {"item": "G25-13", "year": 2024, "met": True, **SHOWN},
]
RUBRIC = {"references": REFERENCES, "evidence": EVIDENCE}
ONLY_CLINKER: dict[str, Any] = {
    "products": {"clinker": SECTIONS["products"]["clinker"]},
    "meters": [row for row in METERS if row["meter_id"] != "p-cement"],
    "imports": {
        "scada": {
            "files": "scada*",
            "time": {"columns": ["time"]},
            "values": {name: at for name, at in COLUMNS.items() if name != "p-cement"},
        }
    },
}


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("works")
    filled(write_works(folder, assessment={"rubric": RUBRIC}))
    return folder / "plant.yaml"


def document(plant: Path, *options: str, code: int = 0, period: str = "2025-09") -> dict[str, Any]:
    done = inside("rubric", period, "-p", plant, "--format", "json", *options)
    assert done.code == code, done.err
    found = json.loads(done.out)
    jsonschema.validate(found, json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert isinstance(found, dict)
    return found


def items(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {item["item"]: item for item in found["items"]}


def test_energy_intensity_of_two_products(plant: Path) -> None:
    item = items(document(plant))["G25-01"]
    clinker, cement = (90 - CLINKER_KGCE_PER_T) / 20, (80 - CEMENT_KGCE_PER_T) / 20
    mean = (clinker * CLINKER_TCE + cement * CEMENT_TCE) / (CLINKER_TCE + CEMENT_TCE)
    assert item["points"] == pytest.approx(8 * mean, rel=1e-12)
    assert (item["status"], item["confidence"]) == ("partly_met", "inferred")
    by_product = {part["subject"]: part for part in item["parts"]}
    assert by_product["clinker"]["weight"] == pytest.approx(CLINKER_TCE, rel=1e-12)
    assert by_product["cement"]["value"] == pytest.approx(CEMENT_KGCE_PER_T, rel=1e-12)


def test_the_whole_document(plant: Path) -> None:
    found = document(plant)
    rows = items(found)
    assert rows["G25-12"]["points"] == 8
    assert rows["G25-08"]["points"] == pytest.approx(6 * 0.25)
    assert rows["G25-13"]["status"] == "needs_evidence"
    assert rows["G25-05"]["points_high"] == 8
    assert found["gates"]["status"] == "passed"
    known = [row["points_low"] for row in rows.values() if row["kind"] == "item"]
    assert found["totals"]["points_low"] == pytest.approx(sum(known))
    assert found["totals"]["points_most"] == 100
    assert found["totals"]["points"] is None
    assert [section["weight"] for section in found["sections"]] == [30, 30, 16, 16, 8]
    assert [tier["status"] for tier in found["tiers"]] == ["within_reach", "out_of_reach"]
    assert rows["FJ-01"]["status"] == "met"
    assert rows["FJ-03"]["status"] == "not_met"
    assert found["indicative"] is True


def test_what_gains_points_for_the_least_energy(plant: Path) -> None:
    saving = [one for one in document(plant)["suggestions"] if one["tce_per_year"] is not None]
    by_product = {one["subject"]: one for one in saving}
    a_year = (CLINKER_KGCE_PER_T - 70) * CLINKER_T / 1000 * 365 / 30
    assert by_product["clinker"]["tce_per_year"] == pytest.approx(a_year, rel=1e-12)
    lacks = 1 - (90 - CLINKER_KGCE_PER_T) / 20
    points = 8 * CLINKER_TCE / (CLINKER_TCE + CEMENT_TCE) * lacks
    assert by_product["clinker"]["points"] == pytest.approx(points, rel=1e-9)
    ratios = [one["points_per_tce"] for one in saving]
    assert ratios == sorted(ratios, reverse=True)


def test_twice_the_same_bytes(plant: Path) -> None:
    first, second = (
        inside("rubric", "2025-09", "-p", plant, "--format", "json").out for _ in range(2)
    )
    assert first == second
    assert json.loads(first)["provenance"]["figures"]


def test_the_same_items_in_every_format(plant: Path, tmp_path: Path) -> None:
    rows = inside("rubric", "2025-09", "-p", plant, "--format", "json", "--rows").records()
    file = tmp_path / "rubric.parquet"
    assert inside("rubric", "2025-09", "-p", plant, "--format", "parquet", "-o", file).code == 0
    assert pl.read_parquet(file).to_dicts() == rows
    table = inside("rubric", "2025-09", "-p", plant, "--format", "csv").csv_rows()
    assert [row["item"] for row in table] == [row["item"] for row in rows]
    assert {row["item"] for row in rows} == set(items(document(plant)))
    screen = inside("rubric", "2025-09", "-p", plant, "--lang", "zh")
    assert "G25 is in force from 2025-12-31 only" in screen.err
    assert "能源消耗强度" in screen.out
    assert "部分得分" in screen.out


def test_the_norms_levels_are_lead_and_base(september: Path) -> None:
    item = items(document(september))["G25-01"]
    clinker = next(part for part in item["parts"] if part["subject"] == "clinker")
    assert (clinker["lead"], clinker["base"]) == (100, 107)
    # Nothing judges the cement: clinker's share is certain, and cement's open.
    assert item["status"] == "no_reference"
    certain = 8 * CLINKER_TCE / (CLINKER_TCE + CEMENT_TCE)
    assert item["points_low"] == pytest.approx(certain, rel=1e-9)
    assert item["points_high"] == pytest.approx(8)
    assert item["reason"].startswith("cement: no lead value; the mean")


def test_the_plant_says_which_products_count(tmp_path: Path) -> None:
    plant = write_works(tmp_path, assessment={"rubric": {"products": ["clinker"]}})
    filled(plant)
    item = items(document(plant))["G25-01"]
    assert (item["status"], item["points"], item["confidence"]) == ("met", 8, "seen")
    assert item["value"] == pytest.approx(CLINKER_KGCE_PER_T, rel=1e-12)


def test_with_a_fifth_of_the_readings_gone_the_item_says_so(tmp_path: Path) -> None:
    rubric = {"references": REFERENCES[:1]}
    plant = write_works(tmp_path, assessment={"rubric": rubric}, **ONLY_CLINKER)
    site = load_site(plant)
    lake = jobs.open_lake(site)
    # Six days are gone, and the gap reaches into October: its amount in September is bounded.
    gone = range(24 * 96 + 1, 30 * 96 + 40)
    readings = write_readings(tmp_path / "scada.csv", counts(0, 31 * 96, gone))
    import_file(site, lake, Kind.readings, readings)
    for kind, text in ((Kind.production, PRODUCTION), (Kind.statements, STATED)):
        import_file(site, lake, kind, write_text(tmp_path / f"{kind.value}.csv", text))
    jobs.refresh(site, lake)
    item = items(document(plant))["G25-01"]
    assert (item["status"], item["points"], item["value"]) == ("refused", None, None)
    assert item["coverage_ratio"] == pytest.approx(0.8, abs=1e-3)
    assert "80.0% of the time was observed" in item["reason"]
    assert item["low"] < CLINKER_KGCE_PER_T < item["high"]
    truth = 8 * (90 - CLINKER_KGCE_PER_T) / 20
    assert 0 < item["points_low"] < truth < item["points_high"] < 8


def test_feedstock_is_left_out(tmp_path: Path) -> None:
    feed = {
        "meter_id": "e-feed", "name": "Feed", "node": "kiln", "energy": "electricity",
        "role": "feedstock", "kind": "counter", "unit": "kWh", "connection": "historian",
        "rated_per_h": "1000",
    }  # fmt: skip
    imports = {
        **SECTIONS["imports"],
        "feed": {"files": "feed*", "time": {"columns": ["time"]}, "values": {"e-feed": "mill kWh"}},
    }
    clinker = {"clinker": SECTIONS["products"]["clinker"]}
    plant = write_works(
        tmp_path, meters=[*METERS, feed], imports=imports,
        products={**clinker, "cement": SECTIONS["products"]["cement"]},
    )  # fmt: skip
    site, lake = filled(plant)
    import_file(site, lake, Kind.readings, write_readings(tmp_path / "feed.csv"))
    jobs.refresh(site, lake)
    part = items(document(plant))["G25-01"]["parts"][-1]
    assert part["subject"] == "clinker"
    assert part["value"] == pytest.approx(CLINKER_KGCE_PER_T, rel=1e-12)
    assert "feedstock left out" in part["reason"]
    assert part["confidence"] == "inferred"
    shown = inside("show", "indicators", "-p", plant, "--only", "clinker", "--format", "json")
    (row,) = (one for one in shown.records() if one["norm"] == CLINKER_ENERGY)
    with_feed = CLINKER_KGCE_PER_T + QUARTERS * STEPS["e-mill"] * KGCE_PER_KWH / CLINKER_T
    assert row["value"] == pytest.approx(with_feed, rel=1e-12)


def test_energy_for_the_output_value(tmp_path: Path) -> None:
    reference = {"item": "JS26-04", "lead": 0.1, "base": 0.6, "unit": "tce/10^4 CNY", "source": "x"}
    economy = [{"period": "2025-09", "output_value_cny": 2e7, "source": "B204-1"}]
    plant = write_works(
        tmp_path,
        assessment={"economy": economy, "rubric": {"edition": "JS26", "references": [reference]}},
        meters=[row for row in METERS if row["meter_id"] != "e-works"],
        imports={"scada": {
            "files": "scada*", "time": {"columns": ["time"]},
            "values": {"e-kiln": "kiln kWh", "e-mill": "mill kWh", "p-cement": "t"},
        }},
    )  # fmt: skip
    filled(plant)
    found = document(plant)
    item = items(found)["JS26-04"]
    per_value = CEMENT_TCE / 2000
    assert item["value"] == pytest.approx(per_value, rel=1e-12)
    assert item["points"] == pytest.approx(11 * (0.6 - per_value) / 0.5, rel=1e-12)
    assert found["gates"]["status"] == "unknown"
    assert found["totals"]["points_most"] == 105


def test_a_gate_that_is_not_met_bars_every_tier(tmp_path: Path) -> None:
    evidence = [{"item": "G25-BR-a", "met": False, **SHOWN}]
    plant = write_works(tmp_path, assessment={"rubric": {"evidence": evidence}})
    filled(plant, days=2)
    found = document(plant, code=1)
    assert found["gates"]["failed"] == ["G25-BR-a"]
    assert {tier["status"] for tier in found["tiers"]} == {"barred"}
    assert items(found)["FJ-01"]["status"] == "not_met"


def test_points_of_the_users_own_annex(tmp_path: Path) -> None:
    columns = (
        "id,edition,section,section_zh,section_en,section_weight,item_zh,item_en,kind,requirement,"
        "gate,points,feeds,method,direction,input,lead,base,unit,lead_rule,base_rule,region,"
        "data_needed,confidence,note\n"
    )
    row = (
        "S6-X6,S6,performance,绩效,Performance,30,能耗先进值,Advanced value,item,optional,no,5,yes,"
        "reach,smaller,energy_intensity,,,,norm level 1,,,,seen,annex page 12\n"
    )
    write_text(tmp_path / "own.csv", columns + row)
    own = {"rubric_items": "own.csv"}
    filled(write_works(tmp_path, assessment={"standards": own}, **ONLY_CLINKER))
    rows = items(document(tmp_path / "plant.yaml", "--edition", "S6"))
    assert (rows["S6-X6"]["points"], rows["S6-X6"]["status"]) == (5, "met")
    assert (rows["S6-X5"]["points"], rows["S6-X5"]["status"]) == (None, "met")


@pytest.mark.parametrize(
    ("rubric", "says"),
    [
        ({"edition": "G26"}, "allowed: S6, G25, JS26"),
        ({"method": "range"}, "method range needs steps"),
        ({"evidence": [{"item": "G25-99", "met": True, **SHOWN}]}, "unknown item 'G25-99'"),
        ({"evidence": [{"item": "G25-12", **SHOWN}]}, "states nothing"),
        ({"evidence": [{"item": "G25-12", "points": 9, **SHOWN}]}, "at most 8"),
        ({"evidence": [EVIDENCE[0], EVIDENCE[0]]}, "G25-BR-a stands twice"),
        ({"products": ["brick"]}, "unknown product 'brick'"),
        ({"references": [{**REFERENCES[0], "lead": 95}]}, "a lead below the base"),
        ({"references": [{**REFERENCES[0], "product": "brick"}]}, "unknown product 'brick'"),
        ({"references": [{**REFERENCES[2], "unit": "t"}]}, "%, of G25-08"),
        ({"references": [{**REFERENCES[2], "item": "G25-12"}]}, "neither lead nor base"),
    ],
)
def test_what_cannot_be(tmp_path: Path, rubric: dict[str, Any], says: str) -> None:
    refused = inside("check", "-p", write_works(tmp_path, assessment={"rubric": rubric}))
    assert refused.code == 2
    assert says in refused.err


def test_periods_and_editions_that_there_are_not(plant: Path) -> None:
    assert "no figures of 2024" in inside("rubric", "2024", "-p", plant).err
    unknown = inside("rubric", "2025-09", "-p", plant, "--edition", "FJ")
    assert unknown.code == 2
    assert "S6, G25, JS26" in unknown.err


def test_the_range_method(plant: Path, tmp_path: Path) -> None:
    ranged = tmp_path / "plant.yaml"
    text = plant.read_text(encoding="utf-8").replace(
        "  rubric:\n", "  rubric:\n    method: range\n    steps: 4\n"
    )
    ranged.write_text(text, encoding="utf-8")
    (tmp_path / "meters.csv").write_bytes((plant.parent / "meters.csv").read_bytes())
    (tmp_path / "data").symlink_to(plant.parent / "data")
    item = items(document(ranged))["G25-01"]
    # Both lie between half and three quarters of the way: two steps of four.
    assert item["points"] == pytest.approx(8 * 0.5)


def test_functions_are_shown_by_commands_that_there_are() -> None:
    rows = inside("platform", "--format", "json").records()
    assert len(rows) == 12
    by_id = {row["function"]: row for row in rows}
    assert by_id["PF-04"]["there"] is True
    assert by_id["PF-04"]["proof"] == "kgce benchmark"
    assert by_id["PF-10"]["proof"] == "kgce carbon --sheet supply"
    assert all(row["there"] for row in rows)


def test_a_function_without_its_command_is_not_there(tmp_path: Path) -> None:
    file = write_plant(tmp_path, assessment={"standards": {"platform_functions": "ours.csv"}})
    (tmp_path / "ours.csv").write_text(
        "id,edition,name_zh,name_en,commands,confidence,note\n"
        "PF-10,ours,供应链碳,Supply-chain carbon,teleport,seen,\n",
        encoding="utf-8",
    )
    rows = inside("platform", "-p", file, "--format", "json").records()
    missing = [(row["function"], row["reason"]) for row in rows if not row["there"]]
    assert [one for one, _ in missing] == ["PF-10"]
    assert "teleport" in missing[0][1]


def test_the_count_of_functions_feeds_its_item(plant: Path) -> None:
    rows = inside("platform", "--format", "json").records()
    count = sum(row["there"] for row in rows)
    item = items(document(plant))["G25-04"]
    assert item["value"] == count
    assert item["points"] == pytest.approx(6 * min(count, 8) / 8)


def test_the_examples_of_the_page_are_valid() -> None:
    page = (SCHEMA.parents[1] / "rubric.md").read_text(encoding="utf-8")
    one, other = (YAML(typ="safe").load(text.split("```")[0]) for text in page.split("```yaml")[1:])
    rubric = Rubric.model_validate(one["assessment"]["rubric"])
    assert {row.item for row in rubric.evidence} == {"G25-BR-a", "G25-08", "G25-12"}
    assert Park.model_validate(other).transfers[0].sender == "upper"


def test_carbon_and_renewables_come_from_their_sheets(tmp_path: Path) -> None:
    references = [
        {"item": "G25-02", "lead": 0.002, "base": 0.004, "unit": "tCO2/t", "source": "report"},
        {"item": "G25-03", "lead": 20, "base": 0, "unit": "%", "source": "report"},
        {"item": "JS26-05", "lead": 10, "base": 50, "unit": "kgCO2/10^4 CNY", "source": "report"},
    ]
    economy = [{"period": "2025-09", "output_value_cny": 2e7, "source": "B204-1"}]
    plant = write_works(
        tmp_path,
        products={"cement": {**SECTIONS["products"]["cement"], "boundary": ["mill"]}},
        meters=[row for row in METERS if row["meter_id"] != "c-kiln"],
        assessment={"economy": economy, "rubric": {"references": references}},
    )
    site = load_site(plant)
    lake = jobs.open_lake(site)
    import_file(site, lake, Kind.readings, write_readings(tmp_path / "scada.csv"))
    jobs.refresh(site, lake)
    kg_per_kwh = 0.4211  # grid of Fujian, 2023
    tonnes = QUARTERS * STEPS["e-mill"] * kg_per_kwh / 1000
    rows = items(document(plant))
    carbon = rows["G25-02"]
    assert carbon["value"] == pytest.approx(tonnes / (QUARTERS * STEPS["p-cement"]), rel=1e-9)
    assert carbon["points"] == pytest.approx(8 * (0.004 - carbon["value"]) / 0.002)
    assert (rows["G25-03"]["value"], rows["G25-03"]["status"]) == (0, "not_met")
    per_value = items(document(plant, "--edition", "JS26"))["JS26-05"]
    kilograms = QUARTERS * STEPS["e-works"] * kg_per_kwh
    assert per_value["value"] == pytest.approx(kilograms / 2000, rel=1e-9)
    assert per_value["points"] == pytest.approx(11 * (50 - kilograms / 2000) / 40)
