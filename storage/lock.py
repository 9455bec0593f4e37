"""One writer of the lake among the processes of a machine."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config.errors import StorageBusy, StorageError

_LOOK_EVERY_S = 0.05


@contextmanager
def writer_lock(file: Path, timeout_s: float) -> Iterator[None]:
    """Hold an exclusive ``flock`` on ``file``; the system frees it when the process ends.

    Not re-entrant. Raises StorageBusy, naming the holder, after ``timeout_s``.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StorageError(
            f"{file}: {error}",
            allowed="a folder that this user can write",
            data="nothing was written",
            todo="check storage.path in plant.yaml, and the folder's owner",
        ) from error
    try:
        _acquire(handle, file, timeout_s)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def _acquire(handle: int, file: Path, timeout_s: float) -> None:
    give_up = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= give_up:
                holder = os.pread(handle, 20, 0).decode(errors="replace").strip() or "unknown"
                raise StorageBusy(
                    f"{file} is held by process {holder} since before the last {timeout_s:g} s",
                    allowed="one kgce process that writes the lake at a time",
                    data="nothing was written",
                    todo=f"wait until process {holder} ends, or end it",
                ) from None
        time.sleep(_LOOK_EVERY_S)
