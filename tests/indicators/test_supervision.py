"""Verdicts at, within and beyond bounds; outages by working days; meters that repeat themselves."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from indicators.intensity import Bounded
from indicators.supervision import (
    Verdict,
    at_least,
    at_most,
    deviation,
    flat_days,
    longest_outage,
    working_days,
)

FIRST = date(2025, 11, 1)  # a Saturday


@pytest.mark.parametrize(
    ("value", "low", "high", "limit", "verdict"),
    [
        (117.0, 117.0, 117.0, 117.0, "complies"),
        (117.1, 117.1, 117.1, 117.0, "exceeds"),
        (116.0, 115.0, 118.0, 117.0, "insufficient data"),
        (118.0, 116.0, 119.0, 117.0, "insufficient data"),
        (116.0, 115.0, None, 117.0, "insufficient data"),
        (118.0, None, 119.0, 117.0, "insufficient data"),
        (118.0, 117.5, None, 117.0, "exceeds"),
        (-12.0, -12.0, -12.0, -10.0, "complies"),
        (-9.0, -9.0, -9.0, -10.0, "exceeds"),
        (None, None, None, 117.0, "insufficient data"),
        (1.0, 1.0, 1.0, None, "insufficient data"),
    ],
)
def test_a_figure_is_judged_within_its_bounds(
    value: float | None, low: float | None, high: float | None, limit: float | None,
    verdict: Verdict,
) -> None:  # fmt: skip
    assert at_most(Bounded(value, low, high), limit) == verdict


def test_what_is_to_be_reached() -> None:
    assert at_least(Bounded(0.9, 0.9, 0.9), 0.9) == "complies"
    assert at_least(Bounded(0.95, 0.85, 0.99), 0.9) == "insufficient data"
    assert at_least(Bounded(None, None, 0.8), 0.9) == "exceeds"


@pytest.mark.parametrize(
    ("x", "wanted"),
    [
        ((95.0, 95.0, 95.0), (0.05, 0.05, 0.05)),
        ((110.0, 104.0, 120.0), (0.1, 0.04, 0.2)),
        ((80.0, 70.0, 90.0), (0.2, 0.1, 0.3)),
        ((100.0, 90.0, 105.0), (0.0, 0.0, 0.1)),
        ((110.0, 106.0, None), (0.1, 0.06, None)),
        ((110.0, None, 120.0), (0.1, 0.0, None)),
    ],
)
def test_deviation_from_what_was_stated(
    x: tuple[float, float | None, float | None], wanted: tuple[float, float, float | None]
) -> None:
    found = deviation(Bounded(*x), 100.0)
    for one, other in zip(found, wanted, strict=True):
        assert one == (None if other is None else pytest.approx(other))


def test_deviation_of_a_negative_amount() -> None:
    assert deviation(Bounded(-90.0, -90.0, -90.0), -100.0) == pytest.approx((0.1, 0.1, 0.1))


def test_working_days_with_and_without_the_holidays_of_the_year() -> None:
    first, last = date(2025, 9, 29), date(2025, 10, 10)
    assert working_days(first, last, []) == (None, 0.0, 10.0)
    holidays = [date(2025, 10, day) for day in (1, 2, 3, 6, 7, 8)]
    assert working_days(first, last, holidays) == (4.0, 4.0, 4.0)
    assert working_days(first, last, [date(2024, 10, 1)]) == (None, 0.0, 10.0)


def coverage(**days: float) -> dict[date, float]:
    """November, whole but for some days."""
    month = {FIRST + timedelta(n): 1.0 for n in range(30)}
    return month | {date(2025, 11, int(name[1:])): ratio for name, ratio in days.items()}


def test_the_longest_outage() -> None:
    assert longest_outage(coverage(), [], []) is None
    two = coverage(d6=0.5, d7=0, d8=0, d9=0, d10=0.5, d12=0, d13=0, d14=0)
    first, last, working = longest_outage(two, [], []) or ()
    # The weekend in the first one takes two of its days; Thursday and Monday are observed in part.
    assert (first, last, working) == (date(2025, 11, 12), date(2025, 11, 14), (3.0, 3.0, 3.0))
    filed = [date(2025, 11, day) for day in (12, 13, 14)]
    first, last, working = longest_outage(two, [], filed) or ()
    assert (first, last, working) == (date(2025, 11, 7), date(2025, 11, 9), (None, 1.0, 3.0))
    # Filed for some of its days only, an outage stays one.
    assert longest_outage(two, [], filed[:2]) == longest_outage(two, [], [])


def test_flat_days() -> None:
    def found(*amounts: float, repeats: bool = True) -> list[int]:
        days = {FIRST + timedelta(n): amount for n, amount in enumerate(amounts)}
        return [day.day for day in flat_days(days, repeats=repeats)]

    assert found(9.1, 9.2, 9.3, 9.3, 9.3, 9.4) == [4, 5]
    assert found(9.1, 9.2, 9.3, 9.3, 9.3, 9.4, repeats=False) == []
    assert found(9.1, 9.2, 9.3, 0, 0, 9.4, repeats=False) == [4, 5]
    assert found(9.1, 0, 9.2, 9.3, 0, 9.4) == []  # now and then: a standby line
    assert found(9.1, 9.2, 0, 0, 0, 0) == []  # too few days to know what is usual
    assert found(9.1, 9.2, 9.1, 9.3, 9.3, 9.4) == []  # its amounts repeat by chance
