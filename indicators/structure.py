"""What the plant's energy is made of (用能结构): by energy, by process, per value made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import polars as pl

from config.economy import EconomyRow, money_of
from config.sheets.cost import STRUCTURE
from config.standards import Basis, Library, weakest
from config.units import CNY_PER_VALUE_UNIT, KGCE_PER_TCE
from indicators.coal import coefficient, label_day
from indicators.intensity import Bounded
from indicators.numerators import STATUSES
from indicators.shares import sum_or_none

MONEY = {"output_value": "output_value_cny", "added_value": "added_value_cny"}


class Part(NamedTuple):
    """A part of the plant's energy [tce] on one basis."""

    name: str
    tce: Bounded
    coverage_ratio: float
    status: str
    confidence: str
    sources: tuple[str, ...]
    reason: str
    amount: float | None = None
    amount_unit: str = ""


def by_energy(
    consumption: pl.DataFrame, library: Library, period: str, basis: Basis
) -> pl.DataFrame:
    r"""Share of each energy in the plant's energy, in STRUCTURE [tce].

    .. math:: s_i = E_i k_i / \sum_j E_j k_j

    ``consumption``: rows of CONSUMPTION of the plant's node and the period. An energy whose amount
    or coefficient is not known has no value and a reason; shares are of the known total, and the
    row ``total`` is unknown. What is sent out counts below zero. The total is that of
    GB/T 2589-2020 (clause not checked against the print).

    >>> from config.example import used, works
    >>> from indicators.coal import add_coal
    >>> rows = add_coal(used(), works().library).filter(pl.col("node_id") == "kiln")
    >>> found = by_energy(rows, works().library, "2026-10", "calorific")
    >>> [(part, round(tce, 3)) for part, tce in found.select("part", "value").iter_rows()]
    [('electricity', 6.882), ('raw_coal', 100.002), ('total', 106.884)]
    """
    parts = _energies(consumption, library, basis)
    return _frame("energy", [*parts, _total(parts)], parts, period, basis)


def by_process(
    consumption: pl.DataFrame,
    root: str,
    nodes: Sequence[str],
    library: Library,
    period: str,
    basis: Basis,
) -> pl.DataFrame:
    r"""Share of each node below the plant, and what none of them is known to use [tce].

    .. math:: E_{unallocated} = \sum_i E_i k_i - \sum_n E_n

    As `by_energy`, with the rows of all nodes; ``nodes`` are those below the plant's, ``root``. A
    node without any meter of energy has no value, and is a part of ``unallocated``; where a metered
    node is unknown, ``unallocated`` is. It is below zero where the branches show more than the main
    meters. kgce's own rule.

    >>> from config.example import used, works
    >>> from indicators.coal import add_coal
    >>> rows = add_coal(used(), works().library)
    >>> found = by_process(rows, "works", ["kiln"], works().library, "2026-10", "calorific")
    >>> found.select("part", pl.col("value").round(3)).rows()  # no meter of the works as a whole
    [('kiln', 106.884), ('unallocated', None), ('total', None)]
    """
    of_node = {node: consumption.filter(pl.col("node_id") == node) for node in (root, *nodes)}
    whole = _total(_energies(of_node[root], library, basis))
    parts, metered = [], []
    for node in nodes:
        energies = _energies(of_node[node], library, basis)
        parts.append(_total(energies)._replace(name=node) if energies else _unmetered(node))
        metered += [parts[-1]] if energies else []
    parts.append(_rest(whole, metered))
    return _frame("process", [*parts, whole], parts, period, basis)


def per_value(
    consumption: pl.DataFrame,
    economy: Sequence[EconomyRow],
    library: Library,
    period: str,
    basis: Basis,
) -> pl.DataFrame:
    r"""Energy per output value and per value added, in STRUCTURE [tce/10^4 CNY].

    .. math:: e_g = E / G

    ``consumption``: as `by_energy`. G is typed, under ``assessment.economy``; where it is not, or
    not above zero, there is no value. GB/T 2589-2020 (clause not checked against
    the print).

    >>> from config.example import used, works
    >>> from indicators.coal import add_coal
    >>> rows = add_coal(used(), works().library).filter(pl.col("node_id") == "kiln")
    >>> economy = [EconomyRow(period="2026-10", output_value_cny=1e6, source="B204-1")]
    >>> found = per_value(rows, economy, works().library, "2026-10", "calorific")
    >>> found.select("part", pl.col("value").round(3), "reason").rows()
    [('output_value', 1.069, ''), ('added_value', None, 'added_value_cny of 2026-10 is not stated')]
    """
    whole = _total(_energies(consumption, library, basis))
    parts = [
        _per(whole, name, money_of(economy, field, period), f"{field} of {period}")
        for name, field in MONEY.items()
    ]
    stated = dict.fromkeys(row.source for row in economy if row.period.startswith(period))
    parts = [part._replace(sources=(*part.sources, *stated)) for part in parts]
    return _frame("economy", parts, [whole], period, basis, unit="tce/10^4 CNY")


