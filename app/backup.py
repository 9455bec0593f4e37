"""Back a plant up while it collects.

In the archive, ``plant/`` is plant.yaml and what it names, ``elsewhere/`` what it names outside its
folder, and ``storage/`` the data. Taken at one moment, under the lake's lock: the versions of all
tables, the spool and the small files, which belong together. The data files follow without it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from app import jobs
from config.errors import InputError, StorageError
from config.site import Site
from config.yaml import read_yaml
from storage.archive import ArchiveWriter, writing
from storage.pinned import pinned_spool
from storage.spool import Spool

LOCK_TIMEOUT_S = 600.0
"""A refresh of a long history may hold the lock for minutes."""
FORMAT = 1
PLANT, ELSEWHERE, STORAGE = "plant", "elsewhere", "storage"
SPARE_BYTES = 64 * 1024 * 1024
_LOOSE = (".part", ".tmp", "-wal", "-shm", "-journal", ".lock")
"""Ends of names of files that live only as long as a process does."""


@dataclass(frozen=True)
class BackedUp:
    """A backup that is on disk: its file, and how much it holds."""

    file: Path
    files: int
    size: int
    rows: dict[str, int]
    waiting: int


def backup(site: Site, target: Path) -> BackedUp:
    """Back the plant up into the new file ``target``, or into a file named by plant and time in
    the folder ``target``. Raises InputError and StorageError.
    """
    made_utc = datetime.now(UTC)
    if target.is_dir():
        target = target / f"kgce-{site.id}-{made_utc:%Y%m%dT%H%M%SZ}.tar"
    target = target.absolute()
    storage = site.storage_path.absolute()
    if target.resolve().is_relative_to(storage.resolve()):
        raise InputError(
            f"{target} is inside the plant's data folder {storage}",
            allowed="a file or folder outside it, best on another disk",
            data="no backup was made",
            todo="name another place",
        )
    lake = jobs.open_lake(site)
    with writing(target) as archive, ExitStack() as held:
        with lake.lock(LOCK_TIMEOUT_S):
            tables = lake.pinned()
            data = [path for table in tables for path in table.data]
            _demand_room_for(target, storage, [lake.path / path for path in data])
            for path in (path for table in tables for path in table.log):
                archive.add(f"{STORAGE}/lake/{path.as_posix()}", lake.path / path)
            for path in _state_files(storage, _configured(site)):
                archive.add(f"{STORAGE}/{path.relative_to(storage).as_posix()}", path)
            spool = storage / "spool.db"
            copy_spool = held.enter_context(pinned_spool(spool)) if spool.exists() else None
        waiting = 0
        if copy_spool is not None:
            copied = target.with_name(f"{target.name}.spool.part")
            held.callback(copied.unlink, missing_ok=True)
            copied.unlink(missing_ok=True)
            copy_spool(copied)
            archive.add(f"{STORAGE}/spool.db", copied)
            waiting = waiting_in(copied)
        elsewhere = _add_configuration(archive, site)
        for path in data:
            archive.add(f"{STORAGE}/lake/{path.as_posix()}", lake.path / path)
        archive.state(
            {
                "format": FORMAT,
                "kgce": version("kgce"),
                "made_utc": made_utc.isoformat(timespec="seconds"),
                "plant": site.id,
                "plant_file": site.file.name,
                "config": site.config_hash,
                "standards": site.library.version,
                "storage": os.fspath(site.plant.storage.path),
                "elsewhere": elsewhere,
                "tables": {
                    t.name: {"version": t.version, "rows": t.rows, "files": len(t.data)}
                    for t in tables
                },
                "spool": {"waiting": waiting},
            }
        )
    return BackedUp(target, archive.files, archive.size, {t.name: t.rows for t in tables}, waiting)


def waiting_in(spool: Path) -> int:
    """Readings in a spool that the lake does not have yet. Raises StorageError."""
    view = Spool.read_only(spool)
    try:
        return view.waiting()
    finally:
        view.close()


def _configured(site: Site) -> list[Path]:
    """plant.yaml, and every file that one of its settings names; register maps beside it."""
    found = [site.file, *sorted((site.folder / "devices").glob("*.yaml"))]
    for text in _texts(read_yaml(site.file).data):
        if 0 < len(text) < 1024 and "\0" not in text and (site.folder / text).is_file():
            found.append(site.folder / text)
    return list(dict.fromkeys(Path(os.path.normpath(path.absolute())) for path in found))


def _texts(data: Any) -> Iterator[str]:
    match data:
        case str():
            yield data
        case dict():
            for value in data.values():
                yield from _texts(value)
        case list():
            for value in data:
                yield from _texts(value)


def _add_configuration(archive: ArchiveWriter, site: Site) -> dict[str, str]:
    """Add what the plant is configured by; where files outside its folder belong, by name."""
    folder = Path(os.path.normpath(site.folder.absolute()))
    elsewhere: dict[str, str] = {}
    for path in _configured(site):
        if path.is_relative_to(folder):
            archive.add(f"{PLANT}/{path.relative_to(folder).as_posix()}", path)
        else:
            name = f"{ELSEWHERE}/{len(elsewhere) + 1}/{path.name}"
            archive.add(name, path)
            elsewhere[name] = os.fspath(path)
    return elsewhere


def _state_files(storage: Path, configured: list[Path]) -> Iterator[Path]:
    """What else is in the data folder: how far the figures are, refused rows, damaged spools."""
    for folder, folders, names in os.walk(storage):
        here = Path(folder)
        if here == storage:
            folders[:] = [name for name in folders if name != "lake"]
        for name in sorted(names):
            path = here / name
            if name.endswith(_LOOSE) or path == storage / "spool.db" or path in configured:
                continue
            if path.is_file() and not path.is_symlink():
                yield path


def _demand_room_for(target: Path, storage: Path, data: list[Path]) -> None:
    spool = [storage / name for name in ("spool.db", "spool.db-wal")]
    # The spool is there twice for a moment: its copy, and the archive with it.
    needed = sum(path.stat().st_size for path in [*data, *spool, *spool] if path.exists())
    demand_room(target.parent, needed + SPARE_BYTES, "no backup was made")


def demand_room(folder: Path, needed: int, data: str) -> None:
    """Raises StorageError, before anything is written, where the disk has not so many bytes."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StorageError(
            f"{folder} has {free // 2**20} MB free",
            allowed=f"at least {-(-needed // 2**20)} MB",
            data=data,
            todo="free the disk or name another; TMPDIR is where backups are verified",
        )
