"""Modbus over TLS: certificates on both sides, and what is said of wrong ones."""

from __future__ import annotations

import asyncio
import ssl
import struct
from pathlib import Path
from typing import Any

import pytest

from collectors.connections import describe
from collectors.modbus.connection import ReadOnlyConnection
from config.connections import ModbusTcp, Tls
from config.errors import ConfigError, ConnectFailed
from tests.collectors.mqtt_site import make_certificates
from tests.collectors.servers import ScriptedServer, own_addresses
from tests.collectors.sites import meter, site_of


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    make_certificates(folder)
    return folder


def server_context(folder: Path) -> ssl.SSLContext:
    """A server as Modbus Security has it: it wants a certificate of the client too."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=folder / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(folder / "broker.pem", folder / "broker.key")
    return context


CLIENT: dict[str, Any] = {
    "ca_file": "ca.pem",
    "cert_file": "client.pem",
    "key_file": "client.key",
}


def read(folder: Path, tls: dict[str, Any]) -> bytes:
    async def scenario() -> bytes:
        async with ScriptedServer(own_addresses, tls=server_context(folder)) as server:
            settings = ModbusTcp(
                type="modbus_tcp",
                host="127.0.0.1",
                port=server.port,
                timeout_s=5,
                tls=Tls.model_validate(tls),
            )
            connection = ReadOnlyConnection(settings, folder)
            try:
                return await connection.read(1, 3, 100, 2)
            finally:
                connection.close()

    return asyncio.run(scenario())


def test_registers_over_tls(certificates: Path) -> None:
    assert read(certificates, CLIENT) == struct.pack(">HH", 100, 101)


@pytest.mark.parametrize(
    "wrong",
    [
        {},  # the system's certificates do not know the server's
        {"ca_file": "ca.pem"},  # no certificate of its own
        {**CLIENT, "server_name": "another.example"},
    ],
)
def test_without_the_right_certificates_there_is_no_connection(
    certificates: Path, wrong: dict[str, Any]
) -> None:
    with pytest.raises(ConnectFailed):
        read(certificates, wrong)


@pytest.mark.parametrize("broken", ["ca_file", "cert_file", "key_file"])
def test_files_that_hold_no_certificate_are_refused_by_check(
    certificates: Path, tmp_path: Path, broken: str
) -> None:
    for name in CLIENT.values():
        (tmp_path / name).write_bytes((certificates / name).read_bytes())
    (tmp_path / CLIENT[broken]).write_text("no certificate")
    connection = {"type": "modbus_tcp", "host": "127.0.0.1", "port": 802, "tls": CLIENT}
    site = site_of(tmp_path, {"gw": connection}, {"a": meter("gw", register=1, type="u16")})
    with pytest.raises(ConfigError, match="readable PEM files"):
        describe(site, "gw")
