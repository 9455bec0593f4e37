"""References of a figure: its own past, benchmarks in force, and how sure a gap is."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from config.load import load
from config.site import Site
from config.standards import read_library
from config.tables import INDICATORS
from indicators.benchmarking import benchmarked, kind_of_benchmark
from tests.plants import write_plant


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return load(write_plant(tmp_path))


def figure(period: str, value: float | None, **cells: Any) -> dict[str, Any]:
    year, month = int(period[:4]), int(period[5:])
    later = (year, month + 1) if month < 12 else (year + 1, 1)
    row = {
        "plant_id": "works", "indicator": "unit_product_energy", "subject": "clinker",
        "grain": "month", "period": period, "start_utc": datetime(year, month, 1, tzinfo=UTC),
        "end_utc": datetime(*later, 1, tzinfo=UTC), "value": value, "unit": "kgce/t",
        "low": value, "high": value, "coverage_ratio": 1.0, "status": "complete",
        "basis": "calorific", "numerator": 1e6, "numerator_unit": "kgce", "denominator": 1e4,
        "denominator_unit": "t", "norm": "", "standard": "", "confidence": "seen",
        "provenance": "",
    }  # fmt: skip
    return {name: {**row, **cells}.get(name) for name in INDICATORS.names}


def held(site: Site, *rows: dict[str, Any], period: str = "2026-10") -> list[tuple[Any, ...]]:
    frame = pl.DataFrame(rows, schema=INDICATORS.polars_schema())
    found = benchmarked(frame, site, period)
    return found.select("against", "reference", "reference_value", "gap", "sure").rows()


def test_own_best_is_a_whole_month_and_last_year_is_the_same_month(site: Site) -> None:
    found = held(
        site,
        figure("2026-10", 105.0),
        figure("2026-08", 98.0, status="partial"),
        figure("2026-07", 100.0),
        figure("2026-06", None),
        figure("2025-10", 107.0),
    )
    assert found == [
        ("own best", "2026-07", 100.0, 5.0, True),
        ("year before", "2025-10", 107.0, -2.0, True),
    ]


def test_the_best_month_may_be_another_subjects_or_norms_only(site: Site) -> None:
    others = figure("2026-07", 90.0, subject="cement"), figure("2026-06", 91.0, norm="x")
    assert held(site, figure("2026-10", 105.0), *others) == []


def test_bounds_that_hold_the_reference_are_not_sure(site: Site) -> None:
    best = figure("2026-07", 100.0)
    for low, high, sure in ((99.0, 110.0, False), (101.0, 110.0, True), (101.0, None, False)):
        (row,) = held(site, figure("2026-10", 105.0, low=low, high=high), best)
        assert row[-1] is sure


def test_a_refused_figure_is_held_against_nothing(site: Site) -> None:
    assert held(site, figure("2026-10", None, status="refused"), figure("2026-07", 100.0)) == []


def test_every_benchmark_row_is_of_a_kind_or_of_a_unit_that_is_no_plain_ratio() -> None:
    kinds = {row.unit: kind_of_benchmark(row) for row in read_library().benchmarks.values()}
    none = {unit for unit, kind in kinds.items() if kind is None}
    assert none == {"kgoe/(t*energy factor)", "kgce/重量箱", "kgce/100 m"}
    power = {unit for unit, kind in kinds.items() if kind == "unit_product_electricity"}
    assert power == {unit for unit in kinds if unit.startswith("kWh/")} != set()
