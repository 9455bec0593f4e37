"""The unit consumption of each product, judged by its norms: rows of the indicators table."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from config.models import Product
from config.site import Site
from config.tables import INDICATORS
from config.units import conversion_factor
from indicators.boundary import energy_of, expected_of
from indicators.judging import judged
from indicators.numerators import rule_for, status_rank, sum_periods
from indicators.targets import targets_of


class Energy(NamedTuple):
    """Consumption of nodes, and products' parts of shared ones: CONSUMPTION and ALLOCATIONS."""

    consumption: pl.DataFrame
    allocations: pl.DataFrame | None


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
    high, coverage_ratio, status; f_j is the product's ``standard_factor`` [1]. GB/T 2589-2020
    (clause not checked against the print); calorific basis but for GB 30251-2024, 6.1.5, which has
    a table of its own.

    ``without_feedstock`` is the same energy less what is raw material, for norms that exclude it;
    without it, no energy is.

    One row per product, period and computable norm, in the norm's own unit [kgce/t, kWh/t], so that
    value = numerator / denominator; and, where no norm limits unit_product_energy, one row of it
    without norm. A row is ``refused``, its value, level and distances null, where the
    coverage is below the required, the numerator or the output is unknown, the output is not above
    zero, an input is refused, or energy and output do not cover the same time; else ``partial``
    where an input is.

    Raises ConfigError for a norm that cannot judge its product, or units that do not convert.

    >>> from config.example import made, used, works
    >>> from indicators.coal import add_coal
    >>> energy = add_coal(used(), works().library)
    >>> clinker = product_indicators(energy, made(), works(), provenance="").row(0, named=True)
    >>> clinker["numerator"], clinker["denominator"], clinker["value"], clinker["unit"]
    (106884.4, 1000.0, 106.8844, 'kgce/t')
    >>> clinker["level_reached"]
    2
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
            energy = sum_periods(inside, rule_for(target.kind, target.norm, site.library), expected)
            frames.append(judged(energy, made, product_id, target, site, provenance))
    if not frames:
        return INDICATORS.polars_schema().to_frame()
    return pl.concat(frames)


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
