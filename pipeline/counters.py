"""A counter as a state machine: which readings to believe, and where nothing may be booked.

One meter's readings come sorted by time, each time once. Regular steps (not falling, not faster
than the rated power allows) are passed over at array speed; only irregular ones are looked at:

    falls, and jumps back to the old level            dip       the low readings are discarded
    fell back to where it was before an abrupt rise   spike     the high readings are discarded
    falls near the modulus, plausible step            rollover  the modulus is added
    falls, stays low and climbs                       reset     nothing is booked across it
    falls, and is back too late or too smoothly       ambiguous nothing is booked across it
    rises faster than rated power, and stays          jump      nothing is booked across it
    none of these yet                                 unsettled held back until more is read
    stands still, then catches up in one step         frozen    booked over the time it stood still

Four worked cases. 100, 0, 101: the 0 is a dip, one unit is booked. 100, 0, 1, 2: a reset, two units
are booked after it and none across it. 5, 0, 3, 6, 9: a dip or a reset, nobody can say; three units
are booked after it. 100, 0, 0, 0: held back, for as long as it takes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.pace import Pace, pace_of, quantum_of

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# A meter that fell counts as reset once this many readings in a row are regular and climb; a level
# is believed once one of as many readings after it is on it too.
SETTLED_READINGS = 3
# Dip and spike leave a line and come back to it: the abrupt step makes up at least this much of it.
ABRUPT_RATIO = 0.5
# A fall of so little of the register is its rounding, never a new register.
JITTER_RATIO = 1e-6
# A rollover after standing still is believed so near to the modulus only.
NEAR_MODULUS_RATIO = 0.1
# Where only the number of readings tells high from low, it has to be so many times larger.
CLEARLY_MORE = 3
# Without a rated power, a rise of so many ordinary steps is doubted where it comes from a first
# reading of exactly 0, or falls away again.
DOUBTFUL_STEPS = 100
# Frozen stands still so many times longer than the counter usually does between two changes.
FROZEN_STILLS = 3


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
    nothing may be booked; ``codes`` names, by index, the steps that are gaps whatever their length.
    """

    keep: Bools
    add: Floats
    cut: Bools
    codes: dict[int, str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)


def walk(
    t: Ints,
    v: Floats,
    *,
    window_us: int,
    max_gap_us: int,
    modulus: float | None = None,
    rate_per_us: float | None = None,
) -> Walk:
    """Walk over one counter's readings.

    ``t`` microseconds, strictly rising; ``v`` values in the counter's unit, finite; ``window_us``
    how long a dip or spike may last; ``max_gap_us`` how far apart readings are when the meter was
    not watched; ``rate_per_us`` the fastest believable rate, without which a ``modulus`` is of no
    use. The first reading is the baseline. Pure; the inputs are not changed.
    """
    return _Machine(t, v, window_us, max_gap_us, modulus, rate_per_us).run()


