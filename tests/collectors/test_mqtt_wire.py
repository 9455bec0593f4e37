"""Packets out of a socket, in whatever pieces they come."""

from __future__ import annotations

import random
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from collectors.mqtt.wire import Message, PacketSocket, acknowledgements

PINGRESP = b"\xd0\x00"


def packet(one: Message, *, version5: bool = False, properties: bytes = b"\0") -> bytes:
    """A PUBLISH packet by the specification (MQTT 5.0, 3.3)."""
    body = len(one.topic).to_bytes(2, "big") + one.topic
    body += one.mid.to_bytes(2, "big") if one.qos else b""
    body += properties if version5 else b""
    body += one.payload
    head = 0x30 | one.dup << 3 | one.qos << 1 | one.retain
    return bytes([head]) + length(len(body)) + body


def length(number: int) -> bytes:
    out = b""
    while True:
        number, digit = divmod(number, 128)
        out += bytes([digit | (0x80 if number else 0)])
        if not number:
            return out


class Line:
    """A socket pair: what is sent at one end is read by a `PacketSocket` at the other."""

    def __init__(self, *, version5: bool = False) -> None:
        self._far, near = socket.socketpair()
        near.setblocking(False)
        self.packets = PacketSocket(near, version5=version5)
        self.others = b""

    def send(self, data: bytes) -> list[Message]:
        """The messages that are whole after ``data``; other packets go to ``others``."""
        if data:
            self._far.sendall(data)
        self.packets.fill()
        found: list[Message] = []
        while True:
            some = self.packets.messages(7)
            found += some
            if not some:
                if not self.packets.has_packet():
                    return found
                self.others += self._read_packet()

    def _read_packet(self) -> bytes:
        head = self.packets.recv(1)
        size = self.packets.recv(1)
        rest = size[0] & 0x7F
        while size[-1] & 0x80:
            size += self.packets.recv(1)
            rest |= (size[-1] & 0x7F) << 7 * (len(size) - 1)
        return head + size + (self.packets.recv(rest) if rest else b"")

    def close(self) -> None:
        self._far.close()
        self.packets.close()


def messages() -> st.SearchStrategy[Message]:
    def make(topic: str, payload: bytes, mid: int, retain: bool, dup: bool, big: bool) -> Message:
        qos = int(mid > 0)
        return Message(
            topic.encode(), payload * (700 if big else 1), mid, qos, retain, dup and qos == 1
        )

    return st.builds(
        make,
        st.text(st.characters(codec="utf-8", exclude_characters="\0+#"), min_size=1, max_size=20),
        st.binary(max_size=40),
        st.integers(0, 65535),
        st.booleans(),
        st.booleans(),
        st.booleans(),
    )


@given(st.lists(messages(), max_size=12), st.booleans(), st.integers(0, 99))
def test_messages_in_any_pieces(sent: list[Message], version5: bool, seed: int) -> None:
    line, chance = Line(version5=version5), random.Random(seed)
    stream = b"".join(packet(one, version5=version5) + PINGRESP for one in sent)
    found: list[Message] = []
    at = 0
    while at < len(stream):
        size = chance.choice([1, 2, 3, 50, 5000])
        found += line.send(stream[at : at + size])
        at += size
    assert found == sent
    assert line.others == PINGRESP * len(sent)
    line.close()


def test_properties_are_passed_over() -> None:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.MessageExpiryInterval = 60
    properties.UserProperty = [("a", "b" * 200)]
    raw: bytes = properties.pack()  # type: ignore[no-untyped-call]
    assert len(raw) > 128  # a length of two bytes
    one = Message(b"t", b"12.5", 3, 1, False, False)
    line = Line(version5=True)
    assert line.send(packet(one, version5=True, properties=raw)) == [one]
    line.close()


@pytest.mark.parametrize(
    ("version5", "raw"),
    [
        (False, packet(Message(b"t", b"1", 5, 2, False, False))),  # QoS 2
        (False, b"\x36\x05\x00\x01t\x00\x05"),  # QoS 3
        (False, packet(Message(b"", b"1", 5, 1, False, False))),  # no topic
        (False, packet(Message(b"t", b"1", 0, 1, False, False))),  # packet identifier 0
        (False, b"\x30\x01\x00"),  # too short for a topic's length
        (False, b"\x30\x04\x00\x09ab"),  # a topic longer than its packet
        (False, b"\x32\x04\x00\x01t\x00"),  # no room for the identifier
        (True, b"\x30\x03\x00\x01t"),  # no properties
        (True, b"\x30\x04\x00\x01t\x7f"),  # properties longer than their packet
        (True, b"\x30\x07\x00\x01t\xff\xff\xff\xff"),  # a length that has no end
    ],
)
def test_what_is_left_to_paho(version5: bool, raw: bytes) -> None:
    line = Line(version5=version5)
    assert line.send(raw) == []
    assert line.others == raw
    line.close()


def test_a_length_of_five_bytes_is_left_to_paho() -> None:
    line = Line()
    line._far.sendall(b"\x30\xff\xff\xff\xff\x01")
    line.packets.fill()
    assert line.packets.messages(7) == []
    assert line.packets.has_packet()
    assert line.packets.recv(6) == b"\x30\xff\xff\xff\xff\x01"
    line.close()


def test_a_long_message_is_put_together_once() -> None:
    one = Message(b"t", b"x" * 5_000_000, 1, 1, False, False)
    line = Line()
    stream = packet(one)
    found: list[Message] = []
    for at in range(0, len(stream), 50_000):
        found += line.send(stream[at : at + 50_000])
        if at + 50_000 < len(stream):  # until then nothing is copied together
            assert len(line.packets._data) <= 50_000
    assert found == [one]
    line.close()


def test_the_end_of_a_connection() -> None:
    one = Message(b"t", b"1", 1, 1, False, False)
    line = Line()
    line._far.sendall(packet(one) + b"\x30\x05\x00")
    line._far.close()
    line.packets.fill()
    assert line.packets.messages(7) == [one]
    assert not line.packets.has_packet()
    line.packets.fill()
    assert line.packets.has_packet()
    assert line.packets.recv(10) == b"\x30\x05\x00"
    assert line.packets.recv(10) == b""
    line.close()


def test_acknowledgements() -> None:
    assert acknowledgements([1, 0xABCD]) == bytes.fromhex("40020001 4002abcd")
