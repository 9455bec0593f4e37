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
    sources_of,
)
from config.site import Site
from config.tables import CONSUMPTION
from config.tariffs import Tariff
from indicators.cost import Spent, demand_charge
from indicators.intensity import Bounded
from indicators.tariff_time import demand_spans, highest_demand


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
    by_minutes: dict[int, pl.DataFrame] = {}
    found = [
        _charge(published, electricity, month, by_minutes)
        for month in months.sort("start_utc").iter_rows(named=True)
    ]
    return [one for one in found if one is not None]


def _amounts(published: Published, row: dict[str, Any], minutes: int) -> pl.DataFrame:
    """What came in at each meter, by interval of the whole period."""
    zone = published.site.plant.plant.zone
    spans = demand_spans(row["start_utc"], row["end_utc"], minutes, zone)
    return amounts_in(published, _incoming(published.site), spans)


def _incoming(site: Site) -> list[str]:
    weights = electricity_weights(site, site.plant.root)
    return [meter_id for meter_id, weight in weights.items() if weight > 0]


def _charge(
    published: Published,
    electricity: Electricity,
    month: dict[str, Any],
    by_minutes: dict[int, pl.DataFrame],
) -> Charge | None:
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
        minutes = last.demand.minutes
        if minutes not in by_minutes:
            by_minutes[minutes] = _amounts(published, electricity.row, minutes)
        kw, start, coverage, reason = _highest(site, last, month, by_minutes[minutes])
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
    site: Site, tariff: Tariff, month: dict[str, Any], amounts: pl.DataFrame
) -> tuple[Bounded, datetime | None, float, str]:
    """Highest demand of the month [kW], its interval, the coverage, and what is to be said."""
    meters = [meter_id for meter_id in _incoming(site) if billed(tariff, meter_id)]
    begins = pl.col("start_utc")
    amounts = amounts.filter(
        pl.col("meter_id").is_in(meters), begins >= month["start_utc"], begins < month["end_utc"]
    )
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
