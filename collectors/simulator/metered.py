"""What the simulator's servers need of a plant: meters, what they show, and what goes wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol
from zoneinfo import ZoneInfo

from collectors.simulator.faults import Faults
from config.models import Meter


class MeteredPlant(Protocol):
    """Any plant that can be served. `plant.CementPlant` is one."""

    @property
    def zone(self) -> ZoneInfo:
        """The zone that its devices write local time in."""

    @property
    def meters(self) -> Mapping[str, Meter]:
        """The ledger, by meter id."""

    @property
    def faults(self) -> Faults:
        """What goes wrong, and when."""

    def register_reading(self, meter_id: str, time_us: int) -> float:
        """What the meter shows, before the multiplier, in the ledger's unit."""
