"""What the Delta library leaves out: after a power cut, a commit is there whole or not at all.

delta-rs renames its files into place without fsync (seen with strace, deltalake 1.6.6). The spool
forgets a batch once the lake has it, so the lake must have it on disk and not in the page cache:
the data files are synced first, then the commit that names them, then the folders. A commit that a
power cut has torn was never acknowledged; it is set aside, and the spool still holds its batch.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

log = logging.getLogger(__name__)

_LOG = "_delta_log"
_PARQUET_MARK = b"PAR1"


def sync_folder(folder: Path) -> None:
    """Put the names in ``folder`` on disk. Raises OSError."""
    _sync(folder)


def sync_commits(table: Path, versions: Iterable[int]) -> None:
    """Put the commits ``versions`` of a Delta table, and the files they added, on disk.

    Raises OSError. A commit that is gone already (expired into a checkpoint) is passed over.
    """
    for version in versions:
        commit = table / _LOG / f"{version:020d}.json"
        if not commit.exists():
            continue
        folders = {table / _LOG, table}
        for line in commit.read_text(encoding="utf-8").splitlines():
            added = json.loads(line).get("add")
            if added is not None and (file := table / unquote(added["path"])).exists():
                _sync(file)
                folders |= {file.parent, file.parent.parent}
        # With the commit goes the checkpoint that the library may have made of it.
        for part in (*(table / _LOG).glob(f"{version:020d}*"), table / _LOG / "_last_checkpoint"):
            if part.exists():
                _sync(part)
        for folder in folders:
            _sync(folder)


def sync_everything() -> None:
    """Put on disk what an earlier process wrote and may not have synced before it ended."""
    os.sync()


def set_torn_commit_aside(table: Path) -> Path | None:
    """Move the last commit of ``table`` out of the way if it is torn; where it is now, or None.

    Commits and files appear whole, by a link or rename: only a power cut before the sync leaves
    half of one. Raises OSError.
    """
    commits = sorted((table / _LOG).glob("[0-9]*.json"))
    if not commits or _is_whole(table, commits[-1]):
        return None
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    aside = commits[-1].with_name(f"{commits[-1].name}.torn-{stamp}")
    commits[-1].rename(aside)
    log.error("the last commit of %s was torn by a power cut; it is kept as %s", table, aside)
    return aside


def _is_whole(table: Path, commit: Path) -> bool:
    """Whether a commit can be read, and ends in files that have their size and their end mark."""
    try:
        for line in commit.read_text(encoding="utf-8").splitlines():
            added = json.loads(line).get("add")
            if added is not None:
                with (table / unquote(added["path"])).open("rb") as file:
                    file.seek(max(0, added["size"] - len(_PARQUET_MARK)))
                    if file.read() != _PARQUET_MARK:
                        return False
    except (ValueError, AttributeError, FileNotFoundError):
        return False
    return True


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
