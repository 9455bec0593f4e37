"""`kgce structure` and `kgce cost` on the works, whose September is known by arithmetic.

The incomer counts 40 kWh a quarter hour, but 100 kWh from 14:15 to 14:30 on 10 September; on the
3rd its readings between 07:00 and 09:00 are lost. Tariff and coal price change inside the month.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from app import jobs
from app.cost import money_of_kgce
from app.imports import import_file
from app.options import Kind
from app.published import Published
from app.sites import load_site
from config.sheets.cost import COST, STRUCTURE, TARIFF_PERIODS
from tests.app.commands import inside
from tests.app.works import (
    METERS,
    PRODUCTION,
    STATED,
    counts,
    write_readings,
    write_text,
    write_works,
)
from tests.app.works import SECTIONS as WORKS_SECTIONS
from tests.plants import SECTIONS as PLANT_SECTIONS

LONG = {"long": WORKS_SECTIONS["imports"]["long"]}
LOST = range(2 * 96 + 29, 2 * 96 + 36)
PEAK_QUARTER = 9 * 96 + 57
WORKS_KWH = 2880 * 40.0 + 60
COAL_KG = 540_000.0
HOURS = {
    "peak": ["08:00-12:00", "18:00-22:00"], "flat": ["12:00-18:00"], "valley": ["22:00-08:00"],
}  # fmt: skip
FIRST_TARIFF = {
    "from": "2025-01-01",
    "prices": {"peak": 0.9, "flat": 0.6, "valley": 0.3},
    "seasons": [{"hours": HOURS}],
    "demand": {"cny_per_kw_month": 40},
    "source": "notice 1",
}
SECOND_TARIFF = {
    "from": "2025-09-16",
    "prices": {"peak": 1.0, "flat": 0.6, "valley": 0.2},
    "demand": {"cny_per_kw_month": 46},
    "source": "notice 2",
}
COAL = [
    {"energy": "raw_coal", "from": "2025-01-01", "unit": "t", "cny_per_unit": 800, "source": "A"},
    {"energy": "raw_coal", "from": "2025-09-11", "unit": "t", "cny_per_unit": 900, "source": "B"},
]
ASSESSMENT: dict[str, Any] = {
    "prices": COAL,
    "tariffs": [FIRST_TARIFF, SECOND_TARIFF],
    "economy": [{"period": "2025-09", "output_value_cny": 3e6, "source": "B204-1"}],
}
PEAK_KWH, FLAT_KWH, VALLEY_KWH = 8 * 160.0 * 15, 6 * 160.0 * 30 + 60, 10 * 160.0 * 15
PEAK_CNY = PEAK_KWH * (0.9 + 1.0)
FLAT_CNY = FLAT_KWH * 0.6
VALLEY_CNY = VALLEY_KWH * (0.3 + 0.2)
DEMAND_CNY = 400.0 * (40 * 15 + 46 * 15) / 30
ELECTRICITY_CNY = PEAK_CNY + FLAT_CNY + VALLEY_CNY + DEMAND_CNY
COAL_CNY = 10 * 18 * 800.0 + 20 * 18 * 900.0
WORKS_KGCE = COAL_KG * 0.7143 + WORKS_KWH * 0.1229


def fill(plant: Path, *, without: range) -> Path:
    rows = [
        (time, {**values, "e-works": values["e-works"] + 60 * (n > PEAK_QUARTER)})
        for n, (time, values) in enumerate(counts())
        if n not in without
    ]
    site = load_site(plant)
    lake = jobs.open_lake(site)
    files = {
        Kind.readings: write_readings(plant.parent / "scada.csv", rows),
        Kind.production: write_text(plant.parent / "production.csv", PRODUCTION),
        Kind.statements: write_text(plant.parent / "statements.csv", STATED),
    }
    for kind, file in files.items():
        import_file(site, lake, kind, file)
    jobs.refresh(site, lake)
    return plant


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = write_works(
        tmp_path_factory.mktemp("works"),
        assessment="assessment.yaml",
        plant={**PLANT_SECTIONS["plant"], "metering_since": "2025-09-01"},
    )
    assess(file)
    return fill(file, without=LOST)


def assess(plant: Path, **sections: Any) -> Path:
    """Write the assessment, which may change without a new refresh."""
    text = json.dumps({**ASSESSMENT, **sections}, ensure_ascii=False)
    (plant.parent / "assessment.yaml").write_text(text, encoding="utf-8")
    return plant


def rows_of(plant: Path, *arguments: str) -> list[dict[str, Any]]:
    done = inside(*arguments, "-p", plant, "--format", "json")
    assert done.code == 0, done.err
    rows = done.records()
    sheet = COST if arguments[0] == "cost" else STRUCTURE
    sheet = TARIFF_PERIODS if "tariff" in arguments else sheet
    jsonschema.validate(rows, sheet.json_schema())
    keys = [tuple(row[name] for name in sheet.key) for row in rows]
    assert len(keys) == len({*keys})
    return rows


def test_shares_by_energy_and_process(plant: Path) -> None:
    assess(plant)
    rows = {row["part"]: row for row in rows_of(plant, "structure", "2025-09")}
    coal = rows["raw_coal"]
    assert coal["value"] == pytest.approx(COAL_KG * 0.7143 / 1000, rel=1e-12)
    assert coal["share_pct"] == pytest.approx(100 * COAL_KG * 0.7143 / WORKS_KGCE, rel=1e-12)
    assert rows["total"]["value"] == pytest.approx(WORKS_KGCE / 1000, rel=1e-12)
    both = rows_of(plant, "structure", "2025-09", "--basis", "both")
    sure = {row["basis"]: row["confidence"] for row in both if row["part"] == "total"}
    assert sure == {"calorific": "seen", "equivalent": "recalled"}
    rows = {row["part"]: row for row in rows_of(plant, "structure", "2025-09", "--by", "process")}
    assert [*rows] == ["kiln", "mill", "unallocated", "total"]
    assert rows["mill"]["value"] == pytest.approx(36_000 * 0.1229 / 1000, rel=1e-12)
    left = (WORKS_KWH - 72_000 - 36_000) * 0.1229 / 1000
    assert rows["unallocated"]["value"] == pytest.approx(left, rel=1e-9)
    assert sum(rows[p]["share_pct"] for p in ("kiln", "mill", "unallocated")) == pytest.approx(100)


def test_energy_per_value_and_its_absence(plant: Path) -> None:
    rows = rows_of(assess(plant), "structure", "2025-09", "--by", "economy")
    output, added = rows
    assert output["value"] == pytest.approx(WORKS_KGCE / 1000 / 300, rel=1e-12)
    assert (output["unit"], "B204-1" in output["sources"]) == ("tce/10^4 CNY", True)
    assert (added["value"], added["status"]) == (None, "refused")
    assert added["reason"] == "added_value_cny of 2025-09 is not stated"


def test_electricity_by_tariff_period(plant: Path) -> None:
    found = rows_of(assess(plant), "structure", "2025-09", "--by", "tariff")
    rows = {row["tariff_period"]: row for row in found}
    assert [*rows] == ["peak", "flat", "valley", "total"]
    # Of the 320 kWh that passed unseen between 07:00 and 09:00, half is laid into each hour.
    peak = rows["peak"]
    assert peak["value"] == pytest.approx(2 * PEAK_KWH)
    assert peak["imputed"] == pytest.approx(160)
    assert (peak["low"], peak["high"]) == pytest.approx((2 * PEAK_KWH - 160, 2 * PEAK_KWH + 160))
    assert "160 kWh are imputed" in peak["reason"]
    assert (peak["hours"], peak["cny_per_kwh"]) == (240, pytest.approx(0.95))
    flat = rows["flat"]
    assert flat["value"] == flat["low"] == flat["high"] == pytest.approx(FLAT_KWH)
    # Over the month the gap's amount is exact.
    total = rows["total"]
    assert total["low"] == total["high"] == pytest.approx(WORKS_KWH)
    assert total["share_pct"] == pytest.approx(100)


def test_cost_of_a_month_in_which_prices_change(plant: Path) -> None:
    rows = rows_of(assess(plant), "cost", "2025-09")
    own = [row for row in rows if row["subject"] == "plant"]
    by = {(row["item"], row["energy_code"], row["tariff_period"]): row for row in own}
    peak = by["energy_cost", "electricity", "peak"]
    assert peak["value"] == pytest.approx(PEAK_CNY, rel=1e-12)
    assert (peak["low"], peak["high"]) == pytest.approx((PEAK_CNY - 144, PEAK_CNY + 144))
    assert by["energy_cost", "electricity", "flat"]["value"] == pytest.approx(FLAT_CNY, rel=1e-12)
    assert by["energy_cost", "electricity", "valley"]["value"] == pytest.approx(
        VALLEY_CNY, rel=1e-12
    )
    coal = by["energy_cost", "raw_coal", ""]
    assert coal["value"] == pytest.approx(COAL_CNY, rel=1e-9)
    assert 540 * 800 <= coal["low"] <= COAL_CNY <= coal["high"] <= 540 * 900
    total = by["total", "", ""]
    assert total["value"] == pytest.approx(ELECTRICITY_CNY + COAL_CNY, rel=1e-9)
    assert "notice 1" in total["sources"]
    assert "notice 2" in total["sources"]


def test_the_demand_charge_names_its_interval(plant: Path) -> None:
    rows = rows_of(assess(plant), "cost", "2025-09")
    (row,) = (row for row in rows if row["item"] == "demand_charge")
    assert row["amount"] == pytest.approx(400)  # 100 kWh in a quarter hour
    assert row["demand_start_utc"] == "2025-09-10T06:15:00Z"
    assert row["value"] == row["low"] == pytest.approx(DEMAND_CNY)
    # In the two hours without readings all 320 kWh may have passed as fast as the rating allows.
    assert row["high"] > DEMAND_CNY
    half = {**FIRST_TARIFF, "demand": {"cny_per_kw_month": 40, "minutes": 30}}
    rows = rows_of(assess(plant, tariffs=[half]), "cost", "2025-09")
    (row,) = (row for row in rows if row["item"] == "demand_charge")
    assert row["amount"] == pytest.approx((100 + 40) * 2)
    assert row["demand_start_utc"] == "2025-09-10T06:00:00Z"
    paid = {**FIRST_TARIFF, "demand": {"cny_per_kw_month": 30, "contracted_kw": 500}}
    rows = rows_of(assess(plant, tariffs=[paid]), "cost", "2025-09")
    (row,) = (row for row in rows if row["item"] == "demand_charge")
    assert (row["value"], row["demand_start_utc"]) == (15_000, None)


def test_cost_of_a_product_and_of_a_tonne(plant: Path) -> None:
    rows = rows_of(assess(plant), "cost", "2025-09")
    by = {(row["subject"], row["item"], row["energy_code"]): row for row in rows}
    mean = ELECTRICITY_CNY / WORKS_KWH
    power = by["clinker", "energy_cost", "electricity"]
    assert power["price"] == pytest.approx(mean, rel=1e-9)
    assert power["value"] == pytest.approx(72_000 * mean, rel=1e-9)
    whole = 72_000 * mean + COAL_CNY
    assert by["clinker", "total", ""]["value"] == pytest.approx(whole, rel=1e-9)
    tonne = by["clinker", "unit_cost", ""]
    assert (tonne["value"], tonne["unit"]) == (pytest.approx(whole / 5000, rel=1e-9), "CNY/t")
    cement = by["cement", "unit_cost", ""]
    assert cement["amount"] == pytest.approx(5760)
    assert cement["value"] == pytest.approx((108_000 * mean + COAL_CNY) / 5760, rel=1e-9)


def test_a_missing_price_is_no_zero(plant: Path) -> None:
    rows = rows_of(assess(plant, prices=COAL[1:]), "cost", "2025-09")
    by = {
        (row["subject"], row["item"], row["energy_code"], row["tariff_period"]): row for row in rows
    }
    coal = by["plant", "energy_cost", "raw_coal", ""]
    assert (coal["value"], coal["low"], coal["status"]) == (None, None, "refused")
    assert "no price is stated for the time up to 2025-09-10 16:00 UTC" in coal["reason"]
    total = by["plant", "total", "", ""]
    assert total["value"] is None
    assert f"what is known comes to {ELECTRICITY_CNY:.2f} CNY" in total["reason"]
    assert by["plant", "energy_cost", "electricity", "peak"]["value"] == pytest.approx(PEAK_CNY)
    assert by["clinker", "unit_cost", "", ""]["value"] is None
    rows = rows_of(assess(plant, tariffs=[]), "cost", "2025-09")
    (power,) = (r for r in rows if (r["subject"], r["energy_code"]) == ("plant", "electricity"))
    assert (power["value"], power["reason"][:27]) == (None, "electricity: no price is st")


def test_time_before_the_first_tariff_goes_by_the_price(plant: Path) -> None:
    late = {**FIRST_TARIFF, "from": "2025-09-16", "demand": None}
    rows = rows_of(assess(plant, tariffs=[late]), "structure", "2025-09", "--by", "tariff")
    assert [row["tariff_period"] for row in rows][-2:] == ["no_tariff", "total"]
    power = {
        "energy": "electricity", "from": "2025-01-01", "unit": "kWh", "cny_per_unit": 0.5,
        "source": "C",
    }  # fmt: skip
    assess(plant, tariffs=[late], prices=[*COAL, power])
    rows = rows_of(plant, "cost", "2025-09")
    (before,) = (row for row in rows if row["tariff_period"] == "no_tariff")
    assert before["value"] == pytest.approx((15 * 24 * 160 + 60) * 0.5)


def test_what_the_tariff_does_not_bill_is_apart(tmp_path: Path) -> None:
    """The kiln and the mill have no main meter; the tariff bills the kiln alone."""
    meters = [row for row in METERS if row["meter_id"] != "e-works"]
    billed = {**FIRST_TARIFF, "meters": ["e-kiln"]}
    file = write_works(tmp_path, meters=meters, imports=LONG, assessment="assessment.yaml")
    site = load_site(assess(file, tariffs=[billed]))
    lake = jobs.open_lake(site)
    readings = [
        f"{time.isoformat(' ')},{meter},{values[meter]}"
        for time, values in counts(last=96)
        for meter in ("e-kiln", "e-mill")
    ]
    write_text(tmp_path / "long.csv", "\n".join(["time,meter,value", *readings, ""]))
    import_file(site, lake, Kind.readings, tmp_path / "long.csv")
    jobs.refresh(site, lake)
    rows = {
        row["tariff_period"]: row for row in rows_of(file, "structure", "2025-09", "--by", "tariff")
    }
    assert rows["peak"]["value"] == pytest.approx(8 * 100)
    assert rows["not_billed"]["value"] == pytest.approx(24 * 50)
    costs = rows_of(file, "cost", "2025-09")
    (demand,) = (row for row in costs if row["item"] == "demand_charge")
    assert demand["amount"] == pytest.approx(100)
    (apart,) = (row for row in costs if row["tariff_period"] == "not_billed")
    assert (apart["value"], apart["reason"]) == (
        None,
        "electricity not_billed: no price is stated",
    )


def test_what_a_kgce_costs(plant: Path) -> None:
    site = load_site(assess(plant))
    published = Published(site, jobs.open_lake(site))
    money, reason, confidence = money_of_kgce(published, "2025-09")
    assert money.value == pytest.approx((ELECTRICITY_CNY + COAL_CNY) / WORKS_KGCE, rel=1e-9)
    assert (reason, confidence) == ("", "seen")
    of_clinker, _, _ = money_of_kgce(published, "2025-09", "clinker")
    cost = 72_000 * ELECTRICITY_CNY / WORKS_KWH + COAL_CNY
    assert of_clinker.value == pytest.approx(cost / (72_000 * 0.1229 + COAL_KG * 0.7143), rel=1e-9)
    site = load_site(assess(plant, prices=[]))
    money, reason, _ = money_of_kgce(Published(site, jobs.open_lake(site)), "2025-09")
    assert money.value is None
    assert reason.startswith("unknown: raw_coal; what is known comes to")


def test_a_month_with_a_fifth_of_it_lost_is_refused_within_true_bounds(tmp_path: Path) -> None:
    file = write_works(tmp_path, assessment="assessment.yaml")
    fill(assess(file), without=range(20 * 96 + 1, 26 * 96))
    rows = rows_of(file, "structure", "2025-09", "--by", "tariff")
    truth = {"peak": 2 * PEAK_KWH, "flat": FLAT_KWH, "valley": 2 * VALLEY_KWH}
    for row in rows[:-1]:
        assert (row["value"], row["status"]) == (None, "refused")
        assert "a coverage of 80.0%" in row["reason"]
        assert row["low"] < truth[row["tariff_period"]] < row["high"]
    by = {(r["item"], r["tariff_period"]): r for r in rows_of(file, "cost", "2025-09")[:5]}
    assert by["energy_cost", "peak"]["value"] is None
    assert by["energy_cost", "peak"]["low"] < PEAK_CNY < by["energy_cost", "peak"]["high"]
    assert by["demand_charge", ""]["value"] is None
    assert by["demand_charge", ""]["low"] <= DEMAND_CNY <= by["demand_charge", ""]["high"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("cost", "2024-09"), "no figures of 2024-09"),
        (("structure", "September"), "a month, 2026-10, or a year, 2026"),
    ],
)
def test_what_there_is_not(plant: Path, arguments: tuple[str, ...], says: str) -> None:
    done = inside(*arguments, "-p", assess(plant))
    assert done.code == 2
    assert says in done.err


def test_screens_in_chinese(plant: Path) -> None:
    shown = inside("cost", "2025-09", "-p", assess(plant), "--lang", "zh")
    assert shown.code == 0
    assert all(word in shown.out for word in ("基本电费", "谷", "金额", "2025-09-10 14:15:00"))
