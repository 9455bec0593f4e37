"""Files into the lake: whole or not at all, each once, every refused row kept with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatch
from getpass import getuser
from pathlib import Path

import polars as pl

from app import jobs
from app.options import Kind
from collectors.files import ReadFile, read_production, read_readings, read_statements
from config.errors import InputError
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
    read = _read(site, kind, file, mapping, entered_by or getuser())
    rows, refused = read.rows.with_columns(plant_id=pl.lit(site.id)), read.refused
    if kind is not Kind.readings:
        rows, conflicting = _without_conflicts(lake, site, TABLE_OF[kind], rows)
        refused = pl.concat([refused, conflicting])
    kept_in = _keep_refused(site, file, read.digest, refused)
    if len(refused) and not partial:
        first = refused.row(0, named=True)
        raise InputError(
            f"{file}:{first['line']}: {first['reason']}"
            + (f" (and {len(refused) - 1} more rows)" if len(refused) > 1 else ""),
            data=f"0 rows taken, {len(refused)} of {len(refused) + len(rows)} refused: {kept_in}",
            todo="correct the file, or take the good rows alone with --partial",
        )
    table = TABLE_OF[kind]
    with lake.lock(jobs.LOCK_TIMEOUT_S):
        new = _unknown_rows(lake, site, table, rows)
        app = (f"import:{kind.value}:{read.digest}:{site.id}", 1)
        wrote = lake.append(table, new, app=app) if len(new) else False
    taken = len(new) if wrote else 0
    return Imported(file, taken, len(rows) - taken, len(refused), kept_in)


def _read(site: Site, kind: Kind, file: Path, mapping: str | None, entered_by: str) -> ReadFile:
    if kind is Kind.readings:
        return read_readings(file, _mapping(site, file, mapping), site)
    if kind is Kind.statements:
        return read_statements(file, site, entered_by)
    metered = {m.product for m in site.plant.meters.values() if m.role == "output"}
    read = read_production(file, site, entered_by)
    for product in read.rows["product_id"].unique():
        if product in metered:
            raise InputError(
                f"{file}: the output of {product!r} is metered",
                data="nothing was taken: it would count twice",
                todo="remove the product from the file, or give its meters the role check",
            )
    return read


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


def _unknown_rows(lake: Lake, site: Site, table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows that the lake does not have: another key, or another content under the same key."""
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
    there = lake.scan(
        table, site.id, from_utc=first, to_utc=last + timedelta(microseconds=1)
    ).select(same)
    return rows.lazy().join(there, on=same, how="anti", nulls_equal=True).collect()


def _without_conflicts(
    lake: Lake, site: Site, table: Table, rows: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Spans that overlap another one in the lake are refused; the very same span corrects it."""
    subject = table.key[1]
    there = (
        lake.scan(table, site.id)
        .select(subject, "start_utc", "end_utc", "source")
        .unique()
        .collect()
    )
    numbered = rows.with_row_index("row")
    clash = (
        numbered.join(there, on=subject, suffix="_there")
        .filter(
            (pl.col("start_utc") < pl.col("end_utc_there"))
            & (pl.col("end_utc") > pl.col("start_utc_there"))
            & (
                (pl.col("start_utc") != pl.col("start_utc_there"))
                | (pl.col("end_utc") != pl.col("end_utc_there"))
            )
        )
        .unique("row", keep="first", maintain_order=True)
    )
    refused = clash.select(
        line=pl.col("row").cast(pl.Int64) + 2,
        reason=pl.format(
            "the span overlaps one of {} entered before: {} to {} (UTC, from {})",
            pl.col(subject),
            pl.col("start_utc_there").dt.strftime("%Y-%m-%d %H:%M"),
            pl.col("end_utc_there").dt.strftime("%Y-%m-%d %H:%M"),
            pl.col("source_there"),
        ),
        text=pl.concat_str(
            pl.col(subject),
            pl.col("start_utc").dt.strftime("%Y-%m-%d %H:%M"),
            pl.col("end_utc").dt.strftime("%Y-%m-%d %H:%M"),
            separator=",",
        ),
    )
    return numbered.join(clash, on="row", how="anti").drop("row"), refused


def _keep_refused(site: Site, file: Path, digest: str, refused: pl.DataFrame) -> Path | None:
    if refused.is_empty():
        return None
    folder = site.storage_path / "refused"
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / f"{file.stem}-{digest[:8]}.csv"
    refused.write_csv(kept, include_bom=True)
    return kept
