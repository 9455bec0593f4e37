"""Norms (单位产品能源消耗限额): what each row asks for, and which level a figure meets.

A row's figure is a plain ratio E / P in the row's own unit. Rows whose figure is no such ratio
are refused with the reason. The corrections that some standards make for ore grade, altitude,
load and the like stand in the row's note; they are not applied here (those that convert output
belong into the product's ``standard_factor``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Literal

from config.errors import ConfigError
from config.standards import Library
from config.standards_rows import NormRow
from config.units import conversion_factor

Kind = Literal["unit_product_energy", "unit_product_electricity", "unit_product_coal"]
Numerator = Literal["kgce", "tce", "gce", "kgoe", "kWh"]
Levels = Sequence[float | None]
Distances = tuple[float | None, float | None, float | None]

YEAR_SECONDS = 365 * 86400

# numerator -> size in kgce, where the size is a definition and no dated factor
COAL_UNITS: dict[str, float] = {"kgce": 1.0, "tce": 1000.0, "gce": 0.001}

# denominator as printed -> (unit of the product's output, how many of them it is)
DENOMINATORS: dict[str, tuple[str, float]] = {
    "t": ("t", 1.0),
    "10^4 t": ("10^4 t", 1.0),
    "kg": ("kg", 1.0),
    "m2": ("m2", 1.0),
    "10^4 m2": ("10^4 m2", 1.0),
    "m3": ("m3", 1.0),
    "kL": ("m3", 1.0),
    "GJ": ("GJ", 1.0),
    "kWh": ("kWh", 1.0),
    # Air-dry tonnes of pulp: the output is stated, or made by standard_factor, air-dry.
    "Adt": ("t", 1.0),
    "t SO2": ("t", 1.0),
    "t DMF": ("t", 1.0),
    # 1 toe = 10 Gcal = 41.868 GJ: the output is stated as the product's heat of combustion.
    "toe": ("GJ", 41.868),
    # Counted; standard_factor converts 40-foot containers, or wafers of another size.
    "10^4 TEU": ("10^4 piece", 1.0),
    "10^6片": ("10^4 piece", 100.0),
}

REFUSED_UNITS: dict[str, str] = {
    "kgoe/(t*energy factor)": "its output is weighted by the energy factors of the refinery's "
    "units, which no output table states",
    "kgce/km2": "the unit is doubtful (kgce per km2 as transcribed; perhaps per 1000 m2): "
    "check the row against the printed standard",
    "kgce/tsl": "the unit symbol tsl is not understood: check the row against the printed standard",
    "kgce/重量箱": "weight boxes of glass hang on the thickness; no unit of output states them",
}

REFUSED_INDICATORS: dict[str, str] = {
    "供热煤耗率": "a unit that supplies heat shares its fuel between power and heat by a rule that "
    "is no plain ratio",
    "单位产品焦炭消耗": "it counts the mass of coke alone, not energy",
    "单位产品可比熔融焦耗": "it counts the coke of the melting furnace alone, with corrections",
}

# 煤耗 is the standard coal of the fuels burnt, whichever they are: a gas turbine has a 供电煤耗率,
# and a cement kiln's 综合煤耗 takes its oil too. Electricity, heat and media stay outside.
# (Recalled from GB 16780 and DL/T 904; check the printed definitions.)
COAL_INDICATORS = ("单位产品综合煤耗", "供电煤耗率")

# Fits only a unit that supplies no heat: see the reason of 供热煤耗率.
POWER_SUPPLY_INDICATOR = "供电煤耗率"


@dataclass(frozen=True)
class Ratio:
    """The unit of a norm: ``numerator`` per ``denominator``, both as printed.

    One denominator is ``output_per_denominator`` of ``output_unit``, a unit of config.units.
    """

    numerator: Numerator
    denominator: str
    output_unit: str
    output_per_denominator: float


@dataclass(frozen=True)
class NormUse:
    """What a norm's row asks for; where ``kind`` and ``ratio`` are None, ``refusal`` says why."""

    kind: Kind | None
    ratio: Ratio | None
    refusal: str


def parse_unit(unit: str) -> Ratio | None:
    r"""The ratio that a norm's unit states; None where it is none that can be computed.

    .. math:: 1\ \mathrm{denominator} = s\ \mathrm{output\ units}

    s is ``output_per_denominator`` [output unit per denominator]. Units as the norms' rows print
    them; how they are read is kgce's own rule.

    >>> ratio = parse_unit("kgce/10^6片")
    >>> ratio.numerator, ratio.output_unit, ratio.output_per_denominator
    ('kgce', '10^4 piece', 100.0)
    >>> parse_unit("kgce/km2") is None
    True
    """
    numerator, _, denominator = unit.partition("/")
    known = DENOMINATORS.get(denominator)
    if known is None:
        return None
    for numerator_unit in ("kgce", "tce", "gce", "kgoe", "kWh"):
        if numerator == numerator_unit:
            return Ratio(numerator_unit, denominator, *known)
    return None


