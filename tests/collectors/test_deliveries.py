"""Messages between the broker and the disk."""

from __future__ import annotations

import threading

import pytest

from collectors.base import Health
from collectors.changes import Changes
from collectors.memory import MemorySink
from collectors.mqtt import deliveries
from collectors.mqtt.deliveries import Deliveries
from collectors.mqtt.wire import Message
from config.tables import Reading
from tests.collectors.waiting import WithholdingSink


def message(mid: int, payload: str = "1", *, dup: bool = False, qos: int = 1) -> Message:
    return Message(b"t", payload.encode(), mid, qos, False, dup)


def reading(status: str = "good") -> Reading:
    return Reading("m", "value", 7, 1.0 if status == "good" else None, status, "broker", 7)


class Desk:
    """Deliveries over a sink, and what may be acknowledged."""

    def __init__(self, sink: MemorySink | WithholdingSink) -> None:
        self.woken = 0
        self.health = Health("broker")
        self.deliveries = Deliveries(sink, self.health, Changes(deliveries.log), self._wake)

    def _wake(self) -> None:
        self.woken += 1

    def add(self, one: Message, *readings: Reading) -> None:
        self.deliveries.add(one, readings)
        self.deliveries.offer()

    def acknowledged(self) -> list[int]:
        """Message ids that may be acknowledged since the last time."""
        return [one.mid for one in self.deliveries.durable()]


def test_acknowledged_when_durable_and_not_before() -> None:
    sink = WithholdingSink()
    desk = Desk(sink)
    desk.add(message(1), reading(), reading("bad_payload"))
    assert (desk.health.good, desk.health.dropped, desk.health.last_good_us) == (1, 1, 7)
    assert desk.acknowledged() == []
    sink.become_durable()
    assert desk.woken == 1
    assert desk.acknowledged() == [1]
    assert desk.acknowledged() == []


def test_a_message_without_readings_waits_for_those_before_it() -> None:
    """Acknowledgements keep the order in which the messages came (MQTT 5.0, 4.6)."""
    sink = WithholdingSink()
    desk = Desk(sink)
    desk.add(message(1))
    assert desk.acknowledged() == [1]
    desk.add(message(2), reading())
    desk.add(message(3))
    assert desk.acknowledged() == []
    sink.become_durable()
    assert desk.acknowledged() == [2, 3]


def test_a_sink_that_confirms_out_of_order() -> None:
    class Backwards(WithholdingSink):
        def become_durable(self) -> None:
            self._callbacks.pop()()

    sink = Backwards()
    desk = Desk(sink)
    desk.add(message(1), reading())
    desk.add(message(2), reading())
    sink.become_durable()
    assert desk.acknowledged() == []
    sink.become_durable()
    assert desk.acknowledged() == [1, 2]


def test_many_messages_are_one_offer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "BATCH_READINGS", 3)
    sink = WithholdingSink()
    desk = Desk(sink)
    for mid in range(1, 6):
        desk.deliveries.add(message(mid), [reading()])
    assert desk.deliveries.offer()
    assert len(sink.readings) == 5
    assert len(sink._callbacks) == 2
    sink._callbacks[0]()
    assert desk.acknowledged() == [1, 2, 3]


def test_nothing_of_an_earlier_connection_is_acknowledged() -> None:
    """Message id 1 may be that of another message by then."""
    sink = WithholdingSink()
    desk = Desk(sink)
    desk.add(message(1), reading())
    desk.deliveries.end_connection()
    sink.become_durable()
    assert desk.acknowledged() == []


def test_a_message_that_comes_again_while_the_sink_has_it() -> None:
    sink = WithholdingSink()
    desk = Desk(sink)
    desk.add(message(1), reading())
    desk.add(message(2, "2"), reading())
    desk.deliveries.end_connection()
    assert desk.deliveries.recognise(message(2, "2", dup=True))
    assert desk.deliveries.recognise(message(1, dup=True))
    assert not desk.deliveries.recognise(message(1, dup=True))  # one answer to one message
    sink.become_durable()
    assert desk.acknowledged() == [2, 1]  # as they came by this connection
    assert len(sink.readings) == 2


