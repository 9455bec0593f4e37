"""The plant's calendar: statistical months, changes of the clock, half-hour zones."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from pipeline.periods import periods, statistical_month

SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


def test_a_statistical_month_is_labelled_by_the_month_in_which_it_ends() -> None:
    found = periods("month", utc(2026, 9, 25, 16), utc(2026, 10, 25, 16), SHANGHAI, 25)
    assert found.rows() == [("month", "2026-10", utc(2026, 9, 25, 16), utc(2026, 10, 25, 16), True)]


def test_the_statistical_year_is_its_twelve_months() -> None:
    (year,) = periods("year", utc(2026, 1, 1), utc(2026, 1, 2), SHANGHAI, 25).rows()
    (whole,) = periods("year", utc(2025, 12, 25, 16), utc(2026, 12, 25, 16), SHANGHAI, 25).rows()
    months = periods("month", utc(2025, 12, 25, 16), utc(2026, 12, 25, 16), SHANGHAI, 25)
    assert year[1] == whole[1] == "2026"
    assert (year[4], whole[4]) == (False, True)
    assert len(months) == 12
    assert months["whole"].all()
    assert (months["start_utc"][0], months["end_utc"][-1]) == whole[2:4]


@pytest.mark.parametrize(
    ("day", "end_day", "month"),
    [
        (date(2026, 2, 28), 31, (2026, 2)),
        (date(2026, 3, 1), 31, (2026, 3)),
        (date(2026, 2, 28), 28, (2026, 2)),
        (date(2024, 2, 29), 28, (2024, 3)),
        (date(2026, 12, 26), 25, (2027, 1)),
        (date(2026, 2, 28), 30, (2026, 2)),
    ],
)
def test_days_of_statistical_months(day: date, end_day: int, month: tuple[int, int]) -> None:
    assert statistical_month(day, end_day) == month


@pytest.mark.parametrize(("day", "hours"), [(29, 23), (28, 24)])
def test_a_day_is_as_long_as_it_is_in_spring(day: int, hours: int) -> None:
    found = periods("day", utc(2026, 3, 27), utc(2026, 3, 31), BERLIN)
    row = found.row(by_predicate=pl.col("period") == f"2026-03-{day}")
    assert row[3] - row[2] == timedelta(hours=hours)


def test_the_autumn_day_has_25_hours_each_with_its_own_label() -> None:
    hours = periods("hour", utc(2026, 10, 24, 22), utc(2026, 10, 25, 23), BERLIN)
    assert len(hours) == 25
    assert hours["period"].n_unique() == 25
    assert (hours["end_utc"] - hours["start_utc"] == timedelta(hours=1)).all()


def test_hours_of_a_half_hour_zone_begin_on_the_local_hour() -> None:
    found = periods("hour", utc(2026, 10, 5, 0), utc(2026, 10, 5, 1), ZoneInfo("Asia/Kolkata"))
    assert found["period"].to_list() == ["2026-10-05T05:00+05:30", "2026-10-05T06:00+05:30"]
    assert found["whole"].to_list() == [False, False]
    assert found["start_utc"].to_list() == [utc(2026, 10, 5, 0), utc(2026, 10, 5, 0, 30)]


@pytest.mark.parametrize("by", ["15min", "hour", "day", "month", "year"])
def test_periods_meet_without_gap_or_overlap(by: str) -> None:
    start, end = utc(2026, 3, 20, 7, 30), utc(2026, 4, 2, 11, 15)
    found = periods(by, start, end, BERLIN, 25)  # type: ignore[arg-type]
    assert found["start_utc"][0] == start
    assert found["end_utc"][-1] == end
    assert found["start_utc"][1:].to_list() == found["end_utc"][:-1].to_list()


def test_no_time_has_no_periods() -> None:
    assert periods("day", utc(2026, 1, 1), utc(2026, 1, 1), BERLIN).is_empty()
