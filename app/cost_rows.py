"""Lines of the sheet COST, before they are rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from config.sheets.cost import COST
from indicators.cost import Spent, total_cost
from indicators.intensity import Bounded
from indicators.numerators import STATUSES

COSTS = ("energy_cost", "demand_charge")
NOTHING = Bounded(None, None, None)


@dataclass(frozen=True)
class Line:
    """One cost of the plant or of a product."""

    subject: str
    item: str
    spent: Spent
    energy: str = ""
    tariff_period: str = ""
    month: str = ""
    unit: str = "CNY"
    amount: Bounded = NOTHING
    amount_unit: str = ""
    demand_start_utc: datetime | None = None
    coverage_ratio: float = 1.0
    status: str = "complete"
    confidence: str = "seen"


def total_line(subject: str, lines: Sequence[Line]) -> Line:
    """The sum of lines; where one is unknown, it says what the known ones come to."""
    spent = total_cost(line.spent for line in lines)
    if spent.value is None:
        known = math.fsum(line.spent.value for line in lines if line.spent.value is not None)
        missing = (
            f"{line.energy} {line.tariff_period or line.month}".strip()
            for line in lines
            if line.spent.value is None
        )
        what = ", ".join(dict.fromkeys(missing))
        reason = f"unknown: {what}; what is known comes to {known:.2f} CNY"
        spent = spent._replace(reason=reason)
    return Line(
        subject,
        "total",
        spent,
        coverage_ratio=min(line.coverage_ratio for line in lines),
        status=max((line.status for line in lines), key=STATUSES.index),
    )


def lines_frame(period: str, subjects: Sequence[Sequence[Line]]) -> pl.DataFrame:
    """The lines of each subject as rows of COST, with their share of what is known of it."""
    rows = []
    for lines in subjects:
        known = math.fsum(
            line.spent.value
            for line in lines
            if line.item in COSTS and line.spent.value is not None
        )
        rows += [_row(period, line, known) for line in lines]
    return pl.DataFrame(rows, schema=COST.polars_schema(), orient="row")


def _row(period: str, line: Line, known: float) -> tuple[object, ...]:
    value, amount = line.spent.value, line.amount.value
    shared = value is not None and known > 0 and line.item != "unit_cost"
    priced = line.item in COSTS and value is not None and bool(amount)
    return (
        period,
        line.subject,
        line.item,
        line.energy,
        line.tariff_period,
        line.month,
        *line.spent[:3],
        line.unit,
        100 * (value or 0.0) / known if shared else None,
        amount,
        line.amount_unit,
        (value or 0.0) / amount if priced and amount else None,
        line.demand_start_utc,
        line.coverage_ratio,
        line.status,
        line.confidence,
        "; ".join(line.spent.sources),
        line.spent.reason,
    )
