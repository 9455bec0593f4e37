"""CO2 for a unit of product, of output value, of value added, and of energy."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any, NamedTuple

import polars as pl

from config.economy import money_of
from config.models import Product
from config.node_tree import NodeTree
from config.sheets.carbon import CARBON_INTENSITY
from config.site import Site
from config.standards import CONFIDENCES, weakest
from config.units import CNY_PER_VALUE_UNIT, conversion_factor
from indicators.boundary import energy_of, expected_of
from indicators.coal import Coefficient, label_day
from indicators.emission_factors import CarbonRules, emission_factor
from indicators.intensity import Bounded, intensity
from indicators.numerators import STATUSES, Asked, Rule, energy_kinds, energy_rule, sum_periods
from indicators.products import Energy

FOOTPRINT = (
    "gate to gate: the manufacturing stage alone; materials, transport, use and disposal are not "
    "in it (GB/T 24067)"
)
_MONEY = {"output_value": "output_value_cny", "added_value": "added_value_cny"}
_KINDS = ("fuel", "electricity", "heat")


class Part(NamedTuple):
    """Numerator or denominator of a ratio, with what is known of it."""

    amount: Bounded
    coverage_ratio: float
    status: str
    confidence: str
    factors: str = ""
    reason: str = ""
    note: str = ""


def carbon_rule(rules: CarbonRules, on: date) -> Rule:
    """Fuels, electricity and heat by their emission factors of the day ``on`` [tCO2].

    GB/T 32150-2015 (clause not checked against the print); see `emission_factor`.

    >>> from config.carbon import Carbon
    >>> from config.standards import read_library
    >>> from config.standards_emission import EmissionRow
    >>> from config.standards_files import read_dataset
    >>> rules = CarbonRules(Carbon(), "", read_library(), read_dataset(EmissionRow), {})
    >>> rule = carbon_rule(rules, date(2023, 5, 1))
    >>> rule.counts("water_fresh"), rule.coefficient(Asked("electricity", "MWh", ";"))
    (False, Coefficient(kgce_per_unit=0.5306, factor_id='grid|CN|2023', confidence='seen'))
    """
    kinds = energy_kinds(rules.library)

    def of(asked: Asked) -> Coefficient:
        found = emission_factor(rules, asked.energy, asked.unit, on)
        if found is None:
            return Coefficient(None, "", "")
        return Coefficient(found.tco2_per_unit, found.row, found.confidence)

    return Rule(lambda energy: kinds.get(energy) in _KINDS, of)


def plant_energy(consumption: pl.DataFrame, site: Site) -> Part:
    r"""Comprehensive energy of the plant [tce, calorific].

    .. math:: E = \sum_i E_i k_i / 1000

    ``consumption``: rows of CONSUMPTION of one period; without feedstock where GB/T 36132 asks for
    it. Unknown where an energy of the plant has no row, no amount or no factor. GB/T 2589-2020
    (clause not checked against the print).

    >>> from config.example import used, works
    >>> from indicators.coal import add_coal
    >>> whole = used()[[0, 1, 3]].with_columns(node_id=pl.lit("works"))  # coal, power, less steam
    >>> round(plant_energy(add_coal(whole, works().library), works()).amount.value, 4)
    101.0974
    """
    tree = NodeTree(site.plant.nodes, site.plant.all_meters)
    expected = {
        (tree.root, energy)
        for energy in tree.energies
        if tree.weights(tree.root, energy, feedstock=False)
    }
    own = (pl.col("plant_id") == site.id) & (pl.col("node_id") == tree.root)
    found = sum_periods(consumption.filter(own), energy_rule(site.library, "calorific"), expected)
    return _part(found, "energy of the plant is not known in full", 1000.0)


def _part(summed: pl.DataFrame, why: str, over: float = 1.0) -> Part:
    """The one row of `sum_periods`, divided by ``over``, as a part; unknown where none is."""
    if summed.is_empty():
        return Part(Bounded(None, None, None), 0.0, STATUSES[-1], "seen", reason=why)
    row = summed.row(0, named=True)
    ends = (row["numerator"], row["numerator_low"], row["numerator_high"])
    known = ends[0] is not None
    return Part(
        Bounded(*(None if end is None else end / over for end in ends)),
        row["coverage_ratio"],
        STATUSES[row["status_rank"]] if known else STATUSES[-1],
        CONFIDENCES[row["confidence_rank"]],
        reason="" if known else why,
    )


def carbon_intensities(
    balance: pl.DataFrame, energy: Energy, made: pl.DataFrame, site: Site, period: str
) -> pl.DataFrame:
    r"""The rows of the sheet CARBON_INTENSITY [tCO2/unit, tCO2/10^4 CNY, tCO2/tce].

    .. math:: C_{ui} = C_i / Q_i, \quad C_{gi} = C / G

    ``balance``: rows of CARBON; ``energy``: without feedstock; ``made``: output of products, with
    product_id, start_utc, end_utc, quantity, low, high, coverage_ratio, status, in the products'
    units. A product's CO2 is that of the energy of its boundary and its shares (`energy_of`); what
    the plant makes of other energies and hands on is counted like bought. GB/T 36132-2025, B.3 and
    B.4; footprint: GB/T 24067, the manufacturing stage alone.

    >>> from config.book_tables import METER_PERIODS
    >>> from config.example import made, used, works
    >>> from indicators.carbon import carbon_balance
    >>> no_meters = pl.DataFrame(schema=METER_PERIODS.polars_schema())
    >>> balance = carbon_balance(used(), no_meters, works(), "2026-10")
    >>> energy = Energy(used().with_columns(factors=pl.lit(";")), None)
    >>> rows = carbon_intensities(balance, energy, made(), works(), "2026-10")
    >>> rows.select("indicator", "unit", "value").row(0)  # nobody said which coal it is
    ('carbon_per_product', 'tCO2/t', None)
    """
    rows = [
        row
        for product_id in site.plant.products
        for row in _of_product(energy, made, site, product_id, period)
    ]
    total = _total(balance)
    rows += _of_money(total, site, period)
    tce = plant_energy(energy.consumption, site)
    rows.append(_row("carbon_per_energy", "plant", period, total, tce, "tce"))
    return pl.DataFrame(rows, schema=CARBON_INTENSITY.polars_schema(), orient="row")


def _total(balance: pl.DataFrame) -> Part:
    row = balance.filter(pl.col("scope") == "total").row(0, named=True)
    names = ("coverage_ratio", "status", "confidence", "factors", "reason", "note")
    return Part(Bounded(row["value"], row["low"], row["high"]), *(row[name] for name in names))


def _of_product(
    energy: Energy, made: pl.DataFrame, site: Site, product_id: str, period: str
) -> Iterator[dict[str, Any]]:
    own = pl.col("plant_id") == site.id
    inside = energy_of(energy.consumption.filter(own), energy.allocations, product_id, site)
    expected = expected_of(site, product_id, feedstock=False)
    carbon = _carbon_of(inside, expected, site, label_day(period))
    product = site.plant.products[product_id]
    output = _output_of(made.filter(pl.col("product_id") == product_id), inside, product)
    unit = product.unit
    yield _row("carbon_per_product", product_id, period, carbon, output, unit)
    note = f"{FOOTPRINT}; {carbon.note}" if carbon.note else FOOTPRINT
    kilograms = carbon._replace(amount=_scaled(carbon.amount, 1000.0), note=note)
    yield _row("product_footprint", product_id, period, kilograms, output, unit, "kgCO2")


def _carbon_of(inside: pl.DataFrame, expected: set[tuple[str, str]], site: Site, on: date) -> Part:
    """CO2 of a product's energy [tCO2], with the factors, and why it is unknown."""
    rules = CarbonRules.of(site)
    rule = carbon_rule(rules, on)
    found = _part(sum_periods(inside, rule, expected), "its energy is not known in full")
    factors: dict[str, None] = {}
    said: dict[str, None] = {}
    why: dict[str, None] = {}
    for energy, unit in inside.select("energy_code", "unit").unique(maintain_order=True).rows():
        if (factor := emission_factor(rules, energy, unit, on)) is not None:
            factors.update(dict.fromkeys(filter(None, (factor.row,))))
            if factor.note:
                (why if factor.tco2_per_unit is None else said)[f"{energy}: {factor.note}"] = None
    why.update((one, None) for one in _missing(inside, expected, rule))
    reason = "; ".join(why) if why and found.amount.value is None else found.reason
    return found._replace(factors=";".join(factors), reason=reason, note="; ".join(said))


