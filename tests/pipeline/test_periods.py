"""The plant's calendar: statistical months, changes of the clock, half-hour zones."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from config.errors import InputError
from config.months import statistical_month
from config.shifts import Shift
from pipeline.periods import periods

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


HALF_HOUR_ZONES = ("Asia/Kolkata", "Australia/Adelaide", "Australia/Lord_Howe", "Asia/Kathmandu")


@pytest.mark.parametrize("by", ["15min", "30min", "hour", "day"])
@pytest.mark.parametrize("zone", HALF_HOUR_ZONES)
@pytest.mark.parametrize("day", [utc(2026, 4, 3), utc(2026, 10, 2), utc(2026, 7, 1)])
def test_periods_begin_on_the_clock_of_half_hour_zones(by: str, zone: str, day: datetime) -> None:
    """Also behind changes of the clock, of which Lord Howe's are half an hour."""
    found = periods(by, day, day + timedelta(days=4), ZoneInfo(zone))  # type: ignore[arg-type]
    assert found["end_utc"][:-1].to_list() == found["start_utc"][1:].to_list()
    minutes = {"15min": 15, "30min": 30, "hour": 60, "day": 24 * 60}[by]
    for label, start, whole in found.select("period", "start_utc", "whole").rows():
        local = start.astimezone(ZoneInfo(zone))
        changed = (
            local.utcoffset()
            != (start - timedelta(minutes=30)).astimezone(ZoneInfo(zone)).utcoffset()
        )
        assert not whole or changed or (local.hour * 60 + local.minute) % minutes == 0, label
    assert found["period"].n_unique() == len(found)


def test_the_half_hour_of_lord_howe() -> None:
    """In April its clocks go from 02:00 back to 01:30, in October from 02:00 on to 02:30."""
    zone = ZoneInfo("Australia/Lord_Howe")
    found = periods("hour", utc(2026, 4, 4, 14), utc(2026, 4, 4, 16, 30), zone)
    assert found.select("period", "start_utc", "end_utc").rows() == [
        ("2026-04-05T01:00+11:00", utc(2026, 4, 4, 14), utc(2026, 4, 4, 15)),
        ("2026-04-05T01:30+10:30", utc(2026, 4, 4, 15), utc(2026, 4, 4, 15, 30)),
        ("2026-04-05T02:00+10:30", utc(2026, 4, 4, 15, 30), utc(2026, 4, 4, 16, 30)),
    ]
    found = periods("hour", utc(2026, 10, 3, 14, 30), utc(2026, 10, 3, 17), zone)
    assert found["period"].to_list() == [
        "2026-10-04T01:00+10:30", "2026-10-04T02:30+11:00", "2026-10-04T03:00+11:00",
    ]  # fmt: skip
    lengths = found["end_utc"] - found["start_utc"]
    assert lengths.dt.total_minutes().to_list() == [60, 30, 60]
    days = periods("day", utc(2026, 4, 3, 13), utc(2026, 4, 5, 13, 30), zone)
    assert (days["end_utc"] - days["start_utc"]).dt.total_minutes().to_list() == [1440, 1470]


def test_statistical_months_of_half_hour_zones_begin_at_local_midnight() -> None:
    zone = ZoneInfo("Australia/Adelaide")
    found = periods("month", utc(2026, 3, 25, 13, 30), utc(2026, 4, 25, 14, 30), zone, 25)
    assert found["period"].to_list() == ["2026-04"]
    assert found["whole"].all()
    found = periods("month", utc(2026, 4, 1), utc(2026, 4, 2), ZoneInfo("Asia/Kolkata"), 25)
    whole = periods(
        "month", utc(2026, 3, 25, 18, 30), utc(2026, 4, 25, 18, 30), ZoneInfo("Asia/Kolkata"), 25
    )
    assert (found["period"][0], whole["whole"].to_list()) == ("2026-04", [True])


SHIFTS = {
    "day": (Shift(start="06:00", end="22:00"),),
    "night": (Shift(start="22:00", end="06:00"),),
}


def test_shifts_across_midnight_and_across_changes_of_the_clock() -> None:
    found = periods("shift", utc(2026, 10, 24, 4), utc(2026, 10, 26, 5), BERLIN, shifts=SHIFTS)
    assert found.select("period", "start_utc", "end_utc", "whole").rows() == [
        ("2026-10-24 day", utc(2026, 10, 24, 4), utc(2026, 10, 24, 20), True),
        ("2026-10-24 night", utc(2026, 10, 24, 20), utc(2026, 10, 25, 5), True),  # nine hours
        ("2026-10-25 day", utc(2026, 10, 25, 5), utc(2026, 10, 25, 21), True),
        ("2026-10-25 night", utc(2026, 10, 25, 21), utc(2026, 10, 26, 5), True),
    ]
    spring = periods("shift", utc(2026, 3, 28, 21), utc(2026, 3, 29, 4), BERLIN, shifts=SHIFTS)
    assert spring["period"].to_list() == ["2026-03-28 night"]
    assert (spring["end_utc"] - spring["start_utc"]).to_list() == [timedelta(hours=7)]


def test_time_between_shifts_is_in_none() -> None:
    plan = {"only": (Shift(start="08:00", end="16:00"),)}
    found = periods("shift", utc(2026, 10, 1), utc(2026, 10, 2, 16), SHANGHAI, shifts=plan)
    assert found.select("period", "start_utc", "end_utc", "whole").rows() == [
        ("2026-10-01 only", utc(2026, 10, 1), utc(2026, 10, 1, 8), True),
        ("2026-10-02 only", utc(2026, 10, 2), utc(2026, 10, 2, 8), True),
    ]
    assert periods(
        "shift", utc(2026, 10, 1, 9), utc(2026, 10, 1, 12), SHANGHAI, shifts=plan
    ).is_empty()


def test_a_clipped_shift_is_not_whole() -> None:
    found = periods("shift", utc(2026, 10, 1, 1), utc(2026, 10, 1, 2), SHANGHAI, shifts=SHIFTS)
    assert found.rows() == [
        ("shift", "2026-10-01 day", utc(2026, 10, 1, 1), utc(2026, 10, 1, 2), False)
    ]


def test_periods_by_shift_without_shifts() -> None:
    with pytest.raises(InputError, match="no shifts are configured"):
        periods("shift", utc(2026, 10, 1), utc(2026, 10, 2), SHANGHAI)


@pytest.mark.parametrize("by", ["15min", "30min", "hour", "day", "month", "year"])
def test_periods_meet_without_gap_or_overlap(by: str) -> None:
    start, end = utc(2026, 3, 20, 7, 30), utc(2026, 4, 2, 11, 15)
    found = periods(by, start, end, BERLIN, 25)  # type: ignore[arg-type]
    assert found["start_utc"][0] == start
    assert found["end_utc"][-1] == end
    assert found["start_utc"][1:].to_list() == found["end_utc"][:-1].to_list()


def test_no_time_has_no_periods() -> None:
    assert periods("day", utc(2026, 1, 1), utc(2026, 1, 1), BERLIN).is_empty()
