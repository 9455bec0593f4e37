"""Signs of tampering that the data show: standing meters, balances, closed books, clocks."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime
from typing import Any

import polars as pl

from app.published import exactly
from app.revising import STALE
from app.supervision_rows import Inspection, Rows, told
from config.balance_tables import BALANCES
from config.book_tables import CLOSINGS, CORRECTIONS, METER_PERIODS, REVISIONS
from config.tables import OUTPUTS, STATEMENTS, Table
from indicators.intensity import Bounded
from indicators.supervision import Verdict, at_most, flat_days

STANDS = "meter.stands_still"
DEAD = "balance.suspect_dead"
_BALANCED: dict[str, Verdict] = {
    "balanced": "complies", "within_losses": "complies", "main_below_branches": "exceeds",
}  # fmt: skip
_FIGURES = (
    "main", "inside", "branches", "aside", "residual", "tolerance", "losses", "suspect",
    "suspect_cause", "suspect_factor",
)  # fmt: skip
SURE_REPEATS = 2
"""Days on which a gauge says the very amount of the day before; one may be chance."""
SURE_DAYS = 3
"""Days on which a main meter is below its branches, where the period's sum is not."""


def flat_rows(one: Inspection) -> Rows:
    """T01: meters that stand, or repeat themselves, while a product of theirs is made.

    Accused is a meter without which nothing runs: all electricity of what makes the product, or one
    whose node's balance went off at the same time. Another one may have had a rest.
    """
    made = _made(one)
    days = one.days(METER_PERIODS)
    rows: Rows = []
    for meter_id, meter in one.site.plant.meters.items():
        if meter.energy is None or meter.role != "input" or meter.connection is None:
            continue
        found = one.found(STANDS).filter(pl.col("subject") == meter_id)
        still = {d.astimezone(one.site.plant.plant.zone).date() for d in found["start_utc"]}
        amounts = _flat(one, days, meter_id, made.get(meter_id, set()))
        still |= {day for day, amount in amounts.items() if amount == 0}
        repeated = amounts.keys() - still
        flat = sorted(still | repeated)
        if not flat:
            continue
        sure = len(repeated) if len(repeated) >= SURE_REPEATS else 0
        if _needed_to_run(one, meter_id) or _named_dead(one, meter_id):
            sure += len(still)
        value = float(len(flat)) if sure == len(flat) else None
        figure = Bounded(value, float(sure), float(len(flat)))
        rows.append(
            one.row(
                "T01",
                meter_id,
                meter.energy,
                at_most(figure, 0.0),
                figure,
                limit=0.0,
                unit="d",
                reason=""
                if sure
                else "what it serves may have stood on its own: nothing else tells",
                evidence={"days": flat, "findings": told(found)},
            )
        )
    if not rows:
        known = any(made.values())
        rows.append(
            one.row(
                "T01",
                one.site.id,
                "",
                "complies" if known else "insufficient data",
                exactly(0.0) if known else Bounded(None, None, None),
                limit=0.0,
                unit="d",
                reason="" if known else "on which days something was made is not known",
            )
        )
    return rows


def _made(one: Inspection) -> dict[str, set[date]]:
    """By meter, the days on which something of the innermost product that it serves was made."""
    plant, zone = one.site.plant, one.site.plant.plant.zone
    days: dict[str, set[date]] = {product_id: set() for product_id in plant.products}
    measured = one.days(METER_PERIODS).filter(pl.col("low") > 0, pl.col("amount").is_not_null())
    for meter_id, label in measured.select("meter_id", "period").iter_rows():
        meter = plant.all_meters.get(meter_id)
        if meter is not None and meter.product is not None and meter.role == "output":
            days[meter.product].add(date.fromisoformat(label))
    typed = one.overlapping(OUTPUTS).sort("entered_utc").unique(
        ["product_id", "start_utc", "end_utc"], keep="last", maintain_order=True
    ).filter(pl.col("qualified_quantity") > 0, pl.col("withdrawn").ne_missing("yes"))  # fmt: skip
    for row in typed.iter_rows(named=True):
        start, end = (row[name].astimezone(zone) for name in ("start_utc", "end_utc"))
        if (end - start).total_seconds() <= 86400 and row["product_id"] in days:
            days[row["product_id"]].add(start.date())
    lines = {node_id: {node_id, *_above(one, node_id)} for node_id in plant.nodes}
    inside = {
        product_id: {n for n, line in lines.items() if line & set(product.boundary)}
        for product_id, product in plant.products.items()
    }
    found: dict[str, set[date]] = {}
    for meter_id, meter in plant.meters.items():
        holding = [p for p, nodes in inside.items() if meter.node in nodes]
        inner = [p for p in holding if not any(inside[other] < inside[p] for other in holding)]
        found[meter_id] = set().union(*(days[p] for p in inner))
    return found


def _above(one: Inspection, node_id: str) -> list[str]:
    return list(one.tree.ancestors(node_id))


def _flat(
    one: Inspection, days: pl.DataFrame, meter_id: str, made: Collection[date]
) -> dict[date, float]:
    """The days on which it is flat, each with its amount."""
    covered = days.filter(
        pl.col("meter_id") == meter_id,
        pl.col("amount").is_not_null(),
        pl.col("coverage_ratio") >= one.site.plant.quality.required_coverage_ratio,
    )
    amounts = {
        day: amount
        for label, amount in covered.select("period", "amount").iter_rows()
        if (day := date.fromisoformat(label)) in made
    }
    repeats = one.site.plant.meters[meter_id].kind == "gauge"
    return {day: amounts[day] for day in flat_days(amounts, repeats=repeats)}


