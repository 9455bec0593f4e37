"""A walk that goes on from a settled boundary ends as the walk over the whole history does."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.counters import Event, Floats, Ints, State, Walk, state_at, walk
from tests.pipeline.counter_streams import SEGMENTS, Drawn, draw, put_together

STREAMS = int(os.environ.get("KGCE_STREAMS", "500"))
BOUNDARIES = 8


def outcome(walked: Walk, start: int) -> dict[str, Any]:
    """What is booked and said from reading ``start`` on, with indices that begin there."""
    return {
        "keep": walked.keep[start:].tolist(),
        "add": walked.add[start:].tolist(),
        "cut": walked.cut[start:].tolist(),
        "codes": {i - start: code for i, code in walked.codes.items() if i >= start},
    }


def said(walked: Walk, boundary: int, start: int) -> list[tuple[Any, ...]]:
    """Events of the decisions from the boundary on."""
    moved = [
        Event(event.code, event.first - start, event.last - start, event.evidence, event.at - start)
        for event in walked.events
        if event.at >= boundary
    ]
    return sorted((*event[:3], event.at, sorted(event.evidence.items())) for event in moved)


def boundaries_of(walked: Walk, rng: np.random.Generator) -> Ints:
    """Some of the settled boundaries, those next to something odd before all."""
    every = np.arange(walked.decided, len(walked.keep))
    settled = every[walked.settled(every)]
    edges = np.array([i for r in walked.ranges for i in (r[0], r[1] + 1)], np.int64)
    near = np.intersect1d(np.concatenate([edges, edges + 1]), settled)
    some = [
        rng.choice(part, min(len(part), BOUNDARIES // 2)) for part in (near, settled) if len(part)
    ]
    return np.unique(np.concatenate(some)) if some else every[:0]


def go_on(state: State, t: Ints, v: Floats, limits: dict[str, Any]) -> tuple[Walk, int]:
    start = int(np.searchsorted(t, state.start_us))
    stored = State.load(state.dump())
    assert stored == state
    return walk(t[start:], v[start:], state=stored, **limits), start


def assert_same(resumed: Walk, whole: Walk, boundary: int, start: int) -> None:
    assert outcome(resumed, 0) == outcome(whole, start)
    assert said(resumed, 0, 0) == said(whole, boundary, start)


@pytest.mark.parametrize("part", range(4))
def test_going_on_with_the_same_readings(part: int) -> None:
    compared = shortened = 0
    for seed in range(part * 10**6, part * 10**6 + STREAMS // 4):
        drawn = draw(seed)
        whole = walk(drawn.t, drawn.v, **drawn.limits)
        for boundary in boundaries_of(whole, np.random.default_rng(seed)):
            state = state_at(whole, drawn.t, drawn.v, int(boundary))
            resumed, start = go_on(state, drawn.t, drawn.v, drawn.limits)
            assert not resumed.reached_back
            assert_same(resumed, whole, boundary, start)
            compared += 1
            shortened += state.past is not None
    assert compared > STREAMS // 4
    assert shortened > compared // 10


def test_going_on_with_more_readings_and_late_ones() -> None:
    """The state of a walk over the first readings, gone on from over all and some that came late;
    and again from a state of that walk."""
    compared = back = 0
    for seed in range(10**7, 10**7 + STREAMS):
        drawn, rng = draw(seed), np.random.default_rng(seed)
        known = some_end(drawn, rng)
        first = walk(drawn.t[:known], drawn.v[:known], **drawn.limits)
        for boundary in boundaries_of(first, rng):
            t, v = with_late(drawn, int(boundary), known, rng)
            whole = walk(t, v, **drawn.limits)
            state = state_at(first, drawn.t[:known], drawn.v[:known], int(boundary))
            resumed, start = go_on(state, t, v, drawn.limits)
            if resumed.reached_back:
                back += 1
                continue
            assert_same(resumed, whole, boundary, start)
            compared += 1
            for later in boundaries_of(resumed, rng)[:1]:
                state = state_at(resumed, t[start:], v[start:], int(later))
                again, begin = go_on(state, t, v, drawn.limits)
                if not again.reached_back:
                    assert_same(again, whole, start + later, begin)
    assert compared > STREAMS
    assert back < compared // 20


def some_end(drawn: Drawn, rng: np.random.Generator) -> int:
    """How many readings were there first: often only a few of something odd, or a few more."""
    n = len(drawn.t)
    odd = [event.first for event in walk(drawn.t, drawn.v, **drawn.limits).events]
    if odd and rng.random() < 0.7:
        return min(n, int(rng.choice(odd)) + int(rng.integers(1, rng.choice([4, 12, 60]))))
    return int(rng.integers(1, n + 1))


def with_late(
    drawn: Drawn, boundary: int, known: int, rng: np.random.Generator
) -> tuple[Ints, Floats]:
    """All readings, those up to ``known`` without some that only come now, and others among them.

    Nothing is changed before the boundary.
    """
    t, v = drawn.t, drawn.v
    if boundary < known and rng.random() < 0.5:
        late = int(rng.integers(boundary, known))
        us = int(rng.integers(t[late - 1] + 1, t[late] + 1)) if t[late] > t[late - 1] + 1 else 0
        if us and us != t[late]:
            value = float(rng.choice([v[late - 1], v[late], (v[late] + v[late - 1]) / 2, 0.0]))
            t, v = np.insert(t, late, us), np.insert(v, late, value)
    if boundary < known and rng.random() < 0.3:
        t, v = np.delete(t, boundary), np.delete(v, boundary)
    return t, v


@settings(max_examples=2 * STREAMS, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(st.sampled_from(SEGMENTS), st.integers(1, 7), st.sampled_from([1, 1, 1, 9])),
        min_size=2,
        max_size=7,
    ),
    st.sampled_from([None, 0.2, 1.5]),
    st.sampled_from([None, 100.0]),
    st.integers(2, 9),
    st.sampled_from([0, 4, 30]),
    st.integers(2, 40),
)
def test_nothing_that_comes_later_changes_what_is_settled(
    segments: list[tuple[str, int, int]],
    rate_per_us: float | None,
    modulus: float | None,
    window_us: int,
    lookback_us: int,
    known: int,
) -> None:
    """Short counters put together from what can happen, seen whole and only up to somewhere."""
    t, v = put_together(segments)
    limits = {
        "window_us": window_us,
        "max_gap_us": 3,
        "lookback_us": lookback_us,
        "modulus": modulus,
        "rate_per_us": rate_per_us,
    }
    first, whole = walk(t[:known], v[:known], **limits), walk(t, v, **limits)
    every = np.arange(1, min(known, len(t)) + 1)
    for boundary in every[first.settled(every)][-4:]:
        state = state_at(first, t[:known], v[:known], int(boundary))
        resumed, start = go_on(state, t, v, limits)
        if not resumed.reached_back:
            assert_same(resumed, whole, boundary, start)


@pytest.mark.parametrize("dip", [False, True])
def test_what_came_before_the_readings_that_are_looked_at_again(dip: bool) -> None:
    """A coarse register that stood still for longer than anything looks back, then steps by what
    rated power allows since the last other value only. Whether it is told by the state of a state,
    too."""
    values = [1025.98] + [1026.0] * 600 + [1056.0] * 300
    t, v = np.arange(len(values), dtype=np.int64), np.array(values)
    if dip:
        v[600] = 0.0
    limits = {"window_us": 2, "max_gap_us": 3, "lookback_us": 10, "rate_per_us": 30 / 600.5}
    whole = walk(t, v, **limits)
    assert [event.code for event in whole.events] == ["counter.dip"] * dip
    for first, second in ((300, 450), (300, 301), (450, 600)):
        state = state_at(walk(t[:first], v[:first], **limits), t[:first], v[:first], first)
        begin = int(np.searchsorted(t, state.start_us))
        assert begin > 1
        middle = walk(t[begin:second], v[begin:second], state=State.load(state.dump()), **limits)
        state = state_at(middle, t[begin:second], v[begin:second], second - begin)
        resumed, start = go_on(state, t, v, limits)
        assert not resumed.reached_back
        assert_same(resumed, whole, second, start)


@pytest.mark.parametrize("late", [True, False])
def test_other_readings_than_those_that_were_decided_on(late: bool) -> None:
    """One more or one fewer than the state knows of: nothing of it may be believed."""
    t, v = np.arange(0, 200, 2, dtype=np.int64), np.arange(100.0)
    limits = {"window_us": 10, "max_gap_us": 6, "lookback_us": 20, "rate_per_us": 1.0}
    state = state_at(walk(t[:80], v[:80], **limits), t[:80], v[:80], 80)
    assert not go_on(state, t, v, limits)[0].reached_back
    if late:
        t, v = np.insert(t, 75, t[75] - 1), np.insert(v, 75, v[75] - 0.5)
    else:
        t, v = np.delete(t, 75), np.delete(v, 75)
    assert go_on(state, t, v, limits)[0].reached_back


def test_a_catch_up_that_turns_out_to_be_a_spike() -> None:
    """What an earlier walk said of it is void, and with it the state."""
    v = np.concatenate([np.arange(60.0), np.full(30, 59.0), np.full(5, 89.0), np.full(9, 59.0)])
    t = np.arange(len(v), dtype=np.int64)
    limits = {"window_us": 40, "max_gap_us": 3, "lookback_us": 60, "rate_per_us": 1.2}
    first = walk(t[:95], v[:95], **limits)
    assert [event.code for event in first.events] == ["counter.frozen"]
    assert first.settled(np.array([94]))
    whole = walk(t, v, **limits)
    assert not whole.frozen
    assert not whole.keep[90:95].any()
    assert go_on(state_at(first, t[:95], v[:95], 94), t, v, limits)[0].reached_back


def test_a_decision_that_falls_back_to_before_the_boundary_looks_farther_than_the_context() -> None:
    """A rise over a gap, which nothing bounds, is a spike once what follows falls below all."""
    v = np.concatenate([np.arange(300.0), np.arange(10_300.0, 10_305.0), np.arange(10.0, 30.0)])
    t = np.arange(len(v), dtype=np.int64) + np.where(np.arange(len(v)) < 300, 0, 10)
    limits = {"window_us": 40, "max_gap_us": 3, "lookback_us": 60, "rate_per_us": None}
    first = walk(t[:305], v[:305], **limits)
    assert first.keep.all()
    assert first.settled(np.array([304]))
    whole = walk(t, v, **limits)
    assert [event.code for event in whole.events] == ["counter.spike", "counter.reset"]
    assert go_on(state_at(first, t[:305], v[:305], 304), t, v, limits)[0].reached_back


def test_readings_that_stood_still_tell_what_is_usual() -> None:
    """After a catch-up the register stands still once more, for what is no longer unusual."""
    on, still = ("on", 11, 1), ("still", 8, 1)
    t, v = put_together([on, still, ("on", 4, 5), ("still", 4, 1), ("fast", 4, 5)])
    limits = {"window_us": 7, "max_gap_us": 3, "lookback_us": 30, "rate_per_us": 0.5}
    whole = walk(t, v, **limits)
    assert whole.frozen
    every = np.arange(20, len(t) + 1)
    boundaries = every[whole.settled(every)]
    assert len(boundaries) > 4
    for boundary in boundaries:
        resumed, start = go_on(state_at(whole, t, v, int(boundary)), t, v, limits)
        assert_same(resumed, whole, boundary, start)
