"""Merge the many small files that a flush every few seconds leaves behind.

A merge changes no row, and its commit says so (``dataChange: false``): whoever follows the table
passes it over.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from deltalake import CommitProperties, DeltaTable, WriterProperties
from deltalake.exceptions import CommitFailedError

from config.tables import Table, month_of
from storage.commits import commit_actions
from storage.datafiles import (
    COMPRESSION_LEVEL,
    DataFile,
    data_files,
    rows_of,
    write_file,
)
from storage.durable import sync_commits
from storage.frames import MONTH

_MANY_FILES = 8
"""A partition with fewer files is left alone; late readings of a past month add a few."""
_SORT_ROWS = 10_000_000
"""Most rows that are sorted, about 1.5 GB in memory; larger partitions are merged as they lie."""
_TARGET_BYTES = 128 * 1024 * 1024
_SETTLED_AFTER = timedelta(days=10)
"""So long after a month's end its days are rewritten now and then; later, hardly ever."""


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
    files: list[DataFile]

    @property
    def is_settled(self) -> bool:
        return self.month < month_of(datetime.now(UTC) - _SETTLED_AFTER)

    @property
    def surplus(self) -> int:
        """Files that a merge is for: in a month that goes on, one file for each day may stay."""
        if self.is_settled:
            return len(self.files)
        return len(self.files) - len({f.one_day for f in self.files} - {None})


def compact(table: Table, folder: Path) -> Compacted:
    """Merge partitions of many files, checkpoint the log, delete what is past its retention.

    Settled months are sorted by the table's key: one meter's rows then lie together, which makes
    files smaller and reads of one meter shorter. A table that somebody else writes at the same
    time is left for the next compaction. Raises DeltaError and OSError.
    """
    delta = DeltaTable(folder)
    before = len(delta.file_uris())
    merged = 0
    for partition in _partitions(table, delta):
        if partition.surplus < _MANY_FILES:
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
    if partition.is_settled and sum(file.rows for file in partition.files) <= _SORT_ROWS:
        # Read and written against one version: rows that come in between make the commit fail.
        current = next(p for p in _partitions(table, delta) if p[:2] == partition[:2])
        paths = [folder / unquote(file.path) for file in current.files]
        rows = rows_of(table, current.plant_id, paths).collect().sort(table.key)
        parts = 1 + sum(file.size for file in current.files) // _TARGET_BYTES
        new = [
            write_file(table, folder, part, current.month, data_change=False)
            for part in rows.iter_slices(max(1, -(-rows.height // parts)))
        ]
        old = [file.removal(data_change=False) for file in current.files]
        commit_actions(folder, delta, [*new, *old])
        return
    before = delta.version()
    delta.optimize.compact(
        partition_filters=[("plant_id", "=", partition.plant_id), (MONTH, "=", partition.month)],
        target_size=_TARGET_BYTES,
        writer_properties=WriterProperties(compression="ZSTD", compression_level=COMPRESSION_LEVEL),
        commit_properties=CommitProperties(max_commit_retries=0),
    )
    sync_commits(folder, range(before + 1, delta.version() + 1))


def _partitions(table: Table, delta: DeltaTable) -> list[_Partition]:
    def place(file: DataFile) -> tuple[str, str]:
        return file.plant_id, file.month

    files = sorted(data_files(table, delta), key=place)
    return [_Partition(*where, list(group)) for where, group in groupby(files, place)]
