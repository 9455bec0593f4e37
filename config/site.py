"""A configuration with everything that it names resolved."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from config.models import Plant
from config.register_map import Device
from config.standards import Library


@dataclass(frozen=True)
class Site:
    """A plant's configuration with everything that it names resolved.

    ``config_hash`` identifies what was configured: it changes with any setting, ledger row or
    register map in use.
    """

    file: Path
    plant: Plant
    devices: dict[str, Device]
    library: Library
    config_hash: str

    @property
    def folder(self) -> Path:
        return self.file.parent

    @property
    def id(self) -> str:
        return self.plant.plant.id

    @property
    def storage_path(self) -> Path:
        return self.folder / self.plant.storage.path

    def amount_unit(self, meter_id: str) -> str:
        """Unit of the meter's amounts: its energy's or its product's."""
        meter = self.plant.meters[meter_id]
        if meter.product is not None:
            return self.plant.products[meter.product].unit
        return self.library.energies[meter.energy or ""]
