"""Merge the many small files that a flush every few seconds leaves behind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import polars as pl
from deltalake import DeltaTable, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError

from config.tables import Table, month_of
from storage.durable import sync_commits
from storage.frames import MONTH, stored_schema

_MANY_FILES = 8
"""A partition with fewer files is left alone; late readings of a past month add a few."""
_SORT_ROWS = 10_000_000
"""Most rows that are sorted, about 1.5 GB in memory; larger partitions are merged as they lie."""
_TARGET_BYTES = 128 * 1024 * 1024


@dataclass(frozen=True)
class Compacted:
    """What a compaction did: partitions merged, files before and after, files deleted."""

    partitions: int
    files_before: int
    files_after: int
    deleted: int


class _Partition(NamedTuple):
    plant_id: str
    month: str
    files: list[Path]
    rows: int

    @property
    def predicate(self) -> str:
        return f"plant_id = '{self.plant_id}' AND {MONTH} = '{self.month}'"


def compact(table: Table, folder: Path) -> Compacted:
    """Merge partitions of many files, checkpoint the log, delete what is past its retention.

    Past months are sorted by the table's key: one meter's rows then lie together, which makes
    files smaller and reads of one meter shorter. A partition that somebody else writes at the
    same time is left for the next compaction. Raises DeltaError and OSError.
    """
    delta = DeltaTable(folder)
    before = len(delta.file_uris())
    merged = 0
    for partition in _partitions(delta, folder):
        if len(partition.files) < _MANY_FILES:
            continue
        try:
            _merge(table, folder, partition)
        except CommitFailedError:
            continue
        merged += 1
    delta = DeltaTable(folder)
    delta.create_checkpoint()
    delta.cleanup_metadata()
    deleted = delta.vacuum(dry_run=True, full=True)
    if deleted:
        delta.vacuum(dry_run=False, full=True)
    return Compacted(merged, before, len(delta.file_uris()), len(deleted))


def _merge(table: Table, folder: Path, partition: _Partition) -> None:
    delta = DeltaTable(folder)
    before = delta.version()
    properties = WriterProperties(compression="ZSTD", compression_level=3)
    if partition.month < month_of(datetime.now(UTC)) and partition.rows <= _SORT_ROWS:
        # Read and written against one version: rows that come in between make the commit fail.
        current = next(p for p in _partitions(delta, folder) if p[:2] == partition[:2])
        rows = pl.read_parquet(
            current.files,
            schema=stored_schema(table),
            glob=False,
            hive_partitioning=False,
            missing_columns="insert",  # of files older than the column
        )
        rows = rows.sort([name for name in table.key if name in rows.columns])
        rows = rows.with_columns(
            pl.lit(partition.plant_id).alias("plant_id"), pl.lit(partition.month).alias(MONTH)
        )
        write_deltalake(
            delta,
            rows,
            mode="overwrite",
            predicate=partition.predicate,
            target_file_size=_TARGET_BYTES,
            writer_properties=properties,
        )
    else:
        delta.optimize.compact(
            partition_filters=[
                ("plant_id", "=", partition.plant_id),
                (MONTH, "=", partition.month),
            ],
            target_size=_TARGET_BYTES,
            writer_properties=properties,
        )
    sync_commits(folder, range(before + 1, delta.version() + 1))


def _partitions(delta: DeltaTable, folder: Path) -> Iterator[_Partition]:
    actions = pl.DataFrame(delta.get_add_actions(flatten=True))
    files: dict[tuple[str, str], list[Path]] = defaultdict(list)
    rows: dict[tuple[str, str], int] = defaultdict(int)
    columns = ("path", "num_records", "partition.plant_id", f"partition.{MONTH}")
    for path, count, plant_id, month in actions.select(columns).iter_rows():
        files[plant_id, month].append(folder / unquote(path))
        rows[plant_id, month] += count or 0
    for (plant_id, month), paths in sorted(files.items()):
        yield _Partition(plant_id, month, paths, rows[plant_id, month])
