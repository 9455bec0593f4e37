"""Whether what metering and supervision are told of names what exists."""

from __future__ import annotations

from config.check_reading import Problems, unknown
from config.errors import ConfigError
from config.metering import Unmetered
from config.site import Site
from config.supervision import Reported
from config.units import conversion_factor
from config.yaml import KeyPath, Source


def problems_of_supervision(site: Site, source: Source) -> Problems:
    """What is wrong with `assessment.metering` and `assessment.supervision`."""
    plant, told = site.plant, site.plant.assessment
    for index, point in enumerate(told.metering.unmetered):
        yield from _flow(site, point, ("assessment", "metering", "unmetered", index), source)
    path: KeyPath = ("assessment", "supervision")
    for product in told.supervision.new_products:
        if product not in plant.products:
            place = source.place((*path, "new_products"))
            yield unknown(place, "product", product, plant.products, "define it under products")
    seen: dict[tuple[str, str, str, str], int] = {}
    for index, one in enumerate(told.supervision.reported):
        here: KeyPath = (*path, "reported", index)
        yield from _flow(site, one, here, source)
        key = one.node, one.energy, one.period, one.source
        if seen.setdefault(key, index) != index:
            yield ConfigError(
                f"{source.place(here)}: {one.energy} of {one.node} in {one.period} stands twice",
                allowed="one amount for a node, energy, period and source",
            )
    for index, outage in enumerate(told.supervision.filed_outages):
        for meter_id in outage.meters:
            if meter_id not in plant.meters:
                place = source.place((*path, "filed_outages", index, "meters"))
                yield unknown(place, "meter", meter_id, plant.meters, "put it into the ledger")


def _flow(site: Site, one: Unmetered | Reported, path: KeyPath, source: Source) -> Problems:
    if one.node not in site.plant.nodes:
        place = source.place((*path, "node"))
        yield unknown(place, "node", one.node, site.plant.nodes, "define it under nodes")
    energies = site.library.energies
    if one.energy not in energies:
        place = source.place((*path, "energy"))
        todo = "see config/standards/factors.csv for the codes"
        yield unknown(place, "energy", one.energy, energies, todo)
    elif isinstance(one, Reported):
        try:
            conversion_factor(one.unit, energies[one.energy])
        except ConfigError as error:
            place = source.place((*path, "unit"))
            yield ConfigError(f"{place}: {error.given}", allowed=error.allowed, todo=error.todo)
