"""Which gateways and devices are known to be offline: by last wills and death certificates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from paho.mqtt.client import topic_matches_sub

from collectors.base import GOOD
from collectors.changes import Changes
from collectors.mqtt.payload import JsonPath, Payload
from collectors.stats import Stats
from config.errors import InputError
from config.topic_filter import plain_filter

OFFLINE = "offline"
MOST_GATEWAYS = 10_000  # of topics with wildcards


class Offline:
    """The names of what is offline; a change is logged once and counted in ``stats``."""

    def __init__(
        self, connection_id: str, changes: Changes, stats: Stats, changed: Callable[[], None]
    ) -> None:
        self._id = connection_id
        self._changes = changes
        self._stats = stats
        self._changed = changed
        self._names: set[str] = set()

    def __str__(self) -> str:
        return ", ".join(sorted(self._names))

    def mark(self, name: str, *, offline: bool) -> None:
        """``name`` is now offline, or is online."""
        if offline == (name in self._names):
            return
        if offline and len(self._names) >= MOST_GATEWAYS:
            return
        if offline:
            self._names.add(name)
            self._stats.requests[OFFLINE] += 1
        else:
            self._names.discard(name)
        self._changes.note(f"{self._id}: {name}", OFFLINE if offline else GOOD)
        self._changed()


@dataclass(frozen=True)
class StatusTopic:
    """A topic on which a gateway's state is told; ``offline`` is the text that means so."""

    topic: str
    offline: str
    path: JsonPath | None

    def matches(self, topic: str) -> bool:
        return topic_matches_sub(plain_filter(self.topic), topic)

    def is_offline(self, payload: Payload) -> bool:
        """Raises InputError for a payload that cannot be read."""
        said = payload.text if self.path is None else self.path.find(payload.document)
        return str(said).strip() == self.offline


class Gateways:
    """The gateways whose states the status topics of a connection tell."""

    def __init__(self, statuses: Sequence[StatusTopic], offline: Offline, changes: Changes) -> None:
        self._statuses = tuple(statuses)
        self._offline = offline
        self._changes = changes

    def note(self, topic: str, payload: Payload) -> bool:
        """Whether ``topic`` is a status topic; then its state is noted. Retained ones count."""
        for status in self._statuses:
            if not status.matches(topic):
                continue
            try:
                self._offline.mark(topic, offline=status.is_offline(payload))
            except InputError as error:
                self._changes.note(f"status topic {status.topic}", "unreadable", str(error))
            else:
                self._changes.note(f"status topic {status.topic}", GOOD)
            return True
        return False
