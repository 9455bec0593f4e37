"""The audit's tables of energy: what was used, converted and recovered, balanced, and by which
factors it was converted."""

from __future__ import annotations

from typing import Any

import polars as pl

from app.published import Published, sheet_of, worst_status
from config.balance_tables import BALANCES, CONVERSIONS
from config.node_tree import NodeTree
from config.sheets import audit as sheets
from config.site import Site
from config.standards import BASES, weakest
from config.tables import CONSUMPTION, STATEMENTS
from config.units import KGCE_PER_TCE
from indicators.coal import coal_equivalent, coefficient, label_day
from indicators.shares import shares, sum_or_none
from pipeline.entries import entries_in_force

TOTAL = "total"
_STOCKS = ("opening_stock", "purchased", "closing_stock", "sold")
Row = dict[str, Any]


def consumption_summary(published: Published, year: str) -> pl.DataFrame:
    """What the plant used, by energy, on both bases, with raw material and stocks; the total."""
    site = published.site
    used = published.of(CONSUMPTION, year).filter(pl.col("node_id") == site.plant.root)
    raw, stated = _feedstock(published, year), _stated(published, year)
    rows = [_used(row, raw, stated, site) for row in used.iter_rows(named=True)]
    for row, share in zip(rows, shares([row["tce_calorific"] for row in rows]), strict=True):
        row["share_ratio"] = share
    return sheet_of(sheets.CONSUMPTION_SUMMARY, [*rows, _total(rows)] if rows else [])


def _used(row: Row, raw: dict[str, float | None], stated: dict[str, Row], site: Site) -> Row:
    energy = row["energy_code"]
    return {
        **row,
        **stated.get(energy, {}),
        "energy_name": site.library.energy_name(energy, "zh"),
        "tce_calorific": _tce(row["kgce_calorific"]),
        "tce_equivalent": _tce(row["kgce_equivalent"]),
        "feedstock_tce": raw.get(energy, 0.0),
    }


def _total(rows: list[Row]) -> Row:
    sums = {
        name: sum_or_none(row[name] for row in rows)
        for name in ("tce_calorific", "tce_equivalent", "feedstock_tce")
    }
    return {
        "energy_code": TOTAL,
        "energy_name": "合计",
        "amount": sums["tce_calorific"],
        "unit": "tce",
        "share_ratio": None if sums["tce_calorific"] is None else 1.0,
        **sums,
        "coverage_ratio": min(row["coverage_ratio"] for row in rows),
        "status": worst_status(row["status"] for row in rows),
        "confidence": weakest(row["confidence"] for row in rows),
    }


def _feedstock(published: Published, year: str) -> dict[str, float | None]:
    """Raw material inside the plant's consumption, by energy [tce, calorific]."""
    site, root = published.site, published.site.plant.root
    tree = NodeTree(site.plant.nodes, site.plant.all_meters)
    amounts = published.amounts(year)
    found: dict[str, float | None] = {}
    for energy in tree.energies:
        every = tree.weights(root, energy)
        fuel = tree.weights(root, energy, feedstock=False)
        parts = {
            meter_id: weight
            for meter_id in {*every, *fuel}
            if (weight := every.get(meter_id, 0) - fuel.get(meter_id, 0))
        }
        factor = coefficient(
            site.library, energy, site.library.energies[energy], "calorific", label_day(year)
        )
        kgce = [
            None
            if meter_id not in amounts
            or (amount := amounts[meter_id]["amount"]) is None
            or factor.kgce_per_unit is None
            else coal_equivalent(weight * amount, factor.kgce_per_unit)
            for meter_id, weight in parts.items()
        ]
        if parts:
            found[energy] = _tce(sum_or_none(kgce))
    return found


