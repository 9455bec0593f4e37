"""`kgce rubric`, `platform` and `park`: how plants stand to the green factory and green park."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.command import (
    DEFAULT_PLANT,
    FormatOption,
    LangOption,
    OutputOption,
    PlantOption,
    app,
    lang_of,
    published_of,
    say,
    site_of,
)
from app.options import Format


@app.command()
def rubric(
    period: Annotated[str, typer.Argument(help="Year: 2026; or a month, as an indication.")],
    plant: PlantOption = DEFAULT_PLANT,
    edition: Annotated[
        str | None, typer.Option(help="S6, G25 or JS26; default that of plant.yaml.")
    ] = None,
    rows: Annotated[
        bool, typer.Option("--rows", help="JSON as flat rows instead of one document.")
    ] = False,
    form: FormatOption = Format.table,
    output: OutputOption = None,
    lang: LangOption = None,
) -> None:
    """Score the green-factory rubric: points with bounds, gates, tiers; JSON for scoring tools.

    Exit code 1 where a basic requirement is not met."""
    from app.output import emit, write_text
    from app.rubric import said_of, scored_of
    from app.rubric_document import document_of
    from app.rubric_rows import SCREEN, frame_of
    from config.sheets.rubric import RUBRIC

    published = published_of(plant)
    result = scored_of(published, period, edition)
    if form is Format.json and not rows:
        write_text(document_of(result, published), output)
    else:
        language = lang_of(lang)
        columns = [name.format(lang=language) for name in SCREEN]
        emit(frame_of(result), form, output, lang=language, table=RUBRIC, columns=columns)
    for line in said_of(result):
        say(line)
    raise typer.Exit(1 if result.gates.failed else 0)


@app.command()
def platform(
    plant: Annotated[
        Path | None, typer.Option("--plant", "-p", help="A plant.yaml, for rows of its own.")
    ] = None,
    form: FormatOption = Format.table,
    output: OutputOption = None,
    lang: LangOption = None,
) -> None:
    """The twelve functions of an energy-carbon platform, and the command that shows each."""
    from app.output import emit
    from app.platform import functions
    from config.sheets.rubric import PLATFORM

    found = functions(site_of(plant) if plant is not None else None)
    emit(found, form, output, lang=lang_of(lang), table=PLATFORM)
    say(f"{found['there'].sum()} of {len(found)} functions are there")


@app.command()
def park(
    period: Annotated[str, typer.Argument(help="Year: 2026; or a month, as an indication.")],
    file: Annotated[Path, typer.Argument(help="park.yaml: its plants, and what passes between.")],
    form: FormatOption = Format.table,
    output: OutputOption = None,
    lang: LangOption = None,
) -> None:
    """The green park over many plants: sums, never means of ratios; index with bounds.

    Exit code 1 where a basic requirement is not met."""
    from app.output import emit
    from app.park import park_of
    from app.park_rows import SCREEN, frame_of, said_of
    from app.park_site import load_park
    from config.sheets.park import PARK

    result = park_of(load_park(file), period)
    language = lang_of(lang)
    columns = [name.format(lang=language) for name in SCREEN]
    emit(frame_of(result), form, output, lang=language, table=PARK, columns=columns)
    for line in said_of(result):
        say(line)
    raise typer.Exit(1 if result.gates.failed else 0)
