"""Consumption and indicators from amounts by meter and period."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta

import polars as pl

from app.calendar import Span, calendar, reach
from config.balance_tables import ALLOCATIONS, CONVERSIONS
from config.book_tables import METER_PERIODS
from config.site import Site
from config.tables import CONSUMPTION, GAPS, INDICATORS, INTERVALS, OUTPUTS
from config.virtual import VirtualMeter
from indicators.coal import add_coal
from indicators.conversion import conversions
from indicators.products import Energy, product_indicators
from pipeline.allocation import allocate
from pipeline.periods import By
from pipeline.rollup import (
    interval_sums,
    judged,
    meter_periods,
    node_consumption,
    period_sums,
    product_output,
)
from pipeline.rules import MeterRule, rules_of
from pipeline.tree import weights
from pipeline.virtual import below_zero, rolled_up, virtual_periods, virtual_rules_of
from storage.lake import Lake

PARTS: dict[By, By] = {"month": "day", "year": "month"}
"""Long periods are summed from shorter ones."""
LONGEST_ENTRY = timedelta(days=400)


@dataclass(frozen=True)
class Figures:
    """Figures in the schemas of their tables."""

    consumption: pl.DataFrame
    indicators: pl.DataFrame
    allocations: pl.DataFrame
    conversions: pl.DataFrame


NO_FIGURES = Figures(
    *(t.polars_schema().to_frame() for t in (CONSUMPTION, INDICATORS, ALLOCATIONS, CONVERSIONS))
)


def figures_of(
    site: Site,
    by_meter: pl.DataFrame,
    outputs: pl.LazyFrame,
    periods: pl.DataFrame,
    *,
    provenance: str,
    required_coverage_ratio: float | None = None,
    feedstock: bool = True,
) -> Figures:
    """Figures of ``periods`` from amounts by meter (`rollup.meter_periods`) and typed outputs.

    Periods may be of several grains; where a rule of allocation changes inside one, its days have
    to be among them. ``required_coverage_ratio`` goes before the configuration's. Without
    ``feedstock``, what is used as raw material counts for none, whatever the norm says.
    """
    required = required_coverage_ratio
    if required is None:
        required = site.plant.quality.required_coverage_ratio
    consumption = consumption_of(site, by_meter, required, feedstock=feedstock)
    product_of = pl.DataFrame(
        list(output_meters(site).items()),
        schema={"meter_id": pl.String, "product_id": pl.String},
        orient="row",
    )
    output = product_output(by_meter, product_of, outputs, periods)
    made = (
        judged(output.rename({"quantity": "amount"}), required)
        .rename({"amount": "quantity"})
        .with_columns(plant_id=pl.lit(site.id))
    )
    allocations = allocate(consumption, by_meter, made, site)
    without = None
    if not feedstock:
        site = _without_raw_material(site)
    elif any(meter.role == "feedstock" for meter in site.plant.all_meters.values()):
        fuels = consumption_of(site, by_meter, required, feedstock=False)
        without = Energy(fuels, allocate(fuels, by_meter, made, site))
    indicators = product_indicators(
        consumption, made, site, provenance=provenance, allocations=allocations,
        without_feedstock=without,
    )  # fmt: skip
    return Figures(
        consumption.cast(CONSUMPTION.polars_schema()).sort("node_id", "energy_code", "start_utc"),
        indicators.select(INDICATORS.names).sort("subject", "indicator", "norm", "start_utc"),
        allocations.select(ALLOCATIONS.names),
        conversions(consumption, site).select(CONVERSIONS.names),
    )


def consumption_of(
    site: Site, by_meter: pl.DataFrame, required: float, *, feedstock: bool = True
) -> pl.DataFrame:
    """Consumption of every node; without ``feedstock``, less what is raw material."""
    entering = weights(site.plant.nodes, site.plant.all_meters, feedstock=feedstock)
    nodes = judged(node_consumption(by_meter, entering), required)
    return add_coal(nodes.with_columns(plant_id=pl.lit(site.id)), site.library).select(
        CONSUMPTION.names
    )


def _without_raw_material(site: Site) -> Site:
    """The site whose products wait for no meter of raw material."""
    meters = {
        name: meter.model_copy(update={"role": "check"}) if meter.role == "feedstock" else meter
        for name, meter in site.plant.meters.items()
    }
    virtual = {
        name: meter.model_copy(update={"role": "check"}) if meter.role == "feedstock" else meter
        for name, meter in site.plant.virtual.items()
    }
    changed = site.plant.model_copy(update={"meters": meters, "virtual": virtual})
    return replace(site, plant=changed)


def only(made: Figures, by: By) -> Figures:
    """The figures of one grain."""
    own = pl.col("grain") == by
    return Figures(*(getattr(made, field.name).filter(own) for field in fields(made)))


def output_meters(site: Site) -> dict[str, str]:
    """The product of each meter that is read, or computed, and counts as its output.

    A meter of the ledger without a connection is not read: its product's output is imported.
    """
    return {
        meter_id: meter.product
        for meter_id, meter in site.plant.all_meters.items()
        if meter.product is not None
        and meter.role == "output"
        and (isinstance(meter, VirtualMeter) or meter.connection is not None)
    }


def outputs_of(site: Site, lake: Lake, periods: pl.DataFrame) -> pl.LazyFrame:
    """Typed outputs that can reach into the periods."""
    if periods.is_empty():
        return OUTPUTS.polars_schema().to_frame().lazy()
    first, last = reach(periods)
    return lake.scan(OUTPUTS, site.id, from_utc=first - LONGEST_ENTRY, to_utc=last)


def by_meter(
    site: Site,
    lake: Lake,
    span: Span | None,
    by: By,
    backwards: Collection[str],
    *,
    start: datetime | None = None,
    end: datetime | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Amounts by meter in the periods from ``start`` to ``end``, computed from the intervals; and
    the periods. Where something is allocated, those of the days in long periods too."""
    virtual = virtual_rules_of(site)
    rules = [*rules_of(site), *rolled_up(virtual)]
    backwards = below_zero(virtual, backwards).union(backwards)
    gaps = lake.scan(GAPS, site.id)
    chain: list[By] = [by]
    while chain[0] in PARTS:
        chain.insert(0, PARTS[chain[0]])
    amounts = pl.DataFrame()
    every: list[tuple[pl.DataFrame, pl.DataFrame]] = []
    for place, grain in enumerate(chain):
        found = calendar(site, span, grain, start, end)
        if place:
            sums = period_sums(amounts.lazy(), found)
        else:
            first, last = reach(found) if len(found) else (None, None)
            sums = interval_sums(lake.scan(INTERVALS, site.id, from_utc=first, to_utc=last), found)
        amounts = meter_periods(sums, gaps, found, rules, backwards)
        if grain == by or site.plant.allocations:
            every.append((amounts, found))
    amounts = pl.concat(one for one, _ in every)
    periods = pl.concat(found for _, found in every)
    return pl.concat([amounts, virtual_periods(amounts, virtual)]), periods


def stored_by_meter(
    site: Site, lake: Lake, periods: pl.DataFrame, rules: Sequence[MeterRule]
) -> pl.DataFrame:
    """The same of periods whose amounts are in the table ``meter_periods``."""
    first, last = reach(periods)
    rows = lake.scan(METER_PERIODS, site.id, from_utc=first, to_utc=last)
    return (
        rows.join(periods.lazy().select("grain", "period", "whole"), on=("grain", "period"))
        .filter(pl.col("meter_id").is_in([rule.meter_id for rule in rules]))
        .drop("plant_id")
        .collect()
        .sort("meter_id", "start_utc")
    )
