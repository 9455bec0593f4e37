"""What a year may use at most, what it has used, and where it will end."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import polars as pl

from app.baselines import adjustment_of, baseline_of, modelled
from app.published import Published
from app.year_figures import (
    SERIES,
    UNKNOWN,
    Carbon,
    YearFigures,
    carbon_series,
    energy_series,
    product_rows,
    product_series,
    year_figures,
)
from config.baselines import Quota
from config.baselines import Target as Limit
from config.errors import InputError
from config.sheets.targets import QUOTA, TARGET
from config.site import Site
from indicators.baseline import Expected, expected_total, student
from indicators.forecast import (
    forecast_by_baseline,
    forecast_by_last_year,
    forecast_by_rate,
    forecast_ratio,
    target_status,
)
from indicators.intensity import Bounded

TARGETS_SCREEN = (
    "target", "kind", "subject", "limit", "value", "unit", "until", "forecast", "forecast_low",
    "forecast_high", "method", "deviation_ratio", "status", "confidence", "reason",
)  # fmt: skip
QUOTA_SCREEN = (
    "year", "available", "value", "unit", "until", "left", "forecast", "forecast_low",
    "forecast_high", "method", "balance", "status", "confidence", "reason",
)  # fmt: skip
HOURS = {"hour": 1.0, "day": 24.0}
Method = Literal["measured", "baseline", "last_year", "rate", ""]


class Outlook(NamedTuple):
    """The whole year, how it was found, and what is to be said of it."""

    end: Bounded
    method: Method
    reason: str = ""


def targets_sheet(published: Published, year: int, carbon: Carbon | None = None) -> pl.DataFrame:
    """Rows of TARGET: each target of the year.

    ``carbon`` gives the rows of the sheet `carbon` of a month or year. Without it targets of carbon
    have insufficient data. Raises InputError where the year has no target.
    """
    site = published.site
    targets = [one for one in site.plant.assessment.targets if one.year == year]
    if not targets:
        stated = sorted({str(one.year) for one in site.plant.assessment.targets})
        raise InputError(
            f"no target of {year}",
            allowed=", ".join(stated) or "none is configured",
            todo="state it under assessment: targets: in plant.yaml",
        )
    rows = [_target_row(published, one, carbon) for one in targets]
    return pl.DataFrame(rows, schema=TARGET.polars_schema(), orient="row")


def quota_sheet(published: Published, year: int) -> pl.DataFrame:
    """The row of QUOTA of the year. Raises InputError where it has no allowance."""
    site = published.site
    quotas = site.plant.assessment.quotas
    found = next((one for one in quotas if one.year == year), None)
    if found is None:
        raise InputError(
            f"no allowance of {year}",
            allowed=", ".join(str(one.year) for one in quotas) or "none is configured",
            todo="state it under assessment: quotas: in plant.yaml",
        )
    return pl.DataFrame([_quota_row(published, found)], schema=QUOTA.polars_schema(), orient="row")


def _target_row(published: Published, target: Limit, carbon: Carbon | None) -> dict[str, Any]:
    site = published.site
    subject = target.product or target.node or site.plant.root
    figures = year_figures(
        site, _series(published, target, subject, carbon), target.year, _origin(target, subject)
    )
    if target.kind == "unit_product":
        to_date, outlook = _unit_outlook(figures)
    else:
        to_date, outlook = figures.to_date, _outlook(published, target, figures)
    if target.kind == "carbon" and carbon is None:
        outlook = Outlook(UNKNOWN, "", "no emissions were computed")
    status = target_status(
        target.limit,
        to_date,
        outlook.end,
        grows=target.kind != "unit_product",
        over=figures.over,
    )
    deviation = None if outlook.end.value is None else outlook.end.value - target.limit
    return {
        "target": target.id,
        "kind": target.kind,
        "subject": subject,
        "limit": target.limit,
        "unit": _unit(published, target),
        "deviation": deviation,
        "deviation_ratio": _ratio(deviation, target.limit),
        "status": status,
        **_common(site, target, figures, to_date, outlook),
    }


def _ratio(deviation: float | None, limit: float) -> float | None:
    return None if deviation is None or not limit else deviation / abs(limit)


def _quota_row(published: Published, quota: Quota) -> dict[str, Any]:
    site = published.site
    root = site.plant.root
    series = energy_series(published, root, quota.basis)
    figures = year_figures(site, series, quota.year, f"consumption {root}")
    outlook = _outlook(published, quota, figures)
    available = quota.allowance_tce + quota.bought_tce - quota.sold_tce
    used, end = figures.to_date, outlook.end
    return {
        "basis": quota.basis,
        "allowance": quota.allowance_tce,
        "bought": quota.bought_tce,
        "sold": quota.sold_tce,
        "available": available,
        "unit": "tce",
        "left": None if used.value is None else available - used.value,
        "balance": None if end.value is None else available - end.value,
        "balance_low": None if end.high is None else available - end.high,
        "balance_high": None if end.low is None else available - end.low,
        "status": target_status(available, used, end, grows=True, over=figures.over),
        **_common(site, quota, figures, used, outlook),
    }


def _common(
    site: Site, of: Limit | Quota, figures: YearFigures, to_date: Bounded, outlook: Outlook
) -> dict[str, Any]:
    until = figures.until and figures.until.astimezone(site.plant.plant.zone)
    return {
        "year": f"{of.year:04}",
        **to_date._asdict(),
        "until": until.strftime("%Y-%m-%d %H:%M") if until else "",
        "forecast": outlook.end.value,
        "forecast_low": outlook.end.low,
        "forecast_high": outlook.end.high,
        "method": outlook.method,
        "coverage_ratio": figures.coverage_ratio,
        "confidence": figures.confidence,
        "rows": figures.rows,
        "source": of.source,
        "reason": outlook.reason or figures.reason,
    }


def _series(
    published: Published, target: Limit, subject: str, carbon: Carbon | None
) -> pl.DataFrame:
    if target.kind == "carbon":
        if carbon is None:
            return SERIES.to_frame()
        return carbon_series(published, carbon, target.year)
    if target.product is not None:
        indicator = target.indicator if target.kind == "unit_product" else "unit_product_energy"
        rows = product_rows(published, subject, indicator, target.norm)
        return product_series(rows, tce=target.kind == "energy")
    return energy_series(published, subject, target.basis)


def _origin(target: Limit, subject: str) -> str:
    table = "indicators" if target.product else "consumption"
    return f"{'carbon' if target.kind == 'carbon' else table} {subject}"


def _unit(published: Published, target: Limit) -> str:
    if target.kind != "unit_product" or target.product is None:
        return {"energy": "tce", "carbon": "tCO2"}.get(target.kind, "")
    units = product_rows(published, target.product, target.indicator, target.norm)["unit"]
    return str(units[0]) if len(units) else ""


def _outlook(published: Published, of: Limit | Quota, figures: YearFigures) -> Outlook:
    """The year's end: by the baseline that is named, else by last year, else by the rate."""
    if figures.to_date.value is None or figures.until is None:
        return Outlook(UNKNOWN, "")
    if figures.over:
        return Outlook(figures.to_date, "measured")
    if of.baseline is not None:
        return _by_baseline(published, of, of.baseline, figures)
    this = [one and one[0] for one in figures.this]
    last = [one[0] for one in figures.last if one is not None]
    if len(last) == len(figures.last):
        end = forecast_by_last_year(figures.to_date, this, last, figures.elapsed_months)
        return Outlook(end, "last_year", _unbounded(end))
    rates = [one / days for one, days in zip(this, figures.days, strict=True) if one is not None]
    end = forecast_by_rate(figures.to_date, rates, figures.elapsed_days, figures.rest_days)
    return Outlook(end, "rate", _unbounded(end))


