"""The audit's tables of products and ledgers: unit consumption, savings, meters, equipment."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import polars as pl

from app.published import Published, exactly, plant_tce, sheet_of, worst_status
from config.economy import money_of
from config.sheets import audit as sheets
from config.standards import weakest
from config.tables import CONSUMPTION, INDICATORS
from config.units import CNY_PER_VALUE_UNIT, KGCE_PER_TCE
from indicators.intensity import Bounded, Intensity, intensity
from indicators.metering import calibration
from indicators.savings import energy_saved_between


def products(published: Published, year: str) -> pl.DataFrame:
    """Unit consumption of each product with its arithmetic, this year and the year before."""
    site, keys = published.site, ("subject", "indicator", "norm")
    before = {
        tuple(row[key] for key in keys): row
        for row in published.of(INDICATORS, _before(year)).iter_rows(named=True)
    }
    rows = []
    for row in published.of(INDICATORS, year).iter_rows(named=True):
        old = before.get(tuple(row[key] for key in keys), {})
        now, then = row["value"], old.get("value")
        change = None if now is None or then is None else now - then
        rows.append({
            **row,
            **{f"before_{name}": old.get(name) for name in
               ("value", "low", "high", "numerator", "denominator")},
            "before_status": old.get("status", ""),
            "product_id": row["subject"],
            "product_name": site.plant.products[row["subject"]].name,
            "change": change,
            "change_ratio": change / abs(then) if change is not None and then else None,
        })  # fmt: skip
    return sheet_of(sheets.PRODUCTS, rows)


def savings(published: Published, year: str) -> pl.DataFrame:
    """Energy saved against the year before, by product and by output value."""
    rows = [*_by_output_value(published, year)]
    energies = products(published, year).filter(pl.col("indicator") == "unit_product_energy")
    per = pl.col("numerator_unit").is_in(["kgce", "tce"])
    for row in energies.filter(per).unique("product_id", maintain_order=True).to_dicts():
        before = Intensity(row["before_value"], row["before_low"], row["before_high"], "")
        now = Intensity(row["value"], row["low"], row["high"], "")
        made = row["denominator"]
        saved = energy_saved_between(before, now, Bounded(made, made, made))
        size = KGCE_PER_TCE if row["numerator_unit"] == "kgce" else 1.0
        rows.append({
            "subject": row["product_id"],
            "method": "product",
            "before": row["before_value"],
            "now": row["value"],
            "unit": row["unit"],
            "quantity": made,
            "quantity_unit": row["denominator_unit"],
            **{name: None if one is None else one / size for name, one in
               zip(("saved_tce", "low", "high"), saved, strict=True)},
            "status": "refused" if saved.value is None else row["status"],
            "confidence": row["confidence"],
        })  # fmt: skip
    return sheet_of(sheets.SAVINGS, rows)


def _by_output_value(published: Published, year: str) -> Iterator[dict[str, Any]]:
    """Saved by the fall of energy per output value; no row where the money is not stated."""
    stated = published.site.plant.assessment.economy
    base_cny = money_of(stated, "output_value_cny", _before(year))
    cny = money_of(stated, "output_value_cny", year)
    if not base_cny or not cny:
        return
    base_made, made = exactly(base_cny / CNY_PER_VALUE_UNIT), exactly(cny / CNY_PER_VALUE_UNIT)
    before = intensity(plant_tce(published, _before(year)), base_made)
    now = intensity(plant_tce(published, year), made)
    saved = energy_saved_between(before, now, made)
    used = published.of(CONSUMPTION, year)
    yield {
        "subject": "output_value",
        "method": "output value",
        "before": before.value,
        "now": now.value,
        "unit": "tce/10^4 CNY",
        "quantity": made.value,
        "quantity_unit": "10^4 CNY",
        "saved_tce": saved.value,
        "low": saved.low,
        "high": saved.high,
        "status": "refused" if saved.value is None else worst_status(used["status"]),
        "confidence": weakest(used["confidence"]),
    }


def meters(published: Published, year: str) -> pl.DataFrame:
    """The meter ledger with calibration on the last day of the year, and the year's amounts."""
    site, last = published.site, date(int(year), 12, 31)
    amounts = published.amounts(year)
    rows = []
    for meter_id, meter in site.plant.meters.items():
        due = meter.calibration_due
        measured = amounts.get(meter_id, {})
        rows.append({
            "meter_id": meter_id,
            "name": meter.name,
            "node_id": meter.node,
            "level": site.plant.nodes[meter.node].level,
            "measures": meter.energy or meter.product,
            "role": meter.role,
            "accuracy_class": meter.accuracy_class or "",
            "calibrated_on": str(meter.calibrated_on or ""),
            "calibration_due": str(due or ""),
            "calibration": calibration(due, meter.calibrated_on, last),
            "amount": measured.get("amount"),
            "unit": site.amount_unit(meter_id),
            "coverage_ratio": measured.get("coverage_ratio", 0.0),
        })  # fmt: skip
    return sheet_of(sheets.METERS, rows)


def equipment(published: Published, _year: str) -> pl.DataFrame:
    """The equipment ledger, with what a catalogue eliminates."""
    rows = [
        {
            "equipment_id": one_id,
            **one.model_dump(),
            "node_id": one.node,
            "total_kw": None if one.rated_kw is None else one.rated_kw * one.count,
            "listed_in": one.listed_in or "",
        }
        for one_id, one in published.site.plant.assessment.equipment.items()
    ]
    return sheet_of(sheets.EQUIPMENT, rows)


def _before(year: str) -> str:
    return str(int(year) - 1)
