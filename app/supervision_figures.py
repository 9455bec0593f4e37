"""Supervision of figures: norms, baselines, what was reported, use outside production."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import polars as pl

from app.published import exactly, grain_of
from app.supervision_rows import NOTHING, Inspection, Rows
from config.book_tables import METER_PERIODS
from config.tables import CONSUMPTION, INDICATORS
from config.units import conversion_factor
from indicators.benchmarking import benchmarked
from indicators.intensity import Bounded
from indicators.supervision import Verdict, at_most, deviation

INDICATIVE = "a month is indicative: norms judge calendar years"
PARTIAL = "the period is not whole"


def norm_rows(one: Inspection) -> Rows:
    """S01: every figure that has a norm, against level 3, or level 2 for a new plant."""
    figures = one.published.of(INDICATORS, one.period).filter(pl.col("norm") != "")
    rows = [_norm(one, row) for row in figures.iter_rows(named=True)]
    judged = {(row["subject"], row["norm"]) for row in figures.iter_rows(named=True)}
    for product_id, product in one.site.plant.products.items():
        for norm in product.norms or ("",):
            if (product_id, norm) not in judged:
                why = "nothing is computed for this norm" if norm else "no norm is set"
                rows.append(one.row("S01", product_id, norm, "insufficient data", reason=why))
    return rows


def _norm(one: Inspection, row: dict[str, Any]) -> dict[str, Any]:
    new = row["subject"] in one.site.plant.assessment.supervision.new_products
    level = 2 if new else 3
    limit = row[f"level{level}"]
    figure = _bounded(row)
    verdict, reason = _whole(row, at_most(figure, limit))
    if limit is None:
        reason = f"level {level} is not defined, or not in force"
    elif row["grain"] == "month":
        reason = "; ".join(filter(None, (reason, INDICATIVE)))
    names = (
        "indicator",
        "value",
        "low",
        "high",
        "unit",
        "numerator",
        "numerator_unit",
        "denominator",
        "denominator_unit",
        "basis",
        "norm",
        "level1",
        "level2",
        "level3",
        "corrections",
    )
    evidence = {name: row[name] for name in names} | {
        "held_to": f"level {level}, {'new' if new else 'existing'} plant",
        "provenance": json.loads(row["provenance"] or "{}"),
    }
    return one.row(
        "S01",
        row["subject"],
        row["norm"],
        verdict,
        figure,
        limit=limit,
        unit=row["unit"],
        coverage_ratio=row["coverage_ratio"],
        status=row["status"],
        basis=row["standard"],
        reason=reason,
        evidence=evidence,
        confidence=row["confidence"],
    )


def _bounded(row: dict[str, Any], value: str = "value") -> Bounded:
    return Bounded(row[value], row["low"], row["high"])


def _whole(row: dict[str, Any], verdict: Verdict) -> tuple[Verdict, str]:
    """Only a whole period is judged."""
    if row["status"] == "partial":
        return "insufficient data", PARTIAL
    if row["status"] == "refused":
        return "insufficient data", f"refused: coverage {row['coverage_ratio']:.1%}"
    return verdict, "" if verdict != "insufficient data" else "the bounds hold the limit"


def baseline_rows(one: Inspection) -> Rows:
    """S02: every figure that has a baseline level; the benchmark level is shown beside it."""
    grain = grain_of(one.period)
    figures = one.published.rows(INDICATORS).filter(pl.col("grain") == grain)
    found = benchmarked(figures, one.site, one.period)
    best = {
        (row["subject"], row["reference"]): row["reference_value"]
        for row in found.filter(pl.col("against") == "benchmark").iter_rows(named=True)
    }
    rows: Rows = []
    for row in found.filter(pl.col("against") == "baseline").iter_rows(named=True):
        limit, figure = row["reference_value"], _bounded(row)
        verdict, reason = _whole(row, at_most(figure, limit))
        evidence = {
            "row": row["reference"],
            "baseline": limit,
            "benchmark": (lead := best.get((row["subject"], row["reference"]))),
            "reaches_benchmark": at_most(figure, lead) == "complies",
        }
        rows.append(
            one.row(
                "S02",
                row["subject"],
                row["reference"],
                verdict,
                figure,
                limit=limit,
                unit=row["unit"],
                coverage_ratio=row["coverage_ratio"],
                status=row["status"],
                basis=row["reference"].split("|")[0],
                reason=reason,
                evidence=evidence,
                confidence=row["confidence"] or "doubtful",
            )
        )
    there = {row["subject"] for row in rows}
    for product_id, product in one.site.plant.products.items():
        if product_id not in there:
            why = "no figure is held against it" if product.benchmarks else "no row is set"
            rows.append(one.row("S02", product_id, "", "insufficient data", reason=why))
    return rows


def ledger_rows(one: Inspection) -> Rows:
    """S07: what the days, or the months of a year, add up to, against the figure published."""
    finer = "day" if grain_of(one.period) == "month" else "month"
    start, end = one.span
    rows: Rows = []
    mine = one.published.of(CONSUMPTION, one.period).filter(pl.col("node_id") == one.root)
    for row in mine.iter_rows(named=True):
        parts = one.published.rows(CONSUMPTION).filter(
            pl.col("node_id") == one.root,
            pl.col("energy_code") == row["energy_code"],
            pl.col("grain") == finer,
            pl.col("start_utc") >= start,
            pl.col("end_utc") <= end,
        )
        unknown = parts["amount"].null_count()
        total, figure, reason = float(parts["amount"].sum()), NOTHING, ""
        if parts.is_empty() or unknown or not row["amount"]:
            reason = f"{unknown} of {len(parts)} {finer}s without an amount, or none for the period"
        else:
            figure = deviation(exactly(total), row["amount"])
        evidence = {"published": row["amount"], "sum": total, "of": f"{len(parts)} {finer}s"}
        rows.append(_deviates(one, "S07", row, figure, reason, evidence))
    return rows


def reported_rows(one: Inspection) -> Rows:
    """S08: online amounts against what was reported, and against bills on check meters."""
    rows: Rows = []
    published = one.published.of(CONSUMPTION, one.period)
    for said in one.site.plant.assessment.supervision.reported:
        if said.period != one.period:
            continue
        mine = published.filter(
            pl.col("node_id") == said.node, pl.col("energy_code") == said.energy
        )
        stated = said.amount * conversion_factor(said.unit, one.site.library.energies[said.energy])
        for row in mine.iter_rows(named=True):
            rows.append(_held(one, row, _bounded(row, "amount"), stated, said.source))
        if mine.is_empty():
            why = "nothing is published of it"
            rows.append(one.row("S08", said.node, said.energy, "insufficient data", reason=why))
    rows.extend(_bills(one))
    if not rows:
        why = "nothing reported is stated: assessment.supervision.reported, or a check meter"
        rows.append(one.row("S08", one.site.id, "", "insufficient data", reason=why))
    return rows


def _bills(one: Inspection) -> Iterator[dict[str, Any]]:
    """Statements on check meters, against the node's own input meters."""
    amounts = {row["meter_id"]: row for row in
               one.published.of(METER_PERIODS, one.period).iter_rows(named=True)}  # fmt: skip
    for meter_id, meter in one.site.plant.meters.items():
        bill = amounts.get(meter_id)
        if meter.role != "check" or meter.connection or not meter.energy or not bill:
            continue
        ids = one.tree.own(meter.node, meter.energy, "input")
        mains = [amounts[one_id] for one_id in ids if one_id in amounts]
        if not mains or len(mains) < len(ids) or not bill["amount"] or bill["coverage_ratio"] < 1:
            why = "the bill, or what the meters say, is not known for the whole period"
            yield one.row("S08", meter_id, meter.energy, "insufficient data", reason=why)
            continue
        figure = Bounded(*(_added(mains, name) for name in ("amount", "low", "high")))
        status = {"node_id": meter.node, "energy_code": meter.energy, "status": "complete"}
        least = min(row["coverage_ratio"] for row in mains)
        row = {**status, "coverage_ratio": least, "confidence": "seen"}
        yield _held(one, row, figure, bill["amount"], meter_id)


