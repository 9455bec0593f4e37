"""Files into the lake: whole or not at all, each once, every refused row kept with its reason."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatch
from getpass import getuser
from pathlib import Path

import polars as pl

from app import jobs
from app.entries import Judged, Rules, entry_text, judge
from app.loss_booking import book_imports
from app.options import Kind
from collectors.files import (
    ReadFile,
    production_of,
    read_production,
    read_readings,
    read_statements,
    statements_of,
    table_of,
)
from config.errors import InputError, StorageError
from config.models import ImportMapping
from config.site import Site
from config.tables import OUTPUTS, READINGS, STATEMENTS, Table
from storage.lake import Lake

TABLE_OF: dict[Kind, Table] = {
    Kind.readings: READINGS,
    Kind.production: OUTPUTS,
    Kind.statements: STATEMENTS,
}


@dataclass(frozen=True)
class Imported:
    """Rows of one file: taken into the lake, there already, and refused (kept in a file).

    ``corrected``: of those taken, what each changes of an earlier entry; ``notes``: what was done
    with lines, such as a conversion of their unit.
    """

    file: Path
    taken: int
    known: int
    refused: int
    refused_file: Path | None
    corrected: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def import_file(
    site: Site,
    lake: Lake,
    kind: Kind,
    file: Path,
    *,
    mapping: str | None = None,
    partial: bool = False,
    entered_by: str | None = None,
    sheet: str | None = None,
    reason: str | None = None,
    now: datetime | None = None,
) -> Imported:
    """Take one file into the lake. The same file again changes nothing.

    ``sheet``: which one of a workbook. ``reason``: why it corrects earlier entries; without one
    the file itself is the reason. ``now``: default the machine's time.

    Raises InputError where rows are refused, unless ``partial``; then nothing of the file is
    taken. Refused rows are written, with line and reason, beside the lake.
    """
    who = entered_by or user()
    if kind is Kind.readings:
        chosen = _mapping(site, file, mapping)
        read = read_readings(file, chosen, site, now=now, sheet=sheet)
    else:
        read_entries = read_statements if kind is Kind.statements else read_production
        read = read_entries(file, site, who, now=now, sheet=sheet)
    table = TABLE_OF[kind]
    name = f"import:{kind.value}:{read.digest}:{site.id}"
    with lake.lock(jobs.LOCK_TIMEOUT_S):
        seen = lake.transaction_version(table, name) is not None
        rules = Rules(reason=reason, or_else=f"{file.name} says otherwise", seen=seen)
        return take(
            site,
            lake,
            table,
            read,
            file,
            rules,
            partial=partial,
            kept_as=f"{file.stem}-{read.digest[:8]}",
            transaction=None if seen else (name, 1),
        )


def take(
    site: Site,
    lake: Lake,
    table: Table,
    read: ReadFile,
    file: Path,
    rules: Rules,
    *,
    partial: bool,
    kept_as: str,
    transaction: tuple[str, int] | None = None,
) -> Imported:
    """Take what was read of ``file`` into the lake, whose lock is held. Raises InputError.

    ``kept_as``: name of the file of refused rows. ``transaction``: see `Lake.append`.
    """
    if table is READINGS:
        new = _unknown_readings(site, lake, read.rows)
        judged = Judged(new, len(read.rows) - len(new), read.refused)
    else:
        judged = judge(site, lake, table, read, rules)
    rows, refused = judged.rows, judged.refused
    kept_in = _keep_refused(site, kept_as, refused)
    if len(refused) and not partial:
        first = refused.row(0, named=True)
        good = len(rows) + judged.known
        raise InputError(
            f"{read.place(file, first['line'])}: {first['reason']}"
            + (f" (and {len(refused) - 1} more rows)" if len(refused) > 1 else ""),
            data=f"0 rows taken, {len(refused)} of {len(refused) + good} refused: {kept_in}",
            todo="correct the file, or take the good rows alone with --partial",
        )
    if len(rows):
        lake.append(table, rows, app=transaction)
        if table is READINGS:
            book_imports(site, lake, set(rows["meter_id"]))
    return Imported(
        file,
        len(rows),
        judged.known,
        len(refused),
        kept_in,
        tuple(judged.corrected),
        read.notes,
    )


@dataclass(frozen=True)
class Entered:
    """What one typed entry did: ``lines`` for the person; whether anything was ``stored``."""

    lines: tuple[str, ...]
    stored: bool


def enter(
    site: Site,
    kind: Kind,
    cells: Mapping[str, str | None],
    *,
    reason: str | None = None,
    entered_by: str | None = None,
    now: datetime | None = None,
) -> Entered:
    """Take one entry that a person typed: ``cells`` by the names of a file's columns.

    For the time of an earlier entry it is a correction, which needs a ``reason``. Raises
    InputError where it is refused; nothing is stored then.
    """
    who = entered_by or user()
    typed = table_of([cells], list(cells), "")
    entries_of = statements_of if kind is Kind.statements else production_of
    read = entries_of(typed, site, "typed", who, now=now)
    table, lake = TABLE_OF[kind], jobs.open_lake(site)
    with lake.lock(jobs.LOCK_TIMEOUT_S):
        judged = judge(site, lake, table, read, Rules(reason=reason))
        if len(judged.refused):
            raise InputError(judged.refused["reason"][0], data="nothing was entered")
        if len(judged.rows):
            lake.append(table, judged.rows)
    notes = [note.partition(": ")[2] for note in read.notes]
    if judged.rows.is_empty():
        return Entered((*notes, "known already: it was entered before, and changes nothing"), False)
    told = entry_text(site, table, judged.rows.row(0, named=True))
    changes = [f"corrected: {change}" for change in judged.corrected]
    return Entered((*notes, *changes, *told), True)


def user() -> str:
    """The account that kgce runs under."""
    try:
        return getuser()
    except (KeyError, OSError):  # an account without a name, as in containers
        return f"uid {os.getuid()}"


def _mapping(site: Site, file: Path, name: str | None) -> ImportMapping:
    mappings = site.plant.imports
    if name is not None:
        if name not in mappings:
            raise InputError(
                f"unknown mapping {name!r}", allowed=", ".join(mappings) or "none is configured"
            )
        return mappings[name]
    fitting = [m for m in mappings.values() if fnmatch(file.name, m.files)]
    if len(fitting) != 1:
        raise InputError(
            f"{len(fitting)} mappings of `imports:` fit the file name {file.name!r}",
            allowed="exactly one, by its `files:` pattern; configured: "
            + (", ".join(f"{n} ({m.files})" for n, m in mappings.items()) or "none"),
            todo="name one with --mapping, or describe the file's layout under `imports:`",
        )
    return fitting[0]


def _keep_refused(site: Site, kept_as: str, refused: pl.DataFrame) -> Path | None:
    if refused.is_empty():
        return None
    kept = jobs.storage_folder(site, "refused") / f"{kept_as}.csv"
    try:
        kept.write_text(refused.write_csv(include_bom=True), encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"cannot write the refused rows into {kept}: {error.strerror or error}",
            data="nothing of the file was taken",
            todo="check storage.path in plant.yaml, and the disk's space",
        ) from error
    return kept


def _unknown_readings(site: Site, lake: Lake, rows: pl.DataFrame) -> pl.DataFrame:
    """Readings that the lake does not have: of another time, or another value of the same."""
    if rows.is_empty():
        return rows
    same = (*READINGS.key, "value", "status")
    first, last = rows.select(first=pl.col("time_utc").min(), last=pl.col("time_utc").max()).row(0)
    there = lake.scan(READINGS, site.id, from_utc=first, to_utc=last + timedelta(microseconds=1))
    return rows.lazy().join(there.select(same), on=same, how="anti", nulls_equal=True).collect()
