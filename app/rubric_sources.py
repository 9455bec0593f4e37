"""Where each input of the rubric comes from: one function for each, by the name items give it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import polars as pl

from app import carbon
from app.metering import provisions
from app.platform import functions
from app.published import Published
from app.rubric_energy import energy_intensity
from config.standards import weakest
from indicators.rubric_inputs import Found, Measured

Source = Callable[[Published, str, str | None], Found]
"""Of the published figures and a period; the unit that a stated lead value is in, or None."""


def carbon_intensity(published: Published, period: str, unit: str | None) -> Found:
    """CO2 of the plant for its output value, where ``unit`` has CNY in it, else of each product
    [tCO2 per unit]; weighted by the energy of the product, as energy intensity is."""
    rows = carbon.carbon_intensity(published, period)
    if unit is not None and "CNY" in unit:
        found = _of_sheet(rows.filter(indicator="carbon_per_output_value"), PLANT)
        factor = 1000.0 if unit.startswith("kgCO2") else 1.0
        scaled = (_scaled(one, factor, unit) for one in found)
        return Found(tuple(_coverage_alone_refuses(published, one) for one in scaled))
    weights = {one.subject: one.weight for one in energy_intensity(published, period).measured}
    found = [
        _coverage_alone_refuses(published, one)
        for one in _of_sheet(rows.filter(indicator="carbon_per_product"), PLANT)
    ]
    known = (one for one in found if one.subject in weights)
    return Found(tuple(one._replace(weight=weights[one.subject]) for one in known))


def renewable_ratio(published: Published, period: str, _unit: str | None) -> Found:
    """Renewable energy over total energy [%], certificates counted once."""
    rows = carbon.renewables(published, period).filter(item="renewable_rate")
    found = _of_sheet(rows, "all")
    return Found(tuple(one if one.unit == "%" else _scaled(one, 100.0, "%") for one in found))


PLANT = "plant"


def _of_sheet(rows: pl.DataFrame, whole: str) -> list[Measured]:
    """Rows of a sheet as figures; the subject ``whole`` is the plant itself."""
    return [
        Measured(
            subject="" if row["subject"] == whole else row["subject"],
            value=row["value"],
            low=row["low"],
            high=row["high"],
            unit=row["unit"],
            coverage_ratio=row["coverage_ratio"],
            status=row["status"],
            confidence=row["confidence"],
            reason="; ".join(filter(None, (row["reason"], row["note"]))),
            rows=tuple(filter(None, row.get("factors", "").split("; "))),
        )
        for row in rows.iter_rows(named=True)
    ]


def _coverage_alone_refuses(published: Published, one: Measured) -> Measured:
    """A figure that is unknown for another reason than its coverage needs evidence."""
    required = published.site.plant.quality.required_coverage_ratio
    enough = one.coverage_ratio is not None and one.coverage_ratio >= required
    return one._replace(status="unknown") if one.status == "refused" and enough else one


def _scaled(one: Measured, factor: float, unit: str) -> Measured:
    ends = (None if end is None else end * factor for end in (one.value, one.low, one.high))
    value, low, high = ends
    return one._replace(value=value, low=low, high=high, unit=unit)


def metering_provision(published: Published, period: str, _unit: str | None) -> Found:
    """Share of the required provision rates that are met, on the period's last day [%].

    A rate that is not known may be met or not: the bounds say so.
    """
    span = published.span(period)
    if span is None:
        return Found((), "nothing is published of the period")
    last = (span[1] - timedelta(microseconds=1)).astimezone(published.site.plant.plant.zone)
    rows = provisions(published, last.date())
    if rows.is_empty():
        return Found((), "no provision rate is required of the plant")
    met, unknown = (float((rows["status"] == one).sum()) for one in ("met", "unknown"))
    low, high = (100 * one / len(rows) for one in (met, met + unknown))
    return Found((
        Measured(
            subject="",
            value=low if low == high else None,
            low=low,
            high=high,
            unit="%",
            coverage_ratio=None,
            status="complete" if low == high else "unknown",
            confidence=weakest(rows["confidence"]),
            reason=f"by {', '.join(sorted(set(rows['edition'])))}",
            rows=tuple(sorted(set(rows["edition"]))),
        ),
    ))  # fmt: skip


def product_footprint(_published: Published, _period: str, _unit: str | None) -> Found:
    """Products with a footprint of the manufacturing stage; the report itself is evidence."""
    return Found((), "the footprint report has to be stated as evidence")


def platform_functions(published: Published, _period: str, _unit: str | None) -> Found:
    """How many functions of an energy-carbon platform the commands of kgce show."""
    rows = functions(published.site)
    there = rows.filter("there")
    count = float(len(there))
    one = Measured(
        "",
        count,
        count,
        count,
        "function",
        None,
        "complete",
        "inferred",
        reason="counted by the commands that show each; an assessor decides which conform",
        rows=tuple(there["function"]),
    )
    return Found((one,))


SOURCES: dict[str, Source] = {
    "energy_intensity": energy_intensity,
    "carbon_intensity": carbon_intensity,
    "renewable_ratio": renewable_ratio,
    "metering_provision": metering_provision,
    "product_footprint": product_footprint,
    "platform_functions": platform_functions,
}


def found_of(published: Published, period: str, name: str, unit: str | None) -> Found:
    """The figures of an input; of one that nothing here feeds, what is missing."""
    if not name:
        return Found((), "")
    source = SOURCES.get(name)
    if source is None:
        return Found((), f"kgce makes no figure of {name}: state it under evidence")
    return source(published, period, unit)
