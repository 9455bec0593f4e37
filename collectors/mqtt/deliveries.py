"""MQTT messages between the broker and the disk: taken, and not yet acknowledged."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from collectors.base import GOOD, Health, Sink
from collectors.changes import Changes
from collectors.mqtt.payload import BAD_PAYLOAD
from collectors.mqtt.wire import Message
from config.tables import Reading

log = logging.getLogger("kgce.collectors.mqtt")

DURABLE_WITHIN_S = 600.0  # a sink that took longer has lost what it took
BATCH_READINGS = 2000  # readings that are offered to the sink in one call, but for one message's


@dataclass(eq=False)
class _Batch:
    """Messages whose readings the sink gets in one call."""

    messages: list[Message] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    given_s: float = 0.0  # when the sink took it, time.monotonic()
    durable: bool = False  # set by the sink's thread


class Deliveries:
    """Messages that wait for the sink, or that it has not yet confirmed.

    For one thread; the sink's confirmations come on any, set one flag and call ``wake``.
    """

    def __init__(
        self, sink: Sink, health: Health, changes: Changes, wake: Callable[[], None]
    ) -> None:
        self._sink = sink
        self._health = health
        self._changes = changes
        self._wake = wake
        self._open = _Batch()  # takes messages; not in the queue of those held before it is sealed
        self._held: deque[_Batch] = deque()
        self._in_sink: deque[_Batch] = deque()
        # What this connection owes the broker, in the order in which it came.
        self._owed: deque[tuple[list[Message], _Batch]] = deque()
        # What came by an earlier connection, by packet identifier.
        self._carried: dict[int, tuple[Message, _Batch]] = {}
        self._held_messages = 0

    def __len__(self) -> int:
        """Messages that the sink has not taken."""
        return self._held_messages

    @property
    def held_qos0(self) -> int:
        """Those of them that no broker would send again."""
        batches = (*self._held, self._open)
        return sum(message.qos == 0 for batch in batches for message in batch.messages)

    def end_connection(self) -> None:
        """From now on nothing of this connection is acknowledged.

        Under the next one a message's id may be that of another; what is not acknowledged comes
        again, with its new id.
        """
        self._seal()
        for messages, batch in self._owed:
            self._carried.update({one.mid: (one, batch) for one in messages if one.qos})
        self._owed.clear()

    def forget_carried(self) -> None:
        """The broker has forgotten the session: nothing of earlier connections comes again."""
        self._carried.clear()

    def recognise(self, message: Message) -> bool:
        """Whether ``message`` is one of these, sent again: then it is not taken twice."""
        known = self._carried.get(message.mid) if message.dup else None
        if known is None or known[0][:2] != message[:2]:
            return False
        del self._carried[message.mid]
        self._seal()
        self._owed.append(([message], known[1]))
        return True

    def add(self, message: Message, readings: Sequence[Reading]) -> None:
        """Take a message and its readings; `offer` hands them over."""
        batch = self._open
        if not batch.messages:
            self._owed.append((batch.messages, batch))
        batch.messages.append(message)
        batch.readings += readings
        self._held_messages += 1
        if len(batch.readings) >= BATCH_READINGS:
            self._seal()

    def offer(self) -> bool:
        """Offer what is held, in order, until the sink is full. True when nothing is held."""
        self._seal()
        while self._held:
            batch = self._held[0]
            if not self._taken(batch):
                return False
            self._held.popleft()
            self._held_messages -= len(batch.messages)
            self._count(batch.readings)
            batch.readings = []
        return True

    def durable(self) -> list[Message]:
        """The messages to acknowledge now, each once, in the order in which they came.

        MQTT 5.0, 4.6: acknowledgements keep that order, so a message waits for those before it.
        """
        done: list[Message] = []
        while self._owed and self._owed[0][1].durable:
            done += self._owed.popleft()[0]
        while self._in_sink and self._in_sink[0].durable:
            self._in_sink.popleft()
        return done

    def forget_held(self) -> None:
        """Drop what the sink has not taken."""
        self._held.clear()
        self._open = _Batch()
        self._held_messages = 0

    def forget_overdue(self) -> bool:
        """Whether the sink has lost something; then all that it took counts as lost.

        By its contract a sink that could not keep readings stays silent about them. The broker
        has to send them again, on a new connection.
        """
        if not self._in_sink:
            return False
        overdue = time.monotonic() - self._in_sink[0].given_s > DURABLE_WITHIN_S
        if overdue:
            self._in_sink.clear()
            self._owed.clear()
            self._carried.clear()
        return overdue

    def _seal(self) -> None:
        if self._open.messages:
            self._held.append(self._open)
            self._open = _Batch()

    def _taken(self, batch: _Batch) -> bool:
        batch.given_s = time.monotonic()
        if not batch.readings:
            batch.durable = True
            return True

        def confirm() -> None:
            batch.durable = True
            self._wake()

        try:
            taken = self._sink.offer(batch.readings, confirm)
            self._changes.note("sink", GOOD)
        except Exception as error:
            log.debug("the sink failed", exc_info=True)
            self._changes.note("sink", "failed", repr(error))
            return False
        if taken:
            self._in_sink.append(batch)
        return taken

    def _count(self, readings: Sequence[Reading]) -> None:
        health = self._health
        for reading in readings:
            if reading.status == GOOD:
                health.good += 1
                health.last_good_us = reading.time_us
            elif reading.status == BAD_PAYLOAD:
                health.dropped += 1
            else:
                health.missing += 1
