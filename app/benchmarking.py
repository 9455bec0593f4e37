"""`kgce benchmark`: the published figures of one period against every reference."""

from __future__ import annotations

import polars as pl

from app.published import Published, grain_of
from config.errors import InputError
from config.site import Site
from config.tables import INDICATORS
from indicators.benchmarking import benchmarked

SCREEN = (
    "subject", "indicator", "value", "unit", "against", "reference", "reference_value", "gap",
    "gap_ratio", "sure", "tce_per_year", "status", "confidence",
)  # fmt: skip


def compared(
    published: Published, period: str, product: str | None
) -> tuple[pl.DataFrame, list[str]]:
    """The rows (`indicators.benchmarking.benchmarked`), and what is to be said beside them.

    Raises InputError for a period or product that there is not.
    """
    published.require(period)
    site = published.site
    if product is not None and product not in site.plant.products:
        raise InputError(f"product {product!r}", allowed=", ".join(site.plant.products))
    figures = published.rows(INDICATORS).filter(pl.col("grain") == grain_of(period))
    if product is not None:
        figures = figures.filter(pl.col("subject") == product)
    mine = figures.filter(pl.col("period") == period)
    found = benchmarked(figures, site, period)
    return found, [*_refused(mine), *_unused(site, found, product)]


def _refused(mine: pl.DataFrame) -> list[str]:
    return [
        f"{row['subject']} {row['indicator']}: refused, with a coverage of "
        f"{row['coverage_ratio']:.1%}; it is held against nothing"
        for row in mine.filter(pl.col("value").is_null()).iter_rows(named=True)
    ]


def _unused(site: Site, found: pl.DataFrame, product: str | None) -> list[str]:
    """The products' benchmark rows that no figure was held against."""
    used = set(found["reference"])
    return [
        f"{product_id}: nothing is held against {row_id}: its levels are not known, it was not in "
        "force, or no figure of the product has its unit"
        for product_id, one in site.plant.products.items()
        if product in (None, product_id)
        for row_id in one.benchmarks
        if row_id not in used
    ]
