"""Coal equivalent (折标煤) of amounts of energy, GB/T 2589-2020.

Two bases, never mixed in one sum: calorific (当量值) and equivalent (等价值).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import NamedTuple, TypeVar

import polars as pl

from config.standards import BASES, Basis, Library, weakest
from config.units import conversion_factor

Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)

COAL_COLUMNS: dict[str, pl.DataType] = {
    "kgce_calorific": pl.Float64(),
    "kgce_equivalent": pl.Float64(),
    "factors": pl.String(),
    "confidence": pl.String(),
}


class Coefficient(NamedTuple):
    """A coefficient to standard coal [kgce per unit of the amount] and where it is from.

    ``kgce_per_unit`` is None where no factor gives a single number; then ``factor_id`` and
    ``confidence`` are empty.
    """

    kgce_per_unit: float | None
    factor_id: str
    confidence: str


UNKNOWN = Coefficient(None, "", "")


def coal_equivalent(amount: float, kgce_per_unit: float) -> float:
    r"""Coal equivalent of one energy [kgce].

    .. math:: E_i \cdot k_i

    ``amount`` [unit], ``kgce_per_unit`` [kgce/unit]. GB/T 2589-2020 (clause not
    checked against the print).

    >>> coal_equivalent(1000.0, 0.9)
    900.0
    """
    return amount * kgce_per_unit


def comprehensive_energy(parts: Iterable[tuple[float | None, float | None]]) -> float | None:
    r"""Comprehensive energy consumption (综合能耗) [kgce].

    .. math:: E = \sum_i E_i \cdot k_i

    ``parts`` are amounts [unit] with their coefficients [kgce/unit]; energy sent out is negative.
    None where any amount or coefficient is unknown: missing is never zero. GB/T 2589-2020
    (clause not checked against the print).

    >>> comprehensive_energy([(1000.0, 0.7143), (2000.0, 0.1229)])
    960.1
    >>> comprehensive_energy([(1000.0, 0.7143), (None, 0.1229)]) is None
    True
    """
    total = 0.0
    for amount, kgce_per_unit in parts:
        if amount is None or kgce_per_unit is None:
            return None
        total += coal_equivalent(amount, kgce_per_unit)
    return total


def label_day(period: str) -> date:
    """First day of a period's label: the day whose factors hold for the period.

    The statistical month from 26 September to 25 October is labelled 2026-10 and takes the
    factors of 1 October. kgce's own rule.

    >>> label_day("2026"), label_day("2026-10"), label_day("2026-10-05T13:00+08:00")
    (datetime.date(2026, 1, 1), datetime.date(2026, 10, 1), datetime.date(2026, 10, 5))
    """
    return date.fromisoformat((period + "-01-01")[:10])


def label_day_expr() -> pl.Expr:
    """``label_day`` of the column ``period``, as ISO text. kgce's own rule.

    >>> pl.select(period=pl.lit("2026-10")).select(label_day_expr()).item()
    '2026-10-01'
    """
    return (pl.col("period") + "-01-01").str.slice(0, 10)


def coefficient(library: Library, energy: str, unit: str, basis: Basis, on: date) -> Coefficient:
    r"""The coefficient that holds for amounts of ``energy`` in ``unit`` at ``on`` [kgce/unit].

    .. math:: k_u = k_f \cdot u / u_f

    k_f is the factor [kgce per its own unit u_f] in force on the day, the plant's own before the
    table's: what was measured goes before annexes A and B of GB/T 2589-2020 (clause not checked
    against the print).

    Raises ConfigError where ``unit`` is of another dimension than the factor's unit.

    >>> from config.example import works
    >>> coefficient(works().library, "raw_coal", "kg", "calorific", date(2026, 10, 1))
    Coefficient(kgce_per_unit=0.7143, factor_id='GB/T 2589-2020|RAW_COAL', confidence='seen')
    >>> coefficient(works().library, "natural_gas", "m3", "calorific", date(2026, 10, 1))
    Coefficient(kgce_per_unit=None, factor_id='', confidence='')
    """
    factor = library.factor(energy, basis, on)
    if factor is None or factor.kgce_per_unit is None:
        return UNKNOWN
    size = conversion_factor(unit, factor.unit)
    return Coefficient(factor.kgce_per_unit * size, factor.id, factor.confidence)


def add_coal(consumption: Frame, library: Library) -> Frame:
    r"""Consumption with its coal equivalent on both bases.

    .. math:: E_i \cdot k_i

    ``consumption`` holds at least energy_code, period, amount [unit] and unit. Added are
    kgce_calorific and kgce_equivalent [kgce], ``factors`` ("calorific-id;equivalent-id", a slot
    is empty where no factor of that basis has a single number) and ``confidence`` (the weakest of
    the factors used; ``seen`` where none was). A null amount, or an empty slot, gives null, never
    zero. The factor is that of the first day of the period's label. GB/T 2589-2020 (clause not
    checked against the print).

    Raises ConfigError for a unit that does not convert to the factor's; a LazyFrame raises it
    when it is collected.

    >>> from config.example import used, works
    >>> coal = add_coal(used(), works().library).row(0, named=True)
    >>> coal["amount"], coal["unit"], round(coal["kgce_calorific"], 6), coal["confidence"]
    (140000.0, 'kg', 100002.0, 'seen')
    """
    if isinstance(consumption, pl.DataFrame):
        return _add_coal(consumption, library)
    schema = pl.Schema({**consumption.collect_schema(), **COAL_COLUMNS})
    return consumption.map_batches(lambda frame: _add_coal(frame, library), schema=schema)


def _add_coal(consumption: pl.DataFrame, library: Library) -> pl.DataFrame:
    schema = pl.Schema({**consumption.schema, **COAL_COLUMNS})
    dated = consumption.with_columns(_label_day=label_day_expr())
    keys = ("energy_code", "unit", "_label_day")
    rows = [(*key, *_both_bases(library, *key)) for key in dated.select(keys).unique().iter_rows()]
    text, number = pl.String(), pl.Float64()
    found = pl.DataFrame(
        rows,
        schema=dict.fromkeys(keys, text)
        | {f"_{basis}": number for basis in BASES}
        | {"factors": text, "confidence": text},
        orient="row",
    )
    return (
        dated.drop("factors", "confidence", strict=False)
        .join(found, on=keys, how="left", maintain_order="left")
        .with_columns(pl.col("amount").mul(f"_{b}").alias(f"kgce_{b}") for b in BASES)
        .select(schema.names())
    )


def _both_bases(
    library: Library, energy: str, unit: str, day: str
) -> tuple[float | None, float | None, str, str]:
    on = date.fromisoformat(day)
    calorific, equivalent = (coefficient(library, energy, unit, basis, on) for basis in BASES)
    return (
        calorific.kgce_per_unit,
        equivalent.kgce_per_unit,
        f"{calorific.factor_id};{equivalent.factor_id}",
        weakest(c.confidence for c in (calorific, equivalent) if c.confidence),
    )
