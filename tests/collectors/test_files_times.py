"""Time stamps of files."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from collectors.files.times import utc_times
from config.models import TimeColumns


def read(
    stamps: list[Any] | dict[str, list[str]], zone: str = "Asia/Shanghai", **settings: Any
) -> tuple[list[datetime | None], list[str | None]]:
    cells = pl.DataFrame(stamps if isinstance(stamps, dict) else {"time": stamps})
    how = TimeColumns.model_validate({"columns": cells.columns, **settings})
    times = utc_times(cells, how, zone)
    assert times.schema == {"time_utc": pl.Datetime("us", "UTC"), "reason": pl.String}
    return times["time_utc"].to_list(), times["reason"].to_list()


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    "stamp",
    [
        "2026-10-01T08:15:00",
        "2026-10-01 08:15:00",
        " 2026-10-01 08:15:00.000 ",
        "2026-10-01t08:15",
        "20261001T081500",
        "2026-10-01T00:15:00Z",
        "2026-10-01T00:15:00+00:00",
        "2026-10-01T02:15:00.0+0200",
        "2026-10-01 02:15+02",
        "20260930T161500-0800",
    ],
)
def test_iso_8601(stamp: str) -> None:
    assert read([stamp]) == ([utc(2026, 10, 1, 0, 15)], [None])


def test_iso_8601_of_both_sorts_in_one_file() -> None:
    times, reasons = read(["2026-10-01", "2026-10-01T00:00:00Z", "1 October", None])
    assert times == [utc(2026, 9, 30, 16), utc(2026, 10, 1), None, None]
    assert reasons[2:] == [
        "wrong time 1 October, expected ISO 8601",
        "wrong time (none), expected ISO 8601",
    ]


@pytest.mark.parametrize(
    ("stamp", "pattern"),
    [
        ("01/10/2026 08:15", "%d/%m/%Y %H:%M"),
        ("1/10/2026 8:15", "%d/%m/%Y %H:%M"),
        ("10/1/26 8:15 AM", "%m/%d/%y %I:%M %p"),
        ("2026年10月01日 08时15分", "%Y年%m月%d日 %H时%M分"),
        ("2026-10-01 08:15:00.000000", "%Y-%m-%d %H:%M:%S.%f"),
        ("2026-10-01 02:15:00 +0200", "%Y-%m-%d %H:%M:%S %z"),
    ],
)
def test_strftime_formats(stamp: str, pattern: str) -> None:
    assert read([stamp], format=pattern)[0] == [utc(2026, 10, 1, 0, 15)]


def test_a_fraction_of_a_second_is_one() -> None:
    times, _ = read(["2026-10-01 08:00:00.5"], format="%Y-%m-%d %H:%M:%S.%f")
    assert times == [utc(2026, 10, 1, 0, 0, 0, 500_000)]


def test_columns_are_joined_by_a_blank() -> None:
    times, reasons = read(
        {"day": ["1/2/2007", "1/2/2007"], "clock": ["08:15:00 ", ""]}, format="%d/%m/%Y %H:%M:%S"
    )
    assert times == [utc(2007, 2, 1, 0, 15), None]
    assert reasons == [None, "wrong time 1/2/2007 , expected %d/%m/%Y %H:%M:%S"]


@pytest.mark.parametrize(
    ("unit", "number"),
    [
        ("s", "1790813700"),
        ("s", "1790813700.0"),
        ("ms", "1790813700000"),
        ("us", "1790813700000000"),
    ],
)
def test_unix_time(unit: str, number: str) -> None:
    expected = datetime.fromtimestamp(1790813700, UTC)
    assert read([number], format=unit) == ([expected], [None])
    assert read([float(number)], format=unit) == ([expected], [None])


def test_the_wrong_unit_of_unix_time_is_noticed() -> None:
    times, reasons = read(["1790813700000", "1e30", "x"], format="s")
    assert times == [None, None, None]
    assert reasons[0] == "time 1790813700000 is not in 1970 to 2199"
    assert reasons[1:] == ["wrong time 1e30, expected s", "wrong time x, expected s"]


def test_hours_that_the_clocks_skip_or_show_twice() -> None:
    stamps = ["2026-03-29 02:30", "2026-10-25 02:30", "2026-10-25 03:00", "2026-10-25T02:30+01:00"]
    times, reasons = read(stamps, zone="Europe/Paris")
    assert times == [None, None, utc(2026, 10, 25, 2), utc(2026, 10, 25, 1, 30)]
    assert reasons == [
        "the clocks of Europe/Paris skip 2026-03-29 02:30",
        "the clocks of Europe/Paris show 2026-10-25 02:30 twice",
        None,
        None,
    ]


def test_the_files_zone_goes_before_the_plants() -> None:
    assert read(["2026-10-01 09:15"], timezone="Asia/Tokyo")[0] == [utc(2026, 10, 1, 0, 15)]


def test_00_00_may_close_the_day_whose_date_it_carries() -> None:
    stamps = ["2026-12-31 23:45", "2026-12-31 00:00", "2026-12-31 00:00:01"]
    times, _ = read(stamps, midnight_of="day_end")
    assert times == [utc(2026, 12, 31, 15, 45), utc(2026, 12, 31, 16), utc(2026, 12, 30, 16, 0, 1)]
    assert read(["2026-12-31 00:00"])[0] == [utc(2026, 12, 30, 16)]


def test_the_day_that_00_00_closes_may_have_23_hours() -> None:
    # 29 March 2026 has 23 hours in Paris; the stamp carries its offset.
    times, _ = read(["2026-03-29T00:00:00+01:00"], zone="Europe/Paris", midnight_of="day_end")
    assert times == [utc(2026, 3, 29, 22)]


def test_types_that_are_times_already() -> None:
    naive = [datetime(2026, 10, 1, 8, 15)]  # noqa: DTZ001
    assert read(naive) == ([utc(2026, 10, 1, 0, 15)], [None])
    assert read([naive[0].date()]) == ([utc(2026, 9, 30, 16)], [None])
    assert read([utc(2026, 10, 1, 0, 15)]) == ([utc(2026, 10, 1, 0, 15)], [None])
