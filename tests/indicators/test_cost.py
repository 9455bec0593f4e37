"""Costs by dated prices, with what is not known kept apart from what is zero."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from config.tariffs import Price
from indicators.cost import Spent, Use, price_spans, priced, total_cost

ZONE = ZoneInfo("Asia/Shanghai")
START = datetime(2025, 9, 1, tzinfo=ZONE)
DAY = timedelta(1)


def price(day: str, cny: float, unit: str = "t") -> Price:
    return Price.model_validate(
        {"energy": "raw_coal", "from": day, "unit": unit, "cny_per_unit": cny, "source": day}
    )


def month(amount: float | None, low: float | None, high: float | None) -> Use:
    return Use(START, START + 30 * DAY, amount, low, high)


SPANS = price_spans(
    [price("2025-01-01", 800.0), price("2025-09-11", 900.0)], "t", START, START + 30 * DAY, ZONE
)


def test_prices_change_at_local_midnight_and_convert() -> None:
    assert [span.start_utc for span in SPANS] == [START, datetime(2025, 9, 10, 16, tzinfo=UTC)]
    (only,) = price_spans([price("2025-01-01", 800.0)], "kg", START, START + DAY, ZONE)
    assert only.cny_per_unit == pytest.approx(0.8)
    before, after = price_spans([price("2025-09-02", 800.0)], "t", START, START + 2 * DAY, ZONE)
    assert (before.cny_per_unit, after.cny_per_unit) == (None, 800.0)
    assert after.start_utc.astimezone(ZONE).date() == date(2025, 9, 2)


def test_days_that_are_known_go_by_their_own_price() -> None:
    days = [
        Use(START + n * DAY, START + (n + 1) * DAY, a, a, a)
        for n, a in enumerate([29.0] + [1.0] * 29)
    ]
    found = priced(month(58.0, 58.0, 58.0), [days], SPANS)
    assert found.value == found.low == found.high == pytest.approx(38 * 800 + 20 * 900)
    assert found.reason == ""


def test_days_that_are_not_known_go_by_the_mean_over_time_within_bounds() -> None:
    found = priced(month(30.0, 27.0, 33.0), [], SPANS)
    assert found.value == pytest.approx(30 * (800 * 10 + 900 * 20) / 30)
    assert (found.low, found.high) == pytest.approx((27 * 800, 33 * 900))
    assert "mean over time" in found.reason
    sold = priced(month(-30.0, -33.0, -27.0), [], SPANS)
    assert (sold.low, sold.high) == pytest.approx((-33 * 900, -27 * 800))


def test_days_bound_no_looser_than_the_month() -> None:
    days = [Use(START + n * DAY, START + (n + 1) * DAY, 1.0, 0.0, 30.0) for n in range(30)]
    found = priced(month(30.0, 30.0, 30.0), [days], SPANS)
    assert found.value == pytest.approx(10 * 800 + 20 * 900)
    assert (found.low, found.high) == pytest.approx((30 * 800, 30 * 900))


def test_a_year_goes_by_its_months_and_their_days() -> None:
    august = Use(START - 31 * DAY, START, 10.0, 10.0, 10.0)
    both = Use(START - 31 * DAY, START + 30 * DAY, 40.0, 40.0, 40.0)
    spans = price_spans(
        [price("2025-01-01", 800.0), price("2025-09-11", 900.0)], "t", *both[:2], ZONE
    )
    days = [Use(START + n * DAY, START + (n + 1) * DAY, 1.0, 1.0, 1.0) for n in range(30)]
    found = priced(both, [[august, month(30.0, 30.0, 30.0)], days], spans)
    assert found.value == pytest.approx(20 * 800 + 20 * 900)
    assert found.reason == ""


def test_unknown_is_never_zero_and_zero_needs_no_price() -> None:
    refused = priced(month(None, 27.0, 33.0), [], SPANS[:1])
    assert (refused.value, refused.low, refused.high) == (None, 27 * 800, 33 * 800)
    nowhere = price_spans([], "t", START, START + DAY, ZONE)
    assert priced(month(1.0, 1.0, 1.0), [], nowhere).value is None
    assert priced(month(0.0, 0.0, 0.0), [], nowhere).value == 0.0
    whole = total_cost([refused, Spent(1.0, 1.0, 1.0, ("b",), "")])
    assert (whole.value, whole.low) == (None, 27 * 800 + 1)
    assert whole.reason == "its amount is not known"
