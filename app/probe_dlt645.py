"""`kgce probe` for a DL/T 645 meter: its address, the bytes of its data, and their meaning."""

from __future__ import annotations

import asyncio

import typer

from collectors.base import GOOD, WallClock
from collectors.dlt645.line import MeterLine
from collectors.dlt645.values import DataValue, data_values, dlt645_connection
from config.connections import Dlt645
from config.errors import CollectError
from config.site import Site


def probe_dlt645(site: Site, meter_id: str) -> bool:
    """Read a meter of the ledger once, and print; whether it gave a good value."""
    meter = site.plant.meters[meter_id]
    connection_id = meter.connection or ""
    settings = dlt645_connection(site, connection_id)
    values = data_values(site, connection_id)
    value = next(value for value in values if value.meter_id == meter_id)
    typer.echo(f"{settings.peer}, meter {value.address}, data {value.data_id}")
    try:
        content, says = asyncio.run(_read(settings, site, value))
    except CollectError as error:
        typer.echo(f"{error.status}: {error}")
        return False
    typer.echo(f"the meter says that its address is {says}")
    typer.echo(f"content: {content.hex(' ').upper()} (low byte first, 33 taken off)")
    found, status = value.found(content)
    shown = f"{found:,.9g} {meter.unit}" if found is not None else "no value"
    typer.echo(f"{meter.quantity}: {shown} ({status})")
    return status == GOOD


async def _read(settings: Dlt645, site: Site, value: DataValue) -> tuple[bytes, str]:
    line = MeterLine(settings, WallClock(), site.plant.plant.zone)
    try:
        content = await line.read(value.address, value.data_id)
        try:
            return content, await line.read_address()
        except CollectError as error:
            # Several meters on the line answer at once, or it keeps its address to itself.
            return content, f"not to be had ({error.status})"
    finally:
        line.close()
