"""The closed integrals of loads, against plain numeric integration."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.simulator.flows import (
    Once,
    Part,
    Shift,
    Steady,
    Wave,
    WhileRunning,
    added,
    weighted,
)
from collectors.simulator.loads import KILN_STOPS, loads

PARTS: list[Part] = [
    Steady(7.5),
    Wave(3.0, 24.0, 5.0),
    Shift(10.0, 6.0, 22.0),
    Shift(10.0, 0.0, 3.0, period_h=8.0),
    Once(4.0, 30.0, 40.0),
    WhileRunning(added(Steady(2.0), Wave(1.0, 24.0), Shift(5.0, 8.0, 16.0)), ((10.0, 34.0),)),
    weighted([(2.0, Steady(1.0)), (-1.0, Shift(1.0, 0.0, 12.0))]),
]


def summed(part: Part, from_h: float, to_h: float, steps: int = 9000) -> float:
    """Midpoint sum of the rate."""
    width = (to_h - from_h) / steps
    return sum(part.rate(from_h + (i + 0.5) * width) for i in range(steps)) * width


@pytest.mark.parametrize("part", PARTS, ids=lambda part: type(part).__name__)
@pytest.mark.parametrize(("from_h", "to_h"), [(0.0, 90.0), (-30.0, 12.0), (9.25, 35.5)])
def test_the_total_is_the_integral_of_the_rate(part: Part, from_h: float, to_h: float) -> None:
    assert part.total(to_h) - part.total(from_h) == pytest.approx(
        summed(part, from_h, to_h), abs=0.15
    )


@pytest.mark.parametrize("part", PARTS, ids=lambda part: type(part).__name__)
def test_nothing_has_flowed_at_hour_0(part: Part) -> None:
    assert part.total(0.0) == 0.0


@settings(deadline=None)
@given(hour=st.floats(-100, 1500), later=st.floats(0, 200))
def test_no_meter_of_the_plant_runs_backwards(hour: float, later: float) -> None:
    for load in loads().values():
        assert load.rate(hour) >= 0
        assert load.total(hour + later) >= load.total(hour) - 1e-6


def test_a_standing_kiln_burns_nothing() -> None:
    (start_h, end_h) = KILN_STOPS[0]
    kiln_coal = loads()["coal_burner"]
    assert kiln_coal.total(end_h) == kiln_coal.total(start_h)
    assert kiln_coal.total(end_h + 1) > kiln_coal.total(end_h)
