"""How well nodes turn energies into another: boilers, compressors, self-generation."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any, NamedTuple

import polars as pl

from config.balance import Converts
from config.balance_tables import CONVERSIONS
from config.node_tree import NodeTree
from config.site import Site
from config.standards import Library, weakest
from indicators.coal import coefficient, label_day
from indicators.intensity import Bounded
from indicators.numerators import STATUSES, energy_kinds

MJ_PER_KGCE = 29.3076  # GB/T 2589-2020: 29,307.6 kJ, as in practice; the standard prints 29,307
# Kinds whose coal factor is what they hold; that of a medium is what it took to make it.
WITH_CONTENT = ("fuel", "electricity", "heat")


class Side(NamedTuple):
    """One side of a conversion [kgce] or [unit]."""

    value: Bounded
    coverage_ratio: float
    status: str
    confidence: str


def efficiency_ratio(output_kgce: float, input_kgce: float) -> float:
    r"""Efficiency of a conversion [1].

    .. math:: \eta = E_{out} / E_{in}

    Both on the calorific basis [kgce]; direct method (正平衡). Above 1 only where heat from
    the surroundings is pumped. kgce's own rule: the basis is that of energy balances, as recalled.

    >>> efficiency_ratio(800.0, 1000.0)
    0.8
    """
    return output_kgce / input_kgce


def conversions(consumption: pl.DataFrame, site: Site) -> pl.DataFrame:
    r"""Rows of CONVERSIONS: every node that makes an energy of others, by period.

    ``consumption``: rows of CONSUMPTION. A node makes what it says under ``converts``, or what its
    output meters measure and it has no input of, where it takes in other energies. The output is
    the node's net amount with the sign turned; its energy is ``content_mj_per_unit``, else by the
    coal factor of fuels, electricity and heat. A medium of annex B (compressed air) has none of
    these: it has input for one unit of output, and no efficiency.

    .. math:: \eta = \frac{O \cdot c}{\sum_i E_i k_i}

    O is the output [unit of its row], c what one unit holds [kgce/unit], E k the input [kgce]. A
    row is refused where a side is unknown, refused, not above zero, or under the required coverage.
    The coefficients are those of GB/T 2589-2020, annex A as recalled; the rest is kgce's own rule.

    >>> from config.example import used, works
    >>> boiler = conversions(used(), works()).row(0, named=True)
    >>> boiler["node_id"], round(boiler["input_kgce"], 6), round(boiler["output_kgce"], 6)
    ('boiler', 7143.0, 5787.0)
    >>> round(boiler["efficiency_ratio"], 4)
    0.8102
    """
    own = consumption.filter(pl.col("plant_id") == site.id)
    rows = {
        (row["node_id"], row["energy_code"], row["grain"], row["period"]): row
        for row in own.iter_rows(named=True)
    }
    made = [
        _row(site, converts, row, inputs)
        for node_id, converts in _converters(site)
        for (node, energy, grain, period), row in rows.items()
        if (node, energy) == (node_id, converts.to)
        for inputs in ([rows.get((node, one, grain, period)) for one in converts.from_],)
    ]
    frame = pl.DataFrame(made, schema=CONVERSIONS.polars_schema(), orient="row")
    return frame.sort("node_id", "energy_code", "start_utc", "grain")


def _converters(site: Site) -> Iterator[tuple[str, Converts]]:
    """Every node that makes an energy, with the energies that count as its input filled in."""
    plant = site.plant
    tree, kinds = NodeTree(plant.nodes, plant.all_meters), energy_kinds(site.library)
    for node_id, node in plant.nodes.items():
        stated = node.converts
        made = [
            energy
            for energy in tree.energies
            if tree.own(node_id, energy, "output") and not tree.own(node_id, energy, "input")
        ]
        for energy in dict.fromkeys((*([stated.to] if stated else []), *made)):
            known = stated if stated is not None and stated.to == energy else Converts(to=energy)
            inputs = known.from_ or tuple(
                one
                for one in tree.energies
                if one != energy
                and kinds.get(one) in WITH_CONTENT
                and any(weight > 0 for weight in tree.weights(node_id, one).values())
            )
            if inputs:
                yield node_id, known.model_copy(update={"from_": inputs})


def _row(
    site: Site, converts: Converts, row: dict[str, Any], inputs: list[dict[str, Any] | None]
) -> tuple[Any, ...]:
    day = label_day(row["period"])
    taken = _input(inputs, site.library, day)
    given = Bounded(_minus(row["amount"]), _minus(row["high"]), _minus(row["low"]))
    content, content_confidence = _content(converts, site.library, row["unit"], day)
    contained = Bounded(*(_times(one, content) for one in (given.value, given.low, given.high)))
    coverage = min(row["coverage_ratio"], taken.coverage_ratio)
    worst = max(STATUSES.index(row["status"]), STATUSES.index(taken.status))
    known = taken.value.value is not None and taken.value.value > 0
    known = known and given.value is not None and given.value > 0
    required = site.plant.quality.required_coverage_ratio
    refused = not known or coverage < required or STATUSES[worst] == "refused"
    put_in, put_out = taken.value.value or 0.0, contained.value
    efficiency = None if refused or put_out is None else efficiency_ratio(put_out, put_in)
    low, high = (None, None) if efficiency is None else _bounds(contained, taken.value)
    return (
        row["plant_id"], row["node_id"], converts.to, row["grain"], row["period"],
        row["start_utc"], row["end_utc"], given.value, row["unit"], taken.value.value, put_out,
        None if refused or put_out is None else put_in - put_out, efficiency, low, high,
        None if refused else put_in / (given.value or 1.0), coverage,
        "refused" if refused else STATUSES[worst],
        weakest(one for one in (taken.confidence, content_confidence) if one),
    )  # fmt: skip


def _input(inputs: list[dict[str, Any] | None], library: Library, day: date) -> Side:
    """The sum of what goes in [kgce, calorific]; unknown where a part is."""
    sums: list[list[float | None]] = [[], [], []]
    confidences = []
    present = [one for one in inputs if one is not None]
    for one in present:
        factor = coefficient(library, one["energy_code"], one["unit"], "calorific", day)
        confidences.append(factor.confidence)
        for values, name in zip(sums, ("amount", "low", "high"), strict=True):
            values.append(_times(one[name], factor.kgce_per_unit))
    if len(present) < len(inputs):
        return Side(Bounded(None, None, None), 0.0, "refused", "")
    return Side(
        Bounded(*(_sum(values) for values in sums)),
        min(one["coverage_ratio"] for one in present),
        STATUSES[max(STATUSES.index(one["status"]) for one in present)],
        weakest(one for one in confidences if one),
    )


def _content(
    converts: Converts, library: Library, unit: str, day: date
) -> tuple[float | None, str]:
    """Energy of one unit of the output [kgce], and how sure it is; None where it has none."""
    if converts.content_mj_per_unit is not None:
        return converts.content_mj_per_unit / MJ_PER_KGCE, ""
    if energy_kinds(library).get(converts.to) not in WITH_CONTENT:
        return None, ""
    factor = coefficient(library, converts.to, unit, "calorific", day)
    return factor.kgce_per_unit, factor.confidence


def _bounds(output: Bounded, taken: Bounded) -> tuple[float | None, float | None]:
    """Least and greatest efficiency: least output by greatest input, and the reverse."""
    low = high = None
    if output.low is not None and taken.high is not None and taken.high > 0:
        low = efficiency_ratio(max(output.low, 0.0), taken.high)
    if output.high is not None and taken.low is not None and taken.low > 0:
        high = efficiency_ratio(output.high, taken.low)
    return low, high


def _minus(value: float | None) -> float | None:
    return None if value is None else -value


def _times(value: float | None, factor: float | None) -> float | None:
    return None if value is None or factor is None else value * factor


def _sum(values: list[float | None]) -> float | None:
    known = sorted(value for value in values if value is not None)
    return sum(known) if len(known) == len(values) else None
