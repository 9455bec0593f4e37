"""MQTT messages between the broker and the disk: taken, and not yet acknowledged."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from paho.mqtt.client import MQTTMessage

from collectors.base import GOOD, Health, Sink
from collectors.changes import Changes
from config.tables import Reading

log = logging.getLogger("kgce.collectors.mqtt")

DURABLE_WITHIN_S = 600.0  # a sink that took longer has lost what it took


@dataclass
class _Delivery:
    message: MQTTMessage
    readings: list[Reading]
    connection: int  # the one that the acknowledgement belongs to
    given_s: float = 0.0  # when the sink took it, time.monotonic()
    acknowledged: bool = False

    def is_repeated_by(self, message: MQTTMessage) -> bool:
        mine = self.message
        return (
            message.mid == mine.mid
            and message.topic == mine.topic
            and message.payload == mine.payload
        )


class Deliveries:
    """Messages that wait for the sink, or that it has not yet confirmed.

    For one thread, but for the sink's confirmations, which come on any. ``acknowledge`` is called
    with the id and QoS of a message whose readings are on disk, while the connection that it came
    by lasts; it must not call back.
    """

    def __init__(
        self,
        sink: Sink,
        acknowledge: Callable[[int, int], object],
        health: Health,
        changes: Changes,
    ) -> None:
        self._sink = sink
        self._acknowledge = acknowledge
        self._health = health
        self._changes = changes
        self._held: deque[_Delivery] = deque()
        # The lock guards what the sink's thread touches too: these two, and each connection number.
        self._lock = threading.Lock()
        self._connection = 0
        self._in_sink: dict[int, _Delivery] = {}

    def __len__(self) -> int:
        """Messages that the sink has not taken."""
        return len(self._held)

    @property
    def held_qos0(self) -> int:
        """Those of them that no broker would send again."""
        return sum(delivery.message.qos == 0 for delivery in self._held)

    def begin_connection(self) -> None:
        """From now on nothing of an earlier connection is acknowledged.

        Under the new one a message's id may be that of another; what is not acknowledged comes
        again, with its new id.
        """
        with self._lock:
            self._connection += 1

    def recognise(self, message: MQTTMessage) -> bool:
        """Whether ``message`` is one of these, sent again: then it is not taken twice."""
        if not message.dup:
            return False
        with self._lock:
            for delivery in (*self._held, *self._in_sink.values()):
                if delivery.is_repeated_by(message):
                    delivery.connection = self._connection
                    return True
        return False

    def add(self, message: MQTTMessage, readings: list[Reading]) -> None:
        """Hand over a message's readings; one without any is acknowledged at once."""
        delivery = _Delivery(message, readings, self._connection)
        if readings:
            self._held.append(delivery)
            self.offer()
        else:
            self._confirm(delivery)

    def offer(self) -> bool:
        """Offer what is held, in order, until the sink is full. True when nothing is held."""
        while self._held:
            if not self._taken(self._held[0]):
                return False
            for reading in self._held.popleft().readings:
                if reading.status == GOOD:
                    self._health.good += 1
                    self._health.last_good_us = reading.time_us
                else:
                    self._health.dropped += 1
        return True

    def forget_held(self) -> None:
        self._held.clear()

    def forget_overdue(self) -> bool:
        """Whether the sink has lost something; then all that it took counts as lost.

        By its contract a sink that could not keep readings stays silent about them. The broker
        has to send them again, on a new connection.
        """
        with self._lock:
            oldest = next(iter(self._in_sink.values()), None)
            overdue = oldest is not None and time.monotonic() - oldest.given_s > DURABLE_WITHIN_S
            if overdue:
                self._in_sink.clear()
        return overdue

    def _taken(self, delivery: _Delivery) -> bool:
        delivery.given_s = time.monotonic()
        with self._lock:
            self._in_sink[id(delivery)] = delivery
        try:
            taken = self._sink.offer(delivery.readings, partial(self._confirm, delivery))
            self._changes.note("sink", GOOD)
        except Exception as error:
            log.debug("the sink failed", exc_info=True)
            self._changes.note("sink", "failed", repr(error))
            taken = False
        if not taken:
            with self._lock:
                self._in_sink.pop(id(delivery), None)
        return taken

    def _confirm(self, delivery: _Delivery) -> None:
        """The readings are on disk. Any thread."""
        with self._lock:
            self._in_sink.pop(id(delivery), None)
            if delivery.connection != self._connection or delivery.acknowledged:
                return
            delivery.acknowledged = True
            # Under the lock: the connection must not end between the check and the packet.
            self._acknowledge(delivery.message.mid, delivery.message.qos)
