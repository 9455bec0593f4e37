"""The plant's shifts (班次): named spans of the local clock, which may cross midnight."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from itertools import combinations
from typing import Annotated, Literal, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from config.base import Model

DAY_MINUTES = 24 * 60
# Energy is known on a grid of quarter hours: a shift begins and ends on it.
_CLOCK = r"^([01]\d|2[0-3]):(00|15|30|45)$"
_CLOCK_TO_24 = r"^(([01]\d|2[0-3]):(00|15|30|45)|24:00)$"


class Shift(Model):
    """When a shift begins and ends, and from when to when that holds."""

    start: str = Field(pattern=_CLOCK, description="Local time, on a quarter hour: '22:00'.")
    end: str = Field(
        pattern=_CLOCK_TO_24,
        description="Local time, on a quarter hour; not after `start`: on the next day.",
    )
    valid_from: date | None = Field(None, description="First day it begins on; default ever.")
    valid_to: date | None = Field(None, description="Last day it begins on; default for ever.")
    day_of: Literal["start", "end"] = Field(
        "start",
        description="Which day a shift across midnight belongs to: that of its start or its end.",
    )

    @model_validator(mode="after")
    def _in_order(self) -> Shift:
        if self.valid_from and self.valid_to and self.valid_to < self.valid_from:
            raise ValueError("valid_to is before valid_from")
        return self

    @property
    def start_minute(self) -> int:
        return _minute(self.start)

    @property
    def minutes(self) -> int:
        """Length by the clock; 1,440 where it ends when it began."""
        return (_minute(self.end) - self.start_minute - 1) % DAY_MINUTES + 1

    @property
    def crosses_midnight(self) -> bool:
        return self.start_minute + self.minutes > DAY_MINUTES

    def begins_on(self, day: date) -> bool:
        """Whether there is one that begins on the day."""
        return (self.valid_from or day) <= day <= (self.valid_to or day)

    def first_day(self, day: date) -> date:
        """The day on which the shift of ``day`` begins."""
        return day - timedelta(self.day_of == "end" and self.crosses_midnight)


ShiftName = Annotated[str, Field(min_length=1, max_length=32, pattern=r"^\S(.*\S)?$")]
ShiftPlan = Mapping[str, tuple[Shift, ...]]


class ShiftSpan(NamedTuple):
    """One shift of one day. ``day``: the day that it belongs to."""

    name: str
    day: date
    start_utc: datetime
    end_utc: datetime


def shift_of(plan: ShiftPlan, name: str, day: date, zone: ZoneInfo) -> ShiftSpan | None:
    """The shift of that name that belongs to the day; None where there is none."""
    for shift in plan.get(name, ()):
        first = shift.first_day(day)
        if shift.begins_on(first):
            start = _at(first, shift.start_minute, zone)
            return ShiftSpan(name, day, start, _at(first, shift.start_minute + shift.minutes, zone))
    return None


def shift_spans(
    plan: ShiftPlan, start: datetime, end: datetime, zone: ZoneInfo
) -> Iterator[ShiftSpan]:
    """The shifts that overlap ``start`` to ``end`` (aware), in order of their time."""
    day, last = start.astimezone(zone).date() - timedelta(2), end.astimezone(zone).date()
    found = []
    while day <= last + timedelta(1):
        spans = (shift_of(plan, name, day, zone) for name in plan)
        found += [s for s in spans if s is not None and s.end_utc > start and s.start_utc < end]
        day += timedelta(1)
    yield from sorted(found, key=lambda span: span.start_utc)


def shift_problems(plan: ShiftPlan) -> Iterator[tuple[str, str]]:
    """Name of a shift, and what it overlaps: work of a time would belong to two."""
    every = [(name, shift) for name, shifts in plan.items() for shift in shifts]
    for (name, one), (other_name, other) in combinations(every, 2):
        if _meet_in_time(one, other) and _share_a_day(one, other):
            yield (
                other_name,
                f"{other_name} {other.start} to {other.end} overlaps {name} {one.start} to "
                f"{one.end}",
            )


def shift_gaps(plan: ShiftPlan, day: date) -> list[str]:
    """Spans of the clock that no shift of the plan covers on the day, such as '06:00 to 08:00'."""
    covered = [False] * (DAY_MINUTES // 15)
    for shifts in plan.values():
        for shift in shifts:
            if shift.begins_on(day):
                for minute in range(shift.start_minute, shift.start_minute + shift.minutes, 15):
                    covered[minute % DAY_MINUTES // 15] = True
    gaps: list[str] = []
    begun: int | None = None
    for quarter, there in enumerate([*covered, True]):
        if not there and begun is None:
            begun = quarter
        elif there and begun is not None:
            gaps.append(f"{_clock(begun * 15)} to {_clock(quarter * 15)}")
            begun = None
    return gaps


def _meet_in_time(one: Shift, other: Shift) -> bool:
    """Whether both hold at some time: a shift runs on into the day after its last."""
    first, after = date.min, date.max - timedelta(1)
    return (one.valid_from or first) <= (other.valid_to or after) and (
        other.valid_from or first
    ) <= (one.valid_to or after)


def _share_a_day(one: Shift, other: Shift) -> bool:
    """Whether they overlap on the clock, which goes round."""
    ahead = (other.start_minute - one.start_minute) % DAY_MINUTES
    return ahead < one.minutes or DAY_MINUTES - ahead < other.minutes


def _minute(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _at(day: date, minute: int, zone: ZoneInfo) -> datetime:
    """UTC of the clock's ``minute`` of the day, which may lie on the next. Of a time that the
    clocks show twice the first; one that they skip is the moment at which they do."""
    days, minute = divmod(minute, DAY_MINUTES)
    there = datetime.combine(day + timedelta(days), time(minute // 60, minute % 60), zone)
    return there.astimezone(UTC)
