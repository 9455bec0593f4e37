"""A plant of one electricity meter, for the examples in docstrings."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from config.book_tables import METER_PERIODS
from config.models import Plant
from config.site import Site
from config.standards import read_library
from config.tables import CONSUMPTION

NO_METERS = pl.DataFrame(schema=METER_PERIODS.polars_schema())


def example_site() -> Site:
    """A plant in Fujian with one electricity meter; kgce's own example.

    >>> example_site().plant.plant.region
    '350000'
    """
    meter = {"meter_id": "m", "name": "M", "node": "p", "kind": "amount", "unit": "kWh"}
    stated = {
        "plant": {"id": "p", "name": "P", "region": "350000"},
        "nodes": {"p": {"name": "P", "level": "plant"}},
        "meters": {"m": {**meter, "energy": "electricity"}},
    }
    return Site(Path("plant.yaml"), Plant.model_validate(stated), {}, read_library(), "")


def example_consumption(kwh: float, low: float, high: float) -> pl.DataFrame:
    """Its electricity of May 2023 [kWh], as a row of CONSUMPTION; kgce's own example.

    >>> example_consumption(1000.0, 900.0, 1100.0)["amount"].to_list()
    [1000.0]
    """
    row = {
        "plant_id": "p", "node_id": "p", "energy_code": "electricity", "grain": "month",
        "period": "2023-05", "amount": kwh, "unit": "kWh", "low": low, "high": high,
        "coverage_ratio": 1.0, "status": "complete", "factors": "GB/T 2589-2020|ELEC_EQ;",
        "confidence": "seen",
    }  # fmt: skip
    return pl.DataFrame([row], schema=CONSUMPTION.polars_schema())
