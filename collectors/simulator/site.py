"""Writes the sample plant's configuration, as an engineer would keep it."""

from __future__ import annotations

import csv
import io
from datetime import date
from pathlib import Path
from typing import Any

from collectors.simulator import layout
from collectors.simulator.assessment import assessment_text
from config.ledger import LEDGER_COLUMNS
from config.models import Meter

_HEAD = """\
# A simulated cement works: one kiln of 2,500 t of clinker a day with waste heat power, two cement
# mills, packing. Its true consumption is known exactly (collectors/simulator/plant.py).

plant:
  id: {plant_id}
  name: {name}
  region: "{region}"
  industry: "{industry}"  # GB/T 4754-2017: cement manufacturing
  timezone: {timezone}
  metering_since: {since}  # earlier days are not counted as missing

# The tree. A node's own input meters are its figure; without any, it is the sum of its children.
nodes:
{nodes}

connections:
  # Two gateways; each unit id behind them is one meter.
  {line_gateway}:
    type: modbus_tcp
    host: {host}
    port: {line_port}
    interval_s: {interval_s:g}
  {mill_gateway}:
    type: modbus_tcp
    host: {host}
    port: {mill_port}
    interval_s: {interval_s:g}
  # Belt scales, feeders and the packing plant's weigh batches, in one message each interval.
  {weighing}:
    type: mqtt
    host: {host}
    port: {mqtt_port}

meters: meters.csv

products:
{products}

assessment: assessment.yaml  # prices, evidence, targets: what no meter gives

intervals:
  poll_s: {interval_s:g}

quality:
  gap_factor: 3.0
  required_coverage_ratio: 0.9  # figures under this are refused

storage:
  path: {storage}
"""


def write_site(
    folder: Path,
    *,
    modbus_port: int | tuple[int, int],
    mqtt_port: int,
    since: date,
    interval_s: float = 900.0,
    host: str = "127.0.0.1",
    storage: str = "data",
) -> Path:
    """Write plant.yaml and what it names into ``folder`` (made if absent); return its path.

    ``modbus_port``: of both gateways, or of each (line, mills). ``since``: the day that the
    `CementPlant` starts. ``interval_s``: between readings, of polls and messages alike.
    """
    ports = (modbus_port, modbus_port) if isinstance(modbus_port, int) else modbus_port
    folder.mkdir(parents=True, exist_ok=True)
    text = _HEAD.format(
        plant_id=layout.PLANT_ID,
        name=layout.PLANT_NAME,
        region=layout.REGION,
        industry=layout.INDUSTRY,
        timezone=layout.TIMEZONE,
        since=since.isoformat(),
        nodes="\n".join(_node_lines()),
        products="\n".join(_product_lines()),
        line_gateway=layout.LINE_GATEWAY,
        mill_gateway=layout.MILL_GATEWAY,
        weighing=layout.WEIGHING,
        line_port=ports[0],
        mill_port=ports[1],
        mqtt_port=mqtt_port,
        host=host,
        interval_s=interval_s,
        storage=storage,
    )
    (folder / "meters.csv").write_text(_ledger_text(since), encoding="utf-8")
    (folder / "assessment.yaml").write_text(assessment_text(since), encoding="utf-8")
    file = folder / "plant.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def _node_lines() -> list[str]:
    lines = []
    for node_id, node in layout.NODES.items():
        parent = f", parent: {node.parent}" if node.parent else ""
        losses = f", losses_ratio: {node.losses_ratio}" if node.losses_ratio else ""
        lines.append(f'  {node_id}: {{name: "{node.name}", level: {node.level}{parent}{losses}}}')
    return lines


def _product_lines() -> list[str]:
    lines = []
    for product_id, product in layout.PRODUCTS.items():
        lines += [
            f"  {product_id}:",
            f'    name: "{product.name}"',
            f"    unit: {product.unit}",
            f"    boundary: [{', '.join(product.boundary)}]",
            "    norms:",
            *(f'      - "{norm}"' for norm in product.norms),
        ]
        if product.benchmarks:
            lines += ["    benchmarks:", *(f'      - "{one}"' for one in product.benchmarks)]
    return lines


def _ledger_text(since: date) -> str:
    rows = [_cells(meter) for meter in layout.ledger(since).values()]
    used = [name for name in LEDGER_COLUMNS if any(name in row for row in rows)]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, used, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _cells(meter: Meter) -> dict[str, Any]:
    """The row's cells that say something; a default is left empty."""
    cells = meter.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return {
        name: f"{cell:.15g}" if isinstance(cell, float) else cell for name, cell in cells.items()
    }
