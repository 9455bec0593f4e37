"""The exceptions of kgce.

    KgceError                 everything that kgce raises on purpose
     ├─ ConfigError           plant.yaml, the ledger, a register map, a standards row; exit 2
     ├─ InputError            a file or value handed to a command; exit 2
     ├─ CollectError          a device or broker that could not be read
     │   ├─ ConnectFailed     no connection
     │   ├─ ReplyTimeout      connected, no reply in time
     │   ├─ DeviceException   the device answered with a Modbus exception code
     │   ├─ ReplyRefused      an answer that does not fit the question
     │   │   └─ ReplyShort    a whole answer with less than was asked for
     │   └─ NotAsked          the unit rests after it was silent
     └─ StorageError          the spool or the lake could not do what was asked
         └─ StorageBusy       another kgce process holds the lake's writer lock

Every message says what was given, what is allowed, what happened to the data, and what to do.
"""

from __future__ import annotations


class KgceError(Exception):
    """An error with its four parts; each part is a sentence or empty.

    ``given``: what was met (with file, line and key path where there is one).
    ``allowed``: what would have been right. ``data``: what happened to the data.
    ``todo``: what to do next.
    """

    def __init__(self, given: str, *, allowed: str = "", data: str = "", todo: str = "") -> None:
        self.given, self.allowed, self.data, self.todo = given, allowed, data, todo
        super().__init__(given)

    def __str__(self) -> str:
        parts = [
            self.given,
            self.allowed and f"allowed: {self.allowed}",
            self.data and f"data: {self.data}",
            self.todo and f"to do: {self.todo}",
        ]
        return "\n  ".join(part for part in parts if part)


class ConfigError(KgceError):
    """Configuration that cannot be used. ``problems`` holds every single one that was found."""

    def __init__(
        self,
        given: str,
        *,
        allowed: str = "",
        data: str = "",
        todo: str = "",
        problems: tuple[ConfigError, ...] = (),
    ) -> None:
        super().__init__(given, allowed=allowed, data=data, todo=todo)
        self.problems = problems or (self,)


class InputError(KgceError):
    """A file or value handed to a command that cannot be used."""


class CollectError(KgceError):
    """A device or broker that could not be read. ``status`` goes into the readings table."""

    status = "failed"


class ConnectFailed(CollectError):
    status = "not_connected"


class ReplyTimeout(CollectError):
    status = "timeout"


class DeviceException(CollectError):
    """Modbus exception; ``code`` is the exception code of the reply."""

    def __init__(self, given: str, code: int, *, todo: str = "") -> None:
        super().__init__(given, todo=todo)
        self.code = code
        self.status = f"exception_{code}"


class ReplyRefused(CollectError):
    status = "bad_reply"


class ReplyShort(ReplyRefused):
    """A whole reply with less than was asked for: parts of the request may be answered."""


class NotAsked(CollectError):
    """The unit rests after it was silent; nothing was sent."""

    status = "not_asked"


class StorageError(KgceError):
    """The spool or the lake could not do what was asked."""


class StorageBusy(StorageError):
    """Another kgce process is writing the lake."""
