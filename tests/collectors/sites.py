"""Plants for the collectors' tests: plant.yaml with the given connections and meters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from config.load import load
from config.site import Site


def meter(connection: str, **fields: Any) -> dict[str, Any]:
    """A ledger row: a counter in kWh unless told otherwise."""
    return {
        "name": "a meter",
        "node": "plant",
        "energy": "electricity",
        "kind": "counter",
        "unit": "kWh",
        "connection": connection,
        **fields,
    }


def site_of(
    folder: Path, connections: dict[str, dict[str, Any]], meters: dict[str, dict[str, Any]]
) -> Site:
    """The site of a plant with one node, through the real loader."""
    folder.mkdir(parents=True, exist_ok=True)
    plant = {
        "plant": {"id": "p1", "name": "a plant"},
        "nodes": {"plant": {"name": "the plant", "level": "plant"}},
        "connections": connections,
        "meters": meters,
    }
    file = folder / "plant.yaml"
    file.write_text(json.dumps(plant), encoding="utf-8")  # JSON is YAML
    return load(file)
