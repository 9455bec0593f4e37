"""`kgce supervise`: every check of supervision that data can answer, with verdict and evidence."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from app.language import Lang
from app.published import Published
from app.supervision_clock import clock_rows
from app.supervision_figures import (
    baseline_rows,
    ledger_rows,
    non_production_rows,
    norm_rows,
    reported_rows,
)
from app.supervision_meters import (
    calibration_rows,
    change_rows,
    equipment_rows,
    provision_rows,
)
from app.supervision_online import completeness_rows
from app.supervision_prices import price_rows
from app.supervision_rows import Inspection, Rows
from app.supervision_signs import balance_rows, closed_rows, flat_rows
from app.supervision_targets import target_rows
from config.sheets.supervision import SUPERVISION

ANSWERS: list[Callable[[Inspection], Rows]] = [
    norm_rows, baseline_rows, equipment_rows, provision_rows, calibration_rows, ledger_rows,
    reported_rows, completeness_rows, change_rows, non_production_rows, flat_rows, balance_rows,
    closed_rows, clock_rows, target_rows, price_rows,
]  # fmt: skip
"""What answers the checks, each by one or more rows."""

_SCREEN = ("check_id", "subject", "aspect", "verdict", "value", "limit", "unit", "low", "high",
           "reason", "confidence")  # fmt: skip


def screen(lang: Lang) -> tuple[str, ...]:
    """The columns that a screen has room for."""
    return (_SCREEN[0], f"item_{lang}", *_SCREEN[1:])


def supervised(published: Published, period: str) -> tuple[pl.DataFrame, list[str]]:
    """The rows of SUPERVISION, and what is to be said beside them. Raises InputError."""
    published.require(period)
    one = Inspection(published, period)
    rows = [row for answer in ANSWERS for row in answer(one)]
    rows += _unanswered(one, {row["check_id"] for row in rows})
    frame = pl.DataFrame(rows, schema=SUPERVISION.polars_schema()).sort(
        *SUPERVISION.key, maintain_order=True
    )
    counts = dict(frame["verdict"].value_counts().iter_rows())
    said = [", ".join(f"{counts[verdict]} {verdict}" for verdict in sorted(counts))]
    for row in frame.filter(pl.col("verdict") == "exceeds").iter_rows(named=True):
        said.append(
            f"{row['check_id']} {row['item_en']}: {row['subject']} {row['aspect']}".rstrip()
        )
    return frame, said


def _unanswered(one: Inspection, answered: set[str]) -> Rows:
    """The checks that records, visits, or other parts of the configuration answer."""
    rows: Rows = []
    for check in one.checks.values():
        if check.id in answered:
            continue
        if check.answered_by == "records":
            why = "records and visits answer it"
            rows.append(one.row(check.id, one.site.id, "", "not from data", reason=why))
        else:
            why = "nothing that it is held against is stated"
            rows.append(one.row(check.id, one.site.id, "", "insufficient data", reason=why))
    return rows
