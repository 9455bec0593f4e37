"""A cement works so small that its figures can be checked by head: for the examples of docstrings.

In October 2026 its kiln burns 140 t of raw coal, takes 56,000 kWh and makes 1,000 t of clinker; its
boiler makes 45 t of steam from 10 t of coal.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import polars as pl

from config.models import Plant
from config.site import Site
from config.standards import read_library

CLINKER_NORM = "GB 16780-2021|水泥熟料|单位产品综合能耗"
CLINKER_BENCHMARK = "发改产业〔2023〕723号|水泥熟料|单位产品综合能耗"

# What each meter counts in the month: node, energy, role, amount, unit.
_METERS = (
    ("kiln", "raw_coal", "input", 140_000.0, "kg"),
    ("kiln", "electricity", "input", 56_000.0, "kWh"),
    ("boiler", "raw_coal", "input", 10_000.0, "kg"),
    ("boiler", "steam_low_pressure", "output", -45_000.0, "kg"),
)
# The calendar month of October 2026 in Shanghai.
_MONTH = {
    "plant_id": "works",
    "grain": "month",
    "period": "2026-10",
    "start_utc": datetime(2026, 9, 30, 16, tzinfo=UTC),
    "end_utc": datetime(2026, 10, 31, 16, tzinfo=UTC),
    "coverage_ratio": 1.0,
    "status": "complete",
}


@cache
def works() -> Site:
    """The works, judged by the standards as they are shipped.

    >>> works().plant.products["clinker"].boundary
    ('kiln',)
    """
    meters = {
        f"{node}-{energy}": {
            "meter_id": f"{node}-{energy}",
            "name": f"{node}, {energy}",
            "node": node,
            "energy": energy,
            "role": role,
            "kind": "counter",
            "unit": unit,
        }
        for node, energy, role, _, unit in _METERS
    }
    clinker = {
        "name": "Clinker",
        "unit": "t",
        "boundary": ["kiln"],
        "norms": [CLINKER_NORM],
        "benchmarks": [CLINKER_BENCHMARK],
    }
    plant = {
        "plant": {"id": "works", "name": "Works"},
        "nodes": {
            "works": {"name": "Works", "level": "plant"},
            "kiln": {"name": "Kiln", "level": "process", "parent": "works"},
            "boiler": {"name": "Boiler", "level": "process", "parent": "works"},
        },
        "meters": meters,
        "products": {"clinker": clinker},
    }
    return Site(Path("plant.yaml"), Plant.model_validate(plant), {}, read_library(), "")


def used() -> pl.DataFrame:
    """What the works used in the month: rows of CONSUMPTION, without the coal equivalent.

    >>> used().select("node_id", "energy_code", "amount", "unit").row(0)
    ('kiln', 'raw_coal', 140000.0, 'kg')
    """
    return pl.DataFrame(
        [
            _MONTH
            | {"node_id": node, "energy_code": energy, "unit": unit}
            | {"amount": amount, "low": amount, "high": amount}
            for node, energy, _, amount, unit in _METERS
        ]
    )


def made() -> pl.DataFrame:
    """What the works made in the month, as `indicators.products` takes it.

    >>> made().select("product_id", "quantity", "unit").row(0)
    ('clinker', 1000.0, 't')
    """
    quantity = {"quantity": 1_000.0, "low": 1_000.0, "high": 1_000.0, "unit": "t"}
    return pl.DataFrame([_MONTH | {"product_id": "clinker"} | quantity])
