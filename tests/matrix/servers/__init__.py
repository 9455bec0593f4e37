"""Modbus servers that nobody here wrote, each with the registers that it is given."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import serial
from modbus_tk import modbus_rtu, modbus_tcp
from modbus_tk.modbus import Server
from pyModbusTCP.server import DataBank, ModbusServer

from tests.collectors.servers import free_port

HERE = Path(__file__).parent
NODE_MODULES = HERE.parent / "node_modules"
COMPILER_FLAGS = ("-O1", "-Wall", "-Wextra", "-Werror")
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Held:
    """Bytes from one register on, in one unit, as the wire shows them."""

    unit: int
    function: int
    address: int
    wire: bytes

    @property
    def words(self) -> tuple[int, ...]:
        return struct.unpack(f">{len(self.wire) // 2}H", self.wire)

    def __str__(self) -> str:
        words = " ".join(f"{word:04x}" for word in self.words)
        return f"{self.unit} {self.function} {self.address} {words}"


def need(program: str, package: str) -> None:
    assert shutil.which(program), (
        f"{program} is missing: apt-get install {package}, or scripts/setup dev as root"
    )


@contextmanager
def _program(command: Sequence[str | Path], held: Sequence[Held]) -> Iterator[int]:
    """A server in a process of its own, which reads its registers and says when it is ready."""
    port = free_port()
    process = subprocess.Popen(
        [*command, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write("".join(f"{one}\n" for one in held))
        process.stdin.close()
        assert process.stdout.readline() == "ready\n", command
        yield port
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextmanager
def libmodbus(held: Sequence[Held], folder: Path) -> Iterator[int]:
    need("gcc", "gcc libc6-dev libmodbus-dev pkg-config")
    need("pkg-config", "pkg-config libmodbus-dev")
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "libmodbus"],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    ).stdout.split()
    program = folder / "libmodbus_server"
    source = HERE / "libmodbus_server.c"
    command = ["gcc", *COMPILER_FLAGS, "-o", program, source, *flags]
    subprocess.run(command, check=True, timeout=PATIENCE_S)
    with _program([program], held) as port:
        yield port


def _node(script: str, module: str, held: Sequence[Held]) -> AbstractContextManager[int]:
    need("node", "nodejs npm")
    assert (NODE_MODULES / module).is_dir(), f"{module} is missing: scripts/setup dev installs it"
    return _program(["node", HERE / script], held)


def jsmodbus(held: Sequence[Held], folder: Path) -> AbstractContextManager[int]:
    return _node("jsmodbus_server.js", "jsmodbus", held)


def modbus_serial(held: Sequence[Held], folder: Path) -> AbstractContextManager[int]:
    return _node("modbus_serial_server.js", "modbus-serial", held)


@contextmanager
def modbus_tk(held: Sequence[Held], folder: Path) -> Iterator[int]:
    port = free_port()
    with _modbus_tk(modbus_tcp.TcpServer(port=port, address="127.0.0.1"), held):
        yield port


@contextmanager
def modbus_tk_rtu(held: Sequence[Held], device: Path) -> Iterator[None]:
    """modbus-tk on a serial port."""
    with (
        serial.Serial(str(device), baudrate=115200) as line,
        _modbus_tk(modbus_rtu.RtuServer(line), held),
    ):
        yield


@contextmanager
def _modbus_tk(server: Server, held: Sequence[Held]) -> Iterator[None]:
    for unit in sorted({one.unit for one in held}):
        slave = server.add_slave(unit)
        for function in (3, 4):
            here = [one for one in held if (one.unit, one.function) == (unit, function)]
            if here:
                words = [word for one in here for word in one.words]
                slave.add_block(str(function), function, here[0].address, len(words))
                slave.set_values(str(function), here[0].address, words)
    server.start()
    try:
        yield
    finally:
        server.stop()


@contextmanager
def pymodbustcp(held: Sequence[Held], folder: Path) -> Iterator[int]:
    """It has one set of registers for all units, which ends behind the highest."""
    port = free_port()
    ends = dict.fromkeys((3, 4), 0)
    for one in held:
        ends[one.function] = max(ends[one.function], one.address + len(one.words))
    bank = DataBank(h_regs_size=ends[3], i_regs_size=ends[4])
    for one in held:
        put = {3: bank.set_holding_registers, 4: bank.set_input_registers}[one.function]
        assert put(one.address, one.words)
    server = ModbusServer("127.0.0.1", port, no_block=True, data_bank=bank)
    server.start()
    try:
        yield port
    finally:
        server.stop()


Opened = Callable[[Sequence[Held], Path], AbstractContextManager[int]]
OVER_TCP: dict[str, Opened] = {
    "libmodbus": libmodbus,
    "modbus-tk": modbus_tk,
    "pyModbusTCP": pymodbustcp,
    "jsmodbus": jsmodbus,
    "modbus-serial": modbus_serial,
}
ONE_UNIT = ("pyModbusTCP", "jsmodbus")  # they answer any unit, from one set of registers
