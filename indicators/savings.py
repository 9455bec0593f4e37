"""Energy saved against a base period (节能量)."""

from __future__ import annotations

from indicators.intensity import unit_consumption


def energy_saved(base_energy: float, base_output: float, energy: float, output: float) -> float:
    r"""What was saved by the fall of unit consumption [energy unit].

    .. math:: \Delta E = (E_b / P_b - E_r / P_r) \cdot P_r

    Energy and output of the base and of the report period, outputs above zero; below zero where
    more was used. GB/T 13234, product method.

    >>> round(energy_saved(22_400.0, 56_000.0, 29_640.0, 78_000.0), 6)
    1560.0
    """
    before = unit_consumption(base_energy, base_output)
    return (before - unit_consumption(energy, output)) * output
