"""Rows of the rules of tiered and differential electricity prices (阶梯电价、差别电价)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

Sector = Literal[
    "aluminium",
    "ferroalloy",
    "calcium_carbide",
    "caustic_soda",
    "cement",
    "cement_grinding",
    "steel",
    "yellow_phosphorus",
    "zinc",
]
UnitClass = Literal["none", "restricted", "eliminated", "capacity_cut"]


@dataclass(frozen=True)
class TieredPriceRow:
    """One row of a rule.

    ``sectors`` and ``provinces`` are lists with semicolons; no province is the whole country.
    ``kind`` says how the row works:

    - class: a unit of ``unit_class`` pays ``surcharge_cny_per_kwh``;
    - band: a figure above ``over`` and up to ``up_to`` pays it; an end that is empty is open, and
      where both are empty the band is not known;
    - step: each begun ``step`` above ``up_to`` costs ``surcharge_cny_per_kwh``;
    - discount: each percent of renewable electricity above ``over`` takes ``step`` off the whole;
    - frame: says what the rules are, and charges nothing by itself.

    ``production_from`` and ``production_to``: first days of production that it is for. A row
    ends those of ``replaces`` (ids, with semicolons) for its sectors. ``step_confidence``: of the
    numbers in ``step`` and of the way in which they are used, where other than ``confidence``.
    """

    id: str
    edition: str
    sectors: str
    kind: Literal["class", "band", "step", "discount", "frame"]
    unit_class: UnitClass
    over: float | None
    up_to: float | None
    step: float | None
    surcharge_cny_per_kwh: float | None
    effective_from: date | None
    effective_to: date | None
    production_from: date | None
    production_to: date | None
    confidence: Literal["seen", "seen-draft", "inferred", "recalled", "doubtful"]
    indicator_zh: str = ""
    unit: str = ""
    provinces: str = ""
    applied_to: str = ""
    replaces: str = ""
    step_confidence: str = ""
    note: str = ""

    def is_for(self, sector: str, province: str) -> bool:
        """Whether it holds for a sector in a province."""
        there = not self.provinces or province in self.provinces.split(";")
        return sector in self.sectors.split(";") and there

    def in_force(self, first: date, last: date) -> bool:
        """Whether it holds on any day from ``first`` to ``last``."""
        begun = self.effective_from is None or self.effective_from <= last
        return begun and (self.effective_to is None or self.effective_to >= first)
