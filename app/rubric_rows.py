"""The rubric's items as rows: of the sheet `rubric`, and of the document."""

from __future__ import annotations

import json
from typing import Any

import polars as pl

from app.rubric import Result
from config.sheets.rubric import RUBRIC
from indicators.rubric import Part
from indicators.rubric_items import Scored

SCREEN = (
    "item", "item_{lang}", "value", "unit", "lead", "base", "points", "points_low",
    "points_high", "points_most", "status", "reason",
)  # fmt: skip


def frame_of(result: Result) -> pl.DataFrame:
    """The items in the columns of the sheet `rubric`."""
    rows = [row_of(result, one) for one in result.items]
    flat = [
        {
            **row,
            "rows": "; ".join(row["rows"]),
            "parts": json.dumps(row["parts"], ensure_ascii=False) if row["parts"] else "",
        }
        for row in rows
    ]
    return pl.DataFrame(flat, schema=RUBRIC.polars_schema(), orient="row")


def row_of(result: Result, one: Scored) -> dict[str, Any]:
    """One item as the sheet and the document have it; a single figure stands in the item itself."""
    item = one.item
    single = one.parts[0] if len(one.parts) == 1 else None
    coverages = [part.coverage_ratio for part in one.parts if part.coverage_ratio is not None]
    parts = [_part_of(part) for part in one.parts]
    return {
        "plant_id": result.site.id,
        "period": result.period,
        "edition": result.edition.id,
        "section": item.section,
        "section_zh": item.section_zh,
        "section_en": item.section_en,
        "item": item.id,
        "item_zh": item.item_zh,
        "item_en": item.item_en,
        "kind": item.kind,
        "requirement": item.requirement,
        "gate": item.gate == "yes",
        "feeds": item.feeds,
        "input": item.input,
        "value": single.value if single else None,
        "low": single.low if single else None,
        "high": single.high if single else None,
        "unit": single.unit if single else item.unit,
        "lead": single.lead if single else item.lead,
        "base": single.base if single else item.base,
        "reference": single.reference if single else "",
        "fraction": one.share.value,
        "points": one.points,
        "points_low": one.points_low,
        "points_high": one.points_high,
        "points_most": item.points,
        "status": one.status,
        "reason": one.reason,
        "coverage_ratio": min(coverages, default=None),
        "confidence": one.confidence,
        "source": one.source,
        "rows": tuple(dict.fromkeys(row for part in one.parts for row in part.rows)),
        "parts": parts,
    }


def _part_of(part: Part) -> dict[str, Any]:
    names = (
        "subject", "value", "low", "high", "unit", "lead", "base", "reference", "weight",
        "coverage_ratio", "status", "confidence", "reason",
    )  # fmt: skip
    return {name: getattr(part, name) for name in names}
