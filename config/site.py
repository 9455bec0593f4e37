"""A configuration with everything that it names resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from config.errors import ConfigError
from config.models import Plant
from config.register_map import Device
from config.standards import Library
from config.standards_files import Row, name_of, read_dataset

C = TypeVar("C")


@dataclass(frozen=True)
class Site:
    """A plant's configuration with everything that it names resolved.

    ``config_hash`` identifies what figures are made by: it changes with any setting, ledger row or
    register map in use, but not with the ``assessment``. ``own_rows``: of `standards_files`.
    """

    file: Path
    plant: Plant
    devices: dict[str, Device]
    library: Library
    config_hash: str
    own_rows: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.file.parent

    @property
    def id(self) -> str:
        return self.plant.plant.id

    @property
    def storage_path(self) -> Path:
        return self.folder / self.plant.storage.path

    @property
    def lake_path(self) -> Path:
        return self.storage_path / "lake"

    def connection(self, connection_id: str, name: str, kind: type[C]) -> C:
        """The settings of a connection of the ``kind``; ``name`` is what it is called.

        Raises ConfigError where it is none.
        """
        connections = self.plant.connections
        connection = connections.get(connection_id)
        if isinstance(connection, kind):
            return connection
        fitting = [other for other, one in connections.items() if isinstance(one, kind)]
        raise ConfigError(
            f"connection {connection_id!r} is no {name} connection",
            allowed=", ".join(fitting) or "none is configured",
        )

    def rows(self, kind: type[Row]) -> dict[str, Row]:
        """Rows of a file of `standards_files`, by id; the plant's own go before the package's."""
        return {**read_dataset(kind), **self.own_rows.get(name_of(kind), {})}

    def amount_unit(self, meter_id: str) -> str:
        """Unit of the meter's amounts: its energy's or its product's."""
        meter = self.plant.meters.get(meter_id) or self.plant.virtual[meter_id]
        if meter.product is not None:
            return self.plant.products[meter.product].unit
        return self.library.energies[meter.energy or ""]

    def moment(self, local: datetime) -> datetime:
        """A moment in UTC: in the plant's time zone where it states no offset."""
        zoned = local if local.tzinfo else local.replace(tzinfo=self.plant.plant.zone)
        return zoned.astimezone(UTC)
