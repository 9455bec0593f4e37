"""Baselines of a plant: their models, and how each period stands to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from app.baseline_points import midnight, points_of, unit_of
from app.published import Published
from config.baselines import Adjustment, Baseline
from config.errors import InputError
from config.sheets.baselines import BASELINE, PERFORMANCE
from config.site import Site
from config.standards import weakest
from indicators.baseline import (
    CONSTANT,
    Model,
    accepted,
    expected_each,
    fitted,
    means_inside,
    sample_inflation,
    why_no_model,
)
from indicators.cusum import change_points, cusum

BASELINE_SCREEN = (
    "baseline", "part", "name", "value", "low", "high", "unit", "p_value", "driver_min",
    "driver_max", "allowed", "met", "status", "reason",
)  # fmt: skip
PERFORMANCE_SCREEN = (
    "period", "part", "actual", "expected", "unit", "difference", "cusum", "inside_range", "change",
    "change_p_value", "status", "reason",
)  # fmt: skip
_NAMED = 6


@dataclass(frozen=True)
class Modelled:
    """A baseline with its periods (`points_of`, and ``part``: base or report) and its model, or
    the reason why there is none."""

    baseline: Baseline
    unit: str
    periods: pl.DataFrame
    model: Model | None
    refusal: str

    @property
    def base(self) -> pl.DataFrame:
        return self.periods.filter(pl.col("part") == "base")

    @property
    def points(self) -> pl.DataFrame:
        """The complete periods, of base and report."""
        return self.periods.filter(pl.col("reason") == "")

    @property
    def status(self) -> str:
        """accepted, not_accepted or refused."""
        if self.model is None:
            return "refused"
        met = all(check.met for check in accepted(self.model))
        return "accepted" if met else "not_accepted"


def baseline_of(site: Site, baseline_id: str) -> Baseline:
    """The baseline of that id. Raises InputError."""
    every = {one.id: one for one in site.plant.assessment.baselines}
    if baseline_id not in every:
        raise InputError(
            f"baseline {baseline_id!r}",
            allowed=", ".join(every) or "none is configured",
            todo="state it under assessment: baselines: in plant.yaml",
        )
    return every[baseline_id]


def modelled(published: Published, baseline: Baseline) -> Modelled:
    """The baseline's model, of the complete periods that lie inside its base period."""
    site = published.site
    end = midnight(site, baseline.to + timedelta(1))
    found = points_of(published, baseline)
    part = pl.when(pl.col("end_utc") <= end).then(pl.lit("base")).otherwise(pl.lit("report"))
    straddles = (pl.col("start_utc") < end) & (pl.col("end_utc") > end)
    found = found.filter(~straddles).with_columns(part=part)
    points = found.filter(pl.col("part") == "base", pl.col("reason") == "")
    refusal = why_no_model(points, baseline.drivers)
    model = None if refusal else fitted(points, baseline.drivers)
    return Modelled(baseline, unit_of(site, baseline), found, model, refusal)


def baseline_sheet(published: Published, baseline_id: str | None = None) -> pl.DataFrame:
    """Rows of BASELINE, of one baseline or all. Raises InputError where there is none of the id."""
    configured = published.site.plant.assessment.baselines
    asked = configured if baseline_id is None else [baseline_of(published.site, baseline_id)]
    rows = [row for one in asked for row in _model_rows(published.site, modelled(published, one))]
    return pl.DataFrame(rows, schema=BASELINE.polars_schema(), orient="row")


def _model_rows(site: Site, made: Modelled) -> Iterable[dict[str, Any]]:
    base, model = made.base, made.model
    points = base.filter(pl.col("reason") == "")
    empty = dict.fromkeys(BASELINE.names)
    whole = {
        **empty,
        "baseline": made.baseline.id,
        "unit": made.unit,
        "allowed": "",
        "status": made.status,
        "points": float(len(points)),
        "left_out": float(len(base) - len(points)),
        "coverage_ratio": len(points) / len(base) if len(base) else 0.0,
        "confidence": weakest(points["confidence"]) if len(points) else "",
        "reason": left_out(base),
    }
    if model is None:
        reason = "; ".join(filter(None, (made.refusal, left_out(base))))
        yield {**whole, "part": "quality", "name": "model", "reason": reason}
        return
    for term in model.terms:
        of = "1" if term.name == CONSTANT else _driver_unit(site, term.name)
        unit = made.unit if of == "1" else f"{made.unit}/{of}"
        yield {**whole, "part": "term", **term._asdict(), "unit": unit}
    n_ratio = sample_inflation(model)
    note = "neighbouring periods are alike; standard errors are too small" if n_ratio > 1 else ""
    quality = {
        "r2": (model.r2, "1", ""),
        "adjusted_r2": (model.adjusted_r2, "1", ""),
        "rmse": (model.rmse, made.unit, ""),
        "cv_rmse": (model.cv_rmse, "1", ""),
        "durbin_watson": (model.durbin_watson, "1", ""),
        "autocorrelation": (model.autocorrelation, "1", note),
    }
    for name, (value, unit, reason) in quality.items():
        stated = {"name": name, "value": value, "unit": unit, "reason": reason}
        yield {**whole, "part": "quality", **stated}
    report = made.points.filter(pl.col("part") == "report")
    for check in (*accepted(model), *means_inside(model, report)):
        driver = check.name.removeprefix("mean of ")
        unit = "1" if driver == check.name else _driver_unit(site, driver)
        yield {**whole, "part": "acceptance", **check._asdict(), "unit": unit}


