"""A Modbus line that can read registers, and can do nothing else.

It opens by itself, and opens anew once where the other side had closed an idle connection. After a
reply that does not fit, whatever else is on its way cannot be told apart: the line is closed. With
RTU framing the same goes for a time-out, and nothing is asked until the line has been quiet.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from collectors.lines.channel import Channel, open_serial, open_tcp
from collectors.modbus.frames import FRAMINGS, Framing, read_pdu
from collectors.tls import tls_context
from config.connections import Modbus, ModbusRtu
from config.errors import ConnectFailed, ReplyRefused, ReplyTimeout

_SILENT_CHARACTERS = 3.5  # between two RTU frames (Serial Line V1.02, 2.5.1.1)
_LEAST_SILENCE_S = 0.00175  # above 19200 Bd
_QUIET_S = (0.1, 1.0)  # least and most time of silence that is waited for after a time-out


class ReadOnlyConnection:
    """One line, one request at a time. Only functions 3 and 4 can be asked."""

    def __init__(self, settings: Modbus, folder: Path) -> None:
        """``folder``: where relative paths of certificates start. Raises ConfigError."""
        self._settings = settings
        self._framing: Framing = FRAMINGS[settings.type]()
        self._channel: Channel | None = None
        self._may_hold_late_replies = False
        self._free_at_s = 0.0
        self.connects = 0
        self._tls = None
        if isinstance(settings, ModbusRtu):
            silence_s = _silence_s(settings)
            self._pause_s = max(settings.pause_s, silence_s)
            self._quiet_s = min(max(_QUIET_S[0], settings.timeout_s / 2), _QUIET_S[1])
        else:
            self._pause_s = settings.pause_s
            if settings.tls is not None:
                self._tls = tls_context(folder, settings.tls, settings.peer)

    @property
    def is_open(self) -> bool:
        return self._channel is not None and self._channel.is_open

    @property
    def late_replies(self) -> int:
        """Replies to requests whose time was over; they were passed over."""
        return self._framing.late_replies

    def take_slow(self) -> dict[str, float]:
        """Units whose late reply came since the last call, and seconds since their request."""
        return {str(unit_id): late_s for unit_id, late_s in self._framing.take_slow().items()}

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    async def open(self) -> None:
        """Connect, unless connected. Raises ConnectFailed."""
        await self._opened()

    async def read(
        self,
        unit_id: int,
        function: int,
        address: int,
        count: int,
        timeout_s: float | None = None,
    ) -> bytes:
        """The bytes of ``count`` registers from ``address`` (counted from 0) on, as on the wire.

        ``timeout_s`` goes before the settings', where it is shorter and the framing can tell late
        replies. Raises ConnectFailed, ReplyTimeout, DeviceException or ReplyRefused.
        """
        pdu = read_pdu(function, address, count)
        wait_s = self._settings.timeout_s
        if timeout_s is not None and not isinstance(self._settings, ModbusRtu):
            wait_s = min(timeout_s, wait_s)
        was_open = self.is_open
        try:
            return await self._ask(unit_id, pdu, wait_s)
        except ConnectFailed:
            if not was_open:
                raise
        # The other side had closed an idle connection, and says so only when it is asked.
        self.close()
        return await self._ask(unit_id, pdu, wait_s)

    async def _ask(self, unit_id: int, pdu: bytes, wait_s: float) -> bytes:
        channel = await self._opened()
        loop = asyncio.get_running_loop()
        if self._pause_s and (rest_s := self._free_at_s - loop.time()) > 0:
            await asyncio.sleep(rest_s)
        framing = self._framing
        try:
            wire = await channel.ask(framing.ask(unit_id, pdu), framing.take, wait_s)
        except (ReplyRefused, ReplyTimeout) as error:
            is_rtu = isinstance(self._settings, ModbusRtu)
            if isinstance(error, ReplyTimeout):
                framing.give_up()
            if is_rtu or isinstance(error, ReplyRefused):
                self.close()
                self._may_hold_late_replies = is_rtu
            raise
        finally:
            if self._pause_s:
                self._free_at_s = loop.time() + self._pause_s
        if channel.surplus and isinstance(self._settings, ModbusRtu):
            surplus = channel.surplus
            self.close()
            self._may_hold_late_replies = True
            raise ReplyRefused(f"{surplus} bytes behind the end of the reply")
        return wire

    async def _opened(self) -> Channel:
        if self._channel is None or not self._channel.is_open:
            self.close()
            self._channel = await self._open_channel()
            self._channel.on_stray = self._framing.pass_over
            self.connects += 1
        if self._may_hold_late_replies:
            if await self._channel.listen(self._quiet_s):
                self._framing.late_replies += 1
            self._may_hold_late_replies = False
        return self._channel

    async def _open_channel(self) -> Channel:
        settings = self._settings
        if isinstance(settings, ModbusRtu):
            if settings.serial is not None:
                return await open_serial(settings.serial)
            assert settings.host is not None
            return await open_tcp(settings.host, settings.port, settings.timeout_s)
        name = settings.tls.server_name if settings.tls is not None else None
        return await open_tcp(settings.host, settings.port, settings.timeout_s, self._tls, name)


def _silence_s(settings: ModbusRtu) -> float:
    bits_per_s = settings.bits_per_s
    if bits_per_s is None:
        return _LEAST_SILENCE_S
    return max(_LEAST_SILENCE_S, _SILENT_CHARACTERS * settings.bits_per_byte / bits_per_s)
