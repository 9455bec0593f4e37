"""`kgce cost`: what the plant's energy cost, and what each product's did."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import polars as pl

from app.cost_demand import Charge, charges_of
from app.cost_products import Made, energy_rows, product_lines
from app.cost_rows import Line, lines_frame, total_line
from app.published import Published, made_once
from app.structure import ELECTRICITY, ORDER, Electricity, electricity_of, sources_of
from config.errors import InputError
from config.site import Site
from config.standards import Basis, weakest
from config.tables import CONSUMPTION
from config.tariffs import prices_in_order
from indicators.coal import coefficient, label_day
from indicators.cost import Spent, Use, cny_per_kgce, cost, price_spans, priced, total_cost
from indicators.intensity import Bounded

SCREEN = (
    "subject", "item", "energy_code", "tariff_period", "month", "value", "unit", "low", "high",
    "share_pct", "amount", "amount_unit", "price", "demand_start_utc", "status", "reason",
)  # fmt: skip
PLANT = "plant"


@made_once
def cost_sheet(published: Published, period: str) -> pl.DataFrame:
    """The sheet COST: the plant's lines and total, then each product's.

    Raises InputError where nothing is published for the period.
    """
    published.require(period)
    site = published.site
    electricity = electricity_of(published, period) if site.plant.assessment.tariffs else None
    lines = []
    for row in _root_rows(published, period).iter_rows(named=True):
        if row["energy_code"] == ELECTRICITY and electricity is not None:
            lines += _by_tariff(electricity, site)
            lines += [_demand_line(one) for one in charges_of(published, electricity)]
        else:
            lines.append(_energy_line(published, row))
    whole = [*lines, total_line(PLANT, lines)] if lines else []
    made = Made(mean_prices(lines), period)
    products = [product_lines(published, made, one) for one in site.plant.products]
    return lines_frame(period, [whole, *products])


def money_of_kgce(
    published: Published, period: str, product: str | None = None, basis: Basis = "calorific"
) -> tuple[Bounded, str, str]:
    """What a kgce costs the plant, or a product [CNY/kgce]; a reason; and the confidence.

    All costs of energy, demand charges too, by all coal equivalent of the period. Without value
    where any energy's cost or coal equivalent is unknown; ``reason`` then says which. Raises
    InputError for a period or product that there is not.
    """
    if product is not None and product not in published.site.plant.products:
        raise InputError(f"product {product!r}", allowed=", ".join(published.site.plant.products))
    sheet = cost_sheet(published, period).filter(
        pl.col("subject") == (product or PLANT), pl.col("item") == "total"
    )
    if sheet.is_empty():
        return Bounded(None, None, None), "no energy has a cost", weakest([])
    total = sheet.row(0, named=True)
    kgce, confidence = _kgce(published, period, product, basis)
    spent = Bounded(total["value"], total["low"], total["high"])
    reason = total["reason"] or ("" if kgce else "its coal equivalent is not known")
    return cny_per_kgce(spent, kgce), reason, confidence


def _kgce(
    published: Published, period: str, product: str | None, basis: Basis
) -> tuple[float | None, str]:
    rows = (
        _root_rows(published, period)
        if product is None
        else energy_rows(published, period, product)[0]
    )
    found: list[float] = []
    confidences = []
    for row in rows.iter_rows(named=True):
        library, day = published.site.library, label_day(row["period"])
        by = coefficient(library, row["energy_code"], row["unit"], basis, day)
        if row["amount"] is None or by.kgce_per_unit is None:
            return None, weakest([])
        found.append(row["amount"] * by.kgce_per_unit)
        confidences.append(by.confidence)
    return math.fsum(found), weakest(confidences)


def _root_rows(published: Published, period: str) -> pl.DataFrame:
    root = published.site.plant.root
    return published.of(CONSUMPTION, period).filter(pl.col("node_id") == root)


def _energy_line(published: Published, row: dict[str, Any]) -> Line:
    """An energy at its dated prices."""
    site, energy = published.site, row["energy_code"]
    prices = prices_in_order(site.plant.assessment.prices, energy)
    zone = site.plant.plant.zone
    spans = price_spans(prices, row["unit"], row["start_utc"], row["end_utc"], zone)
    spent = priced(_use(row), _finer(published, row) if len(spans) > 1 else [], spans)
    reason = f"{energy}: {spent.reason}" if spent.reason else ""
    return Line(
        PLANT,
        "energy_cost",
        spent._replace(reason=reason),
        energy=energy,
        amount=Bounded(row["amount"], row["low"], row["high"]),
        amount_unit=row["unit"],
        coverage_ratio=row["coverage_ratio"],
        status="refused" if spent.value is None else row["status"],
    )


def _use(row: dict[str, Any]) -> Use:
    return Use(row["start_utc"], row["end_utc"], row["amount"], row["low"], row["high"])


def _finer(published: Published, row: dict[str, Any]) -> list[list[Use]]:
    """The same energy by month, where the row is of a year, and by day."""
    same = published.rows(CONSUMPTION).filter(
        pl.col("node_id") == row["node_id"],
        pl.col("energy_code") == row["energy_code"],
        pl.col("start_utc") >= row["start_utc"],
        pl.col("end_utc") <= row["end_utc"],
    )
    grains = ("month", "day") if row["grain"] == "year" else ("day",)
    return [
        [_use(one) for one in same.filter(pl.col("grain") == grain).iter_rows(named=True)]
        for grain in grains
    ]


def _by_tariff(found: Electricity, site: Site) -> list[Line]:
    names = [name for name in ORDER if name in found.parts["tariff_period"].to_list()]
    required = site.plant.quality.required_coverage_ratio
    return [_tariff_line(found, name, required) for name in names]


def _tariff_line(found: Electricity, name: str, required: float) -> Line:
    parts = found.parts.filter(pl.col("tariff_period") == name).rows(named=True)
    hours = math.fsum(part["hours"] for part in parts)
    coverage = math.fsum(part["coverage_ratio"] * part["hours"] for part in parts) / hours
    sources = tuple(sources_of(found.tariffs, {part["tariff"] for part in parts}))
    spent = total_cost(_part_cost(part, sources, name) for part in parts)
    amounts = [Bounded(part["amount"], part["low"], part["high"]) for part in parts]
    if coverage < required:
        reason = f"{ELECTRICITY} {name}: refused, with a coverage of {coverage:.1%}"
        spent = spent._replace(value=None, reason=reason)
    return Line(
        PLANT,
        "energy_cost",
        spent,
        energy=ELECTRICITY,
        tariff_period=name,
        amount=_added(amounts) if coverage >= required else _added(amounts)._replace(value=None),
        amount_unit=found.row["unit"],
        coverage_ratio=coverage,
        status="refused" if spent.value is None else found.row["status"],
    )


def _part_cost(part: dict[str, Any], sources: tuple[str, ...], name: str) -> Spent:
    amount = Bounded(part["amount"], part["low"], part["high"])
    if part["cny_per_kwh"] is None:
        reason = f"{ELECTRICITY} {name}: no price is stated"
        return Spent(None, None, None, sources, reason)
    unknown = f"{ELECTRICITY} {name}: its amount is not known" if amount.value is None else ""
    return Spent(*cost(amount, part["cny_per_kwh"]), sources, unknown)


def _added(amounts: Sequence[Bounded]) -> Bounded:
    return Bounded(*total_cost(Spent(*one, (), "") for one in amounts)[:3])


def _demand_line(charge: Charge) -> Line:
    return Line(
        PLANT,
        "demand_charge",
        charge.spent,
        energy=ELECTRICITY,
        month=charge.month,
        amount=charge.kw,
        amount_unit="kW",
        demand_start_utc=charge.start_utc,
        coverage_ratio=charge.coverage_ratio,
        status=charge.status,
    )


def mean_prices(lines: Sequence[Line]) -> dict[str, float]:
    """Mean price of each energy of the plant [CNY/unit]: all its costs, demand charges too.

    Without those that are unknown or of which nothing was used.
    """
    found = {}
    for energy in dict.fromkeys(line.energy for line in lines):
        mine = [line for line in lines if line.energy == energy]
        spent = total_cost(line.spent for line in mine).value
        amounts = [line.amount.value for line in mine if line.item == "energy_cost"]
        if spent is not None and None not in amounts:
            amount = math.fsum(one for one in amounts if one is not None)
            if amount > 0:
                found[energy] = spent / amount
    return found
