# ruff: noqa: DTZ001 - cells of a workbook have no time zone
"""Workbooks as clerks make them: titles, typed dates, numbers as text, merged cells, errors."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from openpyxl import Workbook
from openpyxl.chart import BarChart, Reference

from collectors.files import ReadFile, read_production, read_readings, read_statements
from config.errors import InputError
from config.site import Site

from .file_site import SHIFTS, mapping, site_in

NOW = datetime(2026, 11, 1, tzinfo=UTC)
HEAD = ("产品", "日期", "产量", "单位")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return site_in(tmp_path, shifts=SHIFTS)


def book(file: Path, *rows: Sequence[Any], title: str = "产量") -> Path:
    """A workbook of one sheet with these rows."""
    workbook = Workbook()
    page = workbook.active
    page.title = title
    for row in rows:
        page.append(list(row))
    workbook.save(file)
    return file


def production(site: Site, file: Path, **settings: Any) -> ReadFile:
    return read_production(file, site, "li.wei", now=NOW, **settings)


def test_titles_types_and_blank_rows(site: Site) -> None:
    """Rows have the numbers that Excel shows."""
    file = book(
        site.folder / "p.xlsx",
        ["十月产量统计表"],
        [],
        ["产品", "日期", "产量", "单位", "班次"],
        ["steel", date(2026, 10, 1), 120.5, "t", "day"],
        [],
        ["steel", "2026/10/1", "121", " t ", "night"],
        ["wire", datetime(2026, 10, 2), 7, "kg", None],
        ["iron", date(2026, 10, 2), 7, "t", None],
        [None, None, None, None, None],
    )
    read = production(site, file)
    assert read.sheet == "产量"
    assert read.rows["qualified_quantity"].to_list() == [120.5, 121.0, 7.0]
    assert read.origin["line"].to_list() == [4, 6, 7]
    assert read.rows["start_utc"].to_list() == [
        datetime(2026, 9, 30, 22, tzinfo=UTC),
        datetime(2026, 10, 1, 14, tzinfo=UTC),
        datetime(2026, 10, 1, 16, tzinfo=UTC),
    ]
    assert read.refused.rows() == [
        (8, "unknown product 'iron'; known: steel, wire", "iron,2026-10-02,7,t,")
    ]
    assert read.place(file, 8) == f"{file}, sheet '产量', row 8"


def test_a_date_cell_with_an_hour_is_a_time(site: Site) -> None:
    """A cell that is shown as a time is one, also at midnight."""
    workbook = Workbook()
    page = workbook.active
    page.append(["product_id", "start", "end", "qualified_quantity"])
    page.append(["steel", datetime(2026, 10, 1, 8), datetime(2026, 10, 2), 1])
    page.append(["wire", datetime(2026, 10, 1, 8), datetime(2026, 10, 2), 1])
    page["C2"].number_format = "yyyy-mm-dd hh:mm"
    page["C3"].number_format = "yyyy-mm-dd"
    workbook.save(site.folder / "p.xlsx")
    read = production(site, site.folder / "p.xlsx")
    assert read.rows["end_utc"].to_list() == [
        datetime(2026, 10, 1, 16, tzinfo=UTC),
        datetime(2026, 10, 2, 16, tzinfo=UTC),
    ]


def test_a_month_that_excel_made_a_date(site: Site) -> None:
    file = book(site.folder / "p.xlsx", ["产品", "月份", "产量"], ["steel", date(2026, 9, 1), 5])
    read = production(site, file)
    assert read.rows["end_utc"].to_list() == [datetime(2026, 9, 30, 16, tzinfo=UTC)]


def with_values(file: Path, values: dict[str, str]) -> Path:
    """The workbook with the computed values that Excel would store behind formulas, by cell."""
    packed = BytesIO(file.read_bytes())
    with ZipFile(packed) as old, ZipFile(file, "w", ZIP_DEFLATED) as new:
        for name in old.namelist():
            part = old.read(name)
            if name == "xl/worksheets/sheet1.xml":
                text = part.decode()
                for cell, value in values.items():
                    start = text.index(f'r="{cell}"')
                    empty = text.index("<v", start)
                    end = text.index("</c>", empty)
                    error = ' t="e"' if value.startswith("#") else ""
                    text = text[:empty] + f"<v>{value}</v>" + text[end:]
                    text = text.replace(f'r="{cell}"', f'r="{cell}"{error}', 1)
                part = text.encode()
            new.writestr(name, part)
    return file


def test_formulas_and_their_errors(site: Site) -> None:
    """A computed value counts; an error, and a formula that nobody computed, are refused."""
    file = book(
        site.folder / "p.xlsx",
        HEAD,
        ["steel", date(2026, 10, 1), "=1+1", "t"],
        ["steel", date(2026, 10, 2), "=NA()", "t"],
        ["steel", date(2026, 10, 3), "=2+2", "t"],
        ["steel", date(2026, 10, 4), 3, "=A1"],
        ["=A2", "=B2", "=C2", "=D2"],
    )
    with_values(file, {"C2": "2", "C3": "#N/A"})
    read = production(site, file)
    assert read.rows["qualified_quantity"].to_list() == [2.0]
    assert dict(zip(read.refused["line"], read.refused["reason"], strict=True)) == {
        3: "cell C3 holds #N/A",
        4: "cell C4 is a formula without its value: open the file in Excel and save it",
        5: "cell D5 is a formula without its value: open the file in Excel and save it",
        6: "cell A6 is a formula without its value: open the file in Excel and save it",
    }


def test_merged_cells_are_refused_where_they_hide_something(site: Site) -> None:
    workbook = Workbook()
    page = workbook.active
    page.append(["产量统计"])
    page.append(list(HEAD))
    for day in (1, 2, 3):
        page.append(["steel" if day == 1 else None, date(2026, 10, day), day, "t"])
    page.append(["wire", date(2026, 10, 4), 4, "kg"])
    page.merge_cells("A1:D1")
    page.merge_cells("A3:A5")
    workbook.save(site.folder / "p.xlsx")
    read = production(site, site.folder / "p.xlsx")
    assert read.rows["product_id"].to_list() == ["steel", "wire"]
    assert read.refused["line"].to_list() == [4, 5]
    assert read.refused["reason"][0] == (
        "cell A4 is inside the merged cells A3:A5: give each row its own"
    )


def test_which_sheet(site: Site) -> None:
    workbook = Workbook()
    first = workbook.active
    first.title = "九月"
    workbook.create_sheet("空")
    for title, page in (("九月", first), ("十月", workbook.create_sheet("十月"))):
        page.append(list(HEAD))
        page.append(["steel", date(2026, 9 if title == "九月" else 10, 5), 1, "t"])
    hidden = workbook.create_sheet("旧")
    hidden.append(["anything"])
    hidden.sheet_state = "hidden"
    chart = BarChart()
    chart.add_data(Reference(first, min_col=3, min_row=1, max_row=2))
    workbook.create_chartsheet("图").add_chart(chart)
    file = site.folder / "p.xlsx"
    workbook.save(file)
    with pytest.raises(InputError, match="2 sheets hold something") as caught:
        production(site, file)
    assert "九月, 空, 十月, 旧" in caught.value.allowed
    with pytest.raises(InputError, match="no sheet '八月'"):
        production(site, file, sheet="八月")
    with pytest.raises(InputError, match="no column 'product_id'"):
        production(site, file, sheet="旧")
    read = production(site, file, sheet="十月")
    assert read.rows["start_utc"].to_list() == [datetime(2026, 10, 4, 16, tzinfo=UTC)]


def test_statements_with_stocks(site: Site) -> None:
    file = book(
        site.folder / "s.xlsx",
        ["计量器具", "月份", "期初库存", "购进", "期末库存", "外供", "单位"],
        ["coal", "2026-08", 100, 500, 50, 10, "t"],
        ["coal", "2026-09", "50", "500", -1, 0, "t"],
        ["gas", "2026-09", 0, 5, 0, 0, "t"],
    )
    read = read_statements(file, site, "li.wei", now=NOW)
    assert read.rows["consumed"].to_list() == [540_000.0]
    assert read.refused["line"].to_list() == [3, 4]
    assert read.refused["reason"][0] == "closing_stock -1 is negative"
    assert (
        "'t' (mass) does not convert to 'm3' (volume); allowed: L, m3, 10^4 m3"
        in (read.refused["reason"][1])
    )


def test_readings(site: Site) -> None:
    """Typed times, a date and a time in two columns, and a cell that shows an error."""
    file = book(
        site.folder / "r.xlsx",
        ["time", "a", "b"],
        [datetime(2026, 10, 1, 0, 15), 1.5, "2"],
        [datetime(2026, 10, 1, 0, 30), 2.5, "=NA()"],
        [datetime(2026, 10, 1, 0, 45), None, 4],
    )
    with_values(file, {"C3": "#N/A"})
    read = read_readings(file, mapping(), site, now=NOW)
    assert read.rows.filter(meter_id="a")["value"].to_list() == [1.5, 2.5, None]
    assert read.rows.filter(meter_id="b")["value"].to_list() == [2.0, 4.0]
    assert read.rows["time_utc"].min() == datetime(2026, 9, 30, 16, 15, tzinfo=UTC)
    assert read.refused.rows() == [
        (3, "column 'b': #N/A is not a number", "2026-10-01 00:30:00,2.5,#N/A")
    ]
    file = book(
        site.folder / "two.xlsx",
        ["day", "clock", "a", "b"],
        [date(2026, 10, 1), time(8), 1, 2],
    )
    two = mapping(time={"columns": ["day", "clock"]})
    read = read_readings(file, two, site, now=NOW)
    assert read.rows["time_utc"].to_list() == [datetime(2026, 10, 1, tzinfo=UTC)] * 2


def bomb(file: Path) -> bytes:
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as new:
        for number in range(6):
            with new.open(f"part{number}", "w") as part:
                for _ in range(100):
                    part.write(bytes(1 << 20))
    return packed.getvalue()


def test_files_that_are_no_workbook(site: Site) -> None:
    file = book(site.folder / "p.xlsx", HEAD, ["steel", date(2026, 10, 1), 1, "t"])
    whole = file.read_bytes()
    for content, why in (
        (whole[: len(whole) // 2], "no Excel workbook that can be read"),
        (b"PK\x03\x04" + bytes(100), "no Excel workbook that can be read"),
        (
            bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600),
            "an old .xls workbook, or one with a pass",
        ),
        (bomb(file), "600 MB when it is unpacked"),
    ):
        file.write_bytes(content)
        with pytest.raises(InputError, match=why):
            production(site, file)
    book(file)
    with pytest.raises(InputError, match="0 sheets hold something"):
        production(site, file)
    text = site.folder / "p.csv"
    text.write_text("a\n1\n", encoding="utf-8")
    with pytest.raises(InputError, match="no workbook, so it has no sheet 'x'"):
        production(site, text, sheet="x")
