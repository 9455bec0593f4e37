"""Units of amounts and rates, and the exact factors between them.

A unit belongs to one dimension; conversion is only inside a dimension. A rate integrates over
hours to an amount: kW to kWh, t/h to t.
"""

from __future__ import annotations

from typing import Literal

from config.errors import ConfigError

Dimension = Literal["energy", "mass", "volume", "area", "count"]

# unit -> (dimension, size in the dimension's base unit: kWh, kg, m3, m2, one)
AMOUNT_UNITS: dict[str, tuple[Dimension, float]] = {
    "Wh": ("energy", 1e-3),
    "kWh": ("energy", 1.0),
    "MWh": ("energy", 1e3),
    "GWh": ("energy", 1e6),
    "10^4 kWh": ("energy", 1e4),
    "kJ": ("energy", 1 / 3600),
    "MJ": ("energy", 1 / 3.6),
    "GJ": ("energy", 1e3 / 3.6),
    "g": ("mass", 1e-3),
    "kg": ("mass", 1.0),
    "t": ("mass", 1e3),
    "10^4 t": ("mass", 1e7),
    "L": ("volume", 1e-3),
    "m3": ("volume", 1.0),
    "10^4 m3": ("volume", 1e4),
    "m2": ("area", 1.0),
    "10^4 m2": ("area", 1e4),
    "piece": ("count", 1.0),
    "10^4 piece": ("count", 1e4),
}

# rate unit -> amount unit that it becomes after one hour
RATE_UNITS: dict[str, str] = {
    "W": "Wh",
    "kW": "kWh",
    "MW": "MWh",
    "MJ/h": "MJ",
    "GJ/h": "GJ",
    "kg/h": "kg",
    "t/h": "t",
    "L/h": "L",
    "m3/h": "m3",
}


def amount_unit_of(unit: str) -> str:
    """The amount unit of ``unit``: itself for an amount, its hourly amount for a rate."""
    if unit in AMOUNT_UNITS:
        return unit
    if unit in RATE_UNITS:
        return RATE_UNITS[unit]
    allowed = ", ".join((*AMOUNT_UNITS, *RATE_UNITS))
    raise ConfigError(f"unknown unit {unit!r}", allowed=allowed)


KGCE_PER_TCE = 1000.0
CNY_PER_VALUE_UNIT = 10_000.0
"""Energy and carbon are told for 10,000 CNY of output value or value added (万元)."""


def conversion_factor(given: str, wanted: str) -> float:
    """Factor by which an amount in ``given`` is multiplied to be in ``wanted``.

    >>> conversion_factor("MWh", "kWh")
    1000.0

    Raises ConfigError for an unknown unit or for units of two dimensions.
    """
    amount_unit_of(given), amount_unit_of(wanted)
    if given not in AMOUNT_UNITS or wanted not in AMOUNT_UNITS:
        raise ConfigError(f"{given!r} to {wanted!r}: a rate is not an amount")
    (from_dimension, from_size), (to_dimension, to_size) = AMOUNT_UNITS[given], AMOUNT_UNITS[wanted]
    if from_dimension != to_dimension:
        raise ConfigError(
            f"{given!r} ({from_dimension}) does not convert to {wanted!r} ({to_dimension})",
            allowed=", ".join(u for u, (d, _) in AMOUNT_UNITS.items() if d == to_dimension),
            todo="where a density or a calorific value links them, give it as the multiplier "
            f"and state the unit as {wanted!r}",
        )
    return from_size / to_size
