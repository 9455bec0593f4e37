"""How fast a counter usually climbs around a place where something is wrong."""

from __future__ import annotations

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


class Pace(NamedTuple):
    """The usual rate and the smallest rise around; both 0 where nothing rises."""

    per_us: float
    quantum: float

    def explains(self, rise: float, dt: float) -> bool:
        """Whether a rise over ``dt`` microseconds is an ordinary one.

        One step of a coarse register is, however soon it comes.
        """
        return bool(rise <= max(ORDINARY_PACES * self.per_us * dt, self.quantum))


def pace_of(
    t: Ints, v: Floats, keep: Bools, cut: Bools, before: int, low: int, low_end: int, after: int
) -> Pace:
    """Pace of the believed readings up to ``before``, of ``low`` to before ``low_end``, and of what
    follows ``after`` on its level or above.

    Of each of the three the median of its rises; of the medians the fastest: what any of the three
    does is ordinary.
    """
    earlier = np.arange(max(0, before + 1 - NEIGHBOURS), before + 1)
    earlier = earlier[keep[earlier]]
    between = np.arange(low, min(low_end, low + NEIGHBOURS))
    later = np.arange(after, min(after + NEIGHBOURS, len(v)))
    later = later[v[later] >= v[after]]
    usual, quanta = [0.0], []
    for part in (earlier, between, later):
        steps = np.diff(v[part])
        rising = np.flatnonzero((steps > 0) & ~cut[part[1:]])
        if len(rising):
            rates = np.sort(steps[rising] / np.diff(t[part])[rising])
            usual.append(float(rates[(len(rates) - 1) // 2]))
            quanta.append(float(steps[rising].min()))
    return Pace(max(usual), min(quanta, default=0.0))
