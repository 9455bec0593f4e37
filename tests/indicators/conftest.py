"""The plant whose kiln the tests of products judge."""

from __future__ import annotations

import pytest

from config.load import load
from config.site import Site
from tests.plants import write_plant


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return load(write_plant(tmp_path_factory.mktemp("plant")))
