"""Loads that change smoothly and by steps, and whose integrals are known in closed form.

Time is in hours since the plant's first midnight, and may be negative: every formula holds on the
whole axis, so an amount "of the quarter hour before the start" exists as well. A rate is in the
amount's unit per hour; a total is 0 at hour 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


class Part(Protocol):
    """One term of a load."""

    def total(self, hour: float) -> float:
        """Amount from hour 0 to ``hour``; negative before hour 0."""

    def rate(self, hour: float) -> float:
        """Amount per hour at ``hour``."""


@dataclass(frozen=True)
class Steady:
    """A constant rate."""

    per_h: float

    def total(self, hour: float) -> float:
        return self.per_h * hour

    def rate(self, hour: float) -> float:  # noqa: ARG002
        return self.per_h


@dataclass(frozen=True)
class Wave:
    """A rate that swings by ``per_h`` about 0; it peaks at ``peak_h`` of each period."""

    per_h: float
    period_h: float
    peak_h: float = 0.0

    def total(self, hour: float) -> float:
        swing = self.per_h * self.period_h / math.tau
        return swing * (math.sin(self._angle(hour)) - math.sin(self._angle(0.0)))

    def rate(self, hour: float) -> float:
        return self.per_h * math.cos(self._angle(hour))

    def _angle(self, hour: float) -> float:
        return math.tau * (hour - self.peak_h) / self.period_h


@dataclass(frozen=True)
class Straight:
    """A wave whose rate runs straight between points ``step_h`` apart, counted from hour 0.

    So a gauge that is read at those points tells its amount exactly (trapezoid rule).
    """

    wave: Wave
    step_h: float = 0.25

    def total(self, hour: float) -> float:
        # The trapezoid sum of a cosine over whole steps is its integral times x cot x.
        x = math.pi * self.step_h / self.wave.period_h
        point = math.floor(hour / self.step_h)
        whole = self.wave.total(point * self.step_h) * x / math.tan(x)
        left_h = hour - point * self.step_h
        return whole + (self.wave.rate(point * self.step_h) + self.rate(hour)) / 2 * left_h

    def rate(self, hour: float) -> float:
        point = math.floor(hour / self.step_h)
        before, after = (self.wave.rate((point + i) * self.step_h) for i in (0, 1))
        return before + (after - before) * (hour / self.step_h - point)


@dataclass(frozen=True)
class Shift:
    """A rate that is on from ``on_h`` to ``off_h`` of each period, and 0 outside.

    ``0 <= on_h < off_h <= period_h``.
    """

    per_h: float
    on_h: float
    off_h: float
    period_h: float = 24.0

    def total(self, hour: float) -> float:
        periods, inside = divmod(hour, self.period_h)
        whole = self.off_h - self.on_h
        return self.per_h * (periods * whole + min(max(inside - self.on_h, 0.0), whole))

    def rate(self, hour: float) -> float:
        return self.per_h if self.on_h <= hour % self.period_h < self.off_h else 0.0


@dataclass(frozen=True)
class Once:
    """A rate that is on one time only, from ``on_h`` to ``off_h``, both after hour 0."""

    per_h: float
    on_h: float
    off_h: float

    def total(self, hour: float) -> float:
        return self.per_h * (min(max(hour, self.on_h), self.off_h) - self.on_h)

    def rate(self, hour: float) -> float:
        return self.per_h if self.on_h <= hour < self.off_h else 0.0


@dataclass(frozen=True)
class Sum:
    """Parts added, each times a weight."""

    parts: tuple[tuple[float, Part], ...]

    def total(self, hour: float) -> float:
        return math.fsum(weight * part.total(hour) for weight, part in self.parts)

    def rate(self, hour: float) -> float:
        return math.fsum(weight * part.rate(hour) for weight, part in self.parts)


@dataclass(frozen=True)
class WhileRunning:
    """A load of a machine that stands still during ``stops`` (each from, to in hours, after 0).

    The load runs on the machine's own hours: while it stands its clock stands, so the integral
    stays the closed formula of the load, taken at the hours run.
    """

    load: Part
    stops: tuple[tuple[float, float], ...]

    def total(self, hour: float) -> float:
        return self.load.total(self._hours_run(hour))

    def rate(self, hour: float) -> float:
        if any(start <= hour < end for start, end in self.stops):
            return 0.0
        return self.load.rate(self._hours_run(hour))

    def _hours_run(self, hour: float) -> float:
        return hour - sum(min(max(hour, start), end) - start for start, end in self.stops)


def added(*parts: Part) -> Sum:
    """The load that is all of ``parts`` together."""
    return Sum(tuple((1.0, part) for part in parts))


def weighted(parts: Iterable[tuple[float, Part]]) -> Sum:
    """The load that is the weighted sum of ``parts``."""
    return Sum(tuple(parts))
