"""Rows of the files in config/standards: a dataclass's fields are a file's columns.

A field with a default may be empty; any other text has to be there. Every row says where its number
is from and how sure that is; the files are made to be edited in a spreadsheet.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar, get_args, get_type_hints

from config.errors import ConfigError

STANDARDS_FOLDER = Path(__file__).parent / "standards"

# From best to worst. A figure is as good as the weakest row behind it.
Confidence = Literal["seen", "seen-draft", "inferred", "recalled", "doubtful"]


@dataclass(frozen=True)
class Factor:
    """Coefficient to standard coal of one energy.

    ``kgce_per_unit`` is None where the standard gives a range (``kgce_per_unit_low`` to
    ``kgce_per_unit_high``) or no number: then the plant must state its own. ``effective_from`` None
    means that the date is not known; such a row stands behind every dated one.
    """

    id: str
    energy: str
    basis: Literal["calorific", "equivalent", "both"]
    scope: str
    name_zh: str
    name_en: str
    unit: str
    kgce_per_unit: float | None
    kgce_per_unit_low: float | None
    kgce_per_unit_high: float | None
    kind: str
    edition: str
    effective_from: date | None
    confidence: Confidence
    note: str = ""


@dataclass(frozen=True)
class NormRow:
    """One row of a norm: the levels of one indicator of one product, in ``unit``.

    A level that the standard leaves blank is None. Levels may be negative, and level 2 may be
    below level 1 (GB 21258-2024). ``correction``: names of `indicators.corrections`, with ``;``
    between. ``feedstock``: ``excluded`` where energy used as raw material does not count.
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
    confidence: Confidence
    correction: str = ""
    feedstock: str = ""
    note: str = ""

    @property
    def levels(self) -> tuple[float | None, float | None, float | None]:
        return (self.level1, self.level2, self.level3)


@dataclass(frozen=True)
class BenchmarkRow:
    """Benchmark (标杆水平) and baseline (基准水平) of one product, in ``unit``.

    A level that is not known is None. They are other numbers than the levels of the norm
    ``reference_standard``, even where they are equal to some.
    """

    id: str
    notice: str
    sector_zh: str
    sector_en: str
    product: str
    product_en: str
    indicator: str
    unit: str
    benchmark_level: float | None
    baseline_level: float | None
    effective_from: date | None
    confidence: Confidence
    reference_standard: str = ""
    note: str = ""


class _HasId(Protocol):
    @property
    def id(self) -> str: ...


Row = TypeVar("Row", bound=_HasId)


def read_rows(kind: type[Row], file: Path) -> dict[str, Row]:
    """The rows of ``file`` by id. Raises ConfigError, with file and line, for one that is wrong."""
    hints = get_type_hints(kind)
    may_be_empty = {f.name for f in fields(kind) if f.default is not MISSING}  # type: ignore[arg-type]
    found: dict[str, Row] = {}
    lines: dict[str, int] = {}
    for line, cells in _lines(file, hints):
        place = f"{file}:{line}"
        parsed = {
            name: _parsed(f"{place}: {name}", cells[name] or "", hint, name in may_be_empty)
            for name, hint in hints.items()
        }
        row = kind(**parsed)
        first = lines.setdefault(row.id, line)
        if first != line:
            raise ConfigError(f"{place}: id {row.id!r} stands on line {first} too")
        found[row.id] = row
    return found


def _lines(file: Path, columns: dict[str, Any]) -> Iterator[tuple[int, dict[str, str | None]]]:
    with file.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        missing = [name for name in columns if name not in (reader.fieldnames or ())]
        if missing:
            raise ConfigError(
                f"{file}:1: column {', '.join(missing)} is missing", allowed=", ".join(columns)
            )
        for cells in reader:
            yield reader.line_num, cells


def _parsed(place: str, cell: str, hint: Any, may_be_empty: bool) -> Any:
    choices = get_args(hint)
    if float in choices:
        return _or_none(place, cell, float, "a number, or empty")
    if date in choices:
        return _or_none(place, cell, date.fromisoformat, "YYYY-MM-DD, or empty")
    if not cell and not may_be_empty:
        raise ConfigError(f"{place} is empty", todo="fill it in")
    if choices and cell not in choices:
        raise ConfigError(f"{place} {cell!r}", allowed=", ".join(choices))
    return cell


def _or_none(place: str, cell: str, parse: Any, allowed: str) -> Any:
    try:
        return parse(cell) if cell else None
    except ValueError as error:
        raise ConfigError(f"{place} {cell!r}", allowed=allowed) from error
