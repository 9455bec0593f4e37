"""What a rise of a counter is: a spike, a jump, or the catch-up of a register that stood still."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pipeline.counter_facts import AS_LONG_RATIO, FROZEN_RISES, FROZEN_STILLS
from pipeline.counter_falls import ABRUPT_RATIO, Falls
from pipeline.counter_state import FROZEN, SETTLED_READINGS, STEPPED, last_other
from pipeline.pace import DOUBTFUL_STEPS, NEIGHBOURS, Floats, Ints, quantum_of

# Times between changes, seen before a register stood still, that tell what is usual.
_USUAL_STILLS = 8


class _Usual(NamedTuple):
    """The median time between two changes, the least rise, the step of a coarse register, whether
    it stood as long another time, and whether nothing else is known of it."""

    still_us: float
    least: float
    quantum: float
    again: bool
    alone: bool

    def own(self, rise: float, most: float) -> bool:
        """Whether a rise by more than ``most`` is the ordinary step of a coarse register."""
        return self.again and rise <= most + self.quantum


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
        if self._rise_is_doubtful(prev, k):
            return self._rose_too_fast(prev, k)
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
            self.stood_before(prev, k, "counter.jump")
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
        # Without a rated power nobody can say what is possible: it is back down, or it is not.
        high = self.v[k]
        most = high if self.rate is not None else high - ABRUPT_RATIO * (high - self.v[prev])
        backs = np.flatnonzero((ahead < high) & (ahead <= most) & (ahead >= self.v[prev])) + k + 1
        for m in backs[:SETTLED_READINGS]:
            self.saw(m + SETTLED_READINGS)
            following = self.v[m + 1 : m + 1 + SETTLED_READINGS]
            stays = not len(following) or bool((following < self.v[k]).any())
            if stays and self.plausible(prev, m) and self._went_on_through(prev, k, m):
                return int(m)
        if len(backs) < SETTLED_READINGS:
            self.saw(last)
        return None

    def _went_on_through(self, prev: int, k: int, back: int) -> bool:
        """`went_on` for each run of readings from ``k`` to before ``back`` that does not fall: a
        register that was replaced may have rolled over since."""
        begins = np.append(k, k + 1 + np.flatnonzero(np.diff(self.v[k:back]) < 0))
        ends = np.append(begins[1:], back) - 1
        longest = int((self.v[ends] - self.v[begins]).argmax())
        return self.went_on(prev, int(begins[longest]), int(ends[longest]), back)

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

    def _rise_is_doubtful(self, prev: int, k: int) -> bool:
        """A rise that nobody would believe but for want of a power, while the meter was watched.

        As with rated power, it had the time since the value last changed.
        """
        if self.rate is not None or not (self.steep[k] or k - 1 > prev):
            return False
        if self.t[k] - self.t[prev] > self.limits.max_gap_us:
            return False
        rise, still_us = float(self.v[k] - self.v[prev]), int(self.t[k]) - self._began(prev)[1]
        return self.pace(prev, k, k, k).doubts(rise, still_us)

    # Standing still

    def arrived(self, prev: int, k: int) -> int:
        """A step that rated power allows only because the register had stood still before.

        What passed then is known, and when it passed is not: the readings that stood still are
        to be discarded, so that the step is a gap over all that time. But for a coarse register
        whose own step it is.
        """
        rise = float(self.v[k] - self.v[prev] + self.out.add[k])
        if self.rate is None or rise <= self.most(prev, k):
            return k
        began, began_us = self._began(prev)
        still_us = int(self.t[k]) - began_us
        if began == prev and still_us <= self.limits.max_gap_us:
            return k
        usual = self._usual(began, k, still_us, rise)
        if rise <= FROZEN_RISES * usual.least:
            return k
        frozen = still_us > max(self.limits.max_gap_us, FROZEN_STILLS * usual.still_us)
        if frozen or (began != prev and not usual.own(rise, self.most(prev, k))):
            if began < 0:
                self.out.reached_back = True
            self.first = min(self.first, began + 1)
            self.out.frozen[k] = began, FROZEN if frozen else STEPPED
        return k

    def caught_up(self, k: int) -> bool:
        earlier = () if self.state is None else self.state.frozen
        return k in self.out.frozen or any(k_us == self.t[k] for _, k_us in earlier)

    def stood_before(self, prev: int, k: int, code: str) -> None:
        """A register that fell, or jumped, after standing still may have been frozen: what passed
        meanwhile is not known either, so that the readings that stood still are to be discarded."""
        if self.rate is None:
            return
        began, began_us = self._began(prev)
        still_us = int(self.t[k]) - began_us
        if began == prev:
            return
        usual = self._usual(began, k, still_us, np.inf)
        # Where nothing else ever rose, a jump may be the first step of a very coarse register.
        first = usual.alone and self.v[k] > self.v[prev]
        if first or still_us > max(self.limits.max_gap_us, FROZEN_STILLS * usual.still_us):
            if began < 0:
                self.out.reached_back = True
            self.first = min(self.first, began + 1)
            self.out.frozen[k] = began, code

    def _began(self, prev: int) -> tuple[int, int]:
        """The first believed reading of the value that ``prev`` shows (-1: before all), and when"""
        other = last_other(self.out.keep, self.out.cut, self.v, prev)
        if other < 0:
            first = self.first_kept(0)
            return (first if self.t[first] == self.began_us else -1), self.began_us
        first = self.first_kept(other + 1)
        return first, int(self.t[first])

    def _usual(self, began: int, k: int, still_us: int, rise: float) -> _Usual:
        """What is usual around a register that stood from ``began`` to ``k``."""
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
        rises = np.concatenate([self._rises(before), [rise], self._rises(after)])
        return _Usual(
            float(np.sort(stills)[(len(stills) - 1) // 2]),
            float(rises.min()),
            quantum_of(rises),
            int((stills >= AS_LONG_RATIO * still_us).sum()) > 1,
            len(stills) == 1,
        )

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
        for k, (first, code) in list(self.out.frozen.items()):
            if not keep[k]:
                del self.out.frozen[k]
                continue
            still = np.flatnonzero(keep[first + 1 : k]) + first + 1
            stood.append(still)
            if self.out.cut[k]:
                continue  # has its code and its event
            self.out.codes[k] = self._gap_code(code, np.array([first, *still, k]))
            self.at = k
            self.say(code, first, k, len(still))
        if stood:
            self.out.stood = np.unique(np.concatenate(stood)).tolist()
            keep[self.out.stood] = False

    def _gap_code(self, code: str, readings: Ints) -> str:
        """Of a step over ``readings`` that stood still: watched all the time, or not."""
        if code == FROZEN:
            return FROZEN
        watched = np.diff(self.t[readings]).max() <= self.limits.max_gap_us
        return "counter.sparse" if watched else "counter.gap"