def test_a_message_that_comes_again_while_it_is_held() -> None:
    sink = MemorySink(capacity=0)
    desk = Desk(sink)
    desk.add(message(1), reading())
    assert len(desk.deliveries) == 1
    desk.deliveries.end_connection()
    assert desk.deliveries.recognise(message(1, dup=True))
    desk.deliveries.add(message(2), [reading()])
    sink.capacity = None
    assert desk.deliveries.offer()
    assert desk.acknowledged() == [1, 2]
    assert len(sink.readings) == 2
    assert len(desk.deliveries) == 0


def test_durable_between_two_connections() -> None:
    """It is on disk: sent again it is acknowledged, also when that connection breaks too."""
    sink = WithholdingSink()
    desk = Desk(sink)
    desk.add(message(1), reading())
    desk.deliveries.end_connection()
    sink.become_durable()
    assert desk.acknowledged() == []
    for _ in range(3):
        assert desk.deliveries.recognise(message(1, dup=True))
        desk.deliveries.end_connection()
    assert desk.deliveries.recognise(message(1, dup=True))
    assert desk.acknowledged() == [1]
    assert len(sink.readings) == 1


def test_a_session_that_the_broker_forgot() -> None:
    desk = Desk(WithholdingSink())
    desk.add(message(1), reading())
    desk.deliveries.end_connection()
    desk.deliveries.forget_carried()
    assert not desk.deliveries.recognise(message(1, dup=True))


def test_messages_that_are_not_the_same() -> None:
    desk = Desk(WithholdingSink())
    desk.add(message(1), reading())
    desk.deliveries.end_connection()
    assert not desk.deliveries.recognise(message(1))  # not marked as sent again
    assert not desk.deliveries.recognise(message(2, dup=True))
    assert not desk.deliveries.recognise(message(1, "2", dup=True))


def test_one_confirmation_is_one_acknowledgement() -> None:
    """A sink that confirms twice must not acknowledge the message that has the id next."""

    class Twice(MemorySink):
        def offer(self, readings, on_durable=None):  # type: ignore[no-untyped-def]
            on_durable()
            on_durable()
            return True

    desk = Desk(Twice())
    desk.add(message(1), reading())
    assert desk.acknowledged() == [1]


def test_the_order_is_kept_over_a_full_sink() -> None:
    sink = MemorySink(capacity=1)
    desk = Desk(sink)
    for mid in range(1, 4):
        desk.add(message(mid), reading()._replace(time_us=mid))
    assert desk.acknowledged() == [1]
    assert not desk.deliveries.offer()
    sink.capacity = None
    assert desk.deliveries.offer()
    assert desk.acknowledged() == [2, 3]
    assert [one.time_us for one in sink.readings] == [1, 2, 3]


def test_what_a_sink_never_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "DURABLE_WITHIN_S", -1.0)
    sink = WithholdingSink()
    desk = Desk(sink)
    assert not desk.deliveries.forget_overdue()
    desk.add(message(1), reading())
    assert desk.deliveries.forget_overdue()
    assert not desk.deliveries.forget_overdue()
    desk.deliveries.end_connection()
    assert not desk.deliveries.recognise(message(1, dup=True))  # it is taken anew


def test_messages_of_qos_0_that_are_held() -> None:
    desk = Desk(MemorySink(capacity=0))
    desk.add(message(0, qos=0), reading())
    desk.add(message(1), reading())
    assert (desk.deliveries.held_qos0, len(desk.deliveries)) == (1, 2)
    desk.deliveries.forget_held()
    assert (desk.deliveries.held_qos0, len(desk.deliveries)) == (0, 0)


def test_confirmations_from_many_threads() -> None:
    sink = WithholdingSink()
    desk = Desk(sink)
    for mid in range(1, 201):
        desk.add(message(mid), reading())
    callbacks, sink._callbacks = sink._callbacks, []
    threads = [threading.Thread(target=callback) for callback in callbacks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert desk.acknowledged() == list(range(1, 201))
