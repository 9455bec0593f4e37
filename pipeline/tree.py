"""Which meters make up a node's consumption of an energy, and with which sign.

For each node and energy: where the node has input meters of its own, they are its figure - less
what goes to use outside production anywhere below it, less what its own output meters send out,
plus its own feedstock meters. Where it has none, it is the sum of the nodes below it (less its own
outputs, plus its own feedstock). So a main meter and the branches under it never count twice.

Two worked cases. A plant with a main meter of 100 and branches of 60 and 30 used 100. The same
plant without a main meter used 90.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl

from config.models import Meter, Node

WEIGHT_SCHEMA = pl.Schema(
    {
        "node_id": pl.String(),
        "energy_code": pl.String(),
        "meter_id": pl.String(),
        "weight": pl.Int8(),
    }
)


def weights(nodes: Mapping[str, Node], meters: Mapping[str, Meter]) -> pl.DataFrame:
    """One row for each node, energy and meter that enters with weight +1 or -1.

    Recovered and check meters have no weight: what a node recovers and uses itself is not counted
    again (GB/T 2589-2020).
    """
    children: dict[str | None, list[str]] = {}
    for node_id, node in nodes.items():
        children.setdefault(node.parent, []).append(node_id)
    energies = sorted({meter.energy for meter in meters.values() if meter.energy is not None})
    rows = [
        (node_id, energy, meter_id, weight)
        for energy in energies
        for node_id in nodes
        for meter_id, weight in sorted(_node_weights(node_id, energy, children, meters).items())
    ]
    return pl.DataFrame(rows, schema=WEIGHT_SCHEMA, orient="row")


def _node_weights(
    node_id: str,
    energy: str,
    children: Mapping[str | None, list[str]],
    meters: Mapping[str, Meter],
) -> dict[str, int]:
    own = {m.meter_id: m for m in meters.values() if m.node == node_id and m.energy == energy}
    by_role = {role: [i for i, m in own.items() if m.role == role] for role in _SIGNS}
    found: dict[str, int] = {}
    if by_role["input"]:
        outside = _non_production(node_id, energy, children, meters)
        found.update(dict.fromkeys(by_role["input"], 1))
        found.update(dict.fromkeys(outside, -1))
    else:
        for child in children.get(node_id, []):
            found.update(_node_weights(child, energy, children, meters))
    found.update(dict.fromkeys(by_role["output"], -1))
    found.update(dict.fromkeys(by_role["feedstock"], 1))
    return found


_SIGNS = ("input", "output", "feedstock")


def _non_production(
    node_id: str,
    energy: str,
    children: Mapping[str | None, list[str]],
    meters: Mapping[str, Meter],
) -> Iterable[str]:
    """Meters of use outside production at the node and below it, the topmost of each branch."""
    own = [
        m.meter_id
        for m in meters.values()
        if m.node == node_id and m.energy == energy and m.role == "non_production"
    ]
    if own:
        return own
    return [
        found
        for child in children.get(node_id, [])
        for found in _non_production(child, energy, children, meters)
    ]
