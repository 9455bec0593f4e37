"""The plant that the tests of file imports read files for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from config.load import load
from config.models import ImportMapping
from config.site import Site

METERS: dict[str, dict[str, Any]] = {
    "a": {"kind": "counter", "unit": "kWh", "connection": "box", "quantity": "energy_import"},
    "b": {"kind": "gauge", "unit": "kW", "connection": "box", "span_minutes": 1},
    "q": {"kind": "amount", "unit": "kWh", "connection": "box", "span_minutes": 15},
    "coal": {"kind": "amount", "unit": "t", "energy": "raw_coal"},
    "gas": {"kind": "amount", "unit": "m3", "energy": "blast_furnace_gas"},
    "out": {"kind": "amount", "unit": "t", "energy": None, "product": "steel", "role": "output"},
}


SHIFTS: dict[str, Any] = {
    "day": {"start": "06:00", "end": "22:00"},
    "night": {"start": "22:00", "end": "06:00", "valid_from": "2026-01-01"},
}
BY_END: dict[str, Any] = {"早班": {"start": "22:00", "end": "06:00", "day_of": "end"}}
"""Its shift belongs to the day in which it ends."""


def site_in(
    folder: Path,
    timezone: str = "Asia/Shanghai",
    *,
    month_end_day: int = 31,
    shifts: dict[str, Any] | None = None,
) -> Site:
    """A plant with the meters above and the products steel (t) and wire (kg)."""
    meters = {
        meter_id: {
            key: value
            for key, value in {
                "name": meter_id, "node": "works", "energy": "electricity", **meter,
            }.items()
            if value is not None
        }
        for meter_id, meter in METERS.items()
    }  # fmt: skip
    plant = {
        "plant": {
            "id": "test-works",
            "name": "Test works",
            "timezone": timezone,
            "month_end_day": month_end_day,
        },
        "nodes": {"works": {"name": "Works", "level": "plant"}},
        "connections": {"box": {"type": "files"}},
        "meters": meters,
        "products": {
            "steel": {"name": "Steel", "unit": "t", "boundary": ["works"]},
            "wire": {"name": "Wire", "unit": "kg", "boundary": ["works"]},
        },
    }
    if shifts is not None:
        plant["shifts"] = shifts
    file = folder / "plant.yaml"
    with file.open("w", encoding="utf-8") as stream:
        YAML().dump(plant, stream)
    return load(file)


def mapping(**settings: Any) -> ImportMapping:
    """Columns `time`, `a` and `b`, wide, unless told otherwise."""
    time = {"columns": ["time"], **settings.pop("time", {})}
    if "meter_column" not in settings:
        settings.setdefault("values", {"a": "a", "b": "b"})
    return ImportMapping.model_validate({"time": time, **settings})
