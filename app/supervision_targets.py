"""Supervision of targets (S11): how a year ends, or will end, against each target."""

from __future__ import annotations

from functools import partial
from typing import Any

from app.carbon import carbon
from app.published import grain_of
from app.supervision_rows import Inspection, Rows
from app.targets import targets_sheet
from indicators.intensity import Bounded
from indicators.supervision import Verdict, at_most


def target_rows(one: Inspection) -> Rows:
    """S11: the targets of the year; one that is only at risk is not decided."""
    stated = {str(target.year) for target in one.site.plant.assessment.targets}
    if grain_of(one.period) != "year" or one.period not in stated:
        return []
    found = targets_sheet(one.published, int(one.period), partial(carbon, one.published))
    return [
        one.row(
            "S11",
            row["subject"],
            row["target"],
            verdict := verdict_of(row),
            _end(row),
            limit=row["limit"],
            unit=row["unit"],
            coverage_ratio=row["coverage_ratio"],
            reason=row["reason"] or ("" if verdict != "insufficient data" else row["status"]),
            evidence=row,
            confidence=row["confidence"] or "doubtful",
        )
        for row in found.iter_rows(named=True)
    ]


def _end(row: dict[str, Any]) -> Bounded:
    return Bounded(row["forecast"], row["forecast_low"], row["forecast_high"])


def verdict_of(row: dict[str, Any]) -> Verdict:
    """Missed is a target that is used up for sure, or whose whole year is over it for sure."""
    used = row["low"] if row["kind"] != "unit_product" else None
    sure = [one for one in (used, row["forecast_low"]) if one is not None]
    if row["status"] == "missed":
        return "exceeds" if any(one > row["limit"] for one in sure) else "insufficient data"
    return at_most(_end(row), row["limit"]) if row["status"] == "on_track" else "insufficient data"
