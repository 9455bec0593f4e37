"""SQL over a snapshot of the lake."""

from __future__ import annotations

import polars as pl

from config.errors import InputError
from config.tables import TABLES
from storage.lake import Lake
from storage.snapshot import connect


def ask(lake: Lake, query: str) -> pl.DataFrame:
    """The answer to a DuckDB query. Raises InputError where DuckDB refuses it."""
    import duckdb

    with connect(lake) as connection:
        try:
            answer: pl.DataFrame = connection.sql(query).pl()
        except (duckdb.Error, AttributeError) as error:
            # A statement that answers nothing, such as SET, has no relation to fetch.
            raise InputError(
                f"SQL: {str(error).splitlines()[0]}",
                allowed="one query; tables: " + ", ".join(TABLES),
                todo="docs/tables.md has every column",
            ) from error
    return answer
