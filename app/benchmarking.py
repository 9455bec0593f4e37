"""`kgce benchmark`: the published figures of one period against every reference."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from app.cost import money_of_kgce
from app.published import Published, grain_of
from config.errors import InputError
from config.site import Site
from config.tables import INDICATORS
from config.units import KGCE_PER_TCE
from indicators.benchmarking import Peers, benchmarked
from indicators.peers import percentile

PEER_COLUMNS = ("product", "indicator", "unit", "value")
SCREEN = (
    "subject", "indicator", "value", "unit", "against", "reference", "reference_value", "gap",
    "gap_ratio", "sure", "tce_per_year", "cny_per_year", "status", "confidence",
)  # fmt: skip


def compared(
    published: Published, period: str, product: str | None, peers: Peers | None = None
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
    products = [one for one in figures["subject"].unique() if product in (None, one)]
    found = benchmarked(figures, site, period, peers, _prices(published, period, products))
    said = [*_refused(mine), *_unused(site, found, product), *_ranks(mine, peers or {})]
    return found, said


def _prices(published: Published, period: str, products: list[str]) -> dict[str, float]:
    """What a tce of each product's energy costs [CNY/tce], where every price is stated."""
    assessment = published.site.plant.assessment
    if not assessment.prices and not assessment.tariffs:
        return {}
    of_kgce = {one: money_of_kgce(published, period, one)[0].value for one in products}
    return {one: cny * KGCE_PER_TCE for one, cny in of_kgce.items() if cny is not None}


def read_peers(file: Path, site: Site) -> Peers:
    """Figures of anonymous peers: a CSV file with product, indicator, unit and value.

    Raises InputError, with file and line, for a row that is wrong; nothing is taken then.
    """
    found: dict[tuple[str, str, str], list[float]] = {}
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: {error}", todo="give a CSV file in UTF-8") from error
    reader = csv.DictReader(text.splitlines())
    if missing := {*PEER_COLUMNS} - {*(reader.fieldnames or ())}:
        raise InputError(
            f"{file}:1: column {', '.join(sorted(missing))} is missing",
            allowed=", ".join(PEER_COLUMNS),
        )
    for cells in reader:
        product, indicator, unit, value = (cells[name] or "" for name in PEER_COLUMNS)
        place = f"{file}:{reader.line_num}"
        if product not in site.plant.products:
            raise InputError(
                f"{place}: product {product!r}", allowed=", ".join(site.plant.products)
            )
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise InputError(f"{place}: value {value!r}", allowed="a number")
        found.setdefault((product, indicator, unit), []).append(number)
    return found


def _ranks(mine: pl.DataFrame, peers: Peers) -> Iterator[str]:
    """Where each figure stands among its peers."""
    for row in mine.unique(("subject", "indicator", "unit"), maintain_order=True).to_dicts():
        values = peers.get((row["subject"], row["indicator"], row["unit"]), ())
        if row["value"] is not None and (rank := percentile(row["value"], values)) is not None:
            yield (
                f"{row['subject']} {row['indicator']}: {rank:.0%} of {len(values)} peers use more"
            )


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
