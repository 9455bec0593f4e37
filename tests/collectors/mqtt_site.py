"""Publishers, and collectors of one broker, for the tests of MQTT."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from paho.mqtt import publish
from paho.mqtt.enums import MQTTProtocolVersion

from collectors.base import Sink
from collectors.mqtt.collector import MqttCollector
from config.tables import Reading
from tests.collectors.sites import meter, site_of

MOMENT_S = 1_790_812_800
VERSIONS = ["3.1.1", "5"]


def send(port: int, *messages: tuple[str, object], qos: int = 1, retain: bool = False) -> None:
    """Publish and wait for the broker's acknowledgements. Bodies that are no text go as JSON."""
    publish.multiple(
        [
            (topic, body if isinstance(body, str | bytes) else json.dumps(body), qos, retain)
            for topic, body in messages
        ],
        hostname="127.0.0.1",
        port=port,
        protocol=MQTTProtocolVersion.MQTTv311,
    )


async def sending(port: int, *messages: tuple[str, object], **how: Any) -> None:
    await asyncio.to_thread(send, port, *messages, **how)


def collector_of(
    folder: Path,
    port: int,
    sink: Sink,
    meters: dict[str, dict[str, Any]],
    **settings: Any,
) -> MqttCollector:
    connection = {"type": "mqtt", "host": "127.0.0.1", "port": port, **settings}
    rows = {meter_id: meter("broker", **fields) for meter_id, fields in meters.items()}
    return MqttCollector(site_of(folder / "site", {"broker": connection}, rows), "broker", sink)


def is_up(collector: MqttCollector) -> Callable[[], bool]:
    return lambda: collector.health.state == "up"


def values(readings: list[Reading]) -> list[tuple[str, float | None]]:
    return [(reading.meter_id, reading.value) for reading in readings]


def password_broker(tmp_path: Path) -> str:
    """Configuration of a broker that knows ``meter`` with the password ``secret``."""
    file = tmp_path / "passwords"
    file.touch(mode=0o600)
    subprocess.run(["mosquitto_passwd", "-b", file, "meter", "secret"], check=True)
    return f"allow_anonymous false\npassword_file {file}"


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def make_certificates(folder: Path) -> None:
    """An authority, a broker certificate for 127.0.0.1 and a client certificate."""
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    authority = ["-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test CA"]
    openssl(folder, "req", "-x509", *curve, *authority)
    (folder / "broker.ext").write_text("subjectAltName=IP:127.0.0.1\n")
    (folder / "client.ext").write_text("extendedKeyUsage=clientAuth\n")
    for name in ("broker", "client"):
        names = ["-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}"]
        openssl(folder, "req", *curve, *names)
        openssl(
            folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-out", f"{name}.pem", "-days", "2", "-extfile", f"{name}.ext",
        )  # fmt: skip
