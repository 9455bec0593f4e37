"""Unit-product energy consumption (单位产品综合能耗), GB/T 2589-2020, with its bounds."""

from __future__ import annotations

from typing import NamedTuple


class Bounded(NamedTuple):
    """A quantity, and the least and the most that the readings allow.

    ``value`` None: unknown. ``low`` or ``high`` None: nothing bounds it on that side.
    """

    value: float | None
    low: float | None
    high: float | None


class Intensity(NamedTuple):
    """A ratio with its bounds; where ``value`` is None, ``reason`` says why."""

    value: float | None
    low: float | None
    high: float | None
    reason: str


def unit_consumption(energy: float, output: float) -> float:
    r"""Energy consumption of a unit of product [energy unit per output unit].

    .. math:: e_j = E_j / P_j

    ``energy`` is the energy of product j, net of what is sent out (so it may be negative);
    ``output`` its qualified output of the same period, above zero. GB/T 2589-2020
    (clause not checked against the print).

    >>> unit_consumption(117000.0, 1000.0)
    117.0
    """
    return energy / output


def intensity(energy: Bounded, output: Bounded) -> Intensity:
    r"""``unit_consumption`` with bounds [energy unit per output unit], or why there is none.

    .. math:: [E_l, E_h] / [P_l, P_h]: \quad E_l / P_h,\; E_h / P_l \quad (E \ge 0)

    A negative energy bound is farthest from zero at the small output, so its divisor is the other
    end. A bound that is missing, or whose divisor is missing or not above zero, is None: never
    infinity. What is not known may have bounds all the same. The ratio is that of GB/T 2589-2020;
    its bounds are kgce's own rule.

    >>> intensity(Bounded(100.0, 90.0, 120.0), Bounded(10.0, 8.0, 10.0))
    Intensity(value=10.0, low=9.0, high=15.0, reason='')
    >>> intensity(Bounded(-100.0, -120.0, -90.0), Bounded(10.0, 8.0, 10.0))
    Intensity(value=-10.0, low=-15.0, high=-9.0, reason='')
    >>> intensity(Bounded(None, 90.0, 120.0), Bounded(10.0, 8.0, 10.0))
    Intensity(value=None, low=9.0, high=15.0, reason='the energy is unknown')
    >>> intensity(Bounded(100.0, 90.0, 120.0), Bounded(0.0, 0.0, 0.0)).reason
    'the output is zero'
    """
    low_output = output.high if energy.low is None or energy.low >= 0 else output.low
    high_output = output.low if energy.high is None or energy.high >= 0 else output.high
    bounds = _bound(energy.low, low_output), _bound(energy.high, high_output)
    if energy.value is None:
        return Intensity(None, *bounds, "the energy is unknown")
    if output.value is None:
        return Intensity(None, *bounds, "the output is unknown")
    if output.value <= 0:
        state = "zero" if output.value == 0 else "below zero"
        return Intensity(None, None, None, f"the output is {state}")
    return Intensity(unit_consumption(energy.value, output.value), *bounds, "")


def _bound(energy: float | None, output: float | None) -> float | None:
    if energy is None or output is None or output <= 0:
        return None
    return unit_consumption(energy, output)
