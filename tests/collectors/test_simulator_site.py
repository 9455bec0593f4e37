"""The written site loads, and two days of it read through real sockets are the plant's truth."""

from __future__ import annotations

import asyncio
import json
import math
import struct
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from pymodbus.client import AsyncModbusTcpClient

from collectors.simulator import (
    CementPlant,
    EmbeddedBroker,
    FastClock,
    ModbusServer,
    Publisher,
    write_site,
)
from collectors.simulator.modbus_server import registers_of
from collectors.simulator.plant import DAY_US, HOUR_US, encoding_of
from config.devices import place
from config.load import load
from config.models import Meter
from config.site import Site

SINCE = date(2026, 9, 1)
TICK_US = HOUR_US // 4
DAYS = 2
FORMATS = {"u32": ">I", "i32": ">i", "u64": ">Q", "i64": ">q", "f32": ">f", "f64": ">d"}


def test_the_site_loads_and_is_the_plant(tmp_path: Path) -> None:
    site = load(write_site(tmp_path / "new", modbus_port=(5020, 5021), mqtt_port=1883, since=SINCE))
    plant = CementPlant(SINCE)
    assert site.plant.meters == plant.meters
    assert site.plant.nodes == plant.nodes
    assert site.plant.products == plant.products
    assert site.plant.plant.metering_since == SINCE
    assert site.plant.plant.zone == plant.zone
    assert {site.plant.interval_s(meter) for meter in site.plant.meters.values()} == {900}
    assert {c.port for c in site.plant.connections.values() if c.type == "modbus_tcp"} == {
        5020,
        5021,
    }


def test_no_two_meters_share_registers() -> None:
    plant = CementPlant(SINCE)
    served = {
        value.meter_id
        for functions in registers_of(plant.meters).values()
        for registers in functions.values()
        for value in registers.values()
    }
    assert served - {None} == {m.meter_id for m in plant.meters.values() if m.topic is None}


@dataclass(frozen=True)
class Question:
    """One meter's registers."""

    meter: Meter
    function: int
    address: int
    layout: str
    scale: float

    @classmethod
    def about(cls, meter: Meter, site: Site) -> Question:
        encoding = encoding_of(meter)
        layout, address, function = FORMATS[encoding.type], meter.register_address or 0, 3
        if meter.device is not None:
            device = site.devices[meter.device]
            where = place(device, device.fields[meter.quantity_name])
            address, function = where.address, where.function
        return cls(meter, function, address, layout, encoding.scale)

    async def ask(self, client: AsyncModbusTcpClient) -> float:
        read = {3: client.read_holding_registers, 4: client.read_input_registers}[self.function]
        count = struct.calcsize(self.layout) // 2
        answer = await read(self.address, count=count, device_id=self.meter.unit_id or 1)
        assert not answer.isError(), self.meter.meter_id
        words = answer.registers[::-1] if self.meter.order == "CDAB" else answer.registers
        (number,) = struct.unpack(self.layout, struct.pack(f">{count}H", *words))
        return float(number * self.scale)


class Poller:
    """The plainest of collectors: pymodbus, one meter after the other."""

    def __init__(self, site: Site, connection: str, clock: FastClock) -> None:
        meters = [m for m in site.plant.meters.values() if m.connection == connection]
        self._questions = [Question.about(meter, site) for meter in meters]
        settings = site.plant.connections[connection]
        assert settings.type == "modbus_tcp"
        self._client = AsyncModbusTcpClient(settings.host, port=settings.port)
        self._clock = clock
        self.readings: dict[str, list[float]] = {meter.meter_id: [] for meter in meters}

    async def run(self) -> None:
        await self._client.connect()
        tick = self._clock.now_us() // TICK_US
        try:
            while True:
                await self._clock.sleep_until(tick * TICK_US)
                for question in self._questions:
                    reading = await question.ask(self._client)
                    assert self._clock.now_us() == tick * TICK_US
                    self.readings[question.meter.meter_id].append(reading)
                tick += 1
        finally:
            self._client.close()


def subscribe(port: int) -> tuple[mqtt.Client, list[dict[str, object]]]:
    messages: list[dict[str, object]] = []
    client = mqtt.Client(CallbackAPIVersion.VERSION2, "kgce", clean_session=False)
    client.on_message = lambda *args: messages.append(json.loads(args[2].payload))
    client.on_connect = lambda *_: client.subscribe("works/#", 1)
    client.connect("127.0.0.1", port)
    client.loop_start()
    return client, messages


async def backfill(
    plant: CementPlant, folder: Path, mqtt_port: int
) -> tuple[dict[str, list[float]], Publisher]:
    clock = FastClock(plant.start_us, 3, plant.start_us + DAYS * DAY_US)
    async with ModbusServer(plant, clock) as server:
        site = load(
            write_site(folder, modbus_port=server.port, mqtt_port=mqtt_port, since=plant.since)
        )
        pollers = [Poller(site, name, clock) for name in ("line_gateway", "mill_gateway")]
        publisher = Publisher(plant, clock, port=mqtt_port)
        tasks = [asyncio.create_task(part.run()) for part in (*pollers, publisher)]
        ended = asyncio.create_task(clock.ended())
        done, _ = await asyncio.wait([*tasks, ended], return_when=asyncio.FIRST_COMPLETED)
        assert done == {ended}, [task.exception() for task in done]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return pollers[0].readings | pollers[1].readings, publisher


def test_two_days_through_sockets_are_the_truth(tmp_path: Path) -> None:
    plant = CementPlant(SINCE)
    with EmbeddedBroker() as broker:
        client, messages = subscribe(broker.port)
        readings, publisher = asyncio.run(backfill(plant, tmp_path, broker.port))
        for _ in range(3000):
            if len(messages) >= publisher.sent:
                break
            asyncio.run(asyncio.sleep(0.01))
        client.disconnect()
        client.loop_stop()
    ticks = DAYS * 96 + 1
    assert publisher.sent == publisher.acknowledged == len(messages) == 2 * ticks
    end_us = plant.start_us + DAYS * DAY_US
    for message in messages:
        for meter_id, reading in message["meters"].items():  # type: ignore[attr-defined]
            readings.setdefault(meter_id, []).append(reading)
    assert set(readings) == set(plant.meters)
    for meter_id, values in readings.items():
        meter = plant.meters[meter_id]
        assert len(values) == ticks, meter_id
        if meter.kind == "gauge":
            # Trapezoids; the office's load is smooth.
            flowed = (math.fsum(values) - (values[0] + values[-1]) / 2) * 0.25
        elif meter.kind == "amount":
            flowed = math.fsum(values[1:])
        else:
            flowed = values[-1] - values[0]
        truth = plant.true_total(meter_id, end_us)
        step = {"f32": 0.5, "f64": 1e-3}.get(encoding_of(meter).type, encoding_of(meter).scale)
        assert flowed * meter.multiplier == pytest.approx(
            truth, abs=2 * step * meter.multiplier, rel=1e-4
        ), meter_id
