"""Metering of energy (能源计量), GB 17167: provision rates, calibration, accuracy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Literal, NamedTuple

from config.balance import accuracy_pct
from indicators.intensity import Bounded

Status = Literal["met", "not_met", "unknown"]
Calibration = Literal["valid", "overdue", "unknown"]


class Point(NamedTuple):
    """A place at which a flow of energy is to be measured. None: it is not known."""

    needed: bool | None
    installed: bool | None


def provision_rate(installed: int, needed: int) -> float:
    r"""Provision rate of meters (配备率) [%].

    .. math:: R_p = N_s / N_l \cdot 100

    ``installed`` N_s [1]: meters that are there; ``needed`` N_l [1]: meters that measure every
    quantity, above zero. GB 17167-2006, 3.2.

    >>> provision_rate(19, 20)
    95.0
    """
    return installed / needed * 100


def provision(points: Iterable[Point]) -> Bounded | None:
    r"""`provision_rate` of the points [%], with what is not known about them as bounds.

    .. math:: R_{low} = N_s^{sure} / (N_l^{sure} + N_l^{maybe, unmetered}) \cdot 100

    The smallest rate counts points that are perhaps needed where no meter is sure, the largest
    those where one may be. None where no point can be needed. kgce's own rule for the bounds.

    >>> yes, open_ = Point(True, True), Point(True, None)
    >>> provision([yes, yes, yes, open_])
    Bounded(value=None, low=75.0, high=100.0)
    >>> provision([yes, Point(True, False), Point(False, False)])
    Bounded(value=50.0, low=50.0, high=50.0)
    """
    asked = [point for point in points if point.needed is not False]
    low = [p.installed is True for p in asked if p.needed or p.installed is not True]
    high = [p.installed is not False for p in asked if p.needed or p.installed is not False]
    if not low and not high:
        return Bounded(100.0, 100.0, 100.0) if asked else None
    least = provision_rate(sum(low), len(low)) if low else 100.0
    most = provision_rate(sum(high), len(high)) if high else 100.0
    return Bounded(least if least == most else None, least, most)


def provided(rate: Bounded, required: float | None) -> Status:
    """Whether a provision rate [%] is at least the one required [%], wherever in its bounds.

    GB 17167-2006, 4.3: the table of rates.

    >>> provided(Bounded(None, 75.0, 100.0), 80.0), provided(Bounded(75.0, 75.0, 75.0), 80.0)
    ('unknown', 'not_met')
    """
    if required is None or rate.low is None or rate.high is None:
        return "unknown"
    if rate.low >= required:
        return "met"
    return "not_met" if rate.high < required else "unknown"


def reaches(amount: Bounded, threshold: float | None) -> bool | None:
    """Whether an amount or a rate reaches the threshold of a main unit; None where not known.

    Both in one unit [t/a, m3/a, GJ/a, kW, t/h ...]. GB 17167-2006, table of
    thresholds, recalled: not checked against the print.

    >>> reaches(Bounded(120.0, 110.0, 130.0), 100.0), reaches(Bounded(None, 90.0, None), 100.0)
    (True, None)
    """
    if threshold is None:
        return None
    if amount.low is not None and amount.low >= threshold:
        return True
    return False if amount.high is not None and amount.high < threshold else None


def calibration(due: date | None, done: date | None, day: date) -> Calibration:
    """Whether a meter's calibration held on a day.

    ``due``: day by which the next one is due, still a valid day; ``done``: day of the last one. One
    done after the day says nothing about it. GB 17167-2006 asks for meters within their valid
    period (clause not checked against the print).

    >>> day = date(2026, 10, 31)
    >>> calibration(date(2026, 10, 30), None, day), calibration(date(2026, 10, 31), None, day)
    ('overdue', 'valid')
    >>> calibration(None, None, day), calibration(date(2028, 11, 1), date(2026, 11, 2), day)
    ('unknown', 'unknown')
    """
    if done is not None and done > day:
        return "unknown"
    if due is None:
        return "unknown"
    return "overdue" if due < day else "valid"


def accuracy(given: str | None, required: Sequence[str]) -> Status:
    """Whether an accuracy class is as good as the one required; several where the case is open.

    Met where it is by every one of them, not met where by none. Classes are permitted errors [%]; S
    is better than the same number without, classes C to E of electricity meters count as such.
    GB 17167-2006, table of accuracy, recalled: not checked against the print.

    >>> accuracy("0.5S", ["0.5S"]), accuracy("0.5", ["0.5S"]), accuracy("1.0", ["0.5", "2.0"])
    ('met', 'not_met', 'unknown')
    """
    own = _rank(given or "")
    asked = [_rank(one) for one in required]
    if own is None or not asked or None in asked:
        return "unknown"
    good = [own <= one for one in asked if one is not None]
    if all(good):
        return "met"
    return "unknown" if any(good) else "not_met"


def _rank(written: str) -> tuple[float, bool] | None:
    """Smaller is better; None where it is no class that is a number."""
    pct = accuracy_pct(written)
    special = re.search(r"[SCDE]\b", written.strip().upper()) is not None
    return None if pct is None else (pct, not special)


def user_classes(kwh_per_month: float | None, from_kwh: Mapping[str, float | None]) -> list[str]:
    """Classes that an electricity user can be of, by its use alone [kWh/month].

    ``from_kwh``: class, the strictest first, to the use from which on a user is of it, None where
    use does not tell. Transformers can make the class stricter, never laxer than the use says.
    The classes are rows of the standards data, whose source names no standard: that use alone
    leaves several open is kgce's own rule.

    >>> limits = {"I": 5e6, "II": 1e6, "III": 1e5, "IV": None, "V": None}
    >>> user_classes(1_200_000.0, limits), user_classes(None, limits)
    (['I', 'II'], ['I', 'II', 'III', 'IV', 'V'])
    """
    found = []
    for one, limit in from_kwh.items():
        found.append(one)
        if kwh_per_month is not None and limit is not None and kwh_per_month >= limit:
            break
    return found
