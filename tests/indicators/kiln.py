"""A kiln's month: consumption and output as the pipeline hands them to the indicators."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from config.load import load
from config.site import Site
from config.tables import CONSUMPTION
from indicators.coal import COAL_COLUMNS, add_coal
from indicators.products import product_indicators
from tests.plants import SECTIONS, changed, write_plant

# The calendar month of October 2026 in Shanghai.
START, END = datetime(2026, 9, 30, 16, tzinfo=UTC), datetime(2026, 10, 31, 16, tzinfo=UTC)
MONTH = {"plant_id": "works", "grain": "month", "period": "2026-10", "start_utc": START,
         "end_utc": END, "coverage_ratio": 1.0, "status": "complete"}  # fmt: skip
Row = dict[str, Any]


def used(node: str, energy: str, amount: float | None, unit: str, **cells: Any) -> Row:
    row = {"node_id": node, "energy_code": energy, "amount": amount, "unit": unit}
    return MONTH | row | {"low": amount, "high": amount} | cells


def made(product: str, quantity: float | None, **cells: Any) -> Row:
    row = {"product_id": product, "quantity": quantity, "unit": "t"}
    return MONTH | row | {"low": quantity, "high": quantity} | cells


def kiln() -> tuple[list[Row], list[Row]]:
    """1,000 t of clinker from 140 t of raw coal and 56,000 kWh."""
    return (
        [
            used("kiln", "raw_coal", 140_000.0, "kg"),
            used("kiln", "electricity", 56_000.0, "kWh"),
            used("mill", "electricity", 30_000.0, "kWh"),
            used("works", "electricity", 90_000.0, "kWh"),
        ],
        [made("clinker", 1000.0), made("cement", 1250.0)],
    )


def energy_of(rows: list[Row], site: Site) -> pl.DataFrame:
    schema = CONSUMPTION.polars_schema()
    bare = {name: kind for name, kind in schema.items() if name not in COAL_COLUMNS}
    return add_coal(pl.DataFrame(rows, schema=bare), site.library)


def output_of(rows: list[Row]) -> pl.DataFrame:
    schema = CONSUMPTION.polars_schema()
    numbers = ("quantity", "low", "high", "coverage_ratio")
    text = ("plant_id", "product_id", "grain", "period", "unit", "status")
    times = {name: schema[name] for name in ("start_utc", "end_utc")}
    kinds = dict.fromkeys(text, pl.String()) | times | dict.fromkeys(numbers, pl.Float64())
    return pl.DataFrame(rows, schema=kinds)


def compute(consumption: list[Row], outputs: list[Row], site: Site) -> pl.DataFrame:
    energy, output = energy_of(consumption, site), output_of(outputs)
    return product_indicators(energy, output, site, provenance='{"lake": 7}')


def row_of(figures: pl.DataFrame, norm: str, subject: str = "clinker") -> Row:
    found = figures.filter(pl.col("norm") == norm, pl.col("subject") == subject)
    assert found.height == 1
    return found.row(0, named=True)


KILN_KGCE = 140_000 * 0.7143 + 56_000 * 0.1229  # 106,884.4


def one_product(folder: Path, norm: str, unit: str, **changes: Any) -> Site:
    """The plant with one norm on a product counted in ``unit``."""
    products = {
        "clinker": {"name": "P", "unit": unit, "boundary": ["kiln"], "norms": [norm]}
        | changes.pop("product", {}),
        "cement": SECTIONS["products"]["cement"],
    }
    meters = changed("p-clinker", unit=unit)
    return load(write_plant(folder, products=products, meters=meters, **changes))
