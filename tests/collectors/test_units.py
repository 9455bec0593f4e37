"""One unit of a line: its breaker, its rests, and how long it is waited for."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from collectors.lines.units import CLOSED, HALF_OPEN, OPEN, PATIENCE_TICKS, SHORTEST_WAIT_S, Unit

SECOND = 1_000_000


class Loaded(random.Random):
    """Dice that always show the same."""

    def __init__(self, shown: float) -> None:
        super().__init__()
        self.shown = shown

    def random(self) -> float:
        return self.shown


def test_a_breaker_opens_half_opens_and_closes() -> None:
    unit = Unit(timeout_s=1.0, longest_rest_s=30, dice=Loaded(1.0))
    for _ in range(PATIENCE_TICKS - 1):
        unit.was_silent(0)
        assert (unit.state, unit.rests(1)) == (CLOSED, False)
    unit.was_silent(0)
    assert (unit.state, unit.rests(1), unit.rests(9 * SECOND - 1)) == (OPEN, True, True)
    assert not unit.rests(-SECOND)  # the clock was set back: no endless rest
    assert not unit.rests(9 * SECOND)
    assert unit.state == HALF_OPEN
    now, rests = 9 * SECOND, []
    for _ in range(4):
        unit.was_silent(now)
        assert unit.state == OPEN
        rests.append(next(s for s in range(1, 99) if not unit.rests(now + s * SECOND)))
        now += rests[-1] * SECOND
    assert rests == [18, 30, 30, 30]
    unit.answered(0.01)
    assert (unit.state, unit.rests(now), unit.is_silent) == (CLOSED, False, False)
    for _ in range(PATIENCE_TICKS):
        unit.was_silent(now)
    assert unit.rests(now + 9 * SECOND - 1)
    assert not unit.rests(now + 9 * SECOND)


@pytest.mark.parametrize(("shown", "rest_s"), [(0.0, 7.2), (0.5, 8.1), (1.0, 9.0)])
def test_rests_are_not_all_as_long(shown: float, rest_s: float) -> None:
    unit = Unit(timeout_s=1.0, dice=Loaded(shown))
    for _ in range(PATIENCE_TICKS):
        unit.was_silent(0)
    assert unit.rests(round(rest_s * SECOND) - 1)
    assert not unit.rests(round(rest_s * SECOND))


def free(seconds: float) -> Callable[[], float]:
    return lambda: seconds


def test_how_long_a_unit_is_waited_for_is_learned() -> None:
    unit = Unit(timeout_s=3.0)
    assert unit.is_suspect
    assert unit.wait_s(free(9.0)) == 3.0
    assert unit.wait_s(free(0.5)) == 0.5
    assert unit.wait_s(free(-1.0)) == SHORTEST_WAIT_S
    assert unit.wait_s(free(0.5), is_alone=True) == 3.0
    unit.answered(0.005)
    assert not unit.is_suspect
    assert unit.wait_s(free(9.0), is_alone=True) == 3.0
    assert unit.wait_s(free(0.9), is_alone=True) == 0.9
    assert unit.wait_s(free(9.0)) == SHORTEST_WAIT_S
    unit.answered(0.5)
    assert unit.wait_s(free(0.0)) == 2.0
    for _ in range(200):
        unit.answered(0.1)
    assert 0.4 <= unit.wait_s(free(0.0)) < 0.5
    unit.learn(1.0)  # a reply that came late
    assert unit.wait_s(free(0.0)) == 3.0
    unit.was_silent(0)
    assert unit.wait_s(free(0.4)) == 0.4