@cache
def use_of(norm: NormRow) -> NormUse:
    """Kind and ratio of a norm's row, or the reason why kgce does not compute it.

    A row asks for one figure of the standard that it names; which indicators and units count as
    energy, electricity or coal is kgce's own rule.

    >>> from config.example import CLINKER_NORM, works
    >>> use_of(works().library.norms[CLINKER_NORM]).kind
    'unit_product_energy'
    >>> from dataclasses import replace
    >>> use_of(replace(works().library.norms[CLINKER_NORM], id="a row", unit="kgce/x")).refusal
    "a row: unit 'kgce/x' is not known"
    """
    refusal = REFUSED_INDICATORS.get(norm.indicator) or REFUSED_UNITS.get(norm.unit)
    ratio = parse_unit(norm.unit)
    if refusal is None and ratio is None:
        refusal = f"unit {norm.unit!r} is not known"
    if refusal is not None or ratio is None:
        return NormUse(None, None, f"{norm.id}: {refusal}")
    if ratio.numerator == "kWh":
        return NormUse("unit_product_electricity", ratio, "")
    if norm.indicator in COAL_INDICATORS:
        return NormUse("unit_product_coal", ratio, "")
    return NormUse("unit_product_energy", ratio, "")


def why_refused(norm: NormRow, product_unit: str) -> str | None:
    """Why the norm cannot judge a product counted in ``product_unit``; None where it can.

    kgce's own rule: a unit of another dimension is refused, never guessed.

    >>> from config.example import CLINKER_NORM, works
    >>> norm = works().library.norms[CLINKER_NORM]
    >>> why_refused(norm, "kg") is None
    True
    >>> "needs output in t" in why_refused(norm, "m2")
    True
    """
    use = use_of(norm)
    if use.ratio is None:
        return use.refusal
    try:
        conversion_factor(product_unit, use.ratio.output_unit)
    except ConfigError as error:
        return f"{norm.id}: {norm.unit} needs output in {use.ratio.output_unit}: {error.given}"
    return None


def kgce_per_numerator(numerator: Numerator, library: Library, on: date) -> float:
    r"""Size of a norm's numerator at the date ``on`` [kgce].

    .. math:: 1\ \mathrm{kWh} = k_{el}, \quad 1\ \mathrm{kgoe} = k_{oil}, \quad
        1\ \mathrm{tce} = 1000

    Electricity by its calorific factor (GB/T 2589-2020, annex A as recalled); 1 kgoe by the factor
    of standard oil (GB 30251-2024). Raises ConfigError where the library has no such factor on that
    day.

    >>> from config.example import works
    >>> kgce_per_numerator("kWh", works().library, date(2026, 10, 1))
    0.1229
    >>> kgce_per_numerator("gce", works().library, date(2026, 10, 1))
    0.001
    """
    if numerator in COAL_UNITS:
        return COAL_UNITS[numerator]
    energy = "electricity" if numerator == "kWh" else "standard_oil"
    factor = library.factor(energy, "calorific", on)
    if factor is None or factor.kgce_per_unit is None:
        raise ConfigError(
            f"no calorific factor of {energy} on {on}", todo="state one under `factors:`"
        )
    return factor.kgce_per_unit


def level_reached(value: float, levels: Levels) -> int | None:
    r"""The best level that ``value`` meets: the smallest k with value <= level k.

    .. math:: k^* = \min \{k : e \le L_k\}

    0 where it meets none; None where the standard defines none. Levels 1 advanced, 2 access,
    3 limit [unit of the norm] may be negative, blank, or out of order (GB 21258-2024); a blank
    one is never interpolated. Compared at full precision: what norms leave open here is kgce's own
    rule.

    >>> level_reached(107.0, (100.0, 107.0, 117.0)), level_reached(117.1, (100.0, 107.0, 117.0))
    (2, 0)
    >>> level_reached(285.5, (286.0, 285.0, 299.0)), level_reached(70.0, (61.0, None, 72.0))
    (1, 3)
    """
    met = [k for k, level in enumerate(levels, start=1) if level is not None and value <= level]
    if met:
        return met[0]
    return None if all(level is None for level in levels) else 0


def distances(value: float, levels: Levels) -> Distances:
    r"""Distance to each level [unit of the norm]; above zero is still to go; None where blank.

    .. math:: d_k = e - L_k

    At full precision, of which no standard tells the sign: kgce's own rule.

    >>> distances(110.0, (100.0, None, 117.0))
    (10.0, None, -7.0)
    """
    one, two, three = (None if level is None else value - level for level in levels)
    return (one, two, three)


def distance_tce_per_year(
    distance: float, kgce_per_norm_unit: float, output: float, seconds: float
) -> float:
    r"""A distance to a level as coal equivalent a year at the period's rate of output [tce/a].

    .. math:: D = d \cdot k \cdot P \cdot \frac{365 \mathrm{d}}{T} / 1000

    ``distance`` [numerator per denominator], ``kgce_per_norm_unit`` [kgce per numerator],
    ``output`` [denominator] of the period T of ``seconds`` [s] (above zero). kgce's own rule.

    >>> distance_tce_per_year(10.0, 1.0, 1000.0, 73 * 86400)
    50.0
    """
    return distance * kgce_per_norm_unit * output * (YEAR_SECONDS / seconds) / 1000
