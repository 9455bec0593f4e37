"""The plant's statistical months, which may end on another day than the calendar's."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta


def statistical_month(day: date, month_end_day: int) -> tuple[int, int]:
    """Year and month of the statistical month that ``day`` belongs to.

    >>> statistical_month(date(2026, 9, 26), 25), statistical_month(date(2026, 9, 25), 25)
    ((2026, 10), (2026, 9))
    """
    last = min(month_end_day, monthrange(day.year, day.month)[1])
    if day.day <= last:
        return day.year, day.month
    return (day.year, day.month + 1) if day.month < 12 else (day.year + 1, 1)


def month_start(year: int, month: int, month_end_day: int) -> date:
    """First day of a statistical month: the day after the one before ends.

    >>> month_start(2026, 10, 25), month_start(2026, 3, 31)
    (datetime.date(2026, 9, 26), datetime.date(2026, 3, 1))
    """
    year, month = (year, month - 1) if month > 1 else (year - 1, 12)
    last = min(month_end_day, monthrange(year, month)[1])
    return date(year, month, last) + timedelta(1)


def month_after(year: int, month: int) -> tuple[int, int]:
    return (year, month + 1) if month < 12 else (year + 1, 1)
