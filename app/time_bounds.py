"""Bounds of time as a person writes them on the command line."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from config.errors import InputError


def time_bound(text: str | None, zone: ZoneInfo, *, end: bool) -> datetime | None:
    """A bound in UTC, given in the plant's time: a date (the end: its whole day), or a time.

    Raises InputError.
    """
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        try:
            given = datetime.fromisoformat(text)
        except ValueError:
            raise InputError(
                f"{text!r} is no time", allowed="2026-10-05, or 2026-10-05T06:00 in plant time"
            ) from None
        return (given if given.tzinfo else given.replace(tzinfo=zone)).astimezone(UTC)
    return datetime.combine(day + timedelta(1) if end else day, time(0), zone).astimezone(UTC)
