"""A counter as a state machine: which readings to believe, and where nothing may be booked.

One meter's readings come sorted by time, each time once. Regular steps (not falling, not faster
than the rated power allows) are passed over at array speed; only irregular ones are looked at:

    falls, and jumps back to the old level            dip       the low readings are discarded
    fell back to where it was before an abrupt rise   spike     the high readings are discarded
    falls near the modulus, plausible step            rollover  the modulus is added
    falls, stays low and climbs                       reset     nothing is booked across it
    falls, and is back too late or too smoothly       ambiguous nothing is booked across it
    rises faster than rated power or, for want of
    one, than all around it, and stays                jump      nothing is booked across it
    none of these yet                                 unsettled held back until more is read
    stands still, then catches up in one step         frozen    booked over the time it stood still
    the same, but no longer than it often stands      stepped   likewise, and covered

Four worked cases. 100, 0, 101: the 0 is a dip, one unit is booked. 100, 0, 1, 2: a reset, two units
are booked after it and none across it. 5, 0, 3, 6, 9: a dip or a reset, nobody can say; three units
are booked after it. 100, 0, 0, 0: held back, for as long as it takes.
"""

from __future__ import annotations

from pipeline.counter_rises import Rises
from pipeline.counter_state import Event, Limits, State, Walk, state_at
from pipeline.pace import NEIGHBOURS, Bools, Floats, Ints

__all__ = ["Bools", "Event", "Floats", "Ints", "State", "Walk", "state_at", "walk"]


def walk(
    t: Ints,
    v: Floats,
    *,
    window_us: int,
    max_gap_us: int,
    modulus: float | None = None,
    rate_per_us: float | None = None,
    lookback_us: int | None = None,
    state: State | None = None,
) -> Walk:
    """Walk over one counter's readings.

    ``t`` microseconds, strictly rising; ``v`` values in the counter's unit, finite; ``window_us``
    how long a dip or spike may last; ``max_gap_us`` how far apart readings are when the meter was
    not watched; ``rate_per_us`` the fastest believable rate, without which a ``modulus`` is of no
    use; ``lookback_us`` how much farther back than the window a decision looks (by default about
    256 times the usual distance of readings). The first reading is the baseline. Pure; the inputs
    are not changed.

    With a ``state`` (`state_at`) the walk goes on where an earlier one had come to: the readings
    are all from ``state.start_us`` on, and the outcome is to the last bit that of a walk over the
    whole history, unless it says ``reached_back``. ``events`` are those of the decisions made now.
    """
    if lookback_us is None:
        lookback_us = NEIGHBOURS * max_gap_us // 3
    limits = Limits(window_us, max_gap_us, lookback_us, modulus, rate_per_us)
    return _Machine(t, v, limits, state).run()


class _Machine(Rises):
    def run(self) -> Walk:
        keep = self.out.keep
        prev = 0 if self.state is None or self.out.reached_back else self._last_decided()
        while not self.out.reached_back and (k := self._next_to_look_at(prev)) < self.n:
            if keep[k - 1] and k - 1 > prev:
                prev = k - 1  # by regular steps
            self.begin(prev, k)
            prev = self.fell(prev, k) if self.v[k] < self.v[prev] else self.rose(prev, k)
            self.end()
        if not self.out.reached_back:
            self.discard_frozen()
        return self.out

    def _last_decided(self) -> int:
        assert self.state is not None
        return int(self.out.keep[: self.state.readings].nonzero()[0][-1])

    def _next_to_look_at(self, prev: int) -> int:
        """The next reading after ``prev`` whose step is irregular; n where there is none."""
        k = prev + 1
        if k < self.n and not self.out.keep[k]:
            # Readings between were discarded: the step over them is a new one.
            return self.first_kept(k)
        at = int(self.irregular.searchsorted(k))
        return int(self.irregular[at]) if at < len(self.irregular) else self.n
