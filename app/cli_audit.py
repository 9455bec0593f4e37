"""`kgce audit`: the tables of an energy audit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.command import (
    DEFAULT_PLANT,
    FormatOption,
    LangOption,
    PlantOption,
    app,
    lang_of,
    published_of,
    say,
)
from app.options import Format


@app.command()
def audit(
    year: Annotated[str, typer.Argument(help="Year: 2026.")],
    table: Annotated[
        str | None, typer.Option(help="Only this table, such as consumption or products.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--dir", help="Write each table to a file in this folder.")
    ] = None,
    plant: PlantOption = DEFAULT_PLANT,
    form: FormatOption = Format.table,
    lang: LangOption = None,
) -> None:
    """The tables that an energy auditor delivers for a year, from the published figures."""
    from app.audit import AUDIT, chosen
    from app.output import emit, made_folder

    published = published_of(plant)
    names = chosen(published, year, table)
    if folder is not None:
        made_folder(folder)
    for name in names:
        sheet, make, screen = AUDIT[name]
        file = folder / f"{sheet.name}.{_ENDINGS[form]}" if folder is not None else None
        if file is None and len(names) > 1:
            say(f"\n{name}" if form is Format.table else name)
        emit(make(published, year), form, file, lang=lang_of(lang), table=sheet, columns=screen)
        if file is not None:
            say(f"wrote {file}")


@app.command()
def documents(
    year: Annotated[str, typer.Argument(help="Year: 2026.")],
    folder: Annotated[Path, typer.Option("--dir", help="Folder to write them into.")],
    plant: PlantOption = DEFAULT_PLANT,
    form: Annotated[
        Format, typer.Option("--format", help="Of the tables: json, csv or parquet.")
    ] = Format.json,
) -> None:
    """Rubric, benchmark list, supervision and the audit's tables of a year, each in a file."""
    from app.documents import write_documents

    if form is Format.table:
        raise typer.BadParameter("a table is for a screen; allowed: json, csv, parquet")
    files = write_documents(published_of(plant), year, folder, form)
    for file in files:
        say(f"wrote {file}")


_ENDINGS = {
    Format.table: "txt",
    Format.json: "json",
    Format.csv: "csv",
    Format.parquet: "parquet",
}
