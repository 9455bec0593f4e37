"""`kgce simulate`: a simulated meter, or the meters of a plant, with replies that go wrong.

What is served is known (`collectors.simulator.contents`); which replies are spoiled is drawn from
a seed. Ends on Ctrl-C or SIGTERM, and says then what it did.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.sites import load_site
from collectors.simulator.contents import (
    Contents,
    MeterContents,
    NumberContents,
    contents_of_device,
)
from collectors.simulator.hostile import HostileServer
from collectors.simulator.spoiling import MEANINGS, Fault, Plan, faults_of
from config.connections import ModbusRtu, ModbusTcp, SerialPort
from config.errors import InputError

ALL, NONE = "all", "none"
OVER_TCP = "tcp"  # --rtu tcp: RTU frames on the TCP port
_LATE_SPREAD = 1.1  # the latest of the late replies, by the earliest
_LAST_UNIT = 247

Say = Callable[[str], None]


@dataclass(frozen=True)
class Wanted:
    """The options of the command, as they were given."""

    host: str
    port: int
    units: str | None
    device: str | None
    plant: Path | None
    connection: str | None
    faults: str
    rate: float
    seed: int
    rtu: str | None
    baud_rate: int
    late_s: float


@dataclass(frozen=True)
class Simulation:
    """What is going to be served."""

    contents: Contents
    about: tuple[str, ...]
    framing: str
    serial: SerialPort | None


def parse_units(text: str) -> tuple[int, ...]:
    """The unit ids of ``text``.

    >>> parse_units("1-3,7")
    (1, 2, 3, 7)

    Raises InputError.
    """
    units: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        numbers = (first, last if dash else first)
        if not all(number.isdecimal() and len(number) < 4 for number in numbers):
            raise _wrong_units(text)
        units += range(int(numbers[0]), int(numbers[1]) + 1)
    if not units or max(units) > _LAST_UNIT or len(set(units)) < len(units):
        raise _wrong_units(text)
    return tuple(units)


def _wrong_units(text: str) -> InputError:
    return InputError(
        f"--units {text!r}",
        allowed=f"unit ids of 0 to {_LAST_UNIT}, each once, such as 1-30 or 1,5,7-9",
    )


def parse_faults(text: str, framing: str, *, serial: bool) -> tuple[Fault, ...]:
    """The faults of ``text``: a list, `all` or `none`. Raises InputError."""
    possible = faults_of(framing, serial=serial)
    if text in (ALL, NONE):
        return possible if text == ALL else ()
    names = [name.strip().replace("-", "_") for name in text.split(",")]
    known = {fault.value: fault for fault in possible}
    if unknown := [name for name in names if name not in known]:
        kind = "a serial port" if serial else f"{framing.upper()} frames"
        wrong = ", ".join(name or "an empty name" for name in unknown)
        raise InputError(
            f"--faults: {wrong}", allowed=f"all, none, or with {kind}: {', '.join(known)}"
        )
    return tuple(dict.fromkeys(known[name] for name in names))


def simulation(wanted: Wanted) -> Simulation:
    """What ``wanted`` asks for. Raises InputError and ConfigError."""
    if wanted.plant is not None:
        if wanted.device is not None or wanted.units is not None:
            raise InputError(
                "--plant with --device or --units",
                allowed="--plant (its ledger names units and devices), or --device and --units",
            )
        return _of_plant(wanted, wanted.plant)
    if wanted.connection is not None:
        raise InputError("--connection without --plant", allowed="--plant with --connection")
    units = parse_units(wanted.units or "1")
    which = f"unit {units[0]}" if len(units) == 1 else f"{len(units)} units ({wanted.units})"
    framing, serial = _line(wanted, "tcp")
    if wanted.device is None:
        about = f"{which}: every register holds its own number, counted from 0"
        return Simulation(NumberContents(units), (about,), framing, serial)
    contents = contents_of_device(wanted.device, units, wanted.seed)
    about = f"{which}: each a {wanted.device}, {_registers(contents, units[0])}"
    return Simulation(contents, (about,), framing, serial)


def _of_plant(wanted: Wanted, file: Path) -> Simulation:
    site = load_site(file)
    lines = {
        name: one
        for name, one in site.plant.connections.items()
        if isinstance(one, ModbusTcp | ModbusRtu)
    }
    allowed = ", ".join(lines) or "none: the plant has no Modbus connection"
    name = wanted.connection or (next(iter(lines)) if len(lines) == 1 else None)
    if name is None:
        raise InputError(
            f"{file}: {len(lines)} Modbus connections",
            allowed=f"--connection with one of: {allowed}",
        )
    if name not in lines:
        raise InputError(f"--connection {name!r}", allowed=allowed)
    contents = MeterContents()
    for meter in site.plant.meters.values():
        if meter.connection == name:
            contents.put_meter(site, meter, wanted.seed)
    if not contents.units:
        raise InputError(f"{file}: no meter is read on {name}", allowed="a connection with meters")
    about = tuple(f"unit {unit}: {_registers(contents, unit)}" for unit in sorted(contents.units))
    framing, serial = _line(wanted, "rtu" if isinstance(lines[name], ModbusRtu) else "tcp")
    return Simulation(contents, about, framing, serial)


def _line(wanted: Wanted, framing: str) -> tuple[str, SerialPort | None]:
    """Framing and serial port, if any; ``framing`` where no option says otherwise."""
    if wanted.rtu is None:
        return framing, None
    if wanted.rtu == OVER_TCP:
        return "rtu", None
    return "rtu", SerialPort(device=wanted.rtu, baud_rate=wanted.baud_rate)


def _registers(contents: MeterContents, unit: int) -> str:
    """Such as ``function 3: 12 values in registers 0 to 41``."""
    parts = []
    for function, words in sorted(contents.units[unit].items()):
        values = sum(word == 0 for _, word in words.values())
        parts.append(
            f"function {function}: {values} values in registers {min(words)} to {max(words)}"
        )
    return "; ".join(parts)


def run_simulation(wanted: Wanted, say: Say) -> None:
    """Serve until SIGINT or SIGTERM. Raises InputError and ConfigError."""
    here = simulation(wanted)
    faults = parse_faults(wanted.faults, here.framing, serial=here.serial is not None)
    plan = Plan(faults, wanted.rate, wanted.seed)
    server = HostileServer(
        here.contents,
        plan,
        framing=here.framing,
        host=wanted.host,
        port=wanted.port,
        serial=here.serial,
        late_s=(wanted.late_s, wanted.late_s * _LATE_SPREAD),
    )
    asyncio.run(_serve(server, here, plan, wanted.seed, say))


async def _serve(server: HostileServer, here: Simulation, plan: Plan, seed: int, say: Say) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with server:
        kind = "Modbus TCP" if here.framing == "tcp" else "Modbus RTU"
        if here.serial is not None:
            say(f"{kind} on {here.serial.device} at {here.serial.baud_rate} Bd")
        else:
            over = "" if here.framing == "tcp" else " over TCP"
            say(f"{kind}{over} on {server.host}:{server.port}")
        for line in [*here.about, *_about_faults(plan, seed), "Ctrl-C ends"]:
            say(line)
        await stop.wait()
    for line in summary(server):
        say(line)


def _about_faults(plan: Plan, seed: int) -> Sequence[str]:
    if not plan.rate:
        return ["no faults"]
    lines = [f"{100 * plan.rate:.4g} % of the replies meet a fault (seed {seed}), one of"]
    return lines + [f"  {fault.value:18}{MEANINGS[fault]}" for fault in plan.faults]


def summary(server: HostileServer) -> Iterator[str]:
    """What the server did, counted."""
    right = server.faults[None]
    yield f"{server.requests} requests, {right} without a fault"
    for fault in Fault:
        if many := server.faults[fault]:
            yield f"  {fault.value:18}{many}"
