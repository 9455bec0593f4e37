"""One register's readings through the counter's state machine, whole or from a checkpoint on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pipeline.checkpoints import Checkpoint, marks
from pipeline.counters import Bools, Ints, State, Walk, state_at, walk
from pipeline.readings import Floats, Series
from pipeline.rules import EVER_US, GRID_US, MeterRule


class Walked(NamedTuple):
    """The walk; checkpoints to go on from; the first interval that it makes anew; up to when old
    checkpoints stay."""

    walk: Walk
    checkpoints: list[Checkpoint]
    lay_us: int
    kept_us: int


def walk_register(series: Series, window_us: int, point: Checkpoint | None) -> Walked | None:
    """Walk over a register's readings; None where it cannot go on from the checkpoint.

    Those that go on are the readings from ``point.from_us`` on.
    """
    rule, t, v = series
    state = None if point is None else State.load(point.state)
    walked = walk(
        t,
        v,
        window_us=window_us,
        max_gap_us=rule.max_gap_us,
        modulus=rule.modulus,
        rate_per_us=rule.rate_per_us,
        state=state,
    )
    if walked.reached_back:
        return None
    found = _checkpoints(rule, walked, t, v)
    if point is None or state is None:
        return Walked(walked, found, 0, 0)
    changed = _first_changed(walked, t, state)
    if changed is None:
        return Walked(walked, found, point.lay_us, point.at_us - 1)
    # Of the reading before, on which the changed steps depend, the whole interval.
    before = _lay_us(rule, walked, t, changed)
    if before is None:
        return None
    lay_us = min(before, point.lay_us)
    return Walked(walked, found, lay_us, min(lay_us, point.at_us - 1))


def _checkpoints(rule: MeterRule, walked: Walk, t: Ints, v: Floats) -> list[Checkpoint]:
    """Checkpoints at the settled marks among the new readings."""
    if not len(t):
        return []
    times = marks(int(t[0]), int(t[-1]))
    boundaries = np.searchsorted(t, times)
    settled = walked.settled(boundaries)
    found = []
    for at_us, boundary, is_settled in zip(times, boundaries, settled, strict=True):
        if not is_settled:
            continue
        lay_us = _lay_us(rule, walked, t, int(boundary))
        if lay_us is None:
            continue
        state = state_at(walked, t, v, int(boundary))
        before = _last(walked.keep[: np.searchsorted(t, lay_us)])
        if before is not None and t[before] < state.start_us:
            continue  # the step into that interval began before the context
        found.append(Checkpoint(rule.meter_id, at_us, state.start_us, lay_us, state.dump()))
    return found


def _lay_us(rule: MeterRule, walked: Walk, t: Ints, reading: int) -> int | None:
    """Start of the interval that holds the last believed reading before ``reading``; None where
    the steps into it may not all be at hand."""
    believed = walked.keep[:reading]
    last = _last(believed)
    if last is None:
        return None
    lay_us = int(t[last]) // GRID_US * GRID_US
    first = rule.from_us == -EVER_US and (walked.state is None or walked.state.past is None)
    return lay_us if first or t[believed.argmax()] < lay_us else None


def _last(believed: Bools) -> int | None:
    """Index of the last one that is true; None where none is."""
    back = int(believed[::-1].argmax()) if len(believed) else 0
    last = len(believed) - 1 - back
    return last if last >= 0 and believed[last] else None


def _first_changed(walked: Walk, t: Ints, state: State) -> int | None:
    """The first reading of the context on which is decided otherwise now."""
    context = slice(0, state.readings)
    keep = np.ones(state.readings, np.bool_)
    add, cut = np.zeros(state.readings), np.zeros(state.readings, np.bool_)
    codes: dict[int, str] = {}
    for first_us, last_us in state.gone:
        keep[slice(*np.searchsorted(t[context], (first_us, last_us + 1)))] = False
    for time_us, added, is_cut, code in state.steps:
        at = int(np.searchsorted(t[context], time_us))
        add[at], cut[at] = added, is_cut
        if code is not None:
            codes[at] = code
    changed = (walked.keep[context] != keep) | (walked.add[context] != add)
    changed |= walked.cut[context] != cut
    now = {at: code for at, code in walked.codes.items() if at < state.readings}
    for at in codes.keys() ^ now.keys() | {
        a for a in codes.keys() & now.keys() if codes[a] != now[a]
    }:
        changed[at] = True
    return int(changed.argmax()) if changed.any() else None
