"""Every row that can be computed gets the level right: at each level, between, above and below."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from config.standards import read_library
from config.standards_rows import NormRow
from indicators.intensity import Bounded, intensity
from indicators.norms import level_reached, use_of

ROWS = [row for row in read_library().norms.values() if use_of(row).kind is not None]
OUTPUT = 1024.0  # a power of two: the quotient is the figure that is asked for, to the last bit


def figures(row: NormRow) -> Iterator[tuple[float, int]]:
    """Figures, with the level that a person reads off the printed row."""
    levels = [(value, k) for k, value in enumerate(row.levels, start=1) if value is not None]
    values = sorted({value for value, _ in levels})
    steps = [
        values[0] - 1.0,
        *values,
        *((a + b) / 2 for a, b in pairwise(values)),
        *(value + 1e-9 * max(1.0, abs(value)) for value in values),
        values[-1] + 1.0,
    ]
    for figure in steps:
        met = [k for value, k in levels if figure <= value]
        yield figure, min(met, default=0)


def test_nearly_every_row_is_computable() -> None:
    assert len(ROWS) >= 780


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
def test_the_level_that_each_figure_reaches(row: NormRow) -> None:
    for wanted, level in figures(row):
        made = intensity(Bounded(wanted * OUTPUT, None, None), Bounded(OUTPUT, OUTPUT, OUTPUT))
        assert made.value == wanted
        assert level_reached(made.value, row.levels) == level
