"""Carbon of what was bought (供应链碳): footprints that suppliers report, times quantities."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import polars as pl

from config.carbon import Purchase
from config.sheets.carbon import SUPPLY_CHAIN
from indicators.shares import sum_or_none

NOT_REPORTED = "its footprint is not reported"


def supply_chain_carbon(purchases: Iterable[Purchase], period: str) -> pl.DataFrame:
    r"""CO2 of the materials bought in a month or year, by supplier, and in all [tCO2].

    .. math:: C = \sum_m q_m f_m

    q [unit of the material], f [tCO2/unit] from the cradle to the supplier's gate. A purchase of a
    month counts in its year; one of a year in no month. One footprint that is not reported leaves
    the total unknown, and ``known`` says what the others come to. GB/T 24067 (footprint of
    products; clause not checked against the print); the sum over purchases is kgce's own rule.

    >>> bought = [
    ...     Purchase(material=name, supplier="S", period="2026-10", quantity=100.0, unit="t",
    ...              tco2_per_unit=factor, source="report")
    ...     for name, factor in (("gypsum", 0.02), ("bags", None))
    ... ]
    >>> supply_chain_carbon(bought, "2026").select("material", "value", "known").rows()
    [('gypsum', 2.0, None), ('bags', None, None), ('total', None, 2.0)]
    """
    rows = [_row(one) for one in purchases if one.period[: len(period)] == period]
    rows += [_total(rows, period)] if rows else []
    plain = [{name: row.get(name) for name in SUPPLY_CHAIN.names} for row in rows]
    return pl.DataFrame(plain, schema=SUPPLY_CHAIN.polars_schema())


def _row(one: Purchase) -> dict[str, Any]:
    known = one.tco2_per_unit is not None
    return {
        **one.model_dump(),
        "quantity_unit": one.unit,
        "unit": "tCO2",
        "value": one.quantity * one.tco2_per_unit if one.tco2_per_unit is not None else None,
        "status": "complete" if known else "refused",
        "reason": "" if known else NOT_REPORTED,
    }


def _total(rows: list[dict[str, Any]], period: str) -> dict[str, Any]:
    values = [row["value"] for row in rows]
    total = sum_or_none(values)
    missing = [row["material"] for row in rows if row["value"] is None]
    return {
        "material": "total",
        "supplier": "",
        "period": period,
        "quantity_unit": "",
        "unit": "tCO2",
        "value": total,
        "known": sum_or_none(value for value in values if value is not None),
        "status": "refused" if total is None else "complete",
        "source": "",
        "reason": f"{', '.join(missing)}: {NOT_REPORTED}" if missing else "",
    }
