"""A damaged spool file: set aside, never deleted, and what can be read of it goes on.

The rows that can be read go into a new file under a new id, and those that may already be in the
lake are marked ``unsure``: the flush compares them with the lake before it writes them.
"""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from storage.durable import sync_folder
from storage.log_end import TornLog, changes_page, keep_copy, last_number, mend
from storage.rebuild import copy_format_1, copy_readable
from storage.spool_file import BUSY_TIMEOUT_S, EarlierFormat, open_read_write

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SpoolDamage:
    """What was found and done when a damaged spool was opened.

    ``rows_salvaged`` and ``rows_lost`` are the numbers of readings not yet accepted by the lake
    that could be read and that could not; ``rows_lost`` is None when their number could not be read
    either. ``account_kept`` is False when the account could not be read whole: it starts anew, with
    the readings salvaged.
    """

    aside: Path
    cause: str
    rows_salvaged: int
    rows_lost: int | None
    account_kept: bool

    def __str__(self) -> str:
        lost = "an unknown number" if self.rows_lost is None else str(self.rows_lost)
        account = "" if self.account_kept else "; the account of readings starts anew"
        return (
            f"the spool was damaged ({self.cause}) and is kept as {self.aside}: "
            f"{self.rows_salvaged} readings were salvaged, {lost} not yet in the lake were not"
            f"{account}"
        )


def finish_interrupted(path: Path) -> None:
    """Complete a salvage that ended between its renames."""
    salvaged = _salvaging(path)
    if salvaged.exists() and not path.exists():
        _set_aside(path)  # its WAL must not be taken for the new file's
        salvaged.replace(path)
        sync_folder(path.parent)


def salvage(path: Path, cause: str) -> SpoolDamage:
    """Build a new spool from what can be read of ``path`` and put it in its place."""
    new = _salvaging(path)
    _remove_own(new)
    with closing(open_read_write(new)) as target:
        target.execute("BEGIN IMMEDIATE")
        salvaged, lost, account_kept = copy_readable(path, target)
        target.execute("COMMIT")
        target.execute("PRAGMA journal_mode=DELETE")  # all of it in the one file that is renamed
    aside = _set_aside(path)
    new.replace(path)
    sync_folder(path.parent)
    damage = SpoolDamage(aside, " ".join(cause.split()), salvaged, lost, account_kept)
    log.error("%s", damage)
    return damage


def salvage_log(path: Path, torn: TornLog) -> SpoolDamage | None:
    """Keep a torn log, and what can be read behind the torn page; what it cost.

    Where only the last transaction is torn, SQLite leaves it out, and so it stays: a crash may
    have cut it short. Raises OSError.
    """
    copy = keep_copy(path, _free_aside(path))
    if torn.transactions > 1:
        mend(path, torn)
        return replace(salvage(path, torn.cause), aside=copy)
    try:
        with closing(open_read_write(path)) as connection:
            name, last, accepted = connection.execute(
                "SELECT uuid, last, accepted FROM spool"
            ).fetchone()
            (root,) = connection.execute(
                "SELECT rootpage FROM sqlite_master WHERE name = 'spool'"
            ).fetchone()
    except (sqlite3.Error, EarlierFormat):
        return None  # there is more to it than the log
    newest = last_number(copy, torn, name) if changes_page(copy, torn, root) else last
    lost = None if newest is None else max(0, newest - last)
    damage = SpoolDamage(copy, torn.cause, last - accepted, lost, account_kept=True)
    log.error("%s", damage)
    return damage


def convert(path: Path) -> None:
    """Put a file of this format in the place of one of format 1, which must not be open elsewhere.

    Until the new file is whole the old one stands untouched. Raises sqlite3.Error.
    """
    log.info("%s is converted to the format of this kgce", path)
    new = _salvaging(path)
    _remove_own(new)
    with closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)) as old:
        # All of it into the one file; refused while another connection has it open.
        old.execute("PRAGMA journal_mode=DELETE")
        old.execute("PRAGMA locking_mode=EXCLUSIVE")
        old.execute("BEGIN EXCLUSIVE")
        with closing(open_read_write(new)) as target:
            target.execute("BEGIN IMMEDIATE")
            copy_format_1(old, target)
            target.execute("COMMIT")
            target.execute("PRAGMA journal_mode=DELETE")
        new.replace(path)
        sync_folder(path.parent)


def _free_aside(path: Path) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    return path.with_name(f"{path.name}.damaged-{stamp}")


def _set_aside(path: Path) -> Path:
    aside = _free_aside(path)
    # The file first: once it is gone, the salvaged one is known to be whole.
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside


def _salvaging(path: Path) -> Path:
    return path.with_name(f"{path.name}.salvaging")


def _remove_own(new: Path) -> None:
    """Remove an unfinished salvage of ours; what it was made from is still in place."""
    for suffix in ("-shm", "-wal", ""):
        new.with_name(new.name + suffix).unlink(missing_ok=True)
