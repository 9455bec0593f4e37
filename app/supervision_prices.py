"""Supervision of tiered electricity prices (S17): whether a line is surcharged."""

from __future__ import annotations

from app.supervision_rows import Inspection, Rows
from app.surcharge import surcharges
from indicators.intensity import Bounded
from indicators.supervision import at_most


def price_rows(one: Inspection) -> Rows:
    """S17: each line that may be under a tiered price, by each rule of the year."""
    if not one.site.plant.assessment.tiered_price:
        return []
    rows: Rows = []
    for row in surcharges(one.published, one.period[:4]).iter_rows(named=True):
        paid = Bounded(row["value"], row["low"], row["high"])
        rows.append(
            one.row(
                "S17",
                row["product"],
                row["rule"] or row["edition"],
                at_most(paid, 0.0),
                paid,
                limit=0.0,
                unit=row["unit"],
                coverage_ratio=row["coverage_ratio"],
                basis=row["edition"],
                reason=row["reason"] or "",
                evidence=row,
                confidence=row["confidence"] or "doubtful",
            )
        )
    return rows
