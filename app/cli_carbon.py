"""`kgce carbon`: CO2 of the plant, for a unit of what it makes, and its renewable energy."""

from __future__ import annotations

from enum import StrEnum
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
)
from app.options import Format


class Sheet(StrEnum):
    """The sheets that the command makes."""

    carbon = "carbon"
    intensity = "intensity"
    renewables = "renewables"
    supply = "supply"


@app.command("carbon")
def show_carbon(
    period: Annotated[str, typer.Argument(help="Month or year: 2026-10.")],
    plant: PlantOption = DEFAULT_PLANT,
    sheet: Annotated[
        Sheet,
        typer.Option(
            help="CO2 by source; for a unit of product, money, energy; renewable rate; of what "
            "was bought."
        ),
    ] = Sheet.carbon,
    form: FormatOption = Format.table,
    output: OutputOption = None,
    lang: LangOption = None,
) -> None:
    """Energy-related CO2 by source, its intensities, the renewable rate, or that of purchases."""
    from app import carbon
    from app.output import emit
    from config.sheets.carbon import CARBON, CARBON_INTENSITY, RENEWABLES, SUPPLY_CHAIN

    published = published_of(plant)
    make, table = {
        Sheet.carbon: (carbon.carbon, CARBON),
        Sheet.intensity: (carbon.carbon_intensity, CARBON_INTENSITY),
        Sheet.renewables: (carbon.renewables, RENEWABLES),
        Sheet.supply: (carbon.supply_chain, SUPPLY_CHAIN),
    }[sheet]
    found = make(published, period)
    columns = carbon.SCREENS[sheet.value]
    emit(found, form, output, lang=lang_of(lang), table=table, columns=columns)
    if found.is_empty():
        say(f"nothing that was bought in {period} is stated: assessment.carbon.purchases")
    for reason in found["reason"].unique(maintain_order=True):
        if reason:
            say(reason)