class _Machine:
    def __init__(
        self,
        t: Ints,
        v: Floats,
        window_us: int,
        max_gap_us: int,
        modulus: float | None,
        rate: float | None,
    ) -> None:
        self.t, self.v, self.n = t, v, len(v)
        self.window_us, self.max_gap_us = window_us, max_gap_us
        # Without a rated power nobody can say how often a counter rolled over.
        self.modulus = None if rate is None else modulus
        self.rate = None if rate is None else rate * (1 + 1e-9)  # a hair for rounding
        self.out = Walk(np.ones(self.n, np.bool_), np.zeros(self.n), np.zeros(self.n, np.bool_))
        self.any_fast = False
        self.odd = self._odd_steps()
        self.irregular = np.flatnonzero(self.odd)

    def _odd_steps(self) -> Bools:
        """Which readings are entered by a step that needs a look."""
        odd = np.zeros(self.n, np.bool_)
        steps = np.diff(self.v)
        np.less(steps, 0, out=odd[1:])
        if self.rate is None:
            return odd
        most = self.rate * np.diff(self.t)
        fast = np.flatnonzero(steps > most)
        self.any_fast = len(fast) > 0
        if self.any_fast:
            changes = np.flatnonzero(steps)
            before = np.searchsorted(changes, fast) - 1
            since = np.where(before >= 0, self.t[changes[before]], self.t[0])
            odd[fast + 1] |= steps[fast] > self.rate * (self.t[fast + 1] - since)
        if self.modulus is not None:
            odd[1:] |= most >= self.modulus
        return odd

    def run(self) -> Walk:
        self._doubt_first_zero()
        n, prev = self.n, 0
        while (k := self._next_to_look_at(prev)) < n:
            prev = self._judge(k - 1 if self._in_regular_run(prev, k) else prev, k)
        self._find_frozen()
        return self.out

    def _in_regular_run(self, prev: int, k: int) -> bool:
        return bool(self.out.keep[k - 1]) and k - 1 > prev

    def _next_to_look_at(self, prev: int) -> int:
        """The next reading after ``prev`` whose step is irregular; n where there is none."""
        k = prev + 1
        if k < self.n and not self.out.keep[k]:
            # Readings between were discarded: the step over them is a new one.
            return self._first(self.out.keep, k)
        at = int(np.searchsorted(self.irregular, k))
        return int(self.irregular[at]) if at < len(self.irregular) else self.n

    def _first(self, marked: Bools, start: int) -> int:
        size = 256
        while start < self.n:
            found = marked[start : start + size]
            if found.any():
                return start + int(found.argmax())
            start, size = start + size, size * 4
        return self.n

    def _judge(self, prev: int, k: int) -> int:
        """Decide on reading ``k`` after the kept ``prev``; returns the last reading decided on."""
        if self.v[k] < self.v[prev]:
            return self._fell(prev, k)
        if self._ambiguous_rollover(prev, k):
            return self._cut(prev, k, "counter.rollover_ambiguous")
        if not self._plausible(prev, k):
            return self._rose_too_fast(prev, k)
        return k

    # What is possible

    def _most(self, first: int, last: int) -> float:
        """The most that rated power allows between two readings."""
        return (
            float("inf") if self.rate is None else float(self.rate * (self.t[last] - self.t[first]))
        )

    def _plausible(self, a: int, b: int) -> bool:
        """Whether the counter can have moved from reading ``a`` to ``b``.

        A register shows what passed since its value last changed, and it changed at some time after
        the last reading that was different. So a coarse register may step sooner than the time
        since the reading before allows, and a frozen one may catch up.
        """
        step = float(self.v[b] - self.v[a])
        if step < 0:
            return False
        if step <= self._most(a, b):
            return True
        before = self._last_other(a)
        if before is None:
            return step <= self._most(0, b) + self._quantum
        return step <= self._most(before, b)

    def _last_other(self, a: int) -> int | None:
        """The last believed reading before ``a`` that shows another value, or another register."""
        keep, cut, v = self.out.keep, self.out.cut, self.v
        end, size = a, 64
        while end > 0:
            start = max(0, end - size)
            other = (keep[start:end] & (v[start:end] != v[a])) | cut[start + 1 : end + 1]
            if other.any():
                return start + int(np.flatnonzero(other)[-1])
            end, size = start, size * 4
        return None

    @cached_property
    def _quantum(self) -> float:
        """A coarse register's first step can come at any time."""
        steps = np.diff(self.v)
        return quantum_of(steps[steps > 0])

    def _ambiguous_rollover(self, prev: int, k: int) -> bool:
        return self.modulus is not None and self._most(prev, k) >= self.modulus

    def _rolled_over(self, prev: int, k: int) -> bool:
        if self.modulus is None or self.v[prev] >= self.modulus:
            return False
        step = float(self.v[k] + self.modulus - self.v[prev])
        if step <= self._most(prev, k):
            return True
        # After standing still the rated power would explain almost any reset too.
        before = self._last_other(prev)
        still = self._most(0 if before is None else before, k)
        return step <= min(max(still, self._quantum), NEAR_MODULUS_RATIO * self.modulus)

    # Falls

    def _fell(self, prev: int, k: int) -> int:
        if (base := self._spike_start(prev, k)) is not None:
            self._discard(base + 1, k, "counter.spike")
            return k
        end = self._low_end(prev, k)
        if (back := self._dip_end(prev, k, end)) is not None:
            return self._dip_or_spike(prev, k, back)
        if self._ambiguous_rollover(prev, k):
            return self._cut(prev, k, "counter.rollover_ambiguous")
        if self._rolled_over(prev, k):
            self.out.add[k] = self.modulus
            self._event("counter.rollover", prev, k, 0)
            return k
        if (base := self._doubtful_rise(prev)) is not None:
            self._discard(base + 1, prev + 1, "counter.spike")
            return base
        if self._climbs(k, end) or self._late_and_smooth(prev, k, end):
            return self._cut(prev, k, "counter.reset")
        if end == self.n:
            self._discard(k, end, "counter.fall_unsettled")
            return prev
        self.out.keep[k:end] = False
        return self._cut(prev, end, "counter.fall_ambiguous")

    def _dip_or_spike(self, prev: int, k: int, back: int) -> int:
        """Low from ``k`` to before ``back``: unless it was high before for no longer than that.

        Whichever it was, what passed in all is known; when it passed is not.
        """
        base = self._last_at_most(prev, k)
        tail = self.n if base is None else int(self.out.keep[base + 1 : k].sum())
        if base is None or tail > CLEARLY_MORE * (back - k):
            self._discard(k, back, "counter.dip")
            return prev
        if back - k > CLEARLY_MORE * tail:
            self._discard(base + 1, k, "counter.spike")
            return k
        self._discard(base + 1, back, "counter.spike")
        return base

    def _spike_start(self, prev: int, k: int) -> int | None:
        """The last kept reading before an abrupt rise from which ``k`` follows, or None."""
        base = self._last_at_most(prev, k)
        if base is None:
            return None
        after = base + 1 + int(np.flatnonzero(self.out.keep[base + 1 : prev + 1])[0])
        fall, rise = self.v[prev] - self.v[k], self.v[after] - self.v[base]
        if rise < ABRUPT_RATIO * fall or not self._plausible(base, k):
            return None
        pace = self._pace(base, after, prev + 1, k)
        near = self.v[k] - self.v[base] <= ABRUPT_RATIO * fall
        if not near and not pace.explains(self.v[k] - self.v[base], self.t[k] - self.t[base]):
            return None
        return None if pace.explains(rise, self.t[after] - self.t[base]) else base

    def _last_at_most(self, prev: int, k: int) -> int | None:
        """The last kept reading before ``prev`` on the same line that is not above ``k``'s."""
        start = self._line_start(prev, k)
        under = np.flatnonzero(self.out.keep[start:prev] & (self.v[start:prev] <= self.v[k]))
        return start + int(under[-1]) if len(under) else None

    def _line_start(self, prev: int, k: int) -> int:
        """The first reading before ``k`` that a spike up to ``prev`` may have left from."""
        start = int(np.searchsorted(self.t, self.t[k] - self.window_us))
        start = max(0, min(start, k - 1 - SETTLED_READINGS))
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
        pace = self._pace(base, after, prev + 1, self.n)
        ordinary = max(pace.per_us * (self.t[after] - self.t[base]), pace.quantum)
        return base if 0 < DOUBTFUL_STEPS * ordinary < rises[highest] else None

    def _low_end(self, prev: int, k: int) -> int:
        """The reading that is on the level of ``prev`` again, and not alone; n where none is."""
        level, at = self.v[prev], k
        while (at := self._first_at_least(level, at + 1)) < self.n:
            if self._holds(at, level):
                break
        return at

    def _first_at_least(self, level: float, start: int) -> int:
        size = 256
        while start < self.n:
            found = self.v[start : start + size] >= level
            if found.any():
                return start + int(found.argmax())
            start, size = start + size, size * 4
        return self.n

    def _holds(self, m: int, level: float) -> bool:
        """Whether what follows ``m`` bears out its level; nothing that follows denies nothing."""
        following = slice(m + 1, m + 1 + SETTLED_READINGS)
        values = self.v[following]
        if not len(values) or (values >= level).any():
            return True
        if self.modulus is None or self.rate is None:
            return False
        rolled = values + self.modulus - self.v[m]
        return bool((rolled <= self.rate * (self.t[following] - self.t[m])).any())

    def _dip_end(self, prev: int, k: int, end: int) -> int | None:
        """The reading that is back on the old line by an abrupt rise, or None."""
        last = int(np.searchsorted(self.t, self.t[k] + self.window_us, side="right"))
        last = max(last, min(k + 1 + SETTLED_READINGS, self.n))
        if end >= last:
            return None
        level, low = self.v[prev], self.v[k:end].min()
        drop = level - low
        pace = self._pace(prev, k, end, end)
        backs = np.flatnonzero(self.v[end : min(last, end + 64)] >= level) + end
        for m in backs[:SETTLED_READINGS]:
            net, rise = self.v[m] - level, self.v[m] - self.v[end - 1]
            if not self._plausible(prev, m) or not self._holds(m, level):
                continue
            if drop <= JITTER_RATIO * abs(level):
                return int(m)
            near = net <= ABRUPT_RATIO * drop or pace.explains(net, self.t[m] - self.t[prev])
            if not near or rise < ABRUPT_RATIO * drop:
                continue
            # A new register that climbs this high would need more than rated power; where none is
            # known, more than the pace of the readings around.
            if self.rate is not None:
                abrupt = self.v[m] - low > self._most(prev, m) + pace.quantum
            else:
                abrupt = not pace.explains(rise, self.t[m] - self.t[end - 1])
            if abrupt:
                return int(m)
        return None

    def _climbs(self, k: int, end: int) -> bool:
        """Whether readings ``k`` to before ``end`` hold a regular run that climbs."""
        start, size = k, 256
        while start + SETTLED_READINGS <= end:
            stop = min(start + size, end)
            v, odd = self.v[start:stop], self.odd[start:stop]
            climbing = (v[2:] > v[:-2]) & ~odd[2:] & ~odd[1:-1]
            # A blip that falls at once is no climb.
            climbing[:-1] &= v[3:] >= v[2:-1]
            if climbing[: None if stop == end else -1].any():
                return True
            start, size = (stop if stop == end else stop - SETTLED_READINGS), size * 4
        return False

    def _late_and_smooth(self, prev: int, k: int, end: int) -> bool:
        """Back on the old level, but later than a dip may last and by an ordinary step."""
        if end == self.n or self.t[end] - self.t[k] <= self.window_us:
            return False
        rise = self.v[end] - self.v[end - 1]
        return self._pace(prev, k, end, end).explains(rise, self.t[end] - self.t[end - 1])

    def _pace(self, before: int, low: int, low_end: int, after: int) -> Pace:
        return pace_of(self.t, self.v, self.out.keep, self.out.cut, before, low, low_end, after)

    # Rises

    def _rose_too_fast(self, prev: int, k: int) -> int:
        settled = k + SETTLED_READINGS
        if (back := self._spike_end(prev, k)) is not None:
            self._discard(k, back, "counter.spike")
        elif self.odd[k + 1 : settled].any():
            self._discard(k, k + 1, "counter.spike")
        elif settled > self.n:
            self._discard(k, self.n, "counter.rise_unsettled")
        else:
            return self._cut(prev, k, "counter.jump")
        return prev

    def _spike_end(self, prev: int, k: int) -> int | None:
        """The reading that is back on the line of ``prev``, or None."""
        last = int(np.searchsorted(self.t, self.t[k] + self.window_us, side="right"))
        last = max(last, min(k + 1 + SETTLED_READINGS, self.n))
        ahead = self.v[k + 1 : last]
        backs = np.flatnonzero((ahead < self.v[k]) & (ahead >= self.v[prev])) + k + 1
        for m in backs[:SETTLED_READINGS]:
            following = self.v[m + 1 : m + 1 + SETTLED_READINGS]
            stays = not len(following) or bool((following < self.v[k]).any())
            if stays and self._plausible(prev, m):
                return int(m)
        return None

    def _doubt_first_zero(self) -> None:
        """A first reading of exactly 0 before the lifetime register, where no power bounds it."""
        if self.rate is not None or self.n <= SETTLED_READINGS or self.v[0] != 0:
            return
        k = self._first_at_least(np.nextafter(0.0, 1.0), 0)
        if k + SETTLED_READINGS > self.n or self.odd[1 : k + SETTLED_READINGS].any():
            return
        pace = self._pace(k - 1, k, k, k)
        ordinary = max(pace.per_us * (self.t[k] - self.t[k - 1]), pace.quantum)
        if self.v[k] > DOUBTFUL_STEPS * ordinary:
            self._cut(k - 1, k, "counter.jump")

    # Standing still

    def _find_frozen(self) -> None:
        """Steps that rated power allows only because the register had stood still before.

        What passed then is known, and when it passed is not: the readings that stood still are
        discarded, so that the step is a gap over all that time.
        """
        if self.rate is None or not self.any_fast:
            return
        kept = np.flatnonzero(self.out.keep)
        t, v = self.t[kept], self.v[kept]
        rises = np.diff(v) + self.out.add[kept[1:]]
        fast = np.flatnonzero((rises > self.rate * np.diff(t)) & ~self.out.cut[kept[1:]])
        if not len(fast):
            return
        changes = np.flatnonzero(rises)  # the step into reading i + 1 changed the value
        at = np.searchsorted(changes, fast) - 1
        began = np.where(at >= 0, changes[at] + 1, 0)
        still = t[fast + 1] - t[began]
        usual = np.sort(np.diff(t[changes + 1], prepend=t[0]))[(len(changes) - 1) // 2]
        coarse = 1.5 * rises[rises > 0].min()
        frozen = (still > max(self.max_gap_us, FROZEN_STILLS * usual)) & (rises[fast] > coarse)
        for first, last in zip(kept[began[frozen]], kept[fast[frozen] + 1], strict=True):
            stood = int(self.out.keep[first + 1 : last].sum())
            self.out.keep[first + 1 : last] = False
            self.out.codes[int(last)] = "counter.frozen"
            self._event("counter.frozen", int(first), int(last), stood)

    # What is done

    def _cut(self, prev: int, k: int, code: str) -> int:
        self.out.cut[k] = True
        self.out.codes[k] = code
        self._event(code, prev, k, int((~self.out.keep[prev + 1 : k]).sum()))
        return k

    def _discard(self, first: int, end: int, code: str) -> None:
        """Discard readings ``first`` to ``end - 1``."""
        discarded = int(self.out.keep[first:end].sum())
        self.out.keep[first:end] = False
        self._event(code, first, end - 1, discarded)

    def _event(self, code: str, first: int, last: int, discarded: int) -> None:
        evidence = {
            "first_value": float(self.v[first]),
            "last_value": float(self.v[last]),
            "modulus": self.modulus,
            "discarded": discarded,
        }
        self.out.events.append(Event(code, first, last, evidence))
