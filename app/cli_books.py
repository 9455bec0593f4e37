"""Commands that keep the books: `kgce period close|restate|list`, `kgce correct`."""

from __future__ import annotations

from datetime import UTC, datetime
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
    say,
    site_of,
)
from app.options import Format

period_app = typer.Typer(
    help="Close a period, restate a closed one, list them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
correct_app = typer.Typer(
    help="Correct readings by hand; what was read stays.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(period_app, name="period")
app.add_typer(correct_app, name="correct")

PeriodArgument = Annotated[str, typer.Argument(help="Month such as 2026-10, or year.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why.")]
WhoOption = Annotated[
    str | None, typer.Option("--by-whom", help="Who does it; default the system user.")
]
MeterArgument = Annotated[str, typer.Argument(help="Meter of the ledger.")]
FromOption = Annotated[str, typer.Option("--from", help="Start, in the plant's time.")]
ToOption = Annotated[str, typer.Option("--to", help="End; a date means the end of that day.")]
DIFF_COLUMNS = (
    "period", "subject", "figure", "old_value", "new_value", "unit", "old_status", "new_status",
)  # fmt: skip


def _who(by_whom: str | None) -> str:
    from app.imports import user

    return by_whom or user()


@period_app.command("close")
def close_period(
    period: PeriodArgument,
    plant: PlantOption = DEFAULT_PLANT,
    reason: Annotated[str, typer.Option("--reason", help="A note to it.")] = "",
    by_whom: WhoOption = None,
) -> None:
    """Freeze the figures of a month or year: from now on only a restatement changes them."""
    from app import jobs
    from app.periods_closed import close

    site = site_of(plant)
    now = datetime.now(UTC)
    book = close(site, jobs.open_lake(site), period, reason=reason, by_whom=_who(by_whom), now=now)
    say(f"{period} is closed: {book.figures} figures of consumption")
    if book.refused:
        say(f"! {book.refused} of them are refused: their coverage is too low")


@period_app.command("restate")
def restate_period(
    period: PeriodArgument,
    reason: ReasonOption,
    plant: PlantOption = DEFAULT_PLANT,
    by_whom: WhoOption = None,
    form: FormatOption = Format.table,
    output: OutputOption = None,
    lang: LangOption = None,
) -> None:
    """Bring a closed period up to what is known now; print what changed. Old figures stay
    readable in the table revisions."""
    from app import jobs
    from app.output import emit
    from app.periods_closed import restate
    from config.book_tables import REVISIONS

    site = site_of(plant)
    now = datetime.now(UTC)
    rows = restate(
        site, jobs.open_lake(site), period, reason=reason, by_whom=_who(by_whom), now=now
    )
    emit(rows, form, output, lang=lang_of(lang), table=REVISIONS, columns=DIFF_COLUMNS)
    say(f"{period}: {len(rows)} figures restated" if len(rows) else f"{period}: nothing differs")


@period_app.command("list")
def list_periods(
    plant: PlantOption = DEFAULT_PLANT,
    form: FormatOption = Format.table,
    output: OutputOption = None,
    lang: LangOption = None,
) -> None:
    """Closed periods, by whom and when."""
    from app import jobs
    from app.output import emit
    from config.book_tables import CLOSINGS

    site = site_of(plant)
    rows = jobs.open_lake(site).scan(CLOSINGS, site.id).collect().sort("entered_utc")
    columns = ("period", "action", "entered_utc", "entered_by", "reason")
    emit(rows, form, output, lang=lang_of(lang), table=CLOSINGS, columns=columns)


@correct_app.command("reading")
def correct_reading(
    meter: MeterArgument,
    at: Annotated[str, typer.Option("--at", help="Time of the reading, in the plant's time.")],
    value: Annotated[float, typer.Option("--value", help="What the register showed.")],
    reason: ReasonOption,
    plant: PlantOption = DEFAULT_PLANT,
    by_whom: WhoOption = None,
) -> None:
    """State what the register showed at a time; it goes before what was read then."""
    _correct(plant, meter, "reading", at, at, value, reason, by_whom)


@correct_app.command("discard")
def discard_readings(
    meter: MeterArgument,
    start: FromOption,
    end: ToOption,
    reason: ReasonOption,
    plant: PlantOption = DEFAULT_PLANT,
    by_whom: WhoOption = None,
) -> None:
    """Believe none of the readings from --from to --to."""
    _correct(plant, meter, "discard", start, end, None, reason, by_whom)


@correct_app.command("amount")
def state_amount(
    meter: MeterArgument,
    start: FromOption,
    end: ToOption,
    amount: Annotated[float, typer.Option("--amount", help="In the unit of the meter's amounts.")],
    reason: ReasonOption,
    plant: PlantOption = DEFAULT_PLANT,
    by_whom: WhoOption = None,
) -> None:
    """State what passed where nothing could be booked, such as across a reset."""
    _correct(plant, meter, "amount", start, end, amount, reason, by_whom)


@correct_app.command("void")
def void_correction(
    meter: MeterArgument,
    start: FromOption,
    end: ToOption,
    reason: ReasonOption,
    plant: PlantOption = DEFAULT_PLANT,
    by_whom: WhoOption = None,
) -> None:
    """Take back an earlier correction of the very same span."""
    _correct(plant, meter, "void", start, end, None, reason, by_whom)


def _correct(
    plant: Path,
    meter: str,
    kind: str,
    start: str,
    end: str,
    value: float | None,
    reason: str,
    by_whom: str | None,
) -> None:
    from app import jobs
    from app.correcting import correct
    from app.time_bounds import time_bound

    site = site_of(plant)
    lake = jobs.open_lake(site)
    zone = site.plant.plant.zone
    first = time_bound(start, zone, end=False)
    last = first if kind == "reading" else time_bound(end, zone, end=True)
    assert first is not None
    assert last is not None
    correct(
        site, lake, meter, kind, first, last,
        value=value, reason=reason, by_whom=_who(by_whom), now=datetime.now(UTC),
    )  # fmt: skip
    done = jobs.refresh(site, lake)
    counts = ", ".join(f"{name} {rows}" for name, rows in done.rows.items() if rows)
    say(f"entered; rows that differ now: {counts or 'none'}")
