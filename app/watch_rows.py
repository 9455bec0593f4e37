"""What `kgce watch` shows of each meter, as data and on a screen."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from app.language import HEADINGS_ZH, Lang, status_words, word
from app.latest import Latest
from app.output import number
from collectors.base import GOOD
from config.connections import Files
from config.errors import InputError
from config.models import Meter
from config.site import Site

if TYPE_CHECKING:
    import polars as pl
    from rich.table import Table

LOOK_S = 1.0
"""A value may be this much older than its meter's interval without being late."""
STALE, NEVER = "stale", "never"
_HEADINGS = (
    "meter_id", "name", "value", "unit", "status", "age", "connection", "connection_state",
)  # fmt: skip
_COLOURS = {GOOD: "", STALE: "yellow", NEVER: "dim"}


class Row(NamedTuple):
    """One meter. ``value`` and ``time_utc`` are those of its last good reading, ``status`` is the
    state now: good, stale (no good reading for a gap's time), never, or why the last poll gave no
    value. The value is as the meter shows it: in ``unit``, before CT and PT ratios."""

    meter_id: str
    name: str
    value: float | None
    unit: str
    status: str
    time_utc: datetime | None
    age_s: float | None
    connection: str
    connection_state: str


def watched(site: Site, wanted: Sequence[str]) -> list[Meter]:
    """The meters that are wanted, by id or pattern; all that are collected where none is named.

    Raises InputError for a name that fits no meter.
    """
    meters = site.plant.meters
    if not wanted:
        return [meter for meter in meters.values() if _is_collected(site, meter)]
    chosen: set[str] = set()
    for pattern in wanted:
        found = [meter_id for meter_id in meters if fnmatchcase(meter_id, pattern)]
        if not found:
            near = difflib.get_close_matches(pattern, meters, 1)
            raise InputError(
                f"no meter {pattern!r}",
                allowed="meter ids of the ledger, or patterns such as 'e-*'",
                todo=f"did you mean {near[0]!r}?" if near else "see `kgce status` for the ids",
            )
        chosen.update(found)
    return [meter for meter_id, meter in meters.items() if meter_id in chosen]


def _is_collected(site: Site, meter: Meter) -> bool:
    return meter.connection is not None and not isinstance(
        site.plant.connections[meter.connection], Files
    )


def rows_of(
    site: Site,
    meters: Sequence[Meter],
    latest: Latest,
    states: Mapping[str, str],
    now_us: int,
    interval_s: float | None = None,
) -> list[Row]:
    """A row for each meter. ``interval_s`` goes before the configured intervals."""
    gaps = site.plant.quality.gap_factor
    rows = []
    for meter in meters:
        last, good = latest.any.get(meter.meter_id), latest.good.get(meter.meter_id)
        age_s = None if good is None else (now_us - good.time_us) / 1e6
        due_s = gaps * (interval_s or site.plant.interval_s(meter)) + LOOK_S
        if last is None:
            status = NEVER
        elif last.status != GOOD:
            status = last.status
        else:
            status = GOOD if age_s is not None and age_s <= due_s else STALE
        rows.append(
            Row(
                meter_id=meter.meter_id,
                name=meter.name,
                value=None if good is None else good.value,
                unit=meter.unit,
                status=status,
                time_utc=None if good is None else datetime.fromtimestamp(good.time_us / 1e6, UTC),
                age_s=age_s,
                connection=meter.connection or "",
                connection_state=states.get(meter.connection or "", ""),
            )
        )
    return rows


def frame_of(rows: Sequence[Row]) -> pl.DataFrame:
    """The rows as data, for scripts."""
    import polars as pl

    return pl.DataFrame(
        rows,
        schema={
            "meter_id": pl.String, "name": pl.String, "value": pl.Float64, "unit": pl.String,
            "status": pl.String, "time_utc": pl.Datetime("us", "UTC"), "age_s": pl.Float64,
            "connection": pl.String, "connection_state": pl.String,
        },
        orient="row",
    )  # fmt: skip


def table_of(rows: Sequence[Row], title: str, lang: Lang, most: int | None = None) -> Table:
    """The rows for a screen; of more than ``most`` those in trouble are shown first."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    shown = list(rows)
    if most is not None and len(rows) > most:
        shown = sorted(rows, key=lambda row: row.status == GOOD)[: max(1, most)]
    left = len(rows) - len(shown)
    table = Table(
        title=Text(title, style="bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        caption=_left_out(left, lang) if left else None,
        caption_justify="left",
    )
    for name in _HEADINGS:
        heading = HEADINGS_ZH.get(name, name) if lang == "zh" else name.replace("_", " ")
        right = name in ("value", "age")
        table.add_column(heading, justify="right" if right else "left", no_wrap=True)
    for row in shown:
        colour = _COLOURS.get(row.status, "red")
        value = "–" if row.value is None else number(row.value)
        table.add_row(
            Text(row.meter_id),
            Text(row.name),
            # A value that is not of now must not look like one that is.
            Text(value, style="bold" if row.status == GOOD else "dim"),
            Text(row.unit),
            Text(status_words(row.status, lang), style=colour),
            Text(age_text(row.age_s), style=colour),
            Text(row.connection),
            Text(word(row.connection_state, lang), style="red" if _is_down(row) else ""),
        )
    return table


def _is_down(row: Row) -> bool:
    return row.connection_state not in ("up", "starting", "")


def _left_out(count: int, lang: Lang) -> str:
    if lang == "zh":
        return f"另有 {count} 个计量器具：请指定编号，或用 --once"
    return f"and {count} more: name meters, or give --once"


def age_text(age_s: float | None) -> str:
    """Such as ``3 s``, ``12 min``, ``5 h``, ``40 d``; a clock that is ahead gives less than 0.

    >>> age_text(2.6), age_text(61), age_text(7300), age_text(-30), age_text(None)
    ('3 s', '1 min', '2 h', '-30 s', '–')
    """
    if age_s is None:
        return "–"
    for unit_s, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if abs(age_s) >= (2 if unit == "d" else 1) * unit_s:
            return f"{int(age_s / unit_s)} {unit}"
    return f"{round(age_s)} s"
