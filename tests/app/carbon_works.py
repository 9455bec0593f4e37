"""A works whose energy of September 2025 is stated, so that its CO2 is known by arithmetic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app import jobs
from app.imports import import_file
from app.options import Kind
from app.sites import load_site
from config.site import Site
from storage.lake import Lake
from tests.app.works import write_text
from tests.plants import write_plant

# meter -> node, energy, role, unit, what passed in September
STATED: dict[str, tuple[str, str, str, str, float]] = {
    "grid": ("works", "electricity", "input", "kWh", 100_000),
    "pv": ("works", "electricity", "input", "kWh", 20_000),
    "pv-sold": ("works", "electricity", "output", "kWh", 5_000),
    "sold": ("works", "electricity", "output", "kWh", 3_000),
    "heat": ("works", "heat", "input", "GJ", 500),
    "water": ("works", "water_fresh", "input", "t", 1_000),
    "coal": ("kiln", "raw_coal", "input", "t", 1_000),
    "coke": ("works", "coke", "input", "t", 100),
    "coke-raw": ("kiln", "coke", "feedstock", "t", 30),
    "wood": ("works", "biomass_firewood", "input", "t", 10),
}
CARBON: dict[str, Any] = {
    "fuels": [
        {
            "energy": "raw_coal", "fuel": "bituminous_coal", "effective_from": "2025-01-01",
            "source": "purchase contract 7",
        },
    ],
    "renewable_meters": [{"meter": "pv", "technology": "solar", "sold": ["pv-sold"]}],
}  # fmt: skip
ECONOMY = [
    {
        "period": "2025-09", "output_value_cny": 20_000_000, "added_value_cny": 5_000_000,
        "source": "B204-1",
    },
]  # fmt: skip
PRODUCTS = {"clinker": {"name": "Clinker", "unit": "t", "boundary": ["kiln"]}}


def write_carbon_works(
    folder: Path,
    carbon: dict[str, Any],
    *,
    stated: dict[str, tuple[str, str, str, str, float]] = STATED,
    region: str | None = "350000",
    **sections: Any,
) -> Path:
    """plant.yaml and ledger, with ``carbon`` added to what CARBON says."""
    info = {"id": "works", "name": "Works", "region": region}
    own: dict[str, Any] = {
        "products": PRODUCTS,
        "connections": None,
        "imports": None,
        "assessment": {"economy": ECONOMY, "carbon": {**CARBON, **carbon}},
    }
    return write_plant(
        folder,
        meters=[
            {
                "meter_id": meter_id, "name": meter_id, "node": node, "energy": energy,
                "role": role, "kind": "amount", "unit": unit,
            }
            for meter_id, (node, energy, role, unit, _) in stated.items()
        ],
        plant={key: value for key, value in info.items() if value is not None},
        **{**own, **sections},
    )  # fmt: skip


def stated(
    plant: Path,
    meters: dict[str, tuple[str, str, str, str, float]] = STATED,
    *,
    ends: dict[str, str] | None = None,
) -> tuple[Site, Lake]:
    """The works with the statements and the output of September, refreshed.

    ``ends``: last day of a meter's statement, where it is not the month's.
    """
    site = load_site(plant)
    lake = jobs.open_lake(site)
    lines = ["meter_id,start,end,opening_stock,purchased,closing_stock,sold"]
    for meter_id, (*_, amount) in meters.items():
        end = (ends or {}).get(meter_id, "2025-09-30")
        lines.append(f"{meter_id},2025-09-01,{end},0,{amount},0,0")
    statements = write_text(plant.parent / "statements.csv", "\n".join([*lines, ""]))
    made = "product_id,start,end,qualified_quantity\nclinker,2025-09-01,2025-09-30,5000\n"
    production = write_text(plant.parent / "production.csv", made)
    import_file(site, lake, Kind.statements, statements)
    import_file(site, lake, Kind.production, production)
    jobs.refresh(site, lake)
    return site, lake
