"""Which meter, if any, is wrong where a node's main meters and branches do not agree, day by day.

A meter that is wrong by a factor leaves a residual in proportion to its own amounts. A meter that
stopped leaves none while it runs, and about its usual amount from then on. A load without a meter
leaves one that fits no meter. A meter is named only where its correction closes the balance, where
no other meter's does, and where neither a constant load without a meter nor losses would.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Numbers: TypeAlias = npt.NDArray[np.float64]
Flags: TypeAlias = npt.NDArray[np.bool_]

LEAST_DAYS = 5  # under these, patterns agree by chance
RUNNING_DAYS = 3  # of a meter that stopped, to know what it usually says
CLOSED_SHARE = 0.9  # of the days that a correction must bring into balance
CLEARLY = 2.0  # the next best explanation must leave this many times the squares...
EVIDENCE = (
    10.0  # ...and n ln(ratio) of this: "very strong" (Kass and Raftery 1995, difference of BIC)
)
HARDLY_ANYTHING = 0.01  # of a meter's usual amount: it stands
USUAL = 2.0  # what a stopped meter misses is within this factor of its usual amount
OUTSTANDING = 4.0  # and this many standard deviations above the days on which it runs
LIKELY_LOSSES_RATIO = 0.1  # residuals up to this share of what comes in may be losses


@dataclass(frozen=True)
class Days:
    """A node's balance on the days on which it can be judged, in order.

    ``amounts`` [unit]: a row a day, a column a meter. ``signs``: +1 for meters that bring in, -1
    for those that take out. ``tolerance`` and ``losses`` [unit]: what is allowed a day.
    """

    meter_ids: tuple[str, ...]
    signs: tuple[int, ...]
    amounts: Numbers
    tolerance: Numbers
    losses: Numbers

    @property
    def residual(self) -> Numbers:
        return np.asarray(self.amounts @ np.array(self.signs, dtype=float))

    @property
    def supply(self) -> Numbers:
        return np.asarray(self.amounts @ np.maximum(np.array(self.signs, dtype=float), 0.0))

    def balanced(self, residual: Numbers) -> Flags:
        return (residual >= -self.tolerance) & (residual <= self.losses + self.tolerance)

    def taken(self, which: slice | Flags) -> Days:
        """Some of the days."""
        return Days(
            self.meter_ids,
            self.signs,
            self.amounts[which],
            self.tolerance[which],
            self.losses[which],
        )


@dataclass(frozen=True)
class Suspect:
    """``cause``: ratio or dead; ``factor``: what its amounts would have to be multiplied by."""

    meter_id: str
    cause: str
    factor: float | None


def suspect_of(days: Days) -> Suspect | None:
    """The meter that is most likely wrong; None where it cannot be told."""
    if not days.meter_ids or len(days.amounts) < LEAST_DAYS:
        return None
    off = ~days.balanced(days.residual)
    if not off.any():
        return None
    stopped = _stopped(days, off)
    first, last = int(np.argmax(off)), len(off) - int(np.argmax(off[::-1]))
    by_ratio = _wrong_by_a_factor(days.taken(slice(first, last)))
    found = [*stopped, *by_ratio]
    return found[0] if len(found) == 1 else None


def _wrong_by_a_factor(days: Days) -> list[Suspect]:
    """The one meter whose amounts, times a factor, close the balance; several where two do."""
    count = len(days.amounts)
    if count < LEAST_DAYS:
        return []
    residual, floor = days.residual, float(np.sum((days.tolerance / 2) ** 2))
    closing: list[tuple[float, Suspect]] = []
    left: list[float] = []
    for column, (meter_id, sign) in enumerate(zip(days.meter_ids, days.signs, strict=True)):
        amounts = days.amounts[:, column]
        slope, rest = _fitted(residual, amounts, days)
        factor = 1.0 - sign * slope
        if not np.isfinite(slope) or factor <= 0:
            continue
        squares = _squares(rest)
        left.append(squares)
        if _closes(days, residual - slope * amounts):
            closing.append((squares, Suspect(meter_id, "ratio", factor)))
    if not closing:
        return []
    without_a_meter = [_constant_load(days), _losses(days)]
    if len(closing) > 1 or any(_closes(days, rest) for rest in without_a_meter):
        return []
    best, suspect = closing[0]
    others = [*left, *(_squares(rest) for rest in without_a_meter)]
    others.remove(best)
    ratio = min(others) / max(best, floor) if max(best, floor) > 0 else np.inf
    clear = ratio >= CLEARLY and count * float(np.log(ratio)) >= EVIDENCE
    return [suspect] if clear else []


def _fitted(residual: Numbers, amounts: Numbers, days: Days) -> tuple[float, Numbers]:
    """Least-squares slope of the residual over the amounts, and what is left beside losses.

    Losses are a share of what comes in, at most what is allowed for them.
    """
    squares = float(np.sum(amounts**2))
    if squares == 0:
        return float("nan"), residual
    slope = float(np.sum(amounts * residual)) / squares
    rest = residual - slope * amounts
    if not days.losses.any():
        return slope, rest
    # What of the losses is no multiple of the amounts.
    own = days.losses - float(np.sum(amounts * days.losses)) / squares * amounts
    length = float(np.sum(own**2))
    share = min(max(float(np.sum(own * rest)) / length, 0.0), 1.0) if length > 0 else 0.0
    lost = share * days.losses
    slope = float(np.sum(amounts * (residual - lost))) / squares
    return slope, residual - lost - slope * amounts


def _closes(days: Days, residual: Numbers) -> bool:
    """Whether nearly all days balance with this residual."""
    return float(np.mean(days.balanced(residual))) >= CLOSED_SHARE


def _squares(rest: Numbers) -> float:
    return float(np.sum(rest**2))


def _constant_load(days: Days) -> Numbers:
    """What is left where a load without a meter takes the same every day."""
    return days.residual - max(float(np.mean(days.residual)), 0.0)


def _losses(days: Days) -> Numbers:
    """What is left where lines and transformers lose a likely share of what comes in."""
    supply, residual = days.supply, days.residual
    squares = float(np.sum(supply**2))
    share = float(np.sum(supply * residual)) / squares if squares > 0 else 0.0
    return residual - min(max(share, 0.0), LIKELY_LOSSES_RATIO) * supply


def _stopped(days: Days, off: Flags) -> list[Suspect]:
    """The meters that stood on just those days on which the balance was off."""
    residual = days.residual
    found = []
    for column, (meter_id, sign) in enumerate(zip(days.meter_ids, days.signs, strict=True)):
        amounts = days.amounts[:, column]
        nonzero = amounts[amounts > 0]
        if len(nonzero) < RUNNING_DAYS:
            continue
        usual = float(np.median(nonzero))
        stands = np.abs(amounts) <= HARDLY_ANYTHING * usual
        runs = ~stands & ~_beside(stands)  # it ran a part of the days on which it stops and starts
        if not stands.any() or int(runs.sum()) < RUNNING_DAYS:
            continue
        before = -sign * residual[runs]
        missed = float(np.mean(-sign * residual[stands])) - float(np.mean(before))
        if (
            bool(off[stands].all())
            and not off[runs].any()
            and usual / USUAL <= missed <= usual * USUAL
            and missed >= OUTSTANDING * float(np.std(before))
        ):
            found.append(Suspect(meter_id, "dead", None))
    return found


def _beside(which: Flags) -> Flags:
    """Whether the day before or the day after is one of them."""
    beside = np.zeros_like(which)
    beside[1:] |= which[:-1]
    beside[:-1] |= which[1:]
    return beside
