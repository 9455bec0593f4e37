"""Energy intensity for the rubric: feedstock left out, and with bounds where it is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime, time
from typing import Any

import polars as pl

from app.figures import Figures, figures_of
from app.published import Published, grain_of
from config.book_tables import METER_PERIODS
from config.economy import money_of
from config.months import month_after, month_start
from config.site import Site
from config.standards import weakest
from config.tables import CONSUMPTION, INDICATORS, OUTPUTS
from config.units import CNY_PER_VALUE_UNIT, KGCE_PER_TCE
from indicators.coal import label_day
from indicators.norms import distance_tce_per_year, kgce_per_numerator, parse_unit
from indicators.rubric_inputs import Found, Measured
from indicators.shares import sum_or_none
from pipeline.rules import rules_of
from pipeline.virtual import rolled_up, virtual_periods, virtual_rules_of

ENERGY = "unit_product_energy"
PER_VALUE = "tce/10^4 CNY"
NO_FEEDSTOCK = "feedstock left out: check that the level is printed without it"


def energy_intensity(published: Published, period: str, unit: str | None = None) -> Found:
    """Comprehensive energy of each product for a unit of qualified output, without feedstock; or of
    the plant for its output value, where ``unit`` asks for that (`PER_VALUE`).

    A refused figure has no value, but the bounds that its readings allow.
    """
    if unit == PER_VALUE:
        return _per_value(published, period)
    site = published.site
    if not site.plant.products:
        return Found((), "no product is configured")
    shown = published.of(INDICATORS, period).filter(pl.col("indicator") == ENERGY)
    made: list[pl.DataFrame] = []

    def computed() -> pl.DataFrame:
        if not made:
            indicators = _computed(published, period).indicators
            made.append(indicators.filter(pl.col("indicator") == ENERGY))
        return made[0]

    found = []
    for product_id in site.plant.assessment.rubric.products or site.plant.products:
        row = _first(shown, site, product_id)
        without = bool(_feedstock(site, product_id)) and not _excludes(site, row)
        if without or row is None or row["value"] is None:
            row = _first(computed(), site, product_id)
        found.append(_measured(site, product_id, row, without=without))
    return Found(tuple(found))


def _first(rows: pl.DataFrame, site: Site, product_id: str) -> dict[str, Any] | None:
    """The product's row of the norm that stands first in plant.yaml, those without feedstock
    before the others."""
    norms = ["", *site.plant.products[product_id].norms]
    mine = list(rows.filter(pl.col("subject") == product_id).iter_rows(named=True))
    return min(
        mine, key=lambda row: (not _excludes(site, row), norms.index(row["norm"])), default=None
    )


def _excludes(site: Site, row: dict[str, Any] | None) -> bool:
    norm = None if row is None else site.library.norms.get(row["norm"])
    return norm is not None and norm.feedstock == "excluded"


def _measured(
    site: Site, product_id: str, row: dict[str, Any] | None, *, without: bool
) -> Measured:
    if row is None or row["value"] is None:
        unit = f"kgce/{site.plant.products[product_id].unit}" if row is None else row["unit"]
        coverage = None if row is None else row["coverage_ratio"]
        status = "refused" if coverage is not None and coverage < _required(site) else "unknown"
        return Measured(
            product_id, None, None, None, unit, coverage, status, "seen", None,
            reason="its energy or its output is not known",
        )  # fmt: skip
    refused = row["coverage_ratio"] < _required(site)
    reasons = [f"{row['coverage_ratio']:.1%} of the time was observed"] if refused else []
    if row["corrections"]:
        reasons.append(row["corrections"])
    if without:
        reasons.append(NO_FEEDSTOCK)
    norm = site.library.norms.get(row["norm"])
    confidences = [row["confidence"], *([norm.confidence] if norm else [])]
    return Measured(
        subject=product_id,
        value=None if refused else row["value"],
        low=row["low"],
        high=row["high"],
        unit=row["unit"],
        coverage_ratio=row["coverage_ratio"],
        status="refused" if refused else row["status"],
        confidence=weakest([*confidences, *(["inferred"] if without else [])]),
        weight=_tce(site, row),
        norm=row["norm"],
        levels=(row["level1"], row["level2"], row["level3"]),
        tce_per_unit=_tce_per_unit(site, row),
        reason="; ".join(reasons),
        rows=tuple(filter(None, (f"indicators|{product_id}|{row['period']}", row["norm"]))),
    )


def _required(site: Site) -> float:
    return site.plant.quality.required_coverage_ratio


def _kgce(site: Site, row: dict[str, Any]) -> float | None:
    ratio = parse_unit(row["unit"])
    if ratio is None:
        return None
    return kgce_per_numerator(ratio.numerator, site.library, label_day(row["period"]))


def _tce(site: Site, row: dict[str, Any]) -> float | None:
    kgce = _kgce(site, row)
    return None if kgce is None or row["numerator"] is None else row["numerator"] * kgce / 1000


def _tce_per_unit(site: Site, row: dict[str, Any]) -> float | None:
    kgce, seconds = _kgce(site, row), (row["end_utc"] - row["start_utc"]).total_seconds()
    if kgce is None or row["denominator"] is None or seconds <= 0:
        return None
    return distance_tce_per_year(1.0, kgce, row["denominator"], seconds)


def _feedstock(site: Site, product_id: str | None = None) -> list[str]:
    """Feedstock meters of the plant; or those that a product's energy may have in it."""
    plant = site.plant
    found = [name for name, meter in plant.all_meters.items() if meter.role == "feedstock"]
    if product_id is None:
        return found
    shared = {rule.node for rule in plant.allocations if product_id in rule.products}
    inside = shared | set(plant.products[product_id].boundary)
    return [
        name for name in found if any(_below(site, plant.all_meters[name].node, n) for n in inside)
    ]


