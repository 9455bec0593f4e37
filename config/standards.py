"""The numbers of the law: dated rows of config/standards/*.csv, with edition and confidence."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from config.models import FactorRow
from config.standards_own import OwnBenchmark, OwnNorm
from config.standards_rows import (
    STANDARDS_FOLDER,
    BenchmarkRow,
    Confidence,
    Factor,
    NormRow,
    read_rows,
)

FILES = ("factors.csv", "norm_limits.csv", "benchmark_levels.csv")

Basis = Literal["calorific", "equivalent"]
BASES: tuple[Basis, Basis] = ("calorific", "equivalent")
CONFIDENCES: tuple[str, ...] = get_args(Confidence)


def weakest(confidences: Iterable[str]) -> str:
    """The weakest of the confidences; ``seen`` where there are none.

    >>> weakest(["seen", "recalled", "inferred"])
    'recalled'
    """
    return max(confidences, key=CONFIDENCES.index, default=CONFIDENCES[0])


@dataclass(frozen=True)
class Library:
    """Factors, norms and benchmarks, and the hash of the files that they were read from."""

    factors: tuple[Factor, ...]
    norms: Mapping[str, NormRow]
    version: str
    benchmarks: Mapping[str, BenchmarkRow] = field(default_factory=dict)
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

    def with_own_levels(
        self, norms: Iterable[OwnNorm], benchmarks: Iterable[OwnBenchmark]
    ) -> Library:
        """The library with the plant's own norms and benchmarks before the package's."""
        return replace(
            self,
            norms={**self.norms, **{own.id: own.row(self.norms.get(own.id)) for own in norms}},
            benchmarks={
                **self.benchmarks,
                **{own.id: own.row(self.benchmarks.get(own.id)) for own in benchmarks},
            },
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
                    kgce_per_unit=row.coefficient,
                    kgce_per_unit_low=None,
                    kgce_per_unit_high=None,
                    kind=known[0].kind if known else "fuel",
                    edition=row.source,
                    effective_from=row.effective_from,
                    confidence="seen",
                )
            )
        # Package rows first: an energy keeps the unit of its standard.
        return replace(self, factors=(*self.factors, *added))


@cache
def read_library(folder: Path = STANDARDS_FOLDER) -> Library:
    """Read the `FILES` of ``folder``. Raises ConfigError, with file and line, for a wrong row."""
    digest = hashlib.sha256()
    for name in FILES:
        digest.update((folder / name).read_bytes())
    return Library(
        tuple(read_rows(Factor, folder / "factors.csv").values()),
        read_rows(NormRow, folder / "norm_limits.csv"),
        digest.hexdigest()[:16],
        read_rows(BenchmarkRow, folder / "benchmark_levels.csv"),
    )
