"""Commands for whoever sets meters up and looks at them: probe, watch, simulate, devices."""

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
from app.language import Lang
from app.options import Format

if TYPE_CHECKING:
    from polars import DataFrame


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
        site = site_of(plant)
        if probing.is_dlt645(site, meter):
            from app.probe_dlt645 import probe_dlt645

            raise typer.Exit(0 if probe_dlt645(site, meter) else 1)
        target = probing.meter_target(site, meter)
    else:
        connection = probing.connection_of(host, port, serial, baud_rate, parity, timeout_s)
        if device is not None:
            beside = plant.parent.resolve()
            read = probing.probe_device(connection, beside, device, unit, lang_of(lang))
            raise typer.Exit(0 if read else 1)
        target = probing.registers_target(connection, plant.parent, unit, function, register, count)
    plausible = probing.probe_registers(target, again_s=again_s, lang=lang_of(lang))
    raise typer.Exit(0 if plausible else 1)


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
    site = site_of(plant)
    # A file or another program gets one table; a screen that nobody sees helps nobody.
    once = once or form is not Format.table or output is not None or not sys.stdout.isatty()
    wish = Wish(lang_of(lang), once, form, output, every_s)
    show_values = watch_own if read else watch_daemon
    code, said = show_values(site, jobs.open_lake(site), meters or (), wish)
    if said:
        say(said)
    raise typer.Exit(code)


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

        _emit_maps(maps(beside=plant.parent), form, output, lang_of(lang))
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
    _emit_maps(found, form, output, lang_of(lang))
    if found.is_empty():
        say(f"no model fits {' '.join(words)!r}; `kgce devices` lists all")
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
    for line in about(name, device, lang_of(lang)):
        say(line)
    emit(
        for_screen(rows, lang_of(lang)) if form is Format.table else rows,
        form,
        output,
        lang=lang_of(lang),
        table=FIELDS,
        columns=FIELDS_ON_SCREEN,
    )
