"""SQL over the lake as it stands: an in-memory DuckDB with one view for each table."""

from __future__ import annotations

import duckdb

from config.tables import TABLES, Column, Table
from storage.frames import MONTH
from storage.lake import Lake

_SQL_TYPES = {
    "string": "VARCHAR",
    "float": "DOUBLE",
    "int": "BIGINT",
    "time": "TIMESTAMP WITH TIME ZONE",
}


def connect(lake: Lake) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection with a view for every declared table, as of now.

    The views name the files of the latest versions, so that later writes do not show; connect
    again to see them. They have the declared columns and ``month``; tables that do not exist yet
    are empty. Times are shown in UTC. Nothing is loaded from the network. Raises StorageError.
    """
    connection = duckdb.connect(
        ":memory:",
        config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"},
    )
    connection.execute("SET TimeZone = 'UTC'")
    for table in TABLES.values():
        connection.execute(_view(table, [str(file) for file in lake.files(table)]))
    return connection


def _view(table: Table, files: list[str]) -> str:
    columns = (*table.columns, Column(MONTH, "string", "", "UTC month", "月份（UTC）"))
    declared = ", ".join(f"NULL::{_SQL_TYPES[c.type]} AS {_name(c.name)}" for c in columns)
    empty = f"SELECT {declared} WHERE false"
    if not files:
        return f"CREATE VIEW {_name(table.name)} AS {empty}"
    names = ", ".join(_name(column.name) for column in columns)
    listed = ", ".join(_text(file) for file in files)
    # By name: a file, or all of them, may be older than a column of the declared table.
    return (
        f"CREATE VIEW {_name(table.name)} AS SELECT {names} FROM (SELECT * FROM "
        f"read_parquet([{listed}], hive_partitioning = true, hive_types_autocast = false, "
        f"union_by_name = true) UNION ALL BY NAME {empty})"
    )


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
