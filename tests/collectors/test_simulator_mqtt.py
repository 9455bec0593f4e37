"""The embedded broker keeps what QoS 1 and a persistent session promise; the publisher uses it."""

from __future__ import annotations

import asyncio
import json
import queue
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from collectors.simulator import CementPlant, EmbeddedBroker, FastClock, Faults, Publisher
from collectors.simulator.plant import HOUR_US
from collectors.simulator.publisher import is_due, payload, topics_of
from config.errors import CollectError, ConnectFailed
from config.models import Meter

PLANT = CementPlant(date(2026, 9, 1))
TICK_US = HOUR_US // 4
WAIT_S = 10.0


class Subscriber:
    """A client with a persistent session; it acknowledges only when it is told to."""

    def __init__(self, port: int, *, acknowledge: bool = True) -> None:
        self.messages: queue.Queue[mqtt.MQTTMessage] = queue.Queue()
        self._subscribed: queue.Queue[bool] = queue.Queue()
        self.client = mqtt.Client(
            CallbackAPIVersion.VERSION2, "subscriber", clean_session=False, manual_ack=True
        )

        def on_message(client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
            if acknowledge:
                client.ack(message.mid, message.qos)
            self.messages.put(message)

        self.client.on_message = on_message
        self.client.on_connect = lambda client, *_: client.subscribe("works/#", 1)
        self.client.on_subscribe = lambda *_: self._subscribed.put(True)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        self._subscribed.get(timeout=WAIT_S)

    def take(self, count: int) -> list[mqtt.MQTTMessage]:
        return [self.messages.get(timeout=WAIT_S) for _ in range(count)]

    def take_until(self, text: str) -> list[str]:
        """Messages up to ``text``; QoS 1 may bring earlier ones again."""
        taken = [""]
        while taken[-1] != text:
            taken += texts(self.take(1))
        return taken[1:]

    def leave(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def freeze(self) -> socket.socket:
        """The line is dead: nothing is said any more, and nobody notices. Returns its socket."""
        connection = self.client.socket()
        assert isinstance(connection, socket.socket)
        self.client.loop_stop()
        return connection

    def drop(self) -> None:
        """The line breaks: no DISCONNECT, nothing acknowledged any more."""
        self.client.on_message = None
        self.freeze().close()


@contextmanager
def publishing(port: int) -> Iterator[mqtt.Client]:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, "publisher")
    client.connect("127.0.0.1", port)
    client.loop_start()
    yield client
    client.disconnect()
    client.loop_stop()


def publish(client: mqtt.Client, texts: list[str]) -> None:
    for text in texts:
        client.publish("works/a", text, qos=1).wait_for_publish(WAIT_S)


def texts(messages: list[mqtt.MQTTMessage]) -> list[str]:
    return [message.payload.decode() for message in messages]


def test_messages_wait_for_a_session_that_is_away() -> None:
    sent = [str(number) for number in range(40)]
    with EmbeddedBroker() as broker, publishing(broker.port) as client:
        Subscriber(broker.port).leave()
        publish(client, sent)
        back = Subscriber(broker.port)
        received = back.take(len(sent))
        back.leave()
    assert texts(received) == sent
    assert not any(message.retain for message in received)


def test_a_subscriber_that_is_slow_to_acknowledge_loses_nothing() -> None:
    sent = [str(number) for number in range(5)]
    with EmbeddedBroker() as broker, publishing(broker.port) as client:
        slow = Subscriber(broker.port, acknowledge=False)
        publish(client, sent)
        assert texts(slow.take(len(sent))) == sent
        time.sleep(5.5)  # amqtt itself would have given the messages up after 5 s
        slow.drop()
        back = Subscriber(broker.port)
        received = back.take(len(sent))
        back.leave()
        again = Subscriber(broker.port)
        publish(client, ["last"])
        after = again.take_until("last")
        again.leave()
    assert texts(received) == sent
    assert all(message.dup for message in received)
    assert set(after) <= {*sent, "last"}


@pytest.mark.parametrize("noticed", [True, False])
def test_a_client_that_is_back_at_once_goes_on_receiving(noticed: bool) -> None:
    """Whether or not the broker has noticed that the old connection is dead."""
    frozen = []
    with EmbeddedBroker() as broker, publishing(broker.port) as client:
        here = Subscriber(broker.port)
        for number in range(10):
            if noticed:
                here.drop()
            else:
                frozen.append(here.freeze())
            here = Subscriber(broker.port)
            publish(client, [str(number)])
            assert here.take_until(str(number))
        here.leave()
    for connection in frozen:
        connection.close()


def test_two_brokers_cannot_have_one_port() -> None:
    with EmbeddedBroker() as broker, pytest.raises(CollectError), EmbeddedBroker(broker.port):
        pass


def test_a_message_has_the_shape_that_the_ledger_reads() -> None:
    topics = topics_of(PLANT.meters)
    time_us = PLANT.start_us + 5 * TICK_US
    assert list(topics) == ["works/weighing", "works/batches"]
    for meters in topics.values():
        message = json.loads(payload(PLANT, meters, time_us))
        assert datetime.fromisoformat(message["ts"]).timestamp() * 1e6 == time_us
        assert message["ts"].endswith("+08:00")
        assert message["meters"] == pytest.approx(
            {m.meter_id: PLANT.register_reading(m.meter_id, time_us) for m in meters}
        )


def test_an_amount_is_told_only_when_its_span_is_over() -> None:
    (batch,) = (m for m in PLANT.meters.values() if m.kind == "amount")
    (counter, *_) = (m for m in PLANT.meters.values() if m.topic == "works/weighing")
    second_us = 1_000_000
    assert is_due(batch, PLANT.start_us + TICK_US)
    assert not is_due(batch, PLANT.start_us + TICK_US + second_us)
    assert is_due(counter, PLANT.start_us + TICK_US + second_us)


@pytest.mark.parametrize(("unit", "divisor"), [("s", 10**6), ("ms", 10**3), ("us", 1)])
def test_a_message_may_carry_unix_time(unit: str, divisor: int) -> None:
    meter = PLANT.meters["diesel"].model_copy(
        update={"time_path": "head.time", "value_path": "body.kg", "time_unit": unit}
    )
    message = json.loads(payload(PLANT, [meter], PLANT.start_us))
    assert message["head"]["time"] == PLANT.start_us // divisor
    assert list(message["body"]) == ["kg"]


def test_a_message_may_be_the_bare_number() -> None:
    meter: Meter = PLANT.meters["diesel"].model_copy(update={"value_path": None, "time_path": None})
    assert json.loads(payload(PLANT, [meter], PLANT.start_us)) == 402_511.0


def test_the_publisher_sends_every_tick_and_repeats_one() -> None:
    plant = CementPlant(PLANT.since, Faults(repeats_us=(PLANT.start_us + 2 * TICK_US,)))

    async def scene(port: int) -> Publisher:
        clock = FastClock(plant.start_us, 1, plant.start_us + 4 * TICK_US)
        publisher = Publisher(plant, clock, port=port)
        task = asyncio.create_task(publisher.run())
        await clock.ended()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return publisher

    with EmbeddedBroker() as broker:
        subscriber = Subscriber(broker.port)
        publisher = asyncio.run(scene(broker.port))
        taken = [json.loads(text) for text in texts(subscriber.take(12))]
        subscriber.leave()
    assert (publisher.sent, publisher.acknowledged) == (12, 12)
    assert publisher.readings == 6 * sum(m.topic is not None for m in plant.meters.values())
    for name in ("coal_burner", "cement_packed"):  # one of each topic
        messages = [message for message in taken if name in message["meters"]]
        ticks = [
            (datetime.fromisoformat(m["ts"]).timestamp() * 1e6 - plant.start_us) / TICK_US
            for m in messages
        ]
        assert ticks == [0, 1, 2, 2, 3, 4]
        assert messages[2] == messages[3]


def test_the_publisher_says_that_there_is_no_broker() -> None:
    with EmbeddedBroker() as broker:
        port = broker.port
    publisher = Publisher(PLANT, FastClock(PLANT.start_us, 1), port=port)
    with pytest.raises(ConnectFailed, match=f"127.0.0.1:{port}"):
        asyncio.run(publisher.run())
