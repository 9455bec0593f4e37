"""The command line: `kgce COMMAND`; `kgce --help` names the commands.

Commands are thin: they read options, call one function, and print. Heavy imports stand inside them,
so that `kgce --help` answers at once. Exit codes: 0 done, 1 a finding or a check that fails, 2 bad
input or configuration.
"""

from __future__ import annotations

import logging
import sys
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
    say,
    site_of,
)
from app.options import Format, Grain, Kind, What

if TYPE_CHECKING:
    from config.site import Site


def main() -> None:
    """Entry point: runs a command; turns the errors of kgce into a message and exit code 2."""
    from config.errors import KgceError

    try:
        app()
    except KgceError as error:
        say(f"kgce: {error}")
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:
        # The reader of our output, such as `head`, has had enough.
        sys.stderr.close()
        raise SystemExit(0) from None


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as version_of

        typer.echo(f"kgce {version_of('kgce')}")
        raise typer.Exit


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Folder to make; existing files are kept.")],
) -> None:
    """Make a plant to edit: plant.yaml and the meter ledger meters.csv."""
    from app.template import write_template

    for file in write_template(folder):
        say(f"wrote {file}")
    say(f"next: edit both, then `kgce check -p {folder / 'plant.yaml'}` and `kgce run`")


@app.command()
def check(plant: PlantOption = DEFAULT_PLANT) -> None:
    """Check the configuration, and say what would be read."""
    from app.summary import summary

    for line in summary(site_of(plant)):
        typer.echo(line)


