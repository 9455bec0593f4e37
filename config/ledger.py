"""The meter ledger (计量器具台账) as CSV: one row a meter, columns as the fields of Meter."""

from __future__ import annotations

import csv
import difflib
import io
from pathlib import Path

from config.errors import ConfigError
from config.models import Meter
from config.yaml import KeyPath, Source

LEDGER_COLUMNS: tuple[str, ...] = tuple(
    field.alias or name for name, field in Meter.model_fields.items()
)


def read_ledger(file: Path, source: Source) -> dict[str, dict[str, str]]:
    """Rows of the ledger by meter id; empty cells are left out.

    Puts the place of every cell into ``source``. Raises ConfigError for a missing file, an unknown
    column, a row that is too long, or a meter id that stands twice.
    """
    try:
        text = file.read_bytes().decode("utf-8-sig")  # whole, so that an error's byte is the file's
    except OSError as error:
        raise ConfigError(
            f"{source.place(('meters',))}: meter ledger {file}: {error.strerror or error}",
            todo="`meters:` takes the name of a CSV file beside plant.yaml, or meters by id",
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{file}: not UTF-8 at byte {error.start}",
            todo="save the sheet as 'CSV UTF-8'",
        ) from error
    return _rows(csv.DictReader(io.StringIO(text, newline="")), file, source)


def _rows(reader: csv.DictReader[str], file: Path, source: Source) -> dict[str, dict[str, str]]:
    _refuse_columns(list(reader.fieldnames or []), file)
    rows: dict[str, dict[str, str]] = {}
    for raw in reader:
        line = reader.line_num
        if None in raw:
            raise ConfigError(
                f"{file}:{line}: more cells than columns",
                todo="quote cells that hold a comma",
            )
        row = {name: cell.strip() for name, cell in raw.items() if cell and cell.strip()}
        if not row:
            continue
        meter_id = row.get("meter_id", "")
        if meter_id in rows:
            first = source.lines["meters", meter_id][1]
            raise ConfigError(
                f"{file}:{line}: meter_id {meter_id!r} stands on line {first} already",
                todo="give each meter its own id",
            )
        here: KeyPath = ("meters", meter_id)
        source.lines[here] = (file, line)
        for name in row:
            source.lines[(*here, name)] = (file, line)
        rows[meter_id] = row
    return rows


def _refuse_columns(columns: list[str], file: Path) -> None:
    """Raise ConfigError for a column that is unknown, stands twice, or is missing."""
    unknown = [name for name in columns if name not in LEDGER_COLUMNS]
    twice = [name for name in columns if columns.count(name) > 1]
    if not unknown and not twice and "meter_id" in columns:
        return
    if unknown:
        problem = f"unknown column {unknown[0]!r}"
    else:
        problem = f"column {twice[0]!r} stands twice" if twice else "no column meter_id"
    near = difflib.get_close_matches(unknown[0], LEDGER_COLUMNS, 1) if unknown else []
    raise ConfigError(
        f"{file}:1: {problem}",
        allowed=", ".join(LEDGER_COLUMNS),
        todo=f"did you mean {near[0]!r}?" if near else "",
    )
