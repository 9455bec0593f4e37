"""Which emission factor holds for an energy: of electricity by year and place, of heat, of fuels.

A choice is never silent: the row's id, and what is to be known of it, come with the number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import NamedTuple, TypeVar

from config.carbon import Carbon, FuelCarbon, HeatSupply
from config.errors import ConfigError
from config.site import Site
from config.standards import Library, weakest
from config.standards_emission import NATION, EmissionRow, RegionRow
from config.units import AMOUNT_UNITS, conversion_factor
from indicators.coal import coefficient
from indicators.conversion import MJ_PER_KGCE
from indicators.numerators import energy_kinds

CO2_PER_C = 44 / 12
Dated = TypeVar("Dated", HeatSupply, FuelCarbon)
# The constituents of a fuel's factor, and what they are called.
CONSTITUENTS = {
    "ncv_gj_per_unit": "calorific value",
    "carbon_tc_per_tj": "carbon content",
    "oxidation_ratio": "oxidation rate",
}


class EmissionFactor(NamedTuple):
    """An emission factor [tCO2/unit], with the id of its row.

    ``tco2_per_unit`` None: there is none, and ``note`` says why; else ``note`` is what is to be
    known of the choice, or empty.
    """

    tco2_per_unit: float | None
    unit: str
    row: str
    confidence: str
    note: str


class CarbonRules(NamedTuple):
    """What emission factors are chosen by: the plant's word, its region code, the rows."""

    settings: Carbon
    region: str
    library: Library
    rows: Mapping[str, EmissionRow]
    regions: Mapping[str, RegionRow]

    @classmethod
    def of(cls, site: Site) -> CarbonRules:
        """Those of a plant; kgce's own rule.

        >>> from config.example import works
        >>> CarbonRules.of(works()).settings.fuel_set
        'ndrc'
        """
        plant = site.plant
        rows, regions = site.rows(EmissionRow), site.rows(RegionRow)
        return cls(plant.assessment.carbon, plant.plant.region or "", site.library, rows, regions)


def fuel_tco2(ncv_gj_per_unit: float, carbon_tc_per_tj: float, oxidation_ratio: float) -> float:
    r"""CO2 of burning one unit of a fuel [tCO2/unit].

    .. math:: f = NCV \cdot c \cdot o \cdot \frac{44}{12} / 1000

    Net calorific value [GJ/unit], carbon content [tC/TJ], oxidation rate [1]. GB/T 32150-2015
    (clause not checked against the print) and the sector guidelines.

    >>> round(1000 * fuel_tco2(23.204, 26.18, 0.93), 1)
    2071.5
    """
    return ncv_gj_per_unit * carbon_tc_per_tj * oxidation_ratio * CO2_PER_C / 1000


def emission_factor(rules: CarbonRules, energy: str, unit: str, on: date) -> EmissionFactor | None:
    """CO2 of one ``unit`` of an energy that is used on the day ``on`` [tCO2/unit].

    None for an energy-carrying medium: energy-related CO2 is of fuels, electricity and heat (GB/T
    32150-2015, clause not checked against the print). A factor whose unit has another dimension is
    none, and says so.

    >>> from config.standards import read_library
    >>> from config.standards_files import read_dataset
    >>> ours = read_library(), read_dataset(EmissionRow), read_dataset(RegionRow)
    >>> rules = CarbonRules(Carbon(), "350000", *ours)
    >>> emission_factor(rules, "electricity", "kWh", date(2025, 9, 1))[:3]
    (0.0004211, 'kWh', 'grid|福建|2023')
    >>> round(emission_factor(rules, "diesel", "kg", date(2025, 9, 1)).tco2_per_unit, 7)
    0.0031451
    """
    kind = energy_kinds(rules.library).get(energy)
    if kind not in ("electricity", "heat", "fuel"):
        return None
    if kind == "electricity":
        return _per(grid_factor(rules, on.year), unit)
    if kind == "heat":
        return _of_heat(rules, energy, unit, on)
    return _per(fuel_factor(rules, energy, on), unit)


def _per(found: EmissionFactor, unit: str) -> EmissionFactor:
    """The same factor per ``unit``."""
    if found.tco2_per_unit is None:
        return found._replace(unit=unit)
    try:
        size = conversion_factor(unit, found.unit)
    except ConfigError:
        note = f"{found.row} is per {found.unit}, and amounts are in {unit}"
        return found._replace(tco2_per_unit=None, unit=unit, note=note)
    return found._replace(tco2_per_unit=found.tco2_per_unit * size, unit=unit)


