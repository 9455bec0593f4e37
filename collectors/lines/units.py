"""One unit of a line: how long a reply is waited for, and when the unit is left alone.

The breaker of a unit is closed while it answers. After `PATIENCE_TICKS` silent ticks in a row it
opens: the unit rests, so that the others are served. Then one request is tried (half open): a reply
closes the breaker, silence opens it for twice as long. The first rest is nine times the time-out: a
dead unit costs the line a tenth of its time at the most, and less with each rest.

How long to wait is learned from the replies: a unit that always answered in 20 ms is not waited for
for seconds. Where a line can tell late replies, they are learned from too.
"""

from __future__ import annotations

import random
from collections.abc import Callable

PATIENCE_TICKS = 3  # a unit that was silent for so many ticks in a row rests
REST_TIMEOUTS = 9  # for so many time-outs: then it costs the line at most a tenth of its time
LONGEST_REST_S = 60.0
JITTER_RATIO = 0.2  # so that many lines do not wake together
SHORTEST_WAIT_S = 0.15
_MARGIN = 4.0  # times the slowest reply of late: what a healthy unit is waited for
_FORGET_RATIO = 0.02  # of the slowest reply's time, at each faster one

CLOSED, HALF_OPEN, OPEN = "closed", "half_open", "open"


class Unit:
    """What is known of one unit."""

    def __init__(
        self,
        timeout_s: float,
        *,
        first_rest_s: float | None = None,
        longest_rest_s: float = LONGEST_REST_S,
        dice: random.Random | None = None,
    ) -> None:
        """``first_rest_s``: default `REST_TIMEOUTS` time-outs."""
        self._timeout_s = timeout_s
        self._first_rest_s = REST_TIMEOUTS * timeout_s if first_rest_s is None else first_rest_s
        self._longest_rest_s = max(self._first_rest_s, longest_rest_s)
        self._dice = dice or random.Random()
        self._slowest_s: float | None = None
        self._silent_ticks = 0
        self._rest_us = 0
        self._rest_until_us = 0
        self.state = CLOSED

    @property
    def is_suspect(self) -> bool:
        """Whether it has been silent since its last reply, or has never been asked."""
        return self._silent_ticks > 0 or self._slowest_s is None

    def wait_s(self, free_s: Callable[[], float], *, is_alone: bool = False) -> float:
        """How long to wait for the next reply, where a late one can be told from others.

        ``free_s``: time until the line is wanted again. ``is_alone``: no other unit of the line
        answers, so that waiting costs nobody but itself.
        """
        if self._slowest_s is None or self._silent_ticks:
            wait_s = self._timeout_s if is_alone else free_s()
        else:
            usual_s = _MARGIN * self._slowest_s
            wait_s = max(usual_s, free_s()) if is_alone else usual_s
        return min(max(SHORTEST_WAIT_S, wait_s), self._timeout_s)

    def rests(self, now_us: int) -> bool:
        """Whether the unit is left alone for now. At the end of its rest one request is tried."""
        if self.state == CLOSED:
            return False
        # A clock that is set back must not prolong the rest.
        if 0 < self._rest_until_us - now_us <= self._rest_us:
            return True
        self.state = HALF_OPEN
        return False

    @property
    def is_silent(self) -> bool:
        """Whether it has been silent since its last reply."""
        return self._silent_ticks > 0

    def answered(self, latency_s: float) -> None:
        """It gave what was asked, after ``latency_s``."""
        self.refused()
        self.learn(latency_s)

    def refused(self) -> None:
        """It answered, but not with what was asked."""
        self.state = CLOSED
        self._silent_ticks = 0
        self._rest_us = 0

    def learn(self, latency_s: float) -> None:
        """A reply took ``latency_s``; it may have come after its time-out."""
        slowest_s = self._slowest_s or 0.0
        self._slowest_s = max(latency_s, slowest_s + (latency_s - slowest_s) * _FORGET_RATIO)

    def was_silent(self, now_us: int) -> None:
        """Once a tick: the unit was asked and did not answer."""
        self._silent_ticks += 1
        if self._silent_ticks < PATIENCE_TICKS:
            return
        self.state = OPEN
        rest_s = 2 * self._rest_us / 1e6 if self._rest_us else self._first_rest_s
        self._rest_us = round(min(rest_s, self._longest_rest_s) * 1e6)
        jitter = 1 + JITTER_RATIO * (self._dice.random() - 1)  # 0.8 to 1 times
        self._rest_until_us = now_us + round(self._rest_us * jitter)
