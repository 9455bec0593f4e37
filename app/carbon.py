"""`kgce carbon`: CO2 of the published figures, its intensities, and the renewable rate."""

from __future__ import annotations

from typing import Literal

import polars as pl

from app.figures import consumption_of, output_meters
from app.published import Published, grain_of, made_once
from config.balance_tables import ALLOCATIONS
from config.book_tables import METER_PERIODS
from config.tables import CONSUMPTION, OUTPUTS
from indicators.carbon import carbon_balance
from indicators.carbon_intensity import carbon_intensities
from indicators.products import Energy
from indicators.renewables import renewable_rates
from indicators.supply_chain import supply_chain_carbon
from pipeline.allocation import allocate
from pipeline.periods import PERIOD_SCHEMA, periods
from pipeline.rollup import judged, product_output
from pipeline.virtual import virtual_periods, virtual_rules_of

SCREENS: dict[str, tuple[str, ...]] = {
    "carbon": (
        "scope", "source", "amount", "amount_unit", "factor", "value", "low", "high", "unit",
        "status", "confidence", "factors", "reason", "note",
    ),
    "intensity": (
        "indicator", "subject", "value", "low", "high", "unit", "numerator", "denominator",
        "coverage_ratio", "status", "confidence", "reason", "note",
    ),
    "renewables": (
        "item", "subject", "technology", "stated", "value", "unused", "unit", "tce", "status",
        "confidence", "reason", "note",
    ),
    "supply": (
        "material", "supplier", "quantity", "quantity_unit", "tco2_per_unit", "value", "known",
        "unit", "status", "source", "reason",
    ),
}  # fmt: skip


@made_once
def carbon(published: Published, period: str) -> pl.DataFrame:
    """Rows of CARBON of a month or year. Raises InputError where nothing is published of it."""
    published.require(period)
    found = _energy(published, period).consumption
    return carbon_balance(found, _meters(published, period), published.site, period)


@made_once
def carbon_intensity(published: Published, period: str) -> pl.DataFrame:
    """Rows of CARBON_INTENSITY of a month or year. Raises InputError as `carbon` does."""
    balance, energy = carbon(published, period), _energy(published, period)
    return carbon_intensities(balance, energy, _made(published, period), published.site, period)


@made_once
def renewables(published: Published, period: str) -> pl.DataFrame:
    """Rows of RENEWABLES of a month or year. Raises InputError as `carbon` does."""
    published.require(period)
    found = _energy(published, period).consumption
    return renewable_rates(found, _meters(published, period), published.site, period)


def supply_chain(published: Published, period: str) -> pl.DataFrame:
    """Rows of SUPPLY_CHAIN of a month or year. Raises InputError for any other text."""
    grain_of(period)
    return supply_chain_carbon(published.site.plant.assessment.carbon.purchases, period)


def _meters(published: Published, period: str) -> pl.DataFrame:
    return _amounts(published, period, grain_of(period))


def _energy(published: Published, period: str) -> Energy:
    """Consumption and products' shares of the period, less what is raw material."""
    site = published.site
    if all(meter.role != "feedstock" for meter in site.plant.all_meters.values()):
        return Energy(published.of(CONSUMPTION, period), published.of(ALLOCATIONS, period))
    amounts = _amounts(published, period, "day", grain_of(period))
    required = site.plant.quality.required_coverage_ratio
    used = consumption_of(site, amounts, required, feedstock=False)
    shared = allocate(used, amounts, _made(published, period, "day"), site)
    of = (pl.col("grain") == grain_of(period)) & (pl.col("period") == period)
    return Energy(used.filter(of), shared.filter(of))


Grain = Literal["day", "month", "year"]


def _amounts(published: Published, period: str, *grains: Grain) -> pl.DataFrame:
    """Amounts by meter, read and virtual, of the periods inside a month or year."""
    of = _periods(published, period, *grains).select("grain", "period", "whole")
    rows = published.rows(METER_PERIODS).join(of, on=("grain", "period")).drop("plant_id")
    return pl.concat([rows, virtual_periods(rows, virtual_rules_of(published.site))])


def _periods(published: Published, period: str, *grains: Grain) -> pl.DataFrame:
    span = published.span(period)
    if span is None:
        return PERIOD_SCHEMA.to_frame()
    info = published.site.plant.plant
    found = [periods(grain, *span, info.zone, info.month_end_day) for grain in grains]
    return pl.concat(found)


def _made(published: Published, period: str, *more: Grain) -> pl.DataFrame:
    """Output of the products in the period, with bounds, in the products' units."""
    site, grains = published.site, (grain_of(period), *more)
    products = pl.DataFrame(
        list(output_meters(site).items()),
        schema={"meter_id": pl.String, "product_id": pl.String},
        orient="row",
    )
    amounts, spans = _amounts(published, period, *grains), _periods(published, period, *grains)
    typed = published.rows(OUTPUTS).lazy()
    made = product_output(amounts, products, typed, spans).rename({"quantity": "amount"})
    found = judged(made, site.plant.quality.required_coverage_ratio)
    return found.rename({"amount": "quantity"}).with_columns(plant_id=pl.lit(site.id))
