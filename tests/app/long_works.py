"""The works over twenty-one months, day by day: the kiln's energy follows its clinker.

Electricity is 20,000 kWh a day and 60 kWh/t, give or take; from July 2025 on it is 5 % less. Coal
is 10 t a day and 0.11 t/t. Each day's clinker is typed.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from app import jobs
from app.imports import import_file
from app.options import Kind
from app.sites import load_site
from config.site import Site
from storage.lake import Lake
from tests.app.works import SECTIONS, write_text
from tests.plants import write_plant

FIRST, LAST, LESS_FROM = date(2024, 1, 1), date(2025, 9, 30), date(2025, 7, 1)
DAYS = (LAST - FIRST).days + 1
KWH_A_DAY, KWH_PER_T, NOISE_KWH = 20_000.0, 60.0, 2_000.0
LEFT = 0.95
KGCE_PER_KWH, KGCE_PER_T_COAL = 0.1229, 714.3
METERS: tuple[dict[str, str], ...] = (
    {
        "meter_id": "e-kiln", "name": "Kiln", "node": "kiln", "energy": "electricity",
        "kind": "counter", "unit": "kWh", "connection": "historian", "rated_per_h": "20000",
        "interval_s": "43200",
    },
    {
        "meter_id": "c-kiln", "name": "Coal", "node": "kiln", "energy": "raw_coal",
        "kind": "amount", "unit": "t",
    },
)  # fmt: skip
OWN: dict[str, Any] = {
    **SECTIONS,
    "products": {"clinker": {"name": "Clinker", "unit": "t", "boundary": ["kiln"]}},
    "imports": {
        "scada": {"files": "scada*", "time": {"columns": ["time"]}, "values": {"e-kiln": "kWh"}}
    },
}


def days() -> list[date]:
    return [FIRST + timedelta(n) for n in range(DAYS)]


def clinker_t() -> np.ndarray[Any, Any]:
    return np.random.default_rng(1).uniform(1500, 3000, DAYS).round()


def kiln_kwh() -> np.ndarray[Any, Any]:
    noise = np.random.default_rng(2).normal(0, NOISE_KWH, DAYS)
    left = np.array([LEFT if day >= LESS_FROM else 1.0 for day in days()])
    return ((KWH_A_DAY + KWH_PER_T * clinker_t() + noise) * left).round()


def coal_t() -> np.ndarray[Any, Any]:
    return (10 + 0.11 * clinker_t()).round(3)


def kgce() -> np.ndarray[Any, Any]:
    return kiln_kwh() * KGCE_PER_KWH + coal_t() * KGCE_PER_T_COAL


def during(label: str) -> np.ndarray[Any, Any]:
    """Which days lie in a month or year."""
    return np.array([day.isoformat().startswith(label) for day in days()])


def write_long_works(folder: Path, assessment: dict[str, Any], **sections: Any) -> Path:
    return write_plant(folder, meters=METERS, **OWN, assessment=assessment, **sections)


def fill(plant: Path, without: tuple[date, ...] = ()) -> tuple[Site, Lake]:
    """With all data but the counter's readings at the ends of the days ``without``."""
    site = load_site(plant)
    lake, folder = jobs.open_lake(site), plant.parent
    counter = np.concatenate([[1000.0], 1000.0 + np.cumsum(kiln_kwh())])
    stamps = [*days(), LAST + timedelta(1)]
    read = [
        f"{day} 00:00,{value:.0f}"
        for day, value in zip(stamps, counter, strict=True)
        if day - timedelta(1) not in without
    ]
    made = [f"clinker,{d},{d},{t:.0f}" for d, t in zip(days(), clinker_t(), strict=True)]
    used = [f"c-kiln,{d},{d},0,{t:.3f},0,0" for d, t in zip(days(), coal_t(), strict=True)]
    stock = "meter_id,start,end,opening_stock,purchased,closing_stock,sold"
    files = {
        Kind.readings: ("scada.csv", ["time,kWh", *read]),
        Kind.production: ("production.csv", ["product_id,start,end,qualified_quantity", *made]),
        Kind.statements: ("statements.csv", [stock, *used]),
    }
    for kind, (name, lines) in files.items():
        import_file(site, lake, kind, write_text(folder / name, "\n".join(lines) + "\n"))
    jobs.refresh(site, lake)
    return site, lake
