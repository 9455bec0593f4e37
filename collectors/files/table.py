"""A CSV, Excel or Parquet file as cells, each row with the line that it came from.

CSV: the first line is the header. UTF-8, with or without a byte order mark; GB 18030 where the
header is not UTF-8. A cell does not go on over a line's end. Blank lines are passed over.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

import polars as pl

from collectors.files.sheets import OLD_MAGIC, XLSX_MAGIC, Cell, Sheet, read_sheet
from config.errors import InputError

# Names that no file's header has.
LINE, TEXT = "\0line", "\0text"
UNPAIRED = "the quotes do not pair, or a carriage return stands inside the line"
_CELLS = "\0cells"
_BETWEEN = "\x1f"  # the unit separator of ASCII; no meter writes it
ORIGIN_SCHEMA = pl.Schema({"line": pl.Int64(), "text": pl.String()})
REFUSED_SCHEMA = pl.Schema({"line": pl.Int64(), "reason": pl.String(), "text": pl.String()})
FLAW_SCHEMA = pl.Schema({"line": pl.Int64(), "column": pl.String(), "reason": pl.String()})
PARQUET_MAGIC = b"PAR1"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class ReadFile:
    """What a file holds.

    ``rows``: in the schema of the table that they are for. ``origin``: the line (counted from 1,
    the header too; of a Parquet file, its rows) and the text that each of them came from, in the
    same order. ``refused``: lines with the reason and their text. ``digest``: SHA-256 of the file,
    hexadecimal. ``sheet``: of a workbook; its lines are its rows as Excel numbers them. ``notes``:
    what was done with lines, for the person who imports them.
    """

    rows: pl.DataFrame
    origin: pl.DataFrame
    refused: pl.DataFrame
    digest: str
    sheet: str = ""
    notes: tuple[str, ...] = ()

    def place(self, file: object, line: int) -> str:
        """Where a line is, as the program that made the file would say it."""
        return f"{file}, sheet {self.sheet!r}, row {line}" if self.sheet else f"{file}:{line}"


@dataclass(frozen=True)
class Table:
    """Cells of the wanted columns, with LINE and TEXT; lines that are no row; and the digest.

    Cells of a CSV file are texts, as written; of a Parquet file they have their type, and so have
    times of a workbook. ``flaws``: cells that cannot be believed, by line and column.
    """

    columns: tuple[str, ...]
    rows: pl.DataFrame
    refused: pl.DataFrame
    digest: str
    sheet: str = ""
    flaws: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=FLAW_SCHEMA))


def read_table(
    file: Path,
    wanted: Sequence[str],
    *,
    delimiter: str = ",",
    optional: Sequence[str] | None = None,
    headings: Mapping[str, str] | None = None,
    sheet: str | None = None,
) -> Table:
    """Read ``wanted`` columns, and those of ``optional`` that there are.

    With ``optional`` given, a column that is in neither is an error. ``headings``: other names of
    columns. ``sheet``: which one of a workbook. Raises InputError for a file that cannot be opened
    or decoded, is empty, or has not the columns.
    """
    aliases = headings or {}
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file}: {error.strerror or error}", todo="name a file") from error
    if not content.strip():
        raise InputError(f"{file}: empty", data="nothing was imported")
    digest = hashlib.sha256(content).hexdigest()
    if content.startswith(XLSX_MAGIC):
        found = read_sheet(file, content, sheet, wanted, aliases)
        chosen = _choose(file, list(found.header.values()), wanted, optional)
        return _of_sheet(found, chosen, digest)
    if content.startswith(OLD_MAGIC):
        raise InputError(
            f"{file}: an old .xls workbook, or one with a password",
            allowed=".xlsx, CSV, Parquet",
            data="nothing was imported",
            todo="save it as .xlsx without a password",
        )
    if sheet is not None:
        raise InputError(f"{file}: no workbook, so it has no sheet {sheet!r}")
    if content.startswith(PARQUET_MAGIC):
        return _parquet(file, content, wanted, optional, digest)
    lines = _decode(file, content).split("\n")
    if len(lines) > 1 and lines[-1] == "":
        del lines[-1]
    header = [name.strip() for name in _cells(lines[0].rstrip("\r"), delimiter)]
    header = [aliases.get(name, name) for name in header]
    chosen = _choose(file, header, wanted, optional, delimiter)
    rows, refused = _rows(lines, header, chosen, delimiter)
    return Table(tuple(chosen), rows, refused, digest)


def table_of(records: Iterable[Mapping[str, object]], columns: Sequence[str], digest: str) -> Table:
    """Rows that came from no file, such as a query's; their lines count from 1."""
    texts: dict[str, list[str | None]] = {name: [] for name in (TEXT, *columns)}
    for record in records:
        cells = [_cell_text(record.get(name)) for name in columns]
        for name, cell in zip(columns, cells, strict=True):
            texts[name].append(cell)
        texts[TEXT].append(",".join(cell or "" for cell in cells))
    rows = pl.DataFrame(texts, schema=dict.fromkeys(texts, pl.String())).with_columns(
        pl.int_range(1, pl.len() + 1, dtype=pl.Int64()).alias(LINE)
    )
    return Table(tuple(columns), rows, pl.DataFrame(schema=REFUSED_SCHEMA), digest)


