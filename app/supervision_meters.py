"""Supervision by ledgers: equipment; provision, calibration, accuracy and changes of meters."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import polars as pl

from app.metering import calibrations, newer_words, provisions
from app.published import exactly
from app.supervision_rows import NOTHING, Inspection, Rows, told
from config.book_tables import CORRECTIONS
from indicators.intensity import Bounded
from indicators.supervision import Verdict, at_most

_OF: dict[str, Verdict] = {
    "met": "complies", "not_met": "exceeds", "unknown": "insufficient data",
    "valid": "complies", "overdue": "exceeds",
}  # fmt: skip

_DATES = ("calibrated_on", "calibration_due", "days_left")
_OPEN = (
    "whether the register is another one cannot be told; or a person stated what passed; or a "
    "record of about the time does not fit"
)
_CLASSES = ("accuracy_class", "required_class")

REGISTER = ("counter.reset", "counter.jump", "counter.fall_ambiguous", "counter.fall_unsettled",
            "counter.rise_unsettled", "counter.rollover_ambiguous")  # fmt: skip
"""Findings of a register that goes on elsewhere, or may; a record of the change leaves none."""

HOURS_OF_RISE = 24
NEAR = timedelta(days=7)


def equipment_rows(one: Inspection) -> Rows:
    """S03: the equipment ledger, where there is one; what goes by a later day may still run."""
    rows: Rows = []
    for equipment_id, it in one.site.plant.assessment.equipment.items():
        stated = re.findall(r"\d{4}-\d{2}-\d{2}", it.listed_in or "")
        later = max(stated, default="") > one.last_day.isoformat()
        verdict: Verdict = "exceeds" if it.obsolete and not later else "complies"
        if it.obsolete is None:
            verdict = "insufficient data"
        rows.append(
            one.row(
                "S03",
                equipment_id,
                it.model,
                verdict,
                reason="nobody has looked whether a catalogue lists it"
                if it.obsolete is None
                else it.listed_in or "",
                evidence=it.model_dump(mode="json"),
            )
        )
    return rows


def provision_rows(one: Inspection) -> Rows:
    """S04: the provision rate of each class and level, as of the period's last day."""
    rows: Rows = []
    for row in provisions(one.published, one.last_day).iter_rows(named=True):
        newer = newer_words(row["newer_edition"]) if row["newer_edition"] else ""
        rows.append(
            one.row(
                "S04",
                row["energy_class"],
                f"{row['level']}, {row['edition']}",
                _OF[row["status"]],
                Bounded(row["value"], row["low"], row["high"]),
                limit=row["required"],
                unit="%",
                basis=row["edition"],
                reason="; ".join(filter(None, (row["reason"], newer))),
                evidence={"rows": json.loads(row["rows"]), "points": json.loads(row["evidence"])},
                confidence=row["confidence"],
            )
        )
    return rows


def calibration_rows(one: Inspection) -> Rows:
    """S05 and S06: calibration of every meter, accuracy of those in and out of the plant."""
    rows: Rows = []
    for row in calibrations(one.published, one.last_day).iter_rows(named=True):
        left = row["days_left"]
        rows.append(
            one.row(
                "S05",
                row["meter_id"],
                row["energy_code"],
                _OF[row["calibration"]],
                NOTHING if left is None else exactly(max(0.0, -left)),
                limit=0.0,
                unit="d",
                reason=row["reason"] if row["calibration"] == "unknown" else "",
                evidence={"day": one.last_day, **{name: row[name] for name in _DATES}},
            )
        )
        if row["accuracy"] != "inside":
            newer = newer_words(row["newer_edition"]) if row["newer_edition"] else ""
            why = row["reason"] if row["accuracy"] == "unknown" else ""
            rows.append(
                one.row(
                    "S06",
                    row["meter_id"],
                    row["energy_code"],
                    _OF[row["accuracy"]],
                    basis=row["edition"],
                    reason="; ".join(filter(None, (why, newer))),
                    evidence={"rows": json.loads(row["rows"])}
                    | {name: row[name] for name in _CLASSES},
                    confidence=row["confidence"],
                )
            )
    return rows


def change_rows(one: Inspection) -> Rows:
    """S14 and T05: registers that went on elsewhere, and no record of another meter or ratio."""
    rows: Rows = []
    records = _records(one)
    for meter_id in one.site.plant.meters:
        found = one.found(*REGISTER).filter(pl.col("subject") == meter_id)
        kept = records.get(meter_id, [])
        if found.is_empty() and not kept:
            continue
        sure = [_is_change(one, row) for row in found.iter_rows(named=True)]
        low, high = float(sum(sure)), float(len(sure))
        figure = Bounded(low if low == high else None, low, high)
        evidence = {"findings": told(found), "records": kept}
        for check_id in ("S14", "T05") if len(found) else ("S14",):
            limit = one.limit(check_id)
            verdict = at_most(figure, limit)
            rows.append(
                one.row(
                    check_id,
                    meter_id,
                    "",
                    verdict,
                    figure,
                    limit=limit,
                    unit="1",
                    reason="" if verdict != "insufficient data" else _OPEN,
                    evidence=evidence,
                )
            )
    for check_id in ("S14", "T05"):
        if check_id not in {row["check_id"] for row in rows}:
            nothing = exactly(0.0)
            rows.append(
                one.row(
                    check_id,
                    one.site.id,
                    "",
                    "complies",
                    nothing,
                    limit=0.0,
                    unit="1",
                    reason="every register goes on, or its change is recorded",
                )
            )
    return rows


def _is_change(one: Inspection, row: dict[str, Any]) -> bool:
    """Whether the register is another one for certain, and nobody has said so.

    A fall that stays is. A rise is where it takes a day of rated power at least: a rated power that
    the ledger states too low accuses nobody. Nor does a record of about the time that does not fit.
    """
    near = (one.site.moment(it.from_) for it in one.site.plant.installations
            if it.meter == row["subject"] and it.new_register)  # fmt: skip
    if any(row["start_utc"] - NEAR <= moment <= row["end_utc"] + NEAR for moment in near):
        return False
    if row["code"] == "counter.jump":
        evidence = json.loads(row["evidence"])
        meter = one.site.plant.meters[row["subject"]]
        rise = (evidence["last_value"] - evidence["first_value"]) * meter.multiplier
        if meter.rated_per_h is None or rise < HOURS_OF_RISE * meter.rated_per_h:
            return False
    elif row["code"] != "counter.reset":
        return False
    stated = one.published.rows(CORRECTIONS).filter(
        pl.col("kind") == "amount",
        pl.col("meter_id") == row["subject"],
        pl.col("start_utc") <= row["start_utc"],
        pl.col("end_utc") >= row["end_utc"],
    )
    return stated.is_empty()


def _records(one: Inspection) -> dict[str, list[dict[str, Any]]]:
    """The records of the period, by meter."""
    start, end = one.span
    found: dict[str, list[dict[str, Any]]] = {}
    for record in one.site.plant.installations:
        if start <= one.site.moment(record.from_) < end:
            told_of = record.model_dump(mode="json", exclude_none=True)
            found.setdefault(record.meter, []).append(told_of)
    return found
