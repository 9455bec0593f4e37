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
            relation = connection.sql(query)
            answer: pl.DataFrame | None = relation.pl() if relation is not None else None
        except (duckdb.Error, pl.exceptions.PolarsError) as error:
            raise _refusal(str(error).splitlines()[0]) from error
    if answer is None:
        raise _refusal("the statement answers nothing")
    return answer


def _refusal(why: str) -> InputError:
    return InputError(
        f"SQL: {why}",
        allowed="one query; tables: " + ", ".join(TABLES),
        todo="docs/tables.md has every column",
    )
