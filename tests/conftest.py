"""Settings of all tests."""

from __future__ import annotations

from hypothesis import settings

# A slow moment of the machine is no failure: speed is measured in benchmarks/.
settings.register_profile("kgce", deadline=None)
settings.load_profile("kgce")
