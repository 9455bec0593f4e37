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

from app.language import Lang, default_lang
from app.options import Format, Grain, Kind, Language, What

if TYPE_CHECKING:
    from polars import DataFrame

    from config.site import Site

app = typer.Typer(
    name="kgce",
    help="From factory meters to unit-product energy: kgce per tonne, with coverage and bounds.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # Rich's help screen takes longer to load than the rest of `--help`
    context_settings={"help_option_names": ["-h", "--help"]},
)

PlantOption = Annotated[
    Path, typer.Option("--plant", "-p", envvar="KGCE_PLANT", help="The plant's plant.yaml.")
]
FormatOption = Annotated[Format, typer.Option("--format", help="How data is written.")]
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="File to write to instead of the screen.")
]
LangOption = Annotated[
    Language | None, typer.Option("--lang", help="Language of the screen; default the locale's.")
]
DEFAULT_PLANT = Path("plant.yaml")


def main() -> None:
    """Entry point: runs a command; turns the errors of kgce into a message and exit code 2."""
    from config.errors import KgceError

    try:
        app()
    except KgceError as error:
        _say(f"kgce: {error}")
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:
        # The reader of our output, such as `head`, has had enough.
        sys.stderr.close()
        raise SystemExit(0) from None


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _lang(language: Language | None) -> Lang:
    return language.value if language is not None else default_lang()


def _site(plant: Path) -> Site:
    from app.sites import load_site

    return load_site(plant)


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
        _say(f"wrote {file}")
    _say(f"next: edit both, then `kgce check -p {folder / 'plant.yaml'}` and `kgce run`")


@app.command()
def check(plant: PlantOption = DEFAULT_PLANT) -> None:
    """Check the configuration, and say what would be read."""
    from app.summary import summary

    for line in summary(_site(plant)):
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
    site = _site(plant)
    stopped = run_until_signal(
        site, started=lambda: _say(f"collecting {site.id} into {site.storage_path}; Ctrl-C ends")
    )
    if not stopped.waiting and not stopped.lost:
        _say("stopped; everything read is in the lake")
        return
    _say(f"stopped; {stopped.waiting} readings wait in the spool, {stopped.lost} are lost")
    _say(f"! {stopped.trouble}")
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

    raise typer.Exit(0 if run_demo(folder, days=days, seconds=seconds, lang=_lang(lang)) else 1)


@app.command("import")
def import_(
    kind: Annotated[Kind, typer.Argument(help="What the files hold.")],
    files: Annotated[list[Path], typer.Argument(help="CSV or Parquet files.")],
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
) -> None:
    """Take files of readings, production or statements into the lake, each once."""
    from app import jobs
    from app.imports import import_file
    from config.errors import KgceError

    site = _site(plant)
    lake = jobs.open_lake(site)
    refused = 0
    wrong: KgceError | None = None
    for file in files:
        try:
            with _progress(f"importing {file.name}"):
                done = import_file(
                    site, lake, kind, file, mapping=mapping, partial=partial, entered_by=entered_by
                )
        except KgceError as error:
            wrong = error  # the figures still have to follow the files before it
            break
        refused += done.refused
        _say(
            f"{file}: {done.taken} rows taken, {done.known} known already, {done.refused} refused"
            + (f" (kept in {done.refused_file})" if done.refused_file else "")
        )
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
    site = _site(plant)
    _flush(site)
    _refresh(site, force=force)


def _flush(site: Site) -> None:
    from app import jobs

    if not (site.storage_path / "spool.db").is_file():
        return
    spool = jobs.open_spool(site)
    try:
        jobs.flush_spool(site, spool, jobs.open_lake(site))
    finally:
        spool.close()


def _refresh(site: Site, *, force: bool) -> None:
    from app import jobs

    with _progress("refreshing the figures"):
        done = jobs.refresh(site, jobs.open_lake(site), force=force)
    if done.skipped:
        _say("nothing changed since the last refresh")
        return
    counts = ", ".join(f"{name} {rows}" for name, rows in done.rows.items())
    changed = ", ".join(done.changed) or "nothing"
    _say(f"rows: {counts}; changed: {changed}")


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
    from app.show import SCREEN, for_screen, rows, time_bound
    from config.tables import TABLES

    site = _site(plant)
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
        lang=_lang(lang),
        table=TABLES[what.value],
        columns=SCREEN.get(what),
        zone=zone,
    )
    if found.is_empty():
        _say("no rows: nothing was collected or imported for this yet")


