"""The numbers of the law: all rows load, and the right edition holds on each day."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from config.errors import ConfigError
from config.models import FactorRow
from config.standards import (
    BASES,
    CONFIDENCES,
    FILES,
    Basis,
    Library,
    read_library,
    weakest,
)
from config.standards_own import OwnBenchmark, OwnNorm
from config.standards_rows import STANDARDS_FOLDER
from config.units import AMOUNT_UNITS


@pytest.fixture
def library() -> Library:
    return read_library()


def rows_of(name: str) -> list[dict[str, str]]:
    with (STANDARDS_FOLDER / name).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_row_of_the_files_is_there(library: Library) -> None:
    assert len(library.norms) == len(rows_of("norm_limits.csv")) == 806
    assert len(library.factors) == len(rows_of("factors.csv")) == 80
    assert len(library.benchmarks) == len(rows_of("benchmark_levels.csv")) == 72


def test_ids_are_unique_and_free_of_the_separator(library: Library) -> None:
    ids = [factor.id for factor in library.factors]
    assert max(Counter(ids).values()) == 1
    # `factors` of the consumption table joins two ids by a semicolon.
    assert not [factor_id for factor_id in ids if ";" in factor_id]


def test_norm_ids_say_standard_product_and_indicator(library: Library) -> None:
    for norm_id, norm in library.norms.items():
        assert norm_id == f"{norm.standard}|{norm.product}|{norm.indicator}"
        assert any(level is not None for level in norm.levels)


def test_benchmark_ids_say_notice_product_and_indicator(library: Library) -> None:
    for row_id, row in library.benchmarks.items():
        assert row_id == f"{row.notice}|{row.product}|{row.indicator}"
    known = [r for r in library.benchmarks.values() if r.benchmark_level is not None]
    assert len(known) == 62
    assert all(r.baseline_level is not None for r in known)


def test_a_column_that_is_missing_is_named(tmp_path: Path) -> None:
    for file in FILES:
        text = (STANDARDS_FOLDER / file).read_text(encoding="utf-8")
        (tmp_path / file).write_text(text.replace("baseline_level", "base"), encoding="utf-8")
    with pytest.raises(ConfigError, match="column baseline_level is missing"):
        read_library(tmp_path)


def test_own_levels_go_before_ours(library: Library) -> None:
    norm_id = "GB 16780-2021|水泥熟料|单位产品综合能耗"
    standard, product, indicator = norm_id.split("|")
    newer = OwnNorm(
        standard=standard, product=product, indicator=indicator, unit="kgce/t",
        level3=110, effective_from=date(2027, 1, 1), source="printed annex, page 4",
    )  # fmt: skip
    added = OwnBenchmark(
        notice="闽工信〔2026〕1号", product="水泥熟料", indicator="单位产品综合能耗", unit="kgce/t",
        benchmark_level=98, effective_from=date(2026, 1, 1), source="notice",
    )  # fmt: skip
    mine = library.with_own_levels([newer], [added])
    row = mine.norms[norm_id]
    assert (row.levels, row.note) == ((None, None, 110.0), "printed annex, page 4")
    assert row.title_zh == library.norms[norm_id].title_zh
    assert len(mine.norms) == len(library.norms)
    assert mine.benchmarks[added.id].benchmark_level == 98
    assert library.norms[norm_id].level3 == 117


def test_factors_have_known_units_one_for_each_energy(library: Library) -> None:
    units: dict[str, set[str]] = {}
    for factor in library.factors:
        assert factor.unit in AMOUNT_UNITS
        units.setdefault(factor.energy, set()).add(factor.unit)
        assert factor.kind in ("fuel", "electricity", "heat", "medium")
        assert factor.kgce_per_unit is None or factor.kgce_per_unit > 0
        assert (factor.kgce_per_unit_low is None) == (factor.kgce_per_unit_high is None)
    assert {energy: {unit} for energy, unit in library.energies.items()} == units


def test_limits_may_be_negative_and_out_of_order(library: Library) -> None:
    levels = [norm.levels for norm in library.norms.values()]
    assert sum(any(v is not None and v < 0 for v in three) for three in levels) >= 2
    assert sum(None not in three and three[1] < three[0] for three in levels) >= 4  # type: ignore[operator]


EDITIONS: list[tuple[str, Basis, str, str | None]] = [
    ("water_fresh", "calorific", "2008-05-31", None),
    ("water_fresh", "calorific", "2008-06-01", "GB/T 2589-2008|WATER_FRESH"),
    ("water_fresh", "calorific", "2021-03-31", "GB/T 2589-2008|WATER_FRESH"),
    ("water_fresh", "calorific", "2021-04-01", "GB/T 2589-2020|WATER_FRESH"),
    ("electricity", "calorific", "2026-10-01", "GB/T 2589-2020|ELEC_EQ"),
    ("electricity", "equivalent", "2018-12-31", "GB/T 2589-2020|ELEC_EQV"),
    (
        "electricity",
        "equivalent",
        "2019-12-31",
        "national net coal rate (proxy)|ELEC_EQV_2019",
    ),
    (
        "electricity",
        "equivalent",
        "2026-10-01",
        "national net coal rate (proxy)|ELEC_EQV_2024",
    ),
    ("raw_coal", "equivalent", "2026-10-01", "GB/T 2589-2020|RAW_COAL"),
    ("steam_1mpa", "calorific", "2026-10-01", None),
    ("no_such_energy", "calorific", "2026-10-01", None),
]


@pytest.mark.parametrize(("energy", "basis", "on", "wanted"), EDITIONS)
def test_edition_by_date(
    energy: str, basis: Basis, on: str, wanted: str | None, library: Library
) -> None:
    factor = library.factor(energy, basis, date.fromisoformat(on))
    assert (factor.id if factor else None) == wanted


def own(**keys: object) -> FactorRow:
    row = {
        "energy": "raw_coal",
        "unit": "kg",
        "kgce_per_unit": 0.8,
        "effective_from": "2026-01-01",
        "source": "certificate",
    }
    return FactorRow.model_validate(row | keys)


def test_own_factor_goes_first_from_its_day(library: Library) -> None:
    mine = library.with_own((own(),))
    before, after = (mine.factor("raw_coal", "calorific", date(y, 1, 1)) for y in (2025, 2026))
    assert before is not None
    assert after is not None
    assert (before.kgce_per_unit, before.scope) == (0.7143, "general")
    assert (after.kgce_per_unit, after.scope) == (0.8, "plant")
    assert mine.energies == library.energies


def test_own_factors_of_two_bases_have_two_ids(library: Library) -> None:
    mine = library.with_own((own(basis="calorific"), own(basis="equivalent", kgce_per_unit=0.9)))
    found = [mine.factor("raw_coal", basis, date(2026, 5, 1)) for basis in BASES]
    assert [factor and factor.kgce_per_unit for factor in found] == [0.8, 0.9]
    assert len({factor.id for factor in mine.factors}) == len(mine.factors)


def test_weakest_confidence() -> None:
    assert weakest(CONFIDENCES) == "doubtful"
    assert weakest([]) == "seen"
    assert weakest(["inferred", "seen-draft"]) == "inferred"


def test_names_in_both_languages(library: Library) -> None:
    assert library.energy_name("electricity", "zh") == "电力"
    assert library.energy_name("electricity", "en") == "Electricity"
    assert library.energy_name("converter_gas", "en") == "Converter gas"  # Converter (LD) gas
    assert all(library.energy_name(e, lang) for e in library.energies for lang in ("zh", "en"))


WRONG: list[tuple[str, str, str, str]] = [
    ("factors.csv", "kgce_per_unit", "0,7143", ":2: kgce_per_unit '0,7143'"),
    ("factors.csv", "effective_from", "2026-13-01", ":2: effective_from '2026-13-01'"),
    ("factors.csv", "basis", "calorifc", ":2: basis 'calorifc'"),
    ("factors.csv", "energy", "", ":2: energy is empty"),
    ("factors.csv", "id", "TWICE", ":3: id 'TWICE' stands on line 2 too"),
    ("norm_limits.csv", "level2", "≤87", ":2: level2 '≤87'"),
    ("norm_limits.csv", "confidence", "sure", ":2: confidence 'sure'"),
    ("benchmark_levels.csv", "baseline_level", "117,5", ":2: baseline_level '117,5'"),
    ("benchmark_levels.csv", "notice", "", ":2: notice is empty"),
]


@pytest.mark.parametrize(("name", "column", "cell", "says"), WRONG)
def test_refuses_a_wrong_row(name: str, column: str, cell: str, says: str, tmp_path: Path) -> None:
    for file in FILES:
        rows = rows_of(file)[:2]
        if file == name:
            for row in rows[: 2 if column == "id" else 1]:
                row[column] = cell
        with (tmp_path / file).open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    with pytest.raises(ConfigError) as caught:
        read_library(tmp_path)
    assert f"{tmp_path / name}{says}" in str(caught.value)


def test_a_certificate_states_the_calorific_value_of_what_was_delivered() -> None:
    measured = FactorRow(
        energy="raw_coal", unit="kg", ncv_kj_per_unit=22_000.0,
        effective_from=date(2026, 3, 1), source="certificate 26-031, port laboratory",
    )  # fmt: skip
    library = read_library().with_own((measured,))
    april = library.factor("raw_coal", "calorific", date(2026, 4, 1))
    assert april is not None
    assert april.kgce_per_unit == pytest.approx(22_000 / 29_307.6, rel=1e-15)
    assert april.edition == "certificate 26-031, port laboratory"
    february = library.factor("raw_coal", "calorific", date(2026, 2, 1))
    assert february is not None
    assert february.kgce_per_unit == 0.7143
    with pytest.raises(ValueError, match="either kgce_per_unit or ncv_kj_per_unit"):
        FactorRow(energy="raw_coal", unit="kg", effective_from=date(2026, 3, 1), source="nothing")