def _of_heat(rules: CarbonRules, energy: str, unit: str, on: date) -> EmissionFactor:
    found = heat_factor(rules, energy, on)
    if found.tco2_per_unit is None or AMOUNT_UNITS[unit][0] == "energy":
        return _per(found, unit)
    content = coefficient(rules.library, energy, unit, "calorific", on)
    if content.kgce_per_unit is None:
        note = f"the heat of a {unit} is not known"
        return found._replace(tco2_per_unit=None, unit=unit, note=note)
    return found._replace(
        tco2_per_unit=found.tco2_per_unit * content.kgce_per_unit * MJ_PER_KGCE / 1000,
        unit=unit,
        confidence=weakest((found.confidence, content.confidence)),
    )


def grid_factor(rules: CarbonRules, year: int) -> EmissionFactor:
    """Factor of electricity from the grid in a year [tCO2/MWh].

    The plant's own row; else, of the place that ``grid_level`` names and then of each wider one,
    the row of the year, or of the latest earlier year; never of a later one. kgce's own rule: the
    announcements do not say what holds before a year's factor is out.

    >>> from config.standards import read_library
    >>> from config.standards_files import read_dataset
    >>> ours = read_library(), read_dataset(EmissionRow), read_dataset(RegionRow)
    >>> found = grid_factor(CarbonRules(Carbon(), "350000", *ours), 2025)
    >>> found.tco2_per_unit, found.row, found.note
    (0.4211, 'grid|福建|2023', 'of 2023, the latest up to 2025')
    """
    own = [one for one in rules.settings.grid if one.year <= year]
    if own:
        last = max(own, key=lambda one: one.year)
        note = f"the plant's own: {last.source}"
        row = f"plant|grid|{last.year}"
        return EmissionFactor(
            last.tco2_per_mwh, "MWh", row, "seen", _joined(note, _year(last.year, year))
        )
    skipped = "" if rules.region else "plant.region is not stated"
    for place, confidence in _places(rules):
        if row_of := _grid_row(rules, place, year):
            note = _joined(skipped, _year(int(row_of.year), year))
            worst = weakest((row_of.confidence, confidence))
            return EmissionFactor(row_of.tco2_per_unit, "MWh", row_of.id, worst, note)
        skipped = _joined(skipped, f"none of {place} up to {year}")
    return EmissionFactor(None, "MWh", "", "seen", f"no grid factor: {skipped}")


def _year(given: int, wanted: int) -> str:
    return "" if given == wanted else f"of {given}, the latest up to {wanted}"


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _places(rules: CarbonRules) -> Iterator[tuple[str, str]]:
    """Where a grid factor may be of, the nearest first, with how sure that is."""
    province = rules.regions.get(rules.region[:2])
    if province and rules.settings.grid_level == "province":
        yield province.name_zh, "seen"
    if rules.settings.grid_level != "nation":
        if rules.settings.grid_region:
            yield rules.settings.grid_region, "seen"
        elif province and province.grid_region:
            yield province.grid_region, province.confidence
    yield NATION, "seen"


def _grid_row(rules: CarbonRules, place: str, year: int) -> EmissionRow | None:
    asked = ("grid", place, rules.settings.grid_use)
    rows = [
        row
        for row in rules.rows.values()
        if (row.kind, row.region, row.use) == asked
        and row.tco2_per_unit is not None
        and int(row.year) <= year
    ]
    return max(rows, key=lambda row: int(row.year), default=None)


def heat_factor(rules: CarbonRules, energy: str, on: date) -> EmissionFactor:
    """Factor of purchased heat [tCO2/GJ]: the supplier's of the day, else the default.

    GB/T 32150-2015 (clause not checked against the print) and the sector guidelines, which prefer
    the supplier's.

    >>> from config.standards import read_library
    >>> from config.standards_files import read_dataset
    >>> ours = read_library(), read_dataset(EmissionRow), read_dataset(RegionRow)
    >>> heat_factor(CarbonRules(Carbon(), "", *ours), "heat", date(2025, 9, 1))[:3]
    (0.11, 'GJ', 'heat|default')
    """
    if own := _in_force(rules.settings.heat, energy, on):
        row = f"plant|{own.supplier}|{own.energy}|{own.effective_from}"
        return EmissionFactor(own.tco2_per_gj, "GJ", row, "seen", f"the supplier's: {own.source}")
    for found in rules.rows.values():
        if found.kind == "heat" and found.tco2_per_unit is not None:
            note = "default; state the supplier's under assessment.carbon.heat"
            return EmissionFactor(found.tco2_per_unit, found.unit, found.id, found.confidence, note)
    return EmissionFactor(None, "GJ", "", "seen", "no factor of heat")


