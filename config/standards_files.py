"""The files of config/standards that sheets are made by, each with the class of its rows.

Figures are made by factors and judged by norms (`config.standards`); a change of those computes all
figures anew. A change of these files changes no figure.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from config.errors import ConfigError
from config.standards_emission import EmissionRow, RegionRow
from config.standards_metering import MeteringRow
from config.standards_rows import STANDARDS_FOLDER, read_rows
from config.standards_rubric import RUBRIC_FILES
from config.standards_supervision import CheckRow
from config.standards_tiered import TieredPriceRow

Row = TypeVar("Row")

DATASETS: dict[str, type[Any]] = {
    "emission_factors": EmissionRow,
    "regions": RegionRow,
    "tiered_price": TieredPriceRow,
    **RUBRIC_FILES,
    "metering_provision": MeteringRow,
    "supervision_checks": CheckRow,
}
"""Name of the file, without .csv, to the class of its rows: a frozen dataclass with at least
``id``, ``edition`` (standard, notice or form that the row is of), ``confidence`` and ``note``."""


def name_of(kind: type[Any]) -> str:
    """Name of the file that holds rows of this class."""
    return next(name for name, one in DATASETS.items() if one is kind)


def read_dataset(kind: type[Row]) -> dict[str, Row]:
    """The package's rows of the class, by id. Raises ConfigError, with file and line."""
    return _read(name_of(kind), STANDARDS_FOLDER)


def read_own(name: str, file: Path) -> dict[str, Any]:
    """The plant's own rows, from a file of the same columns. Raises ConfigError."""
    try:
        return read_rows(DATASETS[name], file)
    except OSError as error:
        raise ConfigError(
            f"{file}: {error.strerror or error}",
            todo=f"assessment.standards.{name} names a CSV file beside plant.yaml",
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{file}: not UTF-8 at byte {error.start}", todo="save the sheet as 'CSV UTF-8'"
        ) from error


@cache
def _read(name: str, folder: Path) -> dict[str, Any]:
    return read_rows(DATASETS[name], folder / f"{name}.csv")


def version_of(kind: type[Any]) -> str:
    """Hash of the package's file of the class, as sheets state it."""
    content = (STANDARDS_FOLDER / f"{name_of(kind)}.csv").read_bytes()
    return hashlib.sha256(content).hexdigest()[:16]