def _stated(published: Published, year: str) -> dict[str, Row]:
    """Stocks and purchases as stated, by energy: the year's first opening and last closing."""
    site, span = published.site, published.span(year)
    if span is None:
        return {}
    tree = NodeTree(site.plant.nodes, site.plant.all_meters)
    meters = {
        meter_id: energy
        for energy in tree.energies
        for meter_id, weight in tree.weights(site.plant.root, energy).items()
        if weight > 0
    }
    rows = entries_in_force(published.rows(STATEMENTS).lazy(), "meter_id", "consumed").collect()
    mine = rows.filter(
        pl.col("start_utc") >= span[0],
        pl.col("start_utc") < span[1],
        pl.col("meter_id").is_in(list(meters)),
    )
    by_meter = (
        mine.sort("start_utc")
        .group_by("meter_id")
        .agg(
            pl.col("opening_stock").first(),
            pl.col("purchased").sum(),
            pl.col("closing_stock").last(),
            pl.col("sold").sum(),
        )
    )
    energies = by_meter.with_columns(
        energy_code=pl.col("meter_id").replace_strict(meters, return_dtype=pl.String)
    )
    found = energies.group_by("energy_code").agg(pl.col(_STOCKS).sum())
    return {row["energy_code"]: row for row in found.iter_rows(named=True)}


def conversion(published: Published, year: str) -> pl.DataFrame:
    """Conversions with their efficiency, and what was recovered."""
    site = published.site
    rows = [
        {
            **row,
            "kind": "conversion",
            "amount": row["output"],
            "input_tce": _tce(row["input_kgce"]),
            "output_tce": _tce(row["output_kgce"]),
        }
        for row in published.of(CONVERSIONS, year).iter_rows(named=True)
    ]
    for row in published.amounts(year).values():
        meter = site.plant.all_meters.get(row["meter_id"])
        if meter is None or meter.role != "recovered" or meter.energy is None:
            continue
        factor = coefficient(site.library, meter.energy, row["unit"], "calorific", label_day(year))
        known = row["amount"] is not None and factor.kgce_per_unit is not None
        rows.append({
            **row,
            "kind": "recovery",
            "node_id": meter.node,
            "energy_code": meter.energy,
            "output_tce": _tce(row["amount"] * factor.kgce_per_unit) if known else None,
            "status": "refused" if row["amount"] is None else "complete",
            "confidence": factor.confidence,
        })  # fmt: skip
    return sheet_of(sheets.CONVERSION, [_named(row, site) for row in rows])


def balance(published: Published, year: str) -> pl.DataFrame:
    """What each node used, its share of the plant's, and how main and branches agree."""
    site = published.site
    used = published.of(CONSUMPTION, year)
    plant = {
        row["energy_code"]: row["amount"]
        for row in used.filter(pl.col("node_id") == site.plant.root).iter_rows(named=True)
    }
    held = {
        (row["node_id"], row["energy_code"]): {
            **{name: row[name] for name in ("branches", "residual", "tolerance")},
            "balance": row["status"],
        }
        for row in published.of(BALANCES, year).iter_rows(named=True)
    }
    rows = []
    for row in used.iter_rows(named=True):
        whole, part = plant.get(row["energy_code"]), row["amount"]
        rows.append({
            **_named(row, site),
            **held.get((row["node_id"], row["energy_code"]), {"balance": ""}),
            "tce_calorific": _tce(row["kgce_calorific"]),
            "share_ratio": part / whole if part is not None and whole else None,
        })  # fmt: skip
    return sheet_of(sheets.BALANCE, rows)


def factors(published: Published, year: str) -> pl.DataFrame:
    """The coefficients to standard coal of every energy that the plant used, on both bases."""
    library = published.site.library
    editions = {factor.id: factor.edition for factor in library.factors}
    rows: list[Row] = []
    for energy in sorted(published.of(CONSUMPTION, year)["energy_code"].unique()):
        unit = library.energies[energy]
        for basis in BASES:
            found = coefficient(library, energy, unit, basis, label_day(year))
            rows.append({
                "energy_code": energy,
                "energy_name": library.energy_name(energy, "zh"),
                "basis": basis,
                "unit": unit,
                "kgce_per_unit": found.kgce_per_unit,
                "factor": found.factor_id,
                "edition": editions.get(found.factor_id, ""),
                "confidence": found.confidence,
            })  # fmt: skip
    return sheet_of(sheets.FACTORS, rows)


def _named(row: Row, site: Site) -> Row:
    return {
        **row,
        "node_name": site.plant.nodes[row["node_id"]].name,
        "energy_name": site.library.energy_name(row["energy_code"], "zh"),
    }


def _tce(kgce: float | None) -> float | None:
    return None if kgce is None else kgce / KGCE_PER_TCE
