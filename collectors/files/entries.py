"""Production and energy statements from CSV files: spans that a person states."""

from __future__ import annotations

import bisect
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from collectors.files.table import LINE, ORIGIN_SCHEMA, REFUSED_SCHEMA, TEXT, ReadFile, read_table
from config.errors import ConfigError
from config.site import Site
from config.tables import OUTPUTS, STATEMENTS, Table
from config.units import amount_unit_of, conversion_factor

PRODUCTION_COLUMNS = ("product_id", "start", "end", "qualified_quantity")
PRODUCTION_OPTIONAL = ("unit", "output_value_cny")
STATEMENT_AMOUNTS = ("opening_stock", "purchased", "closing_stock", "sold")
STATEMENT_COLUMNS = ("meter_id", "start", "end", *STATEMENT_AMOUNTS)
STATEMENT_OPTIONAL = ("unit",)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)

Cells = dict[str, str]


class Refusal(Exception):
    """Why a line is refused."""


def read_production(
    file: Path, site: Site, entered_by: str, *, now: datetime | None = None
) -> ReadFile:
    """Read product_id,start,end,qualified_quantity[,unit][,output_value_cny] into outputs.

    Start and end are ISO 8601, local time of the plant where they carry no offset; a date as end
    means the end of that day. Quantities come out in the product's unit, which is also the
    default. Refused is an unknown product, a negative quantity, a span that is empty, ends in the
    future, or overlaps an earlier line's of the product. ``now``: default the machine's time.

    Raises InputError for a file that cannot be read or has other columns.
    """
    reader = _Entries(site, file, entered_by, now or datetime.now(UTC))

    def output(cells: Cells) -> dict[str, Any]:
        product_id = cells["product_id"]
        product = site.plant.products.get(product_id)
        if product is None:
            raise Refusal(f"unknown product {product_id!r}; known: {_list(site.plant.products)}")
        factor = _factor(cells.get("unit") or product.unit, product.unit)
        quantity = _amount(cells, "qualified_quantity") * factor
        value = _number(cells, "output_value_cny") if cells.get("output_value_cny") else None
        return {
            "product_id": product_id,
            "qualified_quantity": quantity,
            "unit": product.unit,
            "output_value_cny": value,
            **reader.span(product_id, cells),
        }

    return reader.read(PRODUCTION_COLUMNS, PRODUCTION_OPTIONAL, OUTPUTS, output)


def read_statements(
    file: Path, site: Site, entered_by: str, *, now: datetime | None = None
) -> ReadFile:
    """Read meter_id,start,end,opening_stock,purchased,closing_stock,sold[,unit] into statements.

    consumed = opening stock + purchased - closing stock - sold. Amounts come out in the unit that
    the energy is counted in; the default of ``unit`` is the ledger's. Start and end are as in
    `read_production`. Refused is an unknown meter, one that is read online, a negative amount or
    consumption, and a span that is empty, ends in the future, or overlaps an earlier line's.

    Raises InputError for a file that cannot be read or has other columns.
    """
    reader = _Entries(site, file, entered_by, now or datetime.now(UTC))

    def statement(cells: Cells) -> dict[str, Any]:
        meter_id = cells["meter_id"]
        default = _statement_unit(site, meter_id)
        unit = site.amount_unit(meter_id)
        factor = _factor(cells.get("unit") or default, unit)
        amounts = {name: _amount(cells, name) * factor for name in STATEMENT_AMOUNTS}
        consumed = math.fsum(
            (
                amounts["opening_stock"],
                amounts["purchased"],
                -amounts["closing_stock"],
                -amounts["sold"],
            )
        )
        if consumed < 0:
            raise Refusal(
                f"consumed {consumed:.6g} {unit} is negative: opening stock + purchased is less "
                "than closing stock + sold"
            )
        span = reader.span(meter_id, cells)
        return {"meter_id": meter_id, "unit": unit, **amounts, "consumed": consumed, **span}

    return reader.read(STATEMENT_COLUMNS, STATEMENT_OPTIONAL, STATEMENTS, statement)


def _statement_unit(site: Site, meter_id: str) -> str:
    """Unit that the meter's statements are in by default."""
    meter = site.plant.meters.get(meter_id)
    if meter is None:
        raise Refusal(f"unknown meter {meter_id!r}; known: {_list(site.plant.meters)}")
    if meter.product is not None:
        raise Refusal(f"{meter_id} weighs product {meter.product!r}; import it as production")
    if meter.connection is not None:
        raise Refusal(
            f"{meter_id} is read on connection {meter.connection!r}; a statement beside its "
            "readings would count twice"
        )
    return amount_unit_of(meter.unit)