@app.command()
def status(
    plant: PlantOption = DEFAULT_PLANT,
    form: FormatOption = Format.table,
    output: OutputOption = None,
    lang: LangOption = None,
) -> None:
    """Say how the collection does: connections, and expected = good + missing + dropped."""
    from app import jobs
    from app.output import emit
    from app.status import status as state_of

    site = _site(plant)
    state = state_of(site, jobs.open_lake(site))
    for line in state.lines:
        _say(line)
    emit(state.accounts, form, output, lang=_lang(lang), zone=site.plant.plant.zone)
    for line in state.trouble:
        _say(f"! {line}")
    raise typer.Exit(1 if state.trouble else 0)


@app.command()
def watch(
    meters: Annotated[
        list[str] | None, typer.Argument(help="Meters, or patterns such as 'e-*'; default all.")
    ] = None,
    plant: PlantOption = DEFAULT_PLANT,
    once: Annotated[bool, typer.Option("--once", help="Print one table, and end.")] = False,
    read: Annotated[
        bool, typer.Option("--read", help="Poll the meters here, where no daemon runs.")
    ] = False,
    every_s: Annotated[
        float, typer.Option("--every", min=0.5, max=3600, help="Seconds between polls (--read).")
    ] = 5.0,
    form: FormatOption = Format.table,
    output: OutputOption = None,
    lang: LangOption = None,
) -> None:
    """Show live values: what the daemon reads, each second. Ends on Ctrl-C."""
    from app import jobs
    from app.watch import Wish, watch_own
    from app.watch import watch as watch_daemon

    logging.disable(logging.WARNING)  # of what a meter says wrong the table speaks
    site = _site(plant)
    # A file or another program gets one table; a screen that nobody sees helps nobody.
    once = once or form is not Format.table or output is not None or not sys.stdout.isatty()
    wish = Wish(_lang(lang), once, form, output, every_s)
    show_values = watch_own if read else watch_daemon
    code, said = show_values(site, jobs.open_lake(site), meters or (), wish)
    if said:
        _say(said)
    raise typer.Exit(code)


@app.command()
def probe(
    meter: Annotated[
        str | None, typer.Argument(help="A meter of the ledger; or describe registers by options.")
    ] = None,
    plant: PlantOption = DEFAULT_PLANT,
    host: Annotated[str | None, typer.Option(help="Modbus TCP: host name or address.")] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="TCP port.")] = 502,
    serial: Annotated[str | None, typer.Option(help="Modbus RTU: serial port.")] = None,
    baud_rate: Annotated[int, typer.Option("--baud", help="Bits per second.")] = 9600,
    parity: Annotated[str, typer.Option(help="none, even or odd.")] = "none",
    unit: Annotated[int, typer.Option(min=0, max=247, help="Modbus unit id.")] = 1,
    register: Annotated[int, typer.Option(help="First register, counted from 0.")] = 0,
    count: Annotated[int, typer.Option(help="Registers, 1 to 4.")] = 2,
    function: Annotated[int, typer.Option(help="Modbus function, 3 or 4.")] = 3,
    device: Annotated[
        str | None, typer.Option(help="Register map: read all of its fields once.")
    ] = None,
    again_s: Annotated[
        float, typer.Option("--again", min=0, max=600, help="Read once more after so many seconds.")
    ] = 2.0,
    timeout_s: Annotated[float, typer.Option("--timeout", help="Seconds to wait.")] = 3.0,
    lang: LangOption = None,
) -> None:
    """Ask one meter, and show the raw bytes and every byte order side by side."""
    from app import probe as probing

    if meter is not None:
        site = _site(plant)
        if probing.is_dlt645(site, meter):
            from app.probe_dlt645 import probe_dlt645

            raise typer.Exit(0 if probe_dlt645(site, meter) else 1)
        target = probing.meter_target(site, meter)
    else:
        connection = probing.connection_of(host, port, serial, baud_rate, parity, timeout_s)
        if device is not None:
            beside = plant.parent.resolve()
            read = probing.probe_device(connection, beside, device, unit, _lang(lang))
            raise typer.Exit(0 if read else 1)
        target = probing.registers_target(connection, plant.parent, unit, function, register, count)
    plausible = probing.probe_registers(target, again_s=again_s, lang=_lang(lang))
    raise typer.Exit(0 if plausible else 1)


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

    site = _site(plant)
    emit(ask(jobs.open_lake(site), query), form, output, lang=_lang(lang))