def _missing(inside: pl.DataFrame, expected: set[tuple[str, str]], rule: Rule) -> Iterator[str]:
    """What of a product's energy is refused, or has no row."""
    there = set(inside.select("node_id", "energy_code").rows())
    for node_id, energy in sorted(expected - there):
        if rule.counts(energy):
            yield f"{energy} of {node_id}: no consumption of it is published"
    for row in inside.filter(pl.col("amount").is_null()).iter_rows(named=True):
        if rule.counts(row["energy_code"]):
            yield (
                f"{row['energy_code']} of {row['node_id']}: refused, with a coverage of "
                f"{row['coverage_ratio']:.1%}"
            )


def _output_of(made: pl.DataFrame, inside: pl.DataFrame, product: Product) -> Part:
    """The product's standard output, where it covers the same time as its energy."""
    if len(made) != 1:
        why = "its output is stated in several units" if len(made) else "no output of it"
        return Part(Bounded(None, None, None), 0.0, STATUSES[-1], "seen", reason=why)
    row = made.row(0, named=True)
    size = conversion_factor(row["unit"], product.unit) * product.standard_factor
    amount = _scaled(Bounded(row["quantity"], row["low"], row["high"]), size)
    spans = ("start_utc", "end_utc")
    same = inside.is_empty() or all(
        getattr(inside[name], end)() == row[name]
        for name, end in zip(spans, ("min", "max"), strict=True)
    )
    reason = "" if same else "energy and output do not cover the same time"
    if same and amount.value is None:
        reason = f"its output is refused, with a coverage of {row['coverage_ratio']:.1%}"
    return Part(
        amount if same else Bounded(None, None, None),
        row["coverage_ratio"],
        row["status"] if same else STATUSES[-1],
        "seen",
        reason=reason,
    )


