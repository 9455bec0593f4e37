"""Wrong settings: said once, with what to do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from collectors.connections import describe
from collectors.memory import MemorySink
from collectors.mqtt import collector as mqtt
from config.errors import ConfigError
from tests.collectors.mqtt_site import collector_of, is_up, make_certificates, password_broker
from tests.collectors.servers import free_port
from tests.collectors.sites import meter, site_of
from tests.collectors.waiting import running, until
from tests.mosquitto import Broker, running_broker


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    make_certificates(folder)
    return folder


@contextmanager
def secured(tmp_path: Path, folder: Path, *, client: bool) -> Iterator[Broker]:
    lines = [f"cafile {folder}/ca.pem", f"certfile {folder}/broker.pem"]
    lines += [f"keyfile {folder}/broker.key", f"require_certificate {str(client).lower()}"]
    with running_broker(tmp_path, extra="\n".join(lines)) as broker:
        yield broker


def complaint(folder: Path, port: int, caplog: pytest.LogCaptureFixture, **settings: Any) -> str:
    """What the collector says; it has tried several times and said it once."""
    caplog.set_level(logging.INFO, "kgce.collectors.mqtt")

    async def scenario() -> str:
        collector = collector_of(folder, port, MemorySink(), {"m": {"topic": "t"}}, **settings)
        attempts: list[None] = []
        connect = collector._client.reconnect
        collector._client.reconnect = lambda: attempts.append(None) or connect()  # type: ignore
        async with running(collector):
            await until(lambda: len(attempts) >= 4)
            await until(lambda: collector.health.state == "down")
            return collector.health.detail

    detail = asyncio.run(scenario())
    lines = [record.message for record in caplog.records]
    assert len(lines) == 1, lines
    assert detail in lines[0]
    return detail


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt, "FIRST_WAIT_S", 0.05)


def test_wrong_port(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    said = complaint(tmp_path, port, caplog)
    assert f"to do: start the broker, or check host and port (127.0.0.1:{port})" in said


def test_wrong_host(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    said = complaint(tmp_path, 1883, caplog, host="no-such-host.invalid")
    assert "to do: check host (no-such-host.invalid)" in said


def test_unknown_user(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with running_broker(tmp_path, extra=password_broker(tmp_path)) as broker:
        said = complaint(tmp_path, broker.port, caplog, username="nobody")
    assert "the broker refused the connection" in said
    assert "to do: check username and password_file" in said


def test_no_tls_for_a_tls_port(
    tmp_path: Path, certificates: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with secured(tmp_path, certificates, client=False) as broker:
        said = complaint(tmp_path, broker.port, caplog)
    assert "for TLS set tls" in said


def test_tls_for_a_plain_port(
    tmp_path: Path, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    said = complaint(tmp_path, broker.port, caplog, tls={})
    assert "TLS" in said.partition("to do: ")[2]


def test_a_broker_of_an_unknown_authority(
    tmp_path: Path, certificates: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with secured(tmp_path, certificates, client=False) as broker:
        said = complaint(tmp_path, broker.port, caplog, tls={})
    assert "certificate verify failed" in said
    assert "to do: set tls.ca_file" in said


def test_a_broker_with_another_name(
    tmp_path: Path, certificates: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with secured(tmp_path, certificates, client=False) as broker:
        tls = {"ca_file": "ca.pem"}
        said = complaint(tmp_path, broker.port, caplog, host="localhost", tls=tls)
    assert "Hostname mismatch" in said
    assert "to do: set host, or tls.server_name" in said


def test_the_name_in_the_certificate_can_be_told(tmp_path: Path, certificates: Path) -> None:
    async def scenario(port: int) -> None:
        tls = {"ca_file": "ca.pem", "server_name": "127.0.0.1"}
        collector = collector_of(
            tmp_path, port, MemorySink(), {"m": {"topic": "t"}}, host="localhost", tls=tls
        )
        async with running(collector):
            await until(is_up(collector))

    with secured(tmp_path, certificates, client=False) as broker:
        asyncio.run(scenario(broker.port))


def test_no_client_certificate(
    tmp_path: Path, certificates: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with secured(tmp_path, certificates, client=True) as broker:
        said = complaint(tmp_path, broker.port, caplog, tls={"ca_file": "ca.pem"})
    assert "set tls.cert_file and tls.key_file" in said


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"tls": {"ca_file": "client.key"}}, "TLS files .*client.key"),
        ({"tls": {"ca_file": "."}}, "TLS files"),
        ({"tls": {"cert_file": "client.pem", "key_file": "broker.key"}}, "KEY_VALUES_MISMATCH"),
        ({"username": "a", "password_file": "."}, "password_file"),
    ],
)
def test_wrong_files_are_refused_at_check(
    certificates: Path, settings: dict[str, Any], said: str
) -> None:
    connection = {"type": "mqtt", "host": "127.0.0.1", **settings}
    with pytest.raises(ConfigError, match=said):
        describe(
            site_of(certificates, {"broker": connection}, {"m": meter("broker", topic="t")}),
            "broker",
        )
