"""The span of time that an entry states: start and end, a date, a month, or a shift of a date."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from config.months import month_after, month_start
from config.shifts import shift_of
from config.site import Site

_YEARS = range(1900, 9999)
FIRST = datetime(1990, 1, 1, tzinfo=UTC)
WAYS = "start and end; date; month; date and shift"
_DATE = r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?"
_DAY = re.compile(_DATE, re.ASCII)
_AT_MIDNIGHT = re.compile(r"(?:[Tt]|\s+)00?:00(?::00(?:\.0+)?)?$", re.ASCII)
_MOMENT = re.compile(_DATE + r"(?:[Tt]|\s+)(\d{1,2})(:\d{2}.*)", re.ASCII)
_MONTH = re.compile(r"(\d{4})[-/.年](\d{1,2})月?", re.ASCII)

Cells = dict[str, str]


class Refusal(Exception):
    """Why a line is refused."""


class Span(NamedTuple):
    """UTC, and the shift that it is, if any."""

    start: datetime
    end: datetime
    shift: str | None


def span_of(cells: Cells, site: Site, now: datetime) -> Span:
    """The line's span. Raises Refusal where it is none, in the future, or long ago."""
    given = {name for name in ("start", "end", "date", "month", "shift") if cells.get(name)}
    zone = site.plant.plant.zone
    shift = cells.get("shift") or None
    if shift is not None and shift not in site.plant.shifts:
        raise Refusal(f"unknown shift {shift!r}; known: {', '.join(site.plant.shifts) or 'none'}")
    if given - {"shift"} == {"start", "end"}:
        start, end = _time(cells["start"], "start", zone), _time(cells["end"], "end", zone)
        what = f"end {cells['end']}"
        if end <= start:
            raise Refusal(f"{what} is not after start {cells['start']}")
    elif given == {"date"}:
        day = _day(cells["date"], "date")
        start, end = _midnight(day, zone), _midnight(day + timedelta(1), zone)
        what = f"the end of {day}"
    elif given == {"month"}:
        start, end = _month(cells["month"], zone, site.plant.plant.month_end_day)
        what = f"the end of month {cells['month']}"
    elif given == {"date", "shift"}:
        day = _day(cells["date"], "date")
        found = shift_of(site.plant.shifts, shift or "", day, zone)
        if found is None:
            raise Refusal(f"there is no shift {shift!r} on {day}: see valid_from and valid_to")
        start, end = found.start_utc, found.end_utc
        what = f"the end of {day} {shift}"
    else:
        stated = " and ".join(sorted(given)) or "no time"
        raise Refusal(f"it states {stated}; allowed: {WAYS}")
    if end > now:
        raise Refusal(f"{what} is in the future")
    if start < FIRST:
        raise Refusal(f"it starts before {FIRST:%Y}")
    return Span(start, end, shift)


def _time(text: str, what: str, zone: ZoneInfo) -> datetime:
    """UTC of a stated start or end. A date is its first moment, or as an end its last."""
    try:
        if _DAY.fullmatch(text):
            stated = datetime.combine(_day(text, what) + timedelta(days=what == "end"), time())
        else:
            stated = _moment(text)
    except (ValueError, OverflowError) as error:
        raise Refusal(f"{what} {text!r} is no date and no time such as 2026-10-01T08:00") from error
    if stated.tzinfo is not None:
        return stated.astimezone(UTC)
    early, late = (stated.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    # A day begins at its first moment, also where the clocks skip or repeat its midnight.
    if early == late or _DAY.fullmatch(text):
        return early
    do = "skip it" if early > late else "show it twice"
    raise Refusal(f"{what} {text}: the clocks of {zone.key} {do}; add the offset to UTC")


def _moment(text: str) -> datetime:
    """A time as it is written; 24:00 is the midnight that ends the day. Raises ValueError."""
    found = _MOMENT.fullmatch(text)
    if found is None or int(found[1]) not in _YEARS:
        raise ValueError
    year, month, day, hour, rest = found.groups()
    days = hour == "24" and rest.strip(":0") == ""
    written = f"{year}-{int(month):02}-{int(day):02}T{0 if days else int(hour):02}{rest}"
    return datetime.fromisoformat(written.replace(" ", "")) + timedelta(days)


def _day(text: str, what: str) -> date:
    """A date, also as programs write it that know times alone."""
    found = _DAY.fullmatch(_AT_MIDNIGHT.sub("", text))
    try:
        if found is not None and int(found[1]) in _YEARS:
            return date(*map(int, found.groups()))
    except ValueError:
        pass
    raise Refusal(f"{what} {text!r} is no date such as 2026-10-01")


def _month(text: str, zone: ZoneInfo, month_end_day: int) -> tuple[datetime, datetime]:
    """The plant's statistical month, which may end on another day than the calendar's.

    A date of the first of a month is one too: spreadsheets make that of a month.
    """
    found = _MONTH.fullmatch(text)
    if found is not None and 1 <= int(found[2]) <= 12 and int(found[1]) in _YEARS:
        year, month = int(found[1]), int(found[2])
    elif _DAY.match(text) and (day := _day(text, "month")).day == 1:
        year, month = day.year, day.month
    else:
        raise Refusal(f"month {text!r} is no month such as 2026-10")
    first = month_start(year, month, month_end_day)
    after = month_start(*month_after(year, month), month_end_day)
    return _midnight(first, zone), _midnight(after, zone)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
