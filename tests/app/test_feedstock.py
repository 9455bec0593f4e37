"""Energy as raw material: counted by some norms, excluded by others, from the same meters."""

from __future__ import annotations

from pathlib import Path

import pytest

from app import jobs
from app.imports import import_file
from app.options import Kind
from config.tables import CONSUMPTION, INDICATORS
from tests.app.works import (
    CLINKER_T,
    COAL_T,
    KGCE_PER_KG_COAL,
    KGCE_PER_KWH,
    METERS,
    QUARTERS,
    SECTIONS,
    STEPS,
    filled,
    write_text,
    write_works,
)

WITH = "GB 29449-2024|炭黑（不扣除原料用能）|单位产品综合能耗"
WITHOUT = "GB 29449-2024|炭黑（扣除原料用能）|单位产品综合能耗"
RAW_T = 200.0
FEED = {
    "meter_id": "c-raw", "name": "Coal as raw material", "node": "kiln", "energy": "raw_coal",
    "kind": "amount", "unit": "t", "role": "feedstock",
}  # fmt: skip


def test_a_norm_that_excludes_feedstock_judges_the_fuel_alone(tmp_path: Path) -> None:
    clinker = {**SECTIONS["products"]["clinker"], "norms": [WITH, WITHOUT]}
    plant = write_works(
        tmp_path,
        meters=(*METERS, FEED),
        products={**SECTIONS["products"], "clinker": clinker},
    )
    site, lake = filled(plant)
    stated = "meter_id,start,end,opening_stock,purchased,closing_stock,sold\n"
    stated += f"c-raw,2025-09-01,2025-09-30,0,{RAW_T},0,0\n"
    import_file(site, lake, Kind.statements, write_text(tmp_path / "raw.csv", stated))
    jobs.refresh(site, lake)
    months = lake.scan(INDICATORS, site.id).collect().rows_by_key("grain", named=True)["month"]
    value = {row["norm"]: row["value"] for row in months if row["subject"] == "clinker"}
    fuel = COAL_T * 1000 * KGCE_PER_KG_COAL + QUARTERS * STEPS["e-kiln"] * KGCE_PER_KWH
    assert value[WITHOUT] == pytest.approx(fuel / CLINKER_T, rel=1e-12)
    raw = RAW_T * 1000 * KGCE_PER_KG_COAL
    assert value[WITH] == pytest.approx((fuel + raw) / CLINKER_T, rel=1e-12)
    used = lake.scan(CONSUMPTION, site.id).collect()
    coal = used.filter(energy_code="raw_coal", node_id="works", grain="month")
    assert coal["amount"].to_list() == pytest.approx([(COAL_T + RAW_T) * 1000])
