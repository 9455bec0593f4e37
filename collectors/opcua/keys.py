"""The files that an OPC UA connection names: certificates, key and password."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
)

from config.connections import OpcUa
from config.errors import ConfigError

_PEM = b"-----BEGIN"


@dataclass(frozen=True)
class Certified:
    """What signs and encrypts: DER of both certificates, and the key file's bytes as they are."""

    certificate: bytes
    key: bytes
    key_is_pem: bool
    server_certificate: bytes
    application_uri: str | None
    valid_until: datetime


def password_of(folder: Path, settings: OpcUa, place: str) -> str | None:
    """The password; None where none is configured. Raises ConfigError for its file."""
    if settings.password_file is None:
        return None
    try:
        return _read(folder, settings.password_file, place, "password_file").decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{place}: password_file {settings.password_file}: {error}",
            allowed="a file that holds the password, in UTF-8",
        ) from error


def certified(folder: Path, settings: OpcUa, place: str) -> Certified | None:
    """Certificates and key; None without security. Raises ConfigError for files of no use."""
    cert_file, key_file, server_file = (
        settings.cert_file,
        settings.key_file,
        settings.server_cert_file,
    )
    if cert_file is None or key_file is None or server_file is None:
        return None
    own = _certificate(folder, cert_file, place, "cert_file")
    server = _certificate(folder, server_file, place, "server_cert_file")
    key = _read(folder, key_file, place, "key_file")
    if _public(own) != _public_of_key(key, f"{place}: key_file {folder / key_file}"):
        raise ConfigError(
            f"{place}: key_file {key_file} is not the key of cert_file {cert_file}",
            allowed="the private key that the certificate was made with",
        )
    return Certified(
        own.public_bytes(Encoding.DER),
        key,
        _PEM in key,
        server.public_bytes(Encoding.DER),
        _application_uri(own),
        own.not_valid_after_utc,
    )


def _read(folder: Path, file: Path, place: str, setting: str) -> bytes:
    try:
        return (folder / file).read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{place}: {setting} {folder / file}: {error.strerror or error}",
            allowed="a readable file; a relative path starts at plant.yaml",
        ) from error


def _certificate(folder: Path, file: Path, place: str, setting: str) -> x509.Certificate:
    content = _read(folder, file, place, setting)
    load = x509.load_pem_x509_certificate if _PEM in content else x509.load_der_x509_certificate
    try:
        return load(content)
    except ValueError as error:
        raise ConfigError(
            f"{place}: {setting} {folder / file} holds no certificate: {error}",
            allowed="an X.509 certificate, PEM or DER",
        ) from error


def _public(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _public_of_key(key: bytes, place: str) -> bytes:
    load = load_pem_private_key if _PEM in key else load_der_private_key
    try:
        public = load(key, password=None).public_key()
    except (ValueError, TypeError) as error:  # TypeError: it has a password
        raise ConfigError(
            f"{place}: no usable key: {error}",
            allowed="a private RSA key without a password, PEM or DER",
        ) from error
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _application_uri(certificate: x509.Certificate) -> str | None:
    """The URI that the certificate was made for; servers refuse a client that states another."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return None
    uris = names.value.get_values_for_type(x509.UniformResourceIdentifier)
    return uris[0] if uris else None
