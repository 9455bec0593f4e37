"""The energy that a product counts: its boundary's nodes, and its share of the shared ones."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import polars as pl

from config.allocation import rule_on, rules_by_date
from config.models import Product
from config.node_tree import NodeTree
from config.site import Site

# Roles whose meter makes the energy a part of its node, so that a period without it is a gap.
INFLOWS = ("input", "feedstock")
COLUMNS = (
    "node_id", "energy_code", "grain", "period", "start_utc", "end_utc", "amount", "unit", "low",
    "high", "coverage_ratio", "status", "factors",
)  # fmt: skip
Pair = tuple[str, str]


def energy_of(
    consumption: pl.DataFrame, allocations: pl.DataFrame | None, product_id: str, site: Site
) -> pl.DataFrame:
    r"""Rows of the product's energy, in `COLUMNS`: of its boundary, then its shares.

    .. math:: \{E_{n,i} : n \in B_j, i \notin M_j\} \cup \{s_{j,n} E_{n,i} : n \notin B_j\}

    ``consumption`` (E of node n and energy i [unit of the row]) and ``allocations`` (s E, the
    product's share) hold rows of one plant, in the columns of CONSUMPTION and ALLOCATIONS. M: an
    energy that is made and used inside the boundary B, and nowhere else, is left out: the fuel that
    made it counts, with what was lost on the way. GB/T 2589-2020 (boundary and no double count;
    clause not checked against the print).

    >>> from config.example import used, works
    >>> from indicators.coal import add_coal
    >>> energy = add_coal(used(), works().library)
    >>> found = energy_of(energy, None, "clinker", works())
    >>> found.select("node_id", "energy_code", "amount").rows()
    [('kiln', 'raw_coal', 140000.0), ('kiln', 'electricity', 56000.0)]
    """
    product = site.plant.products[product_id]
    inside = consumption.filter(
        pl.col("node_id").is_in(list(product.boundary)),
        ~pl.col("energy_code").is_in(sorted(_made_and_used_inside(site, product))),
    ).select(COLUMNS)
    if not _nodes_shared_with(site, product_id):
        return inside
    shared = consumption.clear().select(COLUMNS)
    if allocations is not None:
        mine = (pl.col("plant_id") == site.id) & (pl.col("product_id") == product_id)
        shared = allocations.filter(mine).select(COLUMNS)
    return pl.concat([inside, shared, _nothing(consumption, shared, product_id, site)])


def expected_of(site: Site, product_id: str, *, feedstock: bool = True) -> set[Pair]:
    """The (node, energy) without which a period of the product is not complete.

    Without ``feedstock``, what enters as raw material is not asked for. That every input meter must
    have spoken is kgce's own rule: missing is never zero.

    >>> from config.example import works
    >>> sorted(expected_of(works(), "clinker"))
    [('kiln', 'electricity'), ('kiln', 'raw_coal')]
    """
    inflows = INFLOWS if feedstock else ("input",)
    product = site.plant.products[product_id]
    shared, left_out = (
        _nodes_shared_with(site, product_id),
        _made_and_used_inside(site, product),
    )
    return {
        (meter.node, meter.energy)
        for meter in site.plant.all_meters.values()
        if meter.energy is not None
        and meter.role in inflows
        and (
            (meter.node in product.boundary and meter.energy not in left_out)
            or (meter.node in shared and meter.energy in shared[meter.node])
        )
    }


def _made_and_used_inside(site: Site, product: Product) -> set[str]:
    """Energies whose makers are their sole sources, and with all users, in the boundary."""
    plant = site.plant
    if not any(node.converts is not None for node in plant.nodes.values()):
        return set()
    tree = NodeTree(plant.nodes, plant.all_meters)
    root = plant.root
    aside = {m.energy for m in plant.all_meters.values() if m.role == "non_production"}
    found = set()
    for energy in tree.energies:
        makers, users = tree.sources(root, energy), tree.users(root, energy)
        sole = bool(makers) and all(tree.is_sole_source(one, energy) for one in makers)
        leaves = energy in aside or tree.own(root, energy, "output")
        inside = all({one, *tree.ancestors(one)} & {*product.boundary} for one in makers + users)
        if sole and inside and not leaves:
            found.add(energy)
    return found


def _nodes_shared_with(site: Site, product_id: str) -> dict[str, set[str]]:
    """Shared nodes of which the product ever gets a part, with the energies concerned."""
    found: dict[str, set[str]] = {}
    energies = {m.energy for m in site.plant.all_meters.values() if m.energy is not None}
    for rule in site.plant.allocations:
        if product_id in rule.products:
            found.setdefault(rule.node, set()).update(one for one in energies if rule.counts(one))
    return found


def _nothing(
    consumption: pl.DataFrame, shared: pl.DataFrame, product_id: str, site: Site
) -> pl.DataFrame:
    """Zero, by rule, for the periods in which no rule gives the product a part of the node.

    So that a share that begins in May is not missing in April.
    """
    there = set(shared.select("node_id", "energy_code", "grain", "period").iter_rows())
    of_nodes = _nodes_shared_with(site, product_id)
    rows: list[dict[str, Any]] = []
    candidates = consumption.filter(pl.col("node_id").is_in(list(of_nodes))).select(COLUMNS)
    for row in candidates.iter_rows(named=True):
        node_id, energy = row["node_id"], row["energy_code"]
        if (
            energy not in of_nodes[node_id]
            or (node_id, energy, row["grain"], row["period"]) in there
        ):
            continue
        if not _gets_a_part(site, node_id, energy, product_id, row["start_utc"], row["end_utc"]):
            nothing = {"amount": 0.0, "low": 0.0, "high": 0.0, "coverage_ratio": 1.0}
            rows.append({**row, **nothing, "status": "complete"})
    return pl.DataFrame(rows, schema=candidates.schema)


def _gets_a_part(
    site: Site, node_id: str, energy: str, product_id: str, start: datetime, end: datetime
) -> bool:
    zone = site.plant.plant.zone
    rules = rules_by_date(site.plant.allocations, node_id)
    first: date = start.astimezone(zone).date()
    last: date = (end - timedelta(microseconds=1)).astimezone(zone).date()
    in_force = [rule_on(rules, first), *(rule for rule in rules if first < rule.from_ <= last)]
    return any(
        rule is not None and product_id in rule.products and rule.counts(energy)
        for rule in in_force
    )
