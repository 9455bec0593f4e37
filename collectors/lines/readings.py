"""Readings of what a request gave, or of why it gave nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from itertools import repeat

from collectors.base import GOOD
from collectors.lines.line import Found, Wanted
from config.tables import Reading

_new_reading = partial(tuple.__new__, Reading)  # a third of the time that Reading() takes


class Readings:
    """Makes the readings of one request's values; ``source`` is the connection."""

    def __init__(self, values: Sequence[Wanted], source: str) -> None:
        self.meter_ids = [value.meter_id for value in values]
        self._quantities = [value.quantity for value in values]
        self._source = source

    def good(self, values: Sequence[float | None], time_us: int, tick: int) -> list[Reading]:
        """All of them good, read at ``time_us``."""
        return self._made(repeat(time_us), values, repeat(GOOD), tick)

    def without_value(self, status: str, due_us: int, tick: int) -> list[Reading]:
        """None of them, for the reason ``status``; ``due_us``: when they were due."""
        return self._made(repeat(due_us), repeat(None), repeat(status), tick)

    def mixed(self, found: Found, time_us: int, due_us: int, tick: int) -> list[Reading]:
        """Each with its own status; what has no value carries the time that it was due."""
        times = [due_us if value is None else time_us for value in found.values]
        return self._made(times, found.values, found.statuses or repeat(GOOD), tick)

    def _made(self, times: object, values: object, statuses: object, tick: int) -> list[Reading]:
        columns = zip(
            self.meter_ids, self._quantities, times, values, statuses,  # type: ignore[call-overload]
            repeat(self._source), repeat(time.time_ns() // 1000), repeat(tick),
        )  # fmt: skip
        return list(map(_new_reading, columns))
