"""Reads the meters that publish to one MQTT broker.

QoS 1, a persistent session, and an acknowledgement only once the readings are on disk: whatever the
broker has not been told of, it sends again. Statuses besides ``good``:

    bad_payload     the message cannot be read for the meter; its time is that of arrival
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from paho.mqtt.client import ConnectFlags, DisconnectFlags, MQTTMessage, error_string
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from collectors.base import GOOD, Clock, Health, Sink, WallClock
from collectors.changes import Changes
from collectors.mqtt.client import make_client
from collectors.mqtt.deliveries import Deliveries
from collectors.mqtt.intake import Intake
from collectors.mqtt.topics import mqtt_connection, topics
from collectors.mqtt.trouble import explained, hung_up, refusal
from collectors.mqtt.wire import Message
from collectors.stats import Stats
from config.site import Site

log = logging.getLogger("kgce.collectors.mqtt")

MOST_HELD = 4000  # messages that wait for a full sink; then nothing more is read
MESSAGES_PER_TURN = 500  # read at most before they are offered to the sink
TOPICS_PER_SUBSCRIBE = 8  # some brokers take no more
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0  # before a new attempt to connect
STEADY_S = 10.0  # a connection that lasted so long ends a series of failures
LOOP_S = 0.2  # how soon a stop is noticed
FULL_SINK_S = 0.05  # how soon a full sink is tried again
STOP_S = 10.0
REASONS_TOLD = 10  # of one outage: each is logged once, whatever the order they come in


class MqttCollector:
    """Takes the messages of one broker, on a thread of its own that alone touches the socket."""

    def __init__(
        self, site: Site, connection_id: str, sink: Sink, clock: Clock | None = None
    ) -> None:
        """Raises ConfigError for topics, paths or files that cannot be used."""
        self._settings = settings = mqtt_connection(site, connection_id)
        self._topics = topics(site, connection_id)
        self._id = connection_id
        self._client = make_client(site, connection_id, settings, MOST_HELD)
        self._set_callbacks()
        self._stopping = threading.Event()
        self._subscribing: dict[int, list[str]] = {}
        self._refused: list[str] = []
        self._connected = False
        self._why_lost = self._fault = ""
        self._told: set[str] = set()  # why it is down, as far as it is in the log
        self._changes = Changes(log)
        self.health = Health(connection_id)
        self.stats = Stats()
        self.acknowledged = 0  # messages
        self._deliveries = Deliveries(sink, self.health, self._changes, self._client.wake)
        self._intake = Intake(
            connection_id,
            self._topics,
            clock or WallClock(),
            self._changes,
            self.stats,
            self._offline_changed,
        )

    async def run(self) -> None:
        """Take messages until cancelled. The broker keeps the session and queues for it."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()

        def serve() -> None:
            try:
                self._serve()
            finally:
                with suppress(RuntimeError):  # the event loop is closed already
                    loop.call_soon_threadsafe(ended.set)

        self._stopping.clear()
        thread = threading.Thread(target=serve, name=f"mqtt-{self._id}", daemon=True)
        thread.start()
        try:
            await ended.wait()
        finally:
            self._stopping.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_S):
                    await ended.wait()
            self.health.state = "stopped"

    # Everything below runs on the collector's own thread.

    def _serve(self) -> None:
        self._client.open()
        wait_s = FIRST_WAIT_S
        while not self._stopping.is_set():
            since_s = time.monotonic()
            why = self._serve_connection()
            if self._stopping.is_set():
                break
            self._deliveries.end_connection()
            self._set_health("down", why)
            # A connection that ends at once, as when two clients share an id, is no success.
            if time.monotonic() - since_s > STEADY_S:
                wait_s = FIRST_WAIT_S
            self._wait(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)
        self._leave()

    def _wait(self, wait_s: float) -> None:
        until_s = time.monotonic() + wait_s
        while (left_s := until_s - time.monotonic()) > 0:
            if self._stopping.wait(min(left_s, FULL_SINK_S) if self._deliveries else left_s):
                return
            self._offer_held()

    def _serve_connection(self) -> str:
        """Connect and take messages until the connection ends. Returns why it ended."""
        self._connected, self._why_lost, self._fault = False, "", ""
        try:
            self._client.reconnect()
            while not self._stopping.is_set():
                rc = self._turn()
                if self._fault:
                    return self._fault
                if rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
                    return self._why_lost or error_string(rc)
                if self._deliveries.forget_overdue():
                    return "the spool has not confirmed what it took; the broker sends it again"
        except Exception as error:
            # OSError and ssl.SSLError when connecting; whatever a hostile broker makes paho raise.
            if self._connected or self._why_lost:
                return self._why_lost or f"{type(error).__name__}: {error}"
            return explained(error, self._settings)
        return "stopped"

    def _turn(self) -> MQTTErrorCode:
        """Read, hand over, acknowledge. While the sink is full nothing more is read."""
        room = min(MESSAGES_PER_TURN, MOST_HELD - len(self._deliveries))
        wait_s = FULL_SINK_S if self._deliveries else LOOP_S
        rc = self._client.turn(wait_s, self._take, max(room, 0))
        self._offer_held()
        return rc or self._client.write()

    def _leave(self) -> None:
        """Say goodbye, so that the broker needs not wait for the keep-alive to pass."""
        self._offer_held()
        if lost := self._deliveries.held_qos0:
            log.warning("%s: the sink is full; %d messages of QoS 0 are lost", self._id, lost)
        self._deliveries.forget_held()
        try:
            self._client.disconnect()
            deadline_s = time.monotonic() + STOP_S / 2
            while self._client.want_write() and time.monotonic() < deadline_s:
                if self._client.write() or self._client.turn(FULL_SINK_S, self._take, 0):
                    break
        except Exception as error:
            log.debug("%s: while disconnecting: %s", self._id, error)
        self._deliveries.end_connection()
        self._client.close()

    def _set_health(self, state: str, detail: str = "") -> None:
        self.health.state, self.health.detail = state, detail
        subject = f"{self._id} ({self._settings.peer})"
        if state in ("up", "waiting"):
            self._told.clear()
            self._changes.note(subject, GOOD)
        elif detail not in self._told and len(self._told) < REASONS_TOLD:
            self._told.add(detail)
            self._changes.note(subject, detail or state)

    def _set_callbacks(self) -> None:
        """An exception in one would go through paho and leave it in any state: none gets out."""

        def guarded(react: Callable[..., None], *arguments: object) -> None:
            try:
                react(*arguments)
            except Exception as error:
                log.debug("%s: in a callback", self._id, exc_info=True)
                self._fault = f"{type(error).__name__}: {error}"

        client = self._client
        client.on_connect = lambda _c, _u, flags, reason, _p: guarded(
            self._on_connect, flags, reason
        )
        client.on_subscribe = lambda _c, _u, mid, reasons, _p: guarded(
            self._on_subscribe, mid, reasons
        )
        client.on_disconnect = lambda _c, _u, flags, reason, _p: guarded(
            self._on_disconnect, flags, reason
        )
        client.on_message = lambda _c, _u, message: guarded(self._take_one, message)

    def _on_connect(self, flags: ConnectFlags, reason: ReasonCode) -> None:
        if reason.is_failure:
            self._why_lost = refusal(str(reason))
            return
        if not flags.session_present:
            self._deliveries.forget_carried()
        self._connected = True
        self.stats.connects += 1
        self._subscribing, self._refused = {}, []
        filters = self._topics.filters
        for start in range(0, len(filters), TOPICS_PER_SUBSCRIBE):
            some = list(filters[start : start + TOPICS_PER_SUBSCRIBE])
            _rc, mid = self._client.subscribe([(topic, 1) for topic in some])
            if mid is not None:
                self._subscribing[mid] = some
        if not filters:
            self._set_up()

    def _on_subscribe(self, mid: int, reasons: list[ReasonCode]) -> None:
        for topic, reason in zip(self._subscribing.pop(mid, []), reasons, strict=False):
            if reason.is_failure:
                self._refused.append(topic)
            state = "refused" if reason.is_failure else GOOD
            self._changes.note(f"{self._id}: subscription to {topic}", state, str(reason))
        if not self._subscribing:
            self._set_up()

    def _set_up(self) -> None:
        filters = self._topics.filters
        details = [] if filters else ["no meters"]
        if self._refused:
            details.append(f"subscription refused: {', '.join(self._refused)}")
        if offline := str(self._intake.offline):
            details.append(f"offline: {offline}")
        up = not filters or len(self._refused) < len(filters)
        self._set_health("up" if up else "down", "; ".join(details))

    def _offline_changed(self) -> None:
        if self.health.state == "up":
            self._set_up()

    def _on_disconnect(self, flags: DisconnectFlags, reason: ReasonCode) -> None:
        if flags.is_disconnect_packet_from_server:
            self._why_lost = f"the broker ended the connection: {reason}"
        elif self._why_lost:
            return  # the reason is known better
        elif not self._connected:
            self._why_lost = hung_up(self._settings)
        elif str(reason) == "Keep alive timeout":
            self._why_lost = "no sign of life from the broker"
        else:
            self._why_lost = "the connection was lost"

    def _take(self, messages: Sequence[Message]) -> None:
        deliveries, readings = self._deliveries, self._intake.readings
        for message in messages:
            if not (message.dup and deliveries.recognise(message)):
                deliveries.add(message, readings(message))

    def _take_one(self, message: MQTTMessage) -> None:
        """A message that paho has read: of QoS 2, or one out of order."""
        topic, payload = message._topic, bytes(message.payload)
        self._take([Message(topic, payload, message.mid, message.qos, message.retain, message.dup)])

    def _offer_held(self) -> None:
        if self._deliveries.offer():
            if self.health.state == "waiting":
                self._set_up()
        elif self.health.state == "up":
            self._set_health("waiting", "the spool is full or cannot write")
        durable = self._deliveries.durable()
        self._client.acknowledge(durable)
        self.acknowledged += len(durable)
