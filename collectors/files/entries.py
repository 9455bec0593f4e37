"""Production and energy statements (填报): spans that a person or a database states."""

from __future__ import annotations

import bisect
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from collectors.files import headings
from collectors.files.headings import HEADINGS
from collectors.files.spans import WAYS, Cells, Refusal, span_of
from collectors.files.table import (
    LINE,
    ORIGIN_SCHEMA,
    REFUSED_SCHEMA,
    TEXT,
    ReadFile,
    read_table,
)
from collectors.files.table import Table as CellTable
from config.errors import ConfigError, InputError
from config.site import Site
from config.tables import OUTPUTS, STATEMENTS, Table
from config.units import amount_unit_of, conversion_factor

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def read_production(
    file: Path,
    site: Site,
    entered_by: str,
    *,
    now: datetime | None = None,
    sheet: str | None = None,
) -> ReadFile:
    """Read product_id,qualified_quantity and a time[,unit][,output_value_cny][,batch] into outputs.

    The time is ``start`` and ``end`` (ISO 8601, local time of the plant where they carry no
    offset; a date as end means the end of that day), or a ``date``, or a ``month``, or a ``date``
    and a ``shift``. Quantities come out in the product's unit, which is also the default. Refused
    is an unknown product, a negative quantity, a unit of another dimension, a span that is empty,
    ends in the future, or overlaps an earlier line's of the product. ``now``: default the
    machine's time.

    Raises InputError for a file that cannot be read or has other columns.
    """
    optional = headings.PRODUCTION_OPTIONAL
    table = read_table(file, headings.PRODUCTION, optional=optional, headings=HEADINGS, sheet=sheet)
    return production_of(table, site, file.name, entered_by, now=now)


def production_of(
    table: CellTable, site: Site, source: str, entered_by: str, *, now: datetime | None = None
) -> ReadFile:
    """`read_production` of cells that are there already."""
    reader = _Entries(site, table, source, entered_by, now or datetime.now(UTC))

    def output(cells: Cells) -> dict[str, Any]:
        product_id = cells["product_id"]
        product = site.plant.products.get(product_id)
        if product is None:
            raise Refusal(f"unknown product {product_id!r}; known: {_list(site.plant.products)}")
        convert = reader.conversion(cells.get("unit"), product.unit, product.unit)
        quantity = convert(_amount(cells, "qualified_quantity"))
        value = _number(cells, "output_value_cny") if cells.get("output_value_cny") else None
        return {
            "product_id": product_id,
            "qualified_quantity": quantity,
            "unit": product.unit,
            "output_value_cny": value,
            "batch": cells.get("batch") or None,
            **reader.span(product_id, cells),
        }

    return reader.read(OUTPUTS, output)


def read_statements(
    file: Path,
    site: Site,
    entered_by: str,
    *,
    now: datetime | None = None,
    sheet: str | None = None,
) -> ReadFile:
    """Read meter_id,opening_stock,purchased,closing_stock,sold and a time[,unit] into statements.

    consumed = opening stock + purchased - closing stock - sold. Amounts come out in the unit that
    the energy is counted in; the default of ``unit`` is the ledger's. The time is as in
    `read_production`. Refused is an unknown meter, one that is read online, a negative amount or
    consumption, a unit of another dimension, and a span that is empty, ends in the future, or
    overlaps an earlier line's.

    Raises InputError for a file that cannot be read or has other columns.
    """
    optional = headings.STATEMENTS_OPTIONAL
    table = read_table(file, headings.STATEMENTS, optional=optional, headings=HEADINGS, sheet=sheet)
    return statements_of(table, site, file.name, entered_by, now=now)


