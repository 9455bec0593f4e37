from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from config.tables import READINGS, TABLES, Table
from storage.lake import Lake
from storage.snapshot import connect
from tests.storage.readings import PLANT, hours, readings_frame

NOVEMBER = hours(3, datetime(2026, 11, 1, tzinfo=UTC))


@pytest.fixture
def filled(lake: Lake) -> Lake:
    lake.append(READINGS, readings_frame(hours(3) + NOVEMBER))
    lake.append(READINGS, readings_frame(hours(2), plant="p2"))
    return lake


def test_sql_sees_the_rows_that_polars_sees(filled: Lake) -> None:
    with connect(filled) as sql:
        frame = sql.sql(
            "SELECT * EXCLUDE month FROM readings WHERE plant_id = 'p1' ORDER BY time_utc"
        ).pl()
    assert frame.equals(filled.scan(READINGS, PLANT).collect().sort("time_utc"))
    assert frame.schema == READINGS.polars_schema()


def test_plant_and_month_are_columns(filled: Lake) -> None:
    with connect(filled) as sql:
        counts = sql.execute(
            "SELECT plant_id, month, count(*) FROM readings GROUP BY ALL ORDER BY ALL"
        ).fetchall()
    assert counts == [("p1", "2026-10", 3), ("p1", "2026-11", 3), ("p2", "2026-10", 2)]


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_tables_that_do_not_exist_are_empty_with_their_columns(lake: Lake, table: Table) -> None:
    with connect(lake) as sql:
        frame = sql.sql(f"SELECT * FROM {table.name}").pl()
    assert frame.is_empty()
    assert frame.columns == [*table.names, "month"]
    assert frame.drop("month").schema == table.polars_schema()


def test_replaced_rows_do_not_show(filled: Lake) -> None:
    filled.replace(READINGS, PLANT, readings_frame([]))
    with connect(filled) as sql:
        assert sql.execute("SELECT DISTINCT plant_id FROM readings").fetchall() == [("p2",)]
    filled.replace(READINGS, "p2", readings_frame([]))
    with connect(filled) as sql:
        assert sql.execute("SELECT count(*) FROM readings").fetchall() == [(0,)]


def test_a_snapshot_does_not_move(filled: Lake) -> None:
    with connect(filled) as sql:
        filled.append(READINGS, readings_frame(hours(1), meter="m2"))
        filled.replace(READINGS, "p2", readings_frame([]))
        assert sql.execute("SELECT count(*) FROM readings").fetchall() == [(8,)]


def test_days_are_cut_in_utc_until_told_otherwise(filled: Lake) -> None:
    with connect(filled) as sql:
        first = "SELECT strftime(min(time_utc), '%Y-%m-%d %H:%M') FROM readings"
        assert sql.execute(first).fetchall() == [("2026-10-01 00:00",)]
        sql.execute("SET TimeZone = 'Asia/Shanghai'")
        assert sql.execute(first).fetchall() == [("2026-10-01 08:00",)]


def test_the_path_may_have_any_letters(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "能源 数据 'x' #1")
    lake.append(READINGS, readings_frame(hours(2)))
    with connect(lake) as sql:
        assert sql.execute("SELECT count(*) FROM readings").fetchall() == [(2,)]


def test_nothing_is_fetched_or_loaded_by_itself(lake: Lake) -> None:
    with connect(lake) as sql:
        for setting in ("autoinstall_known_extensions", "autoload_known_extensions"):
            assert sql.execute(f"SELECT current_setting('{setting}')").fetchall() == [(False,)]
        with pytest.raises(duckdb.Error):
            sql.execute("SELECT * FROM read_parquet('https://example.invalid/x.parquet')")
