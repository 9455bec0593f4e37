"""An Excel workbook (.xlsx) as cells, each row with the number that Excel shows.

A cell that shows something else than it holds is a flaw, with its place: an error such as #N/A, a
formula whose value was never computed, a cell inside merged ones that holds nothing of its own.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import iterparse
from zipfile import ZipFile

from openpyxl import load_workbook
from openpyxl.utils import get_column_letter, range_boundaries

from config.errors import InputError

XLSX_MAGIC = b"PK\x03\x04"
OLD_MAGIC = b"\xd0\xcf\x11\xe0"
MOST_BYTES = 512 * 1024 * 1024
"""Of a workbook when it is unpacked."""
_HEADER_WITHIN = 30
"""Rows among which the header is looked for: titles may stand above it."""

Cell = str | date | datetime | None


@dataclass
class Sheet:
    """``rows``: cells by row number, without blank rows; ``header``: names by column number.

    ``flaws``: why a cell cannot be believed, by row and column number.
    """

    name: str
    header: dict[int, str]
    rows: dict[int, dict[int, Cell]] = field(default_factory=dict)
    flaws: dict[tuple[int, int], str] = field(default_factory=dict)


def read_sheet(
    file: Path,
    content: bytes,
    sheet: str | None,
    wanted: Sequence[str],
    headings: Mapping[str, str],
) -> Sheet:
    """The sheet of that name, or else the only one with anything in it.

    The header is the first row that has all of the ``wanted`` columns, by their names or by
    ``headings``; else the first that is not blank. Raises InputError.
    """
    try:
        with ZipFile(BytesIO(content)) as packed:
            unpacked = sum(part.file_size for part in packed.infolist())
        if unpacked > MOST_BYTES:
            raise InputError(
                f"{file}: {unpacked / 2**20:,.0f} MB when it is unpacked",
                allowed=f"{MOST_BYTES // 2**20} MB",
                data="nothing was imported",
                todo="split it, or save it as CSV",
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and validations that it does not know
            return _read(file, content, sheet, wanted, headings)
    except InputError:
        raise
    except Exception as error:  # the library raises whatever a broken part makes it stumble over
        raise InputError(
            f"{file}: no Excel workbook that can be read: {type(error).__name__}: {error}",
            data="nothing was imported",
            todo="open and save it in Excel, or save it as 'CSV UTF-8'",
        ) from error


def _read(
    file: Path,
    content: bytes,
    name: str | None,
    wanted: Sequence[str],
    headings: Mapping[str, str],
) -> Sheet:
    book = load_workbook(BytesIO(content), read_only=True, data_only=True)
    page = _chosen(file, book, name)
    sheet = Sheet(page.title, {})
    before: dict[int, dict[int, Cell]] = {}
    gaps = False
    for number, cells in _rows(page):
        here: dict[int, Cell] = {}
        for column, cell in cells:
            value, flaw = _value(cell)
            if flaw:
                sheet.flaws[number, column] = f"cell {_place(number, column)} {flaw}"
            if value is not None:
                here[column] = value
        if not here:
            gaps = True
            continue
        if sheet.header:
            sheet.rows[number] = here
            gaps = gaps or len(here) < len(sheet.header)
            continue
        named = _named(here, headings)
        if set(wanted) <= set(named.values()):
            sheet.header = named
            continue
        before[number] = here
        if len(before) == _HEADER_WITHIN:
            break
    if not sheet.header and before:  # the first one says what is missing
        sheet.header = _named(next(iter(before.values())), headings)
    if gaps and sheet.header:
        _flaws_of_empty_cells(content, page, sheet)
    return sheet


def _named(cells: Mapping[int, Cell], headings: Mapping[str, str]) -> dict[int, str]:
    return {column: headings.get(str(cell), str(cell)) for column, cell in cells.items()}


def _chosen(file: Path, book: Any, name: str | None) -> Any:
    nothing = "nothing was imported"
    titles = [page.title for page in book.worksheets]
    if name is not None:
        for page in book.worksheets:
            if page.title == name:
                return page
        raise InputError(f"{file}: no sheet {name!r}", allowed=", ".join(titles), data=nothing)
    shown = [page for page in book.worksheets if page.sheet_state == "visible"]
    filled = [page for page in shown if any(_value(c)[0] for _, row in _rows(page) for _, c in row)]
    if len(filled) != 1:
        raise InputError(
            f"{file}: {len(filled)} sheets hold something",
            allowed=f"one, or the name of one: {', '.join(titles)}",
            data=nothing,
            todo="name the sheet with --sheet" if filled else "fill the workbook",
        )
    return filled[0]


def _rows(page: Any) -> Iterator[tuple[int, list[tuple[int, Any]]]]:
    """Row numbers with the cells that there are, by column number (from 1)."""
    page.reset_dimensions()  # what the file says of its size may be wrong
    for number, cells in enumerate(page.iter_rows(), 1):
        yield number, [(c, cell) for c, cell in enumerate(cells, 1) if cell.value is not None]


def _value(cell: Any) -> tuple[Cell, str]:
    """What a cell holds, and what is wrong with it."""
    value = cell.value
    if cell.data_type == "e":
        return str(value), f"holds {value}"
    if isinstance(value, datetime):
        whole = value.time() == time() and "h" not in str(cell.number_format).lower()
        return (value.date() if whole else value), ""
    if isinstance(value, bool):
        return str(value).lower(), ""
    if isinstance(value, int | float):
        return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else str(
            value
        ), ""
    if isinstance(value, time | timedelta):
        return str(value), ""
    return str(value).strip() or None, ""


def _flaws_of_empty_cells(content: bytes, page: Any, sheet: Sheet) -> None:
    """Find cells of the columns that are empty here and not in Excel."""
    book = load_workbook(BytesIO(content), read_only=True, data_only=False)
    first = min(sheet.rows, default=0)
    for number, cells in _rows(book[page.title]):
        for column, cell in cells if number >= first else ():
            empty = column in sheet.header and column not in sheet.rows.get(number, {})
            if empty and cell.data_type == "f":
                sheet.rows.setdefault(number, {})
                sheet.flaws[number, column] = (
                    f"cell {_place(number, column)} is a formula without its value: open the file "
                    "in Excel and save it"
                )
    for left, top, right, bottom in _merged(content, page):
        where = f"{_place(top, left)}:{_place(bottom, right)}"
        for number in range(max(top, first), bottom + 1):
            for column in range(left, right + 1):
                row = sheet.rows.get(number)
                if column in sheet.header and row is not None and column not in row:
                    sheet.flaws[number, column] = (
                        f"cell {_place(number, column)} is inside the merged cells {where}: give "
                        "each row its own"
                    )
    sheet.rows = dict(sorted(sheet.rows.items()))


def _merged(content: bytes, page: Any) -> Iterator[tuple[int, int, int, int]]:
    """First column, first row, last column, last row of each range of merged cells."""
    with ZipFile(BytesIO(content)) as packed, packed.open(page._worksheet_path) as part:
        for _, element in iterparse(part):
            tag = element.tag.rpartition("}")[2]
            if tag == "mergeCell":
                yield range_boundaries(element.get("ref", ""))
            if tag == "row":
                element.clear()


def _place(row: int, column: int) -> str:
    return f"{get_column_letter(column)}{row}"