def _driver_unit(site: Site, name: str) -> str:
    product = site.plant.products.get(name)
    if product is not None:
        return product.unit
    return site.amount_unit(name) if name in site.plant.all_meters else "1"


def left_out(periods: pl.DataFrame) -> str:
    """The periods that are no points, by name and reason."""
    out = periods.filter(pl.col("reason") != "")
    named = [f"{row['period']} ({row['reason']})" for row in out.head(_NAMED).iter_rows(named=True)]
    more = [f"and {len(out) - _NAMED} more"] if len(out) > _NAMED else []
    return f"left out: {', '.join([*named, *more])}" if named else ""


def performance_sheet(published: Published, made: Modelled) -> pl.DataFrame:
    """Rows of PERFORMANCE: each period of base and report. Nothing is expected without a model."""
    model, periods = made.model, made.periods.with_row_index("row")
    points = periods.filter(pl.col("reason") == "")
    if model is None:
        empty = ("expected", "expected_low", "expected_high", "adjustment", "change")
        known = points.select("row").with_columns(
            *(pl.lit(None, pl.Float64).alias(name) for name in (*empty, "change_p_value")),
            inside_range=pl.lit(None, pl.Boolean),
        )
    else:
        found = expected_each(model, points)
        extra = [
            adjustment_of(published.site, made.baseline, *row)
            for row in zip(points["start_utc"], points["end_utc"], found["expected"], strict=True)
        ]
        added = pl.Series("adjustment", extra, pl.Float64)
        moved = found.with_columns(
            pl.col("expected", "expected_low", "expected_high") + added
        ).with_columns(added)
        known = pl.concat(
            [points.select("row"), moved, _changes(points, model, added)], how="horizontal"
        )
    frame = periods.join(known, on="row", how="left").sort("row")
    difference = pl.col("energy") - pl.col("expected")
    frame = frame.with_columns(
        difference=difference,
        actual=pl.when(pl.col("reason") == "").then(pl.col("energy")),
        baseline=pl.lit(made.baseline.id),
        unit=pl.lit(made.unit),
        confidence=pl.col("confidence").fill_null(""),
    )
    sums = pl.Series("cusum", cusum(frame["difference"].to_list()), pl.Float64)
    return frame.with_columns(sums).select(PERFORMANCE.names).cast(PERFORMANCE.polars_schema())


def _changes(points: pl.DataFrame, model: Model, added: pl.Series) -> pl.DataFrame:
    """Change and its p-value at each point."""
    rho = model.autocorrelation if sample_inflation(model) > 1 else 0.0
    drivers = points.select(model.drivers).to_numpy()
    found = change_points((points["energy"] - added).to_numpy(), drivers, min(rho, 0.99))
    size: list[float | None] = [None] * len(points)
    p_value: list[float | None] = [None] * len(points)
    for one in found:
        size[one.point], p_value[one.point] = one.size, one.p_value
    schema = {"change": pl.Float64, "change_p_value": pl.Float64}
    return pl.DataFrame({"change": size, "change_p_value": p_value}, schema=schema)


def adjustment_of(
    site: Site, baseline: Baseline, start: datetime, end: datetime, expected: float
) -> float:
    """What the adjustments in force add to what is expected from ``start`` to ``end``."""
    total = 0.0
    for one in baseline.adjustments:
        inside = _overlap(site, one, start, end)
        if one.factor is not None:
            total += expected * (one.factor - 1) * (inside / (end - start))
        elif one.amount_per_day is not None:
            total += one.amount_per_day * (inside / timedelta(1))
    return total


def _overlap(site: Site, one: Adjustment, start: datetime, end: datetime) -> timedelta:
    first = midnight(site, one.from_)
    after = end if one.to is None else midnight(site, one.to + timedelta(1))
    return max(timedelta(0), min(end, after) - max(start, first))
