"""The lake: one Delta table for each table of ``config.tables``, by plant and UTC month.

Every write is one commit. An append can carry an application transaction, by which it is written
exactly once; a replacement that changes nothing makes no new version. Times are UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

import polars as pl
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from config.errors import StorageError
from config.tables import TABLES, Table, month_of
from storage.compaction import Compacted, compact
from storage.durable import set_torn_commit_aside, sync_commits, sync_everything, sync_folder
from storage.frames import MONTH, FrameRefused, checked, delta_schema, stored_schema, with_month
from storage.lock import writer_lock

KEPT_H = 30 * 24
"""Hours for which an older version of a table can be read."""
KEPT_OFTEN_WRITTEN_H = 48
"""The same for tables that are written every few seconds, or a whole month at each refresh."""
# What was in `readings` earlier is told by received_utc; the other two are made from it.
_OFTEN_WRITTEN = ("readings", "intervals", "gaps")

_COMMIT_TRIES = 10
_UNUSABLE = "%[]|^\\"
"""Letters of a path that delta-rs 1.6.6 decodes, or ends in a panic for."""
_STATISTICS_SLACK = timedelta(seconds=1)
"""Delta keeps the least and greatest time of a file to the millisecond only."""

_Result = TypeVar("_Result")


class Lake:
    """The tables under ``path``. Methods raise StorageError when files cannot be read or written.

    Safe for several processes at once: writers that meet try again on the newer version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        if set(_UNUSABLE) & set(str(self.path)):
            raise StorageError(
                f"the lake's path is {self.path}",
                allowed=f"a path without any of {_UNUSABLE}",
                data="nothing was opened",
                todo="set another storage.path in plant.yaml",
            )

    def append(
        self,
        table: Table,
        frame: pl.DataFrame,
        *,
        app: tuple[str, int] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> bool:
        """Add rows in one commit; True once they are on disk.

        ``app`` is (application id, version): False, and nothing written, when the lake has this
        version of that application or a later one. ``metadata`` is kept with the commit. An empty
        frame without ``app`` makes no commit. Raises FrameRefused, a StorageError, for a frame
        that does not fit the table.
        """
        rows = with_month(table, checked(table, frame)).sort(table.key)
        if app is None and rows.is_empty():
            return True

        def write(delta: DeltaTable) -> bool:
            if app is not None and _has_seen(delta, app):
                # Only after a crash: that commit may not have been synced, or may be torn.
                if set_torn_commit_aside(self._folder(table)) is not None:
                    return write(self._open_or_create(table))
                sync_everything()
                return False
            self._commit(table, delta, rows, "append", None, app, metadata)
            return True

        return self._trying(table, write)

    def replace(
        self,
        table: Table,
        plant_id: str,
        frame: pl.DataFrame,
        *,
        months: Collection[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> bool:
        """Put ``frame`` in place of all rows of the plant, or of its ``months``, in one commit.

        Months whose rows stay the same are not written again; when none changes, nothing is
        written and the result is False. Raises FrameRefused for rows of another plant or month.
        """
        rows = with_month(table, checked(table, frame))
        _refuse_strangers(table, rows, plant_id, months)
        if rows.is_empty() and self.version(table) is None:
            return False

        def write(delta: DeltaTable) -> bool:
            scope = set(months) if months is not None else {*rows[MONTH], *_months(delta, plant_id)}
            changed = [m for m in sorted(scope) if not self._same(table, delta, plant_id, rows, m)]
            if not changed:
                return False
            names = ", ".join(_text(month) for month in changed)
            predicate = f"plant_id = {_text(plant_id)} AND {MONTH} IN ({names})"
            new = rows.filter(pl.col(MONTH).is_in(changed)).sort(table.key)
            self._commit(table, delta, new, "overwrite", predicate, None, metadata)
            return True

        return self._trying(table, write)

    def scan(
        self,
        table: Table,
        plant_id: str,
        *,
        from_utc: datetime | None = None,
        to_utc: datetime | None = None,
        version: int | None = None,
    ) -> pl.LazyFrame:
        """The plant's rows with ``from_utc`` <= time < ``to_utc``, as of a version or the latest.

        Columns as declared, in no particular order of rows; empty where there is nothing.
        """
        with self._explained(table):
            delta = self._open(table)
            if delta is None:
                return pl.LazyFrame(schema=table.polars_schema())
            if version is not None:
                delta.load_as_version(version)
            files = _files(delta, _predicate(table, plant_id, from_utc, to_utc))
        rows = _rows_of(table, plant_id, files)
        time = pl.col(table.time_column)
        if from_utc is not None:
            rows = rows.filter(time >= from_utc)
        if to_utc is not None:
            rows = rows.filter(time < to_utc)
        return rows

    def version(self, table: Table) -> int | None:
        """The table's latest version; None while it does not exist."""
        with self._explained(table):
            delta = self._open(table)
            return None if delta is None else delta.version()

    def versions(self) -> dict[str, int]:
        """The latest version of every table that exists, by name."""
        found = {name: self.version(table) for name, table in TABLES.items()}
        return {name: version for name, version in found.items() if version is not None}

    def files(self, table: Table) -> list[Path]:
        """The data files of the latest version; none while the table does not exist."""
        with self._explained(table):
            delta = self._open(table)
            return [] if delta is None else _files(delta, None)

    def transaction_version(self, table: Table, app_id: str) -> int | None:
        """The last version of an application that the table has; None when it has none."""
        with self._explained(table):
            delta = self._open(table)
            return None if delta is None else delta.transaction_version(app_id)

    def compact(self, table: Table) -> Compacted:
        """Merge the table's small files, and delete files superseded long ago.

        Superseded files stay for ``KEPT_H`` hours, those of readings, intervals and gaps for
        ``KEPT_OFTEN_WRITTEN_H``; so long can an older version be read.
        """
        if self.version(table) is None:
            return Compacted(0, 0, 0, 0)
        with self._explained(table):
            return compact(table, self._folder(table))

    def lock(self, timeout_s: float) -> AbstractContextManager[None]:
        """Hold the lake against other kgce processes. Raises StorageBusy after ``timeout_s``."""
        return writer_lock(self.path / ".lock", timeout_s)

    def _folder(self, table: Table) -> Path:
        return self.path / table.name

    def _trying(self, table: Table, write: Callable[[DeltaTable], _Result]) -> _Result:
        """Call ``write`` on the latest version, again when another writer came first."""
        with self._explained(table):
            for left in reversed(range(_COMMIT_TRIES)):
                try:
                    return write(self._open_or_create(table))
                except CommitFailedError:
                    if not left:
                        raise
        raise AssertionError("unreachable: the last try returns or raises")

    def _open(self, table: Table) -> DeltaTable | None:
        folder = self._folder(table)
        if not DeltaTable.is_deltatable(str(folder)):
            return None
        try:
            return DeltaTable(folder)
        except DeltaError:
            if set_torn_commit_aside(folder) is None:
                raise
            return self._open(table)

    def _open_or_create(self, table: Table) -> DeltaTable:
        if (delta := self._open(table)) is not None:
            return delta
        kept_h = KEPT_OFTEN_WRITTEN_H if table.name in _OFTEN_WRITTEN else KEPT_H
        folder = self._folder(table)
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
        for parent in (self.path, self.path.parent):
            sync_folder(parent)
        return created

    def _commit(
        self,
        table: Table,
        delta: DeltaTable,
        rows: pl.DataFrame,
        mode: Any,
        predicate: str | None,
        app: tuple[str, int] | None,
        metadata: Mapping[str, Any] | None,
    ) -> None:
        before = delta.version()
        known = {field.name for field in delta.schema().fields}
        write_deltalake(
            delta,
            rows,
            mode=mode,
            predicate=predicate,
            # A later kgce may declare more columns than the table was made with.
            schema_mode="merge" if set(rows.columns) - known else None,
            writer_properties=WriterProperties(compression="ZSTD", compression_level=3),
            commit_properties=CommitProperties(
                custom_metadata=dict(metadata) if metadata else None,
                # Written against the version that was asked for this transaction: of two writers
                # with the same one, the second meets a conflict.
                app_transactions=[Transaction(*app)] if app else None,
            ),
        )
        sync_commits(self._folder(table), range(before + 1, delta.version() + 1))

    def _same(
        self, table: Table, delta: DeltaTable, plant_id: str, rows: pl.DataFrame, month: str
    ) -> bool:
        """Whether the lake's rows of the month are these, in whatever order."""
        new = rows.filter(pl.col(MONTH) == month).select(table.names)
        files = _files(delta, f"plant_id = {_text(plant_id)} AND {MONTH} = {_text(month)}")
        old = _rows_of(table, plant_id, files).collect()
        if new.height != old.height:
            return False
        order = [*table.key, *(name for name in table.names if name not in table.key)]
        return new.sort(order).equals(old.sort(order))

    @contextmanager
    def _explained(self, table: Table) -> Iterator[None]:
        try:
            yield
        except CommitFailedError as error:
            raise StorageError(
                f"table {table.name} of {self.path}: {_first_line(error)}",
                allowed="a few writers at a time",
                data="nothing was written",
                todo="try again; hold the lake's lock around long writes",
            ) from error
        except (DeltaError, OSError, pl.exceptions.PolarsError) as error:
            raise StorageError(
                f"table {table.name} of {self.path}: {_first_line(error)}",
                allowed="a Delta table in a folder that this user can read and write",
                data="nothing was written",
                todo="check the disk's space and health and the folder's owner",
            ) from error


def _has_seen(delta: DeltaTable, app: tuple[str, int]) -> bool:
    seen = delta.transaction_version(app[0])
    return seen is not None and seen >= app[1]


def _files(delta: DeltaTable, predicate: str | None) -> list[Path]:
    # The library escapes the folder's part of the address, and plant ids and months need none.
    return [Path(unquote(uri)) for uri in delta.file_uris(file_pruning_predicate=predicate)]


def _months(delta: DeltaTable, plant_id: str) -> set[str]:
    partitions = delta.partitions(file_pruning_predicate=f"plant_id = {_text(plant_id)}")
    return {partition[MONTH] for partition in partitions}


def _rows_of(table: Table, plant_id: str, files: list[Path]) -> pl.LazyFrame:
    """Rows of data files, which lack their partition columns."""
    if not files:
        return pl.LazyFrame(schema=table.polars_schema())
    # As fast as scan_delta, and it reads files older than a column of the declared schema.
    rows = pl.scan_parquet(
        files,
        schema=stored_schema(table),
        glob=False,
        hive_partitioning=False,
        missing_columns="insert",
        extra_columns="ignore",
    )
    return rows.with_columns(pl.lit(plant_id).alias("plant_id")).select(table.names)


def _predicate(
    table: Table, plant_id: str, from_utc: datetime | None, to_utc: datetime | None
) -> str:
    """Which files can hold rows of the span, by partition and by statistics; never too few."""
    parts = [f"plant_id = {_text(plant_id)}"]
    for end, sign, slack in (
        (from_utc, ">=", -_STATISTICS_SLACK),
        (to_utc, "<=", _STATISTICS_SLACK),
    ):
        if end is not None:
            time = end.astimezone(UTC) + slack
            parts.append(f"{MONTH} {sign} '{month_of(time)}'")
            parts.append(f"{table.time_column} {sign} '{time.strftime('%Y-%m-%dT%H:%M:%S')}Z'")
    return " AND ".join(parts)


def _refuse_strangers(
    table: Table, rows: pl.DataFrame, plant_id: str, months: Collection[str] | None
) -> None:
    strangers = set(rows["plant_id"]) - {plant_id}
    beyond = set(rows[MONTH]) - set(months) if months is not None else set()
    if strangers or beyond:
        raise FrameRefused(
            f"table {table.name}: rows of plants {sorted(strangers)} and months {sorted(beyond)}",
            allowed=f"plant {plant_id}, months {'any' if months is None else sorted(months)}",
            data="nothing was replaced",
            todo="correct what makes the frame, or name the months that it covers",
        )


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _first_line(error: Exception) -> str:
    """Without the library's stack of addresses."""
    return str(error).split("\n   0:")[0].strip()
