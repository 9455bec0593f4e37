from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage.lake import Lake
from storage.spool import Spool
from tests.storage.readings import START_US

OpenSpool = Callable[..., Spool]


def _open_sqlite(
    file: Path, *, max_bytes: int = 1 << 30, dedupe_s: float = 48 * 3600, now_us: int = START_US
) -> Spool:
    return Spool(file, max_bytes=max_bytes, dedupe_s=dedupe_s, now_us=lambda: now_us)


@pytest.fixture(params=[pytest.param(_open_sqlite, id="sqlite")])
def open_spool(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenSpool]:
    """Opens the spool of the test, as often as it is called. Every spool there is goes here."""
    opened: list[Spool] = []

    def open_it(file: Path | None = None, **settings: float) -> Spool:
        opened.append(request.param(file or tmp_path / "spool.db", **settings))
        return opened[-1]

    yield open_it
    for spool in opened:
        spool.close()


@pytest.fixture
def spool(open_spool: OpenSpool) -> Spool:
    return open_spool()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")