def _unbounded(end: Bounded) -> str:
    return "" if end.high is not None else "nothing bounds the forecast: under three whole months"


def _by_baseline(
    published: Published, of: Limit | Quota, baseline_id: str, figures: YearFigures
) -> Outlook:
    """The rest by the model, at the planned totals of its drivers, or at their means to date."""
    made = modelled(published, baseline_of(published.site, baseline_id))
    if made.model is None or figures.until is None:
        return Outlook(UNKNOWN, "", f"baseline {baseline_id!r} has no model: {made.refusal}")
    mine = made.points.filter(pl.col("start_utc") >= figures.start)
    if mine.is_empty():
        return Outlook(UNKNOWN, "", f"no complete period of {of.year} for {baseline_id!r}")
    grain = made.baseline.grain
    if grain == "month":
        elapsed = figures.elapsed_months
        rest = 12 - elapsed
    else:
        elapsed, rest = (d * 24 / HOURS[grain] for d in (figures.elapsed_days, figures.rest_days))
    totals = []
    for name in made.model.drivers:
        mean = float(mine[name].to_numpy().mean())
        planned = of.planned.get(name)
        totals.append(mean * rest if planned is None else planned - mean * elapsed)
    plain = expected_total(made.model, totals, rest)
    added = adjustment_of(published.site, made.baseline, figures.until, figures.end, plain.value)
    total = Expected((plain.value + added) / 1000, plain.standard_error / 1000)
    t = student(made.model, made.baseline.confidence_level)
    reason = "" if made.status == "accepted" else f"baseline {baseline_id!r} is not accepted"
    return Outlook(forecast_by_baseline(figures.to_date, total, t), "baseline", reason)


