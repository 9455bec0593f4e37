"""Surcharges on electricity for high unit consumption (阶梯电价)."""

from __future__ import annotations

import math

STEP_KWH_PER_T = 20.0
STEP_CNY_PER_KWH = 0.01
FREE_RENEWABLE_PERCENT = 15.0


def aluminium_surcharge(
    consumption_kwh_per_t: float, threshold_kwh_per_t: float, renewable_percent: float
) -> float:
    r"""Surcharge on the electricity of aluminium electrolysis [CNY/kWh].

    .. math:: d = 0.01 \lceil \max(0, e - T) / 20 \rceil (1 - 0.01 \max(0, r - 15))

    ``consumption_kwh_per_t`` is the comprehensive AC consumption of liquid aluminium in the year
    before [kWh/t]; ``threshold_kwh_per_t`` the one of the year; ``renewable_percent`` the share of
    renewable electricity other than water power [%]. 发改价格〔2021〕1239号; the step and the
    discount are recalled (article not checked against the print).

    >>> aluminium_surcharge(13_330.0, 13_300.0, 15.0)
    0.02
    >>> aluminium_surcharge(13_300.0, 13_300.0, 0.0)
    0.0
    >>> round(aluminium_surcharge(13_500.0, 13_300.0, 25.0), 9)
    0.09
    """
    steps = math.ceil(max(0.0, consumption_kwh_per_t - threshold_kwh_per_t) / STEP_KWH_PER_T)
    discount = max(0.0, 1 - 0.01 * max(0.0, renewable_percent - FREE_RENEWABLE_PERCENT))
    return STEP_CNY_PER_KWH * steps * discount
