"""Shifts: names for spans of the clock, which must not overlap and may leave gaps."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from config.errors import ConfigError
from config.load import load
from config.shifts import Shift, shift_gaps, shift_of, shift_problems, shift_spans
from tests.plants import write_plant

SHANGHAI = ZoneInfo("Asia/Shanghai")


def plan(**shifts: Any) -> dict[str, tuple[Shift, ...]]:
    return {
        name: tuple(Shift.model_validate(one) for one in (s if isinstance(s, list) else [s]))
        for name, s in shifts.items()
    }


def at(start: str, end: str, **more: Any) -> dict[str, Any]:
    return {"start": start, "end": end, **more}


@pytest.mark.parametrize(
    ("shifts", "overlaps"),
    [
        (plan(a=at("08:00", "16:00"), b=at("16:00", "24:00"), c=at("00:00", "08:00")), 0),
        (plan(a=at("08:00", "20:00"), b=at("20:00", "08:00")), 0),
        (plan(a=at("08:00", "20:15"), b=at("20:00", "08:00")), 1),
        (plan(a=at("22:00", "06:00"), b=at("05:45", "06:00")), 1),
        (plan(a=at("00:00", "24:00"), b=at("12:00", "12:15")), 1),
        (plan(a=at("08:00", "08:00")), 0),  # a shift of a whole day
        (plan(a=at("08:00", "20:00", valid_to="2026-06-30"),
              b=at("12:00", "13:00", valid_from="2026-07-01")), 0),
        (plan(a=at("08:00", "20:00", valid_to="2026-07-01"),
              b=at("12:00", "13:00", valid_from="2026-07-01")), 1),
        (plan(a=[at("08:00", "20:00", valid_to="2026-06-30"),
                 at("09:00", "21:00", valid_from="2026-07-01")]), 0),
    ],
)  # fmt: skip
def test_overlaps(shifts: dict[str, tuple[Shift, ...]], overlaps: int) -> None:
    assert len(list(shift_problems(shifts))) == overlaps


def test_gaps_are_told_by_day() -> None:
    two = plan(
        a=at("08:00", "16:00"),
        b=at("22:00", "06:00"),
        c=at("06:00", "08:00", valid_from="2026-10-01"),
    )
    assert shift_gaps(two, date(2026, 9, 30)) == ["06:00 to 08:00", "16:00 to 22:00"]
    assert shift_gaps(two, date(2026, 10, 1)) == ["16:00 to 22:00"]
    assert shift_gaps(plan(a=at("00:00", "24:00")), date(2026, 10, 1)) == []
    assert shift_gaps({}, date(2026, 10, 1)) == ["00:00 to 24:00"]


def test_which_of_two_versions_holds() -> None:
    changing = plan(
        early=[
            at("08:00", "16:00", valid_to="2026-06-30"),
            at("07:00", "15:00", valid_from="2026-07-01"),
        ]
    )
    before = shift_of(changing, "early", date(2026, 6, 30), SHANGHAI)
    after = shift_of(changing, "early", date(2026, 7, 1), SHANGHAI)
    assert before is not None
    assert after is not None
    assert before.start_utc == datetime(2026, 6, 30, 0, tzinfo=UTC)
    assert after.start_utc == datetime(2026, 6, 30, 23, tzinfo=UTC)
    assert shift_of(changing, "late", date(2026, 7, 1), SHANGHAI) is None


def test_a_night_shift_of_the_day_in_which_it_ends() -> None:
    night = plan(night=at("22:00", "06:00", day_of="end", valid_from="2026-10-01"))
    found = shift_of(night, "night", date(2026, 10, 2), SHANGHAI)
    assert found is not None
    assert found.start_utc == datetime(2026, 10, 1, 14, tzinfo=UTC)
    assert shift_of(night, "night", date(2026, 10, 1), SHANGHAI) is None
    spans = shift_spans(night, found.start_utc, found.end_utc, SHANGHAI)
    assert [(span.day, span.name) for span in spans] == [(date(2026, 10, 2), "night")]


def test_a_shift_at_a_time_that_the_clocks_skip_and_show_twice() -> None:
    """It begins at the moment of the skip, and at the first of the two."""
    berlin = ZoneInfo("Europe/Berlin")
    odd = plan(odd=at("02:30", "08:00"))
    spring = shift_of(odd, "odd", date(2026, 3, 29), berlin)
    autumn = shift_of(odd, "odd", date(2026, 10, 25), berlin)
    assert spring is not None
    assert autumn is not None
    assert spring.start_utc == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert autumn.start_utc == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_in_plant_yaml(tmp_path: Path) -> None:
    shifts = {"早班": at("08:00", "20:00"), "晚班": [at("20:00", "08:00")]}
    site = load(write_plant(tmp_path, shifts=shifts))
    assert list(site.plant.shifts) == ["早班", "晚班"]


@pytest.mark.parametrize(
    ("shifts", "says"),
    [
        ({"a": at("08:00", "16:00"), "b": at("15:00", "23:00")}, "b 15:00 to 23:00 overlaps a"),
        ({"a": at("08:10", "16:00")}, "08:10"),
        ({"a": at("8:00", "16:00")}, "8:00"),
        ({"a": at("24:00", "16:00")}, "24:00"),
        ({"a": at("08:00", "16:00", ends="x")}, "unknown key 'ends'"),
        ({"a": at("08:00", "16:00", valid_from="2026-02-01", valid_to="2026-01-01")},
         "valid_to is before valid_from"),
        ({"a": {"start": "08:00"}}, "'end' is missing"),
    ],
)  # fmt: skip
def test_refused(tmp_path: Path, shifts: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        load(write_plant(tmp_path, shifts=shifts))
    assert "plant.yaml:" in str(caught.value)
