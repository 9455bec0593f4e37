"""What each product's energy cost, and one unit of it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import polars as pl

from app.cost_rows import Line, total_line
from app.figures import output_meters
from app.published import Published
from config.balance_tables import ALLOCATIONS
from config.book_tables import METER_PERIODS
from config.tables import CONSUMPTION, OUTPUTS
from config.tariffs import prices_in_order
from config.units import conversion_factor
from indicators.boundary import energy_of, expected_of
from indicators.cost import Spent, cost, mean_by_time, price_spans
from indicators.intensity import Bounded, intensity
from indicators.numerators import STATUSES
from indicators.shares import sum_or_none
from pipeline.periods import PERIOD_SCHEMA
from pipeline.rollup import judged, product_output
from pipeline.virtual import virtual_periods, virtual_rules_of

MEAN: tuple[str, ...] = ("the plant's mean price",)


class Made(NamedTuple):
    """The plant's mean price of each energy [CNY/unit] in a period."""

    prices: dict[str, float]
    period: str


def energy_rows(
    published: Published, period: str, product_id: str
) -> tuple[pl.DataFrame, set[tuple[str, str]]]:
    """The product's energy (`indicators.boundary.energy_of`), and what of it has no row."""
    site = published.site
    shares = published.of(ALLOCATIONS, period)
    rows = energy_of(published.of(CONSUMPTION, period), shares, product_id, site)
    there = set(rows.select("node_id", "energy_code").iter_rows())
    return rows, expected_of(site, product_id) - there


def product_lines(published: Published, made: Made, product_id: str) -> list[Line]:
    """Cost of each energy of the product, their sum, and the cost of one unit."""
    rows, missing = energy_rows(published, made.period, product_id)
    lines = [
        _energy(published, made, product_id, str(energy), some.rows(named=True))
        for (energy,), some in rows.sort("energy_code").group_by("energy_code", maintain_order=True)
    ]
    lines += [_missing(product_id, node, energy) for node, energy in sorted(missing)]
    if not lines:
        return []
    total = total_line(product_id, lines)
    return [*lines, total, _unit_cost(published, made.period, product_id, total)]


def _energy(
    published: Published, made: Made, product_id: str, energy: str, rows: list[dict[str, Any]]
) -> Line:
    """Energy of the product by the plant's mean price, for no meter says when it was bought."""
    amount = Bounded(*(sum_or_none(row[end] for row in rows) for end in ("amount", "low", "high")))
    price, sources = made.prices.get(energy), MEAN
    if price is None:
        price, sources = _stated(published, energy, rows[0])
    status = max((row["status"] for row in rows), key=STATUSES.index)
    reason = f"{energy}: its amount is not known" if amount.value is None else ""
    if tuple(amount) == (0.0, 0.0, 0.0):
        spent = Spent(*amount, (), "")
    elif price is None:
        spent = Spent(
            None,
            None,
            None,
            (),
            f"{energy}: neither its mean price in the plant is known, nor one stated",
        )
    else:
        spent = Spent(*cost(amount, price), sources, reason)
    return Line(
        product_id,
        "energy_cost",
        spent,
        energy=energy,
        amount=amount,
        amount_unit=rows[0]["unit"],
        coverage_ratio=min(row["coverage_ratio"] for row in rows),
        status="refused" if spent.value is None else status,
    )


def _stated(
    published: Published, energy: str, row: dict[str, Any]
) -> tuple[float | None, tuple[str, ...]]:
    """The stated price of an energy that the plant as a whole has no mean price of."""
    site = published.site
    prices = prices_in_order(site.plant.assessment.prices, energy)
    start, end, zone = row["start_utc"], row["end_utc"], site.plant.plant.zone
    spans = price_spans(prices, row["unit"], start, end, zone)
    if any(span.cny_per_unit is None for span in spans):
        return None, ()
    return mean_by_time(spans, start, end), tuple(dict.fromkeys(span.source for span in spans))


def _missing(product_id: str, node: str, energy: str) -> Line:
    reason = f"{energy} of {node}: no figure in the period"
    nothing = Spent(None, None, None, (), reason)
    return Line(
        product_id, "energy_cost", nothing, energy=energy, coverage_ratio=0.0, status="refused"
    )


def _unit_cost(published: Published, period: str, product_id: str, total: Line) -> Line:
    unit = published.site.plant.products[product_id].unit
    output, coverage, status = _output(published, period, product_id)
    found = intensity(Bounded(*total.spent[:3]), output)
    if total.spent.value is None:
        found = found._replace(reason="its energy cost is not known")
    reason = found.reason or total.spent.reason
    spent = Spent(*found[:3], total.spent.sources, reason)
    worst = max((total.status, status), key=STATUSES.index)
    return Line(
        product_id,
        "unit_cost",
        spent,
        unit=f"CNY/{unit}",
        amount=output,
        amount_unit=unit,
        coverage_ratio=min(total.coverage_ratio, coverage),
        status="refused" if spent.value is None else worst,
    )


def _output(published: Published, period: str, product_id: str) -> tuple[Bounded, float, str]:
    """Qualified output of the period in the product's unit, metered and typed together."""
    site = published.site
    whole = published.of(CONSUMPTION, period)
    span = whole.select("grain", "period", "start_utc", "end_utc", "status").sort("status")
    frame = span.head(1).with_columns(whole=~pl.lit("partial").is_in(whole["status"].to_list()))
    frame = frame.select(PERIOD_SCHEMA.names())
    product_of = {m: p for m, p in output_meters(site).items() if p == product_id}
    meters = pl.DataFrame(
        list(product_of.items()),
        schema={"meter_id": pl.String, "product_id": pl.String},
        orient="row",
    )
    metered = published.of(METER_PERIODS, period).drop("plant_id")
    metered = metered.join(frame.select("grain", "period", "whole"), on=("grain", "period"))
    metered = pl.concat([metered, virtual_periods(metered, virtual_rules_of(site))])
    typed = published.rows(OUTPUTS).filter(pl.col("product_id") == product_id)
    found = judged(
        product_output(metered, meters, typed.lazy(), frame).rename({"quantity": "amount"}),
        site.plant.quality.required_coverage_ratio,
    )
    if found.is_empty():
        return Bounded(None, None, None), 0.0, "refused"
    unit = site.plant.products[product_id].unit
    rows = found.rows(named=True)
    sizes = [conversion_factor(row["unit"], unit) for row in rows]
    output = Bounded(
        *(
            sum_or_none(
                None if row[end] is None else row[end] * size
                for row, size in zip(rows, sizes, strict=True)
            )
            for end in ("amount", "low", "high")
        )
    )
    coverage = math.fsum(row["coverage_ratio"] for row in rows) / len(rows)
    return output, coverage, max((row["status"] for row in rows), key=STATUSES.index)
