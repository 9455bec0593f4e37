"""The park as rows of its sheet: totals, then items; and what is said beside them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from app.park import Item, ParkResult, tce
from config.sheets.park import PARK
from indicators.intensity import Bounded
from indicators.park import total

SCREEN = (
    "item", "item_{lang}", "value", "low", "high", "unit", "lead", "term", "status", "reason",
)  # fmt: skip


def frame_of(result: ParkResult) -> pl.DataFrame:
    """The totals, then the items, in the columns of the sheet `park`."""
    rows = [*_totals(result), *(_row(result, one) for one in result.items)]
    return pl.DataFrame(rows, schema=PARK.polars_schema(), orient="row")


def _row(result: ParkResult, one: Item) -> dict[str, Any]:
    row, figure = one.row, one.figure
    return {
        "park_id": result.site.park.park.id,
        "period": result.period,
        "scheme": row.scheme,
        "group": row.group,
        "item": row.id,
        "item_zh": row.item_zh,
        "item_en": row.item_en,
        "requirement": row.requirement,
        "feeds": row.feeds,
        "value": figure.value,
        "low": figure.low,
        "high": figure.high,
        "unit": row.unit,
        "lead": one.lead,
        "term": one.term,
        "points": one.points,
        "status": one.status,
        "reason": one.reason,
        "coverage_ratio": result.sums.coverage_ratio if one.fed else None,
        "confidence": one.confidence,
        "source": one.source,
        "rows": "; ".join(result.sums.rows) if one.fed else "",
    }


def _totals(result: ParkResult) -> Iterator[dict[str, Any]]:
    sums, index = result.sums, result.green
    twice = total([one.kgce for one in sums.removed])
    money = sums.added_value_cny
    totals: tuple[tuple[str, str, str, Bounded, str, bool], ...] = (
        ("energy", "综合能耗", "Comprehensive energy", tce(sums.kgce()), "tce", True),
        ("transfers", "扣除的园区内部转供能源", "Energy passed between plants, removed",
         tce(twice), "tce", True),
        ("added_value", "工业增加值", "Industrial added value", Bounded(money, money, money), "CNY",
         False),
        ("index", "绿色指数", "Green index", Bounded(index.value, None, None), "points", False),
    )  # fmt: skip
    for name, zh, en, figure, unit, fed in totals:
        yield {
            "park_id": result.site.park.park.id, "period": result.period, "scheme": "total",
            "group": "", "item": name, "item_zh": zh, "item_en": en, "requirement": "",
            "feeds": "yes" if fed else "partly", "value": figure.value, "low": figure.low,
            "high": figure.high, "unit": unit, "lead": None, "term": None, "points": None,
            "status": "unknown" if figure.value is None else "known",
            "reason": f"{index.unknown} of 24 items are not known" if name == "index"
            and index.unknown else "",
            "coverage_ratio": sums.coverage_ratio if fed else None,
            "confidence": "recalled" if name == "index" else sums.confidence,
            "source": "figures" if fed else "", "rows": "; ".join(sums.rows) if fed else "",
        }  # fmt: skip


def said_of(result: ParkResult) -> list[str]:
    """What is to be said beside the rows."""
    sums, index = result.sums, result.green
    known = f"{index.value:.2f}" if index.value is not None else "not known"
    lines = [
        f"green index {known}: {index.certain:.2f} from {len(index.counted)} of 24 items",
        f"basic requirements: {result.gates.status}",
        *(f"{one.tier.tier} ({one.tier.threshold:g}): {one.status}" for one in result.tiers),
        *(f"{plant}: no figures of {result.period}; the park's sums are unknown"
          for plant in sums.absent),
    ]  # fmt: skip
    lines += [
        f"{one.energy} from {one.plant}: not removed, for the plant's consumption is less it"
        for one in sums.kept
    ]
    return lines
