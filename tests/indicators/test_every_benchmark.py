"""Every benchmark row of the notice: a figure at, between, above and below its two levels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import polars as pl
import pytest

from config.example import works
from config.standards import read_library
from config.standards_rows import BenchmarkRow
from config.tables import INDICATORS
from indicators.benchmarking import benchmarked, kind_of_benchmark
from indicators.norms import parse_unit

EVERY = list(read_library().benchmarks.values())


def levels_of(row: BenchmarkRow) -> dict[str, float]:
    levels = {"benchmark": row.benchmark_level, "baseline": row.baseline_level}
    return {name: level for name, level in levels.items() if level is not None}


ROWS = [row for row in EVERY if kind_of_benchmark(row) and levels_of(row)]


def figures(row: BenchmarkRow) -> Iterator[float]:
    values = sorted(set(levels_of(row).values()))
    yield values[0] - 1.0
    yield from values
    yield from ((a + b) / 2 for a, b in pairwise(values))
    yield from (value + 1e-9 * max(1.0, abs(value)) for value in values)
    yield values[-1] + 1.0


def test_every_row_loads_and_what_cannot_be_computed_is_counted() -> None:
    assert len(EVERY) == 72
    without_levels = [row for row in EVERY if not levels_of(row)]
    assert len(without_levels) == 10
    no_ratio = [row for row in EVERY if levels_of(row) and parse_unit(row.unit) is None]
    assert len(ROWS) == 72 - len(without_levels) - len(no_ratio)


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
def test_the_gap_of_each_figure_has_the_right_sign(row: BenchmarkRow) -> None:
    clinker = works().plant.products["clinker"].model_copy(update={"benchmarks": (row.id,)})
    plant = works().plant.model_copy(update={"products": {"clinker": clinker}})
    site = replace(works(), plant=plant)
    for value in figures(row):
        figure = {
            "plant_id": site.id, "indicator": kind_of_benchmark(row), "subject": "clinker",
            "grain": "month", "period": "2026-10", "value": value, "unit": row.unit,
            "start_utc": datetime(2026, 10, 1, tzinfo=UTC),
            "end_utc": datetime(2026, 11, 1, tzinfo=UTC), "low": value, "high": value,
            "coverage_ratio": 1.0, "status": "complete", "denominator": 1e3, "norm": "",
            "confidence": "seen",
        }  # fmt: skip
        frame = pl.DataFrame(
            [{name: figure.get(name) for name in INDICATORS.names}],
            schema=INDICATORS.polars_schema(),
        )
        found = benchmarked(frame, site, "2026-10").rows_by_key("against", named=True, unique=True)
        assert found.keys() == levels_of(row).keys()
        for name, level in levels_of(row).items():
            assert found[name]["gap"] == value - level
            assert found[name]["confidence"] == row.confidence
            assert found[name]["sure"]
            assert (found[name]["tce_per_year"] > 0) == (value > level)
