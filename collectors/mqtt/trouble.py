"""Why a connection to a broker failed, and what to do about it."""

from __future__ import annotations

import socket
import ssl

from config.connections import Mqtt

_REFUSALS = (
    ("Not authorized", "check username and password_file, and the broker's rules for this user"),
    ("Bad user name or password", "check username and password_file"),
    ("Unsupported protocol version", 'set version: "3.1.1", or "5"'),
    ("Client identifier not valid", "set another client_id"),
    ("Server unavailable", "look at the broker; kgce tries again"),
    ("Banned", "look at the broker's rules for this client"),
)


def explained(error: Exception, settings: Mqtt) -> str:
    """An error of connecting in one line: what happened, and what to do."""
    todo = _todo(error, settings)
    return f"{type(error).__name__}: {error}" + (f"; to do: {todo}" if todo else "")


def _todo(error: Exception, settings: Mqtt) -> str:
    match error:
        case ssl.SSLCertVerificationError() if "ostname" in str(error) or "IP addr" in str(error):
            return "set host, or tls.server_name, to a name that the broker's certificate has"
        case ssl.SSLCertVerificationError():
            return "set tls.ca_file to the certificate of the authority that signed the broker's"
        case ssl.SSLError() if "WRONG_VERSION" in str(error) or "RECORD" in str(error):
            return f"port {settings.port} does not speak TLS: check port, or remove tls"
        case ssl.SSLError() if "CERTIFICATE_REQUIRED" in str(error):
            return "the broker demands a client certificate: set tls.cert_file and tls.key_file"
        case ssl.SSLError() | ConnectionResetError() if settings.tls is not None:
            return f"check that port {settings.port} speaks TLS; look at the broker's log"
        case socket.gaierror():
            return f"check host ({settings.host}) and the name server"
        case ConnectionRefusedError():
            return f"start the broker, or check host and port ({settings.peer})"
        case TimeoutError():
            return f"check host and port ({settings.peer}), the network and its firewalls"
        case OSError():
            return f"check the network to {settings.peer}"
        case _:
            return f"check that {settings.peer} is an MQTT broker"


def refusal(reason: str) -> str:
    """The broker's answer to CONNECT in one line: what it said, and what to do."""
    todo = next((todo for name, todo in _REFUSALS if name in reason), "look at the broker's log")
    return f"the broker refused the connection: {reason}; to do: {todo}"


def hung_up(settings: Mqtt) -> str:
    """The broker closed the connection instead of answering CONNECT."""
    if settings.tls is None:
        todo = f"check that {settings.peer} is an MQTT broker without TLS; for TLS set tls"
    elif settings.tls.cert_file is None:
        todo = "if the broker demands a client certificate set tls.cert_file and tls.key_file"
    else:
        todo = "check that the broker accepts tls.cert_file; look at its log"
    return f"the broker hung up without an answer; to do: {todo}"