def _unit_outlook(figures: YearFigures) -> tuple[Bounded, Outlook]:
    """Unit consumption to date and of the year: the rest as last year's, changed as the months so
    far; else as to date, with the spread of the months so far."""
    if figures.to_date.value is None or not figures.made:
        return UNKNOWN, Outlook(UNKNOWN, "")
    to_date = Bounded(*(one and one / figures.made for one in figures.to_date))
    if figures.over:
        return to_date, Outlook(to_date, "measured")
    output_rest = figures.made / figures.elapsed_days * figures.rest_days
    units = [amount / made for amount, made in filter(None, figures.this) if made]
    spread = (min(units), max(units)) if len(units) >= 3 else (None, None)
    method: Method = "rate"
    unit = Bounded(to_date.value, *spread)
    last = [one for one in figures.last if one is not None and one[1]]
    if len(last) == len(figures.last):
        method = "last_year"
        made = forecast_by_last_year(
            Bounded(figures.made, None, None),
            [None] * 12,
            [output for _, output in last],
            figures.elapsed_months,
        )
        output_rest = (made.value or figures.made) - figures.made
        unit = _unit_of_rest(figures, last, to_date)
    end = forecast_ratio(figures.to_date, figures.made, output_rest, unit)
    return to_date, Outlook(end, method, _unbounded(end))


def _unit_of_rest(
    figures: YearFigures, last: list[tuple[float, float]], to_date: Bounded
) -> Bounded:
    """Unit consumption of last year's rest, times what changed since."""
    whole, part = int(figures.elapsed_months), figures.elapsed_months % 1
    weights = [1.0] * whole + ([part] if part else [])
    weights += [0.0] * (12 - len(weights))
    parts = [*zip(weights, last, strict=True)]
    before = sum(w * a for w, (a, _) in parts) / sum(w * p for w, (_, p) in parts)
    after_output = sum((1 - w) * p for w, (_, p) in parts)
    after = sum((1 - w) * a for w, (a, _) in parts) / after_output if after_output else before
    seen = [
        (now[0] / now[1]) / (then[0] / then[1])
        for now, then in zip(figures.this, last, strict=True)
        if now is not None and now[1] and then[0]
    ]
    value = after * (to_date.value or 0.0) / before
    if len(seen) < 3:
        return Bounded(value, None, None)
    ends = [after * one for one in seen]
    return Bounded(value, min(value, *ends), max(value, *ends))