def _cell_text(cell: object) -> str | None:
    if cell is None:
        return None
    return cell.isoformat(" ") if isinstance(cell, datetime) else str(cell).strip()


def refused_frame(rows: pl.DataFrame, reason: pl.Expr | str) -> pl.DataFrame:
    """``rows`` (with LINE and TEXT) as refused, for ``reason``."""
    why = pl.lit(reason) if isinstance(reason, str) else reason
    return rows.select(
        pl.col(LINE).alias("line"), why.alias("reason"), pl.col(TEXT).alias("text")
    ).cast(REFUSED_SCHEMA)


def _decode(file: Path, content: bytes) -> str:
    body = content.removeprefix(BYTE_ORDER_MARK)
    header = body.split(b"\n", 1)[0]
    try:
        header.decode("utf-8")
        encoding = "utf-8"
    except UnicodeDecodeError:
        encoding = "gb18030"
    try:
        return body.decode(encoding)
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{file}:{line}: not {encoding} at byte {error.start + len(content) - len(body)}",
            allowed="UTF-8; GB 18030 where the header is in it",
            data="nothing was imported",
            todo="save it as 'CSV UTF-8'",
        ) from error


def _choose(
    file: Path,
    header: list[str],
    wanted: Sequence[str],
    optional: Sequence[str] | None,
    delimiter: str = "",
) -> list[str]:
    """The wanted and the optional columns that the header has."""
    nothing = "nothing was imported"
    named = dict.fromkeys((*wanted, *(optional or ())))
    for name in wanted:
        if name not in header:
            one = len(header) == 1 and delimiter
            raise InputError(
                f"{file}: no column {name!r}",
                allowed=", ".join(header),
                data=nothing,
                todo=f"is {delimiter!r} the delimiter?" if one else "correct the name",
            )
    for name in named:
        if header.count(name) > 1:
            raise InputError(
                f"{file}: column {name!r} stands {header.count(name)} times", data=nothing
            )
    unknown = [name for name in header if name not in named] if optional is not None else []
    if unknown:
        raise InputError(
            f"{file}: unknown column {unknown[0]!r}", allowed=", ".join(named), data=nothing
        )
    return [name for name in named if name in header]


