"""`kgce audit`: the tables that an energy auditor delivers, from the figures of a year."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import NamedTuple

import polars as pl

from app import audit_energy, audit_ledgers, carbon
from app.cost import SCREEN as COST_SCREEN
from app.cost import cost_sheet
from app.metering import PROVISION_SCREEN, provisions
from app.published import Published, grain_of
from config.columns import Table
from config.errors import InputError
from config.sheets import audit as sheets
from config.sheets.carbon import CARBON, CARBON_INTENSITY
from config.sheets.cost import COST
from config.sheets.supervision import METERING_PROVISION


class AuditTable(NamedTuple):
    """A table of the audit: its sheet, what makes it of a year, and the columns that a screen has
    room for (files have all)."""

    sheet: Table
    made: Callable[[Published, str], pl.DataFrame]
    screen: tuple[str, ...] | None = None


def _provision(published: Published, year: str) -> pl.DataFrame:
    """Provision of meters on the last day of the year."""
    return provisions(published, date(int(year), 12, 31))


AUDIT: dict[str, AuditTable] = {
    "consumption": AuditTable(sheets.CONSUMPTION_SUMMARY, audit_energy.consumption_summary),
    "conversion": AuditTable(sheets.CONVERSION, audit_energy.conversion),
    "balance": AuditTable(
        sheets.BALANCE,
        audit_energy.balance,
        (
            "node_name",
            "energy_name",
            "amount",
            "unit",
            "tce_calorific",
            "share_ratio",
            "branches",
            "residual",
            "tolerance",
            "balance",
            "coverage_ratio",
        ),
    ),
    "products": AuditTable(
        sheets.PRODUCTS,
        audit_ledgers.products,
        (
            "product_name",
            "indicator",
            "numerator",
            "numerator_unit",
            "denominator",
            "denominator_unit",
            "value",
            "unit",
            "before_value",
            "change_ratio",
            "level_reached",
            "status",
            "confidence",
        ),
    ),
    "savings": AuditTable(sheets.SAVINGS, audit_ledgers.savings),
    "cost": AuditTable(COST, cost_sheet, COST_SCREEN),
    "ghg": AuditTable(CARBON, carbon.carbon, carbon.SCREENS["carbon"]),
    "ghg_intensity": AuditTable(
        CARBON_INTENSITY, carbon.carbon_intensity, carbon.SCREENS["intensity"]
    ),
    "factors": AuditTable(sheets.FACTORS, audit_energy.factors),
    "meters": AuditTable(
        sheets.METERS,
        audit_ledgers.meters,
        (
            "meter_id",
            "name",
            "node_id",
            "measures",
            "accuracy_class",
            "calibration_due",
            "calibration",
            "amount",
            "unit",
            "coverage_ratio",
        ),
    ),
    "provision": AuditTable(METERING_PROVISION, _provision, PROVISION_SCREEN),
    "equipment": AuditTable(sheets.EQUIPMENT, audit_ledgers.equipment),
}
"""By name, in the order in which an auditor delivers them."""


def chosen(published: Published, year: str, table: str | None) -> list[str]:
    """The tables to be made, by name. Raises InputError for a table or year that there is not."""
    if table is not None and table not in AUDIT:
        raise InputError(f"table {table!r}", allowed=", ".join(AUDIT))
    if grain_of(year) != "year":
        raise InputError(f"period {year!r}", allowed="a year, such as 2026")
    published.require(year)
    return [table] if table is not None else list(AUDIT)
