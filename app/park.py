"""`kgce park`: the green park's items over many plants, and its index."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from app import carbon
from app.park_site import ParkSite
from app.park_sums import FRESH_WATER, Sums, sums_of
from app.published import grain_of
from config.rubric import RubricEvidence
from config.standards import weakest
from config.standards_files import read_dataset
from config.standards_rubric import GreenParkRow, RubricTierRow
from config.units import CNY_PER_VALUE_UNIT
from indicators.intensity import Bounded, Intensity
from indicators.numerators import energy_kinds
from indicators.park import Index, cut, index_of, rate, term_of, total
from indicators.rubric_totals import FAILED, PASSED, UNKNOWN, Gates, Reach, Total, reach_of

LISTED = ("item", "gate", "reference")


class Item(NamedTuple):
    """One item of the park: its figure, its term of the index, its status."""

    row: GreenParkRow
    figure: Intensity
    lead: float | None
    term: float | None
    points: float | None
    status: str
    reason: str
    confidence: str
    source: str
    fed: bool


class ParkResult(NamedTuple):
    """The park of one period."""

    site: ParkSite
    period: str
    sums: Sums
    items: tuple[Item, ...]
    green: Index
    gates: Gates
    tiers: tuple[Reach, ...]


Figure = Intensity | str
"""A figure, or why there is none."""


def park_of(site: ParkSite, period: str) -> ParkResult:
    """Every item of the park's forms. Raises InputError for a label that is no period."""
    grain_of(period)
    sums = sums_of(site, period)
    rows = [row for row in read_dataset(GreenParkRow).values() if row.kind in LISTED]
    fed = {name: figure(site, sums, period) for name, figure in SOURCES.items()}
    items = [
        _item(site, sums, row, fed.get(row.input), period)
        for row in rows
        if row.scheme in ("park", "low_carbon_park") or row.feeds != "no"
    ]
    able = [one for one in items if one.row.scheme == "park" and one.row.kind == "item"]
    index = index_of([one.row for one in able], {one.row.id: one.term for one in able})
    gates = _gates(items)
    points = Total(index.value, index.certain, index.value or float("inf"), 100.0)
    return ParkResult(
        site, period, sums, tuple(items), index, gates, tuple(reach_of(_tiers(site), points, gates))
    )


def tce(kgce: Bounded) -> Bounded:
    """Kilograms of coal equivalent in tonnes."""
    return Bounded(*(None if end is None else end / 1000 for end in kgce))


def _value(sums: Sums, period: str, scale: float) -> Bounded | str:
    if sums.added_value_cny is None:
        return f"no value added of {period}: state it under economy, of the park or of every plant"
    value = sums.added_value_cny / scale
    return Bounded(value, value, value)


def _output_rate(_site: ParkSite, sums: Sums, period: str) -> Figure:
    """Industrial added value for a tce [10^4 CNY/tce]."""
    value = _value(sums, period, CNY_PER_VALUE_UNIT)
    return value if isinstance(value, str) else rate(value, tce(sums.kgce()))


def _energy_per_value(_site: ParkSite, sums: Sums, period: str) -> Figure:
    """Energy for 10,000 CNY of added value [tce/10^4 CNY]."""
    value = _value(sums, period, CNY_PER_VALUE_UNIT)
    return value if isinstance(value, str) else rate(tce(sums.kgce()), value)


def _water_rate(_site: ParkSite, sums: Sums, period: str) -> Figure:
    """Added value for a cubic metre of fresh water, a tonne of it taken as one [CNY/m3]."""
    value, water = _value(sums, period, 1), sums.amount(FRESH_WATER)
    if isinstance(value, str) or water is None:
        return value if isinstance(value, str) else "no plant meters fresh water"
    return rate(value, water)


def _share(energies: frozenset[str], sums: Sums) -> Intensity:
    return rate(sums.kgce(energies), sums.kgce(), 100.0)


def _clean(site: ParkSite, sums: Sums, _period: str) -> Figure:
    """Share of the energies that the park names clean [%]."""
    clean = frozenset(site.park.clean_energies)
    return _share(clean, sums) if clean else "name the clean energies under clean_energies"


def _electric(site: ParkSite, sums: Sums, _period: str) -> Figure:
    """Share of electricity in the coal equivalent of all energy [%]."""
    kinds = energy_kinds(next(iter(site.plants.values())).site.library)
    return _share(frozenset(code for code, kind in kinds.items() if kind == "electricity"), sums)


def _renewable(site: ParkSite, sums: Sums, period: str) -> Figure:
    """Renewable energy over total energy [%], certificates counted once."""
    if site.park.basis != "calorific":
        return "the sheet of renewable energy has the calorific basis alone"
    found = []
    for plant, published in site.plants.items():
        if plant in sums.absent:
            return f"no figures of {plant}"
        rows = carbon.renewables(published, period).filter(item="renewable", subject="all")
        found += [Bounded(row["value"], row["low"], row["high"]) for row in rows.to_dicts()]
    return rate(total(found), tce(sums.kgce()), 100.0)


