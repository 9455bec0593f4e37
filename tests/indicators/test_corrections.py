"""Levels of a norm as they hold for a plant, worked by hand from the numbers of GB 16780-2021."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from config.load import load
from tests.indicators.kiln import compute, kiln, row_of
from tests.plants import CLINKER_ENERGY, SECTIONS, write_plant

CEMENT = "GB 16780-2021|水泥产品|单位产品综合能耗"
RATIOS = [
    {"from": "2025-01-01", "ratio": 0.75, "source": "mix of 2025"},
    {"from": "2026-01-01", "ratio": 0.78, "source": "mix of 2026"},
]


def figures(folder: Path, cement: dict[str, Any], **site: Any) -> Any:
    products = {**SECTIONS["products"]}
    products["cement"] = {**products["cement"], "norms": [CEMENT], **cement}
    plant = {**SECTIONS["plant"], **site}
    return compute(*kiln(), load(write_plant(folder, products=products, plant=plant)))


def levels(row: dict[str, Any]) -> list[float]:
    return [row[f"level{k}"] for k in (1, 2, 3)]


def test_the_clinker_ratio_of_the_day_moves_each_level(tmp_path: Path) -> None:
    row = row_of(figures(tmp_path, {"clinker_ratio": RATIOS}), CEMENT, "cement")
    # 3 points more than 75 %: 1.10, 1.15 and 1.20 kgce/t a point
    assert levels(row) == pytest.approx([80 + 3.3, 87 + 3.45, 94 + 3.6])
    assert row["corrections"] == "clinker ratio 0.78"
    assert row["distance_level1"] == pytest.approx(row["value"] - 83.3)
    assert row["level_reached"] == 2  # 88.46 kgce/t, which is over 87 as printed


def test_without_a_ratio_the_levels_are_as_printed_and_that_is_said(tmp_path: Path) -> None:
    row = row_of(figures(tmp_path, {}), CEMENT, "cement")
    assert levels(row) == [80, 87, 94]
    assert row["corrections"] == "clinker ratio not stated: levels for 75 %"


def test_a_high_site_gets_a_higher_level_3_alone(tmp_path: Path) -> None:
    high = {"altitude_m": 2000, "mean_pressure_pa": 81060}
    found = figures(tmp_path, {"clinker_ratio": RATIOS}, **high)
    clinker = row_of(found, CLINKER_ENERGY)
    assert levels(clinker) == pytest.approx([100, 107, 117 * 1.0102])
    assert clinker["corrections"] == "altitude factor 1.0102 on level 3"
    cement = row_of(found, CEMENT, "cement")
    assert levels(cement) == pytest.approx([83.3, 90.45, 97.6 * 1.0102])
    unknown = figures(tmp_path / "b", {}, altitude_m=2000)
    assert levels(row_of(unknown, CLINKER_ENERGY)) == [100, 107, 117]
    assert "mean pressure not stated" in row_of(unknown, CLINKER_ENERGY)["corrections"]
    low = figures(tmp_path / "c", {}, altitude_m=1500, mean_pressure_pa=84500)
    assert row_of(low, CLINKER_ENERGY)["corrections"] == ""


NEXT = {
    "standard": "GB 16780-2026", "product": "水泥熟料", "indicator": "单位产品综合能耗",
    "unit": "kgce/t", "level1": 90, "level2": 95, "level3": 105, "source": "invented",
}  # fmt: skip


def judged_in(folder: Path, effective_from: str, *, both: bool) -> list[tuple[Any, ...]]:
    new = "GB 16780-2026|水泥熟料|单位产品综合能耗"
    clinker = {
        **SECTIONS["products"]["clinker"],
        "norms": [new, CLINKER_ENERGY] if both else [new],
    }
    site = load(
        write_plant(
            folder,
            products={**SECTIONS["products"], "clinker": clinker},
            norms=[{**NEXT, "effective_from": effective_from}],
        )
    )
    rows = compute(*kiln(), site).filter(subject="clinker", indicator="unit_product_energy")
    return rows.select("standard", "level3", "level_reached", "corrections").rows()


def test_of_two_editions_the_one_in_force_judges(tmp_path: Path) -> None:
    # October 2026 took 106.9 kgce/t.
    new, old = ("GB 16780-2026", 105.0, 0, ""), ("GB 16780-2021", 117.0, 2, "")
    assert judged_in(tmp_path / "a", "2026-10-01", both=True) == [new]
    assert judged_in(tmp_path / "b", "2026-10-02", both=True) == [old]


def test_a_norm_that_is_not_in_force_judges_nothing_and_says_from_when(tmp_path: Path) -> None:
    assert judged_in(tmp_path, "2027-01-01", both=False) == [
        ("GB 16780-2026", None, None, "in force from 2027-01-01")
    ]