def _in_force(rows: Iterable[Dated], energy: str, on: date) -> Dated | None:
    there = [one for one in rows if one.energy == energy and one.effective_from <= on]
    return max(there, key=lambda one: one.effective_from, default=None)


def fuel_factor(rules: CarbonRules, energy: str, on: date) -> EmissionFactor:
    """Factor of a fuel [tCO2 per unit of its row], by `fuel_tco2` where its constituents are known.

    The row of the chosen set, in which what the plant measured stands in the place of the set's.
    Another set is never taken silently: an energy without a row in the chosen set has no factor. A
    row that another contradicts makes the figure doubtful; biomass counts as none. GB/T 32150-2015
    (clause not checked against the print).

    >>> from config.standards import read_library
    >>> from config.standards_files import read_dataset
    >>> ours = read_library(), read_dataset(EmissionRow), read_dataset(RegionRow)
    >>> rules = CarbonRules(Carbon(), "", *ours)
    >>> fuel_factor(rules, "raw_coal", date(2025, 9, 1)).tco2_per_unit is None
    True
    >>> fuel_factor(rules, "biogas", date(2025, 9, 1)).tco2_per_unit
    0.0
    """
    own = _in_force(rules.settings.fuels, energy, on)
    if energy in rules.settings.biomass and own is None:
        return EmissionFactor(0.0, rules.library.energies[energy], "", "seen", "biomass")
    row = _fuel_row(rules, energy, own)
    given = {name: getattr(own, name, None) for name in CONSTITUENTS}
    known = {name: _first(given[name], getattr(row, name, None)) for name in CONSTITUENTS}
    measured = any(value is not None for value in given.values())
    row = None if all(value is not None for value in given.values()) else row
    missing = [CONSTITUENTS[name] for name, value in known.items() if value is None]
    ids, confidence, note = _origin(own, row, measured)
    unit = (own.unit if own else None) or (row.unit if row else rules.library.energies[energy])
    if not missing:
        value: float | None = fuel_tco2(**{k: v for k, v in known.items() if v is not None})
    else:
        value = None if measured or row is None else row.tco2_per_unit
    if value is None:
        note = _why_none(rules, energy, own, row, missing)
    elif given["ncv_gj_per_unit"] is None:
        note = _joined(note, _other_calorific_value(rules.library, energy, on))
    return EmissionFactor(value, unit, ids, confidence, note)


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def _fuel_row(rules: CarbonRules, energy: str, own: FuelCarbon | None) -> EmissionRow | None:
    fuel_set = (own.fuel_set if own else None) or rules.settings.fuel_set
    fuel = own.fuel if own else None
    for row in rules.rows.values():
        of_it = row.fuel == fuel if fuel else row.energy == energy
        if row.kind == "fuel" and row.fuel_set == fuel_set and of_it:
            return row
    return None


def _origin(
    own: FuelCarbon | None, row: EmissionRow | None, measured: bool
) -> tuple[str, str, str]:
    """Ids, weakest confidence, and what is to be known of a factor of a fuel."""
    ids = [own.id] if own and measured else []
    ids += [row.id] if row else []
    conflict = row.conflicts_with if row else ""
    confidence = "doubtful" if conflict else row.confidence if row else "seen"
    said = f"{row.id} contradicts {conflict}" if row and conflict else ""
    return ";".join(ids), confidence, _joined(own.source if own else "", said)


def _other_calorific_value(library: Library, energy: str, on: date) -> str:
    factor = library.factor(energy, "calorific", on)
    if factor is None or factor.scope != "plant":
        return ""
    return "by the set's calorific value, not by the plant's own of `factors`"


def _why_none(
    rules: CarbonRules,
    energy: str,
    own: FuelCarbon | None,
    row: EmissionRow | None,
    missing: list[str],
) -> str:
    if row is not None:
        return f"{row.id}: {', '.join(missing)} not known; state it under assessment.carbon.fuels"
    fuel_set = (own.fuel_set if own else None) or rules.settings.fuel_set
    name = (own.fuel if own else None) or energy
    others = sorted(
        {one.fuel_set for one in rules.rows.values() if name in (one.fuel, one.energy)} - {""}
    )
    there = f"; there is one in {', '.join(others)}" if others else ""
    return (
        f"no row of {name} in the set {fuel_set}{there}: state under assessment.carbon.fuels which "
        "fuel and set it is, or what was measured"
    )
