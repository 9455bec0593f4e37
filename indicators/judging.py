"""A product's energy by period, over its output, judged by a norm: rows of the indicators table."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, NamedTuple

import polars as pl

from config.models import Product
from config.site import Site
from config.standards import CONFIDENCES, weakest
from config.standards_rows import NormRow
from config.tables import INDICATORS
from config.units import conversion_factor
from indicators.coal import label_day_expr
from indicators.corrections import Corrected, corrected
from indicators.intensity import Bounded, Intensity, intensity
from indicators.norms import distance_tce_per_year, distances, kgce_per_numerator, level_reached
from indicators.numerators import STATUSES
from indicators.targets import Target


class Met(NamedTuple):
    """Energy and output of one period, in the units of the target; ``kgce`` is one numerator."""

    start_utc: datetime
    end_utc: datetime
    numerator: float | None
    numerator_low: float | None
    numerator_high: float | None
    quantity: float | None
    quantity_low: float | None
    quantity_high: float | None
    coverage_ratio: float
    status_rank: int
    confidence_rank: int
    same_span: bool
    kgce: float
    level1: float | None
    level2: float | None
    level3: float | None
    corrections: str


class Figure(NamedTuple):
    """The computed columns of one row; what a refused figure does not have is None."""

    coverage_ratio: float
    status: str
    numerator: float | None
    denominator: float | None
    confidence: str
    level1: float | None
    level2: float | None
    level3: float | None
    corrections: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    level_reached: int | None = None
    distance_level1: float | None = None
    distance_level2: float | None = None
    distance_level3: float | None = None
    distance_level1_tce_per_year: float | None = None
    distance_level2_tce_per_year: float | None = None
    distance_level3_tce_per_year: float | None = None


_OF_DAY: dict[str, Any] = {
    "label_day": pl.String,
    "kgce": pl.Float64,
    "level1": pl.Float64,
    "level2": pl.Float64,
    "level3": pl.Float64,
    "corrections": pl.String,
}


def judged(
    energy: pl.DataFrame,
    output: pl.DataFrame,
    product_id: str,
    target: Target,
    site: Site,
    provenance: str,
) -> pl.DataFrame:
    r"""Rows of INDICATORS of one target of a product: energy over output, and the level it reaches.

    .. math:: e = E / P, \quad d_k = e - L_k'

    ``energy``: rows of `numerators.sum_periods` (E [kgce, or kWh for electricity]); ``output`` by
    period: quantity, quantity_low, quantity_high (P [unit of the product]), coverage_ratio,
    status_rank. L' are the levels of the norm's standard [unit of the norm] after its own
    corrections. GB/T 2589-2020 (clause not checked against the print); when a row is refused is
    kgce's own rule: see `products.product_indicators`.

    >>> from config.example import used, works
    >>> from indicators.targets import targets_of
    >>> (target,) = targets_of(works().plant.products["clinker"], works().library)
    >>> spans = ("grain", "period", "start_utc", "end_utc", "coverage_ratio")
    >>> month = used().head(1).select(*spans, status_rank=0)
    >>> energy = month.with_columns(
    ...     numerator=112e3, numerator_low=110e3, numerator_high=112e3, confidence_rank=0
    ... )
    >>> output = month.with_columns(quantity=1e3, quantity_low=1e3, quantity_high=1.1e3)
    >>> row = judged(energy, output, "clinker", target, works(), "").row(0, named=True)
    >>> row["low"], row["value"], row["high"], row["level_reached"], row["distance_level2"]
    (100.0, 112.0, 112.0, 3, 5.0)
    """
    norm, schema = target.norm, INDICATORS.polars_schema()
    met = _meet(energy, output).filter(_of_edition(target))
    sized = _sized(target, site, site.plant.products[product_id], met)
    figures = pl.DataFrame(
        list(_figures(sized, norm, site.plant.quality.required_coverage_ratio)),
        schema={name: schema[name] for name in Figure._fields},
        orient="row",
    )
    constants = _constants(product_id, target, site, provenance)
    return (
        sized.select("grain", "period", "start_utc", "end_utc")
        .hstack(figures)
        .with_columns(pl.lit(v, dtype=schema[name]).alias(name) for name, v in constants.items())
        .select(schema.names())
        .cast(schema)
    )


def _constants(product_id: str, target: Target, site: Site, provenance: str) -> dict[str, str]:
    norm = target.norm
    return {
        "plant_id": site.id,
        "indicator": target.kind,
        "subject": product_id,
        "unit": target.unit,
        "basis": target.basis,
        "numerator_unit": target.ratio.numerator,
        "denominator_unit": target.ratio.denominator,
        "norm": norm.id if norm else "",
        "standard": norm.standard if norm else "",
        "provenance": provenance,
    }


def _meet(energy: pl.DataFrame, made: pl.DataFrame) -> pl.DataFrame:
    """Energy and output by period; a side that is absent is unknown, with coverage 0."""
    spans = ("start_utc", "end_utc")
    met = energy.join(made, on=("grain", "period"), how="full", coalesce=True, suffix="_made")
    same_span = pl.all_horizontal(
        (pl.col(name) == pl.col(f"{name}_made")).fill_null(True) for name in spans
    )
    return met.with_columns(
        pl.min_horizontal(
            pl.col("coverage_ratio").fill_null(0.0), pl.col("coverage_ratio_made").fill_null(0.0)
        ).alias("coverage_ratio"),
        pl.max_horizontal("status_rank", "status_rank_made").alias("status_rank"),
        pl.col("confidence_rank").fill_null(0),
        *(pl.coalesce(name, f"{name}_made").alias(name) for name in spans),
        same_span=same_span,
        label_day=label_day_expr(),
    ).sort("grain", "start_utc")


def _sized(target: Target, site: Site, product: Product, met: pl.DataFrame) -> pl.DataFrame:
    """Energy and output in the units of the target's ratio, the kgce of one numerator, and the
    norm's levels of the day."""
    ratio = target.ratio
    found = pl.DataFrame(
        [
            (day, kgce_per_numerator(ratio.numerator, site.library, on), *levels, said)
            for day in met.get_column("label_day").unique()
            for on in (date.fromisoformat(day),)
            for levels, said in (_levels(target.norm, product, site, on),)
        ],
        schema=_OF_DAY,
        orient="row",
    )
    # Electricity is summed in kWh as the norm has it, everything else in kgce.
    physical = target.kind == "unit_product_electricity"
    size = pl.lit(1.0) if physical else pl.col("kgce")
    output_size = conversion_factor(ratio.output_unit, product.unit) * ratio.output_per_denominator
    return met.join(found, on="label_day", maintain_order="left").with_columns(
        pl.col("numerator", "numerator_low", "numerator_high") / size,
        pl.col("quantity", "quantity_low", "quantity_high") / output_size,
    )


