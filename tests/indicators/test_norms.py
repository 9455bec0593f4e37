"""Norms: what every row of the file asks for, and the level that a figure meets."""

from __future__ import annotations

from collections import Counter
from datetime import date
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import ConfigError
from config.standards import Library, read_library
from config.standards_rows import NormRow
from config.units import AMOUNT_UNITS
from indicators.norms import (
    DENOMINATORS,
    REFUSED_INDICATORS,
    REFUSED_UNITS,
    distance_tce_per_year,
    distances,
    kgce_per_numerator,
    level_reached,
    parse_unit,
    use_of,
    why_refused,
)

NORMS = read_library().norms


@pytest.fixture
def library() -> Library:
    return read_library()


def norm(norm_id: str) -> NormRow:
    return NORMS[norm_id]


# Found by reading all 806 rows.
COUNTS = {
    "unit_product_energy": 704,
    "unit_product_electricity": 65,
    "unit_product_coal": 13,
    None: 24,
}
NUMERATORS = {
    # kgce: 585 /t, 16 /Adt, 16 /m3, 11 /GJ less the 11 of 供热煤耗率, 10 /kg, 7 /10^4 m2, 5 /m2,
    # 2 /toe, 1 each /t SO2, /t DMF, /kL, /10^6片; less 1 /t of 熔融焦耗
    "kgce": 644,
    "kWh": 65,
    "tce": 54,
    "gce": 12,
    "kgoe": 7,
}
REFUSED = {
    "供热煤耗率": 11,
    "kgce/tsl": 5,
    "kgce/重量箱": 3,
    "kgce/km2": 2,
    "单位产品焦炭消耗": 1,
    "单位产品可比熔融焦耗": 1,
    "kgoe/(t*energy factor)": 1,
}


def test_every_row_is_classified() -> None:
    assert len(NORMS) == 806
    assert Counter(use_of(row).kind for row in NORMS.values()) == COUNTS
    ratios = [use.ratio for use in map(use_of, NORMS.values()) if use.ratio]
    assert Counter(ratio.numerator for ratio in ratios) == NUMERATORS
    assert {ratio.denominator for ratio in ratios} == set(DENOMINATORS) - {"GJ"}
    assert {ratio.output_unit for ratio in ratios} <= set(AMOUNT_UNITS)


def test_every_refused_row_has_its_reason() -> None:
    refused = [n for n in NORMS.values() if use_of(n).kind is None]
    by_reason = Counter(n.indicator if n.indicator in REFUSED else n.unit for n in refused)
    assert by_reason == REFUSED
    assert set(REFUSED) == set(REFUSED_INDICATORS) | set(REFUSED_UNITS)
    for row in refused:
        use = use_of(row)
        assert use.ratio is None
        assert use.refusal.startswith(f"{row.id}: ")
        assert len(use.refusal) > len(row.id) + 20


def test_electricity_rows_are_those_in_kwh() -> None:
    for row in NORMS.values():
        electric = use_of(row).kind == "unit_product_electricity"
        assert electric == row.unit.startswith("kWh/")
        assert not electric or "电" in row.indicator


def test_coal_rows() -> None:
    rows = [row for row in NORMS.values() if use_of(row).kind == "unit_product_coal"]
    assert {row.indicator for row in rows} == {"单位产品综合煤耗", "供电煤耗率"}
    assert all("煤耗" in row.indicator for row in rows)


UNITS = [
    ("kgce/t", ("kgce", "t", "t", 1.0)),
    ("tce/10^4 t", ("tce", "10^4 t", "10^4 t", 1.0)),
    ("kgce/10^4 m2", ("kgce", "10^4 m2", "10^4 m2", 1.0)),
    ("kWh/m2", ("kWh", "m2", "m2", 1.0)),
    ("gce/kWh", ("gce", "kWh", "kWh", 1.0)),
    ("kgce/kL", ("kgce", "kL", "m3", 1.0)),
    ("kgce/Adt", ("kgce", "Adt", "t", 1.0)),
    ("kgce/toe", ("kgce", "toe", "GJ", 41.868)),
    ("kgoe/t", ("kgoe", "t", "t", 1.0)),
    ("kgce/10^6片", ("kgce", "10^6片", "10^4 piece", 100.0)),
]


@pytest.mark.parametrize(("unit", "parts"), UNITS)
def test_units(unit: str, parts: tuple[str, str, str, float]) -> None:
    ratio = parse_unit(unit)
    assert ratio is not None
    assert (
        ratio.numerator,
        ratio.denominator,
        ratio.output_unit,
        ratio.output_per_denominator,
    ) == parts


@pytest.mark.parametrize("unit", ["kgce", "kgce/", "/t", "kg/t", "kgce/tsl", "kgce / t", ""])
def test_units_that_are_none(unit: str) -> None:
    assert parse_unit(unit) is None


CLINKER = "GB 16780-2021|水泥熟料|单位产品综合能耗"
TILE = "GB 21252-2023|陶瓷板|单位产品综合能耗"
COAL_TO_OIL = "GB 30180-2024|煤直接液化制油|单位产品能耗"

