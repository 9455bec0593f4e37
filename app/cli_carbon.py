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
    say,
    site_of,
)
from app.options import Format


class Sheet(StrEnum):
    """The sheets that the command makes."""

    carbon = "carbon"
    intensity = "intensity"
    renewables = "renewables"


@app.command("carbon")
def show_carbon(
    period: Annotated[str, typer.Argument(help="Month or year: 2026-10.")],
    plant: PlantOption = DEFAULT_PLANT,
    sheet: Annotated[
        Sheet,
        typer.Option(help="CO2 by source; for a unit of product, money, energy; renewable rate."),
    ] = Sheet.carbon,
    form: FormatOption = Format.table,
    output: OutputOption = None,
    lang: LangOption = None,
) -> None:
    """Energy-related CO2 by source, its intensities, or the renewable rate. One sheet a call."""
    from app import carbon
    from app.output import emit
    from app.published import Published
    from config.sheets.carbon import CARBON, CARBON_INTENSITY, RENEWABLES

    site = site_of(plant)
    published = Published.of_site(site)
    make, table = {
        Sheet.carbon: (carbon.carbon, CARBON),
        Sheet.intensity: (carbon.carbon_intensity, CARBON_INTENSITY),
        Sheet.renewables: (carbon.renewables, RENEWABLES),
    }[sheet]
    found = make(published, period)
    columns = carbon.SCREENS[sheet.value]
    emit(found, form, output, lang=lang_of(lang), table=table, columns=columns)
    for reason in found["reason"].unique(maintain_order=True):
        if reason:
            say(reason)
