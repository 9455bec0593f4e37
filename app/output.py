"""Data to standard output or a file: table, JSON, CSV or Parquet. Messages go to standard error."""

from __future__ import annotations

import io
import json
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from app.language import HEADINGS_ZH, Lang, word
from app.options import Format
from config.errors import InputError
from config.tables import Table

if TYPE_CHECKING:
    import polars as pl


def emit(
    frame: pl.DataFrame,
    form: Format,
    file: Path | None,
    *,
    lang: Lang,
    table: Table | None = None,
    columns: Sequence[str] | None = None,
    zone: ZoneInfo | None = None,
) -> None:
    """Write ``frame`` in the format to the file, or to standard output.

    ``table`` names the columns' meanings for the screen; ``columns`` are those that the screen
    shows (files have all). Raises InputError where the file cannot be written.
    """
    if form is Format.parquet:
        if file is None:
            raise InputError("parquet is not for a terminal", todo="give -o FILE")
        with _writing(file):
            frame.write_parquet(file)
        return
    text = {
        Format.json: lambda: to_json(frame),
        Format.csv: lambda: _to_csv(frame),
        Format.table: lambda: _to_table(frame, lang, table, columns, zone, to_file=bool(file)),
    }[form]()
    write_text(text, file)


def write_text(text: str, file: Path | None) -> None:
    """Write a document to the file, or to standard output. Raises InputError where it cannot."""
    with _writing(file):
        if file is None:
            sys.stdout.write(text)
            sys.stdout.flush()
        else:
            file.write_text(text, encoding="utf-8")


@contextmanager
def _writing(file: Path | None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"cannot write {file}: {error.strerror or error}",
            todo="name a file in a folder of yours",
        ) from error


def made_folder(folder: Path) -> None:
    """Make the folder. Raises InputError where it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot make {folder}: {error.strerror or error}", todo="name a folder of yours"
        ) from error


def to_json(frame: pl.DataFrame) -> str:
    """An array of flat records, one a line; numbers at full precision, times ISO 8601 UTC."""
    rows = (
        json.dumps({k: _plain(v) for k, v in row.items()}, ensure_ascii=False)
        for row in frame.iter_rows(named=True)
    )
    body = ",\n".join(rows)
    return f"[\n{body}\n]\n" if body else "[]\n"


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _to_csv(frame: pl.DataFrame) -> str:
    import polars as pl

    times = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime)]
    nested = [name for name, kind in frame.schema.items() if kind.is_nested()]
    frame = frame.with_columns(
        pl.Series(name, [json.dumps(_plain(v), ensure_ascii=False) for v in frame[name].to_list()])
        for name in nested
    )
    return frame.with_columns(
        pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ") for name in times
    ).write_csv()


def _to_table(
    frame: pl.DataFrame,
    lang: Lang,
    table: Table | None,
    columns: Sequence[str] | None,
    zone: ZoneInfo | None,
    *,
    to_file: bool,
) -> str:
    from rich import box
    from rich.console import Console
    from rich.table import Table as Screen

    shown = [name for name in columns or frame.columns if name in frame.columns]
    screen = Screen(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in shown:
        heading = _heading(name, lang, table)
        number = frame.schema[name].is_numeric()
        screen.add_column(heading, justify="right" if number else "left", overflow="fold")
    for row in frame.select(shown).iter_rows():
        screen.add_row(*(_cell(value, lang, zone) for value in row))
    buffer = io.StringIO()
    terminal = sys.stdout.isatty() and not to_file
    console = Console(
        file=buffer, width=None if terminal else 200, force_terminal=terminal, highlight=False
    )
    console.print(screen)
    return buffer.getvalue()


def _heading(name: str, lang: Lang, table: Table | None) -> str:
    if lang == "zh" and table is not None and name in table.names:
        return table.column(name).zh
    if lang == "zh" and name in HEADINGS_ZH:
        return HEADINGS_ZH[name]
    return name.replace("_", " ")


def _cell(value: Any, lang: Lang, zone: ZoneInfo | None) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, datetime):
        return value.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
    return word(str(value), lang)


def number(value: float) -> str:
    """A number for the eye: seven significant digits; files have full precision.

    >>> number(959636.71), number(0.99951), number(112.3456789)
    ('959,636.7', '0.99951', '112.3457')
    """
    if value == 0:
        return "0"
    digits = max(0, 6 - math.floor(math.log10(abs(value)))) if math.isfinite(value) else 0
    text = f"{value:,.{min(digits, 9)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
