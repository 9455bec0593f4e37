"""An MQTT 3.1.1 broker inside the process, on loopback, for simulated plants and tests.

It is amqtt, with five things put right that a collector must be able to rely on. amqtt 0.12.1

1. drops a QoS 1 message that is not acknowledged within 5 s;
2. forgets the messages under way when a connection breaks;
3. holds a client for away that came back before its broken connection was noticed;
4. sets the retain flag on messages queued for a session that was away;
5. lets a client that comes back wait for its SUBACK until it has acknowledged all of them.

Last wills are not sent.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any, Self

from amqtt.adapters import ReaderAdapter, WriterAdapter
from amqtt.broker import Broker
from amqtt.mqtt.constants import QOS_1
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.plugins.base import BaseAuthPlugin
from amqtt.session import OUTGOING, Session

from config.errors import CollectError

START_TIMEOUT_S = 30.0


class OpenDoor(BaseAuthPlugin):  # type: ignore[misc]  # amqtt ships no types
    """Lets everybody in. (amqtt's anonymous plugin would keep no session for them.)"""

    async def authenticate(self, *, session: Session) -> bool:  # noqa: ARG002
        return True


class _Handler(BrokerProtocolHandler):  # type: ignore[misc]
    """A connection whose unacknowledged QoS 1 messages stay in the session."""

    async def _handle_qos1_message_flow(self, app_message: Any) -> None:
        if app_message.direction != OUTGOING:
            await super()._handle_qos1_message_flow(app_message)
            return
        session = self.session
        session.inflight_out[app_message.packet_id] = app_message
        waiter = asyncio.get_running_loop().create_future()
        self._puback_waiters[app_message.packet_id] = waiter
        # MQTT 3.1.1, 3.3.1.1: DUP says that it is sent again.
        packet = app_message.build_publish_packet(dup=app_message.publish_packet is not None)
        app_message.publish_packet = packet
        await self._send_packet(packet)
        app_message.puback_packet = await waiter
        self._puback_waiters.pop(app_message.packet_id, None)
        session.inflight_out.pop(app_message.packet_id, None)

    async def start(self) -> None:
        # The end of the connection before this one may have put the session to rest just now.
        if not self.session.transitions.is_connected():
            self.session.transitions.connect()
        await super().start()

    async def _retry_deliveries(self) -> None:
        # MQTT 3.1.1, 4.4: sent again in order; nobody waits for the acknowledgements.
        self._redeliveries = [
            asyncio.ensure_future(self._handle_message_flow(message))
            for message in self.session.inflight_out.values()
        ]
        for delivery in self._redeliveries:
            delivery.add_done_callback(_forget_failure)


def _forget_failure(delivery: asyncio.Future[None]) -> None:
    """The connection broke again; the message is in the session still."""
    if not delivery.cancelled():
        delivery.exception()


class _Broker(Broker):  # type: ignore[misc]
    """amqtt's broker with `_Handler` connections."""

    async def _initialize_client_session(
        self, reader: ReaderAdapter, writer: WriterAdapter, *peer: Any
    ) -> tuple[BrokerProtocolHandler, Session]:
        _, session = await super()._initialize_client_session(reader, writer, *peer)
        return _Handler(self.plugins_manager), session

    async def _handle_disconnect(
        self, session: Session, handler: BrokerProtocolHandler, _: asyncio.Future[Any]
    ) -> None:
        await self._stop_handler(handler)
        if self._get_handler(session) is handler:  # else the client is back on another connection
            session.transitions.disconnect()

    async def _publish_session_retained_messages(self, session: Session) -> None:
        handler = self._get_handler(session)
        while handler and not session.retained_messages.empty():
            kept = session.retained_messages.get_nowait()
            flow = handler.mqtt_publish(kept.topic, kept.data, kept.qos or QOS_1, retain=False)
            self._tasks_queue.append(asyncio.ensure_future(flow))


class EmbeddedBroker:
    """``with`` it, then connect to 127.0.0.1 and ``port``. It runs in a thread of its own.

    ``port`` 0 takes a free one. Sessions and messages live in memory, until the end of the block.
    Raises CollectError where it cannot start.
    """

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self._thread = threading.Thread(target=self._main, name="mqtt-broker", daemon=True)
        self._ready = threading.Event()
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        # amqtt logs each packet, and each client that goes away, as something worth reading.
        logging.getLogger("amqtt").setLevel(logging.CRITICAL)
        logging.getLogger("transitions").setLevel(logging.CRITICAL)
        self._thread.start()
        if not self._ready.wait(START_TIMEOUT_S):
            self._failure = TimeoutError(f"not started within {START_TIMEOUT_S:g} s")
        if self._failure is not None:
            raise CollectError(
                f"MQTT broker on 127.0.0.1:{self.port}: {self._failure}",
                todo="choose another port",
            ) from self._failure
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _main(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        config = {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{self.port}"}},
            "plugins": {f"{OpenDoor.__module__}.{OpenDoor.__qualname__}": {}},
        }
        broker = _Broker(config)
        try:
            await broker.start()
        except Exception as failure:
            self._failure = failure
            self._ready.set()
            return
        self.port = broker._servers["default"].instance.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        await broker.shutdown()
