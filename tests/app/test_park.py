"""`kgce park` over two works whose September is known by arithmetic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from app import jobs
from app.imports import import_file
from app.options import Kind
from app.sites import load_site
from tests.app.commands import inside
from tests.app.works import (
    COAL_T,
    COLUMNS,
    KGCE_PER_KG_COAL,
    KGCE_PER_KWH,
    METERS,
    QUARTERS,
    STATED,
    STEPS,
    counts,
    filled,
    write_readings,
    write_text,
    write_works,
)
from tests.plants import SECTIONS as PLANT

COAL_KGCE = COAL_T * 1000 * KGCE_PER_KG_COAL
POWER_KWH = QUARTERS * STEPS["e-works"]
PASSED_KWH = 10_000.0
TRANSFER = {
    "energy": "electricity", "from": "upper", "to": "lower", "amounts": {"2025-09": PASSED_KWH},
    "source": "settlement",
}  # fmt: skip
SHOWN = {"document": "report 7", "date": "2026-01-09", "by": "Lin"}


def works(folder: Path, plant_id: str, added_value_cny: float, **sections: Any) -> Path:
    economy = [{"period": "2025-09", "added_value_cny": added_value_cny, "source": "B204-1"}]
    plant = {**PLANT["plant"], "id": plant_id}
    return write_works(folder / plant_id, plant=plant, assessment={"economy": economy}, **sections)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("park")
    filled(works(folder, "upper", 1e7))
    filled(works(folder, "lower", 2e7))
    return folder


def written(folder: Path, name: str = "park.yaml", **sections: Any) -> Path:
    whole = {
        "park": {"id": "valley", "name": "Valley", "region": "350000"},
        "plants": ["upper/plant.yaml", "lower/plant.yaml"],
        "transfers": [TRANSFER],
        "clean_energies": ["electricity"],
        **sections,
    }
    with (folder / name).open("w", encoding="utf-8") as stream:
        YAML().dump(whole, stream)
    return folder / name


def items(file: Path, code: int = 0) -> dict[str, dict[str, Any]]:
    done = inside("park", "2025-09", file, "--format", "json")
    assert done.code == code, done.err
    return {row["item"]: row for row in done.records()}


def test_sums_over_the_plants_without_what_they_pass_on(folder: Path) -> None:
    rows = items(written(folder))
    power = 2 * POWER_KWH - PASSED_KWH
    tce = (2 * COAL_KGCE + power * KGCE_PER_KWH) / 1000
    assert rows["energy"]["value"] == pytest.approx(tce, rel=1e-12)
    assert rows["transfers"]["value"] == pytest.approx(PASSED_KWH * KGCE_PER_KWH / 1000)
    assert rows["added_value"]["value"] == 3e7
    output_rate = rows["PARK-01"]
    assert output_rate["value"] == pytest.approx(3000 / tce, rel=1e-12)
    assert output_rate["term"] == pytest.approx(3000 / tce / 3, rel=1e-12)
    assert (output_rate["status"], output_rate["confidence"]) == ("met", "recalled")
    assert rows["LCP-01"]["value"] == pytest.approx(tce / 3000, rel=1e-12)
    assert rows["LCP-01"]["status"] == "met"
    share = power * KGCE_PER_KWH / 1000 / tce * 100
    assert rows["LCP-06"]["value"] == pytest.approx(share, rel=1e-12)
    assert rows["PARK-03"]["value"] == pytest.approx(share, rel=1e-12)
    assert rows["PARK-03"]["status"] == "partly_met"
    assert rows["PARK-24"]["status"] == rows["SC-X61"]["status"] == "needs_evidence"
    assert rows["index"]["value"] is None


def test_a_lead_value_of_the_parks_own(folder: Path) -> None:
    lead = {"item": "PARK-01", "lead": 5, "source": "plan of 2026"}
    row = items(written(folder, "lead.yaml", references=[lead]))["PARK-01"]
    assert row["term"] == pytest.approx(row["value"] / 5)
    assert row["confidence"] == "seen"


def test_what_the_sender_deducts_is_not_taken_out_twice(tmp_path: Path) -> None:
    out = {
        "meter_id": "e-out", "name": "To the lower works", "node": "works", "role": "output",
        "energy": "electricity", "kind": "counter", "unit": "kWh", "connection": "historian",
        "rated_per_h": "1000",
    }  # fmt: skip
    values = {**COLUMNS, "e-out": COLUMNS["e-mill"]}
    scada = {"files": "scada*", "time": {"columns": ["time"]}, "values": values}
    upper = works(tmp_path, "upper", 1e7, meters=[*METERS, out], imports={"scada": scada})
    filled(upper)
    filled(works(tmp_path, "lower", 2e7))
    transfer = {"energy": "electricity", "from": "upper", "to": "lower", "meter": "e-out"}
    file = written(tmp_path, transfers=[transfer])
    rows = items(file)
    sent = QUARTERS * STEPS["e-mill"]
    tce = (2 * COAL_KGCE + (2 * POWER_KWH - sent) * KGCE_PER_KWH) / 1000
    assert rows["energy"]["value"] == pytest.approx(tce, rel=1e-12)
    assert rows["transfers"]["value"] == 0
    assert "not removed" in inside("park", "2025-09", file).err
    forced = items(written(tmp_path, "forced.yaml", transfers=[{**transfer, "deducted": False}]))
    assert forced["energy"]["value"] == pytest.approx(tce - sent * KGCE_PER_KWH / 1000, rel=1e-12)


def test_a_plant_without_readings_refuses_the_parks_figure(tmp_path: Path) -> None:
    filled(works(tmp_path, "upper", 1e7))
    lower = works(tmp_path, "lower", 2e7)
    site = load_site(lower)
    lake = jobs.open_lake(site)
    gap = range(10 * 96 + 1, 16 * 96)
    import_file(
        site, lake, Kind.readings, write_readings(tmp_path / "scada.csv", counts(without=gap))
    )
    import_file(site, lake, Kind.statements, write_text(tmp_path / "statements.csv", STATED))
    jobs.refresh(site, lake)
    row = items(written(tmp_path, transfers=[]))["PARK-01"]
    assert (row["status"], row["value"], row["term"]) == ("refused", None, None)
    truth = 3000 / ((2 * COAL_KGCE + 2 * POWER_KWH * KGCE_PER_KWH) / 1000)
    assert row["low"] <= truth * (1 + 1e-12)
    assert row["high"] >= truth * (1 - 1e-12)
    assert row["coverage_ratio"] == pytest.approx(0.8, abs=1e-3)


def test_a_plant_without_figures_makes_the_sum_unknown(folder: Path, tmp_path: Path) -> None:
    works(tmp_path, "empty", 1e6)
    file = written(
        tmp_path, plants=[str(folder / "upper/plant.yaml"), "empty/plant.yaml"], transfers=[]
    )
    row = items(file)["energy"]
    assert (row["value"], row["status"]) == (None, "unknown")
    assert "empty: no figures of 2025-09" in inside("park", "2025-09", file).err


def test_typed_items_complete_the_index_and_a_gate_bars(folder: Path) -> None:
    leads = {
        "PARK-02": (15, "%"), "PARK-04": (1500, "CNY/m3"), "PARK-05": (15, "100M CNY/km2"),
        "PARK-06": (95, "%"), "PARK-07": (90, "%"), "PARK-08": (30, "%"), "PARK-09": (60, "%"),
        "PARK-13": (30, "%"), "PARK-15": (90, "%"), "PARK-17": (30, "%"), "PARK-18": (30, "%"),
        "PARK-20": (30, "%"), "PARK-21": (100, "%"), "PARK-22": (3, "%"),
        "PARK-23": (5, "t/10k CNY"), "PARK-25": (80, "%"), "PARK-26": (30, "%"),
    }  # fmt: skip
    evidence: list[dict[str, Any]] = [
        {"item": item, "value": lead, "unit": unit, **SHOWN} for item, (lead, unit) in leads.items()
    ]
    present = ("PARK-12", "PARK-29", "PARK-30", "PARK-31", "PARK-BR-3", "PARK-BR-4")
    evidence += [{"item": item, "met": True, **SHOWN} for item in present]
    references = [{"item": "PARK-24", "lead": 1, "source": "x"}]
    evidence.append({"item": "PARK-BR-5", "met": False, **SHOWN})
    rows = items(written(folder, "typed.yaml", evidence=evidence, references=references), code=1)
    # Item 24 has no unit, so it is stated as met. What is stated is at its lead value.
    assert rows["index"]["value"] is None
    evidence.append({"item": "PARK-24", "met": True, **SHOWN})
    rows = items(written(folder, "whole.yaml", evidence=evidence, references=references), code=1)
    own = [
        row["term"]
        for row in rows.values()
        if row["source"] == "figures" and row["scheme"] == "park" and row["term"] is not None
    ]
    assert len(own) >= 2
    assert rows["index"]["value"] == pytest.approx(100 / 24 * (24 - len(own) + sum(own)), rel=1e-12)
    said = inside("park", "2025-09", folder / "whole.yaml").err
    assert "national (90): barred" in said


@pytest.mark.parametrize(
    ("sections", "says"),
    [
        ({"transfers": [{**TRANSFER, "to": "middle"}]}, "unknown plant 'middle'"),
        ({"transfers": [{**TRANSFER, "to": "upper"}]}, "from and to are one plant"),
        ({"transfers": [{**TRANSFER, "energy": "powr"}]}, "unknown energy 'powr'"),
        ({"transfers": [{**TRANSFER, "meter": "e-works"}]}, "either a meter or amounts"),
        ({"plants": ["upper/plant.yaml"] * 2}, "stands twice"),
        ({"references": [{"item": "PARK-99", "lead": 1, "source": "x"}]}, "unknown item"),
        ({"evidence": [{"item": "PARK-05", "value": 1, "unit": "m2", **SHOWN}]}, "100M CNY/km2"),
    ],
)
def test_what_cannot_be(folder: Path, sections: dict[str, Any], says: str) -> None:
    refused = inside("park", "2025-09", written(folder, "wrong.yaml", **sections))
    assert refused.code == 2
    assert says in refused.err


def test_energy_items_of_chains_and_design_products_are_listed(folder: Path) -> None:
    rows = items(written(folder))
    listed = {name for name in rows if name.startswith(("SC-", "DP-"))}
    assert listed == {"SC-X31", "SC-X51", "SC-X61", "SC-X63", "DP-2"}
    points = [{"item": "SC-X61", "points": 2.0, **SHOWN}]
    row = items(written(folder, "chain.yaml", evidence=points))["SC-X61"]
    assert (row["points"], row["status"]) == (2.0, "partly_met")


def test_carbon_for_the_added_value(tmp_path: Path) -> None:
    meters = [row for row in METERS if row["meter_id"] != "c-kiln"]
    for plant_id in ("upper", "lower"):
        site = load_site(works(tmp_path, plant_id, 1e7, meters=meters))
        lake = jobs.open_lake(site)
        import_file(site, lake, Kind.readings, write_readings(tmp_path / f"scada-{plant_id}.csv"))
        jobs.refresh(site, lake)
    rows = items(written(tmp_path, transfers=[]))
    tonnes = 2 * POWER_KWH * 0.4211 / 1000  # grid of Fujian, 2023
    assert rows["LCP-02"]["value"] == pytest.approx(tonnes / 2000, rel=1e-9)
    assert rows["LCP-02"]["status"] == "met"
    assert (rows["PARK-02"]["value"], rows["PARK-02"]["status"]) == (0, "not_met")
    passed_on = items(written(tmp_path, "passed.yaml"))["LCP-02"]
    assert passed_on["status"] == "needs_evidence"
    assert "twice" in passed_on["reason"]
