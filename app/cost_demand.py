"""Charges for power: each month's highest demand, and the interval in which it stood."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import polars as pl

from app.published import Published
from app.spans import amounts_in
from app.structure import (
    ELECTRICITY,
    Electricity,
    billed,
    electricity_weights,
    in_force,
    root_of,
    sources_of,
)
from config.site import Site
from config.tables import CONSUMPTION
from config.tariffs import Tariff
from indicators.cost import Spent, demand_charge
from indicators.intensity import Bounded
from indicators.tariff_time import highest_demand
from pipeline.periods import By, periods

GRAINS: dict[int, By] = {15: "15min", 30: "30min"}


class Charge(NamedTuple):
    """What a month's power cost; ``start_utc`` is None where the contract alone counts."""

    month: str
    spent: Spent
    kw: Bounded
    start_utc: datetime | None
    coverage_ratio: float
    status: str


def charges_of(published: Published, electricity: Electricity) -> list[Charge]:
    """The charge of each month of the period in which a tariff has one."""
    row = electricity.row
    months = published.rows(CONSUMPTION).filter(
        pl.col("node_id") == row["node_id"],
        pl.col("energy_code") == ELECTRICITY,
        pl.col("grain") == "month",
        pl.col("start_utc") >= row["start_utc"],
        pl.col("end_utc") <= row["end_utc"],
    )
    found = [
        _charge(published, electricity, month)
        for month in months.sort("start_utc").iter_rows(named=True)
    ]
    return [one for one in found if one is not None]


def _charge(published: Published, electricity: Electricity, month: dict[str, Any]) -> Charge | None:
    site = published.site
    days = _days(site, electricity, month)
    last = next((tariff for tariff in reversed(days) if tariff is not None), None)
    if last is None or last.demand is None:
        return None
    indices = [i for i, one in enumerate(electricity.tariffs) if one in days]
    sources = tuple(sources_of(electricity.tariffs, indices))
    if last.demand.contracted_kw is not None:
        contracted = last.demand.contracted_kw
        kw, start, coverage, reason = Bounded(*[contracted] * 3), None, 1.0, ""
    else:
        kw, start, coverage, reason = _highest(published, last, month)
    prices = [
        (tariff.demand.cny_per_kw_month if tariff.demand else 0.0, 1.0)
        for tariff in days
        if tariff is not None
    ]
    spent = Spent(*demand_charge(kw, prices), sources, reason)
    if None in days:
        reason = f"demand of {month['period']}: no tariff is in force on some of its days"
        spent = Spent(None, None, None, sources, reason)
    status = "refused" if spent.value is None else month["status"]
    return Charge(month["period"], spent, kw, start, coverage, status)


def _days(site: Site, electricity: Electricity, month: dict[str, Any]) -> list[Tariff | None]:
    """The tariff of each day of the month."""
    zone = site.plant.plant.zone
    day: date = month["start_utc"].astimezone(zone).date()
    last = (month["end_utc"] - timedelta(microseconds=1)).astimezone(zone).date()
    found = []
    while day <= last:
        found.append(in_force(electricity.tariffs, day))
        day += timedelta(1)
    return found


def _highest(
    published: Published, tariff: Tariff, month: dict[str, Any]
) -> tuple[Bounded, datetime | None, float, str]:
    """Highest demand of the month [kW], its interval, the coverage, and what is to be said."""
    site = published.site
    minutes = tariff.demand.minutes if tariff.demand else 15
    meters = [
        meter_id
        for meter_id, weight in electricity_weights(site, root_of(site)).items()
        if weight > 0 and billed(tariff, meter_id)
    ]
    zone = site.plant.plant.zone
    spans = periods(GRAINS[minutes], month["start_utc"], month["end_utc"], zone)
    amounts = amounts_in(published, meters, spans)
    top = highest_demand(amounts, meters)
    coverage = amounts.group_by("meter_id").agg(pl.col("coverage_ratio").mean())
    least = coverage["coverage_ratio"].min()
    ratio = float(least) if isinstance(least, float) else 0.0
    what = f"demand of {month['period']}"
    if top.is_empty():
        return Bounded(None, None, None), None, ratio, f"{what}: nothing is known of it"
    start, kw, imputed, low, high = top.select("start_utc", "kw", "imputed", "low", "high").row(0)
    if ratio < site.plant.quality.required_coverage_ratio:
        reason = f"{what}: refused, with a coverage of {ratio:.1%}"
        return Bounded(None, low, high), None, ratio, reason
    said = f"{what}: the interval was not measured, but is a part of a gap" if imputed else ""
    return Bounded(kw, low, high), start, ratio, said