def _rows(
    lines: list[str], header: list[str], chosen: list[str], delimiter: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    frame = pl.DataFrame({TEXT: pl.Series(lines[1:], dtype=pl.String())})
    frame = frame.with_columns(
        pl.int_range(2, pl.len() + 2, dtype=pl.Int64()).alias(LINE),
        pl.col(TEXT).str.strip_suffix("\r"),
    ).filter(pl.col(TEXT).str.strip_chars() != "")
    quoted = pl.col(TEXT).str.contains('"', literal=True)
    plain = frame.filter(~quoted).with_columns(pl.col(TEXT).str.split(delimiter).alias(_CELLS))
    rest = frame.filter(quoted)
    unquoted = pl.Series(_CELLS, _unquoted(rest[TEXT].to_list(), delimiter), dtype=pl.String())
    rest = rest.with_columns(unquoted.str.split(_BETWEEN))
    table = pl.concat([plain, rest]).sort(LINE) if rest.height else plain
    length = pl.col(_CELLS).list.len()
    fits = (length == len(header)).fill_null(False)
    rows = table.filter(fits).select(
        LINE,
        TEXT,
        *(pl.col(_CELLS).list.get(header.index(name)).alias(name) for name in chosen),
    )
    found = pl.format("{} columns; the header has {}", length, len(header))
    reason = pl.when(length.is_null()).then(pl.lit(UNPAIRED)).otherwise(found)
    return rows, refused_frame(table.filter(~fits), reason)


def _unquoted(lines: list[str], delimiter: str) -> list[str | None]:
    """The cells of each line with _BETWEEN between them; None where they cannot be told apart."""
    closed = [line if line.count('"') % 2 == 0 else "" for line in lines]
    try:
        records = list(csv.reader(closed, delimiter=delimiter))
    except csv.Error:
        records = []
    if len(records) != len(lines):  # a stray quote ran on into the next lines
        records = [_cells(line, delimiter) for line in closed]
    return [_BETWEEN.join(cells) if cells else None for cells in records]


def _cells(line: str, delimiter: str) -> list[str]:
    """The cells of one line; none of an empty one, or one that is no CSV."""
    try:
        return next(csv.reader((line,), delimiter=delimiter), [])
    except csv.Error:
        return []


def _parquet(
    file: Path, content: bytes, wanted: Sequence[str], optional: Sequence[str] | None, digest: str
) -> Table:
    try:
        frame = pl.read_parquet(content)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(
            f"{file}: no Parquet file that can be read: {error}", data="nothing was imported"
        ) from error
    chosen = _choose(file, frame.columns, wanted, optional)
    texts = pl.concat_str(pl.all().cast(pl.String()), separator=",", ignore_nulls=True)
    rows = frame.select(
        pl.int_range(1, pl.len() + 1, dtype=pl.Int64()).alias(LINE), texts.alias(TEXT), *chosen
    )
    return Table(tuple(chosen), rows, pl.DataFrame(schema=REFUSED_SCHEMA), digest)


def _of_sheet(sheet: Sheet, chosen: list[str], digest: str) -> Table:
    numbers = {name: number for number, name in sheet.header.items()}
    places = [numbers[name] for name in chosen]
    data: dict[str, pl.Series] = {
        LINE: pl.Series(list(sheet.rows), dtype=pl.Int64()),
        TEXT: pl.Series(
            [",".join(str(row.get(n, "")) for n in sheet.header) for row in sheet.rows.values()],
            dtype=pl.String(),
        ),
    }
    for name, number in zip(chosen, places, strict=True):
        data[name] = _series([row.get(number) for row in sheet.rows.values()])
    flaws = [
        (line, sheet.header[column], reason)
        for (line, column), reason in sorted(sheet.flaws.items())
        if column in places and line in sheet.rows
    ]
    return Table(
        tuple(chosen),
        pl.DataFrame(data),
        pl.DataFrame(schema=REFUSED_SCHEMA),
        digest,
        sheet.name,
        pl.DataFrame(flaws, schema=dict(FLAW_SCHEMA), orient="row"),
    )


def _series(cells: list[Cell]) -> pl.Series:
    """A column of times has their type; any other is text."""
    kinds = {type(cell) for cell in cells if cell is not None}
    if kinds == {datetime}:
        return pl.Series(cells, dtype=pl.Datetime("us"))
    if kinds == {date}:
        return pl.Series(cells, dtype=pl.Date())
    return pl.Series([None if cell is None else str(cell) for cell in cells], dtype=pl.String())
