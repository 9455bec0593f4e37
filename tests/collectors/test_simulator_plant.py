"""The sample plant's truth, and what its meters show of it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import pairwise

import pytest

from collectors.simulator import CementPlant, Faults
from collectors.simulator.loads import LOSS_RATIO
from collectors.simulator.plant import DAY_US, HOUR_US, encoding_of
from config.standards import read_library

SINCE = date(2026, 9, 1)
PLANT = CementPlant(SINCE)
START_US = PLANT.start_us
END_US = START_US + 60 * DAY_US
TICK_US = HOUR_US // 4
COUNTERS = [m.meter_id for m in PLANT.meters.values() if m.kind == "counter"]
BRANCHES = (
    "raw_mill", "kiln", "coal_mill", "cement_mill_1", "cement_mill_2", "packing", "air", "office",
)  # fmt: skip


def total(meter_id: str, from_us: int = START_US, to_us: int = END_US) -> float:
    return PLANT.true_total(meter_id, to_us) - PLANT.true_total(meter_id, from_us)


def test_it_starts_at_local_midnight() -> None:
    assert datetime.fromtimestamp(START_US / 1e6, UTC) == datetime(2026, 8, 31, 16, tzinfo=UTC)


def test_it_has_meters_of_every_kind_and_role() -> None:
    meters = PLANT.meters.values()
    assert len(PLANT.meters) >= 14
    assert {m.kind for m in meters} == {"counter", "gauge", "amount"}
    assert {m.role for m in meters} == {"input", "output", "recovered", "non_production"}
    assert {encoding_of(m).type for m in meters} >= {"u64", "i64", "f64", "f32", "i32", "u32"}
    assert sum(m.multiplier != 1 for m in meters) >= 5


@pytest.mark.parametrize("meter_id", COUNTERS)
def test_the_register_follows_the_truth_within_its_resolution(meter_id: str) -> None:
    meter, encoding = PLANT.meters[meter_id], encoding_of(PLANT.meters[meter_id])
    first = PLANT.register_reading(meter_id, START_US)
    # The largest step of a float32 register of this plant is 0.5 kWh.
    resolution = {"f64": 1e-6, "f32": 0.5}.get(encoding.type, encoding.scale)
    for tick in range(0, 60 * 96, 7):
        time_us = START_US + tick * TICK_US
        shown = PLANT.register_reading(meter_id, time_us) - first
        if meter.modulus is not None and shown < 0:
            shown += meter.modulus
        flowed = total(meter_id, to_us=time_us)
        assert shown * meter.multiplier == pytest.approx(
            flowed, abs=1.01 * resolution * meter.multiplier
        )


@pytest.mark.parametrize("meter_id", COUNTERS)
def test_a_counter_never_falls_but_at_its_modulus(meter_id: str) -> None:
    readings = [
        PLANT.register_reading(meter_id, START_US + tick * TICK_US) for tick in range(60 * 96 + 1)
    ]
    falls = [(a, b) for a, b in pairwise(readings) if b < a]
    if meter_id == "coal_mill":
        assert len(falls) == 1
        assert falls[0][0] > 99_990
        assert falls[0][1] < 10
    else:
        assert falls == []


def test_the_batches_add_up_to_the_truth() -> None:
    meter = PLANT.meters["cement_packed"]
    assert meter.span_minutes == 15
    batches = [
        PLANT.register_reading("cement_packed", START_US + tick * TICK_US)
        for tick in range(1, 60 * 96 + 1)
    ]
    assert sum(batches) == pytest.approx(total("cement_packed"), abs=0.002)


def test_the_gauge_shows_the_rate_before_the_multiplier() -> None:
    time_us = START_US + 14 * HOUR_US
    shown = PLANT.register_reading("office", time_us) * PLANT.meters["office"].multiplier
    assert shown == pytest.approx(PLANT.true_rate("office", time_us), rel=1e-6)


def test_the_same_time_gives_the_same_reading() -> None:
    again = CementPlant(SINCE)
    for meter_id in PLANT.meters:
        time_us = START_US + 123_456_789_012
        assert again.register_reading(meter_id, time_us) == PLANT.register_reading(
            meter_id, time_us
        )


def test_the_incomer_feeds_the_branches_and_the_losses() -> None:
    branches = sum(total(branch) for branch in BRANCHES)
    # Each meter counts in steps of its own register, the incomer by 120 kWh.
    assert total("main_incomer") == pytest.approx(
        branches * (1 + LOSS_RATIO) - total("waste_heat"), abs=1000
    )


def test_consumption_rolls_up_by_the_rule() -> None:
    works = PLANT.true_consumption("works", "electricity", START_US, END_US)
    assert works == pytest.approx(total("main_incomer") - total("office"), rel=1e-9)
    line = PLANT.true_consumption("clinker_line", "electricity", START_US, END_US)
    assert line == pytest.approx(total("kiln") + total("coal_mill"), rel=1e-9)
    assert PLANT.true_consumption("office", "electricity", START_US, END_US) == 0.0
    coal_kg = PLANT.true_consumption("works", "raw_coal", START_US, END_US)
    assert coal_kg == pytest.approx(1000 * (total("coal_burner") + total("coal_precalciner")))
    assert PLANT.true_consumption("works", "diesel", START_US, END_US) == pytest.approx(
        total("diesel")
    )


def test_intensity_is_energy_over_output() -> None:
    # GB/T 2589-2020: raw coal 0.7143, diesel 1.4571 kgce/kg, electricity 0.1229 kgce/kWh
    kgce = (
        0.7143e3 * (total("coal_burner") + total("coal_precalciner"))
        + 1.4571 * total("diesel")
        + 0.1229 * (total("raw_mill") + total("kiln") + total("coal_mill"))
    )
    assert PLANT.true_intensity("clinker", START_US, END_US) == pytest.approx(
        kgce / total("clinker_out")
    )


def test_its_products_lie_between_the_levels_of_their_norms() -> None:
    norms = read_library().norms
    electricity_kwh = sum(total(meter) for meter in ("raw_mill", "kiln", "coal_mill"))
    grinding_kwh = sum(total(meter) for meter in ("cement_mill_1", "cement_mill_2", "packing"))
    figures = {
        "水泥熟料|单位产品综合能耗": PLANT.true_intensity("clinker", START_US, END_US),
        "水泥产品|单位产品综合能耗": PLANT.true_intensity("cement", START_US, END_US),
        "水泥熟料|单位产品综合电耗": electricity_kwh / total("clinker_out"),
        "水泥制备工段|电耗": grinding_kwh / total("cement_ground"),
    }
    for norm, value in figures.items():
        level1, _, level3 = norms[f"GB 16780-2021|{norm}"].levels
        assert level1 is not None
        assert level3 is not None
        assert level1 < value < level3, norm
    assert 105 < figures["水泥熟料|单位产品综合能耗"] < 112
    assert figures["水泥产品|单位产品综合能耗"] == pytest.approx(88, abs=1)


def test_the_usual_faults_are_one_of_each() -> None:
    faults = PLANT.faults
    (outage,) = faults.outages
    assert outage.to_us - outage.from_us == 6 * HOUR_US
    assert faults.unit_is_out(outage.unit_id, outage.from_us)
    assert not faults.unit_is_out(outage.unit_id, outage.to_us)
    (dip,) = faults.dips
    assert sum(
        faults.meter_dips(dip.meter_id, START_US + tick * TICK_US) for tick in range(60 * 96)
    ) == 1  # fmt: skip
    assert sum(faults.message_repeats(START_US + tick * TICK_US) for tick in range(60 * 96)) == 1
    assert CementPlant(SINCE, Faults()).faults == Faults()
