"""A simulated cement works on loopback: real Modbus and MQTT, a clock that jumps, a known truth."""

from collectors.simulator.broker import EmbeddedBroker
from collectors.simulator.clock import FastClock
from collectors.simulator.faults import Dip, Faults, Outage
from collectors.simulator.modbus_server import ModbusServer
from collectors.simulator.plant import CementPlant
from collectors.simulator.publisher import Publisher
from collectors.simulator.site import write_site

__all__ = [
    "CementPlant",
    "Dip",
    "EmbeddedBroker",
    "FastClock",
    "Faults",
    "ModbusServer",
    "Outage",
    "Publisher",
    "write_site",
]
