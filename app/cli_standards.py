"""`kgce standards` and `kgce benchmark`: what figures are judged by, and how they stand to it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from config.standards import Library

standards_app = typer.Typer(
    help="The norms, benchmarks and factors that figures are made and judged by.",
    no_args_is_help=True,
)
app.add_typer(standards_app, name="standards")

OwnOption = Annotated[
    Path | None,
    typer.Option("--plant", "-p", help="A plant.yaml, whose own rows go before ours."),
]


@standards_app.command("list")
def list_standards(
    plant: OwnOption = None,
    form: FormatOption = Format.table,
    output: OutputOption = None,
    lang: LangOption = None,
) -> None:
    """Every standard, notice and edition: rows, first day in force, weakest confidence."""
    from app.output import emit
    from app.standards import listed

    emit(listed(_library(plant)), form, output, lang=lang_of(lang))


@standards_app.command()
def show(
    name: Annotated[str, typer.Argument(help='Standard, notice, or id: "GB 16780-2021".')],
    plant: OwnOption = None,
    form: FormatOption = Format.table,
    output: OutputOption = None,
    lang: LangOption = None,
) -> None:
    """The rows of one standard, with levels, dates, confidence and notes."""
    from app.output import emit
    from app.standards import shown

    emit(shown(_library(plant), name), form, output, lang=lang_of(lang))


@standards_app.command()
def search(
    words: Annotated[list[str], typer.Argument(help="Words that all stand in the row: 水泥 熟料.")],
    plant: OwnOption = None,
    form: FormatOption = Format.table,
    output: OutputOption = None,
    lang: LangOption = None,
) -> None:
    """Rows in which every word stands. Exit code 1 where there is none."""
    from app.output import emit
    from app.standards import searched

    found = searched(_library(plant), words)
    if found.is_empty():
        say(f"nothing in the library holds all of: {' '.join(words)}")
        raise typer.Exit(1)
    emit(found, form, output, lang=lang_of(lang))


@standards_app.command("check")
def check_standards(
    plant: OwnOption = None,
    form: FormatOption = Format.table,
    output: OutputOption = None,
    lang: LangOption = None,
) -> None:
    """Units, ranges, dates and levels of every row. Exit code 1 where one is in error."""
    import polars as pl

    from app.output import emit
    from config.standards_files import DATASETS, read_dataset
    from indicators.integrity import Doubt, doubts_of

    library = _library(plant)
    doubts = list(doubts_of(library))
    errors = sum(doubt.severity == "error" for doubt in doubts)
    if doubts:
        columns = dict.fromkeys(Doubt._fields, pl.String)
        emit(pl.DataFrame(doubts, schema=columns, orient="row"), form, output, lang=lang_of(lang))
    rows = len(library.factors) + len(library.norms) + len(library.benchmarks)
    rows += sum(len(read_dataset(kind)) for kind in DATASETS.values())
    say(f"{rows} rows, version {library.version}: {errors} in error, {len(doubts) - errors} notes")
    if errors:
        raise typer.Exit(1)


@app.command()
def benchmark(
    period: Annotated[str, typer.Argument(help="Month or year: 2026-10.")],
    plant: PlantOption = DEFAULT_PLANT,
    product: Annotated[str | None, typer.Option(help="Only this product.")] = None,
    peers: Annotated[
        Path | None,
        typer.Option(help="Figures of anonymous peers: CSV of product, indicator, unit, value."),
    ] = None,
    form: FormatOption = Format.table,
    output: OutputOption = None,
    lang: LangOption = None,
) -> None:
    """Each product against norms, benchmarks and its own best; the largest saving first."""
    from app.benchmarking import SCREEN, compared, read_peers
    from app.output import emit
    from config.sheets.benchmarking import BENCHMARKING

    published = published_of(plant)
    others = read_peers(peers, published.site) if peers is not None else None
    found, said = compared(published, period, product, others)
    emit(found, form, output, lang=lang_of(lang), table=BENCHMARKING, columns=SCREEN)
    for line in said:
        say(line)


def _library(plant: Path | None) -> Library:
    from config.standards import read_library

    return site_of(plant).library if plant is not None else read_library()
