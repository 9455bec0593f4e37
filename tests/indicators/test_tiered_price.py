"""Surcharges by the rows of the data file, worked by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from config.standards_files import read_dataset
from config.standards_tiered import TieredPriceRow
from config.tiered_price import TieredPrice
from indicators.integrity import doubts_of
from indicators.intensity import Bounded
from indicators.tiered_price import Judged, doubts_of_tiered_price, judged, rules_for

ROWS = read_dataset(TieredPriceRow)
FUJIAN, HENAN, HEBEI = "350000", "410000", "130000"


def line(sector: str, renewable: float | None = None, **fields: Any) -> TieredPrice:
    if renewable is not None:
        fields |= {"renewable_percent": renewable, "renewable_source": "green certificates"}
    return TieredPrice.model_validate({"product": "one", "sector": sector, **fields})


def surcharge(
    one: TieredPrice,
    year: int,
    figure: float,
    *,
    low: float | None = None,
    high: float | None = None,
    province: str = FUJIAN,
    rows: Mapping[str, TieredPriceRow] = ROWS,
) -> Judged:
    """By the only scheme that holds for the line at the end of the year."""
    (scheme,) = rules_for(rows, one, province, date(year, 12, 31))
    bounds = (figure if low is None else low, figure if high is None else high)
    return judged(scheme, Bounded(figure, *bounds), one)


def test_there_are_all_rows_and_no_number_without_a_source() -> None:
    assert len(ROWS) == 26
    # Three tiers of steel, and cement in production since October 2013.
    assert doubts_of_all() == [("note", "its band is not known: state your own")] * 4
    unknown = [row for row in ROWS.values() if row.confidence == "doubtful"]
    assert [(row.over, row.up_to, row.surcharge_cny_per_kwh) for row in unknown] == [
        (None, None, None)
    ]


def doubts_of_all() -> list[tuple[str, str]]:
    from config.standards import read_library

    doubts = doubts_of(read_library())
    return [(d.severity, d.message) for d in doubts if d.file == "tiered_price.csv"]


@pytest.mark.parametrize(
    ("year", "figure", "renewable", "cny_per_kwh"),
    [
        (2025, 13_330.0, 15.0, 0.02),  # 30 over: two begun steps
        (2025, 13_300.0, 0.0, 0.0),
        (2025, 13_320.0, 15.0, 0.01),
        (2025, 13_320.1, 15.0, 0.02),
        (2025, 13_500.0, 25.0, 0.09),  # ten steps, less 10 %
        (2024, 13_460.0, 0.0, 0.01),  # over 13,450
        (2022, 13_650.0, 0.0, 0.0),
        (2022, 13_700.0, 0.0, 0.03),  # 50 over 13,650
    ],
)
def test_aluminium_by_steps(year: int, figure: float, renewable: float, cny_per_kwh: float) -> None:
    found = surcharge(line("aluminium", renewable), year, figure)
    assert found.surcharge.value == pytest.approx(cny_per_kwh, abs=1e-12)
    assert "recalled" in {row.step_confidence for row in found.rows}


@pytest.mark.parametrize(
    ("figure", "cny_per_kwh"),
    [(13_350.0, 0.0), (13_700.0, 0.0), (13_700.5, 0.02), (13_800.0, 0.02), (13_900.0, 0.08)],
)
def test_aluminium_by_the_bands_of_2013(figure: float, cny_per_kwh: float) -> None:
    found = surcharge(line("aluminium"), 2019, figure)
    assert found.surcharge == Bounded(cny_per_kwh, cny_per_kwh, cny_per_kwh)
    assert {row.confidence for row in found.rows} == {"seen"}


def test_bounds_of_the_figure_bound_the_surcharge() -> None:
    found = surcharge(line("aluminium", 15.0), 2025, 13_330.0, low=13_290.0, high=13_361.0)
    assert found.surcharge == Bounded(0.02, 0.0, 0.04)
    found = surcharge(line("aluminium"), 2019, 13_750.0, low=13_650.0, high=13_850.0)
    assert found.surcharge == Bounded(0.02, 0.0, 0.08)
    (bands,) = rules_for(ROWS, line("aluminium"), FUJIAN, date(2019, 1, 1))
    unknown = judged(bands, Bounded(None, None, None), line("aluminium"), "refused")
    assert unknown.surcharge == Bounded(None, 0.0, 0.08)
    assert unknown.reason == "refused"


def test_a_renewable_share_that_is_not_stated_is_not_zero() -> None:
    found = surcharge(line("aluminium"), 2025, 13_330.0)
    assert found.surcharge.value is None
    assert found.surcharge.low == pytest.approx(0.02 * 0.15)  # all of it renewable
    assert found.surcharge.high == 0.02
    assert "renewable_percent is not stated" in found.reason
    assert surcharge(line("aluminium"), 2025, 13_290.0).surcharge.value == 0.0


@pytest.mark.parametrize(
    ("sector", "figure", "cny_per_kwh"),
    [
        ("cement", 90.0, 0.0),
        ("cement", 90.1, 0.10),
        ("cement", 93.0, 0.10),
        ("cement", 93.1, 0.20),
        ("cement_grinding", 40.0, 0.0),
        ("cement_grinding", 41.0, 0.15),
        ("cement_grinding", 43.0, 0.25),
    ],
)
def test_cement_in_production_before_october_2013(
    sector: str, figure: float, cny_per_kwh: float
) -> None:
    old = line(sector, in_production_since="2013-09-30")
    found = surcharge(old, 2025, figure)
    assert found.surcharge.value == cny_per_kwh
    assert {row.confidence for row in found.rows} == {"recalled"}


def test_bands_that_are_not_known_are_refused() -> None:
    new = surcharge(line("cement", in_production_since="2013-10-01"), 2025, 80.0)
    assert new.surcharge == Bounded(None, None, None)
    assert "are not known: state them from the notice" in new.reason
    undated = surcharge(line("cement"), 2025, 80.0)
    assert undated.surcharge.value is None
    assert "in_production_since" in undated.reason
    steel = surcharge(line("steel"), 2025, 1.0, province=HENAN)
    assert steel.surcharge.value is None
    assert rules_for(ROWS, line("steel"), FUJIAN, date(2025, 1, 1)) == []


@pytest.mark.parametrize(
    ("sector", "unit_class", "province", "day", "cny_per_kwh"),
    [
        ("zinc", "restricted", FUJIAN, date(2025, 1, 1), 0.10),
        ("zinc", "eliminated", FUJIAN, date(2025, 1, 1), 0.30),
        ("steel", "eliminated", FUJIAN, date(2016, 12, 31), 0.30),
        ("steel", "eliminated", FUJIAN, date(2017, 1, 1), 0.50),
        ("steel", "eliminated", HEBEI, date(2017, 1, 1), 0.60),
        ("steel", "capacity_cut", HENAN, date(2025, 1, 1), 0.50),
        ("cement", "eliminated", FUJIAN, date(2025, 1, 1), 0.40),
    ],
)
def test_classes(
    sector: str, unit_class: str, province: str, day: date, cny_per_kwh: float
) -> None:
    one = line(sector, unit_class=unit_class)
    scheme = rules_for(ROWS, one, province, day)[0]
    assert judged(scheme, Bounded(None, None, None), one).surcharge.value == cny_per_kwh


def test_the_scheme_of_2016_is_in_place_of_the_differential_price() -> None:
    restricted = line("cement", unit_class="restricted", in_production_since="2010-01-01")
    before = rules_for(ROWS, restricted, FUJIAN, date(2015, 12, 31))
    assert [scheme[0].kind for scheme in before] == ["class"]
    after = rules_for(ROWS, restricted, FUJIAN, date(2016, 1, 1))
    assert [scheme[0].kind for scheme in after] == ["band"]
    # One edition charges a unit once: by its class where it has one.
    steel = line("steel", unit_class="restricted")
    assert [s[0].kind for s in rules_for(ROWS, steel, HENAN, date(2025, 1, 1))] == ["class"]


def test_a_rule_of_the_province_goes_before_the_national_one() -> None:
    band = next(row for row in ROWS.values() if row.id.endswith("2025"))
    own = replace(band, id="闽|1", edition="闽", provinces=FUJIAN, up_to=13_000.0)
    rows = {**ROWS, own.id: own}
    found = surcharge(line("aluminium"), 2025, 13_330.0, rows=rows)
    assert found.surcharge.value == pytest.approx(0.17)  # 330 over: 17 begun steps
    found = surcharge(line("aluminium", 15), 2025, 13_330.0, rows=rows, province=HENAN)
    assert found.surcharge.value == 0.02


def test_rows_that_make_no_sense_are_found() -> None:
    band = next(row for row in ROWS.values() if row.kind == "band" and row.over and row.up_to)
    assert list(doubts_of_tiered_price(replace(band, over=1.0, up_to=1.0))) == ["1 to 1 is no band"]
    assert list(doubts_of_tiered_price(replace(band, step=0.0))) == ["a step of 0"]
    assert list(doubts_of_tiered_price(replace(band, effective_to=date(2000, 1, 1)))) == [
        "it ends before it begins"
    ]
