"""Commands for what people enter: `kgce enter production`, `statement`, `withdraw`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.command import DEFAULT_PLANT, PlantOption, app, say, site_of

if TYPE_CHECKING:
    from app.imports import Entered, Imported
    from config.site import Site

SHOWN = 10
"""Corrections and notes that the screen has room for; with more, the number of the rest."""

enter_app = typer.Typer(
    help="Enter production or a statement (填报) by hand.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(enter_app, name="enter")
withdraw_app = typer.Typer(
    help="Take back what was entered, such as for the wrong dates; its rows stay.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
enter_app.add_typer(withdraw_app, name="withdraw")

StartOption = Annotated[str | None, typer.Option(help="Start: a date, or a time of the plant.")]
EndOption = Annotated[str | None, typer.Option(help="End; a date means the end of that day.")]
DateOption = Annotated[str | None, typer.Option(help="The day that it is of.")]
MonthOption = Annotated[str | None, typer.Option(help="The statistical month, such as 2026-10.")]
ShiftOption = Annotated[str | None, typer.Option(help="The shift of --date.")]
UnitOption = Annotated[str | None, typer.Option(help="Unit of the amounts; default the ledger's.")]
ReasonOption = Annotated[
    str | None, typer.Option(help="Why it corrects what was entered before for the same time.")
]
WhoOption = Annotated[
    str | None, typer.Option("--by-whom", help="Who enters it; default the system user.")
]
RefreshOption = Annotated[
    bool, typer.Option("--refresh/--no-refresh", help="Refresh the figures afterwards.")
]


@enter_app.command()
def production(
    product: Annotated[str, typer.Argument(help="Product, by its id.")],
    quantity: Annotated[str, typer.Option(help="Qualified output.")],
    plant: PlantOption = DEFAULT_PLANT,
    date: DateOption = None,
    shift: ShiftOption = None,
    month: MonthOption = None,
    start: StartOption = None,
    end: EndOption = None,
    batch: Annotated[str | None, typer.Option(help="Label of the batch.")] = None,
    unit: UnitOption = None,
    value_cny: Annotated[
        str | None, typer.Option("--value-cny", help="Output value in CNY.")
    ] = None,
    reason: ReasonOption = None,
    by_whom: WhoOption = None,
    refresh_figures: RefreshOption = True,
) -> None:
    """Enter what was made in a day, a shift, a month, or from --start to --end."""
    cells = {
        "product_id": product,
        "qualified_quantity": quantity,
        "output_value_cny": value_cny,
        "batch": batch,
        **_times(date, shift, month, start, end),
        "unit": unit,
    }
    _enter(plant, "production", cells, reason, by_whom, refresh_figures)


@enter_app.command()
def statement(
    meter: Annotated[str, typer.Argument(help="Meter of the ledger that is not read online.")],
    opening: Annotated[str, typer.Option(help="Stock at the start.")],
    purchased: Annotated[str, typer.Option(help="Purchased or received.")],
    closing: Annotated[str, typer.Option(help="Stock at the end.")],
    sold: Annotated[str, typer.Option(help="Sold or sent out.")] = "0",
    plant: PlantOption = DEFAULT_PLANT,
    date: DateOption = None,
    shift: ShiftOption = None,
    month: MonthOption = None,
    start: StartOption = None,
    end: EndOption = None,
    unit: UnitOption = None,
    reason: ReasonOption = None,
    by_whom: WhoOption = None,
    refresh_figures: RefreshOption = True,
) -> None:
    """Enter stocks and purchases; consumed = opening + purchased - closing - sold."""
    cells = {
        "meter_id": meter,
        "opening_stock": opening,
        "purchased": purchased,
        "closing_stock": closing,
        "sold": sold,
        **_times(date, shift, month, start, end),
        "unit": unit,
    }
    _enter(plant, "statements", cells, reason, by_whom, refresh_figures)


WhyOption = Annotated[str, typer.Option("--reason", help="Why it is withdrawn.")]


@withdraw_app.command("production")
def withdraw_production(
    product: Annotated[str, typer.Argument(help="Product, by its id.")],
    reason: WhyOption,
    plant: PlantOption = DEFAULT_PLANT,
    date: DateOption = None,
    shift: ShiftOption = None,
    month: MonthOption = None,
    start: StartOption = None,
    end: EndOption = None,
    by_whom: WhoOption = None,
    refresh_figures: RefreshOption = True,
) -> None:
    """Take back the production of just this day, shift, month, or --start to --end."""
    times = _times(date, shift, month, start, end)
    _withdraw(plant, "production", product, times, reason, by_whom, refresh_figures)


@withdraw_app.command("statement")
def withdraw_statement(
    meter: Annotated[str, typer.Argument(help="Meter that the statement is of.")],
    reason: WhyOption,
    plant: PlantOption = DEFAULT_PLANT,
    date: DateOption = None,
    shift: ShiftOption = None,
    month: MonthOption = None,
    start: StartOption = None,
    end: EndOption = None,
    by_whom: WhoOption = None,
    refresh_figures: RefreshOption = True,
) -> None:
    """Take back the statement of just this day, shift, month, or --start to --end."""
    times = _times(date, shift, month, start, end)
    _withdraw(plant, "statements", meter, times, reason, by_whom, refresh_figures)


def _times(
    date: str | None, shift: str | None, month: str | None, start: str | None, end: str | None
) -> dict[str, str | None]:
    return {"start": start, "end": end, "date": date, "month": month, "shift": shift}


def _enter(
    plant: Path,
    kind: str,
    cells: dict[str, str | None],
    reason: str | None,
    by_whom: str | None,
    refresh_figures: bool,
) -> None:
    from app.imports import enter
    from app.options import Kind

    site = site_of(plant)
    entered = enter(site, Kind(kind), cells, reason=reason, entered_by=by_whom)
    _tell(site, entered, refresh_figures)


def _withdraw(
    plant: Path,
    kind: str,
    subject: str,
    times: dict[str, str | None],
    reason: str,
    by_whom: str | None,
    refresh_figures: bool,
) -> None:
    from app.options import Kind
    from app.withdrawals import withdraw

    site = site_of(plant)
    done = withdraw(site, Kind(kind), subject, times, reason=reason, entered_by=by_whom)
    _tell(site, done, refresh_figures)


def _tell(site: Site, entered: Entered, refresh_figures: bool) -> None:
    from app import jobs

    for line in entered.lines:
        say(line)
    if refresh_figures and entered.stored:
        done = jobs.refresh(site, jobs.open_lake(site))
        say("changed: " + (", ".join(done.changed) or "no figure yet"))


def said_of(done: Imported) -> Iterator[str]:
    """What is told of an import: counts, conversions, and each correction with old and new."""
    yield (
        f"{done.file}: {done.taken} rows taken, {done.known} known already, {done.refused} refused"
        + (f" (kept in {done.refused_file})" if done.refused_file else "")
    )
    for title, lines in (("converted", done.notes), ("corrected", done.corrected)):
        if lines:
            yield f"{title} {len(lines)} rows:"
            yield from (f"  {line}" for line in lines[:SHOWN])
            if len(lines) > SHOWN:
                yield f"  and {len(lines) - SHOWN} more"
