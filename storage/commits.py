"""Delta tables opened, made and committed to, each commit on disk before anybody is told.

An overwrite and file actions are committed to the version that was looked at, or not at all. With
its own tries deltalake 1.6.6 takes a compaction that came in between for no conflict, and rows
would be there twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import polars as pl
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction, RemoveAction

from config.tables import Table
from storage.datafiles import COMPRESSION_LEVEL
from storage.durable import set_torn_commit_aside, sync_commits, sync_folder
from storage.frames import MONTH, delta_schema

KEPT_H = 30 * 24
"""Hours for which an older version of a table can be read."""
KEPT_OFTEN_WRITTEN_H = 48
"""The same for tables that are written every few seconds, or by many rows at each refresh."""
# What was in `readings` earlier is told by received_utc; the other two are made from it.
_OFTEN_WRITTEN = ("readings", "intervals", "gaps")


def open_table(folder: Path) -> DeltaTable | None:
    """The latest version; None while there is no table. Raises DeltaError."""
    if not DeltaTable.is_deltatable(str(folder)):
        return None
    try:
        return DeltaTable(folder)
    except DeltaError:
        if set_torn_commit_aside(folder) is None:
            raise
        return open_table(folder)


def open_or_create(table: Table, folder: Path) -> DeltaTable:
    """The latest version, of a table that is made if absent. Raises DeltaError and OSError."""
    if (delta := open_table(folder)) is not None:
        return delta
    kept_h = KEPT_OFTEN_WRITTEN_H if table.name in _OFTEN_WRITTEN else KEPT_H
    created = DeltaTable.create(
        folder,
        delta_schema(table).to_arrow().schema,
        mode="ignore",
        partition_by=["plant_id", MONTH],
        configuration={
            "delta.checkpointInterval": "25",
            "delta.logRetentionDuration": f"interval {kept_h} hours",
            "delta.deletedFileRetentionDuration": f"interval {kept_h} hours",
        },
    )
    sync_commits(folder, [0])
    for parent in (folder.parent, folder.parent.parent):
        sync_folder(parent)
    return created


def commit_rows(
    folder: Path,
    delta: DeltaTable,
    rows: pl.DataFrame,
    mode: Literal["append", "overwrite"],
    predicate: str | None = None,
    app: tuple[str, int] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Append rows, or put them in the place of those that ``predicate``, SQL, is true for.

    Raises CommitFailedError, DeltaError and OSError.
    """
    before = delta.version()
    known = {field.name for field in delta.schema().fields}
    properties: Any = {"mode": mode}
    if predicate is not None:
        properties["predicate"] = predicate
    write_deltalake(
        delta,
        rows,
        **properties,
        # A later kgce may declare more columns than the table was made with.
        schema_mode="merge" if set(rows.columns) - known else None,
        writer_properties=WriterProperties(compression="ZSTD", compression_level=COMPRESSION_LEVEL),
        commit_properties=CommitProperties(
            custom_metadata=dict(metadata) if metadata else None,
            max_commit_retries=0 if mode == "overwrite" else None,
            # Written against the version that was asked for this transaction: of two writers
            # with the same one, the second meets a conflict.
            app_transactions=[Transaction(*app)] if app else None,
        ),
    )
    sync_commits(folder, range(before + 1, delta.version() + 1))


def commit_actions(
    folder: Path,
    delta: DeltaTable,
    actions: list[AddAction | RemoveAction],
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Commit files added and removed. Raises CommitFailedError, DeltaError and OSError."""
    before = delta.version()
    delta.create_write_transaction(
        actions,
        "append",
        delta.schema(),
        partition_by=["plant_id", MONTH],
        commit_properties=CommitProperties(
            custom_metadata=dict(metadata) if metadata else None, max_commit_retries=0
        ),
    )
    sync_commits(folder, range(before + 1, delta.version() + 1))


def add_new_columns(table: Table, folder: Path, delta: DeltaTable) -> None:
    """Let the table have the columns that a later kgce declares, in a commit of their own."""
    if set(table.names) - {field.name for field in delta.schema().fields}:
        commit_rows(folder, delta, delta_schema(table), "append")
