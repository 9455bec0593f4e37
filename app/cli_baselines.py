"""`kgce baseline`, `savings`, `targets` and `quota`: what is expected, saved and allowed."""

from __future__ import annotations

from functools import partial
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


IdArgument = Annotated[str | None, typer.Argument(help="Id of a baseline; default all.")]
YearArgument = Annotated[int, typer.Argument(help="Year: 2026.", min=2000, max=2100)]


@app.command()
def baseline(
    baseline_id: IdArgument = None,
    plant: PlantOption = DEFAULT_PLANT,
    periods: Annotated[
        bool, typer.Option("--periods", help="Each period: actual, expected, CUSUM, changes.")
    ] = False,
    form: FormatOption = Format.table,
    output: OutputOption = None,
    lang: LangOption = None,
) -> None:
    """Energy by what drives it: coefficients and acceptance. Exit code 1 where not accepted."""
    from app import baselines
    from app.output import emit
    from config.errors import InputError
    from config.sheets.baselines import BASELINE, PERFORMANCE

    published = published_of(plant)
    if periods:
        if baseline_id is None:
            raise InputError("--periods without a baseline", todo="name one: kgce baseline ID")
        one = baselines.baseline_of(published.site, baseline_id)
        found = baselines.performance_sheet(published, baselines.modelled(published, one))
        shown = baselines.PERFORMANCE_SCREEN
        emit(found, form, output, lang=lang_of(lang), table=PERFORMANCE, columns=shown)
        for row in found.drop_nulls("change").iter_rows(named=True):
            say(
                f"{row['period']}: a step of {row['change']:+.6g} {row['unit']} a period begins "
                f"(p = {row['change_p_value']:.3f}): a routine driver, or an event to adjust for?"
            )
        return
    found = baselines.baseline_sheet(published, baseline_id)
    columns = baselines.BASELINE_SCREEN
    emit(found, form, output, lang=lang_of(lang), table=BASELINE, columns=columns)
    if found.is_empty():
        say("no baseline is configured under assessment: baselines:")
    _alert(found, "baseline", ("not_accepted", "refused"))


@app.command()
def savings(
    baseline_id: Annotated[str, typer.Argument(help="Id of the baseline.")],
    periods: Annotated[list[str], typer.Argument(help="Months or years: 2026-10 2026.")],
    plant: PlantOption = DEFAULT_PLANT,
    form: FormatOption = Format.table,
    output: OutputOption = None,
    lang: LangOption = None,
) -> None:
    """Energy saved against a baseline, with its uncertainty. Exit code 1 where one is refused."""
    from app.output import emit
    from app.saving import SAVINGS_SCREEN, savings_sheet
    from config.sheets.baselines import SAVINGS

    found = savings_sheet(published_of(plant), baseline_id, periods)
    emit(found, form, output, lang=lang_of(lang), table=SAVINGS, columns=SAVINGS_SCREEN)
    _alert(found, "period", ("refused",))


@app.command()
def targets(
    year: YearArgument,
    plant: PlantOption = DEFAULT_PLANT,
    form: FormatOption = Format.table,
    output: OutputOption = None,
    lang: LangOption = None,
) -> None:
    """Targets and budgets: to date, forecast, deviation. Exit code 1 where one is at risk."""
    from app.carbon import carbon
    from app.output import emit
    from app.targets import TARGETS_SCREEN, targets_sheet
    from config.sheets.targets import TARGET

    published = published_of(plant)
    found = targets_sheet(published, year, partial(carbon, published))
    emit(found, form, output, lang=lang_of(lang), table=TARGET, columns=TARGETS_SCREEN)
    _alert(found, "target", ("at_risk", "missed"))


@app.command()
def quota(
    year: YearArgument,
    plant: PlantOption = DEFAULT_PLANT,
    form: FormatOption = Format.table,
    output: OutputOption = None,
    lang: LangOption = None,
) -> None:
    """The right to use energy: used, forecast, balance. Exit code 1 where it will not do."""
    from app.output import emit
    from app.targets import QUOTA_SCREEN, quota_sheet
    from config.sheets.targets import QUOTA

    found = quota_sheet(published_of(plant), year)
    emit(found, form, output, lang=lang_of(lang), table=QUOTA, columns=QUOTA_SCREEN)
    _alert(found, "year", ("at_risk", "missed"))


def _alert(found: pl.DataFrame, name: str, alarming: tuple[str, ...]) -> None:
    """Say which rows have an alarming status; exit code 1 where one has."""
    told = found.filter(found["status"].is_in(alarming)).select(name, "status").unique()
    for who, status in told.sort(name).iter_rows():
        say(f"! {who}: {status.replace('_', ' ')}")
    if len(told):
        raise typer.Exit(1)
