"""`kgce probe` against a real socket: what the bytes could mean, and what is said of trouble."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.app.commands import Ended, kgce
from tests.collectors.dlt645_meters import MeterBus, Meters
from tests.collectors.servers import Answer, Asked, ScriptedServer, free_port
from tests.plants import write_plant


def probed(
    answer: Callable[[Asked], Answer], *options: str, cwd: Path
) -> tuple[Ended, list[Asked]]:
    """What ``kgce probe`` says while a server answers so; `PORT` in the options is its port."""

    async def scenario() -> tuple[Ended, list[Asked]]:
        async with ScriptedServer(answer) as server:
            filled = [option.replace("PORT", str(server.port)) for option in options]
            ended = await asyncio.to_thread(kgce, "probe", *filled, cwd=cwd, env={"LANG": "C"})
            return ended, server.asked

    return asyncio.run(scenario())


def counting(order: str) -> Callable[[Asked], Answer]:
    """A float32 counter at register 100 whose bytes come in ``order``; a little more each time."""
    times = iter(range(1000))

    def answer(asked: Asked) -> Answer:
        big_endian = struct.pack(">f", 123456.75 + next(times) / 8)
        wire = bytes(big_endian["ABCD".index(letter)] for letter in order)
        return asked.reply(struct.unpack(">HH", wire))

    return answer


REGISTERS = ("--host", "127.0.0.1", "--port", "PORT", "--register", "100", "--again", "0.1")


@pytest.mark.parametrize("order", ["ABCD", "CDAB", "BADC", "DCBA"])
def test_the_byte_order_is_found(tmp_path: Path, order: str) -> None:
    ended, asked = probed(counting(order), *REGISTERS, cwd=tmp_path)
    assert ended.code == 0
    assert f"f32: of its byte orders only {order} is plausible" in ended.out
    assert [(a.function, a.address, a.count) for a in asked] == [(3, 100, 2)] * 2
    big_endian = struct.pack(">f", 123456.75)
    wire = bytes(big_endian["ABCD".index(letter)] for letter in order)
    assert wire.hex(" ", 2).upper() in ended.out


def plant_with(folder: Path, port: int, order: str) -> Path:
    meter = {
        "meter_id": "e-one", "name": "One", "node": "works", "energy": "electricity",
        "kind": "counter", "unit": "kWh", "connection": "gateway", "register": "100",
        "type": "f32", "order": order,
    }  # fmt: skip
    gateway = {"type": "modbus_tcp", "host": "127.0.0.1", "port": port}
    return write_plant(
        folder, connections={"gateway": gateway}, meters=[meter], products=None, imports=None
    )


def test_a_meter_of_the_ledger_with_the_right_and_the_wrong_order(tmp_path: Path) -> None:
    async def scenario(order: str) -> Ended:
        async with ScriptedServer(counting("CDAB")) as server:
            plant = plant_with(tmp_path / order, server.port, order)
            options = ("probe", "e-one", "-p", str(plant), "--again", "0.1")
            return await asyncio.to_thread(kgce, *options)

    right, wrong = asyncio.run(scenario("CDAB")), asyncio.run(scenario("ABCD"))
    assert (right.code, wrong.code) == (0, 1)
    assert "f32 CDAB, as configured, is plausible: 123,456.75 kWh" in right.out
    assert "f32 ABCD, as configured, is not plausible" in wrong.out
    assert "f32 CDAB would be" in wrong.out


def test_a_meter_whose_scale_is_in_another_register(tmp_path: Path) -> None:
    def answer(asked: Asked) -> Answer:
        return asked.reply([0xFFFE] if asked.address == 60 else [1, 57920])  # -2; 123456

    async def scenario() -> Ended:
        async with ScriptedServer(answer) as server:
            plant = plant_with(tmp_path, server.port, "ABCD")
            (tmp_path / "devices").mkdir()
            (tmp_path / "devices" / "scaled.yaml").write_text(
                "maker: A\nmodel: B\nsource: a test\nct_pt: none\nfields:\n"
                "  total: {address: 10, type: u32, unit: kWh, kind: counter, "
                "scale_from: [{address: 60}]}\n"
            )
            ledger = plant.parent / "meters.csv"
            ledger.write_text(
                "meter_id,name,node,energy,kind,unit,connection,device,quantity\n"
                "e-one,One,works,electricity,counter,kWh,gateway,scaled,total\n"
            )
            options = ("probe", "e-one", "-p", str(plant), "--again", "0.1")
            return await asyncio.to_thread(kgce, *options)

    ended = asyncio.run(scenario())
    assert ended.code == 0, ended.err
    assert "u32 ABCD, as configured, is plausible: 1,234.56 kWh (good)" in ended.out


def test_every_field_of_a_register_map(tmp_path: Path) -> None:
    ended, _ = probed(
        lambda asked: asked.reply([0x42F6, 0xE979][: asked.count] * (asked.count // 2)),
        "--host", "127.0.0.1", "--port", "PORT", "--device", "eastron-sdm630", cwd=tmp_path,
    )  # fmt: skip
    assert ended.code == 0
    assert "Eastron SDM630" in ended.out
    assert "123.456" in ended.out
    assert "energy_import" in ended.out


def test_trouble_is_said(tmp_path: Path) -> None:
    refused, _ = probed(lambda asked: asked.exception(2), *REGISTERS, cwd=tmp_path)
    assert refused.code == 1
    assert "exception_2: exception 2 (illegal data address)" in refused.out
    nobody = kgce("probe", "--host", "127.0.0.1", "--port", str(free_port()), cwd=tmp_path)
    assert nobody.code == 1
    assert "not_connected" in nobody.out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "allowed: a meter of the ledger; or --host"),
        (("--host", "127.0.0.1", "--function", "6"), "allowed: function 3 or 4"),
        (("--host", "127.0.0.1", "--count", "5"), "1 to 4 registers"),
        (("--serial", "/dev/null", "--parity", "mark"), "parity"),
        (("--host", "127.0.0.1", "--device", "eastron-sdm63"), "did you mean 'eastron-sdm630'?"),
    ],
)
def test_bad_options_are_refused(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    ended = kgce("probe", *options, cwd=tmp_path)
    assert ended.code == 2
    assert said in ended.err


def test_a_serial_port_that_is_none(tmp_path: Path) -> None:
    missing = kgce("probe", "--serial", "/dev/ttyNONE0", cwd=tmp_path)
    assert missing.code == 1
    assert "ls -l /dev/serial/by-id" in missing.out
    wrong = kgce("probe", "--serial", "/dev/null", cwd=tmp_path)
    assert wrong.code == 1
    assert "it must be a serial port" in wrong.out


def test_a_dlt645_meter(tmp_path: Path) -> None:
    address, total = "000000000017", "00010000"

    async def scenario() -> Ended:
        # 123456.78 kWh: low byte first.
        async with MeterBus(Meters({address: {total: "78 56 34 12"}})) as bus:
            meter = {
                "meter_id": "e-one", "name": "One", "node": "works", "energy": "electricity",
                "kind": "counter", "unit": "kWh", "connection": "bus", "device": "dlt645-2007",
                "quantity": "energy_import", "meter_address": address,
            }  # fmt: skip
            line = {"type": "dlt645", "host": "127.0.0.1", "port": bus.port, "timeout_s": 1}
            plant = write_plant(
                tmp_path, connections={"bus": line}, meters=[meter], products=None, imports=None
            )
            return await asyncio.to_thread(kgce, "probe", "e-one", "-p", str(plant))

    ended = asyncio.run(scenario())
    assert ended.code == 0, ended.err
    assert "content: 78 56 34 12" in ended.out
    assert "123,456.78 kWh (good)" in ended.out