def _needed_to_run(one: Inspection, meter_id: str) -> bool:
    """Whether it is the one meter of the electricity of a node that alone makes a product.

    Of several nodes one may rest while another works from stock.
    """
    meter = one.site.plant.meters[meter_id]
    alone = {p.boundary[0] for p in one.site.plant.products.values() if len(p.boundary) == 1}
    return (
        meter.energy == "electricity"
        and meter.node in alone
        and one.tree.own(meter.node, "electricity", "input") == [meter_id]
    )


def _named_dead(one: Inspection, meter_id: str) -> bool:
    return not one.found(DEAD).filter(pl.col("subject") == meter_id).is_empty()


def balance_rows(one: Inspection) -> Rows:
    """T02: main meters against their branches, by the period and by its days."""
    rows: Rows = []
    days = one.days(BALANCES)
    for row in one.published.of(BALANCES, one.period).iter_rows(named=True):
        mine = days.filter(
            pl.col("node_id") == row["node_id"], pl.col("energy_code") == row["energy_code"]
        )
        below = mine.filter(pl.col("status") == "main_below_branches")
        short = Bounded(*(_turned(row[name]) for name in ("residual", "high", "low")))
        verdict = _BALANCED.get(row["status"], "insufficient data")
        suspect = f"; {row['suspect']} would explain it" if row["suspect"] else ""
        reason = (
            f"the balance is {row['status']}{suspect}" if verdict == "insufficient data" else ""
        )
        if below.height and verdict != "exceeds":
            verdict = "exceeds" if below.height >= SURE_DAYS else "insufficient data"
            reason = f"{below.height} days with the main below its branches"
        evidence = {name: row[name] for name in _FIGURES} | {
            "days_below": below.select("period", "residual", "tolerance").to_dicts()
        }
        rows.append(
            one.row(
                "T02",
                row["node_id"],
                row["energy_code"],
                verdict,
                short,
                limit=row["tolerance"],
                unit=row["unit"],
                coverage_ratio=row["coverage_ratio"],
                reason=reason,
                evidence=evidence,
            )
        )
    if not rows:
        why = "no node is metered on two sides"
        rows.append(one.row("T02", one.site.id, "", "insufficient data", reason=why))
    return rows


def _turned(value: float | None) -> float | None:
    return None if value is None else -value


def closed_rows(one: Inspection) -> Rows:
    """T03: what people entered for a period after it was closed; late readings accuse nobody."""
    closings = one.overlapping(CLOSINGS).filter(pl.col("action") == "close")
    rows: Rows = []
    for closing in closings.sort("start_utc", "entered_utc").iter_rows(named=True):
        edits = [edit for table in (CORRECTIONS, OUTPUTS, STATEMENTS)
                 for edit in _edits(one, table, closing)]  # fmt: skip
        stale = one.found(STALE).filter(pl.col("subject") == closing["period"])
        changed = _restated(one, closing)
        other = float(bool(len(stale) or changed) and not edits)
        low = float(len(edits))
        figure = Bounded(None if other else low, low, low + other)
        evidence = {
            "closed": {name: closing[name] for name in ("period", "entered_by", "entered_utc")},
            "entries": edits,
            "restatements": changed,
            "would_differ": told(stale),
        }
        verdict = at_most(figure, one.limit("T03"))
        rows.append(
            one.row(
                "T03",
                closing["period"],
                "",
                verdict,
                figure,
                limit=one.limit("T03"),
                unit="1",
                reason="nobody entered anything; readings that came late, or the configuration, "
                "change it"
                if verdict == "insufficient data"
                else "",
                evidence=evidence,
            )
        )
    if not rows:
        why = "no period in it was closed"
        rows.append(one.row("T03", one.site.id, "", "insufficient data", reason=why))
    return rows


def _edits(one: Inspection, table: Table, closing: dict[str, Any]) -> Rows:
    """Entries for time in the closed period; a register read at either end of it is one too."""
    after: datetime = closing["entered_utc"]
    start, end = pl.col("start_utc"), pl.col("end_utc")
    first, last = closing["start_utc"], closing["end_utc"]
    at_once = (start == end) & (start >= first) & (end <= last)
    rows = one.published.rows(table).filter(
        pl.col("entered_utc") > after, at_once | ((start < last) & (end > first))
    )
    subject = "product_id" if table is OUTPUTS else "meter_id"
    names = [subject, "start_utc", "end_utc", "entered_by", "entered_utc", "reason"]
    return [{"table": table.name, **row} for row in rows.select(names).to_dicts()]


def _restated(one: Inspection, closing: dict[str, Any]) -> Rows:
    rows = one.published.rows(REVISIONS).filter(
        pl.col("kind") == "restatement",
        pl.col("entered_utc") > closing["entered_utc"],
        pl.col("start_utc") >= closing["start_utc"],
        pl.col("end_utc") <= closing["end_utc"],
        pl.col("grain") == closing["grain"],
    )
    names = ["subject", "figure", "old_value", "new_value", "reason", "entered_by", "entered_utc"]
    return rows.select(names).to_dicts()
