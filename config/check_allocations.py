"""Whether rules of allocation name what exists, and give no product what it counts already."""

from __future__ import annotations

from collections.abc import Iterator

from config.allocation import Allocation
from config.check_reading import Problems, unknown
from config.check_tree import is_tree
from config.errors import ConfigError
from config.node_tree import NodeTree
from config.site import Site
from config.units import conversion_factor
from config.yaml import KeyPath, Source


def problems_of_allocations(site: Site, source: Source) -> Problems:
    """What is wrong with the section ``allocations``."""
    plant = site.plant
    if not is_tree(site):
        return  # reported where it breaks
    seen: dict[tuple[str, object], int] = {}
    for index, one in enumerate(plant.allocations):
        path: KeyPath = ("allocations", index)
        wrong = [*_names(site, one, path, source)]
        yield from wrong
        if wrong:
            continue
        first = seen.setdefault((one.node, one.from_), index)
        if first != index:
            yield ConfigError(
                f"{source.place(path)}: {one.node!r} has another rule from {one.from_}",
                allowed="one rule for a node and a first day",
            )
        yield from _boundaries(site, one, path, source)
        yield from _units(site, one, path, source)
        yield from _left_out(site, one, path, source)
    yield from _nested(site, source)


def _names(site: Site, one: Allocation, path: KeyPath, source: Source) -> Problems:
    plant = site.plant
    if one.node not in plant.nodes:
        place = source.place((*path, "node"))
        yield unknown(place, "node", one.node, plant.nodes, "define it under nodes")
    for product in one.products:
        if product not in plant.products:
            place = source.place((*path, one.rule))
            yield unknown(place, "product", product, plant.products, "define it under products")
    for name in sorted({name for name in one.products if one.products.count(name) > 1}):
        yield ConfigError(f"{source.place((*path, one.rule))}: {name!r} stands twice")
    for energy in one.energies:
        if energy not in site.library.energies:
            place = source.place((*path, "energies"))
            todo = "see config/standards/factors.csv for the codes"
            yield unknown(place, "energy", energy, site.library.energies, todo)
    drivers = [meter_id for group in (one.drivers or {}).values() for meter_id in group]
    for meter_id in dict.fromkeys(drivers):
        place = source.place((*path, "drivers"))
        if meter_id not in plant.all_meters:
            yield unknown(place, "meter", meter_id, plant.all_meters, "put it into the ledger")
        elif drivers.count(meter_id) > 1:
            yield ConfigError(f"{place}: {meter_id!r} stands twice", allowed="each meter once")


def _line(site: Site, node_id: str) -> Iterator[str]:
    """The node and those above."""
    here: str | None = node_id
    while here is not None and here in site.plant.nodes:
        yield here
        here = site.plant.nodes[here].parent


def _boundaries(site: Site, one: Allocation, path: KeyPath, source: Source) -> Problems:
    """A product that counts the node, or a part of it, already."""
    for product_id in one.products:
        for node_id in site.plant.products[product_id].boundary:
            if node_id in _line(site, one.node) or one.node in _line(site, node_id):
                yield ConfigError(
                    f"{source.place((*path, one.rule))}: the boundary of product {product_id!r} "
                    f"has {node_id!r} in it, so energy of {one.node!r} would count twice",
                    allowed="products whose boundary neither holds the node nor lies inside it",
                    todo=f"take {product_id!r} out of the rule, or {node_id!r} out of its boundary",
                )


def _units(site: Site, one: Allocation, path: KeyPath, source: Source) -> Problems:
    """Outputs or drivers that cannot be added."""
    if one.output:
        units = [site.plant.products[product].unit for product in one.output]
    else:
        drivers = [meter_id for group in (one.drivers or {}).values() for meter_id in group]
        known = [m for m in drivers if _has_unit(site, m)]
        units = [site.amount_unit(meter_id) for meter_id in known]
    for unit in dict.fromkeys(units[1:]):
        try:
            conversion_factor(unit, units[0])
        except ConfigError as error:
            yield ConfigError(
                f"{source.place((*path, one.rule))}: {error.given}",
                allowed="outputs, or drivers, that convert to one unit",
            )


def _has_unit(site: Site, meter_id: str) -> bool:
    meter = site.plant.all_meters[meter_id]
    return meter.energy in site.library.energies or meter.product in site.plant.products


def _left_out(site: Site, one: Allocation, path: KeyPath, source: Source) -> Problems:
    """Energy that the shared node makes for users without meters: deducted and never counted."""
    tree = NodeTree(site.plant.nodes, site.plant.all_meters)
    root = [*_line(site, one.node)][-1]
    for energy in tree.energies:
        leaves = tree.own(root, energy, "output")
        if one.node == root or not one.counts(energy) or not tree.is_source(one.node, energy):
            continue
        if not tree.users(root, energy) and not leaves:
            yield ConfigError(
                f"{source.place(path)}: {one.node!r} gives out {energy}, which is deducted from "
                "what is shared out, and no meter says who used it",
                allowed=f"input meters of {energy} at its users, an output meter at {root!r}, or "
                "`energies:` without it",
                todo=f"list under `energies:` what {one.node!r} takes in, if all of it is to be "
                "shared out",
            )


def _nested(site: Site, source: Source) -> Problems:
    shared = {one.node for one in site.plant.allocations}
    for index, one in enumerate(site.plant.allocations):
        above = [node for node in _line(site, one.node) if node != one.node and node in shared]
        if above:
            yield ConfigError(
                f"{source.place(('allocations', index, 'node'))}: {one.node!r} lies inside "
                f"{above[0]!r}, which is shared out too: its energy would count twice",
                allowed="shared nodes none of which is inside another",
            )
