"""The unit consumption of each product, judged by its norms: rows of the indicators table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

import polars as pl

from config.errors import ConfigError
from config.models import Product
from config.site import Site
from config.standards import CONFIDENCES, Library, weakest
from config.standards_rows import NormRow
from config.tables import INDICATORS
from config.units import conversion_factor
from indicators.boundary import energy_of, expected_of
from indicators.coal import label_day_expr
from indicators.corrections import Corrected, corrected
from indicators.intensity import Bounded, Intensity, intensity
from indicators.norms import (
    Kind,
    Ratio,
    distance_tce_per_year,
    distances,
    kgce_per_numerator,
    level_reached,
    use_of,
    why_refused,
)
from indicators.numerators import (
    OWN_TABLE_STANDARD,
    STATUSES,
    Rule,
    calorific_rule,
    coal_rule,
    electricity_rule,
    own_table_rule,
    status_rank,
    sum_periods,
)


@dataclass(frozen=True)
class Target:
    """One figure to be made of a product: its kind, its unit, and the norm that judges it."""

    kind: Kind
    ratio: Ratio
    unit: str
    norm: NormRow | None

    @property
    def counts_feedstock(self) -> bool:
        return self.norm is None or self.norm.feedstock != "excluded"

    @property
    def basis(self) -> str:
        if self.kind == "unit_product_electricity":
            return "physical"
        own_table = self.norm is not None and self.norm.standard == OWN_TABLE_STANDARD
        return "equivalent" if own_table else "calorific"


class Energy(NamedTuple):
    """Consumption of nodes, and products' parts of shared ones: CONSUMPTION and ALLOCATIONS."""

    consumption: pl.DataFrame
    allocations: pl.DataFrame | None


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


def product_indicators(
    consumption: pl.DataFrame,
    outputs: pl.DataFrame,
    site: Site,
    *,
    provenance: str,
    allocations: pl.DataFrame | None = None,
    without_feedstock: Energy | None = None,
) -> pl.DataFrame:
    r"""Unit consumption of every product of the site, in the columns of INDICATORS.

    .. math:: e_j = \frac{\sum_i E_i k_i}{P_j f_j}

    ``consumption`` has the columns of CONSUMPTION (E_i, of which those of the product's boundary
    nodes count), ``allocations`` those of ALLOCATIONS (the product's part of shared nodes, which
    counts too; without them a product with a part in force is refused); ``outputs`` has plant_id,
    product_id, grain, period, start_utc, end_utc, quantity (P_j, qualified output), unit, low,
    high, coverage_ratio, status; f_j is the product's ``standard_factor``. GB/T 2589-2020;
    calorific basis but for GB 30251-2024, which has a table of its own.

    ``without_feedstock`` is the same energy less what is raw material, for norms that exclude it;
    without it, no energy is.

    One row per product, period and computable norm, in the norm's own unit, so that value =
    numerator / denominator; and, where no norm limits unit_product_energy, one row of it without
    norm. A row is ``refused``, its value, bounds, level and distances null, where the coverage is
    below the required, the numerator or the output is unknown, the output is not above zero, an
    input is refused, or energy and output do not cover the same time; else ``partial`` where an
    input is.

    Raises ConfigError for a norm that cannot judge its product, or units that do not convert.
    """
    own, every = pl.col("plant_id") == site.id, Energy(consumption, allocations)
    frames = []
    for product_id, product in site.plant.products.items():
        targets = targets_of(product, site.library)
        made = _made(outputs.filter(own & (pl.col("product_id") == product_id)), product)
        for target in targets:
            counted = every if target.counts_feedstock else (without_feedstock or every)
            inside = energy_of(
                counted.consumption.filter(own), counted.allocations, product_id, site
            )
            expected = expected_of(site, product_id, feedstock=target.counts_feedstock)
            energy = sum_periods(inside, _rule(target, site.library), expected)
            frames.append(_rows(site, product_id, target, _meet(energy, made), provenance))
    if not frames:
        return INDICATORS.polars_schema().to_frame()
    return pl.concat(frames)


def targets_of(product: Product, library: Library) -> list[Target]:
    """The figures of a product: one a norm, and unit_product_energy in any case.

    Raises ConfigError for a norm that cannot judge the product.
    """
    targets = []
    for norm_id in product.norms:
        norm = library.norms[norm_id]
        use, refusal = use_of(norm), why_refused(norm, product.unit)
        if refusal or use.kind is None or use.ratio is None:
            raise ConfigError(
                refusal or use.refusal, data="no indicator was computed", todo="remove the norm"
            )
        targets.append(Target(use.kind, use.ratio, norm.unit, norm))
    if all(target.kind != "unit_product_energy" for target in targets):
        plain = Ratio("kgce", product.unit, product.unit, 1.0)
        targets.insert(0, Target("unit_product_energy", plain, f"kgce/{product.unit}", None))
    return targets


def _rule(target: Target, library: Library) -> Rule:
    if target.kind == "unit_product_electricity":
        return electricity_rule(library)
    if target.norm is not None and target.kind == "unit_product_coal":
        return coal_rule(library, target.norm)
    if target.norm is not None and target.norm.standard == OWN_TABLE_STANDARD:
        return own_table_rule(library, target.norm)
    return calorific_rule(library)


def _made(outputs: pl.DataFrame, product: Product) -> pl.DataFrame:
    """Standard output: quantity, low and high times the standard factor, in the product's unit."""
    units = {product.unit, *outputs.get_column("unit")}
    factors = {u: conversion_factor(u, product.unit) * product.standard_factor for u in units}
    per_unit = pl.col("unit").replace_strict(factors, return_dtype=pl.Float64)
    return outputs.select(
        "grain", "period", "start_utc", "end_utc", "coverage_ratio",
        status_rank(),
        quantity=pl.col("quantity") * per_unit,
        quantity_low=pl.col("low") * per_unit,
        quantity_high=pl.col("high") * per_unit,
    )  # fmt: skip


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


def _rows(
    site: Site, product_id: str, target: Target, met: pl.DataFrame, provenance: str
) -> pl.DataFrame:
    norm, schema = target.norm, INDICATORS.polars_schema()
    sized = _sized(target, site, site.plant.products[product_id], met)
    figures = pl.DataFrame(
        list(_figures(sized, norm, site.plant.quality.required_coverage_ratio)),
        schema={name: schema[name] for name in Figure._fields},
        orient="row",
    )
    constants: dict[str, str | float | None] = {
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
    return (
        sized.select("grain", "period", "start_utc", "end_utc")
        .hstack(figures)
        .with_columns(pl.lit(v, dtype=schema[name]).alias(name) for name, v in constants.items())
        .select(schema.names())
        .cast(schema)
    )


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


def _levels(norm: NormRow | None, product: Product, site: Site, on: date) -> Corrected:
    if norm is None:
        return Corrected((None, None, None), "")
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
        yield figure if figure.status == "refused" else _judged(figure, found, norm, row)


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
