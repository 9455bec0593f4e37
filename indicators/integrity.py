"""Whether the rows of the standards library are fit to judge by."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Literal, NamedTuple

from config.balance import accuracy_pct
from config.standards import Library
from config.standards_emission import EmissionRow
from config.standards_files import read_dataset
from config.standards_metering import MeteringRow
from config.standards_rubric import RubricItemRow
from config.standards_tiered import TieredPriceRow
from config.units import AMOUNT_UNITS, RATE_UNITS
from indicators.emission_factors import fuel_tco2
from indicators.norms import parse_unit, use_of
from indicators.tiered_price import doubts_of_tiered_price

PRINTED_RATIO = 0.03  # what printing two digits takes away


class Doubt(NamedTuple):
    """Something about one row. ``error``: no figure may be built on it; ``note``: look at it."""

    severity: Literal["error", "note"]
    file: str
    id: str
    message: str


def doubts_of(library: Library) -> Iterator[Doubt]:
    """Every doubt about the library's rows.

    Levels that are negative, or out of order, are legal (converter steel, GB 21258-2024). So is one
    that the standard leaves blank, and an indicator that is no plain ratio: it is never computed.
    What is an error, and what a note, is kgce's own rule.

    >>> from dataclasses import replace
    >>> from config.example import CLINKER_NORM, works
    >>> good = works().library.norms[CLINKER_NORM]
    >>> unordered, unknown = replace(good, level1=300.0), replace(good, id="b", unit="kgce/x")
    >>> doubts = doubts_of(Library((), {"a": unordered, "b": unknown}, ""))
    >>> [one[2:] for one in doubts if one.file == "norm_limits.csv" and one.severity == "error"]
    [('b', "unit 'kgce/x' is not known")]
    """
    yield from _factors(library)
    yield from _norms(library)
    yield from _benchmarks(library)
    yield from _rubric(read_dataset(RubricItemRow).values())
    yield from emission_doubts(read_dataset(EmissionRow).values(), library)
    yield from _tiered_prices()
    yield from _metering()


def _factors(library: Library) -> Iterator[Doubt]:
    file = "factors.csv"
    units: dict[str, str] = {}
    dated: dict[tuple[object, ...], str] = {}
    for row in library.factors:
        unit = units.setdefault(row.energy, row.unit)
        if row.unit not in AMOUNT_UNITS:
            yield Doubt("error", file, row.id, f"unit {row.unit!r} is not known")
        elif row.unit != unit:
            yield Doubt("error", file, row.id, f"unit {row.unit}, other rows of it have {unit}")
        if row.kgce_per_unit is not None and row.kgce_per_unit < 0:
            yield Doubt("error", file, row.id, f"{row.kgce_per_unit} kgce/{row.unit} is below zero")
        low, high = row.kgce_per_unit_low, row.kgce_per_unit_high
        if (low is None) != (high is None) or (low is not None and high is not None and low > high):
            yield Doubt("error", file, row.id, f"{low} to {high} is no range")
        if row.effective_from is not None and row.scope in ("general", "plant"):
            key = row.energy, row.basis, row.scope, row.effective_from
            if (first := dated.setdefault(key, row.id)) != row.id:
                yield Doubt("error", file, row.id, f"holds from the same day as {first}")


def _norms(library: Library) -> Iterator[Doubt]:
    file = "norm_limits.csv"
    for row in library.norms.values():
        if all(level is None for level in row.levels):
            yield Doubt("error", file, row.id, "no level at all")
        if use_of(row).refusal.endswith("is not known"):
            yield Doubt("error", file, row.id, f"unit {row.unit!r} is not known")
        if row.effective_from is None:
            yield Doubt("note", file, row.id, "the day from which it holds is not known")
        if row.confidence == "doubtful":
            yield Doubt("note", file, row.id, f"doubtful: {row.note}")


def _benchmarks(library: Library) -> Iterator[Doubt]:
    file = "benchmark_levels.csv"
    for row in library.benchmarks.values():
        best, least = row.benchmark_level, row.baseline_level
        if best is None and least is None:
            yield Doubt("note", file, row.id, "levels not known: state them under `benchmarks:`")
        elif parse_unit(row.unit) is None:
            yield Doubt(
                "note", file, row.id, f"{row.unit} is no plain ratio: nothing is held to it"
            )
        if best is not None and least is not None and best > least:
            yield Doubt("error", file, row.id, f"benchmark {best} is above baseline {least}")


def _rubric(rows: Collection[RubricItemRow]) -> Iterator[Doubt]:
    file = "rubric_items.csv"
    for row in rows:
        if row.method != "evidence" and not row.direction:
            yield Doubt("error", file, row.id, f"method {row.method}, and no direction")
        wrong = row.lead is not None and row.base is not None
        if wrong and ((row.lead or 0) < (row.base or 0)) != (row.direction == "smaller"):
            yield Doubt("error", file, row.id, f"lead {row.lead} and base {row.base}")
    for edition, section in dict.fromkeys((row.edition, row.section) for row in rows):
        inside = [row for row in rows if (row.edition, row.section) == (edition, section)]
        points = [row.points for row in inside if row.kind == "item"]
        weight = inside[0].section_weight
        if weight is None or not points:
            continue
        if None in points:
            text = "the points of its items were not found: state those of the printed annex"
            yield Doubt("note", file, f"{edition} {section}", text)
        elif sum(point or 0 for point in points) != weight:
            text = f"its items have {sum(point or 0 for point in points):g} points, not {weight:g}"
            yield Doubt("error", file, f"{edition} {section}", text)


def emission_doubts(rows: Iterable[EmissionRow], library: Library) -> Iterator[Doubt]:
    """Every doubt about emission factors: what is printed has to be what its constituents give.

    A grid's and a set's row may stand once. A row that another contradicts is noted. kgce's own
    rule.

    >>> from config.standards import read_library
    >>> ours = read_dataset(EmissionRow).values()
    >>> {one.severity for one in emission_doubts(ours, read_library())}
    {'note'}
    """
    file, first = "emission_factors.csv", dict[tuple[str, ...], str]()
    every = {row.id: row for row in rows}
    for row in every.values():
        key = (row.kind, row.region, row.year, row.use, row.fuel_set, row.fuel)
        if first.setdefault(key, row.id) != row.id:
            yield Doubt("error", file, row.id, f"stands beside {first[key]}")
        if row.unit not in AMOUNT_UNITS:
            yield Doubt("error", file, row.id, f"unit {row.unit!r} is not known")
        if row.energy and row.energy not in library.energies:
            yield Doubt("error", file, row.id, f"energy {row.energy!r} is not known")
        if row.kind == "grid" and not (row.year.isdecimal() and row.region and row.use):
            yield Doubt("error", file, row.id, "a grid factor has a year, a region and a use")
        if row.conflicts_with:
            severity: Literal["error", "note"] = "note" if row.conflicts_with in every else "error"
            yield Doubt(severity, file, row.id, f"contradicts {row.conflicts_with}")
        yield from _constituents(file, row)


def _constituents(file: str, row: EmissionRow) -> Iterator[Doubt]:
    given = (row.ncv_gj_per_unit, row.carbon_tc_per_tj, row.oxidation_ratio)
    known = [value for value in given if value is not None]
    if row.tco2_per_unit is None and len(known) < len(given):
        yield Doubt("note", file, row.id, "no factor, and not all of its constituents")
    elif row.tco2_per_unit is not None and len(known) == len(given):
        made = fuel_tco2(*known)
        if abs(made - row.tco2_per_unit) > PRINTED_RATIO * made:
            yield Doubt(
                "error", file, row.id, f"{row.tco2_per_unit:g} is not the {made:.4g} of its parts"
            )


def _tiered_prices() -> Iterator[Doubt]:
    for row in read_dataset(TieredPriceRow).values():
        for message in doubts_of_tiered_price(row):
            yield Doubt("error", "tiered_price.csv", row.id, message)
        if row.kind == "band" and row.over is None and row.up_to is None:
            yield Doubt("note", "tiered_price.csv", row.id, "its band is not known: state your own")


def _metering() -> Iterator[Doubt]:
    file = "metering_provision.csv"
    for row in read_dataset(MeteringRow).values():
        if row.kind == "provision" and row.value is not None and not 0 <= row.value <= 100:
            yield Doubt("error", file, row.id, f"{row.value} is no rate in per cent")
        if row.kind == "accuracy" and accuracy_pct(row.grade) != row.value:
            yield Doubt("error", file, row.id, f"class {row.grade!r} is not {row.value} per cent")
        unit = row.unit.removesuffix("/a")
        if row.kind.startswith("main_") and unit not in (*AMOUNT_UNITS, *RATE_UNITS):
            yield Doubt("error", file, row.id, f"unit {row.unit!r} is not known")
        if row.confidence == "doubtful":
            yield Doubt("note", file, row.id, f"doubtful: {row.note}")
