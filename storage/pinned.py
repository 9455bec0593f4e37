"""The lake and the spool held still for a copy, while both go on being written.

A version's data files stay for days after they are superseded, and SQLite shows a reader the
moment at which it began: what is pinned here can be copied without a lock.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from config.errors import StorageError
from config.tables import Table
from storage.commits import open_table
from storage.datafiles import data_files
from storage.spool_file import BUSY_TIMEOUT_S, open_read_only

_LOG = "_delta_log"


class PinnedTable(NamedTuple):
    """A table at one version. Paths are relative to the lake's folder.

    ``log`` is what opens this version and no other; ``data`` are its files.
    """

    name: str
    version: int
    rows: int
    log: list[Path]
    data: list[Path]


def pinned_table(table: Table, lake: Path) -> PinnedTable | None:
    """The table at its latest version; None while it does not exist. Hold the lake's lock.

    Raises DeltaError and OSError.
    """
    delta = open_table(lake / table.name)
    if delta is None:
        return None
    files = data_files(table, delta)
    return PinnedTable(
        table.name,
        delta.version(),
        sum(file.rows for file in files),
        [path.relative_to(lake) for path in _log_of(lake / table.name / _LOG, delta.version())],
        [Path(table.name, unquote(file.path)) for file in files],
    )


def _log_of(log: Path, version: int) -> list[Path]:
    """The newest checkpoint up to a version, and the commits after it up to the version."""
    checkpoints = {
        int(file.name[:20]): sorted(log.glob(f"{file.name[:20]}.checkpoint*.parquet"))
        for file in log.glob("*.checkpoint*.parquet")
        if int(file.name[:20]) <= version
    }
    newest = max(checkpoints, default=-1)
    commits = [log / f"{n:020d}.json" for n in range(newest + 1, version + 1)]
    last = log / "_last_checkpoint"
    named = [last] if last.exists() and _version_in(last) == newest else []
    # The commit that a checkpoint stands for is wanted too: readers look for the newest one.
    own = log / f"{newest:020d}.json"
    return [*checkpoints.get(newest, []), *([own] if own.exists() else []), *commits, *named]


def _version_in(last_checkpoint: Path) -> int | None:
    try:
        version = json.loads(last_checkpoint.read_text(encoding="utf-8"))["version"]
    except (ValueError, KeyError, TypeError):
        return None
    return version if isinstance(version, int) else None


@contextmanager
def pinned_spool(file: Path) -> Iterator[Callable[[Path], None]]:
    """Hold the spool at this moment; yields what copies it to a new file.

    Raises StorageError, also for a spool that a later kgce or nobody has written.
    """
    with closing(open_read_only(file, timeout_s=BUSY_TIMEOUT_S)) as source:
        source.execute("BEGIN")
        source.execute("SELECT uuid FROM spool").fetchone()

        def copy(target: Path) -> None:
            try:
                with closing(sqlite3.connect(target)) as copied:
                    source.backup(copied)
                    (said,) = copied.execute("PRAGMA quick_check").fetchone()
            except sqlite3.Error as error:
                raise _uncopied(file, str(error)) from error
            if said != "ok":
                raise _uncopied(file, said)

        yield copy


def _uncopied(file: Path, why: str) -> StorageError:
    return StorageError(
        f"{file} could not be copied: {why}",
        allowed="a whole spool, and a disk with room for its copy",
        data="no backup was made; the spool was not touched",
        todo="check the disks; a damaged spool is put in order when `kgce run` starts",
    )
