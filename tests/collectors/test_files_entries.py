"""Production and statements from files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from collectors.files import ReadFile, read_production, read_statements
from config.errors import InputError
from config.site import Site
from config.tables import OUTPUTS, STATEMENTS

from .file_site import BY_END, SHIFTS, site_in

NOW = datetime(2026, 11, 1, tzinfo=UTC)
PRODUCTION = "product_id,start,end,qualified_quantity"
STATEMENT = "meter_id,start,end,opening_stock,purchased,closing_stock,sold"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return site_in(tmp_path)


def production(site: Site, *lines: str, header: str = PRODUCTION) -> ReadFile:
    file = site.folder / "production.csv"
    file.write_text("\n".join([header, *lines]), encoding="utf-8")
    return read_production(file, site, "li.wei", now=NOW)


def statements(site: Site, *lines: str, header: str = STATEMENT) -> ReadFile:
    file = site.folder / "statements.csv"
    file.write_text("\n".join([header, *lines]), encoding="utf-8")
    return read_statements(file, site, "li.wei", now=NOW)


def reason(read: ReadFile) -> str:
    assert read.rows.is_empty()
    assert read.refused["line"].to_list() == [2]
    return str(read.refused["reason"][0])


def test_production(site: Site) -> None:
    read = production(
        site,
        "steel,2026-10-01,2026-10-01,120.5,,1000",
        "steel,2026-10-02,2026-10-03T08:00,50000,kg,",
        'wire,2026-10-01T00:00+08:00,2026-10-02,"2",t,-5.5',
        header=PRODUCTION + ",unit,output_value_cny",
    )
    assert read.refused.is_empty()
    assert read.rows.schema == OUTPUTS.polars_schema()
    first, second, third = read.rows.to_dicts()
    assert first == {
        "plant_id": "test-works",
        "product_id": "steel",
        "start_utc": datetime(2026, 9, 30, 16, tzinfo=UTC),
        "end_utc": datetime(2026, 10, 1, 16, tzinfo=UTC),  # the end of 1 October
        "qualified_quantity": 120.5,
        "unit": "t",
        "output_value_cny": 1000.0,
        "source": "production.csv",
        "entered_by": "li.wei",
        "entered_utc": NOW,
        "shift": None,
        "batch": None,
        "reason": None,
        "withdrawn": None,
    }
    assert second["qualified_quantity"] == pytest.approx(50)
    assert second["end_utc"] == datetime(2026, 10, 3, 0, tzinfo=UTC)
    assert second["output_value_cny"] is None
    assert (third["qualified_quantity"], third["unit"]) == (pytest.approx(2000), "kg")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("iron,2026-10-01,2026-10-01,1", "unknown product 'iron'; known: steel, wire"),
        ("steel,2026-10-01,2026-10-01,-1", "qualified_quantity -1 is negative"),
        ("steel,2026-10-01,2026-10-01,", "qualified_quantity is empty, not a number"),
        ("steel,2026-10-01,2026-10-01,1_000", "qualified_quantity is '1_000', not a number"),
        ("steel,2026-10-01,2026-10-01,nan", "qualified_quantity is 'nan', not a number"),
        ("steel,2026-10-01,2026-10-01,1e999", "qualified_quantity 1e999 is not finite"),
        ("steel,2026-10-02,2026-10-01,1", "end 2026-10-01 is not after start 2026-10-02"),
        ("steel,2026-10-01T08:00,2026-10-01T08:00,1", "is not after start"),
        ("steel,2026-11-01,2026-11-01,1", "end 2026-11-01 is in the future"),
        ("steel,1/10/2026,2026-10-01,1", "start '1/10/2026' is no date and no time"),
        ("steel,2026-10-01,,1", "it states start; allowed: start and end; date; month"),
        ("steel,2026-10-01,2026-10-01,inf", "qualified_quantity is 'inf', not a number"),
        ("steel,1989-12-31,2026-10-01,1", "it starts before 1990"),
        ("steel,0001-01-01,2026-10-01,1", "start '0001-01-01' is no date"),
        ("steel,2026-10-01,9999-12-31,1", "end '9999-12-31' is no date"),
        ("steel,2026-10-01,2026-10-01", "3 columns; the header has 4"),
    ],
)
def test_production_refused(site: Site, line: str, why: str) -> None:
    assert why in reason(production(site, line))


def test_production_in_a_wrong_unit_is_refused(site: Site) -> None:
    read = production(site, "steel,2026-10-01,2026-10-01,1,kWh", header=PRODUCTION + ",unit")
    assert reason(read) == (
        "'kWh' (energy) does not convert to 't' (mass); allowed: g, kg, t, 10^4 t"
    )
    read = production(site, "steel,2026-10-01,2026-10-01,1,box", header=PRODUCTION + ",unit")
    assert "unknown unit 'box'" in reason(read)


def test_overlaps_of_one_product_are_refused(site: Site) -> None:
    read = production(
        site,
        "steel,2026-10-10,2026-10-12,1",
        "steel,2026-10-01,2026-10-09,2",
        "wire,2026-10-01,2026-10-31,3",
        "steel,2026-10-12T23:00,2026-10-20,4",  # 5
        "steel,2026-10-05,2026-10-05,5",  # 6
        "steel,2026-09-01,2026-10-30,6",  # 7
        "steel,2026-10-13,2026-10-13,7",
        "steel,2026-10-14,2026-10-14,-8",  # 9: does not take its span
        "steel,2026-10-14,2026-10-14,9",
    )
    assert read.rows["qualified_quantity"].to_list() == [1, 2, 3, 7, 9]
    assert dict(zip(read.refused["line"], read.refused["reason"], strict=True)) == {
        5: "overlaps line 2, which is of steel too",
        6: "overlaps line 3, which is of steel too",
        7: "overlaps line 3, which is of steel too",
        9: "qualified_quantity -8 is negative",
    }


def test_local_times_that_the_clocks_skip_or_show_twice(tmp_path: Path) -> None:
    site = site_in(tmp_path, timezone="Europe/Paris")
    read = production(
        site,
        "steel,2026-03-29T02:30,2026-03-30,1",
        "steel,2026-10-25T02:30,2026-10-26,1",
        "steel,2026-10-25T02:30+01:00,2026-10-26,1",
    )
    assert read.rows.height == 1
    skipped, twice = read.refused["reason"]
    assert "the clocks of Europe/Paris skip it" in skipped
    assert "the clocks of Europe/Paris show it twice" in twice


def test_what_was_converted_is_told(site: Site) -> None:
    read = production(site, "steel,2026-10-01,2026-10-01,50000,kg", header=PRODUCTION + ",unit")
    assert read.notes == ("line 2: 50000 kg is 50 t",)


def test_a_line_that_stands_twice_is_refused(site: Site) -> None:
    line = "steel,2026-10-01,2026-10-01,1"
    read = production(site, line, line)
    assert read.rows.height == 1
    assert read.refused["reason"].to_list() == [
        "repeats line 2, which is of steel and the same time"
    ]


TIMES = "product_id,start,end,date,month,shift,batch,qualified_quantity"


def spans(read: ReadFile) -> list[tuple[datetime, datetime]]:
    assert read.refused.is_empty(), read.refused["reason"].to_list()
    return list(read.rows.select("start_utc", "end_utc").iter_rows())


@pytest.mark.parametrize(
    ("cells", "start", "end"),
    [
        (",,2026-10-05,,", "2026-10-05T00:00", "2026-10-06T00:00"),
        (",,2026-10-05 00:00:00,,", "2026-10-05T00:00", "2026-10-06T00:00"),
        (",,2026/10/5,,", "2026-10-05T00:00", "2026-10-06T00:00"),
        (",,2026年10月5日,,", "2026-10-05T00:00", "2026-10-06T00:00"),
        (",,,2026-09,", "2026-09-01T00:00", "2026-10-01T00:00"),
        (",,,2026年9月,", "2026-09-01T00:00", "2026-10-01T00:00"),
        (",,,2026-09-01,", "2026-09-01T00:00", "2026-10-01T00:00"),
        (",,2026-10-05,,day", "2026-10-05T06:00", "2026-10-05T22:00"),
        (",,2026-10-05,,night", "2026-10-05T22:00", "2026-10-06T06:00"),
        (",,2026-10-05,,早班", "2026-10-04T22:00", "2026-10-05T06:00"),
        ("2026/10/5 8:00,2026-10-05 24:00,,,", "2026-10-05T08:00", "2026-10-06T00:00"),
        ("2026-10-05 22:00,2026-10-06 06:00,,,night", "2026-10-05T22:00", "2026-10-06T06:00"),
    ],
)
def test_every_way_to_state_a_time(tmp_path: Path, cells: str, start: str, end: str) -> None:
    site = site_in(tmp_path, shifts=BY_END if "早班" in cells else SHIFTS)
    ((first, last),) = spans(production(site, f"steel,{cells},,1", header=TIMES))
    zone = site.plant.plant.zone
    assert first.astimezone(zone).isoformat(timespec="minutes") == f"{start}+08:00"
    assert last.astimezone(zone).isoformat(timespec="minutes") == f"{end}+08:00"


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        (",,,,", "it states no time; allowed: start and end; date; month; date and shift"),
        (",,2026-10-05,2026-10,", "it states date and month; allowed"),
        (",,,,night", "it states shift; allowed"),
        (",,2026-10-05,,swing", "unknown shift 'swing'; known: day, night"),
        (",,2025-12-31,,night", "there is no shift 'night' on 2025-12-31"),
        (",,2026-13-05,,", "date '2026-13-05' is no date"),
        (",,,2026-13,", "month '2026-13' is no month"),
        (",,,2026-09-02,", "month '2026-09-02' is no month"),
        (",,,9999-12,", "is no month"),
        (",,2026-11-01,,", "the end of 2026-11-01 is in the future"),
        (",,,2026-11,", "the end of month 2026-11 is in the future"),
        (",,2026-11-01,,day", "the end of 2026-11-01 day is in the future"),
    ],
)
def test_times_that_are_none(tmp_path: Path, cells: str, why: str) -> None:
    site = site_in(tmp_path, shifts=SHIFTS)
    assert why in reason(production(site, f"steel,{cells},,1", header=TIMES))


def test_shift_and_batch_are_kept(tmp_path: Path) -> None:
    site = site_in(tmp_path, shifts=SHIFTS)
    read = production(
        site,
        "steel,,,2026-10-05,,night,,1",
        "wire,2026-10-05T03:00,2026-10-05T05:10,,,,B-17,2",
        header=TIMES,
    )
    assert read.refused.is_empty()
    assert read.rows.select("shift", "batch").rows() == [("night", None), (None, "B-17")]


def test_a_month_that_ends_on_day_25(tmp_path: Path) -> None:
    site = site_in(tmp_path, month_end_day=25)
    ((first, last),) = spans(
        production(site, "steel,2026-10,1", header="product_id,month,qualified_quantity")
    )
    assert (first, last) == (
        datetime(2026, 9, 25, 16, tzinfo=UTC),
        datetime(2026, 10, 25, 16, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("day", "shift", "hours"),
    [
        ("2026-03-28", "", 24),
        ("2026-03-29", "", 23),
        ("2026-10-25", "", 25),
        ("2026-03-28", "night", 7),
        ("2026-10-24", "night", 9),
        ("2026-10-25", "night", 8),
        ("2026-03-29", "早班", 7),
    ],
)
def test_days_and_shifts_are_as_long_as_they_are(
    tmp_path: Path, day: str, shift: str, hours: int
) -> None:
    site = site_in(tmp_path, timezone="Europe/Berlin", shifts=BY_END if shift == "早班" else SHIFTS)
    ((first, last),) = spans(production(site, f"steel,,,{day},,{shift},,1", header=TIMES))
    assert (last - first).total_seconds() == hours * 3600


def test_a_file_without_any_time_is_an_error(site: Site) -> None:
    with pytest.raises(InputError, match="no column of time"):
        production(site, "steel,1", header="product_id,qualified_quantity")


def test_chinese_headings(site: Site) -> None:
    read = production(site, "steel,2026-10,120,t", header="产品,月份,产量,单位")
    assert read.rows["qualified_quantity"].to_list() == [120]
    read = statements(
        site, "coal,2026-09,100,50,30,20,t", header="计量器具,月份,期初库存,购进,期末库存,外供,单位"
    )
    assert read.rows["consumed"].to_list() == [100_000]


def test_statements(site: Site) -> None:
    read = statements(
        site,
        "coal,2026-09-01,2026-09-30,100,50.5,30,20.5,",
        "coal,2026-10-01,2026-10-31,30000,1000,31000,0,kg",
        "gas,2026-09-01,2026-09-30,0,2,0,0,10^4 m3",
        header=STATEMENT + ",unit",
    )
    assert read.refused.is_empty()
    assert read.rows.schema == STATEMENTS.polars_schema()
    assert read.rows.row(0, named=True) == {
        "plant_id": "test-works",
        "meter_id": "coal",
        "start_utc": datetime(2026, 8, 31, 16, tzinfo=UTC),
        "end_utc": datetime(2026, 9, 30, 16, tzinfo=UTC),
        "unit": "kg",
        "opening_stock": 100_000.0,
        "purchased": 50_500.0,
        "closing_stock": 30_000.0,
        "sold": 20_500.0,
        "consumed": 100_000.0,
        "source": "statements.csv",
        "entered_by": "li.wei",
        "entered_utc": NOW,
        "reason": None,
        "withdrawn": None,
    }
    assert read.rows["consumed"].to_list() == [100_000.0, 0.0, 20_000.0]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("none,2026-09-01,2026-09-30,1,1,1,1", "unknown meter 'none'; known: a, b, q, coal"),
        ("a,2026-09-01,2026-09-30,1,1,1,1", "a is read on connection 'box'"),
        ("out,2026-09-01,2026-09-30,1,1,1,1", "out weighs product 'steel'"),
        ("coal,2026-09-01,2026-09-30,-1,1,0,0", "opening_stock -1 is negative"),
        ("coal,2026-09-01,2026-09-30,1,1,-1,0", "closing_stock -1 is negative"),
        ("coal,2026-09-01,2026-09-30,1,,0,0", "purchased is empty, not a number"),
        ("coal,2026-09-01,2026-09-30,1,1,1,2", "consumed -1000 kg is negative"),
        ("coal,2026-09-30,2026-09-01,1,1,1,1", "is not after start"),
        ("coal,2026-10-01,2026-12-31,1,1,1,1", "is in the future"),
    ],
)
def test_statements_refused(site: Site, line: str, why: str) -> None:
    assert why in reason(statements(site, line))


def test_overlapping_statements_are_refused(site: Site) -> None:
    read = statements(
        site, "coal,2026-09-01,2026-09-30,2,1,1,1", "coal,2026-09-30,2026-10-05,2,1,1,1"
    )
    assert read.rows.height == 1
    assert read.refused["reason"].to_list() == ["overlaps line 2, which is of coal too"]


@pytest.mark.parametrize(
    ("header", "given"),
    [
        ("product,start,end,qualified_quantity", "no column 'product_id'"),
        (PRODUCTION + ",note", "unknown column 'note'"),
    ],
)
def test_other_columns_are_an_error(site: Site, header: str, given: str) -> None:
    with pytest.raises(InputError, match=given) as caught:
        production(site, header=header)
    assert "qualified_quantity" in caught.value.allowed
