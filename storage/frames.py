"""Frames on their way into the lake: checked against the declared table, with their month."""

from __future__ import annotations

import polars as pl

from config.errors import StorageError
from config.tables import Table

MONTH = "month"
"""The partition column: the UTC month of the table's time column, such as ``2026-10``."""


class FrameRefused(StorageError):
    """A frame whose content does not fit its table; writing it again cannot help."""


def checked(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with its columns in the declared order. Raises FrameRefused naming the column."""
    schema = table.polars_schema()
    missing = [name for name in table.names if name not in frame.columns]
    unknown = [name for name in frame.columns if name not in schema]
    if missing or unknown:
        raise _refused(
            table,
            f"columns missing: {', '.join(missing) or 'none'}; unknown: "
            f"{', '.join(unknown) or 'none'}",
            f"exactly {', '.join(table.names)}",
        )
    for column in table.columns:
        found, declared = frame.schema[column.name], schema[column.name]
        if found != declared:
            raise _refused(table, f"column {column.name} has type {found}", f"{declared}")
        if not column.nullable and (empty := frame[column.name].null_count()):
            raise _refused(
                table, f"column {column.name} is empty in {empty} rows", "a value in every row"
            )
    return frame.select(table.names)


def with_month(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """A checked frame with its partition column. Raises FrameRefused for years outside 1-9999."""
    time = frame[table.time_column]
    if frame.is_empty():
        return frame.with_columns(pl.lit(None, pl.String).alias(MONTH))
    years = time.dt.year()
    if not years.is_between(1, 9999).all():
        raise _refused(
            table,
            f"column {table.time_column} has years {years.min()!r} to {years.max()!r}",
            "years 1 to 9999",
        )
    return frame.with_columns(time.dt.strftime("%Y-%m").alias(MONTH))


def stored_schema(table: Table) -> pl.Schema:
    """The columns of a data file: those of the table without its partition columns."""
    schema = table.polars_schema()
    del schema["plant_id"]
    return schema


def delta_schema(table: Table) -> pl.DataFrame:
    """An empty frame with the columns of the Delta table, the partition column last."""
    return with_month(table, pl.DataFrame(schema=table.polars_schema()))


def _refused(table: Table, given: str, allowed: str) -> FrameRefused:
    return FrameRefused(
        f"table {table.name}: {given}",
        allowed=allowed,
        data="nothing was written",
        todo="correct what makes the frame; the columns are declared in config/tables.py",
    )