@app.command()
def simulate(
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port; 0: any free one.")] = 5020,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    device: Annotated[
        str | None, typer.Option(help="Register map; default: registers that hold their number.")
    ] = None,
    units: Annotated[
        str | None, typer.Option(help="Unit ids, such as 1-30 or 1,5,7-9; default 1.")
    ] = None,
    plant: Annotated[
        Path | None, typer.Option("--plant", "-p", help="Serve the meters of this plant.yaml.")
    ] = None,
    connection: Annotated[
        str | None, typer.Option(help="Which Modbus connection of the plant.")
    ] = None,
    faults: Annotated[str, typer.Option(help="Faults, such as late,short; all; none.")] = "none",
    rate: Annotated[float, typer.Option(min=0, max=1, help="Share of spoiled replies.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Seed of the faults and of the values.")] = 1,
    rtu: Annotated[
        str | None, typer.Option(help="RTU on this serial port; `tcp`: RTU over the TCP port.")
    ] = None,
    baud_rate: Annotated[
        int, typer.Option("--baud", min=300, max=921600, help="Bits per second of the port.")
    ] = 9600,
    late_s: Annotated[
        float, typer.Option("--late", min=0, max=600, help="Delay of late replies, in seconds.")
    ] = 3.5,
) -> None:
    """Serve simulated Modbus meters, with replies that go wrong on purpose. Ends on Ctrl-C."""
    from app.simulate import Wanted, run_simulation

    wanted = Wanted(
        host=host,
        port=port,
        units=units,
        device=device,
        plant=plant,
        connection=connection,
        faults=faults,
        rate=rate,
        seed=seed,
        rtu=rtu,
        baud_rate=baud_rate,
        late_s=late_s,
    )
    run_simulation(wanted, typer.echo)


devices_app = typer.Typer(
    help="List, find and show the register maps of meter models.",
    rich_markup_mode=None,
)
app.add_typer(devices_app, name="devices")


@devices_app.callback(invoke_without_command=True)
def devices(
    context: typer.Context,
    plant: PlantOption = DEFAULT_PLANT,
    form: FormatOption = Format.table,
    output: OutputOption = None,
    lang: LangOption = None,
) -> None:
    """List the meter models that a ledger can name: the package's, and those beside plant.yaml."""
    if context.invoked_subcommand is None:
        from app.devices import maps

        _emit_maps(maps(beside=plant.parent), form, output, _lang(lang))
        return
    sources = {context.get_parameter_source(name) for name in context.params}
    if any(source is not None and source.name == "COMMANDLINE" for source in sources):
        raise typer.BadParameter(f"options stand behind `{context.invoked_subcommand}`")


@devices_app.command()
def search(
    words: Annotated[
        list[str], typer.Argument(help="Words of a name, maker, model, medium or quantity.")
    ],
    plant: PlantOption = DEFAULT_PLANT,
    form: FormatOption = Format.table,
    output: OutputOption = None,
    lang: LangOption = None,
) -> None:
    """Find meter models by words, all of which must fit."""
    from app.devices import maps

    found = maps(words, plant.parent)
    _emit_maps(found, form, output, _lang(lang))
    if found.is_empty():
        _say(f"no model fits {' '.join(words)!r}; `kgce devices` lists all")
        raise typer.Exit(1)


def _emit_maps(found: DataFrame, form: Format, output: Path | None, lang: Lang) -> None:
    from app.devices import MAPS, MAPS_ON_SCREEN, for_screen
    from app.output import emit

    shown = for_screen(found, lang) if form is Format.table else found
    emit(shown, form, output, lang=lang, table=MAPS, columns=MAPS_ON_SCREEN)


@devices_app.command("show")
def show_device(
    name: Annotated[str, typer.Argument(help="Register map, such as acrel-dtsd1352.")],
    plant: PlantOption = DEFAULT_PLANT,
    form: FormatOption = Format.table,
    output: OutputOption = None,
    lang: LangOption = None,
) -> None:
    """Show a meter model: its quantities, registers, and what its CT and PT ask for."""
    from app.devices import FIELDS, FIELDS_ON_SCREEN, about, fields, for_screen
    from app.output import emit
    from config.devices import read_device

    device = read_device(name, plant.parent)
    rows = fields(device)
    for line in about(name, device, _lang(lang)):
        _say(line)
    emit(
        for_screen(rows, _lang(lang)) if form is Format.table else rows,
        form,
        output,
        lang=_lang(lang),
        table=FIELDS,
        columns=FIELDS_ON_SCREEN,
    )


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


if __name__ == "__main__":
    main()
