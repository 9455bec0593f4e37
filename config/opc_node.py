"""OPC UA node ids as text (OPC 10000-6, 5.3.1.10), such as ``ns=2;s=Meter1.Energy``."""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import dataclass
from uuid import UUID

from config.errors import ConfigError

ALLOWED = (
    "ns=<index>; or nsu=<namespace URI>; and then i=<number>, s=<text>, g=<GUID> or b=<base64>, "
    "such as ns=2;s=Meter1.Energy"
)
_TEXT = re.compile(r"(?:ns=(\d{1,5});|nsu=([^;]+);)?([isgb])=(.+)", re.ASCII)


@dataclass(frozen=True)
class OpcNode:
    """A node id. ``namespace_uri`` goes before ``namespace_index``, which a server may change."""

    namespace_index: int
    namespace_uri: str | None
    kind: str
    identifier: str

    @property
    def local_text(self) -> str:
        """The id inside its namespace, such as ``s=Meter1.Energy``."""
        return f"{self.kind}={self.identifier}"


def parse_opc_node(text: str) -> OpcNode:
    """Raises ConfigError where ``text`` is no node id.

    >>> parse_opc_node("ns=2;s=Kiln;Energy")
    OpcNode(namespace_index=2, namespace_uri=None, kind='s', identifier='Kiln;Energy')
    """
    found = _TEXT.fullmatch(text)
    if found is None:
        raise ConfigError(f"{text!r} is no OPC UA node id", allowed=ALLOWED)
    index, uri, kind, identifier = found.groups()
    node = OpcNode(int(index or 0), uri, kind, identifier)
    try:
        fits = node.namespace_index <= 0xFFFF and _fits(kind, identifier)
    except ValueError:
        fits = False
    if not fits:
        raise ConfigError(f"{text!r} is no OPC UA node id", allowed=ALLOWED)
    return node


def _fits(kind: str, identifier: str) -> bool:
    """Raises ValueError, or returns False, where the identifier is not of its kind."""
    if kind == "i":
        return identifier.isascii() and identifier.isdecimal() and int(identifier) <= 0xFFFFFFFF
    if kind == "g":
        return str(UUID(identifier)) == identifier.lower()
    if kind == "b":
        return bool(b64decode(identifier, validate=True))
    return len(identifier) <= 4096
