"""Forecast of a year's end, and how it stands to a target (能源与碳预算)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from indicators.baseline import Expected
from indicators.intensity import Bounded

LEAST_MONTHS = 3
TargetStatus = Literal["on_track", "at_risk", "missed", "insufficient_data"]


def forecast_by_last_year(
    to_date: Bounded, this: Sequence[float | None], last: Sequence[float], elapsed: float
) -> Bounded:
    r"""The year's total, when the rest keeps the share that it had last year [unit of to_date].

    .. math:: \hat E = E + \frac{E}{L} R, \quad [\hat E] = [E] + R\, [\min, \max]_m (E_m / L_m)

    E is ``to_date``, L and R last year's amounts before and after the same moment, m the complete
    months of this year. ``this`` and ``last`` are twelve months, None where not complete;
    ``elapsed`` [months] is above zero. Bounds are the spread of the months so far and need three of
    them. kgce's own rule.

    >>> this = [10.0, 11.0, 12.0] * 2 + [None] * 6
    >>> forecast_by_last_year(Bounded(66.0, 66.0, 66.0), this, [10.0] * 12, 6.0)
    Bounded(value=132.0, low=126.0, high=138.0)
    """
    whole, part = int(elapsed), elapsed - int(elapsed)
    before = sum(last[:whole]) + (part * last[whole] if part else 0.0)
    rest = sum(last) - before
    if to_date.value is None or not before:
        return Bounded(None, None, None)
    growth = to_date.value / before
    seen = [now / then for now, then in zip(this, last, strict=True) if now is not None and then]
    return _with_rest(to_date, rest * growth, [rest * one for one in seen])


def forecast_by_rate(
    to_date: Bounded, rates: Sequence[float], elapsed: float, rest: float
) -> Bounded:
    r"""The year's total, when the rest goes on at the rate to date [unit of to_date].

    .. math:: \hat E = E \left(1 + \frac{r}{d}\right)

    ``elapsed`` d and ``rest`` r in days, d above zero; ``rates`` of the complete months [unit/d],
    whose spread bounds the rest where there are three. kgce's own rule.

    >>> forecast_by_rate(Bounded(100.0, 100.0, 110.0), [0.9, 1.0, 1.1], 100.0, 10.0)
    Bounded(value=110.0, low=109.0, high=121.0)
    """
    if to_date.value is None:
        return Bounded(None, None, None)
    return _with_rest(to_date, to_date.value / elapsed * rest, [rest * one for one in rates])


def forecast_by_baseline(to_date: Bounded, rest: Expected, t: float) -> Bounded:
    r"""The year's total, when the rest is what a baseline expects [unit of to_date].

    .. math:: \hat E = E + \hat E_{rest} \pm t\, s

    ``t`` [1] is Student's for the confidence that is asked. kgce's own rule, after ISO 50006.

    >>> forecast_by_baseline(Bounded(100.0, 99.0, None), Expected(20.0, 1.0), 2.0)
    Bounded(value=120.0, low=117.0, high=None)
    """
    half = t * rest.standard_error
    return Bounded(
        None if to_date.value is None else to_date.value + rest.value,
        None if to_date.low is None else to_date.low + rest.value - half,
        None if to_date.high is None else to_date.high + rest.value + half,
    )


def forecast_ratio(energy: Bounded, output_to_date: float, rest: float, unit: Bounded) -> Bounded:
    r"""Unit consumption of the year, from that to date and that of the rest [energy unit/output].

    .. math:: \hat e = \frac{E + u R}{P + R}

    ``energy`` E and ``output_to_date`` P, above zero; ``rest`` R is the output still to come, and
    ``unit`` u the unit consumption that it is made with. kgce's own rule.

    >>> forecast_ratio(Bounded(100.0, 99.0, 101.0), 10.0, 10.0, Bounded(12.0, 11.0, 13.0))
    Bounded(value=11.0, low=10.45, high=11.55)
    """
    return Bounded(
        *(
            None if made is None or of is None else (made + of * rest) / (output_to_date + rest)
            for made, of in zip(energy, unit, strict=True)
        )
    )


def target_status(
    limit: float, to_date: Bounded, forecast: Bounded, *, grows: bool, over: bool
) -> TargetStatus:
    """How a year stands to what it may use at most, all in one unit [unit].

    missed: what is used already is over the limit for sure (and ``grows``: cannot fall again), or
    the year is ``over`` and its figure is. at_risk: the forecast or its upper bound is. Else
    on_track; insufficient_data where there is no forecast. kgce's own rule.

    >>> used, end = Bounded(60.0, 60.0, 60.0), Bounded(98.0, 95.0, 101.0)
    >>> target_status(100.0, used, end, grows=True, over=False)
    'at_risk'
    >>> target_status(59.0, used, end, grows=True, over=False)
    'missed'
    """
    if forecast.value is None:
        return "insufficient_data"
    if over:
        return "missed" if forecast.value > limit else "on_track"
    if grows and to_date.low is not None and to_date.low > limit:
        return "missed"
    highest = forecast.value if forecast.high is None else forecast.high
    return "at_risk" if max(forecast.value, highest) > limit else "on_track"


def _with_rest(to_date: Bounded, rest: float, spread: Sequence[float]) -> Bounded:
    """To date and the rest together; fewer than three months bound nothing."""
    value = None if to_date.value is None else to_date.value + rest
    if len(spread) < LEAST_MONTHS or to_date.value is None:
        return Bounded(value, None, None)
    ends = (min(rest, *spread), max(rest, *spread))
    return Bounded(
        value,
        None if to_date.low is None else to_date.low + ends[0],
        None if to_date.high is None else to_date.high + ends[1],
    )
