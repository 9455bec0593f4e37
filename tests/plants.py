"""A small whole plant for tests: a cement works with a kiln and a mill.

``write_plant(folder)`` makes it valid; ``write_plant(folder, quality={...})`` replaces a section of
plant.yaml (None removes it); ``meters=`` replaces the rows of the ledger.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

CLINKER_ENERGY = "GB 16780-2021|水泥熟料|单位产品综合能耗"
CLINKER_ELECTRICITY = "GB 16780-2021|水泥熟料|单位产品综合电耗"
CLINKER_COAL = "GB 16780-2021|水泥熟料|单位产品综合煤耗"

SECTIONS: dict[str, Any] = {
    "plant": {
        "id": "works",
        "name": "Test cement works",
        "region": "350000",
        "industry": "3011",
        "timezone": "Asia/Shanghai",
    },
    "nodes": {
        "works": {"name": "Works", "level": "plant"},
        "kiln": {"name": "Kiln", "level": "process", "parent": "works"},
        "mill": {"name": "Mill", "level": "process", "parent": "works"},
    },
    "connections": {
        "gateway": {"type": "modbus_tcp", "host": "127.0.0.1", "port": 5020},
        "broker": {"type": "mqtt", "host": "127.0.0.1"},
        "historian": {"type": "files"},
    },
    "meters": "meters.csv",
    "products": {
        "clinker": {
            "name": "Clinker",
            "unit": "t",
            "boundary": ["kiln"],
            "norms": [CLINKER_ENERGY, CLINKER_ELECTRICITY, CLINKER_COAL],
        },
        "cement": {"name": "Cement", "unit": "t", "boundary": ["kiln", "mill"]},
    },
    "imports": {
        "scada": {
            "time": {"columns": ["time"]},
            "values": {"e-works": "works kWh"},
        },
    },
}

METERS: tuple[dict[str, str], ...] = (
    {
        "meter_id": "e-works", "name": "Incomer", "node": "works", "energy": "electricity",
        "kind": "counter", "unit": "kWh", "connection": "historian",
    },
    {
        "meter_id": "e-kiln", "name": "Kiln feeder", "node": "kiln", "energy": "electricity",
        "kind": "counter", "unit": "kWh", "connection": "gateway", "unit_id": "1",
        "device": "acrel-adw300", "quantity": "energy_import", "rated_per_h": "2000",
    },
    {
        "meter_id": "e-mill", "name": "Mill feeder", "node": "mill", "energy": "electricity",
        "kind": "gauge", "unit": "kW", "connection": "broker", "topic": "works/mill/power",
        "value_path": "data.kw", "time_path": "data.time",
    },
    {
        "meter_id": "c-kiln", "name": "Coal weigher", "node": "kiln", "energy": "raw_coal",
        "kind": "amount", "unit": "t",
    },
    {
        "meter_id": "p-clinker", "name": "Clinker weigher", "node": "kiln", "product": "clinker",
        "role": "output", "kind": "amount", "unit": "t",
    },
    {
        "meter_id": "p-cement", "name": "Cement weigher", "node": "mill", "product": "cement",
        "role": "output", "kind": "amount", "unit": "t",
    },
)  # fmt: skip


def write_plant(
    folder: Path, *, meters: Sequence[Mapping[str, str]] = METERS, **sections: Any
) -> Path:
    """Write plant.yaml and meters.csv into ``folder``; the path of plant.yaml.

    ``sections`` replace sections of plant.yaml by name; None removes one. ``meters`` are the rows
    of the ledger, whose columns are all the keys that any row has.
    """
    folder.mkdir(parents=True, exist_ok=True)
    whole = {key: value for key, value in (SECTIONS | sections).items() if value is not None}
    yaml = YAML()
    yaml.allow_unicode = True
    file = folder / "plant.yaml"
    with file.open("w", encoding="utf-8") as stream:
        yaml.dump(whole, stream)
    columns = list(dict.fromkeys(key for row in meters for key in row))
    with (folder / "meters.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows(meters)
    return file


def changed(meter_id: str, **cells: str) -> list[dict[str, str]]:
    """The ledger's rows with cells of one meter changed; an empty cell is as good as none."""
    return [{**row, **cells} if row["meter_id"] == meter_id else row for row in METERS]
