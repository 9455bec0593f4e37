"""Supervision of the online data: how complete they are, and for how long they were out."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta
from typing import Any

import polars as pl

from app.losses import loss_summary
from app.published import exactly
from app.supervision_rows import Inspection, Rows
from config.book_tables import METER_PERIODS
from config.loss_table import LOSSES
from indicators.supervision import at_least, at_most, longest_outage


def completeness_rows(one: Inspection) -> Rows:
    """S13: share of the time that each online meter was observed, and its longest outage."""
    amounts = one.published.of(METER_PERIODS, one.period)
    found = {row["meter_id"]: row for row in amounts.iter_rows(named=True)}
    days = one.days(METER_PERIODS)
    start, end = one.span
    account = loss_summary(one.published.rows(LOSSES), start, end)
    rows: Rows = []
    for meter_id, meter in one.site.plant.meters.items():
        if meter.connection is None:
            continue
        row = found.get(meter_id)
        ratio = 0.0 if row is None else row["coverage_ratio"]
        least = one.limit("S13")
        rows.append(
            one.row(
                "S13",
                meter_id,
                "",
                at_least(exactly(ratio), least),
                exactly(ratio),
                limit=least,
                unit="1",
                coverage_ratio=ratio,
                evidence={"account_of_all_meters": account},
            )
        )
        rows.append(_outage(one, meter_id, days.filter(pl.col("meter_id") == meter_id)))
    return rows


def _outage(one: Inspection, meter_id: str, days: pl.DataFrame) -> dict[str, Any]:
    told = one.site.plant.assessment.supervision
    coverage = {
        date.fromisoformat(label): ratio
        for label, ratio in days.select("period", "coverage_ratio").iter_rows()
    } or dict.fromkeys(one.calendar_days, 0.0)
    filed = _filed(one, meter_id)
    worst = longest_outage(coverage, told.holidays, filed)
    figure = exactly(0.0) if worst is None else worst.working
    limit = one.limit("S13-outage")
    verdict = at_most(figure, limit)
    evidence: dict[str, Any] = {"filed": sorted(filed)}
    if worst is not None:
        evidence |= {"first_day": worst.first, "last_day": worst.last}
    reason = (
        ""
        if verdict != "insufficient data"
        else (
            "days that may be holidays, or that are observed in part, decide: state the year's "
            "holidays under assessment.supervision"
        )
    )
    return one.row(
        "S13-outage",
        meter_id,
        "",
        verdict,
        figure,
        limit=limit,
        unit="d",
        reason=reason,
        evidence=evidence,
    )


def _filed(one: Inspection, meter_id: str) -> Collection[date]:
    return {
        outage.first_day + timedelta(n)
        for outage in one.site.plant.assessment.supervision.filed_outages
        if not outage.meters or meter_id in outage.meters
        for n in range((outage.last_day - outage.first_day).days + 1)
    }
