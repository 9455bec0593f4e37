"""A paho client that is turned by hand: it reads many packets at once, and answers them at once.

paho keeps the session: connecting, TLS, subscriptions, keep-alive, QoS 2. What it does too often
for each message of QoS 0 and 1 is done by `PacketSocket`. It has no public seam for that, so this
module uses private methods of paho 2.2; the project file asks for that version.
"""

from __future__ import annotations

import selectors
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from paho.mqtt.client import PINGREQ, PUBACK, Client
from paho.mqtt.enums import MQTTErrorCode, MQTTProtocolVersion

from collectors.mqtt.wire import Message, PacketSocket, acknowledgements

Take = Callable[[Sequence[Message]], None]


class Session(Client):
    """For one thread; only `wake` may be called from any.

    ``server_name`` is the name that a TLS broker's certificate must have; default the host.
    """

    def __init__(self, *arguments: Any, server_name: str | None = None, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._server_name = server_name
        self._packets: PacketSocket | None = None
        self._selector: selectors.BaseSelector | None = None
        self._interest = 0  # what the selector waits for on the connection
        self._bell: socket.socket | None = None
        self._button: socket.socket | None = None
        self._rung = False
        # Whoever has a packet to send leaves it to `write`: without a callback here paho would
        # write to the socket within the call that made the packet.
        self.on_socket_register_write = lambda *_: None

    def open(self) -> None:
        """Take what is needed to wait. To be followed by `close`."""
        self._bell, self._button = socket.socketpair()
        self._bell.setblocking(False)
        self._button.setblocking(False)

    def close(self) -> None:
        """Close every socket; the session at the broker stays."""
        self._reset_sockets()
        for one in (self._bell, self._button, self._selector):
            if one is not None:
                one.close()
        self._bell = self._button = self._selector = None

    def wake(self) -> None:
        """End the wait of `turn`, now or the next time. Any thread."""
        button = self._button
        if button is not None and not self._rung:
            self._rung = True
            with suppress(OSError):  # full: it will wake; closed: nobody waits
                button.send(b"\0")

    def turn(self, wait_s: float, take: Take, most: int) -> MQTTErrorCode:
        """Wait for the broker, for `wake` or for ``wait_s``; then read what there is.

        ``take`` gets messages, up to ``most`` of them; with ``most`` 0 nothing is read, and the
        broker is only told that its client is alive. Returns what paho says of the connection.
        """
        packets = self._packets
        if packets is None or self._sock is None or self._sock is not packets:
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        if most == 0:
            self._wait(wait_s, reading=False)
            self._stay()
            return self.loop_misc()
        if not packets.has_packet():
            ready = self._wait(0.0 if packets.more else wait_s, reading=True)
            if (ready or packets.more) and packets.fill():
                self._last_bytes_received = time.monotonic()
        rc = self._read(packets, take, most)
        if rc != MQTTErrorCode.MQTT_ERR_SUCCESS or self._sock is None:
            return rc
        return self.loop_misc()

    def _read(self, packets: PacketSocket, take: Take, most: int) -> MQTTErrorCode:
        if messages := packets.messages(most):
            take(messages)
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        if packets.has_packet():
            rc = self._packet_read()
            if rc > 0:
                return self._loop_rc_handle(rc)
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def write(self) -> MQTTErrorCode:
        """Send what is to be sent, as far as the socket takes it."""
        if self._sock is None or not self.want_write():
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        return self.loop_write()

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Queue the acknowledgements of ``messages``, in this order."""
        mids: list[int] = []
        for message in messages:
            if message.qos == 1:
                mids.append(message.mid)
            elif message.qos == 2:
                self._queue(mids)
                self.ack(message.mid, 2)
        self._queue(mids)

    def _queue(self, mids: list[int]) -> None:
        if mids:
            self._packet_queue(PUBACK, acknowledgements(mids), mids[-1], 1)
            mids.clear()

    def _stay(self) -> None:
        """Tell the broker that this client is alive, though nothing is read of it."""
        now_s = time.monotonic()
        self._last_bytes_received, self._ping_t = now_s, 0.0
        if now_s - self._last_msg_out >= self._keepalive / 2:
            self._send_simple_command(PINGREQ)
            self._last_msg_out = now_s

    def _wait(self, wait_s: float, *, reading: bool) -> bool:
        """Whether there is something to read within ``wait_s``."""
        assert self._selector is not None
        self._set_interest(
            (selectors.EVENT_READ if reading else 0)
            | (selectors.EVENT_WRITE if self.want_write() else 0)
        )
        ready = False
        for key, event in self._selector.select(wait_s):
            if key.fileobj is self._bell:
                with suppress(OSError):
                    self._bell.recv(64)
                self._rung = False
            else:
                ready = bool(event & selectors.EVENT_READ)
        return ready

    def _set_interest(self, events: int) -> None:
        if events == self._interest or self._packets is None or self._selector is None:
            return
        if not events:
            self._selector.unregister(self._packets)
        elif self._interest:
            self._selector.modify(self._packets, events)
        else:
            self._selector.register(self._packets, events)
        self._interest = events

    # What paho calls.

    def _create_socket(self) -> PacketSocket:
        if self._bell is None:
            raise RuntimeError("the session is not open")
        stream: Any = super()._create_socket()
        version5 = self._protocol == MQTTProtocolVersion.MQTTv5
        self._packets = PacketSocket(stream, version5=version5)
        if self._selector is not None:
            self._selector.close()
        self._selector, self._interest = selectors.DefaultSelector(), 0
        self._selector.register(self._bell, selectors.EVENT_READ)
        return self._packets

    def _ssl_wrap_socket(self, tcp_sock: socket.socket) -> ssl.SSLSocket:
        assert self._ssl_context is not None
        wrapped = self._ssl_context.wrap_socket(
            tcp_sock,
            server_hostname=self._server_name or self._host,
            do_handshake_on_connect=False,
        )
        try:
            wrapped.settimeout(self._connect_timeout)
            wrapped.do_handshake()
        except Exception:
            wrapped.close()
            raise
        return wrapped
