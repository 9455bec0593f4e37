"""One counter's readings as a walk knows them: what is believed so far, and what is possible.

A decision looks back to the window and a stretch before the last believed reading, and no farther
(but for when the value last changed), and keeps account of how far ahead it has looked.
"""

from __future__ import annotations

import numpy as np

from pipeline.counter_state import SETTLED_READINGS, Event, Limits, State, Walk, last_other
from pipeline.pace import (
    NEIGHBOURS,
    Bools,
    Floats,
    Ints,
    Part,
    Surroundings,
    part_of,
    quantum_of,
)

# Frozen stands still so many times longer than the counter usually does between two changes.
FROZEN_STILLS = 3
# A catch-up is so many times the least rise.
FROZEN_RISES = 1.5
# A catch-up is told from the ordinary step of a register by so many changes before it.
_CHANGES_BEFORE = 4
_FALLS_BEFORE = 2
# It stood as long before, to this; readings come with jitter.
AS_LONG_RATIO = 0.75
# A steep rise is more than so many changes before it together, and so many times one of the last 2.
_CHANGES_BEFORE_STEEP = 8
_STEEP_RISES = 8


class Facts:
    """State of a walk; ``view`` is the first reading that the decision at hand may look at."""

    def __init__(self, t: Ints, v: Floats, limits: Limits, state: State | None) -> None:
        self.t, self.v, self.n = t, v, len(v)
        self.limits = limits
        # Without a rated power nobody can say how often a counter rolled over.
        self.modulus = None if limits.rate_per_us is None else limits.modulus
        # a hair for rounding
        self.rate = None if limits.rate_per_us is None else limits.rate_per_us * (1 + 1e-9)
        self.out = Walk(
            np.ones(self.n, np.bool_), np.zeros(self.n), np.zeros(self.n, np.bool_), limits, state
        )
        self.state = state
        self.start_us: int | None = None
        self.other_us: int | None = None
        self.began_us = self.changed_us = int(t[0]) if self.n else 0
        if state is not None and state.past is not None:
            self.start_us = state.start_us
            self.other_us, self.began_us, self.changed_us = state.past
        self.view = self.at = self.first = self.last = 0
        if state is not None:
            self._take_over(state)
        self.odd = np.zeros(self.n, np.bool_)
        self.steep = self.odd
        self.irregular = self._find_irregular()

    def _take_over(self, state: State) -> None:
        """What was decided on the readings that are looked at again."""
        if np.searchsorted(self.t, state.until_us, side="right") != state.readings:
            self.out.reached_back = True  # other readings than those that were decided on
            return
        for first_us, last_us in state.gone:
            first, last = np.searchsorted(self.t, (first_us, last_us))
            self.out.keep[first : last + 1] = False
        for us, add, cut, code in state.steps:
            k = int(np.searchsorted(self.t, us))
            self.out.add[k], self.out.cut[k] = add, cut
            if code is not None:
                self.out.codes[k] = code

    # Which steps need a look

    def _find_irregular(self) -> Ints:
        """Readings entered by a step that needs a look; ``odd`` marks those that are not regular,
        the others may be regular ones into which nothing else is wrong than their time."""
        steps = np.diff(self.v)
        np.less(steps, 0, out=self.odd[1:])
        if self.rate is None:
            return self._with_doubtful(steps)
        most = self.rate * np.diff(self.t)
        fast = np.flatnonzero(steps > most)
        caught_up = fast
        if len(fast):
            changes = np.flatnonzero(steps)
            before = np.searchsorted(changes, fast) - 1
            since = np.where(before >= 0, self.t[changes[before]], self.changed_us)
            still = self.t[fast + 1] - since
            allowed = steps[fast] <= self.rate * still
            self.odd[fast[~allowed] + 1] = True
            steps_of = fast[allowed], before[allowed], still[allowed]
            caught_up = fast[allowed][self._stood(steps, changes, *steps_of)]
        if self.modulus is not None:
            self.odd[1:] |= most >= self.modulus
        odd = np.flatnonzero(self.odd)
        return np.union1d(odd, caught_up + 1) if len(caught_up) else odd

    def _with_doubtful(self, steps: Floats) -> Ints:
        """Without a rated power: falls, rises from a first 0, and steep rises (``steep``)."""
        self.steep = np.zeros(self.n, np.bool_)
        steep = self._find_steep(steps)
        self.steep[steep] = True
        odd = np.union1d(np.flatnonzero(self.odd), steep)
        kept = np.flatnonzero(self.out.keep[:1] if self.state is None else self.out.keep)[:1]
        if self.other_us is not None or not len(kept) or self.v[kept[0]] != 0:
            return odd
        return np.union1d(odd, np.flatnonzero((steps > 0) & (self.v[:-1] == 0)) + 1)

    def _find_steep(self, steps: Floats) -> Ints:
        """Readings entered, while the meter was watched, by a rise of more than the eight changes
        before it together.

        Of these only those in view count, and since the last fall; and not the largest, which may
        be as doubtful itself.
        """
        changes = np.flatnonzero(steps)
        rises, at_us = steps[changes], self.t[changes]
        may = rises > 0
        may[2:] &= (rises[2:] > _STEEP_RISES * np.minimum(rises[1:-1], rises[:-2])) | (
            at_us[2:] - at_us[:-2] > self._view_us
        )
        which = np.flatnonzero(may)
        apart_us = self.t[changes[which] + 1] - at_us[which]
        which = which[apart_us <= self.limits.max_gap_us]
        together, largest = np.zeros((2, len(which)))
        seen = np.ones(len(which), np.bool_)
        for back in range(1, _CHANGES_BEFORE_STEEP + 1):
            at = np.maximum(which - back, 0)
            seen &= (which >= back) & (at_us[which] - at_us[at] <= self._view_us) & (rises[at] > 0)
            before = np.where(seen, rises[at], 0.0)
            together += before
            np.maximum(largest, before, out=largest)
        found: Ints = changes[which[rises[which] > together - largest]] + 1
        return found

    def _stood(self, steps: Floats, changes: Ints, fast: Ints, before: Ints, still: Ints) -> Bools:
        """Which of the steps ``fast`` may be a catch-up.

        ``before``: the change before each of them; ``still``: how long ago that was. The last four
        changes in view say what is nothing new: the shortest time between two, the least rise, and
        whether the step is a coarse register's own; a fall among the last two says that the
        register may have stood longer than it seems.
        """
        at = before - np.arange(_CHANGES_BEFORE + 1)[:, None]
        there = np.maximum(at, 0)
        seen = (at >= 0) & (self.t[changes[there]] >= self.t[fast] - self._view_us)
        step = steps[changes[there]]
        rises = np.where(seen & (step > 0), step, np.inf)
        ended = self.t[changes + 1]
        stills = np.where(seen[1:], ended[there[:-1]] - ended[there[1:]], np.inf)
        shortest: Floats = stills.min(axis=0)
        least: Floats = rises.min(axis=0)
        shortest[shortest == np.inf], least[least == np.inf] = 0.0, 0.0
        few = ~seen.all(axis=0)
        fell = (seen & (step < 0))[:_FALLS_BEFORE].any(axis=0)
        long = still > np.maximum(self.limits.max_gap_us, FROZEN_STILLS * shortest)
        rise, most = steps[fast], self._most_of(fast)
        again = (np.isfinite(stills) & (stills >= AS_LONG_RATIO * still)).any(axis=0)
        own = again & (rise <= most + least) & _are_multiples(np.vstack([rises, rise]), least)
        stood = fast > np.where(before >= 0, changes[np.maximum(before, 0)] + 1, -1)
        may: Bools = (long | fell | (stood & ~own)) & (few | (rise > FROZEN_RISES * least))
        return may

    def _most_of(self, steps: Ints) -> Floats:
        assert self.rate is not None
        apart_us = (self.t[steps + 1] - self.t[steps]).astype(np.float64)
        return apart_us * self.rate

    # What a decision looks at

    @property
    def _view_us(self) -> int:
        return self.limits.window_us + self.limits.lookback_us

    def begin(self, prev: int, k: int) -> None:
        """Begin to decide on reading ``k`` after the believed ``prev``."""
        view_us = int(self.t[prev]) - self._view_us
        if self.start_us is not None and view_us < self.start_us:
            self.out.reached_back = True
        self.view = int(np.searchsorted(self.t, view_us))
        self.at = self.first = self.last = k

    def end(self) -> None:
        if self.last > self.first:
            self.out.ranges.append((self.first, min(self.last, self.n)))

    def saw(self, last: int) -> None:
        """The decision depends on readings up to ``last``, or up to the end if it comes sooner."""
        self.last = max(self.last, last)

    def window_end(self, k: int) -> int:
        """The first reading that a dip or spike from ``k`` on cannot reach."""
        last = int(np.searchsorted(self.t, self.t[k] + self.limits.window_us, side="right"))
        return max(last, min(k + 1 + SETTLED_READINGS, self.n))

    # What is possible

    def most(self, first: int, last: int) -> float:
        """The most that rated power allows between two readings."""
        return self.most_since(int(self.t[first]), last)

    def most_since(self, since_us: int, last: int) -> float:
        if self.rate is None:
            return float("inf")
        return float(self.rate * (int(self.t[last]) - since_us))

    def since_us(self, a: int) -> int | None:
        """The last believed reading before ``a`` that shows another value, or another register."""
        other = last_other(self.out.keep, self.out.cut, self.v, a)
        return int(self.t[other]) if other >= 0 else self.other_us

    def plausible(self, a: int, b: int) -> bool:
        """Whether the counter can have moved from reading ``a`` to ``b``.

        A register shows what passed since its value last changed, and it changed at some time after
        the last reading that was different. So a coarse register may step sooner than the time
        since the reading before allows, and a frozen one may catch up. One step of a coarse
        register can come at any time: the first one, and one after a change that came late.
        """
        step = float(self.v[b] - self.v[a])
        if step < 0:
            return False
        if step <= self.most(a, b):
            return True
        since_us = self.since_us(a)
        most = self.most_since(self.began_us if since_us is None else since_us, b)
        return not self.beyond_quantum(step, most, a, b)

    def beyond_quantum(self, step: float, most: float, a: int, b: int) -> bool:
        """Whether a step is more than ``most`` and a quantum of the rises around ``a`` and ``b``"""
        if step <= most:
            return False
        start = max(self.view, a + 1 - NEIGHBOURS)
        steps = np.diff(self.v[start : b + 1 + NEIGHBOURS])
        rises = steps[: b - start]
        rises = rises[rises > 0]
        if len(rises) and step > most + float(rises.min()):
            return True
        self.saw(b + NEIGHBOURS)
        return step > most + quantum_of(steps[steps > 0])

    def ambiguous_rollover(self, prev: int, k: int) -> bool:
        return self.modulus is not None and self.most(prev, k) >= self.modulus

    def pace(self, before: int, low: int, low_end: int, after: int | None) -> Surroundings:
        """Pace of the believed readings up to ``before``, of ``low`` to before ``low_end``, and of
        what follows ``after`` (where anything shall) on its level or above."""
        earlier = np.arange(max(self.view, before + 1 - NEIGHBOURS), before + 1)
        earlier = earlier[self.out.keep[earlier]]
        between = np.arange(low, min(low_end, low + NEIGHBOURS))
        return Surroundings(
            [self._part(earlier), self._part(between)], lambda: self._part(self._ahead(after))
        )

    def _ahead(self, after: int | None) -> Ints:
        if after is None:
            return np.arange(0)
        self.saw(after + NEIGHBOURS - 1)
        later = np.arange(after, min(after + NEIGHBOURS, self.n))
        return later[self.v[later] >= self.v[later[:1]]]

    def _part(self, readings: Ints) -> Part:
        return part_of(self.t, self.v, self.out.cut, readings)

    # Searches

    def first_kept(self, start: int) -> int:
        """The first believed reading from ``start`` on; n where there is none."""
        size = 256
        while start < self.n:
            found = self.out.keep[start : start + size]
            if found.any():
                return start + int(found.argmax())
            start, size = start + size, size * 4
        return self.n

    def first_at_least(self, level: float, start: int, stop: int) -> int:
        """The first reading from ``start`` on that is not below the level; ``stop`` for none."""
        size = 256
        while start < stop:
            found = self.v[start : min(start + size, stop)] >= level
            if found.any():
                return start + int(found.argmax())
            start, size = start + size, size * 4
        return stop

    # What is done

    def cut_at(self, prev: int, k: int, code: str) -> int:
        """Believe reading ``k``, but book nothing between ``prev`` and it."""
        self.saw(k)
        self.out.cut[k] = True
        self.out.codes[k] = code
        self.say(code, prev, k, int((~self.out.keep[prev + 1 : k]).sum()))
        return k

    def discard(self, first: int, end: int, code: str) -> None:
        """Discard readings ``first`` to ``end - 1``."""
        self.first = min(self.first, first)
        self.saw(end - 1)
        discarded = int(self.out.keep[first:end].sum())
        self.out.keep[first:end] = False
        self.say(code, first, end - 1, discarded)

    def say(self, code: str, first: int, last: int, discarded: int) -> None:
        evidence = {
            "first_value": float(self.v[first]),
            "last_value": float(self.v[last]),
            "modulus": self.modulus,
            "discarded": discarded,
        }
        self.out.events.append(Event(code, first, last, evidence, self.at))


def _are_multiples(rises: Floats, least: Floats) -> Bools:
    """Where all rises above one another (infinite: none) are multiples of the least one."""
    with np.errstate(divide="ignore", invalid="ignore"):
        times = rises / least
        whole = (~np.isfinite(rises) | (np.abs(times - np.round(times)) <= 1e-6 * times)).all(
            axis=0
        )
    found: Bools = np.logical_and(whole, least > 0)
    return found