def _added(rows: list[dict[str, Any]], name: str) -> float | None:
    values = [row[name] for row in rows]
    return None if None in values else float(sum(values))


def _held(
    one: Inspection, row: dict[str, Any], online: Bounded, stated: float, source: str
) -> dict[str, Any]:
    figure, reason = NOTHING, ""
    if online.value is None or not stated:
        reason = "the online amount is not known" if stated else "zero was reported"
    else:
        figure = deviation(online, stated)
    evidence = {"online": online._asdict(), "reported": stated, "source": source}
    return _deviates(one, "S08", row, figure, reason, evidence, source)


def _deviates(
    one: Inspection,
    check_id: str,
    row: dict[str, Any],
    figure: Bounded,
    reason: str,
    evidence: dict[str, Any],
    source: str = "",
) -> dict[str, Any]:
    limit = one.limit(check_id)
    verdict = at_most(figure, limit)
    if not reason and verdict == "insufficient data":
        reason = "the bounds hold the limit"
    return one.row(
        check_id,
        row["node_id"],
        "; ".join(filter(None, (row["energy_code"], source))),
        verdict,
        figure,
        limit=limit,
        unit="1",
        coverage_ratio=row["coverage_ratio"],
        status=row["status"],
        reason=reason,
        evidence=evidence,
    )


def non_production_rows(one: Inspection) -> Rows:
    """S18: what is metered of use outside production; who pays for it no meter knows."""
    found = {row["meter_id"]: row for row in
             one.published.of(METER_PERIODS, one.period).iter_rows(named=True)}  # fmt: skip
    why = "who paid for it is on the bills"
    rows = [
        one.row(
            "S18",
            meter_id,
            meter.energy or "",
            "not from data",
            _bounded(found[meter_id], "amount"),
            unit=found[meter_id]["unit"],
            coverage_ratio=found[meter_id]["coverage_ratio"],
            reason=why,
        )
        for meter_id, meter in one.site.plant.all_meters.items()
        if meter.role == "non_production" and meter_id in found
    ]
    if not rows:
        why = "no meter of the ledger has the role non_production"
        rows.append(one.row("S18", one.site.id, "", "insufficient data", reason=why))
    return rows
