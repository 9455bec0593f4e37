"""Two serial ports that are wired to each other, by socat."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE_S = 30.0


@contextmanager
def pty_pair(folder: Path) -> Iterator[tuple[Path, Path]]:
    """The two ports' device names, while the wire is there."""
    folder.mkdir(parents=True, exist_ok=True)
    ends = folder / "ttyA", folder / "ttyB"
    wire = subprocess.Popen(["socat", *(f"pty,raw,echo=0,link={end}" for end in ends)])
    try:
        give_up = time.monotonic() + PATIENCE_S
        while not all(end.exists() for end in ends):
            assert wire.poll() is None, "socat ended"
            assert time.monotonic() < give_up, "socat made no ports"
            time.sleep(0.01)
        yield ends
    finally:
        wire.kill()
        wire.wait()
