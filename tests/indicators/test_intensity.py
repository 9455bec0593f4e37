"""Energy by output, with bounds; never infinity."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indicators.intensity import Bounded, intensity, unit_consumption


def test_known_number() -> None:
    assert unit_consumption(117_000.0, 1000.0) == 117.0


WORKED = [
    # energy, output, value, low, high
    (Bounded(100, 90, 120), Bounded(10, 8, 10), 10, 9, 15),
    (Bounded(-100, -120, -90), Bounded(10, 8, 10), -10, -15, -9),
    (Bounded(0, -8, 8), Bounded(10, 8, 10), 0, -1, 1),
    (Bounded(100, 90, None), Bounded(10, 8, 10), 10, 9, None),
    (Bounded(100, None, 120), Bounded(10, 8, 10), 10, None, 15),
    (Bounded(100, 90, 120), Bounded(10, 8, None), 10, None, 15),
    (Bounded(100, 90, 120), Bounded(10, 0, 10), 10, 9, None),
    (Bounded(100, 90, 120), Bounded(10, None, 10), 10, 9, None),
    (Bounded(-100, -120, -90), Bounded(10, 0, 10), -10, None, -9),
    (Bounded(-100, -120, -90), Bounded(10, 8, None), -10, -15, None),
]


@pytest.mark.parametrize(("energy", "output", "value", "low", "high"), WORKED)
def test_worked(
    energy: Bounded, output: Bounded, value: float, low: float | None, high: float | None
) -> None:
    assert intensity(energy, output) == (value, low, high, "")


REFUSED = [
    (Bounded(None, 5, None), Bounded(10, 8, 10), 0.5, None, "the energy is unknown"),
    (Bounded(None, 90, 120), Bounded(10, 8, 10), 9, 15, "the energy is unknown"),
    (Bounded(100, 90, 120), Bounded(None, 0, None), None, None, "the output is unknown"),
    (Bounded(100, 90, 120), Bounded(None, 8, 10), 9, 15, "the output is unknown"),
    (Bounded(100, 90, 120), Bounded(0, 0, 0), None, None, "the output is zero"),
    (Bounded(100, 90, 120), Bounded(-1, -1, 0), None, None, "the output is below zero"),
]


@pytest.mark.parametrize(("energy", "output", "low", "high", "reason"), REFUSED)
def test_refused_with_a_reason(
    energy: Bounded, output: Bounded, low: float | None, high: float | None, reason: str
) -> None:
    assert intensity(energy, output) == (None, low, high, reason)


NUMBERS = st.floats(-1e12, 1e12)
OUTPUTS = st.floats(1e-6, 1e12)


@given(st.tuples(NUMBERS, NUMBERS, NUMBERS), st.tuples(OUTPUTS, OUTPUTS, OUTPUTS))
def test_value_lies_between_low_and_high(
    energies: tuple[float, float, float], outputs: tuple[float, float, float]
) -> None:
    (e_low, e, e_high), (p_low, p, p_high) = sorted(energies), sorted(outputs)
    found = intensity(Bounded(e, e_low, e_high), Bounded(p, p_low, p_high))
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.value <= found.high


@given(st.tuples(NUMBERS, NUMBERS, NUMBERS), st.tuples(OUTPUTS, OUTPUTS, OUTPUTS))
def test_bounds_hold_for_every_corner(
    energies: tuple[float, float, float], outputs: tuple[float, float, float]
) -> None:
    (e_low, e, e_high), (p_low, p, p_high) = sorted(energies), sorted(outputs)
    found = intensity(Bounded(e, e_low, e_high), Bounded(p, p_low, p_high))
    corners = [a / b for a in (e_low, e_high) for b in (p_low, p_high)]
    assert (found.low, found.high) == (min(corners), max(corners))


@given(NUMBERS, st.floats(0, 1e12))
def test_never_infinite(energy: float, output: float) -> None:
    found = intensity(Bounded(energy, energy, energy), Bounded(output, 0.0, output))
    if output >= 1e-200 and found.value is not None:
        assert math.isfinite(found.value)
    if output == 0:
        assert found.value is None
