"""Units convert inside their dimension, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import ConfigError
from config.units import AMOUNT_UNITS, RATE_UNITS, amount_unit_of, conversion_factor

KNOWN = [
    ("MWh", "kWh", 1000.0),
    ("GJ", "MJ", 1000.0),
    ("kWh", "MJ", 3.6),
    ("t", "kg", 1000.0),
    ("10^4 t", "t", 10_000.0),
    ("L", "m3", 0.001),
    ("10^4 m2", "m2", 10_000.0),
    ("10^4 piece", "piece", 10_000.0),
]


@pytest.mark.parametrize(("given_unit", "wanted", "factor"), KNOWN)
def test_factors(given_unit: str, wanted: str, factor: float) -> None:
    assert conversion_factor(given_unit, wanted) == pytest.approx(factor, rel=1e-15)


@given(st.sampled_from(sorted(AMOUNT_UNITS)), st.sampled_from(sorted(AMOUNT_UNITS)))
def test_there_and_back_or_not_at_all(a: str, b: str) -> None:
    if AMOUNT_UNITS[a][0] == AMOUNT_UNITS[b][0]:
        assert conversion_factor(a, b) * conversion_factor(b, a) == pytest.approx(1.0, rel=1e-14)
    else:
        with pytest.raises(ConfigError, match="does not convert"):
            conversion_factor(a, b)


def test_rates_become_amounts_after_an_hour() -> None:
    assert all(amount in AMOUNT_UNITS for amount in RATE_UNITS.values())
    assert amount_unit_of("kW") == "kWh"
    with pytest.raises(ConfigError, match="a rate is not an amount"):
        conversion_factor("kW", "kWh")
    with pytest.raises(ConfigError, match="unknown unit 'ton'"):
        amount_unit_of("ton")
