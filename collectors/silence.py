"""Units of one line that do not answer: they are given rest, so that the others are served."""

from __future__ import annotations

from dataclasses import dataclass

PATIENCE_TICKS = 3  # a unit that was silent for so many ticks in a row rests
REST_TIMEOUTS = 9  # for so many time-outs: then it costs the line at most a tenth of its time


@dataclass
class _Silence:
    ticks: int = 0
    rest_until_us: int = 0


class SilentUnits:
    """The units of one line that were silent when they were last asked."""

    def __init__(self, timeout_s: float) -> None:
        self._rest_us = round(REST_TIMEOUTS * timeout_s * 1e6)
        self._units: dict[int, _Silence] = {}

    def __contains__(self, unit_id: int) -> bool:
        return unit_id in self._units

    def __str__(self) -> str:
        return ", ".join(str(unit_id) for unit_id in sorted(self._units))

    def __bool__(self) -> bool:
        return bool(self._units)

    def rests(self, unit_id: int, now_us: int) -> bool:
        """Whether the unit is left alone for now."""
        silence = self._units.get(unit_id)
        # A clock that is set back must not prolong the rest.
        return silence is not None and 0 < silence.rest_until_us - now_us <= self._rest_us

    def answered(self, unit_id: int) -> None:
        self._units.pop(unit_id, None)

    def was_silent(self, unit_id: int, now_us: int) -> None:
        """Once a tick: the unit was asked and did not answer."""
        silence = self._units.setdefault(unit_id, _Silence())
        silence.ticks += 1
        if silence.ticks >= PATIENCE_TICKS:
            silence.rest_until_us = now_us + self._rest_us
