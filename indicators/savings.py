"""Energy saved against a base period (节能量)."""

from __future__ import annotations

from indicators.intensity import Bounded, Intensity, unit_consumption


def energy_saved(base_energy: float, base_output: float, energy: float, output: float) -> float:
    r"""What was saved by the fall of unit consumption [energy unit].

    .. math:: \Delta E = (E_b / P_b - E_r / P_r) \cdot P_r

    Energy and output of the base and of the report period, outputs above zero; below zero where
    more was used. GB/T 13234, product method (clause not checked against the print).

    >>> round(energy_saved(22_400.0, 56_000.0, 29_640.0, 78_000.0), 6)
    1560.0
    """
    before = unit_consumption(base_energy, base_output)
    return (before - unit_consumption(energy, output)) * output


def energy_saved_between(base: Intensity, now: Intensity, output: Bounded) -> Bounded:
    r"""``energy_saved`` from two unit consumptions, with its bounds [energy unit].

    .. math:: \Delta E_l = \min_{P_l, P_h} (e_{b,l} - e_{r,h}) P, \quad
        \Delta E_h = \max_{P_l, P_h} (e_{b,h} - e_{r,l}) P

    ``base`` and ``now`` [energy unit per output unit], ``output`` of the report period [output
    unit]. Unknown where one of the three is; a bound is None where one of its parts is. GB/T 13234,
    product method; the bounds are kgce's own rule.

    >>> before, now = Intensity(0.4, 0.4, 0.41, ""), Intensity(0.38, 0.37, 0.38, "")
    >>> [round(one, 6) for one in energy_saved_between(before, now, Bounded(100.0, 90.0, 100.0))]
    [2.0, 1.8, 4.0]
    """
    if base.value is None or now.value is None or output.value is None:
        return Bounded(None, None, None)
    ends = (output.low, output.high)
    least, most = _minus(base.low, now.high), _minus(base.high, now.low)
    return Bounded(
        (base.value - now.value) * output.value,
        min(products) if (products := _times(least, ends)) else None,
        max(products) if (products := _times(most, ends)) else None,
    )


def _minus(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _times(one: float | None, ends: tuple[float | None, float | None]) -> list[float]:
    """Products with both ends; none where a part is not known."""
    if one is None or None in ends:
        return []
    return [one * end for end in ends if end is not None]
