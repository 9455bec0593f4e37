"""An archive of files that is there whole or not at all: a tar whose last file is its manifest.

It is written in one pass under a temporary name, synced, and renamed. The manifest states every
file with its size and SHA-256; an archive without one was cut short.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO, Any

from config.errors import StorageError
from storage.durable import sync_folder

MANIFEST = "manifest.json"
_BLOCK = 1024 * 1024


class ArchiveWriter:
    """Adds files to an archive under way."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._stated: dict[str, dict[str, Any]] = {}

    @property
    def files(self) -> int:
        return len(self._stated)

    @property
    def size(self) -> int:
        """Bytes of the files added so far."""
        return sum(int(stated["size"]) for stated in self._stated.values())

    def add(self, name: str, file: Path) -> None:
        """Add a file as it is now. Raises OSError, FileNotFoundError where it is gone."""
        with file.open("rb") as content:
            found = os.fstat(content.fileno())
            self._add(name, content, found.st_size, found.st_mtime)

    def add_bytes(self, name: str, content: bytes) -> None:
        self._add(name, io.BytesIO(content), len(content), time.time())

    def _add(self, name: str, content: IO[bytes], size: int, changed_s: float) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mtime, member.mode = size, int(changed_s), 0o600
        hashed = _Hashed(content)
        self._tar.addfile(member, hashed)
        self._stated[name] = {"size": size, "sha256": hashed.digest}

    def state(self, facts: Mapping[str, Any]) -> None:
        """Add the manifest: ``facts``, and every file. Nothing comes after it."""
        text = json.dumps({**facts, "files": self._stated}, indent=1, ensure_ascii=False)
        self._add(MANIFEST, io.BytesIO(text.encode()), len(text.encode()), time.time())


@contextmanager
def writing(target: Path) -> Iterator[ArchiveWriter]:
    """Write the archive ``target``; nothing of that name is there until it is whole and on disk.

    Readable by its owner only. Raises StorageError where it exists already, or cannot be written.
    """
    if target.exists():
        raise StorageError(
            f"{target} exists already",
            allowed="a new file for each backup",
            data="nothing was written",
            todo="give another name, or move the older backup away",
        )
    part = target.with_name(f"{target.name}.part")
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            with tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT) as tar:
                yield ArchiveWriter(tar)
            file.flush()
            os.fsync(file.fileno())
        part.rename(target)
        sync_folder(target.parent)
    except OSError as error:
        raise StorageError(
            f"{error.filename or target}: {error.strerror or error}",
            allowed="a folder that can be written, on a disk with room for the whole backup",
            data="no backup was made; the plant's data were not touched",
            todo="free the disk or give another folder",
        ) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


class BackupDamaged(StorageError):
    """A backup that cannot be trusted; ``damage`` says why, a sentence for each thing found."""

    def __init__(self, source: Path, damage: list[str]) -> None:
        self.damage = damage
        super().__init__(
            f"{source} is damaged: " + "; ".join(damage),
            allowed="a file as `kgce backup` has finished it",
            data="nothing was restored",
            todo="use another backup; check the disk that this one was kept on",
        )


def unpack(source: Path, folder: Path) -> dict[str, Any]:
    """Unpack into ``folder``, compare every file with the manifest, and return the manifest.

    Raises BackupDamaged, and StorageError where ``folder`` cannot be written.
    """
    found: dict[str, tuple[int, str]] = {}
    try:
        with tarfile.open(source, mode="r|") as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isreg() else None
                if content is None or not _is_inside(member.name) or member.name in found:
                    raise BackupDamaged(source, [f"it holds {member.name!r}; no backup does"])
                found[member.name] = _written(content, folder / member.name)
                if found[member.name][0] != member.size:
                    raise BackupDamaged(source, [f"it ends inside {member.name}"])
    except (tarfile.TarError, EOFError) as error:
        raise BackupDamaged(source, [f"it cannot be unpacked: {error}"]) from error
    except OSError as error:
        raise StorageError(
            f"{error.filename or source}: {error.strerror or error}",
            allowed="a backup that can be read, and a disk with room for it",
            data="nothing was restored",
            todo="check the disk and the path",
        ) from error
    return _compared(source, folder, found)


def _compared(source: Path, folder: Path, found: dict[str, tuple[int, str]]) -> dict[str, Any]:
    if found.pop(MANIFEST, None) is None:
        raise BackupDamaged(source, ["it has no manifest: it was cut short, or is no backup"])
    try:
        facts: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        stated = {n: (f["size"], f["sha256"]) for n, f in facts["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackupDamaged(source, [f"its manifest cannot be read: {error}"]) from error
    damage = [
        *(f"{name} is missing" for name in stated.keys() - found.keys()),
        *(f"{name} is not of the backup" for name in found.keys() - stated.keys()),
        *(
            f"{name} was changed: it is not what was backed up"
            for name in stated.keys() & found.keys()
            if stated[name] != found[name]
        ),
    ]
    if damage:
        raise BackupDamaged(source, sorted(damage))
    return facts


def _written(content: IO[bytes], file: Path) -> tuple[int, str]:
    """Size and SHA-256 of what was written."""
    file.parent.mkdir(parents=True, exist_ok=True)
    hashed = _Hashed(content)
    size = 0
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as written:
        while block := hashed.read(_BLOCK):
            written.write(block)
            size += len(block)
    return size, hashed.digest


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


class _Hashed(io.RawIOBase):
    """A file that hashes what is read of it."""

    def __init__(self, content: IO[bytes]) -> None:
        self._content = content
        self._sha256 = hashlib.sha256()

    @property
    def digest(self) -> str:
        return self._sha256.hexdigest()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        block = self._content.read(size)
        self._sha256.update(block)
        return block
