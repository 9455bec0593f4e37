"""Benchmarking (能效对标): a product's figure against every reference, ranked by saving."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

import polars as pl

from config.models import Product
from config.sheets.benchmarking import BENCHMARKING
from config.site import Site
from config.standards import Library, weakest
from config.standards_rows import BenchmarkRow
from indicators.coal import label_day
from indicators.norms import (
    COAL_INDICATORS,
    Kind,
    Ratio,
    distance_tce_per_year,
    kgce_per_numerator,
    parse_unit,
)
from indicators.peers import leading, middle


class Reference(NamedTuple):
    """What a figure is held against: a kind, a name (id of a row, or a period), and its value."""

    against: str
    name: str
    value: float
    confidence: str


Peers = Mapping[tuple[str, str, str], Sequence[float]]
"""Figures of anonymous peers by product, indicator and unit [that unit]."""


def benchmarked(
    figures: pl.DataFrame,
    site: Site,
    period: str,
    peers: Peers | None = None,
    cny_per_tce: Mapping[str, float] | None = None,
) -> pl.DataFrame:
    r"""One row for each figure of ``period`` and each reference, the largest saving first.

    .. math:: g = e - e_{ref}, \quad S = g \cdot k \cdot P \cdot \frac{365 \mathrm{d}}{T} / 1000

    ``figures``: rows of INDICATORS of one grain. References are the levels of the figure's norm,
    benchmark and baseline of the product's rows of the notice, the plant's own best complete
    period, the same month of the year before, and the median and the best 5 % of ``peers``.
    ``cny_per_tce``: what a product's energy costs [CNY/tce], by product: the saving in money.
    ``gap`` [unit] above zero is still to go; ``gap_ratio`` [1] is of the reference;
    ``tce_per_year`` [tce/a] is what closing it saves at the period's rate of output; ``sure``: the
    gap has one sign within the figure's bounds. A refused figure has no row. 发改产业〔2023〕723号
    has the benchmark and baseline levels (article not checked against the print); what is gap, own
    reference and order is kgce's own rule.

    >>> from config.example import made, used, works
    >>> from indicators.coal import add_coal
    >>> from indicators.products import product_indicators
    >>> energy = add_coal(used(), works().library)
    >>> figures = product_indicators(energy, made(), works(), provenance="")
    >>> found = benchmarked(figures, works(), "2026-10")
    >>> for against, gap in found.select("against", "gap").rows():
    ...     print(f"{against}: {gap:.4f}")
    benchmark: 6.8844
    norm level 1: 6.8844
    norm level 2: -0.1156
    baseline: -10.1156
    norm level 3: -10.1156
    """
    own = figures.filter(pl.col("plant_id") == site.id, pl.col("value").is_not_null())
    rows = [
        _row(row, ratio, one, site.library, (cny_per_tce or {}).get(row["subject"]))
        for row in own.filter(pl.col("period") == period).iter_rows(named=True)
        if (ratio := parse_unit(row["unit"])) is not None
        for one in (*_references(row, own, site), *_of_peers(row, peers or {}))
    ]
    made = pl.DataFrame(rows, schema=BENCHMARKING.polars_schema(), orient="row").unique(
        maintain_order=True
    )
    order = ("tce_per_year", "subject", "indicator", "against", "reference")
    return made.sort(order, descending=[True, *[False] * 4], nulls_last=True)


def _references(row: dict[str, Any], own: pl.DataFrame, site: Site) -> Iterator[Reference]:
    for level in (1, 2, 3):
        if row[f"level{level}"] is not None:
            norm = site.library.norms[row["norm"]]
            yield Reference(f"norm level {level}", norm.id, row[f"level{level}"], norm.confidence)
    for found in _benchmarks(site.plant.products[row["subject"]], row, site.library):
        for name, value in (
            ("benchmark", found.benchmark_level),
            ("baseline", found.baseline_level),
        ):
            if value is not None:
                yield Reference(name, found.id, value, found.confidence)
    same = own.filter(
        *(pl.col(name) == row[name] for name in ("subject", "indicator", "norm", "grain", "unit")),
        pl.col("status") == "complete",
        pl.col("period") != row["period"],
    )
    if len(same):
        best = same.sort("value", "period").row(0, named=True)
        yield Reference("own best", best["period"], best["value"], best["confidence"])
    if row["grain"] == "month":
        before = _year_before(row["period"])
        for found_row in same.filter(pl.col("period") == before).iter_rows(named=True):
            yield Reference("year before", before, found_row["value"], found_row["confidence"])


def _of_peers(row: dict[str, Any], peers: Peers) -> Iterator[Reference]:
    """The best of the peers, and their median; how many they are stands in the name."""
    values = peers.get((row["subject"], row["indicator"], row["unit"]), ())
    for against, value in (("peers best 5 %", leading(values)), ("peers median", middle(values))):
        if value is not None:
            yield Reference(against, f"{len(values)} peers", value, "seen")


def _benchmarks(product: Product, row: dict[str, Any], library: Library) -> Iterator[BenchmarkRow]:
    """The product's rows of the notice that judge this figure, as of the day of its period."""
    day = label_day(row["period"])
    for row_id in product.benchmarks:
        found = library.benchmarks[row_id]
        in_force = found.effective_from is None or found.effective_from <= day
        if found.unit == row["unit"] and kind_of_benchmark(found) == row["indicator"] and in_force:
            yield found


def kind_of_benchmark(row: BenchmarkRow) -> Kind | None:
    """Which indicator the row is of; None where its unit is no plain ratio.

    Rows of 发改产业〔2023〕723号 name no kind: that unit and indicator tell it is kgce's own rule.

    >>> from config.example import CLINKER_BENCHMARK, works
    >>> kind_of_benchmark(works().library.benchmarks[CLINKER_BENCHMARK])
    'unit_product_energy'
    """
    ratio = parse_unit(row.unit)
    if ratio is None:
        return None
    if ratio.numerator == "kWh":
        return "unit_product_electricity"
    return "unit_product_coal" if row.indicator in COAL_INDICATORS else "unit_product_energy"


def _year_before(period: str) -> str:
    """Label of the same month of the year before.

    >>> _year_before("2026-10")
    '2025-10'
    """
    return f"{int(period[:4]) - 1}{period[4:]}"


def _row(
    row: dict[str, Any], ratio: Ratio, one: Reference, library: Library, cny_per_tce: float | None
) -> tuple[Any, ...]:
    gap = row["value"] - one.value
    ends = [end - one.value for end in (row["low"], row["high"]) if end is not None]
    sure = len(ends) == 2 and (min(ends) > 0 or max(ends) <= 0)
    day: date = label_day(row["period"])
    seconds = (row["end_utc"] - row["start_utc"]).total_seconds()
    saving = distance_tce_per_year(
        gap, kgce_per_numerator(ratio.numerator, library, day), row["denominator"], seconds
    )
    return (
        *(row[name] for name in BENCHMARKING.names[:9]),
        one.against,
        one.name,
        one.value,
        gap,
        gap / abs(one.value) if one.value else None,
        sure,
        saving,
        None if cny_per_tce is None else saving * cny_per_tce,
        weakest((row["confidence"], one.confidence)),
    )
