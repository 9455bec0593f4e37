"""The standards library as rows to show: by standard, by id, by words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from typing import Any

import polars as pl

from config.errors import InputError
from config.standards import Library, weakest
from config.standards_files import DATASETS, read_dataset

FOUND = {
    "kind": pl.String,
    "id": pl.String,
    "unit": pl.String,
    "levels": pl.String,
    "effective_from": pl.Date,
    "confidence": pl.String,
    "note": pl.String,
}
_LEVELS = (
    "level1", "level2", "level3", "benchmark_level", "baseline_level",
    "kgce_per_unit", "kgce_per_unit_low", "kgce_per_unit_high", "tco2_per_unit",
)  # fmt: skip


def listed(library: Library) -> pl.DataFrame:
    """One row for each norm, notice and edition of factors: how many rows, from when, how sure."""
    rows: dict[tuple[str, str], list[Any]] = {}
    for norm in library.norms.values():
        rows.setdefault((norm.standard, norm.title_zh), []).append(norm)
    for benchmark in library.benchmarks.values():
        rows.setdefault((benchmark.notice, "能效标杆水平和基准水平"), []).append(benchmark)
    for factor in library.factors:
        rows.setdefault((factor.edition, "折标煤系数"), []).append(factor)
    for name, kind in DATASETS.items():
        for row in read_dataset(kind).values():
            rows.setdefault((row.edition, name), []).append(row)
    return pl.DataFrame(
        [
            (
                standard,
                title,
                len(some),
                min(_days(some), default=None),
                weakest(row.confidence for row in some),
            )
            for (standard, title), some in rows.items()
        ],
        schema={
            "standard": pl.String, "title_zh": pl.String, "rows": pl.Int64,
            "effective_from": pl.Date, "confidence": pl.String,
        },
        orient="row",
    ).sort("standard", "title_zh")  # fmt: skip


def _days(rows: list[Any]) -> Iterator[date]:
    for row in rows:
        if (day := getattr(row, "effective_from", None)) is not None:
            yield day


def shown(library: Library, name: str) -> pl.DataFrame:
    """The rows of a standard, notice or edition, or the one of an id. Raises InputError."""
    some = [
        (kind, row)
        for kind, row in _every(library)
        if name in (row["id"], row.get("standard"), row.get("notice"), row.get("edition"))
    ]
    if not some:
        raise InputError(
            f"no row of the standards library has the id, standard or edition {name!r}",
            allowed="as `kgce standards list` writes them",
            todo="look for a part of it: kgce standards search",
        )
    return _frame(some)


def searched(library: Library, words: list[str]) -> pl.DataFrame:
    """The rows in which every word stands somewhere, whatever the case of its letters."""
    wanted = [word.casefold() for word in words]

    def holds(row: dict[str, Any]) -> bool:
        text = "\n".join(str(value) for value in row.values() if value is not None).casefold()
        return all(word in text for word in wanted)

    return _frame([(kind, row) for kind, row in _every(library) if holds(row)])


def _every(library: Library) -> Iterator[tuple[str, dict[str, Any]]]:
    for norm in library.norms.values():
        yield "norm", asdict(norm)
    for benchmark in library.benchmarks.values():
        yield "benchmark", asdict(benchmark)
    for factor in library.factors:
        yield "factor", asdict(factor)
    for name, kind in DATASETS.items():
        for row in read_dataset(kind).values():
            yield name, asdict(row)


def _frame(some: list[tuple[str, dict[str, Any]]]) -> pl.DataFrame:
    rows = [
        {
            **{name: row.get(name) for name in FOUND},
            "kind": kind,
            "levels": _levels(row),
        }
        for kind, row in some
    ]
    return pl.DataFrame(rows, schema=FOUND)


def _levels(row: dict[str, Any]) -> str:
    """Levels, or the coefficient or its range, as they stand in the file; a dash where blank."""
    names = [name for name in _LEVELS if name in row]
    if "kgce_per_unit" in row:
        single, low, high = (row[name] for name in names)
        return f"{single:g}" if single is not None else "–" if low is None else f"{low:g}…{high:g}"
    return " / ".join("–" if row[name] is None else f"{row[name]:g}" for name in names)
