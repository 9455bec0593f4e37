"""What a rise of a counter is: a spike, a jump, or the catch-up of a register that stood still."""

from __future__ import annotations

import numpy as np

from pipeline.counter_facts import FROZEN_RISES, FROZEN_STILLS
from pipeline.counter_falls import DOUBTFUL_STEPS, Falls
from pipeline.counter_state import FROZEN, SETTLED_READINGS, last_other
from pipeline.pace import NEIGHBOURS, Floats, Ints

# Times between changes, seen before a register stood still, that tell what is usual.
_USUAL_STILLS = 8


class Rises(Falls):
    """Decisions on a reading ``k`` that is not lower than the believed ``prev``. Each returns the
    last reading that is decided on."""

    def rose(self, prev: int, k: int) -> int:
        if self.odd[k] or k - 1 > prev:
            if self.ambiguous_rollover(prev, k):
                return self.cut_at(prev, k, "counter.rollover_ambiguous")
            if not self.plausible(prev, k):
                return self._rose_too_fast(prev, k)
        if self._first_rise_is_doubtful(prev, k):
            return self.cut_at(prev, k, "counter.jump")
        return self.arrived(prev, k)

    def _rose_too_fast(self, prev: int, k: int) -> int:
        settled = k + SETTLED_READINGS
        if (back := self._spike_end(prev, k)) is not None:
            self.discard(k, back, "counter.spike")
        elif self._any_odd(k + 1, settled):
            self.discard(k, k + 1, "counter.spike")
        elif settled > self.n:
            self.saw(self.n)
            self.discard(k, self.n, "counter.rise_unsettled")
        else:
            return self.cut_at(prev, k, "counter.jump")
        return prev

    def _any_odd(self, start: int, stop: int) -> bool:
        """Whether one of the steps is irregular."""
        odd = np.flatnonzero(self.odd[start:stop])
        self.saw(start + int(odd[0]) if len(odd) else stop - 1)
        return len(odd) > 0

    def _spike_end(self, prev: int, k: int) -> int | None:
        """The reading that is back on the line of ``prev``, or None."""
        last = self.window_end(k)
        ahead = self.v[k + 1 : last]
        backs = np.flatnonzero((ahead < self.v[k]) & (ahead >= self.v[prev])) + k + 1
        for m in backs[:SETTLED_READINGS]:
            self.saw(m + SETTLED_READINGS)
            following = self.v[m + 1 : m + 1 + SETTLED_READINGS]
            stays = not len(following) or bool((following < self.v[k]).any())
            if stays and self.plausible(prev, m):
                return int(m)
        if len(backs) < SETTLED_READINGS:
            self.saw(last)
        return None

    def _first_rise_is_doubtful(self, prev: int, k: int) -> bool:
        """A first reading of exactly 0 before the lifetime register, where no power bounds it."""
        if self.rate is not None or self.v[prev] != 0 or self.v[k] <= 0:
            return False
        if self.since_us(prev) is not None or self._any_odd(k, k + SETTLED_READINGS):
            return False
        if k + SETTLED_READINGS > self.n:
            self.saw(self.n)
            return False
        pace = self.pace(prev, k, k, k).pace
        ordinary = max(pace.per_us * (self.t[k] - self.t[prev]), pace.quantum)
        return bool(self.v[k] > DOUBTFUL_STEPS * ordinary)

    # Standing still

    def arrived(self, prev: int, k: int) -> int:
        """A step that rated power allows only because the register had stood still before.

        What passed then is known, and when it passed is not: the readings that stood still are
        to be discarded, so that the step is a gap over all that time.
        """
        rise = float(self.v[k] - self.v[prev] + self.out.add[k])
        if self.rate is None or rise <= self.most(prev, k):
            return k
        began, began_us = self._began(prev)
        still_us = int(self.t[k]) - began_us
        if still_us <= self.limits.max_gap_us:
            return k
        usual_us, least = self._usual(began, k, still_us, rise)
        if still_us > FROZEN_STILLS * usual_us and rise > FROZEN_RISES * least:
            if began < 0:
                self.out.reached_back = True
            self.first = min(self.first, began + 1)
            self.out.frozen[k] = began
        return k

    def _began(self, prev: int) -> tuple[int, int]:
        """The first believed reading of the value that ``prev`` shows (-1: before all), and when"""
        other = last_other(self.out.keep, self.out.cut, self.v, prev)
        if other < 0:
            first = self.first_kept(0)
            return (first if self.t[first] == self.began_us else -1), self.began_us
        first = self.first_kept(other + 1)
        return first, int(self.t[first])

    def _usual(self, began: int, k: int, still_us: int, rise: float) -> tuple[float, float]:
        """Around a register that stood from ``began`` to ``k``: the median time between two
        changes, and the least rise."""
        changes = self._changes(max(self.view, 0), began)
        keep, cut = self.out.keep, self.out.cut
        good = keep[changes] & keep[changes + 1] & ~cut[changes + 1]
        before = changes[good & (self.v[changes + 1] > self.v[changes])][-NEIGHBOURS:]
        after = before[:0]
        if len(before) <= _USUAL_STILLS:
            self.saw(k + NEIGHBOURS)
            after = self._changes(k, min(k + NEIGHBOURS, self.n - 1))
            after = after[self.v[after + 1] > self.v[after]]
        stills = np.concatenate(
            [
                np.diff(self.t[before + 1]),
                [still_us],
                np.diff(self.t[np.append(k, after + 1)]),
            ]
        )
        rises = np.append(self._rises(before), self._rises(after))
        usual = np.sort(stills)[(len(stills) - 1) // 2]
        return float(usual), float(min(rise, rises.min(initial=rise)))

    def _changes(self, first: int, last: int) -> Ints:
        """Readings from ``first`` on, up to before ``last``, after which the value changed."""
        if last <= first:
            return np.arange(0)
        return np.flatnonzero(np.diff(self.v[first : last + 1])) + first

    def _rises(self, changes: Ints) -> Floats:
        return self.v[changes + 1] - self.v[changes]

    def discard_frozen(self) -> None:
        """Discard the readings that stood still, where the catch-up is believed in the end."""
        keep, stood = self.out.keep, []
        if self.state is not None:
            for began_us, k_us in self.state.frozen:
                first, k = np.searchsorted(self.t, (began_us, k_us))
                if not keep[k]:
                    self.out.reached_back = True  # an event of the earlier walk is void
                first -= bool(began_us < self.t[0])
                stood.append(np.flatnonzero(keep[first + 1 : k]) + first + 1)
        for k, first in list(self.out.frozen.items()):
            if not keep[k]:
                del self.out.frozen[k]
                continue
            still = np.flatnonzero(keep[first + 1 : k]) + first + 1
            stood.append(still)
            self.out.codes[k] = FROZEN
            self.at = k
            self.say(FROZEN, first, k, len(still))
        if stood:
            self.out.stood = np.unique(np.concatenate(stood)).tolist()
            keep[self.out.stood] = False
