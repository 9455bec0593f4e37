"""Energy avoided against a baseline (节能量), with its uncertainty."""

from __future__ import annotations

import math
from typing import NamedTuple

from indicators.baseline import Expected
from indicators.intensity import Bounded


class Saving(NamedTuple):
    """What was saved [energy unit]. ``uncertainty`` is the half width of the model's interval;
    ``low`` and ``high`` add to it what the readings leave open (None: nothing bounds it)."""

    value: float
    low: float | None
    high: float | None
    ratio: float
    uncertainty: float
    uncertainty_ratio: float | None


def avoided_energy(expected: Expected, actual: Bounded, t: float) -> Saving:
    r"""What was saved against what a baseline expects [energy unit].

    .. math:: \Delta E = \hat E - E, \quad U = t\, s, \quad u = U / |\Delta E|

    ``expected`` of the report periods, adjustments included, with its standard error s; ``actual``
    with its bounds, its value known; ``t`` [1] Student's for the confidence that is asked. The
    ratio [1] is of the expected. IPMVP, option C (clause not checked
    against the print); U after Reddy and Claridge (2000).

    >>> avoided_energy(Expected(100.0, 2.0), Bounded(90.0, 89.0, None), 2.0)
    Saving(value=10.0, low=None, high=15.0, ratio=0.1, uncertainty=4.0, uncertainty_ratio=0.4)
    """
    known = actual.value if actual.value is not None else math.nan
    value, half = expected.value - known, t * expected.standard_error
    return Saving(
        value,
        None if actual.high is None else expected.value - actual.high - half,
        None if actual.low is None else expected.value - actual.low + half,
        value / expected.value if expected.value else math.nan,
        half,
        half / abs(value) if value else None,
    )


def fractional_uncertainty(
    saving_ratio: float, cv_rmse: float, points: int, inflation: float, periods: int, t: float
) -> float:
    r"""Uncertainty of a saving as a share of it, by the short formula [1].

    .. math:: u = \frac{1.26\, t\, CV}{F} \sqrt{\frac{n}{n'} \left(1 + \frac{2}{n'}\right)
        \frac{1}{m}}

    F is the saving as a share of what was expected, not zero; n ``points`` of the model, n / n'
    ``inflation`` for autocorrelation, m report ``periods``. It takes the drivers of the report to
    be like those of the base period. ASHRAE Guideline 14 (recalled; clause not
    checked against the print).

    >>> round(fractional_uncertainty(0.1, 0.05, 12, 1.0, 12, 1.8), 4)
    0.3536
    """
    effective = points / inflation
    scatter = math.sqrt(inflation * (1 + 2 / effective) / periods)
    return 1.26 * t * cv_rmse / abs(saving_ratio) * scatter
