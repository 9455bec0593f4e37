"""A works whose data come as files, and whose September 2025 is known by arithmetic.

Every quarter of an hour the counters go up by the same step; coal and clinker are stated for the
whole month.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from app import jobs
from app.imports import import_file
from app.options import Kind
from app.sites import load_site
from config.site import Site
from storage.lake import Lake
from tests.plants import CLINKER_ELECTRICITY, CLINKER_ENERGY, write_plant

FIRST = datetime(2025, 9, 1)  # noqa: DTZ001 - as the files write it: local time of the plant
QUARTER = timedelta(minutes=15)
QUARTERS = 30 * 96

# meter -> step of a quarter hour, in the unit of its amounts
STEPS = {"e-works": 40.0, "e-kiln": 25.0, "e-mill": 12.5, "p-cement": 2.0}
COLUMNS = {"e-works": "works kWh", "e-kiln": "kiln kWh", "e-mill": "mill kWh", "p-cement": "t"}
COAL_T = 540.0  # consumed: 100 + 500 - 50 - 10
CLINKER_T = 5000.0
KGCE_PER_KWH = 0.1229
KGCE_PER_KG_COAL = 0.7143
CLINKER_KGCE_PER_T = (
    COAL_T * 1000 * KGCE_PER_KG_COAL + QUARTERS * STEPS["e-kiln"] * KGCE_PER_KWH
) / CLINKER_T

PRODUCTION = "product_id,start,end,qualified_quantity\nclinker,2025-09-01,2025-09-30,5000\n"
STATED = (
    "meter_id,start,end,opening_stock,purchased,closing_stock,sold\n"
    "c-kiln,2025-09-01,2025-09-30,100,500,50,10\n"
)


def _counter(meter_id: str, node: str, **cells: str) -> dict[str, str]:
    row = {"meter_id": meter_id, "name": meter_id, "node": node, "kind": "counter"}
    return {**row, "connection": "historian", "rated_per_h": "1000", **cells}


METERS: tuple[dict[str, str], ...] = (
    _counter("e-works", "works", energy="electricity", unit="kWh"),
    _counter("e-kiln", "kiln", energy="electricity", unit="kWh"),
    _counter("e-mill", "mill", energy="electricity", unit="kWh"),
    _counter("p-cement", "mill", product="cement", role="output", unit="t"),
    {
        "meter_id": "c-kiln", "name": "Coal", "node": "kiln", "energy": "raw_coal",
        "kind": "amount", "unit": "t",
    },
)  # fmt: skip

SECTIONS: dict[str, Any] = {
    "connections": {"historian": {"type": "files"}},
    "products": {
        "clinker": {
            "name": "Clinker",
            "unit": "t",
            "boundary": ["kiln"],
            "norms": [CLINKER_ENERGY, CLINKER_ELECTRICITY],
        },
        "cement": {"name": "Cement", "unit": "t", "boundary": ["kiln", "mill"]},
    },
    "imports": {
        "scada": {"files": "scada*", "time": {"columns": ["time"]}, "values": COLUMNS},
        "long": {
            "files": "long*",
            "time": {"columns": ["time"]},
            "meter_column": "meter",
            "value_column": "value",
        },
    },
    "intervals": {"poll_s": 900},
}


def write_works(
    folder: Path, *, meters: Sequence[dict[str, str]] = METERS, **sections: Any
) -> Path:
    """plant.yaml and meters.csv of the works; ``sections`` replace its own."""
    return write_plant(folder, meters=meters, **{**SECTIONS, **sections})


def counts(
    first: int = 0, last: int = QUARTERS, without: Iterable[int] = ()
) -> list[tuple[datetime, dict[str, float]]]:
    """The counters at the quarters ``first`` to ``last`` of September, both included."""
    left_out = set(without)
    return [
        (FIRST + n * QUARTER, {meter: 1000 + n * step for meter, step in STEPS.items()})
        for n in range(first, last + 1)
        if n not in left_out
    ]


def write_readings(
    file: Path, rows: Sequence[tuple[datetime, dict[str, float]]] | None = None
) -> Path:
    """A file as the mapping `scada` reads it; by default all of September."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["time", *COLUMNS.values()])
        for time, values in counts() if rows is None else rows:
            writer.writerow([time.isoformat(" "), *(values[meter] for meter in COLUMNS)])
    return file


def write_text(file: Path, text: str) -> Path:
    file.write_text(text, encoding="utf-8")
    return file


def filled(plant: Path, days: int = 30) -> tuple[Site, Lake]:
    """The works with ``days`` of readings from 1 September, and its figures refreshed.

    Coal and clinker are those of the whole month.
    """
    site = load_site(plant)
    lake = jobs.open_lake(site)
    files = {
        Kind.readings: write_readings(plant.parent / "scada.csv", counts(0, 96 * days)),
        Kind.production: write_text(plant.parent / "production.csv", PRODUCTION),
        Kind.statements: write_text(plant.parent / "statements.csv", STATED),
    }
    for kind, file in files.items():
        import_file(site, lake, kind, file)
    jobs.refresh(site, lake)
    return site, lake
