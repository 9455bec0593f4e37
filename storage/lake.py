"""The lake: one Delta table for each table of ``config.tables``, by plant and UTC month.

Every write is one commit. An append can carry an application transaction, by which it is written
exactly once; a replacement that changes nothing makes no new version. Times are UTC.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError

from config.errors import StorageError
from config.tables import TABLES, Table
from storage.appended import Appended, appended_files
from storage.commits import (
    add_new_columns,
    commit_actions,
    commit_rows,
    open_or_create,
    open_table,
)
from storage.compaction import Compacted, compact
from storage.datafiles import (
    files_of,
    in_months,
    months_of,
    rows_of,
    within,
)
from storage.durable import set_torn_commit_aside, sync_everything
from storage.frames import MONTH, FrameRefused, checked, with_month
from storage.lock import writer_lock
from storage.pinned import PinnedTable, pinned_table
from storage.rewriting import Rewritten, plan, refuse_strange

_COMMIT_TRIES = 10
_UNUSABLE = "%[]|^\\"
"""Letters of a path that delta-rs 1.6.6 decodes, or ends in a panic for."""

_Result = TypeVar("_Result")


class Lake:
    """The tables under ``path``. Methods raise StorageError when files cannot be read or written.

    Safe for several processes at once: writers that meet try again on the newer version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._at_hand = threading.local()
        if set(_UNUSABLE) & set(str(self.path)):
            raise StorageError(
                f"the lake's path is {self.path}",
                allowed=f"a path without any of {_UNUSABLE}",
                data="nothing was opened",
                todo="set another storage.path in plant.yaml",
            )

    @contextmanager
    def at_hand(self) -> Iterator[None]:
        """Many reads and writes in a row: tables stay open in this thread until the block ends.

        Each is brought up to its latest version when it is asked for again, which takes a tenth
        of opening it.
        """
        self._at_hand.opened = {}
        try:
            yield
        finally:
            del self._at_hand.opened

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
                    return write(open_or_create(table, self._folder(table)))
                sync_everything()
                return False
            self._commit(self._folder(table), delta, rows, "append", None, app, metadata)
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
            scope = (
                set(months)
                if months is not None
                else {*rows[MONTH].unique(), *months_of(delta, plant_id)}
            )
            changed = [m for m in sorted(scope) if not self._same(table, delta, plant_id, rows, m)]
            if not changed:
                return False
            predicate = in_months(plant_id, changed)
            new = rows.filter(pl.col(MONTH).is_in(changed)).sort(table.key)
            self._commit(self._folder(table), delta, new, "overwrite", predicate, None, metadata)
            return True

        return self._trying(table, write)

    def rewrite(
        self,
        table: Table,
        plant_id: str,
        frame: pl.DataFrame,
        *,
        days: Collection[date],
        ignoring: Collection[str] = (),
        metadata: Mapping[str, Any] | None = None,
    ) -> Rewritten:
        """Put ``frame`` in place of all rows of the plant in the UTC ``days``, in one commit.

        Days whose rows stay the same, in whatever order, are not written again; when none changes
        there is no commit. A row that differs only in columns of ``ignoring`` keeps its old
        content. Raises FrameRefused for rows of another plant or day.
        """
        rows = with_month(table, checked(table, frame))
        _refuse_strangers(table, rows, plant_id, None)
        refuse_strange(table, rows, days, ignoring)
        if not days or (rows.is_empty() and self.version(table) is None):
            return Rewritten(0, 0, ())

        def write(delta: DeltaTable) -> Rewritten:
            folder = self._folder(table)
            add_new_columns(table, folder, delta)
            done, actions = plan(table, delta, folder, plant_id, rows, days, ignoring)
            if actions:
                commit_actions(folder, delta, actions, metadata)
            return done

        return self._trying(table, write)

    def appended(self, table: Table, plant_id: str, since_version: int) -> Appended | None:
        """The plant's rows appended after ``since_version``, and the version up to which.

        Call again with that version for what came later: no row is told twice or passed over.
        None where nobody can tell: rows were replaced or deleted since, the log or a file is
        past its retention, or the table is older than ``since_version``.
        """
        with self._explained(table):
            delta = self._open(table)
            if delta is None:
                return None
            last = delta.version()
            paths = appended_files(self._folder(table), plant_id, since_version, last)
        return None if paths is None else Appended(rows_of(table, plant_id, paths), last)

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
            delta = self._open(table) if version is None else open_table(self._folder(table))
            if delta is None:
                return pl.LazyFrame(schema=table.polars_schema())
            if version is not None:
                delta.load_as_version(version)
            paths = files_of(delta, within(table, plant_id, from_utc, to_utc))
        rows = rows_of(table, plant_id, paths)
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

    def pinned(self) -> list[PinnedTable]:
        """What to copy of every table that exists, at its latest version. Hold the lake's lock."""
        tables: list[PinnedTable] = []
        for table in TABLES.values():
            with self._explained(table):
                pinned = pinned_table(table, self.path)
            tables += [pinned] if pinned is not None else []
        return tables

    def files(self, table: Table) -> list[Path]:
        """The data files of the latest version; none while the table does not exist."""
        with self._explained(table):
            delta = self._open(table)
            return [] if delta is None else files_of(delta, None)

    def transaction_version(self, table: Table, app_id: str) -> int | None:
        """The last version of an application that the table has; None when it has none."""
        with self._explained(table):
            delta = self._open(table)
            return None if delta is None else delta.transaction_version(app_id)

    def compact(self, table: Table) -> Compacted:
        """Merge the table's small files, and delete files superseded long ago.

        Superseded files stay for ``commits.KEPT_H`` hours, those of readings, intervals and gaps
        for ``commits.KEPT_OFTEN_WRITTEN_H``; so long can an older version be read.
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
                    delta = self._open(table)
                    return write(delta or open_or_create(table, self._folder(table)))
                except CommitFailedError:
                    if not left:
                        raise
        raise AssertionError("unreachable: the last try returns or raises")

    def _open(self, table: Table) -> DeltaTable | None:
        """The latest version; None while there is no table."""
        opened: dict[Table, DeltaTable] | None = getattr(self._at_hand, "opened", None)
        if opened is None:
            return open_table(self._folder(table))
        if table in opened:
            opened[table].update_incremental()
        elif (delta := open_table(self._folder(table))) is not None:
            opened[table] = delta
        return opened.get(table)

    def _commit(self, *commit: Any) -> None:
        commit_rows(*commit)

    def _same(
        self, table: Table, delta: DeltaTable, plant_id: str, rows: pl.DataFrame, month: str
    ) -> bool:
        """Whether the lake's rows of the month are these, in whatever order."""
        new = rows.filter(pl.col(MONTH) == month).select(table.names)
        old = rows_of(table, plant_id, files_of(delta, in_months(plant_id, [month]))).collect()
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


def _refuse_strangers(
    table: Table, rows: pl.DataFrame, plant_id: str, months: Collection[str] | None
) -> None:
    strangers = set(rows["plant_id"].unique()) - {plant_id}
    beyond = set(rows[MONTH].unique()) - set(months) if months is not None else set()
    if strangers or beyond:
        raise FrameRefused(
            f"table {table.name}: rows of plants {sorted(strangers)} and months {sorted(beyond)}",
            allowed=f"plant {plant_id}, months {'any' if months is None else sorted(months)}",
            data="nothing was replaced",
            todo="correct what makes the frame, or name the months that it covers",
        )


def _first_line(error: Exception) -> str:
    """Without the library's stack of addresses."""
    return str(error).split("\n   0:")[0].strip()