@app.command()
def run(
    plant: PlantOption = DEFAULT_PLANT,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,
) -> None:
    """Collect day and night: read meters, fill the lake, refresh the figures. Ends on SIGTERM."""
    from app.daemon import run_until_signal

    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    for chatty in ("apscheduler", "pymodbus"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    site = site_of(plant)
    stopped = run_until_signal(
        site, started=lambda: say(f"collecting {site.id} into {site.storage_path}; Ctrl-C ends")
    )
    if not stopped.waiting and not stopped.lost:
        say("stopped; everything read is in the lake")
        return
    say(f"stopped; {stopped.waiting} readings wait in the spool, {stopped.lost} are lost")
    say(f"! {stopped.trouble}")
    raise typer.Exit(1)


@app.command()
def demo(
    folder: Annotated[
        Path, typer.Option("--dir", help="Folder to leave the plant, lake and figures in.")
    ] = Path("kgce-demo"),
    days: Annotated[int, typer.Option(min=3, max=400, help="Days of history to read.")] = 60,
    seconds: Annotated[int, typer.Option(min=2, max=600, help="Seconds to read live.")] = 8,
    lang: LangOption = None,
) -> None:
    """Meter a simulated cement plant over real sockets; check every figure against the truth."""
    from app.demo import run_demo

    raise typer.Exit(0 if run_demo(folder, days=days, seconds=seconds, lang=lang_of(lang)) else 1)


@app.command("import")
def import_(
    kind: Annotated[Kind, typer.Argument(help="What the files hold.")],
    files: Annotated[
        list[Path] | None, typer.Argument(help="CSV, Excel (.xlsx) or Parquet files.")
    ] = None,
    plant: PlantOption = DEFAULT_PLANT,
    mapping: Annotated[
        str | None, typer.Option(help="Mapping of plant.yaml; default: the one that fits the name.")
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Take the good rows of a file with bad ones.")
    ] = False,
    refresh_figures: Annotated[
        bool, typer.Option("--refresh/--no-refresh", help="Refresh the figures afterwards.")
    ] = True,
    entered_by: Annotated[
        str | None, typer.Option("--by-whom", help="Who enters it; default the system user.")
    ] = None,
    sheet: Annotated[
        str | None, typer.Option(help="Sheet of a workbook; default the only one that is filled.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option(help="Why it corrects earlier entries; kept with each.")
    ] = None,
    connection: Annotated[
        str | None, typer.Option(help="Ask this database once, instead of reading files.")
    ] = None,
) -> None:
    """Take files of readings, production or statements into the lake, each once."""
    from app import jobs
    from app.cli_entries import said_of
    from app.imports import Imported, import_file
    from config.errors import KgceError

    site = site_of(plant)
    lake = jobs.open_lake(site)
    if bool(files) == (connection is not None):
        raise typer.BadParameter("give files, or --connection")

    def taken_from(file: Path) -> Imported:
        if connection is not None:
            from app.databases import fetch_kind

            return fetch_kind(
                site, kind, connection, partial=partial, entered_by=entered_by, reason=reason
            )
        return import_file(
            site, lake, kind, file, mapping=mapping, partial=partial, entered_by=entered_by,
            sheet=sheet, reason=reason,
        )  # fmt: skip

    refused = 0
    wrong: KgceError | None = None
    files = files or [Path(f"sql:{connection}")]
    for file in files:
        try:
            with _progress(f"importing {file.name}"):
                done = taken_from(file)
        except KgceError as error:
            wrong = error  # the figures still have to follow the files before it
            break
        refused += done.refused
        for line in said_of(done):
            say(line)
    if refresh_figures and (wrong is None or file is not files[0]):
        _refresh(site, force=False)
    if wrong is not None:
        raise wrong
    raise typer.Exit(1 if refused else 0)


@app.command()
def refresh(
    plant: PlantOption = DEFAULT_PLANT,
    force: Annotated[
        bool, typer.Option("--force", help="Compute even where nothing changed.")
    ] = False,
) -> None:
    """Compute the figures from what is in the lake and the spool."""
    site = site_of(plant)
    _flush(site)
    _refresh(site, force=force)


def _flush(site: Site) -> None:
    from app import jobs

    if not (site.storage_path / "spool.db").is_file():
        return
    spool = jobs.open_spool(site)
    try:
        lake = jobs.open_lake(site)
        jobs.flush_spool(site, spool, lake)
        jobs.keep_account(site, spool, lake)
    finally:
        spool.close()


def _refresh(site: Site, *, force: bool) -> None:
    from app import jobs

    with _progress("refreshing the figures"):
        done = jobs.refresh(site, jobs.open_lake(site), force=force)
    if done.skipped:
        say("nothing changed since the last refresh")
        return
    counts = ", ".join(f"{name} {rows}" for name, rows in done.rows.items() if rows)
    say(f"rows that differ: {counts or 'none'}")


@app.command()
def show(
    what: Annotated[What, typer.Argument(help="Table to show.")],
    plant: PlantOption = DEFAULT_PLANT,
    by: Annotated[Grain, typer.Option("--by", help="Length of the periods.")] = Grain.month,
    start: Annotated[
        str | None, typer.Option("--from", help="First day (or time), in the plant's time.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="Last day (whole), or the time to end at.")
    ] = None,
    subject: Annotated[
        str | None, typer.Option("--only", help="One node, energy, product or meter.")
    ] = None,
    required_coverage_ratio: Annotated[
        float | None,
        typer.Option(
            "--required-coverage",
            min=0,
            max=1,
            help="Show figures from this coverage on, whatever plant.yaml demands.",
        ),
    ] = None,
    form: FormatOption = Format.table,
    output: OutputOption = None,
    lang: LangOption = None,
) -> None:
    """Show figures or the data behind them."""
    from app import jobs
    from app.output import emit
    from app.show import SCREEN, for_screen, rows
    from app.time_bounds import time_bound
    from config.tables import TABLES

    site = site_of(plant)
    zone = site.plant.plant.zone
    found = rows(
        site,
        jobs.open_lake(site),
        what,
        by=by.value,
        start=time_bound(start, zone, end=False),
        end=time_bound(end, zone, end=True),
        subject=subject,
        required_coverage_ratio=required_coverage_ratio,
    )
    emit(
        for_screen(what, found) if form is Format.table else found,
        form,
        output,
        lang=lang_of(lang),
        table=TABLES[what.value],
        columns=SCREEN.get(what),
        zone=zone,
    )
    if found.is_empty():
        say("no rows: nothing was collected or imported for this yet")


@app.command()
def status(
    plant: PlantOption = DEFAULT_PLANT,
    by: Annotated[
        Grain | None, typer.Option("--by", help="The account by day, month or year.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="First day of the account, with --by.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="Last day of the account, with --by.")
    ] = None,
    form: FormatOption = Format.table,
    output: OutputOption = None,
    lang: LangOption = None,
) -> None:
    """Say how the collection does: connections, and expected = good + missing + dropped."""
    from app import jobs
    from app.losses import LOSS_SCREEN, period_losses
    from app.output import emit
    from app.status import status as state_of
    from config.loss_table import LOSSES

    site = site_of(plant)
    lake, zone = jobs.open_lake(site), site.plant.plant.zone
    account = None
    if by is not None or start is not None or end is not None:
        account = period_losses(site, lake, by.value if by else "day", start, end)
    state = state_of(site, lake)
    for line in state.lines:
        say(line)
    if account is None:
        emit(state.accounts, form, output, lang=lang_of(lang), zone=zone)
    else:
        emit(account, form, output, lang=lang_of(lang), table=LOSSES, columns=LOSS_SCREEN)
    for line in state.trouble:
        say(f"! {line}")
    raise typer.Exit(1 if state.trouble else 0)


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="A DuckDB query over the lake's tables.")],
    plant: PlantOption = DEFAULT_PLANT,
    form: FormatOption = Format.table,
    output: OutputOption = None,
    lang: LangOption = None,
) -> None:
    """Ask the lake in SQL; the tables are described in docs/tables.md."""
    from app import jobs
    from app.ask import ask
    from app.output import emit

    site = site_of(plant)
    emit(ask(jobs.open_lake(site), query), form, output, lang=lang_of(lang))


class _progress:
    """A line with a moving bar on a terminal, nothing elsewhere."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __enter__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        self._bar.start()
        self._bar.add_task(self._text, total=None)

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


# Registers its commands, behind those above.
from app import (  # noqa: E402
    cli_audit,  # noqa: F401
    cli_baselines,  # noqa: F401
    cli_books,  # noqa: F401
    cli_carbon,  # noqa: F401
    cli_care,  # noqa: F401
    cli_cost,  # noqa: F401
    cli_entries,  # noqa: F401
    cli_meters,  # noqa: F401
    cli_rubric,  # noqa: F401
    cli_standards,  # noqa: F401
    cli_supervision,  # noqa: F401
)

if __name__ == "__main__":
    main()
