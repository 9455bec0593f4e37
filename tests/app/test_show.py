"""`kgce show` and `kgce sql`: figures, their formats and languages, and the time they cover."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import polars as pl
import pytest

from config.sheets import SHEETS
from config.tables import TABLES
from tests.app.commands import Ended, done, inside
from tests.app.works import CLINKER_KGCE_PER_T, COAL_T, KGCE_PER_KWH, QUARTERS, STEPS, write_works

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"
WITH_SCHEMA = (
    "indicators", "consumption", "findings", "intervals", "losses", "meter_periods", "balances",
)  # fmt: skip


Shown = Callable[..., Ended]


def good(*arguments: str | Path, **settings: Any) -> Ended:
    ended = inside(*arguments, **settings)
    assert ended.code == 0, ended
    return ended


@pytest.fixture
def shown(september: Path) -> Shown:
    """`kgce show` of the works; must end well."""
    return lambda *arguments: good("show", *arguments, "-p", september)


def figure(records: list[dict[str, Any]], **which: str) -> dict[str, Any]:
    (found,) = (r for r in records if all(r[key] == value for key, value in which.items()))
    return found


@pytest.mark.parametrize("what", WITH_SCHEMA)
def test_json_keeps_to_its_schema(september: Path, what: str) -> None:
    schema = json.loads((SCHEMAS / f"{what}.schema.json").read_text(encoding="utf-8"))
    ended = done("show", what, "--format", "json", "-p", september)
    jsonschema.validate(
        ended.records(), schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    if what != "findings":
        assert ended.records()
        assert ended.err == ""
    for record in ended.records():
        assert tuple(record) == TABLES[what].names
        assert all(math.isfinite(v) for v in record.values() if isinstance(v, float))


def test_the_schemas_are_of_these_tables() -> None:
    tables = {f.name.split(".")[0] for f in SCHEMAS.glob("*.json")} - SHEETS.keys()
    assert tables == {*WITH_SCHEMA, "rubric-document"}


@pytest.mark.parametrize("what", sorted(TABLES))
def test_every_table_is_shown_in_every_format(two_days: Path, what: str, tmp_path: Path) -> None:
    """JSON, CSV and Parquet hold the same rows under the same names, each in full."""
    show = ("show", what, "-p", two_days)
    records = good(*show, "--format", "json").records()
    csv_rows = good(*show, "--format", "csv").csv_rows()
    to_file = good(*show, "--format", "parquet", "-o", tmp_path / "rows.parquet")
    assert to_file.out == ""
    frame = pl.read_parquet(tmp_path / "rows.parquet")
    assert frame.schema == TABLES[what].polars_schema()
    assert frame.height == len(records) == len(csv_rows)
    assert [as_json(row) for row in frame.iter_rows(named=True)] == records
    assert [as_csv(record) for record in records] == [dict(row) for row in csv_rows]
    table = good(*show).out
    assert len(table.splitlines()) >= 2 + frame.height


def as_json(row: dict[str, Any]) -> dict[str, Any]:
    return {k: _stamp(v) if isinstance(v, datetime) else v for k, v in row.items()}


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def as_csv(record: dict[str, Any]) -> dict[str, str]:
    return {k: "" if v is None else str(v) for k, v in record.items()}


def test_output_goes_into_a_file(september: Path, tmp_path: Path) -> None:
    show = ("show", "consumption", "-p", september, "--format")
    for form in ("json", "csv", "table"):
        on_screen = good(*show, form)
        in_file = good(*show, form, "-o", tmp_path / form)
        assert in_file.out == ""
        assert (tmp_path / form).read_text(encoding="utf-8") == on_screen.out
    refused = inside(*show, "json", "-o", tmp_path / "no folder" / "x.json")
    assert (refused.code, refused.out) == (2, "")
    assert "cannot write" in refused.err


def test_parquet_needs_a_file(september: Path) -> None:
    ended = inside("show", "consumption", "-p", september, "--format", "parquet")
    assert (ended.code, ended.out) == (2, "")
    assert "give -o FILE" in ended.err


def test_the_figures(shown: Shown) -> None:
    consumption = shown("consumption", "--format", "json").records()
    kiln = figure(consumption, node_id="kiln", energy_code="electricity", period="2025-09")
    assert kiln["amount"] == pytest.approx(QUARTERS * STEPS["e-kiln"], rel=1e-12)
    assert kiln["kgce_calorific"] == pytest.approx(kiln["amount"] * KGCE_PER_KWH, rel=1e-12)
    assert (kiln["coverage_ratio"], kiln["status"]) == (1.0, "complete")
    coal = figure(consumption, node_id="works", energy_code="raw_coal")
    assert (coal["amount"], coal["unit"]) == (COAL_T * 1000, "kg")
    indicators = shown("indicators", "--format", "json").records()
    clinker = figure(indicators, subject="clinker", indicator="unit_product_energy")
    assert clinker["value"] == pytest.approx(CLINKER_KGCE_PER_T, rel=1e-12)
    assert clinker["low"] == pytest.approx(CLINKER_KGCE_PER_T, rel=1e-12)
    assert (clinker["unit"], clinker["level_reached"]) == ("kgce/t", 1)


def test_the_screen_speaks_chinese(september: Path) -> None:
    show = ("show", "indicators", "-p", september)
    chinese = good(*show, "--lang", "zh").out
    for word in ("期间", "指标值", "单位产品综合能耗", "数据完整率", "完整"):
        assert word in chinese
    assert good(*show, env={"LANG": "zh_CN.UTF-8"}).out == chinese
    english = good(*show, "--lang", "en", env={"LANG": "zh_CN.UTF-8"}).out
    assert "unit_product_energy" in english
    assert "期间" not in english
    # Data are the same in every language.
    as_data = ("--format", "json")
    assert good(*show, *as_data, "--lang", "zh").out == good(*show, *as_data).out


@pytest.mark.parametrize(
    ("by", "start", "end", "periods"),
    [
        ("day", "2025-09-03", "2025-09-05", ["2025-09-03", "2025-09-04", "2025-09-05"]),
        ("day", "2025-09-29", None, ["2025-09-29", "2025-09-30"]),
        ("month", None, "2025-09-30", ["2025-09"]),
        ("year", None, None, ["2025"]),
        (
            "hour",
            "2025-09-03T05:00",
            "2025-09-03T07:00",
            ["2025-09-03T05:00+08:00", "2025-09-03T06:00+08:00"],
        ),
        ("15min", "2025-09-30T23:45", None, ["2025-09-30T23:45+08:00"]),
    ],
)
def test_periods_from_to(
    shown: Shown, by: str, start: str | None, end: str | None, periods: list[str]
) -> None:
    """--to a day includes the day; a time is that time. Both are in the plant's time."""
    bounds = [*(("--from", start) if start else ()), *(("--to", end) if end else ())]
    records = shown(
        "consumption", "--by", by, *bounds, "--only", "kiln", "--format", "json"
    ).records()
    power = [r for r in records if r["energy_code"] == "electricity"]
    assert [r["period"] for r in power] == periods
    assert {r["grain"] for r in power} == {by}
    assert {r["node_id"] for r in records} == {"kiln"}


