"""`kgce benchmark` on the works, whose September is known by arithmetic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.app.commands import inside
from tests.app.works import CLINKER_KGCE_PER_T, CLINKER_T, SECTIONS, filled, write_works
from tests.plants import CLINKER_ENERGY

BENCHMARK = "发改产业〔2023〕723号|水泥熟料|单位产品综合能耗"
UREA = "发改产业〔2023〕723号|尿素|单位产品综合能耗"
STRICT = {
    "standard": "DB35/T 1-2020", "product": "clinker", "indicator": "单位产品综合能耗",
    "unit": "kgce/t", "level1": 70, "effective_from": "2020-01-01", "source": "invented",
}  # fmt: skip


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    products = {**SECTIONS["products"]}
    norms = [*products["clinker"]["norms"], "DB35/T 1-2020|clinker|单位产品综合能耗"]
    clinker = {**products["clinker"], "norms": norms, "benchmarks": [BENCHMARK, UREA]}
    file = write_works(
        tmp_path_factory.mktemp("works"), products={**products, "clinker": clinker}, norms=[STRICT]
    )
    filled(file)
    return file


def compared(plant: Path, *options: str) -> list[dict[str, Any]]:
    done = inside("benchmark", "2025-09", "-p", plant, "--format", "json", *options)
    assert done.code == 0, done.err
    return done.records()


def test_each_reference_with_gap_and_saving(plant: Path) -> None:
    rows = {(row["against"], row["reference"]): row for row in compared(plant)}
    row = rows["benchmark", BENCHMARK]
    assert row["value"] == pytest.approx(CLINKER_KGCE_PER_T, rel=1e-12)
    assert row["gap"] == pytest.approx(CLINKER_KGCE_PER_T - 100, rel=1e-12)
    assert row["gap_ratio"] == pytest.approx(CLINKER_KGCE_PER_T / 100 - 1, rel=1e-12)
    a_year = (CLINKER_KGCE_PER_T - 100) * CLINKER_T / 1000 * 365 / 30
    assert row["tce_per_year"] == pytest.approx(a_year, rel=1e-12)
    assert row["confidence"] == "recalled"
    assert rows["baseline", BENCHMARK]["reference_value"] == 117
    assert rows["norm level 3", CLINKER_ENERGY]["gap"] == pytest.approx(row["value"] - 117)


def test_the_largest_saving_comes_first(plant: Path) -> None:
    rows = compared(plant)
    savings = [row["tce_per_year"] for row in rows]
    assert savings == sorted(savings, reverse=True)
    (first, *_) = (row for row in rows if row["indicator"] == "unit_product_energy")
    assert (first["reference"], first["gap"] > 0) == (
        "DB35/T 1-2020|clinker|单位产品综合能耗",
        True,
    )
    assert first["sure"] is True


def test_what_is_held_against_nothing_is_said(plant: Path) -> None:
    done = inside("benchmark", "2025-09", "-p", plant)
    assert UREA in done.err
    assert BENCHMARK not in done.err
    assert "标杆" not in done.out
    only = compared(plant, "--product", "clinker")
    assert {row["subject"] for row in only} == {"clinker"}


def test_a_running_year_has_no_best_of_its_own(plant: Path) -> None:
    done = inside("benchmark", "2025", "-p", plant, "--format", "json")
    assert {row["against"] for row in done.records()} & {"own best", "year before"} == set()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("2025-13",), "a month, 2026-10, or a year, 2026"),
        (("2024-09",), "no figures of 2024-09"),
        (("2025-09", "--product", "brick"), "clinker, cement"),
    ],
)
def test_what_there_is_not(plant: Path, arguments: tuple[str, ...], says: str) -> None:
    done = inside("benchmark", *arguments, "-p", plant)
    assert done.code == 2
    assert says in done.err


def test_an_unknown_row_is_refused(tmp_path: Path) -> None:
    products = {**SECTIONS["products"]}
    wrong = {**products["clinker"], "benchmarks": [BENCHMARK.replace("熟料", "熟")]}
    refused = inside("check", "-p", write_works(tmp_path, products={**products, "clinker": wrong}))
    assert refused.code == 2
    assert f"did you mean '{BENCHMARK}'" in refused.err


def test_where_it_stands_among_peers(plant: Path, tmp_path: Path) -> None:
    values = [CLINKER_KGCE_PER_T + k for k in range(-1, 19)]
    rows = [f"clinker,unit_product_energy,kgce/t,{value}" for value in values]
    file = tmp_path / "peers.csv"
    file.write_text("\n".join(["product,indicator,unit,value", *rows]) + "\n", encoding="utf-8")
    found = {row["against"]: row for row in compared(plant, "--peers", str(file))}
    assert found["peers best 5 %"]["reference"] == "20 peers"
    assert found["peers best 5 %"]["gap"] == pytest.approx(1)
    assert found["peers median"]["gap"] == pytest.approx(-8.5)
    done = inside("benchmark", "2025-09", "-p", plant, "--peers", file)
    assert "clinker unit_product_energy: 92% of 20 peers use more" in done.err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("product,unit,value\n", ":1: column indicator is missing"),
        ("product,indicator,unit,value\nlime,x,kgce/t,1\n", ":2: product 'lime'"),
        ("product,indicator,unit,value\nclinker,x,kgce/t,nan\n", ":2: value 'nan'"),
    ],
)
def test_a_wrong_file_of_peers_is_refused(
    plant: Path, tmp_path: Path, text: str, says: str
) -> None:
    file = tmp_path / "peers.csv"
    file.write_text(text, encoding="utf-8")
    done = inside("benchmark", "2025-09", "-p", plant, "--peers", file)
    assert done.code == 2
    assert says in done.err
