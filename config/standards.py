"""The numbers of the law: dated rows of config/standards/*.csv, with edition and confidence."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Literal

from config.errors import ConfigError
from config.models import FactorRow

STANDARDS_FOLDER = Path(__file__).parent / "standards"

Basis = Literal["calorific", "equivalent"]
BASES: tuple[Basis, Basis] = ("calorific", "equivalent")

# From best to worst. A figure is as good as the weakest row behind it.
CONFIDENCES = ("seen", "seen-draft", "inferred", "recalled", "doubtful")


def weakest(confidences: Iterable[str]) -> str:
    """The weakest of the confidences; ``seen`` where there are none.

    >>> weakest(["seen", "recalled", "inferred"])
    'recalled'
    """
    return max(confidences, key=CONFIDENCES.index, default=CONFIDENCES[0])


@dataclass(frozen=True)
class Factor:
    """Coefficient to standard coal of one energy.

    ``kgce_per_unit`` is None where the standard gives a range (``kgce_low`` to ``kgce_high``) or no
    number: then the plant must state its own. ``effective_from`` None means that the date is not
    known; such a row stands behind every dated one.
    """

    id: str
    energy: str
    basis: Literal["calorific", "equivalent", "both"]
    scope: str
    name_zh: str
    name_en: str
    unit: str
    kgce_per_unit: float | None
    kgce_low: float | None
    kgce_high: float | None
    kind: str
    edition: str
    effective_from: date | None
    confidence: str
    note: str


@dataclass(frozen=True)
class NormRow:
    """One row of a norm: the levels of one indicator of one product, in ``unit``.

    A level that the standard leaves blank is None. Levels may be negative, and level 2 may be
    below level 1 (GB 21258-2024).
    """

    id: str
    standard: str
    title_zh: str
    sector_zh: str
    sector_en: str
    product: str
    indicator: str
    unit: str
    level1: float | None
    level2: float | None
    level3: float | None
    effective_from: date | None
    confidence: str
    note: str

    @property
    def levels(self) -> tuple[float | None, float | None, float | None]:
        return (self.level1, self.level2, self.level3)


@dataclass(frozen=True)
class Library:
    """Factors and norms, and the hash of the files that they were read from."""

    factors: tuple[Factor, ...]
    norms: dict[str, NormRow]
    version: str
    _by_energy: dict[str, tuple[Factor, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        grouped: dict[str, list[Factor]] = {}
        for factor in self.factors:
            grouped.setdefault(factor.energy, []).append(factor)
        object.__setattr__(self, "_by_energy", {k: tuple(v) for k, v in grouped.items()})

    @property
    def energies(self) -> dict[str, str]:
        """Energy code to the unit of its amounts."""
        return {code: rows[0].unit for code, rows in self._by_energy.items()}

    def energy_name(self, code: str, lang: str) -> str:
        """Name of an energy in ``zh`` or ``en``, without what stands in brackets."""
        row = self._by_energy[code][0]
        return re.sub(r"\s*[（(].*?[)）]", "", row.name_zh if lang == "zh" else row.name_en)

    def factor(self, energy: str, basis: Basis, on: date) -> Factor | None:
        """The row that holds for ``energy`` on ``basis`` at the date ``on``.

        The latest row in force that day; else one without a known date; the plant's own rows go
        before all. None where no row of that basis exists.
        """
        rows = [
            row
            for row in self._by_energy.get(energy, ())
            if row.basis in (basis, "both")
            and row.scope in ("general", "plant")
            and (row.effective_from is None or row.effective_from <= on)
        ]
        return max(
            rows,
            key=lambda row: (
                row.scope == "plant",
                row.kgce_per_unit is not None,
                row.effective_from or date.min,
            ),
            default=None,
        )

    def with_own(self, own: tuple[FactorRow, ...]) -> Library:
        """The library with the plant's own factors before the package's."""
        added = []
        for row in own:
            known = self._by_energy.get(row.energy)
            added.append(
                Factor(
                    id=f"plant|{row.energy}|{row.basis}|{row.effective_from}",
                    energy=row.energy,
                    basis=row.basis,
                    scope="plant",
                    name_zh=known[0].name_zh if known else row.energy,
                    name_en=known[0].name_en if known else row.energy,
                    unit=row.unit,
                    kgce_per_unit=row.kgce_per_unit,
                    kgce_low=None,
                    kgce_high=None,
                    kind=known[0].kind if known else "fuel",
                    edition=row.source,
                    effective_from=row.effective_from,
                    confidence="seen",
                    note="",
                )
            )
        # Package rows first: an energy keeps the unit of its standard.
        return Library((*self.factors, *added), self.norms, self.version)


@cache
def read_library(folder: Path = STANDARDS_FOLDER) -> Library:
    """Read factors.csv and norm_limits.csv of ``folder``.

    Raises ConfigError, with file and line, for a row that is wrong.
    """
    digest = hashlib.sha256()
    for name in ("factors.csv", "norm_limits.csv"):
        digest.update((folder / name).read_bytes())
    factors = tuple(
        Factor(
            id=row.text("id"),
            energy=row.text("energy"),
            basis=row.choice("basis", ("calorific", "equivalent", "both")),  # type: ignore[arg-type]
            scope=row.text("scope"),
            name_zh=row.text("name_zh"),
            name_en=row.text("name_en"),
            unit=row.text("unit"),
            kgce_per_unit=row.number("kgce_per_unit"),
            kgce_low=row.number("kgce_per_unit_low"),
            kgce_high=row.number("kgce_per_unit_high"),
            kind=row.text("kind"),
            edition=row.text("edition"),
            effective_from=row.day("effective_from"),
            confidence=row.choice("confidence", CONFIDENCES),
            note=row.cells["note"],
        )
        for row in _read(folder / "factors.csv")
    )
    norms = {
        row.text("id"): NormRow(
            id=row.text("id"),
            standard=row.text("standard"),
            title_zh=row.text("title_zh"),
            sector_zh=row.text("sector_zh"),
            sector_en=row.text("sector_en"),
            product=row.text("product"),
            indicator=row.text("indicator"),
            unit=row.text("unit"),
            level1=row.number("level1"),
            level2=row.number("level2"),
            level3=row.number("level3"),
            effective_from=row.day("effective_from"),
            confidence=row.choice("confidence", CONFIDENCES),
            note=row.cells["note"],
        )
        for row in _read(folder / "norm_limits.csv")
    }
    return Library(factors, norms, digest.hexdigest()[:16])


@dataclass(frozen=True)
class _Row:
    place: str
    cells: dict[str, str]

    def text(self, name: str) -> str:
        if not self.cells[name]:
            raise ConfigError(f"{self.place}: {name} is empty", todo="fill it in")
        return self.cells[name]

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        if self.cells[name] not in allowed:
            raise ConfigError(
                f"{self.place}: {name} {self.cells[name]!r}", allowed=", ".join(allowed)
            )
        return self.cells[name]

    def number(self, name: str) -> float | None:
        try:
            return float(self.cells[name]) if self.cells[name] else None
        except ValueError as error:
            raise ConfigError(
                f"{self.place}: {name} {self.cells[name]!r}", allowed="a number, or empty"
            ) from error

    def day(self, name: str) -> date | None:
        try:
            return date.fromisoformat(self.cells[name]) if self.cells[name] else None
        except ValueError as error:
            raise ConfigError(
                f"{self.place}: {name} {self.cells[name]!r}", allowed="YYYY-MM-DD, or empty"
            ) from error


def _read(file: Path) -> Iterator[_Row]:
    seen: dict[str, int] = {}
    with file.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        for cells in reader:
            row = _Row(f"{file}:{reader.line_num}", cells)
            first = seen.setdefault(row.text("id"), reader.line_num)
            if first != reader.line_num:
                raise ConfigError(f"{row.place}: id {cells['id']!r} stands on line {first} too")
            yield row
