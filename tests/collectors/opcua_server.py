"""A real OPC UA server on loopback, and a wire to it that can be read, cut and made to hang."""

from __future__ import annotations

import asyncio
import ipaddress
import struct
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from asyncua import ua
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.server import Server
from asyncua.ua.object_ids import ObjectIds
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.collectors.servers import free_port

NAMESPACE = "urn:test:plant"
NAMES = {number: name for name, number in vars(ObjectIds).items() if isinstance(number, int)}


class Users:
    """Knows one user."""

    def get_user(
        self,
        iserver: Any,
        username: str | None = None,
        password: Any = None,
        certificate: Any = None,
    ) -> User | None:
        known = username == "reader" and password == "secret"
        return User(role=UserRole.User, name="reader") if known else None


class Plant:
    """A server whose variables stand in one namespace as ``s=<name>``."""

    def __init__(self, port: int | None = None) -> None:
        self.port = port or free_port()
        self.server: Server | None = None
        self._index = 0

    @property
    def url(self) -> str:
        return f"opc.tcp://127.0.0.1:{self.port}/kgce"

    async def start(
        self,
        variables: dict[str, ua.Variant] | None = None,
        *,
        security: bool = False,
        keys: tuple[Path, Path] | None = None,
        users: bool = False,
        namespaces_before: int = 0,
    ) -> None:
        server = Server(user_manager=Users() if users else None)  # type: ignore[arg-type]
        await server.init()
        server.set_endpoint(self.url)
        if users:
            server.set_identity_tokens([ua.UserNameIdentityToken])
        if keys is not None:
            await server.load_certificate(keys[0])
            await server.load_private_key(keys[1])
        server.set_security_policy(
            [
                ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
                ua.SecurityPolicyType.Basic256Sha256_Sign,
            ]
            if security
            else [ua.SecurityPolicyType.NoSecurity]
        )
        for number in range(namespaces_before):
            await server.register_namespace(f"urn:test:{number}")
        self._index = await server.register_namespace(NAMESPACE)
        self.server = server
        for name, variant in (variables or {}).items():
            await self.add(name, variant)
        await server.start()

    async def stop(self) -> None:
        if self.server is not None:
            server, self.server = self.server, None
            await server.stop()

    async def add(self, name: str, variant: ua.Variant) -> None:
        assert self.server is not None
        node_id = ua.NodeId(ua.String(name), ua.Int16(self._index))
        node = await self.server.get_objects_node().add_variable(node_id, name, variant)
        await node.set_writable()

    async def put(
        self,
        name: str,
        value: float | None,
        kind: ua.VariantType = ua.VariantType.Double,
        *,
        status: int = 0,
        source: datetime | None = None,
        server: datetime | None = None,
    ) -> None:
        """A new value, as the server's own application sets it."""
        assert self.server is not None
        data = ua.DataValue(
            ua.Variant(value, kind),
            ua.StatusCode(ua.UInt32(status)),
            SourceTimestamp=source,
            ServerTimestamp=server,
        )
        node_id = ua.NodeId(ua.String(name), ua.Int16(self._index))
        await self.server.write_attribute_value(node_id, data)


@asynccontextmanager
async def plant_server(
    variables: dict[str, ua.Variant] | None = None, **settings: Any
) -> AsyncIterator[Plant]:
    plant = Plant()
    await plant.start(variables, **settings)
    try:
        yield plant
    finally:
        await plant.stop()


class Wire:
    """Passes bytes on to a server. It counts the services that are asked for in the clear."""

    def __init__(self, server_port: int) -> None:
        self.port = free_port()
        self.services: Counter[str] = Counter()
        self.holds_back = False  # both directions say nothing, and nobody hangs up
        self.connections = 0
        self._server_port = server_port
        self._listening: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"opc.tcp://127.0.0.1:{self.port}/kgce"

    async def __aenter__(self) -> Wire:
        self._listening = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._listening is not None
        self.holds_back = False  # a test that failed meanwhile shall end
        self._listening.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._listening.wait_closed()

    def cut(self) -> None:
        """End every connection at once."""
        for writer in self._open:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            there = await asyncio.open_connection("127.0.0.1", self._server_port)
            self._open |= {writer, there[1]}
            try:
                await asyncio.gather(
                    self._pass_on(reader, there[1], count=True),
                    self._pass_on(there[0], writer, count=False),
                )
            finally:
                for one in (writer, there[1]):
                    self._open.discard(one)
                    one.transport.abort()
        self._tasks.discard(task)

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, count: bool
    ) -> None:
        while True:
            head = await reader.readexactly(8)
            body = await reader.readexactly(struct.unpack("<I", head[4:])[0] - 8)
            if count:
                self.services[_service(head, body)] += 1
            while self.holds_back:
                await asyncio.sleep(0.01)
            writer.write(head + body)
            await writer.drain()


def _service(head: bytes, body: bytes) -> str:
    """Name of the request in a message: OPC 10000-6, 6.7.2 (headers) and 5.2.2.9 (node ids)."""
    kind = head[:3].decode()
    if kind != "MSG":
        return kind
    assert head[3:4] == b"F", "a request in more than one chunk"
    encoding, namespace, number = struct.unpack_from("<BBH", body, 16)
    assert (encoding, namespace) == (1, 0)
    return NAMES[number].removesuffix("_Encoding_DefaultBinary")


@dataclass(frozen=True)
class KeyPair:
    cert_file: Path
    key_file: Path


def make_keys(folder: Path, name: str, *, pem: bool = False) -> KeyPair:
    """A self-signed certificate for the application ``urn:test:<name>``, and its key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365))
        .add_extension(
            x509.SubjectAlternativeName(
                [
                    x509.UniformResourceIdentifier(f"urn:test:{name}"),
                    x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
                ]
            ),
            critical=False,
        )
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=True,
                key_encipherment=True,
                data_encipherment=True,
                key_agreement=False,
                key_cert_sign=True,
                crl_sign=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(
            x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
            ),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    encoding = Encoding.PEM if pem else Encoding.DER
    cert_file = folder / f"{name}.{'pem' if pem else 'der'}"
    key_file = folder / f"{name}-key.pem"
    cert_file.write_bytes(certificate.public_bytes(encoding))
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return KeyPair(cert_file, key_file)
