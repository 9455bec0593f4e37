from __future__ import annotations

from pathlib import Path

import pytest

from tests.app.works import filled, write_works


@pytest.fixture(scope="session")
def september(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """plant.yaml of the works with all of September 2025; for tests that only look at it."""
    plant = write_works(tmp_path_factory.mktemp("works"))
    filled(plant)
    return plant


@pytest.fixture(scope="session")
def two_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with readings of two days: few enough for the screen."""
    plant = write_works(tmp_path_factory.mktemp("two-days"))
    filled(plant, days=2)
    return plant
