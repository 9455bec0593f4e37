"""`kgce metering`: the node tree and the ledger against GB 17167."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import polars as pl

from app.metering_points import Place, places_of, yearly_amounts
from app.published import Published, made_once
from config.models import Meter
from config.sheets.supervision import CALIBRATION, METERING_PROVISION
from config.site import Site
from config.standards import weakest
from config.standards_metering import (
    FAMILIES,
    EnergyClass,
    Judging,
    MeteringRow,
    energy_class,
    judging,
)
from indicators.metering import (
    Point,
    accuracy,
    calibration,
    provided,
    provision,
    user_classes,
)

LEVELS = ("plant", "process", "equipment")
DAYS_OF_MONTH = 365 / 12
PROVISION_SCREEN = (
    "energy_class", "level", "needed", "installed", "undecided", "value", "required", "status",
    "edition", "newer_edition", "reason", "confidence",
)  # fmt: skip
CALIBRATION_SCREEN = (
    "meter_id", "node_id", "energy_code", "calibration_due", "days_left", "calibration",
    "accuracy_class", "required_class", "accuracy", "reason",
)  # fmt: skip


@dataclass(frozen=True)
class Rules:
    """The rows of the standards data, by what judges on a day."""

    day: date
    rows: Sequence[MeteringRow]
    _judging: dict[tuple[str, str], Judging | None] = field(default_factory=dict)

    @classmethod
    def of(cls, site: Site, day: date) -> Rules:
        return cls(day, list(site.rows(MeteringRow).values()))

    def judging(self, family: str, kind: Any) -> Judging | None:
        key = family, kind
        if key not in self._judging:
            self._judging[key] = judging(self.rows, family, kind, self.day)
        return self._judging[key]

    def find(self, family: str, kind: Any, of_class: EnergyClass) -> list[MeteringRow]:
        """Rows of a kind and energy class of the edition that judges."""
        by = self.judging(family, kind)
        return [
            row
            for row in self.rows
            if by is not None
            and row.edition == by.edition
            and row.kind == kind
            and row.energy_class == of_class
        ]


@made_once
def provisions(published: Published, day: date) -> pl.DataFrame:
    """Rows of METERING_PROVISION as of a day: each energy class and level that has a flow."""
    site = published.site
    rules = Rules.of(site, day)
    places = list(places_of(site, rules, yearly_amounts(published, day)))
    rows = [
        row
        for family in FAMILIES
        for of_class in dict.fromkeys(place.energy_class for place in places)
        for level in LEVELS
        if (row := _provision(rules, family, of_class, level, places)) is not None
    ]
    return pl.DataFrame(rows, schema=METERING_PROVISION.polars_schema()).sort(
        pl.col("level").replace_strict({level: n for n, level in enumerate(LEVELS)}),
        "energy_class",
        "edition",
    )


def _provision(
    rules: Rules, family: str, of_class: EnergyClass, level: str, places: Sequence[Place]
) -> dict[str, Any] | None:
    here = [one for one in places if (one.energy_class, one.level) == (of_class, level)]
    points = [Point(one.needed, one.installed) for one in here for _ in range(one.points)]
    rate = provision(points)
    asked = [row for row in rules.find(family, "provision", of_class) if row.level == level]
    if rate is None or (not asked and family != FAMILIES[0]):
        return None
    required = asked[0].value if asked else None
    by = rules.judging(family, "provision")
    used = list(dict.fromkeys([*(row.id for row in asked), *(id_ for p in here for id_ in p.rows)]))
    sure = [p for p in points if p.needed is not None and p.installed is not None]
    return {
        "energy_class": of_class,
        "level": level,
        "needed": float(sum(p.needed is True for p in points)),
        "installed": float(sum(p.needed is True and p.installed is True for p in points)),
        "undecided": float(sum(p.needed is not False for p in points if p not in sure)),
        "value": rate.value,
        "low": rate.low,
        "high": rate.high,
        "unit": "%",
        "required": required,
        "status": (status := provided(rate, required)),
        "edition": by.edition if by and asked else "",
        "newer_edition": by.newer if by else "",
        "rows": json.dumps(used, ensure_ascii=False),
        "evidence": json.dumps([one.told() for one in here], ensure_ascii=False),
        "reason": _why_unknown(here, required) if status == "unknown" else "",
        "confidence": weakest(row.confidence for row in rules.rows if row.id in used)
        if asked
        else "doubtful",
    }


def _why_unknown(places: Sequence[Place], required: float | None) -> str:
    if required is None:
        return "the edition's rate for it is not known here"
    open_ = [one for one in places if one.needed is None or one.installed is None]
    return "; ".join(dict.fromkeys(f"{one.name}: {one.why}" for one in open_))


@made_once
def calibrations(published: Published, day: date) -> pl.DataFrame:
    """Rows of CALIBRATION as of a day: every meter of the ledger that measures an energy."""
    site = published.site
    rules = Rules.of(site, day)
    root = site.plant.root
    kwh = _kwh_per_month(published, root, day)
    rows = [
        _calibrated(site, rules, meter, kwh)
        for meter in site.plant.meters.values()
        if meter.energy is not None and meter.role != "check"
    ]
    return pl.DataFrame(rows, schema=CALIBRATION.polars_schema()).sort("meter_id")


def _kwh_per_month(published: Published, root: str, day: date) -> float | None:
    used = yearly_amounts(published, day).get((root, "electricity"))
    return None if used is None or used.low is None else used.low / 365 * DAYS_OF_MONTH


def _calibrated(site: Site, rules: Rules, meter: Meter, kwh: float | None) -> dict[str, Any]:
    due, day = meter.calibration_due, rules.day
    state = calibration(due, meter.calibrated_on, day)
    asked = list(_accuracy_rows(site, rules, meter, kwh))
    judged = accuracy(meter.accuracy_class, [row.grade for row in asked])
    of_class = energy_class(meter.energy or "")
    by = rules.judging(FAMILIES[0], "accuracy")
    reasons = []
    if state == "unknown":
        stated = "its calibration after the day hides the one before" if due else "no date stated"
        reasons.append(f"calibration: {stated}")
    if asked and judged == "unknown":
        reasons.append(
            "accuracy: no class that is a number is stated"
            if meter.accuracy_class is None or accuracy(meter.accuracy_class, ["5"]) == "unknown"
            else "accuracy: the class required hangs on what is not stated"
        )
    return {
        "meter_id": meter.meter_id,
        "name": meter.name,
        "node_id": meter.node,
        "level": site.plant.nodes[meter.node].level,
        "energy_code": meter.energy,
        "calibrated_on": "" if meter.calibrated_on is None else meter.calibrated_on.isoformat(),
        "calibration_due": "" if due is None else due.isoformat(),
        "days_left": None if due is None else float((due - day) / timedelta(1)),
        "calibration": state,
        "accuracy_class": meter.accuracy_class or "",
        "required_class": " / ".join(row.grade for row in asked),
        "accuracy": judged if asked else "unknown" if _crosses(site, meter) else "inside",
        "edition": by.edition if by and asked else "",
        "newer_edition": by.newer if by else "",
        "rows": json.dumps([row.id for row in asked], ensure_ascii=False),
        "reason": "; ".join(reasons)
        or ("" if asked or not _crosses(site, meter) else f"no class is asked of {of_class}"),
        "confidence": weakest([row.confidence for row in asked]),
    }


def _crosses(site: Site, meter: Meter) -> bool:
    """Whether it measures what comes into the plant or leaves it."""
    return site.plant.nodes[meter.node].parent is None and meter.role in ("input", "output")


def _accuracy_rows(
    site: Site, rules: Rules, meter: Meter, kwh: float | None
) -> Iterator[MeteringRow]:
    if not _crosses(site, meter):
        return
    rows = rules.find(FAMILIES[0], "accuracy", energy_class(meter.energy or ""))
    if meter.energy != "electricity":
        yield from rows
        return
    stated = site.plant.assessment.metering.user_class
    limits = {row.case: row.value for row in rules.rows if row.kind == "user_class"}
    fitting = [stated] if stated is not None else user_classes(kwh, limits)
    yield from (row for row in rows if row.case in fitting)


def said_of(rates: pl.DataFrame, meters: pl.DataFrame, day: date) -> tuple[int, list[str]]:
    """How many requirements are not met, and lines that say it, and by which editions."""
    overdue = meters.filter(pl.col("calibration") == "overdue")
    inaccurate = meters.filter(pl.col("accuracy") == "not_met")
    missing = rates.filter(pl.col("status") == "not_met")
    unknown = rates.filter(pl.col("status") == "unknown").height + sum(
        meters.filter(pl.col(name) == "unknown").height for name in ("calibration", "accuracy")
    )
    lines = [
        f"{day}: {len(missing)} provision rates not met, {len(overdue)} meters overdue, "
        f"{len(inaccurate)} not accurate enough; {unknown} not known"
    ]
    if names := [*overdue["meter_id"]]:
        lines.append(f"calibration overdue: {', '.join(names)}")
    if names := [*inaccurate["meter_id"]]:
        lines.append(f"accuracy class not met: {', '.join(names)}")
    editions = pl.concat(
        [rates.select("edition", "newer_edition"), meters.select("edition", "newer_edition")]
    )
    for edition, newer in editions.unique().sort("edition").iter_rows():
        if edition:
            lines.append(f"judged by {edition}" + (f"; {newer_words(newer)}" if newer else ""))
    return len(missing) + len(overdue) + len(inaccurate), lines


def newer_words(newer: str) -> str:
    """What is to be said of a newer edition without contents."""
    return (
        f"{newer} is in force and its contents are not here: state them in a file under "
        "assessment.standards.metering_provision"
    )
