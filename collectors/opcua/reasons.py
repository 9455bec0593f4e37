"""Why there is no session with an OPC UA server, in words that a person can act on."""

from __future__ import annotations

import asyncio
import os
from urllib.parse import urlparse

from asyncua import ua
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from asyncua.ua.uaerrors import UaStatusCodeError
from cryptography.hazmat.primitives import hashes

from collectors.opcua.keys import Certified
from collectors.opcua.transport import ReadingClient
from collectors.opcua.values import code_name
from config.connections import OpcUa

MODES = {
    "none": ua.MessageSecurityMode.None_,
    "sign": ua.MessageSecurityMode.Sign,
    "sign_and_encrypt": ua.MessageSecurityMode.SignAndEncrypt,
}
_CODES_OF_USER = ("BadIdentityTokenRejected", "BadIdentityTokenInvalid", "BadUserAccessDenied")


async def why_no_session(error: Exception, settings: OpcUa, certified: Certified | None) -> str:
    """The reason, also by asking the server for what it offers to everybody."""
    if isinstance(error, TimeoutError):
        # Some servers say nothing to a message that they cannot decrypt.
        offers = await _offers(settings) if certified is not None else []
        silent = f"no answer in {settings.timeout_s:g} s"
        return _wrong_offer(offers, settings, certified) or silent
    name = code_name(error.code) if isinstance(error, UaStatusCodeError) else ""
    if name in _CODES_OF_USER:
        who = f"the user {settings.username!r}" if settings.username else "a nameless user"
        return f"the server refuses {who} ({name}): look at username and password_file"
    if isinstance(error, OSError) and error.errno is not None:
        return f"no connection: {os.strerror(error.errno)}"
    why = _wrong_offer(await _offers(settings), settings, certified)
    return f"{why} ({name})" if why and name else why or f"no session: {name or repr(error)}"


async def _offers(settings: OpcUa) -> list[ua.EndpointDescription]:
    """The server's endpoints; none where it does not tell."""
    asking = ReadingClient(settings.url, settings.timeout_s)
    try:
        async with asyncio.timeout(2 * settings.timeout_s):
            return await asking.connect_and_get_server_endpoints()
    except Exception:  # whatever asyncua passes on: the first error is the one to tell
        return []
    finally:
        asking.disconnect_socket()


def _wrong_offer(
    offers: list[ua.EndpointDescription], settings: OpcUa, certified: Certified | None
) -> str:
    """What the server offers that does not fit the configuration; empty where nothing is seen."""
    if not offers:
        return ""
    mode, policy = MODES[settings.security], SecurityPolicyBasic256Sha256.URI
    fitting = [
        offer
        for offer in offers
        if offer.SecurityMode == mode and (certified is None or offer.SecurityPolicyUri == policy)
    ]
    if not fitting:
        ways = sorted({f"{o.SecurityMode.name} {_short(o.SecurityPolicyUri)}" for o in offers})
        return f"the server does not offer security: {settings.security}, but {', '.join(ways)}"
    if certified is None:
        return ""
    # A chain begins with the server's own certificate.
    shown, expected = fitting[0].ServerCertificate or b"", certified.server_certificate
    if shown[: len(expected)] != expected:
        return (
            f"the server shows another certificate (SHA-256 {_digest(shown)}) than "
            f"server_cert_file ({_digest(expected)})"
        )
    return "the server refuses our certificate: have cert_file trusted at the server"


def _short(policy_uri: str) -> str:
    return urlparse(policy_uri).fragment or policy_uri


def _digest(certificate: bytes) -> str:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(certificate)
    return digest.finalize().hex()
