"""Watched folders: files of readings that are dropped into one are imported, each exactly once.

A file is left alone until it has stood still for a while. Then it is imported whole, and moved to
`taken/`; one that is refused goes to `refused/` with its reason beside it, and nothing of it is
taken. Between the import and the move a `kill -9` may fall: the file is then imported again, which
changes nothing, because the lake knows it by its content.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

from app import jobs
from app.imports import Imported, import_file
from app.options import Kind
from collectors.base import GOOD, Health
from collectors.changes import Changes
from collectors.stats import Stats
from config.connections import Folder
from config.errors import InputError, KgceError
from config.site import Site

log = logging.getLogger("kgce.folders")

TAKEN, REFUSED = "taken", "refused"
UNREADABLE, NOT_MOVED, FAILED = "unreadable", "not moved", "failed"


@dataclass(frozen=True)
class _Seen:
    """A file as it stood when it was looked at."""

    size: int
    modified_ns: int
    inode: int

    @staticmethod
    def of(file: Path) -> _Seen:
        """Raises OSError."""
        stat = file.stat()
        return _Seen(stat.st_size, stat.st_mtime_ns, stat.st_ino)


@dataclass
class _Waiting:
    """A file that is not done. ``result``: its rows are in the lake, it has only to be moved."""

    seen: _Seen
    since_s: float
    result: Imported | None = None
    given_up: bool = False


class FolderCollector:
    """Takes the files of one folder; satisfies the collectors' ``Collector``.

    ``site`` gives the configuration as it is now: a mapping may name meters of any connection.
    ``health`` counts rows: good ones were taken, dropped ones refused; ``stats.requests`` counts
    files: taken, refused, failed.
    """

    def __init__(self, site: Callable[[], Site], connection_id: str) -> None:
        self._site = site
        self._id = connection_id
        self._waiting: dict[str, _Waiting] = {}
        self._troubles: dict[str, str] = {}
        self._last_refused = ""
        self._stopping = threading.Event()
        self._changes = Changes(log)
        self.health = Health(connection_id)
        self.stats = Stats()

    async def run(self) -> None:
        """Look until cancelled; a file that is being imported is finished first."""
        self._stopping.clear()
        try:
            while True:
                looking = asyncio.create_task(asyncio.to_thread(self.look))
                try:
                    look_s = await asyncio.shield(looking)
                except asyncio.CancelledError:
                    self._stopping.set()
                    await looking
                    raise
                await asyncio.sleep(look_s)
        finally:
            self.health.state = "stopped"

    def look(self) -> float:
        """Take what can be taken now; seconds to the next look. Trouble is recorded, not raised."""
        site = self._site()
        settings = site.plant.connections.get(self._id)
        if not isinstance(settings, Folder):
            return 1.0  # the configuration changes at this moment: this collector is to be stopped
        self.stats.ticks += 1
        folder = site.folder / settings.path
        try:
            files = _files(folder, settings.files)
        except OSError as error:
            self._tell("down", f"{folder}: {error.strerror or error}")
            return settings.look_s
        self._forget_gone({file.name for file in files})
        trouble = ""
        for file in files:
            if self._stopping.is_set():
                break
            if trouble := self._consider(site, settings, file):
                break
        self._tell("waiting" if trouble else "up", trouble or self._said())
        return settings.look_s

    def _forget_gone(self, names: set[str]) -> None:
        for name in self._waiting.keys() - names:
            del self._waiting[name]
            self._note(name, GOOD)

    def _consider(self, site: Site, settings: Folder, file: Path) -> str:
        """Take a file if it is time. Returns what holds all files up, such as a busy lake."""
        try:
            seen = _Seen.of(file)
        except OSError:
            return ""  # it went while it was looked at
        waiting = self._waiting.get(file.name)
        if waiting is None or waiting.seen != seen:
            waiting = self._waiting[file.name] = _Waiting(seen, time.monotonic())
        still_s = time.monotonic() - waiting.since_s
        # An empty one has only been begun: there is nothing in it to lose.
        if seen.size == 0 or still_s < settings.settle_s or waiting.given_up:
            return ""
        if waiting.result is None:
            if not self._can_be_read(file):
                return ""
            try:
                waiting.result = self._import(site, settings, file)
            except InputError as error:
                self._refuse(file, waiting, error)
                return ""
            except KgceError as error:
                return error.given  # the lake's trouble, not the file's: it is tried again
            except Exception as error:
                self._give_up(file, waiting, error)
                return ""
        self._put_away(file, waiting, waiting.result)
        return ""

    def _can_be_read(self, file: Path) -> bool:
        """Whole: what fails to come from a share is not the file's fault."""
        try:
            with file.open("rb") as stream:
                while stream.read(1 << 20):
                    pass
        except FileNotFoundError:
            return False
        except OSError as error:
            self._note(file.name, UNREADABLE, error.strerror or str(error))
            return False
        return True

    def _import(self, site: Site, settings: Folder, file: Path) -> Imported:
        imported = import_file(
            site,
            jobs.open_lake(site),
            Kind.readings,
            file,
            mapping=settings.mapping,
            partial=settings.partial,
        )
        log.info(
            "%s: %s: %d rows taken, %d known already, %d refused",
            self._id,
            file.name,
            imported.taken,
            imported.known,
            imported.refused,
        )
        self.health.good += imported.taken
        self.health.dropped += imported.refused
        self.health.last_good_us = time.time_ns() // 1000
        return imported

    def _put_away(self, file: Path, waiting: _Waiting, imported: Imported) -> None:
        """Move a file whose rows are in the lake, unless it grew meanwhile."""
        try:
            if _Seen.of(file) != waiting.seen:
                del self._waiting[file.name]  # what was added is taken when it stands still again
                return
            there = _moved(file, TAKEN)
            if _Seen.of(there) != waiting.seen:
                there.rename(_free(file.parent, file.name))
                return
            if imported.refused_file is not None:
                log.warning("%s: %s: see %s", self._id, file.name, imported.refused_file)
        except FileNotFoundError:
            return  # somebody took it away; its rows are in the lake
        except OSError as error:
            self._note(file.name, NOT_MOVED, f"its rows are taken; {error.strerror or error}")
            return
        self._done(file, TAKEN)

    def _refuse(self, file: Path, waiting: _Waiting, error: InputError) -> None:
        try:
            if _Seen.of(file) != waiting.seen:
                return  # it was not what it is now
            there = _moved(file, REFUSED, reason=str(error))
        except FileNotFoundError:
            return
        except OSError as trouble:
            self._note(file.name, NOT_MOVED, f"{error.given}; {trouble.strerror or trouble}")
            return
        log.warning("%s: %s is refused, see %s: %s", self._id, file.name, there.parent, error)
        self._last_refused = there.name
        self._done(file, REFUSED)

    def _give_up(self, file: Path, waiting: _Waiting, error: Exception) -> None:
        """A file that breaks the import in a way nobody foresaw must not do so at each look."""
        waiting.given_up = True
        log.error("%s: %s could not be imported", self._id, file.name, exc_info=error)
        self._note(file.name, FAILED, f"{type(error).__name__}: {error}")
        self.stats.requests[FAILED] += 1

    def _done(self, file: Path, outcome: str) -> None:
        del self._waiting[file.name]
        self._note(file.name, GOOD)
        self.stats.requests[outcome] += 1

    def _note(self, name: str, state: str, detail: str = "") -> None:
        if state == GOOD:
            self._troubles.pop(name, None)
        else:
            if self._troubles.get(name) != state:
                log.warning("%s: %s: %s: %s", self._id, name, state, detail)
            self._troubles[name] = state

    def _said(self) -> str:
        parts = [f"{name} is {state}" for name, state in sorted(self._troubles.items())[:5]]
        if more := len(self._troubles) - len(parts):
            parts.append(f"{more} more files")
        if refused := self.stats.requests[REFUSED]:
            parts.append(f"{refused} files refused, the last {self._last_refused}")
        return "; ".join(parts)

    def _tell(self, state: str, detail: str) -> None:
        self.health.state, self.health.detail = state, detail
        self._changes.note(self._id, GOOD if state == "up" else detail)


