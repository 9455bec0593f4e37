"""Amounts with bounds, many at once: each operation holds whatever the true amounts are.

``amount`` is NaN where it is unknown, ``low`` minus infinity and ``high`` infinity where nothing
bounds it. An operation on amounts inside their bounds gives an amount inside its bounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]


class Bounded(NamedTuple):
    amount: Floats
    low: Floats
    high: Floats


def exactly(value: float, length: int) -> Bounded:
    same = np.full(length, value)
    return Bounded(same, same, same)


def scaled(one: Bounded, by: float) -> Bounded:
    """``by`` times ``one``; a factor below zero swaps the bounds."""
    return times(one, exactly(by, len(one.amount)))


def plus(left: Bounded, right: Bounded) -> Bounded:
    with np.errstate(over="ignore"):
        return _settled(left.amount + right.amount, left.low + right.low, left.high + right.high)


def minus(one: Bounded) -> Bounded:
    return Bounded(-one.amount, -one.high, -one.low)


def times(left: Bounded, right: Bounded) -> Bounded:
    with np.errstate(over="ignore", invalid="ignore"):
        corners = np.stack([a * b for a in (left.low, left.high) for b in (right.low, right.high)])
        corners[np.isnan(corners)] = 0.0  # nothing times what nobody bounds is nothing
        return _settled(left.amount * right.amount, corners.min(axis=0), corners.max(axis=0))


def over(left: Bounded, right: Bounded) -> Bounded:
    """The quotient; unknown where the divisor is 0.

    Unbounded where the divisor can have either sign, and where both can be 0: 0 / 0 is anything.
    """
    with np.errstate(all="ignore"):
        amount = left.amount / right.amount  # infinite by 0, which `times` takes for unknown
        above, below = right.low >= 0, right.high <= 0
        least, most = 1 / right.high, 1 / right.low
    low = np.where(above & (right.high > 0), least, -np.inf)
    low = np.where(below & (right.high < 0), least, low)
    high = np.where(below & (right.low < 0), most, np.inf)
    high = np.where(above & (right.low > 0), most, high)
    found = times(left._replace(amount=amount), Bounded(np.ones_like(amount), low, high))
    free = _can_be_nothing(left) & _can_be_nothing(right)
    return found._replace(
        low=np.where(free, -np.inf, found.low), high=np.where(free, np.inf, found.high)
    )


def _can_be_nothing(one: Bounded) -> npt.NDArray[np.bool_]:
    return (one.low <= 0) & (one.high >= 0)


def absolute(one: Bounded) -> Bounded:
    crosses = (one.low < 0) & (one.high > 0)
    low, high = np.abs(one.low), np.abs(one.high)
    nearest = np.where(crosses, 0.0, np.minimum(low, high))
    return Bounded(np.abs(one.amount), nearest, np.maximum(low, high))


def least_of(parts: Sequence[Bounded]) -> Bounded:
    return Bounded(*(np.minimum.reduce(column) for column in zip(*parts, strict=True)))


def most_of(parts: Sequence[Bounded]) -> Bounded:
    return Bounded(*(np.maximum.reduce(column) for column in zip(*parts, strict=True)))


def _settled(amount: Floats, low: Floats, high: Floats) -> Bounded:
    """Without amounts that overflowed, and with bounds that bound."""
    return Bounded(
        np.where(np.isfinite(amount), amount, np.nan),
        np.where(low == np.inf, np.finfo(np.float64).max, low),
        np.where(high == -np.inf, np.finfo(np.float64).min, high),
    )