def _below(site: Site, node: str | None, top: str) -> bool:
    while node is not None:
        if node == top:
            return True
        node = site.plant.nodes[node].parent
    return False


def _computed(published: Published, period: str) -> Figures:
    """Figures of the period whatever its coverage, with nothing of the feedstock."""
    site = published.site
    amounts = _by_meter(published, period)
    quality = site.plant.quality.model_copy(update={"required_coverage_ratio": 0.0})
    lenient = replace(site, plant=site.plant.model_copy(update={"quality": quality}))
    periods = amounts.select("grain", "period", "start_utc", "end_utc", "whole").unique()
    outputs = published.rows(OUTPUTS).lazy()
    found = figures_of(lenient, amounts, outputs, periods, provenance="", feedstock=False)
    mine = pl.col("period") == period
    return Figures(*(getattr(found, field.name).filter(mine) for field in fields(found)))


def _by_meter(published: Published, period: str) -> pl.DataFrame:
    """Amounts by meter of the period, and of its days where something is allocated by them."""
    site = published.site
    start, end = _span(site, period)
    inside = (pl.col("start_utc") >= start) & (pl.col("end_utc") <= end)
    of_days = inside & (pl.col("grain") == "day") & pl.lit(bool(site.plant.allocations))
    virtual = virtual_rules_of(site)
    read = [rule.meter_id for rule in [*rules_of(site), *rolled_up(virtual)]]
    whole = (pl.col("start_utc") == start) & (pl.col("end_utc") == end)
    rows = (
        published.rows(METER_PERIODS)
        .filter((pl.col("period") == period) | of_days, pl.col("meter_id").is_in(read))
        .drop("plant_id")
        .with_columns(whole=whole | (pl.col("grain") == "day"))
    )
    return pl.concat([rows, virtual_periods(rows, virtual)])


def _span(site: Site, period: str) -> tuple[datetime, datetime]:
    info = site.plant.plant
    year, month = int(period[:4]), int(period[5:7] or 1)
    after = (year + 1, 1) if grain_of(period) == "year" else month_after(year, month)
    first, last = (
        datetime.combine(month_start(*one, info.month_end_day), time(0), info.zone).astimezone(UTC)
        for one in ((year, month), after)
    )
    return first, last


def _per_value(published: Published, period: str) -> Found:
    """Energy of the plant, calorific, for 10,000 CNY of output value."""
    site = published.site
    value = money_of(site.plant.assessment.economy, "output_value_cny", period)
    if not value:
        return Found((), f"no output value of {period}: state it under assessment.economy")
    root = site.plant.root
    if _feedstock(site):
        every = _judged(site, _computed(published, period).consumption)
    else:
        every = published.of(CONSUMPTION, period)
    rows = every.filter(pl.col("node_id") == root)
    if rows.is_empty():
        return Found((), f"no energy of {root} in {period}")
    low, total, high = (sum_or_none(ends) for ends in zip(*_coal(site, rows), strict=True))
    size = KGCE_PER_TCE * value / CNY_PER_VALUE_UNIT
    coverage = rows["coverage_ratio"].min()
    statuses = set(rows["status"])
    refused = total is None or "refused" in statuses
    status = "refused" if refused else "partial" if "partial" in statuses else "complete"
    assert coverage is None or isinstance(coverage, float)
    return Found(
        (
            Measured(
                "",
                None if refused or total is None else total / size,
                None if low is None else low / size,
                None if high is None else high / size,
                PER_VALUE,
                coverage,
                status,
                weakest([*_confidences(site, rows), "inferred"]),
                reason="calorific basis, which the standard does not say",
                rows=tuple(f"consumption|{root}|{code}|{period}" for code in rows["energy_code"]),
            ),
        )
    )


def _judged(site: Site, rows: pl.DataFrame) -> pl.DataFrame:
    """Consumption with what is under the required coverage refused."""
    refused = pl.col("coverage_ratio") < _required(site)
    return rows.with_columns(
        status=pl.when(refused).then(pl.lit("refused")).otherwise("status"),
        amount=pl.when(~refused).then(pl.col("amount")),
    )


def _coal(site: Site, rows: pl.DataFrame) -> Iterator[tuple[float | None, ...]]:
    """Low, amount and high of each energy [kgce], calorific."""
    factors = {factor.id: factor.kgce_per_unit for factor in site.library.factors}
    for row in rows.iter_rows(named=True):
        per_unit = factors.get(row["factors"].partition(";")[0])
        yield tuple(
            None if row[name] is None or per_unit is None else row[name] * per_unit
            for name in ("low", "amount", "high")
        )


def _confidences(site: Site, rows: pl.DataFrame) -> list[str]:
    """Of the calorific factors used."""
    used = {ids.partition(";")[0] for ids in rows["factors"]}
    return [factor.confidence for factor in site.library.factors if factor.id in used]
