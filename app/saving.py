"""What was saved against a baseline, in months and years behind its base period."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from app.baseline_points import midnight
from app.baselines import Modelled, baseline_of, left_out, modelled, performance_sheet
from app.published import Published, grain_of
from config.baselines import Baseline
from config.errors import InputError
from config.months import month_after, month_start
from config.sheets.baselines import SAVINGS
from config.site import Site
from config.standards import weakest
from indicators.avoided import avoided_energy, fractional_uncertainty
from indicators.baseline import (
    Expected,
    Model,
    accepted,
    expected_total,
    means_inside,
    sample_inflation,
    student,
)
from indicators.intensity import Bounded

SAVINGS_SCREEN = (
    "baseline", "period", "actual", "expected", "value", "low", "high", "unit", "value_tce",
    "ratio", "uncertainty_ratio", "confidence_level", "left_out", "status", "confidence", "reason",
)  # fmt: skip


def savings_sheet(published: Published, baseline_id: str, labels: Sequence[str]) -> pl.DataFrame:
    """Rows of SAVINGS: months or years behind the base period. Raises InputError."""
    made = modelled(published, baseline_of(published.site, baseline_id))
    if made.model is None:
        raise InputError(
            f"baseline {baseline_id!r} has no model: {made.refusal}",
            allowed="a base period with 12 complete periods, whose drivers differ",
            todo=f"kgce baseline {baseline_id} names the periods that are left out",
        )
    sheet = performance_sheet(published, made)
    rows = [_saving(published.site, made, made.model, sheet, label) for label in labels]
    return pl.DataFrame(rows, schema=SAVINGS.polars_schema(), orient="row")


def bounds_of(site: Site, label: str) -> tuple[datetime, datetime]:
    """First and last moment of a statistical month or year. Raises InputError."""
    year, day = int(label[:4]), site.plant.plant.month_end_day
    if grain_of(label) == "year":
        days = month_start(year, 1, day), month_start(year + 1, 1, day)
    else:
        month = int(label[5:])
        after = month_after(year, month)
        days = month_start(year, month, day), month_start(*after, day)
    return midnight(site, days[0]), midnight(site, days[1])


def _saving(
    site: Site, made: Modelled, model: Model, sheet: pl.DataFrame, label: str
) -> dict[str, Any]:
    baseline = made.baseline
    start, end = bounds_of(site, label)
    if start < midnight(site, baseline.to + timedelta(1)):
        raise InputError(
            f"{label} begins inside the base period of {baseline.id!r}",
            allowed=f"months or years that begin after {baseline.to}",
        )
    inside = (pl.col("start_utc") >= start) & (pl.col("end_utc") <= end)
    every, points = sheet.filter(inside), made.points.filter(inside)
    used = every.filter(pl.col("actual").is_not_null())
    coverage = len(used) / len(every) if len(every) else 0.0
    reasons = [*_doubts(model, points), left_out(made.periods.filter(inside))]
    row = {
        **dict.fromkeys(SAVINGS.names),
        "baseline": baseline.id,
        "period": label,
        "unit": made.unit,
        "confidence_level": baseline.confidence_level,
        "periods": float(len(used)),
        "left_out": float(len(every) - len(used)),
        "coverage_ratio": coverage,
        "confidence": weakest([*points["confidence"], *made.points["confidence"]]),
        "reason": "; ".join(filter(None, reasons)),
        "status": "refused",
    }
    if not len(used) or coverage < site.plant.quality.required_coverage_ratio:
        return row
    whole = bool(every["end_utc"].max() == end and every["start_utc"].min() == start)
    row["status"] = "complete" if whole and coverage == 1 else "partial"
    return {**row, **_amounts(model, baseline, used, points)}


def _doubts(model: Model, points: pl.DataFrame) -> list[str]:
    failed = [check.name for check in accepted(model) if not check.met]
    said = [f"the baseline is not accepted: {', '.join(failed)}"] if failed else []
    for check in means_inside(model, points):
        if not check.met:
            said.append(f"{check.name} is {check.value:.6g}, outside {check.allowed}")
    return said


def _amounts(
    model: Model, baseline: Baseline, used: pl.DataFrame, points: pl.DataFrame
) -> dict[str, Any]:
    """The figures of a saving, of the complete periods."""
    totals = [float(points[name].sum()) for name in model.drivers]
    plain = expected_total(model, totals, len(points))
    added = float(used["adjustment"].sum())
    expected = Expected(plain.value + added, plain.standard_error)
    t = student(model, baseline.confidence_level)
    ends = (None if used[n].null_count() else float(used[n].sum()) for n in ("low", "high"))
    actual = float(used["actual"].sum())
    saving = avoided_energy(expected, Bounded(actual, *ends), t)
    short = None
    if saving.ratio:
        inflation = sample_inflation(model)
        short = fractional_uncertainty(
            saving.ratio, model.cv_rmse, model.points, inflation, len(points), t
        )
    kgce = None if points["kgce"].null_count() or not actual else float(points["kgce"].sum())
    bounded = saving.low is not None and saving.high is not None
    return {
        "actual": actual,
        "expected": expected.value,
        "value_tce": None if kgce is None else saving.value * kgce / actual / 1000,
        **saving._asdict(),
        "short_formula_ratio": short,
        "sure": (saving.low or 0) * (saving.high or 0) > 0 if bounded else None,
        "adjustment": added,
    }
