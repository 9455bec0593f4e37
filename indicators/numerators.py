"""Which energies a figure counts, and by which coefficient: one rule a numerator."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import NamedTuple

import polars as pl

from config.errors import ConfigError
from config.standards import BASES, CONFIDENCES, Basis, Library
from config.standards_rows import Factor, NormRow
from config.units import conversion_factor
from indicators.coal import UNKNOWN, Coefficient
from indicators.norms import POWER_SUPPLY_INDICATOR, Kind

# The standard that counts energy by a table of its own, and its products for which 6.1.5 takes
# electricity at 0.21 kgoe/kWh; the others take it calorific (0.086 kgoe/kWh).
OWN_TABLE_STANDARD = "GB 30251-2024"
EQUIVALENT_ELECTRICITY_PRODUCTS = ("炼油", "乙烯装置")

STATUSES = ("complete", "partial", "refused")


class Asked(NamedTuple):
    """What a coefficient is asked for.

    An energy, the unit of its amounts, and the ids of the factors that its consumption row names
    (``calorific;equivalent``): they carry the edition that held on the period's day.
    """

    energy: str
    unit: str
    factors: str


@dataclass(frozen=True)
class Rule:
    """Which energies a numerator counts, and its coefficient for each [numerator per unit]."""

    counts: Callable[[str], bool]
    coefficient: Callable[[Asked], Coefficient]


def energy_kinds(library: Library) -> dict[str, str]:
    """Energy code to kind: fuel, electricity, heat or medium.

    As the rows of factors.csv say it: GB/T 2589-2020 has fuels, electricity and heat in annex A and
    media in annex B (as recalled), other sources have some more.

    >>> from config.example import works
    >>> kinds = energy_kinds(works().library)
    >>> kinds["raw_coal"], kinds["water_fresh"]
    ('fuel', 'medium')
    """
    return {factor.energy: factor.kind for factor in reversed(library.factors)}


def rule_for(kind: Kind, norm: NormRow | None, library: Library) -> Rule:
    """Which energies a figure of ``kind`` counts, and by which coefficient [kgce/unit or kWh/unit].

    Energy takes every energy by its calorific factor (GB/T 2589-2020), unless the norm's standard
    has a table of its own (GB 30251-2024, 6.1.5); electricity takes itself [kWh]; coal the
    fuels alone. Without ``norm`` no standard's own rule applies.

    >>> from config.example import works
    >>> coal = Asked("raw_coal", "kg", "GB/T 2589-2020|RAW_COAL;GB/T 2589-2020|RAW_COAL")
    >>> rule_for("unit_product_energy", None, works().library).coefficient(coal).kgce_per_unit
    0.7143
    >>> rule_for("unit_product_electricity", None, works().library).counts("raw_coal")
    False
    """
    if kind == "unit_product_electricity":
        return _electricity_rule(library)
    if norm is not None and kind == "unit_product_coal":
        return _coal_rule(library, norm)
    if norm is not None and norm.standard == OWN_TABLE_STANDARD:
        return _own_table_rule(library, norm)
    return energy_rule(library, "calorific")


def energy_rule(library: Library, basis: Basis) -> Rule:
    """Every energy, by the factor on ``basis`` that its consumption row names [kgce/unit].

    GB/T 2589-2020 (clause not checked against the print); the two bases are never in one sum.

    >>> from config.example import works
    >>> coal = Asked("raw_coal", "kg", "GB/T 2589-2020|RAW_COAL;")
    >>> energy_rule(works().library, "calorific").coefficient(coal).kgce_per_unit
    0.7143
    >>> energy_rule(works().library, "equivalent").coefficient(coal).kgce_per_unit is None
    True
    """
    used = _used_factor(library, basis)
    return Rule(lambda _: True, lambda asked: _by(used(asked), asked.unit))


def _electricity_rule(library: Library) -> Rule:
    """Electricity alone, as it is [kWh]."""
    kinds = energy_kinds(library)
    return Rule(
        lambda energy: kinds.get(energy) == "electricity",
        lambda asked: Coefficient(conversion_factor(asked.unit, "kWh"), "", ""),
    )


def _coal_rule(library: Library, norm: NormRow) -> Rule:
    """The fuels, as standard coal [kgce]: 煤耗 counts whichever fuel is burnt.

    A 供电煤耗率 where heat crosses the boundary is unknown, for the fuel would have to be shared
    between power and heat.
    """
    kinds, calorific = energy_kinds(library), energy_rule(library, "calorific")
    power_supply = norm.indicator == POWER_SUPPLY_INDICATOR

    def of_fuel(asked: Asked) -> Coefficient:
        return calorific.coefficient(asked) if kinds.get(asked.energy) == "fuel" else UNKNOWN

    counted = ("fuel", "heat") if power_supply else ("fuel",)
    return Rule(lambda energy: kinds.get(energy) in counted, of_fuel)


def _own_table_rule(library: Library, norm: NormRow) -> Rule:
    """Every energy by the table of the norm's own standard (GB 30251-2024) [kgce].

    Electricity as its 6.1.5 says. Only some rows of that table are at hand; an energy without one
    takes the plant's own factor, else it is unknown. A general factor of GB/T 2589 never stands in.
    """
    kinds, used = energy_kinds(library), _used_factor(library, "calorific")
    own = {factor.energy: factor for factor in library.factors if factor.scope == norm.standard}
    calorific_power = norm.product not in EQUIVALENT_ELECTRICITY_PRODUCTS

    def of_table(asked: Asked) -> Coefficient:
        factor = used(asked)
        if kinds.get(asked.energy) == "electricity" and calorific_power:
            return _by(factor, asked.unit)
        if asked.energy in own:
            return _by(own[asked.energy], asked.unit)
        return _by(factor, asked.unit) if factor and factor.scope == "plant" else UNKNOWN

    return Rule(lambda _: True, of_table)


def _used_factor(library: Library, basis: Basis) -> Callable[[Asked], Factor | None]:
    """Finds the factor that a consumption row names; None where its slot is empty."""
    by_id = {factor.id: factor for factor in library.factors}

    def used(asked: Asked) -> Factor | None:
        factor_id = f"{asked.factors};".split(";")[BASES.index(basis)]
        if factor_id and factor_id not in by_id:
            raise ConfigError(
                f"consumption of {asked.energy} was counted by the factor {factor_id!r}, which is "
                "neither in the standards data nor in plant.yaml",
                data="no indicator was computed",
                todo="compute the consumption anew with the present factors",
            )
        return by_id.get(factor_id)

    return used


def _by(factor: Factor | None, unit: str) -> Coefficient:
    if factor is None or factor.kgce_per_unit is None:
        return UNKNOWN
    size = conversion_factor(unit, factor.unit)
    return Coefficient(factor.kgce_per_unit * size, factor.id, factor.confidence)


def sum_periods(
    consumption: pl.DataFrame, rule: Rule, expected: Collection[tuple[str, str]]
) -> pl.DataFrame:
    r"""Sum of what ``rule`` counts, by period.

    .. math:: E = \sum_i E_i k_i, \quad E_l = \sum_i E_{l,i} k_i, \quad E_h = \sum_i E_{h,i} k_i

    ``consumption`` holds the rows of the boundary. ``expected`` are the (node, energy) that must
    have a row in each period; those with a row in any period of the same length are added.

    Per (by, period): start_utc, end_utc, numerator, numerator_low, numerator_high [unit of the
    rule], coverage_ratio (of the weakest row), status_rank (index in STATUSES, the worst) and
    confidence_rank (index in CONFIDENCES, the weakest). A row without amount or coefficient, or a
    row that is absent, makes the numerator null; a null bound makes the sum's bound null. The sum
    is that of GB/T 2589-2020 (clause not checked against the print); what makes it null is kgce's
    own rule.

    >>> from config.example import used, works
    >>> from indicators.coal import add_coal
    >>> site, kiln = works(), used().filter(pl.col("node_id") == "kiln")
    >>> rule = rule_for("unit_product_energy", None, site.library)
    >>> sum_periods(add_coal(kiln, site.library), rule, [])["numerator"].item()
    106884.4
    >>> more = [("kiln", "natural_gas")]
    >>> sum_periods(add_coal(kiln, site.library), rule, more)["numerator"].item() is None
    True
    """
    counted = _counted(consumption, rule)
    wanted = _wanted(counted, {pair for pair in expected if rule.counts(pair[1])})
    summed = counted.join(wanted, on="grain").with_columns(
        _whole=pl.len().over("grain", "period") == pl.col("wanted")
    )

    def total(name: str) -> pl.Expr:
        known = pl.col("_whole").all() & pl.col(name).is_not_null().all()
        # Smallest first: the same to the last bit in whatever order an engine adds.
        return pl.when(known).then(pl.col(name).implode().list.sort().list.sum())

    return summed.group_by("grain", "period", maintain_order=True).agg(
        pl.col("start_utc").min(),
        pl.col("end_utc").max(),
        numerator=total("amount"),
        numerator_low=total("low"),
        numerator_high=total("high"),
        coverage_ratio=pl.when(pl.col("_whole").all())
        .then(pl.col("coverage_ratio").min())
        .otherwise(0.0),
        status_rank=pl.col("status_rank").max(),
        confidence_rank=pl.col("confidence_rank").max(),
    )


def _counted(consumption: pl.DataFrame, rule: Rule) -> pl.DataFrame:
    """The rows that the rule counts; amount, low and high in its numerator's unit."""
    keys = ("energy_code", "unit", "factors")
    found = []
    for asked in map(Asked._make, consumption.select(keys).unique().iter_rows()):
        if rule.counts(asked.energy):
            of = rule.coefficient(asked)
            confidence_rank = CONFIDENCES.index(of.confidence or CONFIDENCES[0])
            found.append((*asked, of.kgce_per_unit, confidence_rank))
    schema = {
        **dict.fromkeys(keys, pl.String()),
        "_per_unit": pl.Float64(),
        "confidence_rank": pl.Int64(),
    }
    coefficients = pl.DataFrame(found, schema=schema, orient="row")
    return consumption.join(coefficients, on=keys, how="inner", maintain_order="left").with_columns(
        pl.col("amount", "low", "high") * pl.col("_per_unit"), status_rank()
    )


def _wanted(counted: pl.DataFrame, expected: set[tuple[str, str]]) -> pl.DataFrame:
    """How many rows each period must have, by length of period."""
    seen = counted.select("grain", "node_id", "energy_code").unique()
    rows = [
        (by, len(expected | set(group.select("node_id", "energy_code").iter_rows())))
        for (by,), group in seen.group_by("grain")
    ]
    schema = {"grain": pl.String(), "wanted": pl.Int64()}
    return pl.DataFrame(rows, schema=schema, orient="row")


def status_rank() -> pl.Expr:
    """The column ``status`` as its index in STATUSES, ``status_rank``; an unknown one raises.

    kgce's own rule: a sum is no better than the worst of its parts, so the greatest rank counts.

    >>> pl.DataFrame({"status": ["complete", "refused"]}).select(status_rank()).to_series().max()
    2
    """
    ranks = {status: rank for rank, status in enumerate(STATUSES)}
    return pl.col("status").replace_strict(ranks, return_dtype=pl.Int64).alias("status_rank")
