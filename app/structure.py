"""`kgce structure`: what the plant's energy is made of, and when its electricity was used."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

import polars as pl

from app.published import Published
from app.spans import amounts_in
from config.node_tree import NodeTree
from config.sheets.cost import TARIFF_PERIODS
from config.site import Site
from config.standards import Basis
from config.tables import CONSUMPTION
from config.tariffs import TARIFF_PERIODS as NAMES
from config.tariffs import Tariff, prices_in_order, tariffs_in_order
from indicators.cost import price_spans
from indicators.shares import sum_or_none
from indicators.structure import by_energy, by_process, per_value
from indicators.tariff_time import NO_TARIFF, NOT_BILLED, tariff_amounts, tariff_runs

ELECTRICITY = "electricity"
ORDER = (*NAMES, NO_TARIFF, NOT_BILLED)
SCREEN: tuple[str, ...] = (
    "part", "basis", "value", "unit", "low", "high", "share_pct", "amount", "amount_unit",
    "coverage_ratio", "status", "confidence", "reason",
)  # fmt: skip
TARIFF_SCREEN: tuple[str, ...] = (
    "tariff_period", "value", "unit", "low", "high", "imputed", "share_pct", "hours",
    "cny_per_kwh", "coverage_ratio", "status", "reason",
)  # fmt: skip


class Electricity(NamedTuple):
    """The plant's electricity of a period: its row of CONSUMPTION, and ``parts``, of
    `indicators.tariff_time.tariff_amounts`."""

    row: dict[str, Any]
    parts: pl.DataFrame
    tariffs: Sequence[Tariff]


def structure(published: Published, period: str, bases: Sequence[Basis]) -> pl.DataFrame:
    """The sheet STRUCTURE: by energy, by process, per value. Raises InputError for no figures."""
    published.require(period)
    site, rows = published.site, published.of(CONSUMPTION, period)
    root, library = site.plant.root, site.library
    below = NodeTree(site.plant.nodes, site.plant.all_meters).children(root)
    own = rows.filter(pl.col("node_id") == root)
    economy = site.plant.assessment.economy
    made = [
        sheet
        for basis in bases
        for sheet in (
            by_energy(own, library, period, basis),
            by_process(rows, root, below, library, period, basis),
            per_value(own, economy, library, period, basis),
        )
    ]
    return pl.concat(made)


def electricity_of(published: Published, period: str) -> Electricity | None:
    """The plant's electricity by tariff period and price; None where none is metered."""
    site = published.site
    root = site.plant.root
    own = published.of(CONSUMPTION, period).filter(
        pl.col("node_id") == root, pl.col("energy_code") == ELECTRICITY
    )
    if own.is_empty():
        return None
    row = own.row(0, named=True)
    tariffs = tariffs_in_order(site.plant.assessment.tariffs)
    start, end, zone = row["start_utc"], row["end_utc"], site.plant.plant.zone
    prices = prices_in_order(site.plant.assessment.prices, ELECTRICITY)
    runs = tariff_runs(tariffs, start, end, zone, [price.from_ for price in prices])
    others = pl.DataFrame(
        [(s.start_utc, s.cny_per_unit) for s in price_spans(prices, "kWh", start, end, zone)],
        schema={"start_utc": runs.schema["start_utc"], "other_cny_per_kwh": pl.Float64},
        orient="row",
    )
    runs = runs.join_asof(others.sort("start_utc"), on="start_utc")
    weights = _weights(site, root, tariffs)
    amounts = amounts_in(published, weights["meter_id"].unique().to_list(), runs)
    return Electricity(row, tariff_amounts(amounts, runs, weights), tariffs)


def billed(tariff: Tariff, meter_id: str) -> bool:
    """Whether the tariff bills the meter."""
    return not tariff.meters or meter_id in tariff.meters


def electricity_weights(site: Site, root: str) -> dict[str, int]:
    """Meters that make up the plant's electricity, with +1 or -1."""
    return NodeTree(site.plant.nodes, site.plant.all_meters).weights(root, ELECTRICITY)


