"""Put a backup elsewhere, or prove that it can be used: see ``app.backup`` for what it holds."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from app import jobs
from app.backup import ELSEWHERE, FORMAT, PLANT, SPARE_BYTES, STORAGE, demand_room, waiting_in
from config.errors import InputError, StorageError
from config.load import load
from config.site import Site
from config.tables import TABLES
from storage.archive import BackupDamaged, unpack
from storage.durable import sync_everything, sync_folder
from storage.lake import Lake


@dataclass(frozen=True)
class Restored:
    """``moved``: files that plant.yaml names outside its folder, where they are and belong."""

    folder: Path
    storage: Path
    wants_path: bool
    moved: dict[Path, str]
    manifest: dict[str, Any]


def restore(source: Path, folder: Path) -> Restored:
    """Put a backup into ``folder``, which is empty or not there; nothing of it where it is damaged.

    Raises BackupDamaged, InputError and StorageError.
    """
    folder = folder.absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            f"{folder} is not empty",
            allowed="an empty folder, or one that is not there yet",
            data="nothing was restored",
            todo="name another folder; move the plant over when you have looked at it",
        )
    with _unpacked(source, folder.parent) as (inside, manifest):
        sync_everything()
        restored = _arranged(inside, folder, manifest)
        sync_folder(folder.parent)
    return restored


@contextmanager
def _unpacked(source: Path, beside: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A backup in a temporary folder, every hash compared."""
    if not source.is_file():
        raise InputError(
            f"there is no file {source}",
            allowed="a backup that `kgce backup` made",
            data="nothing was restored",
            todo="check the path",
        )
    beside.mkdir(parents=True, exist_ok=True)
    demand_room(beside, source.stat().st_size + SPARE_BYTES, "nothing was restored")
    inside = Path(tempfile.mkdtemp(prefix=".kgce-restore-", dir=beside))
    try:
        manifest = unpack(source, inside)
        if manifest.get("format") != FORMAT:
            raise StorageError(
                f"{source} has format {manifest.get('format')!r}",
                allowed=f"format {FORMAT}",
                data="nothing was restored",
                todo=f"use kgce {manifest.get('kgce')}, which made it",
            )
        yield inside, manifest
    finally:
        shutil.rmtree(inside, ignore_errors=True)


def _arranged(inside: Path, folder: Path, manifest: dict[str, Any]) -> Restored:
    """Move what was unpacked to where plant.yaml looks for it."""
    stated = Path(manifest["storage"])
    below = Path(os.path.normpath(folder / stated))
    fits = below.is_relative_to(folder)
    storage = below if fits else folder / "data"
    plant = inside / PLANT
    (inside / STORAGE).mkdir(exist_ok=True)
    if storage == folder:
        for path in (inside / STORAGE).iterdir():
            path.rename(plant / path.name)
    else:
        to = plant / storage.relative_to(folder)
        to.parent.mkdir(parents=True, exist_ok=True)
        (inside / STORAGE).rename(to)
    moved = {folder / name: original for name, original in manifest["elsewhere"].items()}
    if moved:
        (inside / ELSEWHERE).rename(plant / ELSEWHERE)
    plant.rename(folder)
    return Restored(folder, storage, not fits, moved, manifest)


def verify(source: Path) -> Iterator[str]:
    """Restore into a temporary folder and use it; a sentence for each thing that was checked.

    Raises BackupDamaged, InputError and StorageError.
    """
    with _unpacked(source, Path(tempfile.gettempdir())) as (inside, manifest):
        yield f"{len(manifest['files'])} files have the size and SHA-256 of the manifest"
        restored = _arranged(inside, inside / "restored", manifest)
        site = _site_of(restored)
        lake = jobs.open_lake(site)
        yield from _checked_tables(source, lake, manifest)
        yield _checked_spool(source, restored.storage / "spool.db", manifest)
        yield _checked_figures(source, site, lake)


def _site_of(restored: Restored) -> Site:
    """The restored plant, whose data lie where they were put, whatever plant.yaml says."""
    site = load(restored.folder / restored.manifest["plant_file"])
    here = site.plant.storage.model_copy(update={"path": restored.storage})
    return replace(site, plant=site.plant.model_copy(update={"storage": here}))


def _checked_tables(source: Path, lake: Lake, manifest: dict[str, Any]) -> Iterator[str]:
    from pyarrow.parquet import ParquetFile

    for name, stated in manifest["tables"].items():
        table = TABLES.get(name)
        if table is None:
            raise BackupDamaged(
                source, [f"table {name} is not known to this kgce {version('kgce')}"]
            )
        rows = 0
        for path in lake.files(table):
            with ParquetFile(path) as file:
                rows += sum(batch.num_rows for batch in file.iter_batches())
        found = lake.version(table), rows
        if found != (stated["version"], stated["rows"]):
            raise BackupDamaged(
                source,
                [
                    f"table {name}: version {found[0]} of {found[1]} rows was read; the manifest "
                    f"states version {stated['version']} of {stated['rows']} rows"
                ],
            )
        yield f"table {name}: version {found[0]}, all {rows} rows read"


def _checked_spool(source: Path, spool: Path, manifest: dict[str, Any]) -> str:
    if not spool.exists():
        return "no spool: nothing had been collected yet"
    waiting = waiting_in(spool)
    if waiting != manifest["spool"]["waiting"]:
        raise BackupDamaged(
            source, [f"the spool holds {waiting} readings, not {manifest['spool']['waiting']}"]
        )
    return f"the spool opens; {waiting} readings wait in it for the lake"


def _checked_figures(source: Path, site: Site, lake: Lake) -> str:
    """Recompute every figure. Readings that came after the last refresh are taken in first."""
    current = jobs.refresh(site, lake).skipped
    changed = jobs.refresh(site, lake, force=True).changed
    if changed:
        raise BackupDamaged(source, [f"recomputed, the figures of {', '.join(changed)} are others"])
    if current:
        return "all figures recomputed: none differs"
    return (
        "the figures were older than the readings or this kgce: they were brought up to date, "
        "and recomputed: none differs"
    )