def _carbon_cut(site: ParkSite, sums: Sums, period: str) -> Figure:
    """Yearly cut of carbon for the added value [%]."""
    before = f"{int(period[:4]) - 1}{period[4:]}"
    figures = [
        _carbon_per_value(site, one, label)
        for one, label in ((sums_of(site, before), before), (sums, period))
    ]
    for one in figures:
        if isinstance(one, str):
            return one
    first, second = (one.value for one in figures if isinstance(one, Intensity))
    if not first or second is None:
        return "the carbon of this year or of the one before is not known"
    change = cut(first, second)
    return Intensity(change, None, None, "")


def _carbon_per_value(site: ParkSite, sums: Sums, period: str) -> Figure:
    """CO2 for 10,000 CNY of added value [tCO2/10^4 CNY]; what a plant passes on is deducted from
    its own, or else nothing is known of the sum."""
    value = _value(sums, period, CNY_PER_VALUE_UNIT)
    if isinstance(value, str) or sums.absent:
        return value if isinstance(value, str) else f"no figures of {', '.join(sums.absent)}"
    if sums.removed:
        return "energy passed on that its sender does not deduct: its carbon would count twice"
    found = []
    for published in site.plants.values():
        rows = carbon.carbon(published, period).filter(scope="total", source="all")
        found += [Bounded(row["value"], row["low"], row["high"]) for row in rows.to_dicts()]
    return rate(total(found), value)


SOURCES: dict[str, Callable[[ParkSite, Sums, str], Figure]] = {
    "energy_output_rate": _output_rate,
    "energy_per_added_value": _energy_per_value,
    "water_output_rate": _water_rate,
    "clean_energy_ratio": _clean,
    "electrification_ratio": _electric,
    "renewable_ratio": _renewable,
    "carbon_cut_ratio": _carbon_cut,
    "carbon_per_added_value": _carbon_per_value,
}


def _item(
    site: ParkSite, sums: Sums, row: GreenParkRow, figure: Figure | None, period: str
) -> Item:
    own = next((one for one in site.park.references if one.item == row.id), None)
    lead = own.lead if own is not None else row.lead
    stated = _stated(site, row.id, int(period[:4]))
    if isinstance(figure, Intensity) and (figure.value is not None or stated is None):
        return _by_figure(sums, row, figure, lead, own is not None)
    missing = figure if isinstance(figure, str) else ""
    if stated is None:
        reason = "; ".join(filter(None, (missing, row.note)))
        empty = Intensity(None, None, None, "")
        return Item(
            row, empty, lead, None, None, "needs_evidence", reason, row.confidence, "", False
        )
    return _by_evidence(row, stated, lead)


def _stated(site: ParkSite, item: str, year: int) -> RubricEvidence | None:
    fitting = [one for one in site.park.evidence if one.item == item and one.year in (None, year)]
    return max(fitting, key=lambda one: one.year is not None, default=None)


def _by_figure(
    sums: Sums, row: GreenParkRow, figure: Intensity, lead: float | None, own: bool
) -> Item:
    refused = sums.status == "refused"
    if refused or figure.value is None:
        reason = f"unknown: {', '.join(sums.absent)}" if sums.absent else figure.reason
        figure = figure._replace(value=None)
        status = "refused" if refused else "needs_evidence"
        return Item(row, figure, lead, None, None, status, reason, sums.confidence, "figures", True)
    term = None if lead is None else term_of(figure.value, lead, row.direction)
    status = "provisional" if sums.status == "partial" else _judged(term)
    confidence = weakest((sums.confidence, "seen" if own else row.confidence))
    reason = "" if own or row.confidence == "seen" else row.note
    return Item(row, figure, lead, term, None, status, reason, confidence, "figures", True)


def _judged(term: float | None) -> str:
    if term is None:
        return "no_reference"
    return "met" if term >= 1 else "not_met" if term <= 0 else "partly_met"


def _by_evidence(row: GreenParkRow, stated: RubricEvidence, lead: float | None) -> Item:
    source = f"{stated.document} ({stated.dated}, {stated.by})"
    empty = Intensity(None, None, None, "")
    if stated.points is not None:
        status = (
            "met" if stated.points == row.points else _judged(stated.points / (row.points or 1))
        )
        return Item(
            row, empty, None, None, stated.points, status, "", row.confidence, source, False
        )
    if stated.value is not None:
        figure = Intensity(stated.value, stated.value, stated.value, "")
        term = None if lead is None else term_of(stated.value, lead, row.direction)
        return Item(row, figure, lead, term, None, _judged(term), "", row.confidence, source, False)
    term = float(bool(stated.met))
    points = None if row.points is None else term * row.points
    return Item(row, empty, lead, term, points, _judged(term), "", row.confidence, source, False)


def _gates(items: list[Item]) -> Gates:
    """The park's basic requirements; what is only encouraged bars nothing."""
    gates = [one for one in items if one.row.kind == "gate" and one.row.requirement == "required"]
    failed = tuple(one.row.id for one in gates if one.status == "not_met")
    unknown = tuple(one.row.id for one in gates if one.status not in ("met", "not_met"))
    return Gates(FAILED if failed else UNKNOWN if unknown else PASSED, failed, unknown)


def _tiers(site: ParkSite) -> list[RubricTierRow]:
    region = (site.park.park.region or "")[:2]
    rows = read_dataset(RubricTierRow).values()
    return [row for row in rows if row.subject == "park" and row.region[:2] == region]