def statements_of(
    table: CellTable, site: Site, source: str, entered_by: str, *, now: datetime | None = None
) -> ReadFile:
    """`read_statements` of cells that are there already."""
    reader = _Entries(site, table, source, entered_by, now or datetime.now(UTC))

    def statement(cells: Cells) -> dict[str, Any]:
        meter_id = cells["meter_id"]
        default = _statement_unit(site, meter_id)
        unit = site.amount_unit(meter_id)
        convert = reader.conversion(cells.get("unit"), default, unit)
        stated = {name: _amount(cells, name) for name in headings.AMOUNTS}
        amounts = {name: convert(amount) for name, amount in stated.items()}
        consumed = math.fsum(
            (
                amounts["opening_stock"],
                amounts["purchased"],
                -amounts["closing_stock"],
                -amounts["sold"],
            )
        )
        if abs(consumed) < 1e-9 * max(amounts.values()):
            consumed = 0.0  # what rounding leaves of numbers that are equal
        if consumed < 0:
            raise Refusal(
                f"consumed {consumed:.6g} {unit} is negative: opening stock + purchased is less "
                "than closing stock + sold"
            )
        span = reader.span(meter_id, cells)
        del span["shift"]
        return {"meter_id": meter_id, "unit": unit, **amounts, "consumed": consumed, **span}

    return reader.read(STATEMENTS, statement)


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
    """The entries of one file: what goes into every row, and the spans taken so far."""

    site: Site
    table: CellTable
    source: str
    entered_by: str
    now: datetime
    _taken: dict[str, list[tuple[datetime, datetime, int]]] = field(default_factory=dict)
    _notes: list[str] = field(default_factory=list)
    _line: int = 0

    def read(self, into: Table, row_of: Callable[[Cells], dict[str, Any]]) -> ReadFile:
        table = self.table
        if not {"start", "date", "month"} & set(table.columns):
            raise InputError(
                f"{self.source}: no column of time",
                allowed=WAYS,
                data="nothing was imported",
                todo="add the columns of one of these",
            )
        entry = {
            "plant_id": self.site.id,
            "source": self.source,
            "entered_by": self.entered_by,
            "entered_utc": self.now,
        }
        flaws = dict(reversed(table.flaws.select("line", "reason").rows()))
        rows: list[dict[str, Any]] = []
        origin: list[tuple[int, str]] = []
        refused = [table.refused]
        for raw in table.rows.iter_rows(named=True):
            self._line = raw[LINE]
            cells = {name: _text(raw[name]) for name in table.columns}
            noted = len(self._notes)
            try:
                if self._line in flaws:
                    raise Refusal(flaws[self._line])
                reason = cells.get("reason") or None
                rows.append({**entry, "reason": reason, **row_of(cells)})
            except Refusal as refusal:
                del self._notes[noted:]
                refused.append(_refused(self._line, str(refusal), raw[TEXT]))
            else:
                origin.append((self._line, raw[TEXT]))
        return ReadFile(
            pl.DataFrame(rows, schema=dict(into.polars_schema()), orient="row"),
            pl.DataFrame(origin, schema=dict(ORIGIN_SCHEMA), orient="row"),
            pl.concat(refused).sort("line"),
            table.digest,
            table.sheet,
            tuple(self._notes),
        )

    def conversion(self, stated: str | None, default: str, wanted: str) -> Callable[[float], float]:
        """From the unit stated, or else the default, to the one wanted. What was converted from
        a unit that is not the default is noted."""
        given = stated or default
        try:
            factor = conversion_factor(given, wanted)
        except ConfigError as error:
            allowed = f"; allowed: {error.allowed}" if error.allowed else ""
            raise Refusal(error.given + allowed) from error
        word = "row" if self.table.sheet else "line"

        def convert(amount: float) -> float:
            if given != default and amount:
                made = f"{amount * factor:.12g} {wanted}"
                self._notes.append(f"{word} {self._line}: {amount:.12g} {given} is {made}")
            return amount * factor

        return convert

    def span(self, subject: str, cells: Cells) -> dict[str, Any]:
        """The line's start and end, UTC; taken for ``subject`` from here on."""
        start, end, shift = span_of(cells, self.site, self.now)
        taken = self._taken.setdefault(subject, [])
        place = bisect.bisect_left(taken, (start, end, 0))
        for other_start, other_end, line in taken[max(place - 1, 0) : place + 1]:
            if (other_start, other_end) == (start, end):
                raise Refusal(f"repeats line {line}, which is of {subject} and the same time")
            if other_start < end and start < other_end:
                raise Refusal(f"overlaps line {line}, which is of {subject} too")
        taken.insert(place, (start, end, self._line))
        return {"start_utc": start, "end_utc": end, "shift": shift}


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


def _list(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _refused(line: int, reason: str, text: str) -> pl.DataFrame:
    return pl.DataFrame(
        {"line": [line], "reason": [reason], "text": [text]}, schema=dict(REFUSED_SCHEMA)
    )
