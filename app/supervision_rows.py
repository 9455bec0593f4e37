"""Rows of the sheet of supervision, and the period that they are of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any

import polars as pl

from app.published import Published
from config.node_tree import NodeTree
from config.site import Site
from config.standards import weakest
from config.standards_supervision import CheckRow
from config.tables import CONSUMPTION, FINDINGS, INDICATORS, Table
from indicators.intensity import Bounded
from indicators.supervision import Verdict

NOTHING = Bounded(None, None, None)
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True)
class Inspection:
    """One plant and period: what is published of it, and the checks."""

    published: Published
    period: str

    @property
    def site(self) -> Site:
        return self.published.site

    @cached_property
    def tree(self) -> NodeTree:
        return NodeTree(self.site.plant.nodes, self.site.plant.all_meters)

    @property
    def root(self) -> str:
        return self.site.plant.root

    @cached_property
    def checks(self) -> dict[str, CheckRow]:
        return self.site.rows(CheckRow)

    @cached_property
    def span(self) -> tuple[datetime, datetime]:
        """Start and end of the period, as far as it has data."""
        rows = pl.concat(
            self.published.of(table, self.period).select("start_utc", "end_utc")
            for table in (CONSUMPTION, INDICATORS)
        )
        return rows["start_utc"].min(), rows["end_utc"].max()  # type: ignore[return-value]

    @cached_property
    def last_day(self) -> date:
        """The last day of the period that has data."""
        return (self.span[1] - _INSTANT).astimezone(self.site.plant.plant.zone).date()

    @property
    def calendar_days(self) -> list[date]:
        """The days of the period that have data, in the plant's time."""
        first = self.span[0].astimezone(self.site.plant.plant.zone).date()
        return [first + timedelta(n) for n in range((self.last_day - first).days + 1)]

    def overlapping(self, table: Table) -> pl.DataFrame:
        """Rows of a table that lie in the period, if only in part."""
        start, end = self.span
        lasts_into_it = (pl.col("end_utc") > start) | (pl.col("start_utc") >= start)
        return self.published.rows(table).filter(pl.col("start_utc") < end, lasts_into_it)

    def days(self, table: Table) -> pl.DataFrame:
        """Rows of the days of the period."""
        start, end = self.span
        return self.published.rows(table).filter(
            pl.col("grain") == "day", pl.col("start_utc") >= start, pl.col("end_utc") <= end
        )

    @cached_property
    def findings(self) -> pl.DataFrame:
        return self.overlapping(FINDINGS)

    def found(self, *codes: str) -> pl.DataFrame:
        """The findings of some codes."""
        return self.findings.filter(pl.col("code").is_in(codes)).sort("subject", "start_utc")

    def limit(self, check_id: str) -> float | None:
        return self.checks[check_id].limit

    def row(
        self,
        check_id: str,
        subject: str,
        aspect: str,
        verdict: Verdict,
        figure: Bounded = NOTHING,
        *,
        limit: float | None = None,
        unit: str = "",
        coverage_ratio: float | None = None,
        status: str = "",
        basis: str = "",
        reason: str = "",
        evidence: Any = None,
        confidence: str = "seen",
    ) -> dict[str, Any]:
        """One row; ``confidence`` is that of what it is built on beside the check's own row."""
        check = self.checks[check_id]
        return {
            "check_id": check_id,
            "area": check.area,
            "item_zh": check.item_zh,
            "item_en": check.item_en,
            "subject": subject,
            "aspect": aspect,
            "period": self.period,
            "verdict": verdict,
            "value": figure.value,
            "limit": limit,
            "unit": unit,
            "low": figure.low,
            "high": figure.high,
            "coverage_ratio": coverage_ratio,
            "status": status,
            "basis": basis or check.basis,
            "consequence": check.consequence,
            "reason": reason,
            "evidence": json.dumps(evidence or {}, ensure_ascii=False, default=_told),
            "confidence": weakest((check.confidence, confidence)),
        }


def _told(value: Any) -> str:
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


Rows = list[dict[str, Any]]


def told(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Findings as evidence: what was found, when, and the evidence that they carry."""
    return [
        {
            "code": row["code"],
            "start_utc": row["start_utc"],
            "end_utc": row["end_utc"],
            "evidence": json.loads(row["evidence"]),
        }
        for row in frame.iter_rows(named=True)
    ]
