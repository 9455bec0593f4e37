"""`kgce documents`: all that is asked of a year, each in a file; figures are read once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from app.audit import AUDIT, chosen
from app.benchmarking import compared
from app.carbon import renewables
from app.options import Format
from app.output import emit, made_folder, write_text
from app.published import Published
from app.rubric import scored_of
from app.rubric_document import document_of
from app.rubric_rows import frame_of
from app.supervision import supervised
from config.columns import Table
from config.sheets.benchmarking import BENCHMARKING
from config.sheets.carbon import RENEWABLES
from config.sheets.rubric import RUBRIC
from config.sheets.supervision import SUPERVISION


def write_documents(published: Published, year: str, folder: Path, form: Format) -> list[Path]:
    """Write the documents of a year into ``folder``, made if absent; the files, in order.

    The rubric's document is always JSON. Raises InputError for a year without figures, or files
    that cannot be written.
    """
    names = chosen(published, year, None)
    made_folder(folder)
    scored = scored_of(published, year)
    document = folder / "rubric-document.json"
    write_text(document_of(scored, published), document)
    sheets: list[tuple[Table, pl.DataFrame]] = [
        (RUBRIC, frame_of(scored)),
        (BENCHMARKING, compared(published, year, None)[0]),
        (SUPERVISION, supervised(published, year)[0]),
        (RENEWABLES, renewables(published, year)),
        *((AUDIT[name].sheet, AUDIT[name].made(published, year)) for name in names),
    ]
    return [document, *_written(sheets, folder, form)]


def _written(
    sheets: list[tuple[Table, pl.DataFrame]], folder: Path, form: Format
) -> Iterator[Path]:
    for sheet, frame in sheets:
        file = folder / f"{sheet.name}.{form.value}"
        emit(frame, form, file, lang="en")
        yield file
