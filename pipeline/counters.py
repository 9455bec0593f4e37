"""A counter as a state machine: which readings to believe, and where nothing may be booked.

One meter's readings come sorted by time, each time once. Regular steps (not falling, not faster
than the rated power allows) are passed over at array speed; only irregular ones are looked at:

    falls, and jumps back up within the window        dip       the low readings are discarded
    fell back to where it was before an abrupt rise   spike     the high readings are discarded
    falls near the modulus, plausible step            rollover  the modulus is added
    falls, stays low and climbs                       reset     nothing is booked across it
    rises faster than rated power, and stays          jump      nothing is booked across it
    none of these yet                                 unsettled held back until more is read

Two worked cases. 100, 0, 101: the 0 is a dip, one unit is booked. 100, 0, 1, 2: a reset, two units
are booked after it and none across it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# A meter that fell counts as reset once this many readings in a row are regular and climb.
SETTLED_READINGS = 3


class Event(NamedTuple):
    """Something irregular: its code, the readings concerned (indices), and what was done."""

    code: str
    first: int
    last: int
    evidence: dict[str, Any]


@dataclass
class Walk:
    """Outcome for n readings.

    ``keep`` marks the readings believed; ``add`` is what the step into a kept reading gains beyond
    the difference of values (the modulus, at a rollover); ``cut`` marks kept readings into which
    nothing may be booked.
    """

    keep: npt.NDArray[np.bool_]
    add: Floats
    cut: npt.NDArray[np.bool_]
    events: list[Event] = field(default_factory=list)


def walk(
    t: Ints,
    v: Floats,
    *,
    window_us: int,
    modulus: float | None = None,
    rate_per_us: float | None = None,
) -> Walk:
    """Walk over one counter's readings.

    ``t`` microseconds, strictly rising; ``v`` values in the counter's unit; ``window_us`` how long
    a dip or spike may last; ``rate_per_us`` the fastest believable rate, without which a ``modulus``
    is of no use. The first reading is the baseline. Pure; the inputs are not changed.
    """
    return _Machine(t, v, window_us, modulus, rate_per_us).run()


class _Machine:
    def __init__(
        self, t: Ints, v: Floats, window_us: int, modulus: float | None, rate: float | None
    ) -> None:
        self.t, self.v = t, v
        self.window_us, self.modulus, self.rate = window_us, modulus, rate
        n = len(v)
        self.out = Walk(np.ones(n, np.bool_), np.zeros(n), np.zeros(n, np.bool_))
        steps = np.diff(v)
        rises = steps[steps > 0]
        # One step of a coarse register may come sooner than the rate alone would allow.
        self.quantum = float(rises.min()) if rate is not None and len(rises) else 0.0
        self.irregular = self._irregular_steps(steps)
        self.changed = 0  # the kept reading at which the value last changed

    def _irregular_steps(self, steps: Floats) -> Ints:
        """Indices k whose step from k - 1 needs a look."""
        odd = steps < 0
        if self.rate is not None:
            allowed = self.rate * np.diff(self.t)
            odd |= steps > allowed + self.quantum
            if self.modulus is not None:
                odd |= allowed >= self.modulus
        return np.flatnonzero(odd) + 1

    def run(self) -> Walk:
        n, prev = len(self.v), 0
        while (k := self._next_to_look_at(prev)) < n:
            prev = self._judge(k - 1 if self._in_regular_run(prev, k) else prev, k)
        return self.out

    def _in_regular_run(self, prev: int, k: int) -> bool:
        return bool(self.out.keep[k - 1]) and k - 1 > prev

    def _next_to_look_at(self, prev: int) -> int:
        """The next reading after ``prev`` whose step is irregular; n where there is none."""
        n = len(self.v)
        k = prev + 1
        while k < n and not self.out.keep[k]:
            k += 1
        if k < n and k > prev + 1:
            return k  # readings between were discarded: this step is a new one
        at = int(np.searchsorted(self.irregular, k))
        return int(self.irregular[at]) if at < len(self.irregular) else n

    def _judge(self, prev: int, k: int) -> int:
        """Decide on reading ``k`` after the kept ``prev``; returns the last reading decided on."""
        self.changed = self._last_change(prev)
        if self.v[k] < self.v[prev]:
            return self._fell(prev, k)
        if self._ambiguous_rollover(prev, k):
            return self._cut(prev, k, "counter.rollover_ambiguous")
        if not self._plausible(prev, k):
            return self._rose_too_fast(prev, k)
        return k

    def _last_change(self, prev: int) -> int:
        """The kept reading since when the value has been what it is at ``prev``."""
        c = prev
        for q in self._kept_before(prev):
            if self.v[q] != self.v[prev] or self.out.cut[c]:
                break
            c = q
        return c

    def _kept_before(self, k: int) -> Iterator[int]:
        for q in range(k - 1, -1, -1):
            if self.t[k] - self.t[q] > self.window_us:
                return
            if self.out.keep[q]:
                yield q

    def _ahead(self, k: int) -> range:
        """Readings after ``k`` within the window; where they are sparse, at least a few."""
        end = int(np.searchsorted(self.t, self.t[k] + self.window_us, side="right"))
        return range(k + 1, max(end, min(k + 1 + SETTLED_READINGS, len(self.t))))

    def _plausible(self, a: int, b: int) -> bool:
        """Whether the counter can have moved from reading ``a`` to ``b``."""
        step = self.v[b] - self.v[a]
        if step < 0:
            return False
        if self.rate is None:
            return True
        since = self.changed if self.v[a] == self.v[self.changed] and self.changed <= a else a
        return bool(step <= self.rate * (self.t[b] - self.t[since]) + self.quantum)

    def _ambiguous_rollover(self, prev: int, k: int) -> bool:
        if self.modulus is None or self.rate is None:
            return False
        return bool(self.rate * (self.t[k] - self.t[prev]) >= self.modulus)

    def _fell(self, prev: int, k: int) -> int:
        if (back := self._dip_end(prev, k)) is not None:
            return self._discard(k, back, "counter.dip")
        if (base := self._spike_start(prev, k)) is not None:
            self._discard(base + 1, k, "counter.spike")
            return k
        if self._ambiguous_rollover(prev, k):
            return self._cut(prev, k, "counter.rollover_ambiguous")
        if self._rolled_over(prev, k):
            self.out.add[k] = self.modulus
            self._event("counter.rollover", prev, k)
            return k
        return self._settle(prev, k, "counter.reset", "counter.fall_unsettled")

    def _rose_too_fast(self, prev: int, k: int) -> int:
        for m in self._ahead(k):
            if self.v[m] < self.v[k] and self._plausible(prev, m):
                return self._discard(k, m, "counter.spike")
        return self._settle(prev, k, "counter.jump", "counter.rise_unsettled")

    def _dip_end(self, prev: int, k: int) -> int | None:
        """The reading that is back at the old level by an abrupt rise, or None."""
        ahead = self._ahead(k)
        back = np.flatnonzero(self.v[ahead.start : ahead.stop] >= self.v[prev]) + ahead.start
        for m in back[:SETTLED_READINGS]:
            drop = self.v[prev] - self.v[k:m].min()
            if self.v[m] - self.v[m - 1] >= 0.5 * drop and self._plausible(prev, int(m)):
                return int(m)
        return None

    def _spike_start(self, prev: int, k: int) -> int | None:
        """The last kept reading before an abrupt rise from which ``k`` follows, or None."""
        after = prev
        for q in self._kept_before(k):
            if q == prev:
                continue
            if self.out.cut[after] or self.out.add[after]:
                return None
            if self.v[q] <= self.v[k]:
                fall = self.v[prev] - self.v[k]
                abrupt = self.v[after] - self.v[q] >= 0.5 * fall
                return q if abrupt and self._plausible(q, k) else None
            after = q
        return None

    def _rolled_over(self, prev: int, k: int) -> bool:
        if self.modulus is None or self.rate is None or self.v[prev] >= self.modulus:
            return False
        step = self.v[k] + self.modulus - self.v[prev]
        return bool(step <= self.rate * (self.t[k] - self.t[self.changed]) + self.quantum)

    def _settle(self, prev: int, k: int, settled: str, unsettled: str) -> int:
        """Cut before ``k`` where a regular climbing run follows; else discard ``k``."""
        run = [k, *self._ahead(k)][:SETTLED_READINGS]
        values = self.v[run]
        steps = np.diff(values)
        regular = bool((steps >= 0).all()) and all(
            self.rate is None
            or values[i + 1] - values[i]
            <= self.rate * (self.t[run[i + 1]] - self.t[run[i]]) + self.quantum
            for i in range(len(run) - 1)
        )
        if len(run) == SETTLED_READINGS and regular and values[-1] > values[0]:
            return self._cut(prev, k, settled)
        return self._discard(k, k + 1, unsettled)

    def _cut(self, prev: int, k: int, code: str) -> int:
        self.out.cut[k] = True
        self._event(code, prev, k)
        return k

    def _discard(self, first: int, end: int, code: str) -> int:
        """Discard readings ``first`` to ``end - 1``; the walk goes on after the kept one before."""
        self.out.keep[first:end] = False
        self._event(code, first, end - 1)
        before = first - 1
        while not self.out.keep[before]:
            before -= 1
        return before

    def _event(self, code: str, first: int, last: int) -> None:
        events = self.out.events
        if events and events[-1].code == code and code.endswith("unsettled"):
            first = events.pop().first
        evidence = {
            "first_value": float(self.v[first]),
            "last_value": float(self.v[last]),
            "modulus": self.modulus,
        }
        events.append(Event(code, first, last, evidence))