def _scaled(amount: Bounded, factor: float) -> Bounded:
    return Bounded(*(None if one is None else one * factor for one in amount))


def _of_money(total: Part, site: Site, period: str) -> Iterator[dict[str, Any]]:
    for name, field in _MONEY.items():
        value = money_of(site.plant.assessment.economy, field, period)
        size = None if value is None else value / CNY_PER_VALUE_UNIT
        why = f"no {field} of {period} under assessment.economy" if value is None else ""
        money = Part(Bounded(size, size, size), 1.0, STATUSES[0], "seen", reason=why)
        yield _row(f"carbon_per_{name}", "plant", period, total, money, "10^4 CNY")


def _row(
    indicator: str, subject: str, period: str, carbon: Part, divisor: Part, unit: str,
    carbon_unit: str = "tCO2",
) -> dict[str, Any]:  # fmt: skip
    found = intensity(carbon.amount, divisor.amount)
    coverage = min(carbon.coverage_ratio, divisor.coverage_ratio)
    status = STATUSES[max(STATUSES.index(one.status) for one in (carbon, divisor))]
    known = found.value is not None
    why = carbon.reason or divisor.reason or found.reason.replace("output", "denominator")
    size = 1000.0 if carbon_unit == "kgCO2" else 1.0
    amount = carbon.amount.value
    return {
        "indicator": indicator, "subject": subject, "period": period, "value": found.value,
        "low": found.low, "high": found.high, "unit": f"{carbon_unit}/{unit}",
        "numerator": None if amount is None else amount / size,
        "denominator": divisor.amount.value, "denominator_unit": unit,
        "coverage_ratio": coverage, "status": status if known else STATUSES[-1],
        "factors": carbon.factors, "confidence": weakest((carbon.confidence, divisor.confidence)),
        "reason": "" if known else why, "note": carbon.note,
    }  # fmt: skip
