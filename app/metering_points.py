"""Where a plant's flows of energy are to be measured, and where they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from app.published import Published
from config.errors import ConfigError
from config.metering import Unmetered
from config.models import Meter
from config.node_tree import NodeTree
from config.site import Site
from config.standards_metering import FAMILIES, EnergyClass, MeteringRow, energy_class
from config.tables import CONSUMPTION
from config.units import amount_unit_of, conversion_factor
from indicators.conversion import MJ_PER_KGCE
from indicators.intensity import Bounded
from indicators.metering import reaches

if TYPE_CHECKING:
    from datetime import date

    from app.metering import Rules

YEAR_S = 365 * 86400
LEAST_S = 28 * 86400
HOURS = 8760
Yearly = Mapping[tuple[str, str], Bounded]


@dataclass(frozen=True)
class Place:
    """A flow of one node and energy. ``points``: meters that it needs."""

    name: str
    node_id: str
    level: str
    energy: str
    energy_class: EnergyClass
    points: int
    needed: bool | None
    installed: bool | None
    why: str
    rows: tuple[str, ...]

    def told(self) -> dict[str, Any]:
        """For evidence."""
        names = ("name", "node_id", "energy", "points", "needed", "installed", "why")
        return {name: getattr(self, name) for name in names}


def yearly_amounts(published: Published, day: date) -> dict[tuple[str, str], Bounded]:
    """What a node takes of an energy in a year, by the twelve months before the day.

    Fewer months stand for the year from four weeks on; less time says nothing.
    """
    zone = published.site.plant.plant.zone
    end = datetime.combine(day + timedelta(1), time(0), zone).astimezone(UTC)
    seconds = (pl.col("end_utc") - pl.col("start_utc")).dt.total_seconds()
    months = published.rows(CONSUMPTION).filter(
        pl.col("grain") == "month",
        pl.col("start_utc") < end,
        pl.col("start_utc") >= end - timedelta(days=366),
        pl.col("amount").is_not_null(),
    )
    scaled = YEAR_S / seconds.sum()
    whole = {name: pl.col(name).null_count() == 0 for name in ("low", "high")}
    sums = months.group_by("node_id", "energy_code").agg(
        seconds=seconds.sum(),
        amount=pl.col("amount").sum() * scaled,
        **{name: pl.when(known).then(pl.col(name).sum() * scaled) for name, known in whole.items()},
    )
    return {
        (node_id, energy): Bounded(amount, low, high)
        for node_id, energy, lasted, amount, low, high in sums.iter_rows()
        if lasted >= LEAST_S
    }


def places_of(site: Site, rules: Rules, yearly: Yearly) -> Iterator[Place]:
    """Every flow that the tree's meters, or the assessment, tell of."""
    tree = NodeTree(site.plant.nodes, site.plant.all_meters)
    for node_id in site.plant.nodes:
        for energy in tree.energies:
            yield from _metered(site, rules, tree, yearly, node_id, energy)
    for one in site.plant.assessment.metering.unmetered:
        yield _unmetered(site, rules, tree, one)


def _metered(
    site: Site, rules: Rules, tree: NodeTree, yearly: Yearly, node_id: str, energy: str
) -> Iterator[Place]:
    meters = [
        meter_id
        for meter_id in tree.weights(node_id, energy)
        if site.plant.all_meters[meter_id].role != "non_production"
    ]
    rated = _rated(site, meters, energy)
    amount = yearly.get((node_id, energy), Bounded(None, None, None))
    needed, why, rows = _need(site, rules, node_id, energy, amount, rated)
    for meter_id in meters:
        installed, how = _installed(site.plant.meters.get(meter_id))
        exempt = "" if installed else _exempt(site, tree, node_id, energy)
        yield Place(
            meter_id, node_id, site.plant.nodes[node_id].level, energy, energy_class(energy), 1,
            False if exempt else needed, installed, "; ".join(filter(None, (exempt or why, how))),
            rows,
        )  # fmt: skip


