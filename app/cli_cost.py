"""`kgce structure`, `kgce cost` and `kgce surcharge`: what energy is made of, and what it costs."""

from __future__ import annotations

from enum import StrEnum
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
)
from app.options import Format

if TYPE_CHECKING:
    import polars as pl


PeriodArgument = Annotated[str, typer.Argument(help="Month or year: 2026-10.")]


class Division(StrEnum):
    """What shares are by."""

    energy = "energy"
    process = "process"
    economy = "economy"
    tariff = "tariff"


class BasisChoice(StrEnum):
    calorific = "calorific"
    equivalent = "equivalent"
    both = "both"


@app.command()
def structure(
    period: PeriodArgument,
    by: Annotated[Division, typer.Option(help="What the shares are by.")] = Division.energy,
    basis: Annotated[
        BasisChoice, typer.Option(help="Basis of the coal equivalent.")
    ] = BasisChoice.calorific,
    plant: PlantOption = DEFAULT_PLANT,
    form: FormatOption = Format.table,
    output: OutputOption = None,
    lang: LangOption = None,
) -> None:
    """Shares of the plant's energy by energy, process or tariff period; energy per value."""
    import polars as pl

    from app.output import emit
    from app.structure import SCREEN, TARIFF_SCREEN, tariff_periods
    from app.structure import structure as structure_of
    from config.sheets.cost import STRUCTURE, TARIFF_PERIODS
    from config.standards import BASES

    published = published_of(plant)
    if by is Division.tariff:
        found, table, screen = tariff_periods(published, period), TARIFF_PERIODS, TARIFF_SCREEN
        if found.is_empty():
            say("no meter of the plant's electricity: nothing to lay out by tariff period")
    else:
        bases = [one for one in BASES if basis.value in (one, "both")]
        found = structure_of(published, period, bases).filter(pl.col("by") == by.value)
        table, screen = STRUCTURE, SCREEN
    emit(found, form, output, lang=lang_of(lang), table=table, columns=screen)
    _say_reasons(found, "part" if by is not Division.tariff else "tariff_period", form)


@app.command()
def cost(
    period: PeriodArgument,
    plant: PlantOption = DEFAULT_PLANT,
    form: FormatOption = Format.table,
    output: OutputOption = None,
    lang: LangOption = None,
) -> None:
    """What energy cost: by energy and tariff period, for power, in total, and by product."""
    from app.cost import SCREEN, cost_sheet
    from app.output import emit
    from config.sheets.cost import COST

    published = published_of(plant)
    found = cost_sheet(published, period)
    zone = published.site.plant.plant.zone
    emit(found, form, output, lang=lang_of(lang), table=COST, columns=SCREEN, zone=zone)
    _say_reasons(found, "subject", form)


@app.command()
def surcharge(
    year: Annotated[str, typer.Argument(help="Calendar year in which it is paid: 2026.")],
    plant: PlantOption = DEFAULT_PLANT,
    form: FormatOption = Format.table,
    output: OutputOption = None,
    lang: LangOption = None,
) -> None:
    """What tiered and differential prices add to electricity, by the figure of the year before."""
    from app.output import emit
    from app.surcharge import SCREEN, surcharges
    from config.sheets.cost import SURCHARGE

    found = surcharges(published_of(plant), year)
    emit(found, form, output, lang=lang_of(lang), table=SURCHARGE, columns=SCREEN)
    _say_reasons(found, "product", form)


def _say_reasons(found: pl.DataFrame, name: str, form: Format) -> None:
    """What is refused, beside the data; a table on the screen has it in its last column."""
    if form is Format.table:
        return
    for row in found.filter(found["value"].is_null()).iter_rows(named=True):
        say(f"{row[name]}: {row['reason']}")
