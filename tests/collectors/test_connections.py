"""Which collector a connection gets, and what `kgce check` says of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from collectors.connections import describe, make_collector
from collectors.memory import MemorySink
from collectors.modbus.collector import ModbusCollector
from collectors.mqtt.collector import MqttCollector
from config.errors import ConfigError
from config.site import Site
from tests.collectors.sites import meter, site_of


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return site_of(
        tmp_path,
        {
            "gw": {"type": "modbus_tcp", "host": "10.0.0.5", "interval_s": 30},
            "spare": {"type": "modbus_tcp", "host": "10.0.0.6"},
            "broker": {"type": "mqtt", "host": "10.0.0.7", "version": "5"},
            "historian": {"type": "files"},
        },
        {
            "a": meter("gw", device="eastron-sdm630", quantity="energy_import"),
            "b": meter("gw", device="eastron-sdm630", quantity="energy_total"),
            "c": meter("gw", register=5, type="u16", unit_id=2, interval_s=2),
            "d": meter("broker", topic="plant/+/kwh"),
            "e": meter("broker", topic="plant/json", value_path="kwh"),
            "f": meter("broker", topic="plant/json", value_path="kvarh"),
            "g": meter("historian"),
        },
    )


def test_each_connection_has_its_collector(site: Site) -> None:
    sink = MemorySink()
    modbus = make_collector(site, "gw", sink, interval_s=1.0)
    mqtt = make_collector(site, "broker", sink)
    assert isinstance(modbus, ModbusCollector)
    assert isinstance(mqtt, MqttCollector)
    assert modbus.intervals_s == (1.0,)
    assert (modbus.health.connection, modbus.health.state) == ("gw", "starting")
    assert (mqtt.health.connection, mqtt.health.state) == ("broker", "starting")


def test_connections_without_a_collector(site: Site) -> None:
    with pytest.raises(ConfigError, match="'historian' takes imports only"):
        make_collector(site, "historian", MemorySink())
    with pytest.raises(ConfigError, match="'nowhere' is unknown"):
        make_collector(site, "nowhere", MemorySink())


def test_a_description_is_only_of_what_can_be_made(tmp_path: Path) -> None:
    broker = {"type": "mqtt", "host": "10.0.0.7", "tls": {"ca_file": "nowhere.pem"}}
    site = site_of(tmp_path, {"broker": broker}, {"a": meter("broker", topic="t")})
    with pytest.raises(ConfigError, match=r"nowhere\.pem"):
        describe(site, "broker")


def test_descriptions(site: Site) -> None:
    assert describe(site, "gw").splitlines() == [
        "gw: Modbus TCP 10.0.0.5:502, every 2 s 1 request touches 1 register for 1 value",
        "gw: Modbus TCP 10.0.0.5:502, every 30 s 2 requests touch 4 registers for 2 values",
    ]
    assert describe(site, "spare") == "spare: Modbus TCP 10.0.0.6:502, no meters"
    assert describe(site, "broker") == (
        "broker: MQTT 5 10.0.0.7:1883, 2 topics for 3 meters: plant/+/kwh, plant/json"
    )
    assert describe(site, "historian") == "historian: files, read by `kgce import`"
    with pytest.raises(ConfigError, match="unknown connection 'nowhere'"):
        describe(site, "nowhere")