def test_a_bound_with_an_offset(shown: Shown) -> None:
    records = shown(
        "intervals", "--from", "2025-09-02T22:00Z", "--to", "2025-09-02T22:15Z",
        "--only", "e-kiln", "--format", "json",
    ).records()  # fmt: skip
    assert [r["interval_start_utc"] for r in records] == ["2025-09-02T22:00:00Z"]
    assert records[0]["measured"] == STEPS["e-kiln"]


def test_only_one_subject(shown: Shown) -> None:
    for what, subject, column in (
        ("consumption", "raw_coal", "energy_code"),
        ("consumption", "mill", "node_id"),
        ("indicators", "cement", "subject"),
        ("readings", "e-mill", "meter_id"),
    ):
        records = shown(what, "--only", subject, "--format", "json").records()
        assert records
        assert {r[column] for r in records} == {subject}


def test_required_coverage_goes_before_the_plants(shown: Shown) -> None:
    """The year is metered for one month of nine: refused, but shown to who asks for it."""
    year = ("consumption", "--by", "year", "--only", "electricity", "--format", "json")
    refused = figure(shown(*year).records(), node_id="kiln")
    assert (refused["amount"], refused["status"]) == (None, "refused")
    assert refused["low"] == QUARTERS * STEPS["e-kiln"]
    asked = figure(shown(*year, "--required-coverage", "0.05").records(), node_id="kiln")
    assert asked["amount"] == pytest.approx(QUARTERS * STEPS["e-kiln"], rel=1e-12)
    assert asked["status"] == "partial"
    assert asked["coverage_ratio"] == refused["coverage_ratio"] == pytest.approx(30 / 273)