FITS = [
    (CLINKER, "t", None),
    (CLINKER, "kg", None),
    (CLINKER, "m3", "kgce/t needs output in t: 'm3' (volume) does not convert to 't' (mass)"),
    (TILE, "10^4 m2", None),
    (TILE, "piece", "needs output in m2"),
    (COAL_TO_OIL, "GJ", None),
    (COAL_TO_OIL, "t", "kgce/toe needs output in GJ"),
    ("GB 47835-2026|硅单晶片|单位产品综合能耗", "piece", None),
    ("GB 21258-2024|燃煤机组 超临界300MW|供热煤耗率", "GJ", "no plain ratio"),
    ("GB 21340-2019|平板玻璃（>800 t/d）|单位产品综合能耗", "t", "weight boxes"),
]


@pytest.mark.parametrize(("norm_id", "unit", "says"), FITS)
def test_whether_a_norm_judges_a_product(norm_id: str, unit: str, says: str | None) -> None:
    refusal = why_refused(norm(norm_id), unit)
    assert (refusal is None) == (says is None)
    assert (says or "") in (refusal or "")


def test_sizes_of_numerators(library: Library) -> None:
    on = date(2026, 10, 1)
    sizes = [kgce_per_numerator(n, library, on) for n in ("kgce", "tce", "gce", "kgoe", "kWh")]
    assert sizes == [1.0, 1000.0, 0.001, 1.4286, 0.1229]
    with pytest.raises(ConfigError, match="no calorific factor of electricity on 2001-01-01"):
        kgce_per_numerator("kWh", library, date(2001, 1, 1))


ORDERED = (100.0, 107.0, 117.0)
CONVERTER = (-30.0, -28.0, -12.0)  # GB 21256-2025, converter: recovers more than it takes
SUBCRITICAL = (303.0, 285.0, 312.0)  # GB 21258-2024, subcritical 600 MW: level 2 below level 1
NO_LEVEL_2 = (61.0, None, 72.0)  # GB 21256-2025, small electric arc furnace
LIMIT_ONLY = (None, None, 960.0)

REACHED = [
    (99.0, ORDERED, 1),
    (100.0, ORDERED, 1),
    (100.0000000001, ORDERED, 2),
    (107.0, ORDERED, 2),
    (110.0, ORDERED, 3),
    (117.0, ORDERED, 3),
    (117.0000000001, ORDERED, 0),
    (-31.0, CONVERTER, 1),
    (-30.0, CONVERTER, 1),
    (-29.0, CONVERTER, 2),
    (-28.0, CONVERTER, 2),
    (-12.0, CONVERTER, 3),
    (0.0, CONVERTER, 0),
    (284.0, SUBCRITICAL, 1),
    (303.0, SUBCRITICAL, 1),
    (304.0, SUBCRITICAL, 3),
    (313.0, SUBCRITICAL, 0),
    (61.0, NO_LEVEL_2, 1),
    (66.0, NO_LEVEL_2, 3),
    (73.0, NO_LEVEL_2, 0),
    (960.0, LIMIT_ONLY, 3),
    (961.0, LIMIT_ONLY, 0),
    (1.0, (None, None, None), None),
]


@pytest.mark.parametrize(("value", "levels", "reached"), REACHED)
def test_level_reached(value: float, levels: tuple[float | None, ...], reached: int | None) -> None:
    assert level_reached(value, levels) == reached


def test_distances() -> None:
    assert distances(110.0, ORDERED) == (10.0, 3.0, -7.0)
    assert distances(-20.0, CONVERTER) == (10.0, 8.0, -8.0)
    assert distances(66.0, NO_LEVEL_2) == (5.0, None, -6.0)


LEVEL = st.none() | st.floats(-1e6, 1e6)


@given(st.floats(-1e6, 1e6), st.tuples(LEVEL, LEVEL, LEVEL))
def test_the_level_reached_is_one_whose_distance_is_not_above_zero(
    value: float, levels: tuple[float | None, float | None, float | None]
) -> None:
    reached, away = level_reached(value, levels), distances(value, levels)
    met = [k for k, distance in enumerate(away, start=1) if distance is not None and distance <= 0]
    if all(level is None for level in levels):
        assert reached is None
    else:
        assert reached == (met[0] if met else 0)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20), st.tuples(LEVEL, LEVEL, LEVEL))
def test_a_lower_value_never_reaches_a_worse_level(
    values: list[float], levels: tuple[float | None, float | None, float | None]
) -> None:
    rank = {1: 1, 2: 2, 3: 3, 0: 4, None: 5}
    for lower, higher in pairwise(sorted(values)):
        assert rank[level_reached(lower, levels)] <= rank[level_reached(higher, levels)]


def test_distance_as_coal_a_year() -> None:
    # 3 kgce/t too much, 100,000 t in a month of 30 days: 300 tce, times 365/30
    tce = distance_tce_per_year(3.0, 1.0, 100_000.0, 30 * 86400)
    assert tce == pytest.approx(3650.0)
    # 10 kWh/t too much on 365,000 t in a year: 3.65 GWh at 0.1229 kgce/kWh
    assert distance_tce_per_year(10.0, 0.1229, 365_000.0, 365 * 86400) == pytest.approx(448.585)
    # 0.01 tce/t on 1,000 t in 36.5 days
    assert distance_tce_per_year(0.01, 1000.0, 1000.0, 36.5 * 86400) == pytest.approx(100.0)
    assert distance_tce_per_year(-3.0, 1.0, 100_000.0, 30 * 86400) == -tce