def _files(folder: Path, pattern: str) -> list[Path]:
    """The files to take, the oldest first: what corrects another comes after it. Raises OSError.

    Names are compared without regard to case; hidden files are those of programs that copy.
    """
    found: list[tuple[int, str]] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if name.startswith(".") or not fnmatchcase(name.lower(), pattern.lower()):
                continue
            try:
                if entry.is_file(follow_symlinks=False):
                    found.append((entry.stat(follow_symlinks=False).st_mtime_ns, name))
            except OSError:
                continue  # it went while it was looked at
    return [folder / name for _, name in sorted(found)]


def _moved(file: Path, to: str, reason: str = "") -> Path:
    """Move ``file`` into a folder beside it; where it is now. Raises OSError."""
    folder = file.parent / to
    folder.mkdir(exist_ok=True)
    there = _free(folder, file.name)
    if reason:
        # First, so that a file that was refused never lies there without its reason.
        there.with_name(f"{there.name}.reason.txt").write_text(reason + "\n", encoding="utf-8")
    return file.rename(there)


def _free(folder: Path, name: str) -> Path:
    """A path in ``folder`` that is free: the name, else with the time, else with a number too."""
    there = folder / name
    stem, suffix = there.stem, there.suffix
    if there.exists():
        stem = f"{stem}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        there = folder / f"{stem}{suffix}"
    number = 1
    while there.exists():
        number += 1
        there = folder / f"{stem}-{number}{suffix}"
    return there
