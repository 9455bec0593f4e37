"""What a counter's walk says of its readings, and what a later walk needs in order to go on.

A boundary between two readings is settled when no decision that concerns a reading before it has
looked at readings after it. Everything that a walk over more readings decides from there on depends
on the readings from `State.start_us` on and on the few numbers of the state.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from pipeline.pace import Bools, Floats, Ints

# A meter that fell counts as reset once this many readings in a row are regular and climb; a level
# is believed once one of as many readings after it is on it too.
SETTLED_READINGS = 3
# Found where a register stood still and then stepped by more than rated power allows in the time of
# the step: for longer than it usually does, or not.
FROZEN, STEPPED = "counter.frozen", "counter.stepped"


class Event(NamedTuple):
    """Something irregular: its code, the readings concerned (indices), and what was done.

    ``at`` is the reading that was judged when it was found.
    """

    code: str
    first: int
    last: int
    evidence: dict[str, Any]
    at: int


@dataclass(frozen=True)
class Limits:
    """``window_us``: how long a dip or spike may last. ``max_gap_us``: how far apart readings are
    when the meter was not watched. ``lookback_us``: how much farther back than the window anything
    is looked at. ``modulus`` and ``rate_per_us``: None where unknown."""

    window_us: int
    max_gap_us: int
    lookback_us: int
    modulus: float | None = None
    rate_per_us: float | None = None


class Past(NamedTuple):
    """Readings before the first one that is looked at again.

    ``other_us``: the last believed one of another value or another register than the first believed
    one that is looked at again, None where there is none; ``began_us``: the first believed one of
    the same; ``changed_us``: the last one, believed or not, of another value than the first one
    that is looked at again, or else the first of all.
    """

    other_us: int | None
    began_us: int
    changed_us: int


@dataclass(frozen=True)
class State:
    """What has been decided up to a boundary, as far as a walk that goes on has to know it.

    ``start_us`` to ``until_us``: the times of the ``readings`` that it looks at again. All are
    believed, with ``add`` 0 and no code, but for the runs ``gone`` (first, last) and the ``steps``
    (time, add, cut, code). ``frozen``: (time from which, time of the catch-up).

    ``past`` is what came before ``start_us``, None where nothing did.
    """

    start_us: int
    until_us: int
    readings: int
    past: Past | None
    gone: tuple[tuple[int, int], ...] = ()
    steps: tuple[tuple[int, float, bool, str | None], ...] = ()
    frozen: tuple[tuple[int, int], ...] = ()

    def dump(self) -> str:
        """The state as JSON; `load` gives it back to the last bit."""
        return json.dumps(vars(self), separators=(",", ":"))

    @classmethod
    def load(cls, text: str) -> State:
        """The state that `dump` wrote."""
        fields = json.loads(text)
        for name in ("gone", "steps", "frozen"):
            fields[name] = tuple(tuple(row) for row in fields[name])
        if fields["past"] is not None:
            fields["past"] = Past(*fields["past"])
        return cls(**fields)


@dataclass
class Walk:
    """Outcome for n readings.

    ``keep`` marks the readings believed; ``add`` is what the step into a kept reading gains beyond
    the difference of values (the modulus, at a rollover); ``cut`` marks kept readings into which
    nothing may be booked; ``codes`` names, by index, the steps that are gaps whatever their length.

    ``ranges``: (first reading whose outcome it set, last reading that it looked at) of every
    decision that looked ahead, n where it would have looked beyond the end. ``stood``: readings
    discarded for nothing but a register that stood still; ``frozen``: by catch-up, the reading from
    which it did, and what that is called. ``decided``: how many readings an earlier walk had
    decided on; the outcome covers them too. ``reached_back``: a decision concerns readings before
    the first; the outcome is void.
    """

    keep: Bools
    add: Floats
    cut: Bools
    limits: Limits
    state: State | None = None
    codes: dict[int, str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    ranges: list[tuple[int, int]] = field(default_factory=list)
    stood: list[int] = field(default_factory=list)
    frozen: dict[int, tuple[int, str]] = field(default_factory=dict)
    reached_back: bool = False

    @property
    def decided(self) -> int:
        return 0 if self.state is None else self.state.readings

    def settled(self, boundaries: Ints) -> Bools:
        """Which boundaries (each the index of the first reading after it) are settled."""
        first, last = np.array(self.ranges, np.int64).reshape(-1, 2).T
        across = np.searchsorted(np.sort(first), boundaries) - np.searchsorted(
            np.sort(last), boundaries
        )
        new = (boundaries > 0) & (boundaries >= self.decided)
        settled: Bools = (across == 0) & new & (not self.reached_back)
        return settled


def last_true(true: Callable[[slice], Bools], end: int) -> int:
    """The last index before ``end`` for which it is true, looking at longer and longer parts; else
    -1."""
    size = 64
    while end > 0:
        start = max(0, end - size)
        found = np.flatnonzero(true(slice(start, end)))
        if len(found):
            return start + int(found[-1])
        end, size = start, size * 4
    return -1


def last_other(keep: Bools, cut: Bools, v: Floats, a: int) -> int:
    """The last believed reading before ``a`` of another value, or of another register; else -1."""
    return last_true(
        lambda part: (keep[part] & (v[part] != v[a])) | cut[part.start + 1 : part.stop + 1], a
    )


def state_at(walk: Walk, t: Ints, v: Floats, boundary: int) -> State:
    """The state from which a walk can go on at a settled boundary.

    ``t`` and ``v`` as the walk got them; ``boundary`` the index of the first reading after it.
    """
    believed = walk.keep.copy()
    believed[walk.stood] = True
    limits, old = walk.limits, walk.state
    prev = _last(believed[:boundary])
    # So far a decision on the next reading looks. One that falls back to a reading before looks
    # farther: it says that it reached back, and the caller goes on from a state before.
    base_us = min(int(t[prev]), int(t[max(0, boundary - 1 - SETTLED_READINGS)]))
    start_us = base_us - limits.window_us - limits.lookback_us
    if old is not None:
        start_us = max(start_us, old.start_us)
    start = int(np.searchsorted(t, start_us))
    context = slice(start, boundary)
    gone = np.flatnonzero(~believed[context]) + start
    steps = np.flatnonzero((walk.add[context] != 0) | walk.cut[context]) + start
    special = sorted({*steps.tolist(), *(i for i in walk.codes if start <= i < boundary)})
    return State(
        start_us,
        int(t[boundary - 1]),
        boundary - start,
        _past(walk, believed, t, v, start),
        gone=tuple(
            (int(t[run[0]]), int(t[run[-1]]))
            for run in np.split(gone, np.flatnonzero(np.diff(gone) > 1) + 1)
            if len(run)
        ),
        steps=tuple(
            (int(t[i]), float(walk.add[i]), bool(walk.cut[i]), walk.codes.get(i)) for i in special
        ),
        frozen=_frozen(walk, t, start, boundary),
    )


def _frozen(walk: Walk, t: Ints, start: int, boundary: int) -> tuple[tuple[int, int], ...]:
    earlier = walk.state.frozen if walk.state is not None else ()
    began = {
        int(t[k]): int(t[first]) for k, (first, _) in walk.frozen.items() if start <= k < boundary
    }
    began |= {k_us: us for us, k_us in earlier if start < len(t) and k_us >= t[start]}
    return tuple((us, k_us) for k_us, us in sorted(began.items()))


def _past(walk: Walk, believed: Bools, t: Ints, v: Floats, start: int) -> Past | None:
    old = None if walk.state is None else walk.state.past
    if start == 0:
        return old
    other_us, began_us, changed_us = old or Past(None, int(t[0]), int(t[0]))
    first = start + int(believed[start:].argmax())
    other = last_other(believed, walk.cut, v, first)
    if other >= 0:
        other_us = int(t[other])
        began_us = int(t[other + 1 + int(believed[other + 1 :].argmax())])
    changed = last_true(lambda part: v[part] != v[start], start)
    if changed >= 0:
        changed_us = int(t[changed])
    return Past(other_us, began_us, changed_us)


def _last(marked: Bools) -> int:
    return len(marked) - 1 - int(marked[::-1].argmax())
