"""Rows of metering_provision.csv: what GB 17167 and GB/T 24789 ask of a plant's meters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Literal, NamedTuple

from config.standards_rows import Confidence

RowKind = Literal[
    "edition", "provision", "main_sub_unit", "main_equipment", "accuracy", "user_class"
]
EnergyClass = Literal[
    "electricity", "coal", "coke", "crude_oil", "oil_products", "heavy_oil", "residual_oil",
    "natural_gas", "liquefied_gas", "coal_gas", "steam", "water", "waste_energy", "other", "any",
]  # fmt: skip
FAMILIES = ("GB 17167", "GB/T 24789")


@dataclass(frozen=True)
class MeteringRow:
    """One number of a table of the standard.

    ``provision``: rate required [%] at a ``level``. ``main_sub_unit`` and ``main_equipment``: from
    what ``value`` on a unit or an equipment counts as a main one. ``accuracy``: permitted error
    [%] of a meter in or out of the plant, its class as written in ``grade``, in the ``case``.
    ``user_class``: electricity a month from which on a user is of the class ``case``. ``edition``:
    from when the edition holds; without rows of another kind its contents are not known here.
    """

    id: str
    edition: str
    kind: RowKind
    energy_class: EnergyClass
    level: Literal["plant", "process", "equipment", "any"]
    value: float | None
    unit: str
    effective_from: date | None
    effective_to: date | None
    confidence: Confidence
    grade: str = ""
    case: str = ""
    note: str = ""

    @property
    def family(self) -> str:
        """The standard without its year."""
        return self.edition.rpartition("-")[0]


class Judging(NamedTuple):
    """The edition that judges, and a newer one that is in force and has no rows here (or "")."""

    edition: str
    newer: str


def judging(rows: Iterable[MeteringRow], family: str, kind: RowKind, day: date) -> Judging | None:
    """The latest edition in force on the day that has rows of the kind.

    An edition whose successor's rows are not there goes on judging, and the successor is named.
    None where no edition has such rows.
    """
    known: dict[str, tuple[date, bool]] = {}
    for row in rows:
        since = row.effective_from or date.min
        if row.family == family and since <= day:
            first, has = known.get(row.edition, (since, False))
            known[row.edition] = min(first, since), has or row.kind == kind
    usable = {edition: since for edition, (since, has) in known.items() if has}
    if not usable:
        return None
    best = max(usable, key=lambda edition: (usable[edition], edition))
    newer = [edition for edition, (since, _) in known.items() if since > usable[best]]
    return Judging(best, max(newer, key=lambda edition: known[edition][0], default=""))


# Class of the standard -> our energies. Which of them is which is kgce's reading of the names.
_ENERGIES: dict[EnergyClass, tuple[str, ...]] = {
    "electricity": ("electricity",),
    "coal": (
        "raw_coal", "washed_clean_coal", "washed_clean_coal_dry", "washed_middlings", "coal_slime",
        "other_washed_coal", "briquette", "coal_gangue",
    ),
    "coke": ("coke",),
    "crude_oil": ("crude_oil",),
    "oil_products": ("gasoline", "kerosene", "diesel", "other_petroleum"),
    "heavy_oil": ("fuel_oil",),
    "residual_oil": ("residual_oil",),
    "natural_gas": (
        "natural_gas", "natural_gas_oilfield", "natural_gas_gasfield", "lng", "cng", "coalmine_gas",
        "coal_bed_methane",
    ),
    "liquefied_gas": ("lpg",),
    "coal_gas": (
        "coke_oven_gas", "blast_furnace_gas", "converter_gas", "producer_gas",
        "heavy_oil_catalytic_gas", "heavy_oil_thermal_gas", "coke_gasification_gas",
        "pressure_gasification_gas", "water_gas", "other_gas",
    ),
    "steam": ("steam_low_pressure", "steam_1mpa", "steam_7mpa", "heat"),
    "water": ("water_fresh", "water_soft", "water_deox", "water_circ"),
    "waste_energy": ("recovered_heat",),
}  # fmt: skip
_CLASS_OF: dict[str, EnergyClass] = {
    energy: one for one, energies in _ENERGIES.items() for energy in energies
}


def energy_class(energy: str) -> EnergyClass:
    """The standard's class of an energy code; ``other`` where no table names it.

    >>> energy_class("raw_coal"), energy_class("diesel"), energy_class("air_compressed")
    ('coal', 'oil_products', 'other')
    """
    return _CLASS_OF.get(energy, "other")
