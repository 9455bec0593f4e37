"""Whether prices, tariffs and lines under a tiered price fit the plant."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from config.check_reading import Problems, unknown
from config.check_tree import is_tree
from config.errors import ConfigError
from config.node_tree import NodeTree
from config.site import Site
from config.tariffs import Tariff, tariffs_in_order
from config.units import conversion_factor
from config.yaml import KeyPath, Source


def problems_of_cost(site: Site, source: Source) -> Problems:
    """What is wrong with ``prices``, ``tariffs`` and ``tiered_price`` of the assessment."""
    yield from _prices(site, source)
    yield from _tariffs(site, source)
    yield from _billed(site, source)
    yield from _lines(site, source)


def _prices(site: Site, source: Source) -> Problems:
    energies = site.library.energies
    seen: set[tuple[str, date]] = set()
    for index, price in enumerate(site.plant.assessment.prices):
        path: KeyPath = ("assessment", "prices", index)
        if price.energy not in energies:
            yield unknown(
                source.place((*path, "energy")),
                "energy",
                price.energy,
                energies,
                "see config/standards/factors.csv for the codes",
            )
            continue
        try:
            conversion_factor(energies[price.energy], price.unit)
        except ConfigError as error:
            place = source.place((*path, "unit"))
            yield ConfigError(f"{place}: {error.given}", allowed=error.allowed, todo=error.todo)
        key = price.energy, price.from_
        if key in seen:
            yield ConfigError(
                f"{source.place(path)}: {price.energy} has another price from {price.from_}",
                allowed="one price for an energy and a first day",
            )
        seen.add(key)


def _tariffs(site: Site, source: Source) -> Problems:
    tariffs = site.plant.assessment.tariffs
    days = [tariff.from_ for tariff in tariffs]
    resolved = {tariff.from_: tariff for tariff in tariffs_in_order(tariffs)}
    for index, tariff in enumerate(tariffs):
        place = source.place(("assessment", "tariffs", index))
        if tariff.from_ in days[:index]:
            yield ConfigError(
                f"{place}: there is another tariff from {tariff.from_}",
                allowed="one tariff for a first day",
            )
        elif tariff.from_ not in resolved:
            yield ConfigError(
                f"{place}: no `seasons`, and no tariff before it has any",
                allowed="`seasons` in the first tariff",
            )
        else:
            for name, months in _without_price(resolved[tariff.from_]):
                yield ConfigError(
                    f"{place}: no price of {name} in month {months}",
                    allowed="a price for each tariff period that has hours",
                    todo=f"state `{name}` under `prices`",
                )


def _without_price(tariff: Tariff) -> Iterator[tuple[str, str]]:
    for season in tariff.seasons:
        for name in season.hours:
            if tariff.price(season.months[0], name) is None:
                yield name, ", ".join(map(str, season.months))


def _billed(site: Site, source: Source) -> Problems:
    tariffs = site.plant.assessment.tariffs
    if not tariffs or not is_tree(site):
        return
    plant = site.plant
    root = plant.root
    allowed = NodeTree(plant.nodes, plant.all_meters).weights(root, "electricity")
    for index, tariff in enumerate(tariffs):
        place = source.place(("assessment", "tariffs", index))
        for meter_id in tariff.meters:
            if meter_id not in allowed:
                todo = "a tariff bills meters that make up the plant's electricity"
                yield unknown(place, "meter", meter_id, allowed, todo)


def _lines(site: Site, source: Source) -> Problems:
    products = site.plant.products
    for index, line in enumerate(site.plant.assessment.tiered_price):
        path: KeyPath = ("assessment", "tiered_price", index)
        if line.product not in products:
            place = source.place((*path, "product"))
            yield unknown(place, "product", line.product, products, "define it under products")
        elif line.norm is not None and line.norm not in products[line.product].norms:
            place = source.place((*path, "norm"))
            allowed = products[line.product].norms
            yield unknown(place, "norm", line.norm, allowed, "name one of the product's norms")
        if line.province is None and site.plant.plant.region is None:
            yield ConfigError(
                f"{source.place(path)}: no `province`, and the plant has no `region`",
                allowed="one of them: the rules differ by province",
            )
