"""`kgce metering` and `kgce supervise`: what an inspector looks at."""

from __future__ import annotations

from datetime import datetime
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


@app.command()
def metering(
    on: Annotated[
        datetime | None,
        typer.Option("--on", formats=["%Y-%m-%d"], help="Day to judge by; default today."),
    ] = None,
    meters: Annotated[
        bool, typer.Option("--meters", help="Calibration and accuracy by meter, not the rates.")
    ] = False,
    plant: PlantOption = DEFAULT_PLANT,
    form: FormatOption = Format.table,
    output: OutputOption = None,
    lang: LangOption = None,
) -> None:
    """Provision rates, calibration and accuracy (GB 17167). Exit code 1 if one is not met."""
    from app.metering import CALIBRATION_SCREEN, PROVISION_SCREEN, calibrations, provisions, said_of
    from app.output import emit
    from config.sheets.supervision import CALIBRATION, METERING_PROVISION

    published = published_of(plant)
    day = (on or datetime.now(published.site.plant.plant.zone)).date()
    rates, calibrated = provisions(published, day), calibrations(published, day)
    language = lang_of(lang)
    if meters:
        emit(calibrated, form, output, lang=language, table=CALIBRATION, columns=CALIBRATION_SCREEN)
    else:
        table, columns = METERING_PROVISION, PROVISION_SCREEN
        emit(rates, form, output, lang=language, table=table, columns=columns)
    bad, lines = said_of(rates, calibrated, day)
    for line in lines:
        say(line)
    if bad:
        raise typer.Exit(1)


@app.command()
def supervise(
    period: Annotated[str, typer.Argument(help="Year or month: 2026 or 2026-10.")],
    plant: PlantOption = DEFAULT_PLANT,
    form: FormatOption = Format.table,
    output: OutputOption = None,
    lang: LangOption = None,
) -> None:
    """Energy-saving supervision: verdict and evidence. Exit code 1 if a check exceeds."""
    from app.output import emit
    from app.supervision import screen, supervised
    from config.sheets.supervision import SUPERVISION

    found, said = supervised(published_of(plant), period)
    language = lang_of(lang)
    emit(found, form, output, lang=language, table=SUPERVISION, columns=screen(language))
    for line in said:
        say(line)
    if (found["verdict"] == "exceeds").any():
        raise typer.Exit(1)
