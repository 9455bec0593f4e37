"""Typed entries, corrections with their reason, and stocks that must follow on each other."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from openpyxl import Workbook

from app import jobs
from app.imports import Imported, enter, import_file
from app.options import Kind
from app.sites import load_site
from config.book_tables import METER_PERIODS
from config.errors import InputError
from config.tables import (
    CONSUMPTION,
    FINDINGS,
    GAPS,
    INDICATORS,
    INTERVALS,
    OUTPUTS,
    STATEMENTS,
    Table,
)
from tests.app.commands import inside
from tests.app.works import counts, write_readings, write_text, write_works

NOW = datetime(2025, 12, 1, tzinfo=UTC)
SHIFTS = {"day": {"start": "08:00", "end": "20:00"}, "night": {"start": "20:00", "end": "08:00"}}
PRODUCTION = "product_id,month,qualified_quantity\n"
STATED = "meter_id,month,opening_stock,purchased,closing_stock,sold\n"


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    return write_works(tmp_path, shifts=SHIFTS)


def stored(plant: Path, table: Table = OUTPUTS) -> pl.DataFrame:
    site = load_site(plant)
    return jobs.open_lake(site).scan(table, site.id).collect().sort("start_utc", "entered_utc")


def entered(plant: Path, *arguments: str) -> Any:
    return inside("enter", *arguments, "--no-refresh", "-p", plant)


def take(plant: Path, kind: Kind, text: str, name: str = "file.csv", **settings: Any) -> Imported:
    site = load_site(plant)
    file = write_text(plant.parent / name, text)
    return import_file(site, jobs.open_lake(site), kind, file, now=NOW, **settings)


def test_a_night_shift_is_entered(plant: Path) -> None:
    ended = entered(
        plant, "production", "clinker", "--date", "2025-10-31", "--shift", "night",
        "--quantity", "120500", "--unit", "kg", "--value-cny", "30000", "--by-whom", "王工",
    )  # fmt: skip
    assert (ended.code, ended.out) == (0, "")
    assert ended.err == (
        "120500 kg is 120.5 t\n"
        "stored: clinker 2025-10-31 20:00 to 2025-11-01 08:00: qualified_quantity 120.5, "
        "output_value_cny 30000 [t] (shift night), by 王工\n"
        "spread evenly over its time; it enters the figures of day 2025-10-31 to 2025-11-01, "
        "month 2025-10 to 2025-11, year 2025\n"
    )
    (row,) = stored(plant).to_dicts()
    assert (row["qualified_quantity"], row["unit"], row["shift"]) == (120.5, "t", "night")
    assert (row["start_utc"], row["end_utc"]) == (
        datetime(2025, 10, 31, 12, tzinfo=UTC),
        datetime(2025, 11, 1, 0, tzinfo=UTC),
    )
    assert (row["source"], row["entered_by"], row["reason"]) == ("typed", "王工", None)


def test_a_correction_needs_a_reason_and_the_old_row_stays(plant: Path) -> None:
    typed = ("production", "clinker", "--month", "2025-09", "--quantity")
    assert entered(plant, *typed, "5000", "--by-whom", "li").code == 0
    ended = entered(plant, *typed, "4900")
    assert ended.code == 2
    assert "entered before by li on " in ended.err
    assert "; state why it is corrected\n  data: nothing was entered" in ended.err
    assert entered(plant, *typed, "5000").err == (
        "known already: it was entered before, and changes nothing\n"
    )
    ended = entered(plant, *typed, "4900", "--reason", "weighbridge recalibrated")
    assert ended.code == 0
    assert (
        "corrected: clinker 2025-09-01 to 2025-09-30: qualified_quantity 5000 -> 4900 [t]; "
        "entered before by li on " in ended.err
    )
    assert "because: weighbridge recalibrated" in ended.err
    rows = stored(plant)
    assert rows["qualified_quantity"].to_list() == [5000, 4900]
    assert rows["reason"].to_list() == [None, "weighbridge recalibrated"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("slag", "--month", "2025-09", "--quantity", "1"), "unknown product 'slag'"),
        (("cement", "--month", "2025-09", "--quantity", "1"), "the output of cement is metered"),
        (("clinker", "--quantity", "1"), "it states no time"),
        (("clinker", "--date", "2025-09-01", "--quantity=-1"), "qualified_quantity -1 is negative"),
        (("clinker", "--date", "2025-09-01", "--quantity", "nan"), "'nan', not a number"),
        (("clinker", "--date", "2125-09-01", "--quantity", "1"), "is in the future"),
        (("clinker", "--date", "2025-09-01", "--quantity", "1", "--unit", "m3"),
         "'m3' (volume) does not convert to 't' (mass); allowed: g, kg, t"),
    ],
)  # fmt: skip
def test_what_cannot_be_entered(plant: Path, arguments: tuple[str, ...], why: str) -> None:
    ended = entered(plant, "production", *arguments)
    assert ended.code == 2
    assert why in ended.err
    assert stored(plant).is_empty()


def test_an_entry_is_refreshed_into_the_figures(plant: Path) -> None:
    ended = inside(
        "enter", "statement", "c-kiln", "--month", "2025-09", "--opening", "100", "--purchased",
        "500", "--closing", "50", "--sold", "10", "--unit", "t", "-p", plant,
    )  # fmt: skip
    assert ended.code == 0
    assert "consumed 540000 [kg], by " in ended.err
    shown = inside("show", "consumption", "--only", "raw_coal", "--format", "json", "-p", plant)
    assert {row["amount"] for row in shown.records() if row["grain"] == "month"} == {540_000.0}


def test_a_file_that_comes_again_with_one_number_changed(plant: Path) -> None:
    first = f"{PRODUCTION}clinker,2025-09,5000\nclinker,2025-10,5100\n"
    assert take(plant, Kind.production, first).taken == 2
    again = take(plant, Kind.production, first.replace("5000", "4950"))
    assert (again.taken, again.known) == (1, 1)
    (change,) = again.corrected
    assert change.startswith(
        "clinker 2025-09-01 to 2025-09-30: qualified_quantity 5000 -> 4950 [t]"
    )
    file = plant.parent / "file.csv"
    file.write_text(first.replace("5000", "4960"), encoding="utf-8")
    ended = inside("import", "production", file, "-p", plant, "--no-refresh", "--reason", "audit")
    assert ended.code == 0
    assert "1 rows taken, 1 known already, 0 refused\ncorrected 1 rows:\n  clinker" in ended.err
    assert "4950 -> 4960" in ended.err
    assert stored(plant)["reason"].to_list() == [None, "file.csv says otherwise", "audit", None]


def test_a_correction_counts_also_when_the_clock_was_set_back(plant: Path) -> None:
    text = f"{PRODUCTION}clinker,2025-09,5000\n"
    take(plant, Kind.production, text)
    site = load_site(plant)
    cells = {"product_id": "clinker", "month": "2025-09", "qualified_quantity": "1"}
    enter(site, Kind.production, cells, reason="x", now=NOW - timedelta(days=9))
    rows = stored(plant)
    assert rows["qualified_quantity"].to_list() == [5000, 1]
    assert rows["entered_utc"][1] > rows["entered_utc"][0]


def test_stock_that_vanishes_is_refused_without_a_reason(plant: Path) -> None:
    sept = f"{STATED}c-kiln,2025-09,100,500,50,10\n"
    take(plant, Kind.statements, sept)
    october = f"{STATED}c-kiln,2025-10,45,500,60,0\n"
    with pytest.raises(InputError, match="2: opening stock 45000 kg is not the closing") as why:
        take(plant, Kind.statements, october, "october.csv")
    assert "stock 50000 of the statement before (2025-09-01 to 2025-09-30)" in str(why.value)
    assert "correct it, or state the reason, such as a stocktake" in str(why.value)
    taken = take(plant, Kind.statements, october, "october.csv", partial=True)
    assert (taken.taken, taken.refused) == (0, 1)
    assert take(plant, Kind.statements, october, "october.csv", reason="stocktake").taken == 1
    assert stored(plant, STATEMENTS)["reason"].to_list() == [None, "stocktake"]


def test_a_correction_must_fit_the_next_statement_too(plant: Path) -> None:
    both = f"{STATED}c-kiln,2025-09,100,500,50,10\nc-kiln,2025-10,50,500,60,0\n"
    take(plant, Kind.statements, both)
    september = f"{STATED}c-kiln,2025-09,100,500,40,10\n"
    with pytest.raises(InputError, match="closing stock 40000 kg is not the opening stock 50000"):
        take(plant, Kind.statements, september, "september.csv")
    changed = both.replace(",50,10", ",40,10").replace("10,50,500", "10,40,500")
    taken = take(plant, Kind.statements, changed)
    assert (taken.taken, len(taken.corrected)) == (2, 2)
    assert take(plant, Kind.statements, changed).known == 2


def test_a_reason_can_stand_in_the_row(plant: Path) -> None:
    text = (
        "meter_id,month,opening_stock,purchased,closing_stock,sold,reason\n"
        "c-kiln,2025-09,100,500,50,10,\n"
        "c-kiln,2025-10,45,500,60,0,盘亏\n"
        "c-kiln,2025-11,55,500,60,0,\n"
    )
    taken = take(plant, Kind.statements, text, partial=True)
    assert (taken.taken, taken.refused) == (2, 1)
    assert stored(plant, STATEMENTS)["reason"].to_list() == [None, "盘亏"]


def test_stocks_of_months_that_do_not_meet_are_not_compared(plant: Path) -> None:
    text = f"{STATED}c-kiln,2025-08,100,500,50,10\nc-kiln,2025-10,7,500,60,0\n"
    assert take(plant, Kind.statements, text).taken == 2


def test_a_workbook_by_the_command(plant: Path) -> None:
    workbook = Workbook()
    page = workbook.active
    page.title = "十月"
    for row in (
        ["十月产量"],
        ["产品", "日期", "班次", "产量", "单位", "批次"],
        ["clinker", date(2025, 10, 1), "day", 50000, "kg", "B1"],
        ["clinker", date(2025, 10, 1), "night", "#N/A", "t", None],
    ):
        page.append(row)
    page["D4"].data_type = "e"
    workbook.create_sheet("说明").append(["text"])
    file = plant.parent / "十月.xlsx"
    workbook.save(file)
    ended = inside("import", "production", file, "-p", plant)
    assert ended.code == 2
    assert "2 sheets hold something" in ended.err
    arguments = ("import", "production", file, "-p", plant, "--sheet", "十月", "--no-refresh")
    ended = inside(*arguments)
    assert ended.code == 2
    assert f"{file}, sheet '十月', row 4: cell D4 holds #N/A" in ended.err
    ended = inside(*arguments, "--partial")
    assert ended.code == 1
    assert "converted 1 rows:\n  row 3: 50000 kg is 50 t\n" in ended.err
    (row,) = stored(plant).to_dicts()
    assert (row["qualified_quantity"], row["shift"], row["batch"]) == (50, "day", "B1")


def test_a_lake_made_before_the_columns_is_read_and_goes_on(plant: Path) -> None:
    """Rows that an earlier version stored have no shift, batch, reason and withdrawal."""
    new = ("shift", "batch", "reason", "withdrawn")
    site = load_site(plant)
    lake = jobs.open_lake(site)
    take(plant, Kind.production, f"{PRODUCTION}clinker,2025-09,5000\n")
    old = Table(
        OUTPUTS.name, OUTPUTS.time_column, OUTPUTS.key,
        tuple(c for c in OUTPUTS.columns if c.name not in new),
    )  # fmt: skip
    rows = stored(plant).select(old.names)
    other = write_works(plant.parent / "other", shifts=SHIFTS)
    lake = jobs.open_lake(load_site(other))
    lake.append(old, rows)
    assert stored(other).select(new).rows() == [(None,) * len(new)]
    again = take(other, Kind.production, f"{PRODUCTION}clinker,2025-09,4000\n")
    assert len(again.corrected) == 1
    assert stored(other)["reason"].to_list() == [None, "file.csv says otherwise"]


def figures(plant: Path) -> dict[str, pl.DataFrame]:
    """Every table of figures, but for what they say of how they were made."""
    site = load_site(plant)
    lake = jobs.open_lake(site)
    tables = (INTERVALS, GAPS, METER_PERIODS, CONSUMPTION, INDICATORS, FINDINGS)
    made = {table.name: lake.scan(table, site.id).collect().sort(table.key) for table in tables}
    return {name: frame.drop("provenance", strict=False) for name, frame in made.items()}


def assert_same_figures(plant: Path, other: Path) -> None:
    there = figures(other)
    for name, frame in figures(plant).items():
        assert frame.equals(there[name]), name


def command(plant: Path, *arguments: str) -> str:
    ended = inside("enter", *arguments, "-p", plant)
    assert ended.code == 0, ended.err
    return ended.err


WRONG = {
    "production": (("clinker", "--date", "2025-09-02"), ("--quantity", "500")),
    "statement": (
        ("c-kiln", "--start", "2025-09-01", "--end", "2025-09-02"),
        ("--opening", "100", "--purchased", "50", "--closing", "90"),
    ),
}
RIGHT = {
    "production": (("clinker", "--start", "2025-09-02", "--end", "2025-09-03"), ("--quantity=9",)),
    "statement": (
        ("c-kiln", "--date", "2025-09-02"),
        ("--opening", "80", "--purchased", "5", "--closing", "60"),
    ),
}


@pytest.mark.parametrize(
    ("kind", "read"), [("production", True), ("statement", True), ("statement", False)]
)
def test_after_a_withdrawal_it_is_as_if_never_entered(
    tmp_path: Path, kind: str, read: bool
) -> None:
    plants = [write_works(tmp_path / name, shifts=SHIFTS) for name in ("plant", "never")]
    for plant in plants:
        if read:
            write_readings(plant.parent / "scada.csv", counts(0, 3 * 96))
            assert inside("import", "readings", plant.parent / "scada.csv", "-p", plant).code == 0
        else:
            stated = ("--opening", "9", "--purchased", "5", "--closing", "6")
            command(plant, "statement", "c-kiln", "--date", "2025-08-30", *stated)
    plant, never = plants
    before = figures(plant)
    span, amounts = WRONG[kind]
    assert "changed: " in command(plant, kind, *span, *amounts)
    if read:
        name = "consumption" if kind == "statement" else "indicators"
        assert not figures(plant)[name].equals(before[name])
    told = command(plant, "withdraw", kind, *span, "--reason", "wrong dates")
    assert told.startswith(f"withdrawn: {span[0]} 2025-09-0")
    assert_same_figures(plant, never)
    for one in plants:
        span, amounts = RIGHT[kind]
        command(one, kind, *span, *amounts)
    assert_same_figures(plant, never)
    site = load_site(plant)
    jobs.refresh(site, jobs.open_lake(site), force=True)
    assert_same_figures(plant, never)


def test_a_withdrawal_is_a_row_and_the_old_one_stays(plant: Path) -> None:
    entered(plant, "production", "clinker", "--month", "2025-09", "--quantity", "5000")
    withdraw = ("withdraw", "production", "clinker", "--month", "2025-09", "--reason", "typo")
    told = entered(plant, *withdraw, "--by-whom", "li").err
    assert told.startswith(
        "withdrawn: clinker 2025-09-01 to 2025-09-30: qualified_quantity 5000 [t]; entered before"
    )
    assert "\nby li, because: typo\nit no longer enters the figures of day 2025-09-01 to" in told
    first, last = stored(plant).to_dicts()
    assert (first["withdrawn"], first["reason"]) == (None, None)
    assert (last["withdrawn"], last["reason"], last["entered_by"]) == ("yes", "typo", "li")
    assert (last["qualified_quantity"], last["source"]) == (5000, "typed")
    assert last["entered_utc"] > first["entered_utc"]
    again = entered(plant, *withdraw)
    assert (again.code, len(stored(plant))) == (0, 2)
    assert again.err.startswith("known already: withdrawn before by li on ")


def test_what_was_withdrawn_comes_back_only_with_a_reason(plant: Path) -> None:
    typed = ("production", "clinker", "--month", "2025-09", "--quantity", "5000")
    entered(plant, *typed)
    entered(plant, "withdraw", *typed[:4], "--reason", "typo", "--by-whom", "li")
    ended = entered(plant, *typed)
    assert ended.code == 2
    assert "withdrawn before by li on " in ended.err
    ended = entered(plant, *typed, "--reason", "it was right")
    assert "corrected: clinker 2025-09-01 to 2025-09-30: entered again [t]" in ended.err
    assert stored(plant)["withdrawn"].to_list() == [None, "yes", None]


def test_the_same_file_does_not_bring_back_what_was_withdrawn(plant: Path) -> None:
    text = f"{PRODUCTION}clinker,2025-09,5000\n"
    take(plant, Kind.production, text)
    entered(plant, "withdraw", "production", "clinker", "--month=2025-09", "--reason", "typo")
    again = take(plant, Kind.production, text)
    assert (again.taken, again.known) == (0, 1)
    other = take(plant, Kind.production, f"{text}clinker,2025-10,1\n", "other.csv")
    assert (other.taken, len(other.corrected)) == (2, 1)
    assert "; withdrawn before by " in other.corrected[0]


def test_a_withdrawn_stock_binds_nobody(plant: Path) -> None:
    take(plant, Kind.statements, f"{STATED}c-kiln,2025-09,100,500,50,10\n")
    following = ("statement", "c-kiln", "--month", "2025-10", "--opening", "70", "--purchased", "1")
    assert entered(plant, *following, "--closing", "9").code == 2
    entered(plant, "withdraw", "statement", "c-kiln", "--month=2025-09", "--reason", "wrong month")
    assert entered(plant, *following, "--closing", "9").code == 0


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("clinker", "--month", "2025-10"), "nothing is entered of clinker for 2025-10-01 to 2025"),
        (("clinker", "--date", "2025-09-01"), "there are: 2025-09-01 to 2025-09-30"),
        (("slag", "--month", "2025-09"), "none of slag"),
        (("clinker",), "it states no time"),
        (("clinker", "--month", "2025-09", "--reason", " "), "no reason is given"),
    ],
)
def test_what_cannot_be_withdrawn(plant: Path, arguments: tuple[str, ...], why: str) -> None:
    entered(plant, "production", "clinker", "--month", "2025-09", "--quantity", "5000")
    reason = () if "--reason" in arguments else ("--reason", "x")
    ended = entered(plant, "withdraw", "production", *arguments, *reason)
    assert ended.code == 2
    assert why in ended.err
    assert "data: nothing was withdrawn" in ended.err
    assert len(stored(plant)) == 1


def test_the_time_that_has_data_is_that_of_statements_until_readings_come(plant: Path) -> None:
    stated = ("--opening", "9", "--purchased", "5", "--closing", "6")
    command(plant, "statement", "c-kiln", "--date", "2025-08-30", *stated)
    command(plant, "statement", "c-kiln", "--date", "2025-08-28", *stated, "--reason", "late")
    assert len(figures(plant)["consumption"].filter(grain="day", energy_code="raw_coal"))
    for more in (False, True):
        if more:
            write_readings(plant.parent / "scada.csv", counts(0, 96))
            assert inside("import", "readings", plant.parent / "scada.csv", "-p", plant).code == 0
        before = figures(plant)
        site = load_site(plant)
        assert jobs.refresh(site, jobs.open_lake(site), force=True).changed == ()
        assert before["consumption"].height