def _of_edition(target: Target) -> pl.Expr:
    """Whether a period is judged by this edition of the norm, and by no other of the product."""
    day, since, until = pl.col("label_day"), target.since, target.until
    later = pl.lit(True) if since is None else day >= since.isoformat()
    return later if until is None else later & (day < until.isoformat())


def _levels(norm: NormRow | None, product: Product, site: Site, on: date) -> Corrected:
    if norm is None:
        return Corrected((None, None, None), "")
    if norm.effective_from is not None and on < norm.effective_from:
        return Corrected((None, None, None), f"in force from {norm.effective_from}")
    return corrected(norm, product, site.plant.plant, on)


def _figures(met: pl.DataFrame, norm: NormRow | None, required: float) -> Iterator[Figure]:
    worst = weakest([norm.confidence] if norm else [])
    confidences = [weakest((worst, confidence)) for confidence in CONFIDENCES]
    for row in map(Met._make, met.select(Met._fields).iter_rows()):
        energy = Bounded(row.numerator, row.numerator_low, row.numerator_high)
        output = Bounded(row.quantity, row.quantity_low, row.quantity_high)
        found = intensity(energy, output)
        refused = found.value is None or not row.same_span or row.coverage_ratio < required
        figure = Figure(
            row.coverage_ratio,
            STATUSES[-1] if refused else STATUSES[row.status_rank],
            energy.value,
            output.value,
            confidences[row.confidence_rank],
            *(row.level1, row.level2, row.level3, row.corrections),
        )
        if figure.status != "refused":
            yield _judged(figure, found, norm, row)
        else:
            low, high = (found.low, found.high) if row.same_span else (None, None)
            yield figure._replace(low=low, high=high)


def _judged(figure: Figure, found: Intensity, norm: NormRow | None, row: Met) -> Figure:
    """The figure with its value, and its distances to the norm's levels."""
    figure = figure._replace(value=found.value, low=found.low, high=found.high)
    if norm is None or found.value is None or row.quantity is None:
        return figure
    levels = (row.level1, row.level2, row.level3)
    away = distances(found.value, levels)
    seconds = (row.end_utc - row.start_utc).total_seconds()
    one, two, three = (
        None
        if distance is None or seconds <= 0
        else distance_tce_per_year(distance, row.kgce, row.quantity, seconds)
        for distance in away
    )
    return figure._replace(
        level_reached=level_reached(found.value, levels),
        distance_level1=away[0],
        distance_level2=away[1],
        distance_level3=away[2],
        distance_level1_tce_per_year=one,
        distance_level2_tce_per_year=two,
        distance_level3_tce_per_year=three,
    )
