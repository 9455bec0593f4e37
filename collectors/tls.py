"""The TLS context that a connection's settings describe."""

from __future__ import annotations

import ssl
from pathlib import Path

from config.connections import Tls
from config.errors import ConfigError


def tls_context(folder: Path, tls: Tls, place: str) -> ssl.SSLContext:
    """Certificate and host name are verified; there is no setting that turns it off.

    ``folder``: where relative paths start. ``place`` begins the message of an error. Raises
    ConfigError for a file that cannot be used.
    """
    try:
        context = ssl.create_default_context(
            ssl.Purpose.SERVER_AUTH, cafile=folder / tls.ca_file if tls.ca_file else None
        )
        if tls.cert_file is not None and tls.key_file is not None:
            # An empty password: a key that needs one is an error, not a question at a terminal.
            context.load_cert_chain(folder / tls.cert_file, folder / tls.key_file, password="")
    except OSError as error:  # ssl.SSLError is one
        files = ", ".join(
            str(folder / file) for file in (tls.ca_file, tls.cert_file, tls.key_file) if file
        )
        raise ConfigError(
            f"{place}: TLS files {files}: {error}", allowed="readable PEM files"
        ) from error
    return context
