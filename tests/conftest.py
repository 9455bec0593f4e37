"""Settings of all tests, and the small disk on which some of them write until it is full."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# A slow moment of the machine is no failure: speed is measured in benchmarks/.
settings.register_profile("kgce", deadline=None)
settings.load_profile("kgce")


@pytest.fixture
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte, or of as many as it is parametrized with."""
    if os.geteuid() != 0:
        pytest.skip("mounting a tmpfs needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    size = f"size={getattr(request, 'param', 1)}m"
    mount = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine does not allow to mount a tmpfs")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)
