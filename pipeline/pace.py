"""How fast a counter usually climbs around a place where something is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# Readings looked at on either side.
NEIGHBOURS = 256
# A step of up to this many times the usual pace is an ordinary one.
ORDINARY_PACES = 3.0
# Without a rated power, a rise of so many ordinary steps is doubted where it comes from a first
# reading of exactly 0, while the meter was watched, or falls away again.
DOUBTFUL_STEPS = 100


class Part(NamedTuple):
    """The ordinary rises among some readings, and the median of their rates (0 without any)."""

    per_us: float
    rises: Floats


class Pace(NamedTuple):
    """The usual rate, the quantum and the sum of all rises around but the largest; 0 where nothing
    rises."""

    per_us: float
    quantum: float
    others: float

    def explains(self, rise: float, dt: float) -> bool:
        """Whether a rise over ``dt`` microseconds is an ordinary one.

        One step of a coarse register is, however soon it comes.
        """
        return bool(rise <= max(ORDINARY_PACES * self.per_us * dt, self.quantum))


class Surroundings:
    """The pace of what comes before, of what lies between, and of what follows.

    Of each of the three the median of its rises; of the medians the fastest: what any of the three
    does is ordinary. What follows is looked at only where the answer may depend on it: a decision
    that looks ahead cannot be called settled before those readings are there.
    """

    def __init__(self, seen: Sequence[Part], ahead: Callable[[], Part]) -> None:
        self._seen, self._ahead = seen, ahead

    @cached_property
    def pace(self) -> Pace:
        """The pace of all three."""
        parts = [*self._seen, self._ahead()]
        rises = np.concatenate([part.rises for part in parts])
        per_us = max(part.per_us for part in parts)
        return Pace(per_us, quantum_of(rises), _without_largest(rises))

    def explains(self, rise: float, dt: float) -> bool:
        """As `Pace.explains`."""
        per_us = max(part.per_us for part in self._seen)
        return bool(rise <= ORDINARY_PACES * per_us * dt) or self.pace.explains(rise, dt)

    def doubts(self, rise: float, dt: float) -> bool:
        """Whether a rise over ``dt`` microseconds is of more than so many ordinary steps, and of
        more than all the other rises together but the largest, which may be as doubtful. Where
        nothing else rises nobody can say."""
        if rise <= DOUBTFUL_STEPS * max(part.per_us for part in self._seen) * dt:
            return False
        if any(rise <= _without_largest(part.rises) for part in self._seen):
            return False
        ordinary = max(self.pace.per_us * dt, self.pace.quantum)
        return 0 < DOUBTFUL_STEPS * ordinary < rise and rise > self.pace.others

    def beyond(self, rise: float, most: float) -> bool:
        """Whether a rise is more than ``most`` and a quantum."""
        if rise <= most:
            return False
        # The quantum is never more than the least rise.
        least = min((float(p.rises.min()) for p in self._seen if len(p.rises)), default=np.inf)
        return rise > most + least or bool(rise > most + self.pace.quantum)


def _without_largest(rises: Floats) -> float:
    return float(rises.sum() - rises.max(initial=0.0))


def part_of(t: Ints, v: Floats, cut: Bools, readings: Ints) -> Part:
    """The rises from each of ``readings`` (indices) to the next, but for those into a spike: what
    falls at once, or comes back later to between where it rose from and to."""
    values = v[readings]
    steps = np.diff(values)
    ordinary = (steps > 0) & ~cut[readings[1:]]
    ordinary[:-1] &= steps[1:] >= 0
    lowest = np.minimum.accumulate(values[::-1])[::-1][1:]
    ordinary &= (lowest < values[:-1]) | (lowest == values[1:])
    rising = np.flatnonzero(ordinary)
    if not len(rising):
        return Part(0.0, steps[:0])
    rates = np.sort(steps[rising] / np.diff(t[readings])[rising])
    return Part(float(rates[(len(rates) - 1) // 2]), steps[rising])


def quantum_of(rises: Floats) -> float:
    """The step of a coarse register, of which all rises are multiples; 0 where there is none."""
    if len(rises) < 2:
        return 0.0
    multiples = rises / rises.min()
    return float(rises.min()) if np.allclose(multiples, np.round(multiples), rtol=1e-6) else 0.0
