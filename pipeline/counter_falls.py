"""What a fall of a counter is: a dip, the end of a spike, a rollover or a reset."""

from __future__ import annotations

import numpy as np

from pipeline.counter_facts import Facts
from pipeline.counter_state import SETTLED_READINGS
from pipeline.pace import DOUBTFUL_STEPS, NEIGHBOURS

# Dip and spike leave a line and come back to it: the abrupt step makes up at least this much of it.
ABRUPT_RATIO = 0.5
# A fall of so little of the register is its rounding, never a new register.
JITTER_RATIO = 1e-6
# A rollover after standing still is believed so near to the modulus only.
NEAR_MODULUS_RATIO = 0.1
# Where only the number of readings tells high from low, it has to be so many times larger.
CLEARLY_MORE = 3
# Two climbs are the same to this.
ROUNDING = 1e-9
# Readings after the first one on the old level among which a dip's end is sought.
_BACK_READINGS = 64


class Falls(Facts):
    """Decisions on a reading ``k`` that is lower than the believed ``prev``. Each returns the last
    reading that is decided on."""

    def fell(self, prev: int, k: int) -> int:
        spike = self._spike_start(prev, k)
        caught_up = spike is not None and self._may_have_caught_up(spike, k)
        if spike is not None and not caught_up:
            self.discard(spike + 1, k, "counter.spike")
            return self.arrived(spike, k)
        last = self.window_end(k)
        if (end := self._low_end(prev, k + 1, last)) < last:
            if (back := self._dip_end(prev, k, end, last)) is not None:
                return self._dip_or_spike(prev, k, back)
        else:
            self.saw(last)
        if spike is not None:  # or its rise was true, and the register is another one since
            self.first = min(self.first, spike + 1)
            self.out.keep[spike + 1 : k] = False
            return self.cut_at(spike, k, "counter.fall_ambiguous")
        if self.ambiguous_rollover(prev, k):
            return self.cut_at(prev, k, "counter.rollover_ambiguous")
        if self._rolled_over(prev, k):
            assert self.modulus is not None
            self.out.add[k] = self.modulus
            self.say("counter.rollover", prev, k, 0)
            return self.arrived(prev, k)
        if (base := self._doubtful_rise(prev)) is not None:
            self.discard(base + 1, prev + 1, "counter.spike")
            return base
        climbs, end = self._climbs(prev, k)
        if climbs or self._late_and_smooth(prev, k, end):
            self.stood_before(prev, k, "counter.reset")
            return self.cut_at(prev, k, "counter.reset")
        if end == self.n:
            self.discard(k, end, "counter.fall_unsettled")
            return prev
        self.out.keep[k:end] = False
        return self.cut_at(prev, end, "counter.fall_ambiguous")

    def arrived(self, prev: int, k: int) -> int:
        """Reading ``k`` is believed and what passed since ``prev`` is known."""
        raise NotImplementedError

    def caught_up(self, k: int) -> bool:
        """Whether the step into ``k`` was believed because the register had stood still before."""
        raise NotImplementedError

    def _may_have_caught_up(self, base: int, k: int) -> bool:
        """Whether the rise after ``base`` may be true, for it had stood still: not where it is back
        at ``k`` to the very value. Then what follows is another register, if it is no dip."""
        return bool(self.v[k] > self.v[base]) and self.caught_up(self.first_kept(base + 1))

    def stood_before(self, prev: int, k: int, code: str) -> None:
        """Take note of a register that stood still before nothing may be booked into ``k``."""
        raise NotImplementedError

    def _rolled_over(self, prev: int, k: int) -> bool:
        if self.modulus is None or self.v[prev] >= self.modulus:
            return False
        step = float(self.v[k] + self.modulus - self.v[prev])
        if step <= self.most(prev, k):
            return True
        # After standing still the rated power would explain almost any reset too.
        if step > NEAR_MODULUS_RATIO * self.modulus:
            return False
        since_us = self.since_us(prev)
        still_us = self.began_us if since_us is None else since_us
        return step <= self.most_since(still_us, k) or not self.beyond_quantum(step, 0.0, prev, k)

    def _dip_or_spike(self, prev: int, k: int, back: int) -> int:
        """Low from ``k`` to before ``back``: unless it was high before for no longer than that.

        Whichever it was, what passed in all is known; when it passed is not.
        """
        base = self._last_at_most(prev, k)
        tail = self.n if base is None else int(self.out.keep[base + 1 : k].sum())
        if (
            base is None
            or tail > CLEARLY_MORE * (back - k)
            or not self.went_on(base, self.first_kept(base + 1), prev, k)
        ):
            if self._climbed_more(prev, k, back):
                self.out.keep[k:back] = False
                return self.cut_at(prev, back, "counter.fall_ambiguous")
            self.discard(k, back, "counter.dip")
            return prev
        if back - k > CLEARLY_MORE * tail:
            self.discard(base + 1, k, "counter.spike")
            return k
        self.discard(base + 1, back, "counter.spike")
        return base

    def _spike_start(self, prev: int, k: int) -> int | None:
        """The last kept reading before an abrupt rise from which ``k`` follows, or None."""
        base = self._last_at_most(prev, k)
        if base is None:
            return None
        after = self.first_kept(base + 1)
        fall, rise = self.v[prev] - self.v[k], self.v[after] - self.v[base]
        if rise < ABRUPT_RATIO * fall or not self.plausible(base, k):
            return None
        if not self.went_on(base, after, prev, k):
            return None
        pace = self.pace(base, after, prev + 1, k)
        if pace.explains(rise, self.t[after] - self.t[base]):
            return None
        near = self.v[k] - self.v[base] <= ABRUPT_RATIO * fall
        if near or pace.explains(self.v[k] - self.v[base], self.t[k] - self.t[base]):
            return base
        return None

    def went_on(self, base: int, first: int, last: int, back: int) -> bool:
        """Whether the register can have gone on unseen from ``base`` to ``back``, as it does under
        a dip or a spike: by no less than the readings ``first`` to ``last`` between climbed."""
        return self._can_have_climbed(float(self.v[last] - self.v[first]), base, back)

    def _can_have_climbed(self, climb: float, base: int, back: int) -> bool:
        rounding = ROUNDING * max(abs(self.v[base]), abs(self.v[back]))
        return bool(climb <= self.v[back] - self.v[base] + rounding)

    def _climbed_more(self, prev: int, k: int, back: int) -> bool:
        """Whether the low readings climbed like a register, and by more than from ``prev`` to
        ``back``: a reset and a jump back then explain them as well as a dip.

        Such a register may have dipped itself: what climbs between two odd steps counts where it is
        `SETTLED_READINGS` long.
        """
        level = self.v[prev]
        low = k + np.flatnonzero(self.v[k:back] < level)
        if level - self.v[low].min() <= JITTER_RATIO * abs(level):
            return False
        runs = np.split(low, np.flatnonzero(self.odd[low[1:]] | (np.diff(low) > 1)) + 1)
        climbs = [
            float(self.v[run[-1]] - self.v[run[0]])
            for run in runs
            if len(run) >= SETTLED_READINGS or len(runs) == 1
        ]
        return not self._can_have_climbed(sum(climbs), prev, back)

    def _last_at_most(self, prev: int, k: int) -> int | None:
        """The last kept reading before ``prev`` on the same line that is not above ``k``'s."""
        start = self._line_start(prev, k)
        under = np.flatnonzero(self.out.keep[start:prev] & (self.v[start:prev] <= self.v[k]))
        return start + int(under[-1]) if len(under) else None

    def _line_start(self, prev: int, k: int) -> int:
        """The first reading before ``k`` that a spike up to ``prev`` may have left from."""
        start = int(np.searchsorted(self.t, self.t[k] - self.limits.window_us))
        start = max(self.view, min(start, k - 1 - SETTLED_READINGS))
        steps = slice(start + 1, prev + 1)
        turns = np.flatnonzero(self.out.cut[steps] | (self.out.add[steps] != 0))
        return start + (int(turns[-1]) + 1 if len(turns) else 0)

    def _doubtful_rise(self, prev: int) -> int | None:
        """The last kept reading before a rise that nobody would believe but for want of a power.

        What came after such a rise and then fell, and neither fits the line before, is no register.
        """
        if self.rate is not None:
            return None
        start = self._line_start(prev, prev + 1)
        line = np.flatnonzero(self.out.keep[start : prev + 1]) + start
        rises = np.diff(self.v[line])
        if not (rises > 0).any():
            return None
        highest = int(rises.argmax())
        base, after = int(line[highest]), int(line[highest + 1])
        pace = self.pace(base, after, prev + 1, None).pace
        ordinary = max(pace.per_us * (self.t[after] - self.t[base]), pace.quantum)
        return base if 0 < DOUBTFUL_STEPS * ordinary < rises[highest] else None

    # Back on the old level

    def _low_end(self, prev: int, start: int, stop: int) -> int:
        """The reading that is on the level of ``prev`` again, and not alone; ``stop`` for none."""
        level, at = self.v[prev], start
        while (at := self.first_at_least(level, at, stop)) < stop:
            if self._holds(at, level):
                break
            at += 1
        return at

    def _holds(self, m: int, level: float) -> bool:
        """Whether what follows ``m`` bears out its level; nothing that follows denies nothing."""
        following = slice(m + 1, m + 1 + SETTLED_READINGS)
        self.saw(m + SETTLED_READINGS)
        values = self.v[following]
        if not len(values) or (values >= level).any():
            return True
        if self.modulus is None or self.rate is None:
            return False
        rolled = values + self.modulus - self.v[m]
        return bool((rolled <= self.rate * (self.t[following] - self.t[m])).any())

    def _dip_end(self, prev: int, k: int, end: int, last: int) -> int | None:
        """The reading that is back on the old line by an abrupt rise, or None.

        ``end``: the first one on the old level, before ``last``, the first that no dip can reach.
        """
        level, low = self.v[prev], self.v[k:end].min()
        drop = level - low
        pace = self.pace(prev, k, end, end)
        stop = min(last, end + _BACK_READINGS)
        backs = np.flatnonzero(self.v[end:stop] >= level)[:SETTLED_READINGS] + end
        for m in backs:
            self.saw(int(m))
            net, rise = self.v[m] - level, self.v[m] - self.v[end - 1]
            if not self.plausible(prev, m) or not self._holds(m, level):
                continue
            if drop <= JITTER_RATIO * abs(level):
                return int(m)
            if rise < ABRUPT_RATIO * drop:
                continue
            near = net <= ABRUPT_RATIO * drop or pace.explains(net, self.t[m] - self.t[prev])
            # A new register that climbs this high would need more than rated power; where none is
            # known, more than the pace of the readings around.
            if near and (
                pace.beyond(float(self.v[m] - low), self.most(prev, m))
                if self.rate is not None
                else not pace.explains(rise, self.t[m] - self.t[end - 1])
            ):
                return int(m)
        if len(backs) < SETTLED_READINGS:
            self.saw(stop)
        return None

    # A new register

    def _climbs(self, prev: int, k: int) -> tuple[bool, int]:
        """Whether readings from ``k`` on hold a regular run that climbs, before any that is on the
        old level again; and which that is (not sought beyond the climb)."""
        start, stop, size = k, k + 1, NEIGHBOURS
        while stop < self.n:
            searched, stop = stop, min(stop + size, self.n)
            end = self._low_end(prev, searched, stop)
            whole = end < stop or end == self.n
            if (climb := self._first_climb(start, end, whole)) is not None:
                self.saw(climb + SETTLED_READINGS)
                return True, end
            if whole:
                self.saw(end)
                return False, end
            start, size = max(k, stop - SETTLED_READINGS), size * 4
        self.saw(self.n)
        return False, self.n

    def _first_climb(self, start: int, end: int, whole: bool) -> int | None:
        """Where a run of three begins that climbs; without what follows ``end`` unless ``whole``"""
        v, odd = self.v[start:end], self.odd[start:end]
        climbing = (v[2:] > v[:-2]) & ~odd[2:] & ~odd[1:-1]
        # A blip that falls at once is no climb.
        climbing[:-1] &= v[3:] >= v[2:-1]
        found = np.flatnonzero(climbing[: None if whole else -1])
        return start + int(found[0]) if len(found) else None

    def _late_and_smooth(self, prev: int, k: int, end: int) -> bool:
        """Back on the old level, but later than a dip may last and by an ordinary step."""
        if end == self.n or self.t[end] - self.t[k] <= self.limits.window_us:
            return False
        rise = self.v[end] - self.v[end - 1]
        return self.pace(prev, k, end, end).explains(rise, self.t[end] - self.t[end - 1])
