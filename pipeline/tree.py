"""Which meters make up a node's consumption of an energy, as a table; `NodeTree` has the rules."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from config.models import Meter, Node
from config.node_tree import NodeTree
from config.virtual import VirtualMeter

WEIGHT_SCHEMA = pl.Schema(
    {
        "node_id": pl.String(),
        "energy_code": pl.String(),
        "meter_id": pl.String(),
        "weight": pl.Int8(),
    }
)


def weights(
    nodes: Mapping[str, Node],
    meters: Mapping[str, Meter | VirtualMeter],
    *,
    feedstock: bool = True,
) -> pl.DataFrame:
    """One row for each node, energy and meter that enters with weight +1 or -1.

    Without ``feedstock``, what is used as raw material is taken out.
    """
    tree = NodeTree(nodes, meters)
    rows = [
        (node_id, energy, meter_id, weight)
        for energy in tree.energies
        for node_id in nodes
        for meter_id, weight in sorted(tree.weights(node_id, energy, feedstock=feedstock).items())
    ]
    return pl.DataFrame(rows, schema=WEIGHT_SCHEMA, orient="row")