def _exempt(site: Site, tree: NodeTree, node_id: str, energy: str) -> str:
    """Why an equipment needs no meter of its own: its unit has one. Else empty."""
    node = site.plant.nodes[node_id]
    if node.level != "equipment" or node.parent is None:
        return ""
    own = tree.own(node.parent, energy, "input")
    read = [one for one in own if one in site.plant.meters and site.plant.meters[one].connection]
    return f"its unit {node.parent} has a meter" if read else ""


def _installed(meter: Meter | None) -> tuple[bool | None, str]:
    if meter is None:
        return False, "a virtual meter is no instrument"
    if meter.connection is not None:
        return True, ""
    if meter.accuracy_class is not None or meter.calibrated_on is not None:
        return True, ""
    return None, "stated by a person; no accuracy class or calibration says by which instrument"


def _unmetered(site: Site, rules: Rules, tree: NodeTree, one: Unmetered) -> Place:
    amount = Bounded(*(one.yearly_amount,) * 3)
    needed, why, rows = _need(site, rules, one.node, one.energy, amount, one.rated_per_h)
    node = site.plant.nodes[one.node]
    if exempt := _exempt(site, tree, one.node, one.energy):
        needed, why = False, exempt
    told = "; ".join(filter(None, (one.note or "stated to have no meter", why)))
    return Place(
        f"{one.node}/{one.energy}", one.node, node.level, one.energy, energy_class(one.energy),
        one.points, needed, False, told, rows,
    )  # fmt: skip


def _need(
    site: Site, rules: Rules, node_id: str, energy: str, amount: Bounded, rated: float | None
) -> tuple[bool | None, str, tuple[str, ...]]:
    """Whether the node counts by the energy, why that is not known, and the rows that say so."""
    level = site.plant.nodes[node_id].level
    if level == "plant":
        return True, "", ()
    kind = "main_sub_unit" if level == "process" else "main_equipment"
    family = FAMILIES[0]
    rows = rules.find(family, kind, energy_class(energy)) or rules.find(family, kind, "other")
    if not rows or rows[0].value is None:
        return None, "from what size on it counts is not known here", ()
    row = rows[0]
    factor = _factor(site, energy, row, rules.day)
    if factor is None:
        return None, f"{energy} does not convert to {row.unit}", (row.id,)
    found = reaches(_against(row, amount, rated, factor), row.value)
    why = (
        ""
        if found is not None
        else f"neither use nor rated power tells of {row.value:g} {row.unit}"
    )
    return found, why, (row.id,)


def _against(row: MeteringRow, amount: Bounded, rated: float | None, factor: float) -> Bounded:
    """What is held against a threshold, in its unit: an amount a year, or a rate.

    The mean rate of a year is the least that the rated one can be; what is rated counts as it is.
    """
    if row.unit.endswith("/a"):
        return Bounded(*(None if one is None else one * factor for one in amount))
    if rated is not None:
        return Bounded(rated * factor, rated * factor, rated * factor)
    mean = None if amount.low is None else amount.low * factor / HOURS
    return Bounded(None, mean, None)


def _factor(site: Site, energy: str, row: MeteringRow, day: date) -> float | None:
    """From the energy's unit to that of the threshold; by its coal equivalent where need be."""
    amount = row.unit.removesuffix("/a")
    wanted, given = amount_unit_of(amount), site.library.energies[energy]
    try:
        return conversion_factor(given, wanted)
    except ConfigError:
        factor = site.library.factor(energy, "calorific", day)
        if factor is None or factor.kgce_per_unit is None:
            return None
    try:
        return factor.kgce_per_unit * MJ_PER_KGCE * conversion_factor("MJ", wanted)
    except ConfigError:
        return None


def _rated(site: Site, meters: list[str], energy: str) -> float | None:
    """Rated power or flow of what the meters measure, in the energy's unit an hour."""
    total = 0.0
    for meter_id in meters:
        meter = site.plant.meters.get(meter_id)
        if meter is None or meter.rated_per_h is None:
            return None
        unit = amount_unit_of(meter.unit)
        total += meter.rated_per_h * conversion_factor(unit, site.library.energies[energy])
    return total if meters else None
