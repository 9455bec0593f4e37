"""A kiln's month worked by hand: values, bounds, levels, distances, confidence."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.load import load
from config.site import Site
from config.tables import INDICATORS
from tests.indicators.kiln import (
    END,
    KILN_KGCE,
    START,
    compute,
    kiln,
    made,
    one_product,
    row_of,
    used,
)
from tests.plants import (
    CLINKER_COAL,
    CLINKER_ELECTRICITY,
    CLINKER_ENERGY,
    METERS,
    SECTIONS,
    changed,
    write_plant,
)


def test_clinker_by_hand(site: Site) -> None:
    figure = row_of(compute(*kiln(), site), CLINKER_ENERGY)
    value = KILN_KGCE / 1000
    assert figure == {
        "plant_id": "works",
        "indicator": "unit_product_energy",
        "subject": "clinker",
        "grain": "month",
        "period": "2026-10",
        "start_utc": START,
        "end_utc": END,
        "value": pytest.approx(106.8844),
        "unit": "kgce/t",
        "low": pytest.approx(106.8844),
        "high": pytest.approx(106.8844),
        "coverage_ratio": 1.0,
        "status": "complete",
        "basis": "calorific",
        "numerator": pytest.approx(106_884.4),
        "numerator_unit": "kgce",
        "denominator": 1000.0,
        "denominator_unit": "t",
        "norm": CLINKER_ENERGY,
        "standard": "GB 16780-2021",
        "level1": 100.0,
        "level2": 107.0,
        "level3": 117.0,
        "corrections": "",
        "level_reached": 2,
        "distance_level1": pytest.approx(6.8844),
        "distance_level2": pytest.approx(-0.1156),
        "distance_level3": pytest.approx(-10.1156),
        # kgce/t x 1000 t a month of 31 days
        "distance_level1_tce_per_year": pytest.approx((value - 100) * 365 / 31),
        "distance_level2_tce_per_year": pytest.approx((value - 107) * 365 / 31),
        "distance_level3_tce_per_year": pytest.approx((value - 117) * 365 / 31),
        "confidence": "seen",
        "provenance": '{"lake": 7}',
    }


def test_electricity_by_hand(site: Site) -> None:
    figure = row_of(compute(*kiln(), site), CLINKER_ELECTRICITY)
    assert (figure["indicator"], figure["basis"]) == ("unit_product_electricity", "physical")
    assert (figure["value"], figure["unit"], figure["numerator_unit"]) == (56.0, "kWh/t", "kWh")
    assert figure["level_reached"] == 2  # 48, 57, 61
    assert figure["distance_level1"] == 8.0
    assert figure["distance_level1_tce_per_year"] == pytest.approx(8 * 0.1229 * 365 / 31)


def test_coal_by_hand(site: Site) -> None:
    consumption, outputs = kiln()
    consumption.append(used("kiln", "diesel", 500.0, "kg"))
    figure = row_of(compute(consumption, outputs, site), CLINKER_COAL)
    assert figure["indicator"] == "unit_product_coal"
    # every fuel counts, electricity does not
    assert figure["value"] == pytest.approx(140 * 0.7143 + 0.5 * 1.4571)
    assert figure["level_reached"] == 3  # 94, 100, 109


def test_a_product_without_norm_and_with_two_nodes(site: Site) -> None:
    figures = compute(*kiln(), site)
    figure = row_of(figures, "", "cement")
    assert figure["value"] == pytest.approx((KILN_KGCE + 30_000 * 0.1229) / 1250)
    assert (figure["unit"], figure["standard"], figure["level_reached"]) == ("kgce/t", "", None)
    assert figures.filter(pl.col("subject") == "cement").height == 1
    assert figures.schema == INDICATORS.polars_schema()


def test_energy_without_norm_stands_beside_an_electricity_norm(tmp_path: Path) -> None:
    product = {**SECTIONS["products"]["clinker"], "norms": [CLINKER_ELECTRICITY]}
    products = {**SECTIONS["products"], "clinker": product}
    site = load(write_plant(tmp_path, products=products))
    figures = compute(*kiln(), site).filter(pl.col("subject") == "clinker")
    assert figures["norm"].to_list() == ["", CLINKER_ELECTRICITY]
    assert figures["indicator"].to_list() == ["unit_product_energy", "unit_product_electricity"]


def test_bounds_through_the_factors_and_the_output(site: Site) -> None:
    consumption, outputs = kiln()
    consumption[0] |= {"low": 130_000.0, "high": 150_000.0}
    outputs[0] |= {"low": 980.0, "high": 1000.0}
    figure = row_of(compute(consumption, outputs, site), CLINKER_ENERGY)
    power = 56_000 * 0.1229
    assert figure["low"] == pytest.approx((130_000 * 0.7143 + power) / 1000)
    assert figure["high"] == pytest.approx((150_000 * 0.7143 + power) / 980)


def test_an_unbounded_input_leaves_that_side_open(site: Site) -> None:
    consumption, outputs = kiln()
    consumption[0]["high"] = None
    figure = row_of(compute(consumption, outputs, site), CLINKER_ENERGY)
    assert figure["value"] == pytest.approx(106.8844)
    assert figure["low"] == pytest.approx(106.8844)
    assert figure["high"] is None


def test_energy_sent_out_is_deducted_and_may_exceed_what_is_taken_in(site: Site) -> None:
    consumption, outputs = kiln()
    consumption[0] |= {"amount": -140_000.0, "low": -150_000.0, "high": -130_000.0}
    outputs[0] |= {"low": 900.0, "high": 1100.0}
    figure = row_of(compute(consumption, outputs, site), CLINKER_ENERGY)
    power = 56_000 * 0.1229
    assert figure["value"] == pytest.approx((power - 140_000 * 0.7143) / 1000)
    assert figure["low"] == pytest.approx((power - 150_000 * 0.7143) / 900)
    assert figure["high"] == pytest.approx((power - 130_000 * 0.7143) / 1100)
    assert figure["level_reached"] == 1


def test_the_weakest_meter_is_the_coverage(site: Site) -> None:
    consumption, outputs = kiln()
    consumption[0]["coverage_ratio"] = 0.95
    consumption[1]["coverage_ratio"] = 0.97
    outputs[0]["coverage_ratio"] = 0.96
    figures = compute(consumption, outputs, site)
    assert row_of(figures, CLINKER_ENERGY)["coverage_ratio"] == 0.95
    assert row_of(figures, CLINKER_ELECTRICITY)["coverage_ratio"] == 0.96
    assert row_of(figures, CLINKER_ENERGY)["status"] == "complete"


def test_partial_where_any_input_is(site: Site) -> None:
    consumption, outputs = kiln()
    consumption[0]["status"] = "partial"
    figures = compute(consumption, outputs, site)
    assert row_of(figures, CLINKER_ENERGY)["status"] == "partial"
    assert row_of(figures, CLINKER_ENERGY)["level_reached"] == 2
    assert row_of(figures, CLINKER_ELECTRICITY)["status"] == "complete"
    consumption, outputs = kiln()
    outputs[0]["status"] = "partial"
    assert row_of(compute(consumption, outputs, site), CLINKER_ELECTRICITY)["status"] == "partial"


def test_other_plants_are_left_out(site: Site) -> None:
    consumption, outputs = kiln()
    consumption += [row | {"plant_id": "other"} for row in consumption]
    outputs += [row | {"plant_id": "other"} for row in outputs]
    figures = compute(consumption, outputs, site)
    assert figures.height == 4
    assert row_of(figures, CLINKER_ENERGY)["value"] == pytest.approx(106.8844)


def test_nothing_in_gives_nothing_with_the_right_columns(tmp_path: Path, site: Site) -> None:
    assert compute([], [], site).schema == INDICATORS.polars_schema()
    assert compute([], [], site).is_empty()
    meters = [meter for meter in METERS if "product" not in meter]
    bare = load(write_plant(tmp_path / "bare", products=None, meters=meters))
    assert compute(*kiln(), bare).schema == INDICATORS.polars_schema()


def test_the_unit_of_the_norm(tmp_path: Path) -> None:
    norm = "GB 31823-2021|干散货码头|单位产品能耗"  # 1.8, 2.0, 2.7 tce/10^4 t
    site = one_product(tmp_path, norm, "t")
    consumption = [
        used("kiln", "electricity", 1_000_000.0, "kWh"), used("kiln", "raw_coal", 0.0, "kg")
    ]  # fmt: skip
    figure = row_of(compute(consumption, [made("clinker", 600_000.0)], site), norm)
    assert (figure["unit"], figure["denominator_unit"]) == ("tce/10^4 t", "10^4 t")
    assert figure["numerator"] == pytest.approx(122.9)  # tce
    assert figure["denominator"] == pytest.approx(60.0)
    assert figure["value"] == figure["numerator"] / figure["denominator"]
    assert figure["level_reached"] == 3
    assert figure["distance_level2_tce_per_year"] == pytest.approx((122.9 - 120) * 365 / 31)
    assert figure["confidence"] == "seen-draft"  # the norm's own


def test_standard_factor_and_output_in_another_unit(tmp_path: Path) -> None:
    site = one_product(tmp_path, CLINKER_ENERGY, "t", product={"standard_factor": 1.25})
    outputs = [made("clinker", 800_000.0, unit="kg", low=640_000.0, high=880_000.0)]
    figure = row_of(compute(kiln()[0], outputs, site), CLINKER_ENERGY)
    assert figure["denominator"] == pytest.approx(1000.0)
    assert figure["low"] == pytest.approx(KILN_KGCE / 1100)
    assert figure["high"] == pytest.approx(KILN_KGCE / 800)


def test_confidence_is_the_calorific_factors_not_the_equivalents(site: Site) -> None:
    consumption, outputs = kiln()
    # electricity's equivalent factor is `recalled`, which no calorific figure rests on
    assert row_of(compute(consumption, outputs, site), CLINKER_ENERGY)["confidence"] == "seen"
    consumption.append(used("kiln", "coal_gangue", 1.0, "kg"))
    figures = compute(consumption, outputs, site)
    assert row_of(figures, CLINKER_ENERGY)["confidence"] == "recalled"
    assert row_of(figures, CLINKER_ELECTRICITY)["confidence"] == "seen"


POWER = "GB 21258-2024|燃煤机组 亚临界600MW|供电煤耗率"  # 303, 285, 312 gce/kWh


def test_power_supply_rate_counts_fuel_and_levels_out_of_order(tmp_path: Path) -> None:
    site = one_product(tmp_path, POWER, "kWh")
    consumption, _ = kiln()
    outputs = [made("clinker", 330_000.0, unit="kWh")]
    figure = row_of(compute(consumption, outputs, site), POWER)
    assert figure["value"] == pytest.approx(140_000 * 0.7143 / 330)  # gce/kWh, 303.03
    assert (figure["level_reached"], figure["numerator_unit"]) == (3, "gce")
    consumption.append(used("kiln", "heat", -1000.0, "MJ"))
    assert row_of(compute(consumption, outputs, site), POWER)["status"] == "refused"


ETHYLENE = "GB 30251-2024|乙烯装置|单位产品综合能耗"  # 580, 590, 640 kgoe/t
PROPYLENE = "GB 30251-2024|聚丙烯（连续气相法）|单位产品综合能耗"
FUEL_GAS = {
    "energy": "refinery_dry_gas", "unit": "kg", "kgce_per_unit": 1.35717,
    "effective_from": "2025-01-01", "source": "950 kgoe/t",
}  # fmt: skip


@pytest.mark.parametrize(("norm", "kgce_per_kwh"), [(ETHYLENE, 0.3), (PROPYLENE, 0.1229)])
def test_refining_by_the_table_of_its_standard(
    norm: str, kgce_per_kwh: float, tmp_path: Path
) -> None:
    consumption = [
        used("kiln", "electricity", 100_000.0, "kWh"),
        used("kiln", "water_fresh", 1000.0, "t"),  # 0.2143 in GB 30251, 0.2571 in GB/T 2589
        used("kiln", "refinery_dry_gas", 400_000.0, "kg"),
    ]
    meters = changed("c-kiln", energy="refinery_dry_gas", unit="kg")
    products = {"clinker": {"name": "P", "unit": "t", "boundary": ["kiln"], "norms": [norm]},
                "cement": SECTIONS["products"]["cement"]}  # fmt: skip
    stated = load(write_plant(tmp_path / "a", meters=meters, products=products, factors=[FUEL_GAS]))
    figure = row_of(compute(consumption, [made("clinker", 1000.0)], stated), norm)
    kgce = 100_000 * kgce_per_kwh + 1000 * 0.2143 + 400_000 * 1.35717
    assert figure["numerator"] == pytest.approx(kgce / 1.4286)
    assert (figure["basis"], figure["numerator_unit"]) == ("equivalent", "kgoe")
    assert figure["distance_level1_tce_per_year"] == pytest.approx(
        (figure["value"] - figure["level1"]) * 1.4286 * 365 / 31
    )
    # the table's row for the gas is not at hand, and GB/T 2589's 1.5714 never stands in for it
    unstated = load(write_plant(tmp_path / "b", meters=meters, products=products))
    figure = row_of(compute(consumption, [made("clinker", 1000.0)], unstated), norm)
    assert (figure["status"], figure["numerator"]) == ("refused", None)


SPREADS = st.tuples(st.floats(0, 1e6), st.floats(-1e9, 1e9), st.floats(0, 1e6))


@settings(max_examples=50, deadline=None)
@given(coal=SPREADS, power=SPREADS, output=st.lists(st.floats(1, 1e6), min_size=3, max_size=3))
def test_value_lies_between_low_and_high(
    coal: tuple[float, float, float],
    power: tuple[float, float, float],
    output: list[float],
    site: Site,
) -> None:
    low, quantity, high = sorted(output)
    consumption = [
        used("kiln", energy, amount, unit, low=amount - below, high=amount + above)
        for energy, unit, (below, amount, above) in (
            ("raw_coal", "kg", coal),
            ("electricity", "kWh", power),
        )
    ]
    figures = compute(consumption, [made("clinker", quantity, low=low, high=high)], site)
    clinker = figures.filter(pl.col("subject") == "clinker")
    assert clinker.height == 3
    for figure in clinker.iter_rows(named=True):
        assert figure["low"] <= figure["value"] <= figure["high"]
        assert figure["value"] == figure["numerator"] / figure["denominator"]
