"""What is wrong with a row is told; what is legal, however odd, is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from config.standards import Library, read_library
from indicators.integrity import doubts_of

NORM = "GB 16780-2021|水泥熟料|单位产品综合能耗"
BENCHMARK = "发改产业〔2023〕723号|水泥熟料|单位产品综合能耗"


def errors(library: Library) -> list[str]:
    return [doubt.message for doubt in doubts_of(library) if doubt.severity == "error"]


def with_norm(**changed: object) -> Library:
    library = read_library()
    row = replace(library.norms[NORM], **changed)  # type: ignore[arg-type]
    return replace(library, norms={**library.norms, NORM: row})


def test_our_rows_are_fit_to_judge_by() -> None:
    assert errors(read_library()) == []


def test_what_is_not_known_is_told() -> None:
    library = read_library()
    noted = {doubt.id for doubt in doubts_of(library)}
    blank = {i for i, row in library.benchmarks.items() if row.benchmark_level is None}
    assert len(blank) == 10
    assert blank <= noted
    assert {i for i, row in library.norms.items() if row.confidence == "doubtful"} <= noted
    assert NORM not in noted


def test_negative_and_unordered_levels_are_legal() -> None:
    assert errors(with_norm(level1=-30.0, level2=-35.0, level3=None)) == []


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"level1": None, "level2": None, "level3": None}, "no level at all"),
        ({"unit": "kgce/ton"}, "unit 'kgce/ton' is not known"),
    ],
)
def test_a_norm_that_judges_nothing(changed: dict[str, object], message: str) -> None:
    assert errors(with_norm(**changed)) == [message]


def test_a_benchmark_above_its_baseline() -> None:
    library = read_library()
    row = replace(library.benchmarks[BENCHMARK], benchmark_level=120.0)
    wrong = replace(library, benchmarks={BENCHMARK: row})
    assert errors(wrong) == ["benchmark 120.0 is above baseline 117.0"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"unit": "barrel"}, "unit 'barrel' is not known"),
        ({"unit": "t"}, "unit t, other rows of it have kg"),
        ({"kgce_per_unit": -1.0}, "-1.0 kgce/kg is below zero"),
        ({"kgce_per_unit_low": 2.0, "kgce_per_unit_high": 1.0}, "2.0 to 1.0 is no range"),
        ({"kgce_per_unit_low": 2.0, "kgce_per_unit_high": None}, "2.0 to None is no range"),
    ],
)
def test_a_factor_that_cannot_be(changed: dict[str, object], message: str) -> None:
    library = read_library()
    coal = next(row for row in library.factors if row.energy == "raw_coal")
    wrong = replace(coal, id="wrong", effective_from=date(2030, 1, 1), **changed)  # type: ignore[arg-type]
    assert errors(replace(library, factors=(*library.factors, wrong))) == [message]


def test_two_factors_from_the_same_day() -> None:
    library = read_library()
    dated = next(row for row in library.factors if row.effective_from and row.scope == "general")
    again = replace(dated, id="again")
    assert errors(replace(library, factors=(*library.factors, again))) == [
        f"holds from the same day as {dated.id}"
    ]