def test_nothing_to_show_is_said_beside_the_data(tmp_path: Path) -> None:
    plant = write_works(tmp_path)
    for form, nothing in (("json", "[]\n"), ("csv", ",".join(TABLES["gaps"].names) + "\n")):
        ended = good("show", "gaps", "--format", form, "-p", plant)
        assert ended.out == nothing
        assert "no rows" in ended.err
    assert sorted(file.name for file in tmp_path.iterdir()) == ["meters.csv", "plant.yaml"]


def test_sql_over_every_table(september: Path) -> None:
    query = (
        "SELECT node_id, sum(amount) AS kwh FROM consumption "
        "WHERE grain = 'day' AND energy_code = 'electricity' GROUP BY node_id ORDER BY node_id"
    )
    sql = ("sql", query, "-p", september, "--format")
    records = good(*sql, "json").records()
    assert [r["node_id"] for r in records] == ["kiln", "mill", "works"]
    assert records[0]["kwh"] == pytest.approx(QUARTERS * STEPS["e-kiln"], rel=1e-9)
    assert len(good(*sql, "csv").csv_rows()) == 3
    tables = " UNION ALL ".join(f"SELECT '{name}', count(*) FROM {name}" for name in TABLES)
    assert len(good("sql", tables, "-p", september, "--format", "csv").csv_rows()) == len(TABLES)


def test_sql_answers_of_every_type(september: Path) -> None:
    query = (
        "SELECT 1.5 AS decimal, DATE '2025-09-01' AS day, TIME '06:00' AS time, "
        "[1, 2] AS list, {'a': 1} AS struct, true AS flag, "
        "NULL AS nothing, TIMESTAMP '2025-09-01 06:00' AS local, sum(1) AS huge"
    )
    (record,) = good("sql", query, "-p", september, "--format", "json").records()
    assert (record["decimal"], record["day"], record["nothing"]) == (1.5, "2025-09-01", None)
    assert len(good("sql", query, "-p", september, "--format", "csv").csv_rows()) == 1
    good("sql", query, "-p", september)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("SELECT nosuch FROM readings", "nosuch"),
        ("SELECT * FROM no_table", "no_table"),
        ("SELEC", "syntax error"),
        ("", "the statement answers nothing"),
        ("SELECT INTERVAL 1 HOUR", "interval"),
        ("DROP TABLE readings", "readings"),
        ("DELETE FROM readings", "readings"),
    ],
)
def test_sql_that_is_refused(september: Path, query: str, says: str) -> None:
    ended = inside("sql", query, "-p", september)
    assert (ended.code, ended.out) == (2, "")
    assert "kgce: SQL: " in ended.err
    assert says in ended.err
    assert "tables: readings, intervals" in ended.err