def _per(whole: Part, name: str, money: float | None, what: str) -> Part:
    """The plant's energy per 10,000 CNY."""
    if money is None or money <= 0:
        reason = f"{what} is not stated" if money is None else f"{what} is {money:g} CNY"
        nothing = Bounded(None, None, None)
        return whole._replace(name=name, tce=nothing, status="refused", reason=reason)
    per = (None if one is None else one * CNY_PER_VALUE_UNIT / money for one in whole.tce)
    return whole._replace(name=name, tce=Bounded(*per))


def _energies(rows: pl.DataFrame, library: Library, basis: Basis) -> list[Part]:
    some = rows.sort("energy_code").iter_rows(named=True)
    return [_of_row(row, library, basis) for row in some]


def _of_row(row: dict[str, Any], library: Library, basis: Basis) -> Part:
    kgce, amount = row[f"kgce_{basis}"], row["amount"]
    if kgce is not None and amount:
        per_unit = kgce / amount
    else:
        day = label_day(row["period"])
        per_unit = coefficient(library, row["energy_code"], row["unit"], basis, day)[0]
    bounds = (
        None if row[end] is None or per_unit is None else row[end] * per_unit / KGCE_PER_TCE
        for end in ("low", "high")
    )
    factor = row["factors"].split(";")[basis == "equivalent"]
    known = {one.id: one.confidence for one in library.factors}
    reason = ""
    if amount is None:
        reason = f"{row['energy_code']} is refused, with a coverage of {row['coverage_ratio']:.1%}"
    elif kgce is None:
        reason = f"{row['energy_code']} has no coefficient on the {basis} basis"
    return Part(
        row["energy_code"],
        Bounded(None if kgce is None else kgce / KGCE_PER_TCE, *bounds),
        row["coverage_ratio"],
        "refused" if kgce is None else row["status"],
        known.get(factor, row["confidence"]),
        (factor,) if factor else (),
        reason,
        amount,
        row["unit"],
    )


def _total(parts: Sequence[Part]) -> Part:
    known = [part.tce.value for part in parts if part.tce.value is not None]
    reasons = [part.reason for part in parts if part.reason]
    if reasons:
        reasons.append(f"what is known sums to {math.fsum(known):.6g} tce")
    return Part(
        "total",
        Bounded(*(sum_or_none(part.tce[index] for part in parts) for index in range(3))),
        min((part.coverage_ratio for part in parts), default=0.0),
        max((part.status for part in parts), key=STATUSES.index, default="refused"),
        weakest(part.confidence for part in parts),
        tuple(dict.fromkeys(source for part in parts for source in part.sources)),
        "; ".join(dict.fromkeys(reasons)),
    )


def _unmetered(node: str) -> Part:
    nothing = Bounded(None, None, None)
    reason = "nothing is metered there: it is a part of what is unallocated"
    return Part(node, nothing, 0.0, "refused", weakest([]), (), reason)


def _rest(whole: Part, metered: Sequence[Part]) -> Part:
    below = _total(metered) if metered else whole._replace(tce=Bounded(0.0, 0.0, 0.0))
    rest = Bounded(
        sum_or_none((whole.tce.value, _minus(below.tce.value))),
        sum_or_none((whole.tce.low, _minus(below.tce.high))),
        sum_or_none((whole.tce.high, _minus(below.tce.low))),
    )
    both = _total((whole, below))._replace(name="unallocated", tce=rest)
    if rest.value is None or rest.value >= 0:
        return both
    reason = "the nodes use more than comes in: what is recovered inside, or meters that differ"
    return both._replace(reason=reason)


def _minus(number: float | None) -> float | None:
    return None if number is None else -number


def _frame(
    by: str,
    rows: Sequence[Part],
    summed: Sequence[Part],
    period: str,
    basis: Basis,
    unit: str = "tce",
) -> pl.DataFrame:
    known = math.fsum(part.tce.value for part in summed if part.tce.value is not None)
    made = [
        {
            "period": period,
            "by": by,
            "part": part.name,
            "basis": basis,
            "value": part.tce.value,
            "low": part.tce.low,
            "high": part.tce.high,
            "unit": unit,
            "share_pct": _share(part.tce.value, known) if unit == "tce" else None,
            "known_total_tce": known,
            "amount": part.amount,
            "amount_unit": part.amount_unit,
            "coverage_ratio": part.coverage_ratio,
            "status": part.status,
            "confidence": part.confidence,
            "sources": "; ".join(part.sources),
            "reason": part.reason,
        }
        for part in rows
    ]
    return pl.DataFrame(made, schema=STRUCTURE.polars_schema())


def _share(value: float | None, known: float) -> float | None:
    return None if value is None or known <= 0 else 100 * value / known
