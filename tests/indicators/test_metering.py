"""Provision rates with what is not known, calibration by the day, accuracy by the case."""

from __future__ import annotations

from datetime import date

import pytest

from indicators.intensity import Bounded
from indicators.metering import (
    Point,
    Status,
    accuracy,
    calibration,
    provided,
    provision,
    reaches,
    user_classes,
)

YES, NO, OPEN = Point(True, True), Point(True, False), Point(True, None)
LIMITS = {"I": 5e6, "II": 1e6, "III": 1e5, "IV": None, "V": None}


@pytest.mark.parametrize(
    ("points", "rate"),
    [
        ([], None),
        ([Point(False, False)], None),
        ([YES] * 19 + [NO], (95.0, 95.0, 95.0)),
        ([NO], (0.0, 0.0, 0.0)),
        ([YES, OPEN], (None, 50.0, 100.0)),
        # A point that is perhaps needed: without a meter it may lower the rate, with one never.
        ([YES, Point(None, False)], (None, 50.0, 100.0)),
        ([YES, NO, Point(None, True)], (None, 50.0, 200 / 3)),
        ([YES, NO, Point(None, None)], (None, 100 / 3, 200 / 3)),
        ([Point(None, True)], (100.0, 100.0, 100.0)),
        ([Point(None, False)], (None, 0.0, 100.0)),
    ],
)
def test_rates(points: list[Point], rate: tuple[float | None, float, float] | None) -> None:
    found = provision(points)
    assert found == (None if rate is None else pytest.approx(rate))


@pytest.mark.parametrize(
    ("low", "high", "required", "status"),
    [
        (95.0, 95.0, 95.0, "met"),
        (94.9, 94.9, 95.0, "not_met"),
        (90.0, 100.0, 95.0, "unknown"),
        (0.0, 0.0, None, "unknown"),
    ],
)
def test_a_rate_is_judged_within_its_bounds(
    low: float, high: float, required: float | None, status: Status
) -> None:
    assert provided(Bounded(None, low, high), required) == status


def test_what_reaches_a_threshold() -> None:
    assert reaches(Bounded(100.0, 100.0, 100.0), 100.0) is True
    assert reaches(Bounded(99.9, 99.9, 99.9), 100.0) is False
    assert reaches(Bounded(100.0, 99.0, 101.0), 100.0) is None
    assert reaches(Bounded(None, None, None), 100.0) is None
    assert reaches(Bounded(1.0, 1.0, 1.0), None) is None


def test_calibration() -> None:
    day = date(2025, 11, 30)
    assert calibration(date(2025, 11, 30), date(2024, 11, 30), day) == "valid"
    assert calibration(date(2025, 11, 29), None, day) == "overdue"
    assert calibration(None, date(2024, 11, 30), day) == "unknown"
    # It is valid now; whether it was then, the ledger does not tell any more.
    assert calibration(date(2027, 12, 1), date(2025, 12, 1), day) == "unknown"


@pytest.mark.parametrize(
    ("given", "required", "status"),
    [
        ("0.2S", ["0.5S"], "met"),
        ("0.2", ["0.5S"], "met"),
        ("0.5S", ["0.5S"], "met"),
        ("0.5", ["0.5S"], "not_met"),
        ("C", ["0.5S"], "met"),
        ("B", ["0.5"], "not_met"),
        ("1.0级", ["1.0", "2.0"], "met"),
        ("1.5", ["1.0", "2.0"], "unknown"),
        ("III", ["0.1"], "unknown"),
        (None, ["0.1"], "unknown"),
        ("0.5", [], "unknown"),
    ],
)
def test_accuracy(given: str | None, required: list[str], status: Status) -> None:
    assert accuracy(given, required) == status


def test_classes_of_users_by_what_they_use() -> None:
    assert user_classes(5e6, LIMITS) == ["I"]
    assert user_classes(999_999.0, LIMITS) == ["I", "II", "III"]
    assert user_classes(10.0, LIMITS) == ["I", "II", "III", "IV", "V"]
