"""Where each input of the rubric comes from: one function for each, by the name items give it."""

from __future__ import annotations

from collections.abc import Callable

from app.platform import functions
from app.published import Published
from app.rubric_energy import energy_intensity
from indicators.rubric_inputs import Found, Measured

Source = Callable[[Published, str, str | None], Found]
"""Of the published figures and a period; the unit that a stated lead value is in, or None."""


def carbon_intensity(_published: Published, _period: str, _unit: str | None) -> Found:
    """CO2 of each product, or of the plant, for a unit of output or of output value."""
    return Found((), "no sheet of carbon intensity is made yet")


def renewable_ratio(_published: Published, _period: str, _unit: str | None) -> Found:
    """Renewable energy over total energy [%], certificates counted once."""
    return Found((), "no sheet of renewable energy is made yet")


def metering_provision(_published: Published, _period: str, _unit: str | None) -> Found:
    """Share of the required provision rates that are met [%]."""
    return Found((), "no sheet of metering provision is made yet")


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