@dataclass
class _Entries:
    """One file's entries: what goes into every row, and the spans taken so far."""

    site: Site
    file: Path
    entered_by: str
    now: datetime
    _taken: dict[str, list[tuple[datetime, datetime, int]]] = field(default_factory=dict)
    _line: int = 0

    def read(
        self,
        columns: tuple[str, ...],
        optional: tuple[str, ...],
        into: Table,
        row_of: Callable[[Cells], dict[str, Any]],
    ) -> ReadFile:
        table = read_table(self.file, columns, optional=optional)
        entry = {
            "plant_id": self.site.id,
            "source": self.file.name,
            "entered_by": self.entered_by,
            "entered_utc": self.now,
        }
        rows: list[dict[str, Any]] = []
        origin: list[tuple[int, str]] = []
        refused = [table.refused]
        for raw in table.rows.iter_rows(named=True):
            self._line = raw[LINE]
            cells = {name: _text(raw[name]) for name in table.columns}
            try:
                rows.append({**entry, **row_of(cells)})
            except Refusal as refusal:
                refused.append(_refused(self._line, str(refusal), raw[TEXT]))
            else:
                origin.append((self._line, raw[TEXT]))
        schema = into.polars_schema()
        return ReadFile(
            pl.DataFrame(rows, schema=dict(schema), orient="row"),
            pl.DataFrame(origin, schema=dict(ORIGIN_SCHEMA), orient="row"),
            pl.concat(refused).sort("line"),
            table.digest,
        )

    def span(self, subject: str, cells: Cells) -> dict[str, datetime]:
        """The line's start and end, UTC; taken for ``subject`` from here on."""
        zone = self.site.plant.plant.zone
        start = _time(cells["start"], "start", zone)
        end = _time(cells["end"], "end", zone)
        if end <= start:
            raise Refusal(f"end {cells['end']} is not after start {cells['start']}")
        if end > self.now:
            raise Refusal(f"end {cells['end']} is in the future")
        taken = self._taken.setdefault(subject, [])
        place = bisect.bisect_left(taken, (start, end, 0))
        for other_start, other_end, line in taken[max(place - 1, 0) : place + 1]:
            if other_start < end and start < other_end:
                raise Refusal(f"overlaps line {line}, which is of {subject} too")
        taken.insert(place, (start, end, self._line))
        return {"start_utc": start, "end_utc": end}


def _time(text: str, what: str, zone: ZoneInfo) -> datetime:
    """UTC of a stated start or end. A date is its first moment, or as an end its last."""
    try:
        if _DAY.fullmatch(text):
            day = date.fromisoformat(text) + timedelta(days=what == "end")
            stated = datetime(day.year, day.month, day.day)  # noqa: DTZ001
        else:
            stated = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise Refusal(f"{what} {text!r} is no date and no time such as 2026-10-01T08:00") from error
    if stated.tzinfo is not None:
        return stated.astimezone(UTC)
    early, late = (stated.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if early == late:
        return early
    do = "skip it" if early > late else "show it twice"
    raise Refusal(f"{what} {text}: the clocks of {zone.key} {do}; add the offset to UTC")


def _text(cell: object) -> str:
    return "" if cell is None else str(cell).strip()


def _number(cells: Cells, name: str) -> float:
    if not _NUMBER.fullmatch(cells[name]):  # float() would take 1_000 and full-width digits
        given = repr(cells[name]) if cells[name] else "empty"
        raise Refusal(f"{name} is {given}, not a number")
    number = float(cells[name])
    if not math.isfinite(number):
        raise Refusal(f"{name} {cells[name]} is not finite")
    return number


def _amount(cells: Cells, name: str) -> float:
    number = _number(cells, name)
    if number < 0:
        raise Refusal(f"{name} {cells[name]} is negative")
    return number


def _factor(given: str, wanted: str) -> float:
    try:
        return conversion_factor(given, wanted)
    except ConfigError as error:
        raise Refusal(error.given) from error


def _list(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _refused(line: int, reason: str, text: str) -> pl.DataFrame:
    return pl.DataFrame(
        {"line": [line], "reason": [reason], "text": [text]}, schema=dict(REFUSED_SCHEMA)
    )