def _weights(site: Site, root: str, tariffs: Sequence[Tariff]) -> pl.DataFrame:
    rows = [
        (index, meter_id, weight, index < 0 or billed(tariffs[index], meter_id))
        for index in (-1, *range(len(tariffs)))
        for meter_id, weight in electricity_weights(site, root).items()
    ]
    schema = {
        "tariff": pl.Int64, "meter_id": pl.String, "weight": pl.Int64, "billed": pl.Boolean,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


def tariff_periods(published: Published, period: str) -> pl.DataFrame:
    """The sheet TARIFF_PERIODS; empty where no electricity is metered. Raises InputError."""
    published.require(period)
    found = electricity_of(published, period)
    schema = TARIFF_PERIODS.polars_schema()
    if found is None:
        return schema.to_frame()
    required = published.site.plant.quality.required_coverage_ratio
    names = [name for name in ORDER if name in found.parts["tariff_period"].to_list()]
    rows = [_row(found, name, required) for name in names]
    rows.append(_whole(found, rows))
    known = math.fsum(row["value"] for row in rows[:-1] if row["value"] is not None)
    for row in rows:
        value = row["value"]
        row["share_pct"] = None if value is None or known <= 0 else 100 * value / known
    return pl.DataFrame([{"period": period, **row} for row in rows], schema=schema)


def _row(found: Electricity, name: str, required: float) -> dict[str, Any]:
    parts = found.parts.filter(pl.col("tariff_period") == name).rows(named=True)
    hours = math.fsum(part["hours"] for part in parts)
    coverage = math.fsum(part["coverage_ratio"] * part["hours"] for part in parts) / hours
    amount = sum_or_none(part["amount"] for part in parts)
    refused = amount is None or coverage < required
    imputed = math.fsum(part["imputed"] for part in parts)
    reason = f"refused, with a coverage of {coverage:.1%}" if refused else ""
    if not refused and imputed:
        reason = f"{imputed:.6g} kWh are imputed: gaps, laid out evenly"
    return {
        "tariff_period": name,
        "value": None if refused else amount,
        "low": sum_or_none(part["low"] for part in parts),
        "high": sum_or_none(part["high"] for part in parts),
        "unit": found.row["unit"],
        "measured": math.fsum(part["measured"] for part in parts),
        "imputed": imputed,
        "hours": hours,
        "cny_per_kwh": _mean_price(parts),
        "coverage_ratio": coverage,
        "status": "refused" if refused else found.row["status"],
        "sources": "; ".join(sources_of(found.tariffs, {part["tariff"] for part in parts})),
        "reason": reason,
    }


def _whole(found: Electricity, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The published figure; its bounds know that a gap inside the period is exact."""
    row, parts = found.row, sum_or_none(row["value"] for row in rows)
    differs = None not in (parts, row["amount"]) and not math.isclose(
        parts or 0.0, row["amount"], rel_tol=1e-9, abs_tol=1e-6
    )
    return {
        "tariff_period": "total",
        "value": row["amount"],
        "low": row["low"],
        "high": row["high"],
        "unit": row["unit"],
        "measured": math.fsum(one["measured"] for one in rows),
        "imputed": math.fsum(one["imputed"] for one in rows),
        "hours": (row["end_utc"] - row["start_utc"]).total_seconds() / 3600,
        "cny_per_kwh": None,
        "coverage_ratio": row["coverage_ratio"],
        "status": row["status"],
        "sources": "; ".join(sources_of(found.tariffs, range(len(found.tariffs)))),
        "reason": f"the intervals now sum to {parts:.6g} kWh" if differs else "",
    }


def _mean_price(parts: Sequence[dict[str, Any]]) -> float | None:
    """By amount; the one price where there is only one."""
    prices = [part["cny_per_kwh"] for part in parts]
    if len({*prices}) == 1:
        price: float | None = prices[0]
        return price
    amount = sum_or_none(part["amount"] for part in parts)
    if None in prices or not amount:
        return None
    return math.fsum(part["amount"] * part["cny_per_kwh"] for part in parts) / amount


def sources_of(tariffs: Sequence[Tariff], which: Sequence[int] | set[int] | range) -> list[str]:
    """Where the tariffs of these indices are from."""
    return [f"tariff {one.from_}: {one.source}" for i, one in enumerate(tariffs) if i in which]


def in_force(tariffs: Sequence[Tariff], day: date) -> Tariff | None:
    """The tariff of a day."""
    return next((one for one in reversed(tariffs) if one.from_ <= day), None)
