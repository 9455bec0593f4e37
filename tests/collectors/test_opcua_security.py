"""Certificates, users and settings: what is right works, and what is wrong says what to do."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from cryptography.hazmat.primitives import serialization

from collectors.connections import describe, make_collector
from collectors.memory import MemorySink
from config.errors import ConfigError
from config.site import Site
from tests.collectors.opcua_server import KeyPair, Wire, make_keys, plant_server
from tests.collectors.servers import free_port
from tests.collectors.sites import meter, site_of
from tests.collectors.waiting import running, until

ONE = {"a": ua.Variant(1.0, ua.VariantType.Double)}


@pytest.fixture(scope="module")
def server_keys(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    return make_keys(tmp_path_factory.mktemp("server"), "server")


@pytest.fixture(scope="module")
def client_keys(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    return make_keys(tmp_path_factory.mktemp("client"), "client", pem=True)


def site(folder: Path, url: str, node: str = "ns=2;s=a", **settings: Any) -> Site:
    connection = {"type": "opcua", "url": url, "interval_s": 0.2, "timeout_s": 2.0, **settings}
    return site_of(folder, {"dcs": connection}, {"a": meter("dcs", meter_id="a", opc_node=node)})


def secured(mode: str, client: KeyPair, server_cert: Path) -> dict[str, str]:
    return {
        "security": mode,
        "cert_file": str(client.cert_file),
        "key_file": str(client.key_file),
        "server_cert_file": str(server_cert),
    }


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


async def first_value(configured: Site) -> float | None:
    sink = MemorySink()
    async with running(make_collector(configured, "dcs", sink)):
        await until(lambda: any(r.status == "good" for r in sink.readings), "a value")
    return next(r.value for r in sink.readings if r.status == "good")


async def trouble(configured: Site) -> str:
    """What the health says after three attempts; no value came, and it was logged once."""
    sink = MemorySink()
    collector = make_collector(configured, "dcs", sink)
    async with running(collector):
        await until(lambda: len(sink.readings) > 10, "reasons")
        detail = collector.health.detail
    assert {(r.status, r.value) for r in sink.readings} == {("not_connected", None)}
    return detail


@pytest.mark.parametrize("mode", ["sign", "sign_and_encrypt"])
def test_a_secured_session_reads(
    tmp_path: Path, mode: str, server_keys: KeyPair, client_keys: KeyPair
) -> None:
    async def test() -> None:
        keys = (server_keys.cert_file, server_keys.key_file)
        async with plant_server(ONE, security=True, keys=keys) as plant:
            settings = secured(mode, client_keys, server_keys.cert_file)
            assert await first_value(site(tmp_path, plant.url, **settings)) == 1.0

    run(test())


def test_another_server_certificate_is_not_talked_to(
    tmp_path: Path,
    server_keys: KeyPair,
    client_keys: KeyPair,
    caplog: pytest.LogCaptureFixture,
) -> None:
    other = make_keys(tmp_path, "other")

    async def test() -> None:
        keys = (server_keys.cert_file, server_keys.key_file)
        async with plant_server(ONE, security=True, keys=keys) as plant, Wire(plant.port) as wire:
            settings = secured("sign_and_encrypt", client_keys, other.cert_file)
            said = await trouble(site(tmp_path / "p", wire.url, **settings))
            assert "the server shows another certificate" in said
            assert "server_cert_file" in said

    with caplog.at_level(logging.INFO):
        run(test())
    assert len([r for r in caplog.records if r.message.startswith("dcs: ")]) == 1


def test_a_server_without_the_security_asked_for_is_not_talked_to(
    tmp_path: Path, server_keys: KeyPair, client_keys: KeyPair
) -> None:
    async def test() -> None:
        async with plant_server(ONE) as plant:
            settings = secured("sign", client_keys, server_keys.cert_file)
            said = await trouble(site(tmp_path, plant.url, **settings))
            assert "does not offer security: sign, but None_ None" in said

    run(test())


def test_a_server_that_wants_security_says_so(tmp_path: Path, server_keys: KeyPair) -> None:
    async def test() -> None:
        keys = (server_keys.cert_file, server_keys.key_file)
        async with plant_server(ONE, security=True, keys=keys) as plant:
            said = await trouble(site(tmp_path, plant.url))
            assert "does not offer security: none, but Sign" in said

    run(test())


def test_a_user_is_let_in_by_the_right_password_alone(tmp_path: Path) -> None:
    (tmp_path / "right").write_text("secret\n", encoding="utf-8")
    (tmp_path / "wrong").write_text("guess\n", encoding="utf-8")

    async def test() -> None:
        async with plant_server(ONE, users=True) as plant:

            def settings(password: str) -> Site:
                file = str(tmp_path / password)
                return site(
                    tmp_path / password[0], plant.url, username="reader", password_file=file
                )

            assert await first_value(settings("right")) == 1.0
            said = await trouble(settings("wrong"))
            assert "refuses the user 'reader'" in said
            assert "password_file" in said
            assert "refuses a nameless user" in await trouble(site(tmp_path / "n", plant.url))

    run(test())


def test_no_server_is_told_with_the_systems_reason(tmp_path: Path) -> None:
    said: list[str] = []

    async def test() -> None:
        said.append(await trouble(site(tmp_path, f"opc.tcp://127.0.0.1:{free_port()}")))

    run(test())
    assert "no connection: " in said[0]


def test_check_reads_the_files_and_tells_how_long_the_certificate_is_valid(
    tmp_path: Path, server_keys: KeyPair, client_keys: KeyPair
) -> None:
    settings = secured("sign", client_keys, server_keys.cert_file)
    said = describe(site(tmp_path, "opc.tcp://10.0.0.5:4840", **settings), "dcs")
    assert said.startswith("dcs: OPC UA opc.tcp://10.0.0.5:4840, security sign, our certificate is")
    assert said.endswith("1 nodes every 0.2 s")


def test_files_of_no_use_are_refused(
    tmp_path: Path, server_keys: KeyPair, client_keys: KeyPair
) -> None:
    url = "opc.tcp://10.0.0.5:4840"
    good = secured("sign", client_keys, server_keys.cert_file)
    text = tmp_path / "text"
    text.write_text("no certificate", encoding="utf-8")
    key = serialization.load_pem_private_key(client_keys.key_file.read_bytes(), None)
    locked = tmp_path / "locked.pem"
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    for change, said in (
        ({"cert_file": str(text)}, "cert_file .* holds no certificate"),
        ({"server_cert_file": str(text)}, "server_cert_file .* holds no certificate"),
        ({"key_file": str(text)}, "no usable key"),
        ({"key_file": str(locked)}, "no usable key"),
        ({"key_file": str(server_keys.key_file)}, "is not the key of cert_file"),
        ({"cert_file": "nowhere.pem"}, "cert_file .*nowhere.pem: No such file"),
    ):
        configured = site(tmp_path / "p", url, **{**good, **change})
        with pytest.raises(ConfigError, match=said):
            describe(configured, "dcs")
        with pytest.raises(ConfigError, match=said):
            make_collector(configured, "dcs", MemorySink())


@pytest.mark.parametrize(
    "node",
    [
        "", "Meter1", "ns=2", "ns=2;Meter1", "ns=x;s=a", "ns=70000;i=1", "ns=2;i=x", "ns=2;i=-1",
        "ns=2;i=4294967296", "ns=2;g=12", "ns=2;b=%%", "s=", "nsu=;s=a", "ns=2;nsu=urn:x;s=a",
        "i=1;ns=2", "s=" + "x" * 4097, "ns=2;i=٣",
    ],
)  # fmt: skip
def test_a_wrong_node_id_is_refused_by_the_check(tmp_path: Path, node: str) -> None:
    with pytest.raises(ConfigError, match="opc_node") as refused:
        site(tmp_path, "opc.tcp://10.0.0.5:4840", node)
    assert "ns=2;s=Meter1.Energy" in refused.value.allowed


@pytest.mark.parametrize(
    "node",
    ["i=2258", "ns=2;i=7", "ns=3;s=a;b=c", "ns=1;g=09087e75-8e5e-499b-954f-f2a9603db28a",
     "ns=1;b=M/RbKBsRVkePCePcx24oRA==", "nsu=http://maker.example/;s=Kiln 1.能耗"],
)  # fmt: skip
def test_node_ids_of_every_kind_are_taken(tmp_path: Path, node: str) -> None:
    assert describe(site(tmp_path, "opc.tcp://10.0.0.5:4840", node), "dcs").endswith("every 0.2 s")


def test_an_amount_is_refused(tmp_path: Path) -> None:
    row = meter("dcs", meter_id="a", opc_node="i=1", kind="amount", span_minutes=15)
    with pytest.raises(ConfigError, match="an amount over OPC UA"):
        site_of(tmp_path, {"dcs": {"type": "opcua", "url": "opc.tcp://10.0.0.5"}}, {"a": row})


def test_without_the_extra_the_check_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured = site(tmp_path, "opc.tcp://10.0.0.5:4840")
    monkeypatch.setitem(sys.modules, "asyncua", None)  # as if it were not there
    for use in (
        lambda: describe(configured, "dcs"),
        lambda: make_collector(configured, "dcs", MemorySink()),
    ):
        with pytest.raises(ConfigError, match="extra `opcua`") as refused:
            use()
        assert "kgce[opcua]" in refused.value.todo
