"""The tables: declared once, whole, and their JSON schema fits what they hold."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import jsonschema
import polars as pl
import pytest

from config.tables import TABLES, Table, month_of

ALL = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
EXAMPLES: dict[str, Any] = {
    "string": "x",
    "float": 1.5,
    "int": 2,
    "time": "2026-10-05T05:00:00+00:00",
}


def test_tables_were_found() -> None:
    assert {"readings", "intervals", "consumption", "indicators", "findings"} <= set(TABLES)


@ALL
def test_columns_are_described_once(table: Table) -> None:
    assert len(set(table.names)) == len(table.names)
    assert set(table.key) <= set(table.names)
    assert table.column(table.time_column).type == "time"
    assert table.names[0] == "plant_id"
    assert not [key for key in table.key if table.column(key).nullable]
    for column in table.columns:
        assert column.en
        assert column.zh
        assert (column.unit != "") == (column.type in ("float", "time"))


@ALL
def test_polars_schema(table: Table) -> None:
    assert tuple(table.polars_schema()) == table.names
    assert table.polars_schema()[table.time_column] == pl.Datetime("us", "UTC")


@ALL
def test_json_schema(table: Table) -> None:
    schema = table.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    row = {column.name: EXAMPLES[column.type] for column in table.columns}
    empty = {column.name: None for column in table.columns if column.nullable}
    assert validator.is_valid([])
    assert validator.is_valid([row, row | empty])
    assert not validator.is_valid([row | {"another": 1}])
    for column in table.columns:
        assert not validator.is_valid([{k: v for k, v in row.items() if k != column.name}])
        assert not validator.is_valid([row | {column.name: []}])
        assert validator.is_valid([row | {column.name: None}]) == column.nullable


def test_month_is_that_of_the_utc_time() -> None:
    assert month_of(datetime(2026, 10, 5, tzinfo=UTC)) == "2026-10"
