"""What messages say of the meters: readings, and the state of the devices that send them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from collectors.base import GOOD, Clock
from collectors.changes import Changes
from collectors.mqtt.offline import Gateways, Offline
from collectors.mqtt.payload import BAD_PAYLOAD, Payload
from collectors.mqtt.sparkplug import Outcome, Sparkplug
from collectors.mqtt.topics import MeterTopic, Topics
from collectors.mqtt.wire import Message
from collectors.stats import Stats
from config.errors import InputError
from config.tables import Reading

log = logging.getLogger("kgce.collectors.mqtt")

NO_METER = "no_meter"


class Intake:
    """Turns the messages of one connection into readings, and counts them into ``stats``."""

    def __init__(
        self,
        connection_id: str,
        topics: Topics,
        clock: Clock,
        changes: Changes,
        stats: Stats,
        offline_changed: Callable[[], None],
    ) -> None:
        """``offline_changed`` is called when ``offline`` is not what it was."""
        self._id = connection_id
        self._topics = topics
        self._clock = clock
        self._changes = changes
        self._stats = stats
        self.offline = Offline(connection_id, changes, stats, offline_changed)
        self._gateways = Gateways(topics.statuses, self.offline, changes)
        self._sparkplug = Sparkplug(topics.sparkplug, self.offline, changes, stats)
        self._bad: set[str] = set()  # meters whose last message could not be read

    def readings(self, message: Message) -> list[Reading]:
        """The readings in a message; none where no meter takes it."""
        arrived_us, received_us = self._clock.now_us(), time.time_ns() // 1000
        feed = self._topics.feed(message.topic)
        readings: list[Reading] = []
        payload = Payload(message.payload)
        told = feed.is_status and self._gateways.note(feed.topic, payload)
        if feed.is_sparkplug:
            found = self._sparkplug.outcomes(feed.topic, message.payload, dup=message.dup)
            told = told or found is not None
            for outcome in found or ():
                self._add(outcome, arrived_us, received_us, readings)
        if not feed.meters and not told:
            self._pass_over(message)
            return readings
        for meter in feed.meters:
            if message.retain and not meter.has_own_time:
                # Kept by the broker since nobody knows when: stamped with now it would be a lie.
                log.debug("%s: retained message has no time", meter.meter_id)
                continue
            self._read(meter, payload, arrived_us, received_us, readings)
        bad = False
        for reading in readings:
            if reading.status == BAD_PAYLOAD:
                bad = True
        self._stats.requests[BAD_PAYLOAD if bad else GOOD] += 1
        return readings

    def _add(
        self, outcome: Outcome, arrived_us: int, received_us: int, readings: list[Reading]
    ) -> None:
        meter, time_us, value, status, detail = outcome
        time_us = arrived_us if time_us is None else time_us
        readings.append(
            Reading(meter.meter_id, meter.quantity, time_us, value, status, self._id, received_us)
        )
        if status == GOOD:
            self._stats.last_good_us[meter.meter_id] = time_us
        self._changes.note(f"meter {meter.meter_id}", status, detail)

    def _read(
        self,
        meter: MeterTopic,
        payload: Payload,
        arrived_us: int,
        received_us: int,
        readings: list[Reading],
    ) -> None:
        samples, error = meter.format.read(payload)
        meter_id, quantity = meter.meter_id, meter.quantity
        for value, time_us in samples:
            time_us = arrived_us if time_us is None else time_us
            readings.append(
                Reading(meter_id, quantity, time_us, value, GOOD, self._id, received_us)
            )
            self._stats.last_good_us[meter_id] = time_us
        if error is not None:
            readings.append(
                Reading(meter_id, quantity, arrived_us, None, BAD_PAYLOAD, self._id, received_us)
            )
        if error is not None or meter_id in self._bad:
            self._note(meter_id, error)

    def _note(self, meter_id: str, error: InputError | None) -> None:
        if error is None:
            self._bad.discard(meter_id)
            self._changes.note(f"meter {meter_id}", GOOD)
        else:
            self._bad.add(meter_id)
            self._changes.note(f"meter {meter_id}", BAD_PAYLOAD, str(error))

    def _pass_over(self, message: Message) -> None:
        """From a subscription of an earlier configuration, which the session still holds."""
        self._stats.requests[NO_METER] += 1
        topic = message.topic.decode("utf-8", "backslashreplace")
        self._changes.note(f"{self._id}: messages of no meter", "passed over", topic)
