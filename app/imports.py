"""Files into the lake: whole or not at all, each once, every refused row kept with its reason."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatch
from getpass import getuser
from pathlib import Path

import polars as pl

from app import jobs
from app.options import Kind
from collectors.files import (
    REFUSED_SCHEMA,
    ReadFile,
    read_production,
    read_readings,
    read_statements,
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
    """Rows of one file: taken into the lake, there already, and refused (kept in a file)."""

    file: Path
    taken: int
    known: int
    refused: int
    refused_file: Path | None


def import_file(
    site: Site,
    lake: Lake,
    kind: Kind,
    file: Path,
    *,
    mapping: str | None = None,
    partial: bool = False,
    entered_by: str | None = None,
) -> Imported:
    """Take one file into the lake. The same file again changes nothing.

    Raises InputError where rows are refused, unless ``partial``; then nothing of the file is
    taken. Refused rows are written, with line and reason, beside the lake.
    """
    read = _read(site, kind, file, mapping, entered_by or _user())
    table = TABLE_OF[kind]
    with lake.lock(jobs.LOCK_TIMEOUT_S):
        rows, refused = _acceptable(site, lake, table, read)
        kept_in = _keep_refused(site, file, read.digest, refused)
        if len(refused) and not partial:
            first = refused.row(0, named=True)
            raise InputError(
                f"{file}:{first['line']}: {first['reason']}"
                + (f" (and {len(refused) - 1} more rows)" if len(refused) > 1 else ""),
                data=f"0 rows taken, {len(refused)} of {len(refused) + len(rows)} refused: "
                f"{kept_in}",
                todo="correct the file, or take the good rows alone with --partial",
            )
        taken = _take(site, lake, table, rows, f"import:{kind.value}:{read.digest}:{site.id}")
    return Imported(file, taken, len(rows) - taken, len(refused), kept_in)


def _user() -> str:
    try:
        return getuser()
    except (KeyError, OSError):  # an account without a name, as in containers
        return f"uid {os.getuid()}"


def _read(site: Site, kind: Kind, file: Path, mapping: str | None, entered_by: str) -> ReadFile:
    if kind is Kind.readings:
        return read_readings(file, _mapping(site, file, mapping), site)
    if kind is Kind.statements:
        return read_statements(file, site, entered_by)
    return read_production(file, site, entered_by)


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


def _acceptable(
    site: Site, lake: Lake, table: Table, read: ReadFile
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The file's rows that may go into the lake, and the refused ones in order of their lines."""
    if table is READINGS:
        return read.rows, read.refused
    entries = pl.concat([read.rows, read.origin], how="horizontal")
    refused = _overlapping(site, lake, table, entries)
    if table is OUTPUTS:
        refused = pl.concat([_metered(site, entries), refused]).unique("line", keep="first")
    accepted = entries.join(refused, on="line", how="anti", maintain_order="left")
    return accepted.select(table.names), pl.concat([read.refused, refused]).sort("line")


def _metered(site: Site, entries: pl.DataFrame) -> pl.DataFrame:
    """Entries of products whose output meters say: they would count twice."""
    metered = jobs.output_meters(site)
    reason = pl.format("the output of {} is metered, and would count twice", "product_id")
    return _refused(
        entries.filter(pl.col("product_id").is_in(list(metered.values()))), reason=reason
    )


def _overlapping(site: Site, lake: Lake, table: Table, entries: pl.DataFrame) -> pl.DataFrame:
    """Entries that overlap another span in the lake; the very same span corrects it."""
    subject = table.key[1]
    there = lake.scan(table, site.id).select(subject, "start_utc", "end_utc", "source").collect()
    start, end = pl.col("start_utc"), pl.col("end_utc")
    other_start, other_end = pl.col("start_utc_there"), pl.col("end_utc_there")
    clash = entries.join(there, on=subject, suffix="_there").filter(
        (start < other_end) & (end > other_start) & ((start != other_start) | (end != other_end))
    )
    reason = pl.format(
        "the span overlaps one of {} entered before: {} to {} (UTC, from {})",
        subject,
        other_start.dt.strftime("%Y-%m-%d %H:%M"),
        other_end.dt.strftime("%Y-%m-%d %H:%M"),
        "source_there",
    )
    first = clash.sort("line", "start_utc_there").unique("line", keep="first")
    return _refused(first, reason=reason)


def _refused(entries: pl.DataFrame, reason: pl.Expr) -> pl.DataFrame:
    return entries.select("line", "text", reason=reason).select(REFUSED_SCHEMA.names())


def _keep_refused(site: Site, file: Path, digest: str, refused: pl.DataFrame) -> Path | None:
    if refused.is_empty():
        return None
    kept = jobs.storage_folder(site, "refused") / f"{file.stem}-{digest[:8]}.csv"
    try:
        kept.write_text(refused.write_csv(include_bom=True), encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"cannot write the refused rows into {kept}: {error.strerror or error}",
            data="nothing of the file was taken",
            todo="check storage.path in plant.yaml, and the disk's space",
        ) from error
    return kept


def _take(site: Site, lake: Lake, table: Table, rows: pl.DataFrame, name: str) -> int:
    """Append what the lake does not have; the number of rows. ``name`` identifies the file."""
    seen = lake.transaction_version(table, name) is not None
    new = _unknown_rows(site, lake, table, rows, seen=seen)
    if len(new):
        lake.append(table, new, app=None if seen else (name, 1))
    return len(new)


def _unknown_rows(
    site: Site, lake: Lake, table: Table, rows: pl.DataFrame, *, seen: bool
) -> pl.DataFrame:
    """Rows that the lake does not have: another key, or another content under the same key.

    Of entries those in force are compared, so that an earlier amount can be entered again. A file
    that was seen before is no new entry: all that were ever made are compared.
    """
    if rows.is_empty():
        return rows
    same = {
        READINGS: (*READINGS.key, "value", "status"),
        OUTPUTS: (*OUTPUTS.key, "qualified_quantity", "output_value_cny"),
        STATEMENTS: (*STATEMENTS.key, *(c.name for c in STATEMENTS.columns if c.type == "float")),
    }[table]
    first, last = rows.select(
        first=pl.col(table.time_column).min(), last=pl.col(table.time_column).max()
    ).row(0)
    there = lake.scan(table, site.id, from_utc=first, to_utc=last + timedelta(microseconds=1))
    if table is not READINGS and not seen:
        there = there.sort("entered_utc").unique(table.key, keep="last")
    return rows.lazy().join(there.select(same), on=same, how="anti", nulls_equal=True).collect()
