"""Whether the plant's words on its carbon name what exists, and count nothing twice."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from config.carbon import FuelCarbon
from config.check_reading import Problems, unknown
from config.check_tree import is_tree
from config.errors import ConfigError
from config.node_tree import NodeTree
from config.site import Site
from config.standards_emission import GRID_REGIONS, EmissionRow
from config.units import AMOUNT_UNITS, conversion_factor
from config.yaml import KeyPath, Source

HERE: KeyPath = ("assessment", "carbon")
CODES = "see config/standards/factors.csv for the codes"


def problems_of_carbon(site: Site, source: Source) -> Problems:
    """What is wrong with ``assessment.carbon``."""
    carbon = site.plant.assessment.carbon
    yield from _grid(site, source)
    for index, heat in enumerate(carbon.heat):
        yield from _heat(site, heat.energy, source.place((*HERE, "heat", index, "energy")))
    for index, fuel in enumerate(carbon.fuels):
        yield from _fuel(site, fuel, (*HERE, "fuels", index), source)
    for index, energy in enumerate(carbon.biomass):
        if energy not in site.library.energies:
            place = source.place((*HERE, "biomass", index))
            yield unknown(place, "energy", energy, site.library.energies, CODES)
    if is_tree(site):
        yield from _renewable_meters(site, source)
    rows: dict[str, list[Hashable]] = {
        "grid": [one.year for one in carbon.grid],
        "heat": [(one.energy, one.effective_from) for one in carbon.heat],
        "fuels": [(one.energy, one.effective_from) for one in carbon.fuels],
        "renewable_meters": [one.meter for one in carbon.renewable_meters],
        "certificates": [one.id for one in carbon.certificates],
    }
    for key, names in rows.items():
        yield from _twice(key, names, source)


def _twice(key: str, names: Iterable[Hashable], source: Source) -> Problems:
    first: dict[Hashable, int] = {}
    todo = {
        "certificates": "a certificate counts once: remove one of the rows",
        "heat": "with two suppliers, state the mean weighted by their heat",
    }
    for index, name in enumerate(names):
        if first.setdefault(name, index) != index:
            shown = ", from ".join(map(str, name)) if isinstance(name, tuple) else repr(name)
            yield ConfigError(
                f"{source.place((*HERE, key, index))}: {shown} stands twice",
                allowed="one row for each",
                todo=todo.get(key, "remove one of the rows"),
            )


def _grid(site: Site, source: Source) -> Problems:
    carbon = site.plant.assessment.carbon
    rows = site.rows(EmissionRow).values()
    if carbon.grid_region is not None and carbon.grid_region not in GRID_REGIONS:
        place = source.place((*HERE, "grid_region"))
        yield unknown(place, "grid region", carbon.grid_region, GRID_REGIONS, "name one of them")
    if carbon.fuel_set not in (sets := _names(rows, "fuel_set")):
        place = source.place((*HERE, "fuel_set"))
        yield unknown(place, "fuel set", carbon.fuel_set, sets, "name one of them")


def _names(rows: Iterable[EmissionRow], column: str) -> list[str]:
    return sorted({name for row in rows if (name := getattr(row, column))})


def _heat(site: Site, energy: str, place: str) -> Problems:
    heats = sorted({one.energy for one in site.library.factors if one.kind == "heat"})
    if energy not in heats:
        yield unknown(place, "heat", energy, heats, CODES)


def _fuel(site: Site, one: FuelCarbon, path: KeyPath, source: Source) -> Problems:
    rows = site.rows(EmissionRow).values()
    if one.energy not in site.library.energies:
        place = source.place((*path, "energy"))
        yield unknown(place, "energy", one.energy, site.library.energies, CODES)
        return
    for key, given, column in (
        ("fuel", one.fuel, "fuel"),
        ("fuel_set", one.fuel_set, "fuel_set"),
    ):
        names = _names(rows, column)
        if given is not None and given not in names:
            yield unknown(source.place((*path, key)), key, given, names, "name one of them")
    if (one.unit is None) != (one.ncv_gj_per_unit is None):
        yield ConfigError(
            f"{source.place(path)}: unit and ncv_gj_per_unit go together",
            todo="state both, or neither",
        )
    elif one.unit is not None:
        yield from _unit(site, one.energy, one.unit, source.place((*path, "unit")))


def _unit(site: Site, energy: str, unit: str, place: str) -> Problems:
    if unit not in AMOUNT_UNITS:
        yield unknown(place, "unit", unit, AMOUNT_UNITS, "name one of them")
        return
    try:
        conversion_factor(site.library.energies[energy], unit)
    except ConfigError as error:
        yield ConfigError(f"{place}: {error.given}", allowed=error.allowed)


def _renewable_meters(site: Site, source: Source) -> Problems:
    plant = site.plant
    tree = NodeTree(plant.nodes, plant.all_meters)
    root = plant.root
    for index, one in enumerate(plant.assessment.carbon.renewable_meters):
        for key, meters, sign in (("meter", (one.meter,), 1), ("sold", one.sold, -1)):
            place = source.place((*HERE, "renewable_meters", index, key))
            does, role = ("added to", "input") if sign > 0 else ("deducted from", "output")
            for meter_id in meters:
                meter = plant.all_meters.get(meter_id)
                if meter is None:
                    yield unknown(place, "meter", meter_id, plant.all_meters, "put it in the tree")
                elif meter.energy is None or (
                    tree.weights(root, meter.energy).get(meter_id, 0) != sign
                ):
                    yield ConfigError(
                        f"{place}: {meter_id!r} is not {does} what "
                        f"{root!r} consumes, so its energy would be counted wrongly",
                        allowed=f"a meter of {root!r} with role {role}",
                        todo="correct its node and role, or tag a virtual meter of what is used",
                    )
