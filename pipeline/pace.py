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
    """The usual rate and the quantum around; both 0 where nothing rises."""

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
    follows ``after`` (the number of readings where nothing shall) on its level or above.

    Of each of the three the median of its rises; of the medians the fastest: what any of the three
    does is ordinary.
    """
    earlier = np.arange(max(0, before + 1 - NEIGHBOURS), before + 1)
    earlier = earlier[keep[earlier]]
    between = np.arange(low, min(low_end, low + NEIGHBOURS))
    later = np.arange(after, min(after + NEIGHBOURS, len(v)))
    later = later[v[later] >= v[later[:1]]]
    usual, rises = [0.0], []
    for part in (earlier, between, later):
        steps = np.diff(v[part])
        ordinary = (steps > 0) & ~cut[part[1:]]
        ordinary[:-1] &= steps[1:] >= 0  # what falls at once was a spike
        rising = np.flatnonzero(ordinary)
        if len(rising):
            rates = np.sort(steps[rising] / np.diff(t[part])[rising])
            usual.append(float(rates[(len(rates) - 1) // 2]))
            rises.append(steps[rising])
    return Pace(max(usual), quantum_of(np.concatenate(rises)) if rises else 0.0)


def quantum_of(rises: Floats) -> float:
    """The step of a coarse register, of which all rises are multiples; 0 where there is none."""
    if len(rises) < 2:
        return 0.0
    multiples = rises / rises.min()
    return float(rises.min()) if np.allclose(multiples, np.round(multiples), rtol=1e-6) else 0.0
