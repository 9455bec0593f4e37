"""Verdicts of energy-saving supervision (节能监察): a figure with its bounds against a limit."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import Literal, NamedTuple

from indicators.intensity import Bounded

Verdict = Literal["complies", "exceeds", "insufficient data", "not from data"]

# Month and day, from and to, between which a public holiday of mainland China can lie.
_MAY_BE_HOLIDAY = (
    ((1, 1), (1, 3)), ((1, 21), (2, 28)), ((4, 3), (4, 7)), ((4, 29), (5, 5)), ((5, 25), (6, 28)),
    ((9, 7), (10, 11)), ((12, 30), (12, 31)),
)  # fmt: skip
SATURDAY = 5


class Outage(NamedTuple):
    """Days in a row without data: whole ones, and the working days among them [d]."""

    first: date
    last: date
    working: Bounded


def at_most(figure: Bounded, limit: float | None) -> Verdict:
    """Whether a figure stays at or under its limit, wherever in its bounds the truth lies.

    Both in one unit [that of the limit]; a bound that is missing bounds nothing. Limits may be
    negative. kgce's own rule: nobody is accused, or cleared, by a figure whose bounds hold the
    limit.

    >>> at_most(Bounded(116.0, 115.0, 117.0), 117.0), at_most(Bounded(119.0, 118.0, None), 117.0)
    ('complies', 'exceeds')
    >>> at_most(Bounded(116.0, 115.0, 117.5), 117.0), at_most(Bounded(None, None, None), 117.0)
    ('insufficient data', 'insufficient data')
    """
    if limit is None:
        return "insufficient data"
    if figure.low is not None and figure.low > limit:
        return "exceeds"
    return "complies" if figure.high is not None and figure.high <= limit else "insufficient data"


def at_least(figure: Bounded, limit: float | None) -> Verdict:
    """Whether a figure reaches what is asked: `at_most` with both signs turned.

    Both in one unit [that of the limit]. kgce's own rule, as for `at_most`.

    >>> at_least(Bounded(0.95, 0.95, 0.95), 0.9), at_least(Bounded(0.77, 0.77, 0.77), 0.9)
    ('complies', 'exceeds')
    """
    value, low, high = (None if one is None else -one for one in figure)
    return at_most(Bounded(value, high, low), None if limit is None else -limit)


def deviation(figure: Bounded, stated: float) -> Bounded:
    r"""By how much a figure differs from a stated amount [1], without sign.

    .. math:: d = |x - s| / |s|

    Both in one unit, ``stated`` not zero. The bounds are those of x; d is zero at the least where
    they hold s. Held to 5 % by the data-quality requirements of online monitoring; its bounds are
    kgce's own rule.

    >>> deviation(Bounded(110.0, 105.0, 120.0), 100.0)
    Bounded(value=0.1, low=0.05, high=0.2)
    >>> deviation(Bounded(101.0, 90.0, None), 100.0)
    Bounded(value=0.01, low=0.0, high=None)
    """
    low, high = figure.low, figure.high
    ends = [None if one is None else abs(one - stated) / abs(stated) for one in (low, high)]
    known = [one for one in ends if one is not None]
    beside = (low is not None and low > stated) or (high is not None and high < stated)
    return Bounded(
        None if figure.value is None else abs(figure.value - stated) / abs(stated),
        min(known) if beside else 0.0,
        max(known) if len(known) == len(ends) else None,
    )


def working_days(first: date, last: date, holidays: Collection[date]) -> Bounded:
    r"""Working days (Monday to Friday) from the first to the last day, both included [d].

    .. math:: n = |\{d : d_1 \le d \le d_2, \ d \text{ on a weekday}, \ d \notin H\}|

    ``holidays`` (H) are not counted. In a year without any of them stated, a day on which a public
    holiday can lie counts for ``high`` alone. Days worked instead on a weekend are not known, and
    never counted. Provincial rules count repairs by working days; what is not known of holidays is
    bounded by kgce's own rule.

    >>> working_days(date(2025, 11, 10), date(2025, 11, 16), [])
    Bounded(value=5.0, low=5.0, high=5.0)
    >>> working_days(date(2025, 10, 1), date(2025, 10, 8), [])
    Bounded(value=None, low=0.0, high=6.0)
    """
    days = [first + timedelta(n) for n in range((last - first).days + 1)]
    days = [day for day in days if day.weekday() < SATURDAY and day not in holidays]
    told = {day.year for day in holidays}
    sure = [day for day in days if day.year in told or not _may_be_holiday(day)]
    low, high = float(len(sure)), float(len(days))
    return Bounded(low if low == high else None, low, high)


def _may_be_holiday(day: date) -> bool:
    here = (day.month, day.day)
    return any(first <= here <= last for first, last in _MAY_BE_HOLIDAY)


def longest_outage(
    coverage: Mapping[date, float], holidays: Collection[date], filed: Collection[date]
) -> Outage | None:
    """The outage with the most working days; None where every day has data or was filed.

    ``coverage``: share of each day that was observed [1]. A day without any belongs to the outage
    for certain; the partly observed ones beside it may, for ``high`` alone. kgce's own rule.

    >>> silent = {date(2025, 11, day): 0.0 if 10 <= day <= 14 else 1.0 for day in range(1, 31)}
    >>> longest_outage(silent, [], [])[2].low, longest_outage(silent, [], [*silent])
    (5.0, None)
    """
    found = [
        Outage(run[0], run[-1], _lasted(run, coverage, holidays))
        for run in _runs([day for day in sorted(coverage) if coverage[day] <= 0])
        if not set(run) <= set(filed)
    ]
    return max(found, key=lambda one: (one.working.low, one.working.high), default=None)


def _lasted(
    run: Sequence[date], coverage: Mapping[date, float], holidays: Collection[date]
) -> Bounded:
    first, last = run[0], run[-1]
    sure = working_days(first, last, holidays)
    before, after = first - timedelta(1), last + timedelta(1)
    wide = working_days(
        before if coverage.get(before, 1.0) < 1 else first,
        after if coverage.get(after, 1.0) < 1 else last,
        holidays,
    )
    return Bounded(sure.value if sure.low == wide.high else None, sure.low, wide.high)


def _runs(days: Sequence[date]) -> list[list[date]]:
    """The days, in order, cut where one is missing between two."""
    runs: list[list[date]] = []
    for day in days:
        if runs and day == runs[-1][-1] + timedelta(1):
            runs[-1].append(day)
        else:
            runs.append([day])
    return runs


def flat_days(
    amounts: Mapping[date, float], *, repeats: bool, least_running: int = 3
) -> list[date]:
    """Days with production on which a meter's amount [unit] cannot be believed, in order.

    ``amounts``: of each well-observed day with production. A day is flat where nothing passed; with
    ``repeats`` (gauges, that a frozen gateway repeats) also where the very number of the day before
    came again. Only flat days in one go count, of a meter that on ``least_running`` other days ran,
    with ``repeats`` each with an amount of its own. kgce's own rule.

    >>> given = [9.1, 8.7, 9.3, 0.0, 0.0, 9.2, 8.8]
    >>> days = {date(2025, 11, n): amount for n, amount in enumerate(given, 1)}
    >>> [day.day for day in flat_days(days, repeats=False)]
    [4, 5]
    >>> flat_days(dict.fromkeys(days, 9.0), repeats=True)
    []
    """
    days = sorted(amounts)
    again = {now for before, now in pairwise(days) if amounts[now] == amounts[before]}
    flat = [day for day in days if amounts[day] == 0 or (repeats and day in again)]
    places = [days.index(day) for day in flat]
    in_one_go = not places or places[-1] - places[0] + 1 == len(places)
    running = [amounts[day] for day in days if day not in flat]
    told_apart = not repeats or len(set(running)) == len(running)
    return flat if in_one_go and told_apart and len(running) >= least_running else []
