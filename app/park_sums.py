"""Numerators and denominators of a park: over all its plants, less what they pass on."""

from __future__ import annotations

from typing import Any, NamedTuple

import polars as pl

from app.park_site import ParkSite
from app.published import Published
from config.book_tables import METER_PERIODS
from config.economy import money_of
from config.park import Transfer
from config.standards import Basis, weakest
from config.standards_rows import Factor
from config.tables import CONSUMPTION
from indicators.coal import label_day
from indicators.intensity import Bounded
from indicators.park import total

FRESH_WATER = "water_fresh"
NOTHING = Bounded(0.0, 0.0, 0.0)
UNKNOWN = Bounded(None, None, None)


class Flow(NamedTuple):
    """One energy of one plant, or one transfer: amount and coal equivalent [kgce], with bounds."""

    plant: str
    energy: str
    amount: Bounded
    kgce: Bounded
    coverage_ratio: float | None
    status: str
    confidence: str
    row: str


class Sums(NamedTuple):
    """What a park's figures are made of, for one period; ``removed`` are transfers counted twice,
    ``kept`` those that the sender has deducted already."""

    flows: tuple[Flow, ...]
    removed: tuple[Flow, ...]
    kept: tuple[Flow, ...]
    added_value_cny: float | None
    absent: tuple[str, ...]

    def kgce(self, energies: frozenset[str] | None = None) -> Bounded:
        """Comprehensive energy of the park [kgce], or of some energies."""
        if self.absent:
            return UNKNOWN
        some = [one for one in self.flows if energies is None or one.energy in energies]
        twice = [one for one in self.removed if energies is None or one.energy in energies]
        return total([one.kgce for one in some], [one.kgce for one in twice])

    def amount(self, energy: str) -> Bounded | None:
        """Amount of one energy in its unit; None where no plant has it."""
        some = [one.amount for one in self.flows if one.energy == energy]
        twice = [one.amount for one in self.removed if one.energy == energy]
        return total(some, twice) if some else None

    @property
    def coverage_ratio(self) -> float | None:
        known = [one.coverage_ratio for one in self.flows if one.coverage_ratio is not None]
        return 0.0 if self.absent else min(known, default=None)

    @property
    def status(self) -> str:
        """refused, partial or complete: the worst of all plants."""
        statuses = {one.status for one in (*self.flows, *self.removed)}
        if self.absent or "refused" in statuses:
            return "refused"
        return "partial" if "partial" in statuses else "complete"

    @property
    def confidence(self) -> str:
        return weakest(one.confidence for one in (*self.flows, *self.removed))

    @property
    def rows(self) -> tuple[str, ...]:
        return tuple(one.row for one in (*self.flows, *self.removed))


def sums_of(site: ParkSite, period: str) -> Sums:
    """The park's energies of a month or year."""
    basis = site.park.basis
    flows = [
        flow
        for plant, published in site.plants.items()
        for flow in _flows(plant, published, period, basis)
    ]
    absent = tuple(sorted(set(site.plants) - {flow.plant for flow in flows}))
    removed: list[Flow] = []
    kept: list[Flow] = []
    for transfer in site.park.transfers:
        flow = _transfer(site, transfer, period)
        (kept if _deducted(site, transfer) else removed).append(flow)
    value = money_of(site.park.economy, "added_value_cny", period)
    if value is None:
        value = _sum_of_plants(site, period)
    return Sums(tuple(flows), tuple(removed), tuple(kept), value, absent)


def _sum_of_plants(site: ParkSite, period: str) -> float | None:
    economies = (one.site.plant.assessment.economy for one in site.plants.values())
    values = [money_of(rows, "added_value_cny", period) for rows in economies]
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _flows(plant: str, published: Published, period: str, basis: Basis) -> list[Flow]:
    site = published.site
    root = site.plant.root
    rows = published.of(CONSUMPTION, period).filter(pl.col("node_id") == root)
    factors = {factor.id: factor for factor in site.library.factors}
    found = []
    for row in rows.iter_rows(named=True):
        ids = row["factors"].split(";")
        factor = factors.get(ids[-1 if basis == "equivalent" else 0])
        amount = Bounded(row["amount"], row["low"], row["high"])
        found.append(
            Flow(
                plant,
                row["energy_code"],
                amount,
                _times(amount, factor),
                row["coverage_ratio"],
                row["status"],
                factor.confidence if factor is not None else "doubtful",
                f"{plant}|{root}|{row['energy_code']}|{period}",
            )
        )
    return found


def _times(amount: Bounded, factor: Factor | None) -> Bounded:
    per_unit = None if factor is None else factor.kgce_per_unit
    if per_unit is None:
        return UNKNOWN
    return Bounded(*(None if end is None else end * per_unit for end in amount))


def _deducted(site: ParkSite, transfer: Transfer) -> bool:
    """Whether the sender's consumption is already less it."""
    if transfer.deducted is not None:
        return transfer.deducted
    meters = site.plants[transfer.sender].site.plant.all_meters
    named = meters.get(transfer.meter or "")
    if named is not None:
        return named.role == "output"
    return any(one.energy == transfer.energy and one.role == "output" for one in meters.values())


def _transfer(site: ParkSite, transfer: Transfer, period: str) -> Flow:
    sender = site.plants[transfer.sender]
    factor = sender.site.library.factor(transfer.energy, site.park.basis, label_day(period))
    row = _metered(site, transfer, period) if transfer.meter is not None else None
    if transfer.meter is None:
        typed = _typed(transfer.amounts, period)
        amount, coverage = Bounded(typed, typed, typed), None
        name = f"transfer {transfer.sender} to {transfer.receiver}: {transfer.source or 'typed'}"
    else:
        ends = (None, None, None) if row is None else (row["amount"], row["low"], row["high"])
        amount, coverage = Bounded(*ends), None if row is None else row["coverage_ratio"]
        name = f"meter_periods|{transfer.meter}|{period}"
    required = sender.site.plant.quality.required_coverage_ratio
    poor = amount.value is None or (coverage is not None and coverage < required)
    if poor:
        amount = amount._replace(value=None)
    return Flow(
        transfer.sender,
        transfer.energy,
        amount,
        _times(amount, factor),
        coverage,
        "refused" if poor else "complete",
        factor.confidence if factor is not None else "doubtful",
        name,
    )


def _metered(site: ParkSite, transfer: Transfer, period: str) -> dict[str, Any] | None:
    for plant in (transfer.sender, transfer.receiver):
        rows = site.plants[plant].of(METER_PERIODS, period)
        mine = rows.filter(pl.col("meter_id") == transfer.meter)
        if len(mine):
            return mine.row(0, named=True)
    return None


def _typed(amounts: dict[str, float], period: str) -> float | None:
    """The amount of the period; of a year without one the sum of its twelve months."""
    if period in amounts or len(period) > 4:
        return amounts.get(period)
    months = [amounts.get(f"{period}-{month:02}") for month in range(1, 13)]
    known = [month for month in months if month is not None]
    return sum(known) if len(known) == len(months) else None
