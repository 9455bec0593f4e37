"""A year's end from what is known of it, by numbers worked by hand."""

from __future__ import annotations

import pytest

from indicators.baseline import Expected
from indicators.forecast import (
    forecast_by_baseline,
    forecast_by_last_year,
    forecast_by_rate,
    forecast_ratio,
    target_status,
)
from indicators.intensity import Bounded

LAST = [10.0, 20.0, 30.0, 40.0] + [50.0] * 8
NOTHING = Bounded(None, None, None)


def test_the_same_share_as_last_year() -> None:
    # After 3.5 months last year had used 80 of 500; 88 is a tenth more: 550 at the end.
    months = [11.0, 22.0, 33.0] + [None] * 9
    found = forecast_by_last_year(Bounded(88.0, 88.0, 90.0), months, LAST, 3.5)
    assert found.value == pytest.approx(550)
    assert (found.low, found.high) == (pytest.approx(550), pytest.approx(552))
    months = [12.0, 22.0, 30.0] + [None] * 9  # 1.2, 1.1 and 1.0 of last year's
    found = forecast_by_last_year(Bounded(88.0, 88.0, 88.0), months, LAST, 3.5)
    assert (found.low, found.high) == (pytest.approx(88 + 420), pytest.approx(88 + 504))


def test_two_months_bound_nothing() -> None:
    found = forecast_by_last_year(Bounded(33.0, 33.0, 33.0), [11.0, 22.0] + [None] * 10, LAST, 2.0)
    assert found == (pytest.approx(550), None, None)
    assert forecast_by_last_year(NOTHING, [None] * 12, LAST, 2.0) == NOTHING
    assert forecast_by_rate(Bounded(31.0, 31.0, 31.0), [1.0], 31.0, 334.0) == (365.0, None, None)


def test_what_is_sent_out_is_below_zero() -> None:
    last = [-one for one in LAST]
    months = [-12.0, -22.0, -30.0] + [None] * 9
    found = forecast_by_last_year(Bounded(-64.0, -64.0, -64.0), months, last, 3.0)
    assert found.value == pytest.approx(-64 - 440 * 64 / 60)
    assert (found.low, found.high) == (pytest.approx(-64 - 528), pytest.approx(-64 - 440))


def test_the_rest_by_a_baseline() -> None:
    found = forecast_by_baseline(Bounded(100.0, 98.0, 103.0), Expected(50.0, 5.0), 2.0)
    assert found == (150.0, 138.0, 163.0)


def test_unit_consumption_is_weighed_by_output() -> None:
    # 1,000 for 10 t, then 30 t at 120.
    unit = Bounded(120.0, 110.0, None)
    assert forecast_ratio(Bounded(1000.0, 1000.0, 1000.0), 10.0, 30.0, unit) == (115, 107.5, None)


@pytest.mark.parametrize(
    ("to_date", "end", "grows", "over", "status"),
    [
        (Bounded(60, 60, 60), Bounded(99, 98, 100), True, False, "on_track"),
        (Bounded(60, 60, 60), Bounded(99, 98, 100.1), True, False, "at_risk"),
        (Bounded(60, 60, 60), Bounded(101, None, None), True, False, "at_risk"),
        (Bounded(60, 60, 60), Bounded(99, None, None), True, False, "on_track"),
        (Bounded(101, 100.1, 102), Bounded(120, 110, 130), True, False, "missed"),
        (Bounded(101, 99.9, 102), Bounded(120, 110, 130), True, False, "at_risk"),
        (Bounded(101, 100.1, 102), Bounded(99, 98, 100), False, False, "on_track"),
        (Bounded(101, 101, 101), Bounded(101, 101, 101), False, True, "missed"),
        (Bounded(100, 100, 100), Bounded(100, 100, 100), True, True, "on_track"),
        (NOTHING, NOTHING, True, False, "insufficient_data"),
    ],
)
def test_status(to_date: Bounded, end: Bounded, grows: bool, over: bool, status: str) -> None:
    assert target_status(100, to_date, end, grows=grows, over=over) == status
