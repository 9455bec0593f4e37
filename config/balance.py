"""What the energy balance is told: conversions, tolerances, losses; and classes in per cent."""

from __future__ import annotations

import re

from pydantic import Field

from config.base import Identifier, Model

# Active energy classes A to E (IR 46, GB/T 17215.321-2021), recalled.
_LETTERS = {"A": 2.0, "B": 1.0, "C": 0.5, "D": 0.2, "E": 0.1}
_CLASS = re.compile(r"(\d+(?:\.\d+)?)\s*(?:S|级|%)?", re.IGNORECASE)


class Converts(Model):
    """A node that turns energies into another: a boiler, a compressor, a generator.

    Two cases. A boiler house of a plant that buys no steam: `{to: steam_low_pressure,
    sole_source: true, content_mj_per_unit: 2.7}`, 2.7 MJ being the enthalpy of a kilogram above
    that of the feed water. A gas engine beside the grid: `{to: electricity}`.
    """

    to: Identifier = Field(description="Energy that it makes; its output meters measure it.")
    from_: tuple[Identifier, ...] = Field(
        (),
        alias="from",
        description="Energies that count as its input for the efficiency; default all fuels, "
        "electricity and heat that it takes.",
    )
    sole_source: bool = Field(
        False,
        description="Whether all of it that is used in the nodes above is made here (or by others "
        "that say so): what those nodes use of it is then never added to what made it.",
    )
    content_mj_per_unit: float | None = Field(
        None,
        gt=0,
        description="Energy in one unit of it, such as the enthalpy of a kilogram of steam; "
        "default by the coal factor, where that is an energy content (not for media of GB/T 2589 "
        "annex B, such as compressed air).",
    )


class Balance(Model):
    """How main meters are held against their branches."""

    default_accuracy_pct: float = Field(
        2.5,
        gt=0,
        le=20,
        description="Permitted error, in per cent of the reading, of a meter whose ledger row "
        "states no class that is a number; 2.5 is this program's, not a standard's.",
    )


def accuracy_pct(accuracy_class: str | None) -> float | None:
    """Permitted error [% of reading] of an accuracy class; None where it is not a number.

    >>> accuracy_pct("0.5S"), accuracy_pct("1.0级"), accuracy_pct("B"), accuracy_pct("III")
    (0.5, 1.0, 1.0, None)
    """
    given = (accuracy_class or "").strip()
    if given.upper() in _LETTERS:
        return _LETTERS[given.upper()]
    found = _CLASS.fullmatch(given)
    return float(found[1]) if found and float(found[1]) > 0 else None
