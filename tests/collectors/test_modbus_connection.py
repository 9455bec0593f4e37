"""The read-only connection: what it asks, what it believes, and how it names trouble."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.modbus.connection import ReadOnlyConnection
from collectors.modbus.frames import EXCEPTION_NAMES, MbapFraming, RtuFraming, read_pdu
from config.connections import ModbusRtu, ModbusTcp
from config.errors import (
    CollectError,
    ConnectFailed,
    DeviceException,
    ReplyRefused,
    ReplyTimeout,
)
from tests.collectors.servers import (
    CLOSE,
    SILENCE,
    Answer,
    Asked,
    ScriptedServer,
    TcpServer,
    free_port,
    own_addresses,
)

TIMEOUT_S = 5.0
SHORT_S = 0.3


def connection_to(port: int, timeout_s: float, host: str = "127.0.0.1") -> ReadOnlyConnection:
    settings = ModbusTcp(type="modbus_tcp", host=host, port=port, timeout_s=timeout_s)
    return ReadOnlyConnection(settings, Path())


async def ask(
    answer: Callable[[Asked], Answer], timeout_s: float = TIMEOUT_S, **wanted: int
) -> bytes:
    request = {"unit_id": 1, "function": 3, "address": 100, "count": 2, **wanted}
    async with ScriptedServer(answer) as server:
        connection = connection_to(server.port, timeout_s)
        try:
            return await connection.read(**request)
        finally:
            connection.close()


@pytest.mark.parametrize("function", [3, 4])
@pytest.mark.parametrize("unit_id", [0, 1, 247])
@pytest.mark.parametrize(("address", "count"), [(0, 1), (100, 2), (65411, 125), (65535, 1)])
def test_the_registers_that_were_asked(
    function: int, unit_id: int, address: int, count: int
) -> None:
    wire = asyncio.run(
        ask(own_addresses, function=function, unit_id=unit_id, address=address, count=count)
    )
    assert wire == struct.pack(f">{count}H", *range(address, address + count))


BAD_REPLIES: dict[str, Callable[[Asked], Answer]] = {
    "fewer registers": lambda asked: asked.reply([1]),
    "more registers": lambda asked: asked.reply([1, 2, 3]),
    "no registers": lambda asked: asked.reply([]),
    "byte count that is too small": lambda a: a.frame(bytes([3, 2, 0, 1, 0, 2])),
    "byte count that is too large": lambda a: a.frame(bytes([3, 6, 0, 1, 0, 2])),
    "odd byte count": lambda a: a.frame(bytes([3, 5, 0, 1, 0, 2, 0])),
    "right byte count, bytes missing": lambda a: a.frame(bytes([3, 4, 0, 1, 0])),
    "right byte count, bytes too many": lambda a: a.frame(bytes([3, 4, 0, 1, 0, 2, 0])),
    "header that promises more": lambda a: a.reply([1, 2])[:-1],
    "header that breaks off": lambda a: a.reply([1, 2])[:5],
    "the other read function": lambda a: a.frame(bytes([4, 4, 0, 1, 0, 2])),
    "coils": lambda a: a.frame(bytes([1, 4, 0, 1, 0, 2])),
    "a write's echo": lambda a: a.frame(bytes([6, 0, 100, 0, 2])),
    "exception of the other function": lambda a: a.frame(bytes([0x84, 2])),
    "exception without a code": lambda a: a.frame(bytes([0x83])),
    "exception with two codes": lambda a: a.frame(bytes([0x83, 2, 2])),
    "empty PDU": lambda a: a.frame(b""),
    "another unit": lambda a: a.frame(a.pdu([1, 2]), unit_id=2),
    "transaction to come": lambda a: a.frame(a.pdu([1, 2]), transaction=a.transaction + 1),
    "no transaction": lambda a: a.frame(a.pdu([1, 2]), transaction=0),
    "another protocol": lambda a: b"\0\1\0\1" + a.reply([1, 2])[4:],
    "length beyond Modbus": lambda a: a.reply([1, 2])[:4] + b"\x03\xe8" + a.reply([1, 2])[6:],
    "text": lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n",
}


@pytest.mark.parametrize("name", BAD_REPLIES)
def test_a_reply_that_does_not_fit_is_refused(name: str) -> None:
    breaks_off = name.startswith("header")
    with pytest.raises(ReplyRefused) as caught:
        asyncio.run(ask(BAD_REPLIES[name], SHORT_S if breaks_off else TIMEOUT_S))
    assert caught.value.status == "bad_reply"


PDU = read_pdu(3, 100, 2)
FITS = struct.pack(">HHHBBB", 9, 0, 7, 1, 3, 4) + bytes(4)
RTU_FITS = bytes.fromhex("01 03 04 0064 0065 7BC7")


def ninth() -> MbapFraming:
    """The framing of a connection whose ninth request is in flight."""
    framing = MbapFraming()
    for _ in range(9):
        asked = framing.ask(1, PDU)
    assert asked == struct.pack(">HHHBBHH", 9, 0, 6, 1, 3, 100, 2)
    return framing


def asked_rtu() -> RtuFraming:
    framing = RtuFraming()
    assert framing.ask(1, PDU) == bytes.fromhex("01 03 0064 0002 85D4")
    return framing


@pytest.mark.parametrize("place", range(9))
def test_one_wrong_byte_before_the_data_is_one_too_many(place: int) -> None:
    for byte in set(range(256)) - {FITS[place]}:
        wrong = bytearray(FITS[:place] + bytes([byte]) + FITS[place + 1 :])
        framing = ninth()
        try:
            assert framing.take(wrong) is None
        except ReplyRefused:
            continue
        assert framing.late_replies == 1 or len(wrong) == len(FITS)


def test_one_wrong_byte_of_an_rtu_reply_is_one_too_many() -> None:
    assert asked_rtu().take(bytearray(RTU_FITS)) == struct.pack(">HH", 100, 101)
    for place in range(len(RTU_FITS)):
        for byte in set(range(256)) - {RTU_FITS[place]}:
            wrong = bytearray(RTU_FITS[:place] + bytes([byte]) + RTU_FITS[place + 1 :])
            with suppress(ReplyRefused):
                assert asked_rtu().take(wrong) is None


@given(st.binary(max_size=300))
def test_any_bytes_are_judged(received: bytes) -> None:
    for framing in (ninth(), asked_rtu()):
        left = bytearray(received)
        with suppress(ReplyRefused, DeviceException):
            content = framing.take(left)
            assert content is None or len(content) == 4
            assert received.endswith(left)


def test_frames_that_pass() -> None:
    exception = struct.pack(">HHHBBB", 9, 0, 3, 1, 0x83, 2)
    late = struct.pack(">HHHBBB", 8, 0, 7, 5, 3, 4) + bytes(4)
    assert ninth().take(bytearray(FITS)) == bytes(4)
    with pytest.raises(DeviceException, match="exception 2"):
        ninth().take(bytearray(exception))
    assert ninth().take(bytearray(late + FITS)) == bytes(4)
    left = bytearray(late + FITS[:9])
    framing = ninth()
    assert framing.take(left) is None
    assert (left, framing.late_replies) == (FITS[:9], 1)
    for end in range(1, len(FITS)):
        assert ninth().take(bytearray(FITS[:end])) is None
    for end in range(1, len(RTU_FITS)):
        assert asked_rtu().take(bytearray(RTU_FITS[:end])) is None
    with pytest.raises(DeviceException, match="exception 2"):
        asked_rtu().take(bytearray.fromhex("01 83 02 C0F1"))


def test_transactions_start_anew_after_the_last() -> None:
    framing = MbapFraming()
    for number in [*range(1, 65536), 1, 2]:
        asked = framing.ask(1, PDU)
        assert int.from_bytes(asked[:2], "big") == number
    before = [65535, 1]
    late = b"".join(struct.pack(">H", number) + FITS[2:] for number in before)
    assert framing.take(bytearray(late + b"\0\2" + FITS[2:])) == bytes(4)
    assert framing.late_replies == 2
    framing.ask(1, PDU)
    with pytest.raises(ReplyRefused, match="transaction 4"):
        framing.take(bytearray(b"\0\4" + FITS[2:]))


def test_a_late_reply_tells_how_slow_its_unit_is() -> None:
    framing = MbapFraming()
    framing.ask(7, PDU)
    framing.give_up()
    framing.pass_over(bytearray(b"\0\1" + FITS[2:]))
    (slow,) = framing.take_slow().items()
    assert slow[0] == 7
    assert 0 <= slow[1] < 60
    assert framing.take_slow() == {}


def test_a_reply_in_pieces() -> None:
    async def scenario() -> bytes:
        async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            header = await reader.readexactly(12)
            for byte in header[:4] + struct.pack(">HBBBHH", 7, 1, 3, 4, 100, 101):
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.002)
            await reader.read()

        async with TcpServer(slowly) as server:
            connection = connection_to(server.port, TIMEOUT_S)
            wire = await connection.read(1, 3, 100, 2)
            connection.close()
            return wire

    assert asyncio.run(scenario()) == struct.pack(">HH", 100, 101)


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 6, 8, 10, 11, 99])
def test_exception_codes(code: int) -> None:
    with pytest.raises(DeviceException) as caught:
        asyncio.run(ask(lambda asked: asked.exception(code)))
    assert caught.value.code == code
    assert caught.value.status == f"exception_{code}"
    assert EXCEPTION_NAMES.get(code, "unknown") in str(caught.value)


def test_silence_is_a_timeout() -> None:
    with pytest.raises(ReplyTimeout, match=r"no reply in 0\.3 s"):
        asyncio.run(ask(lambda _: SILENCE, SHORT_S))


def test_a_connection_that_is_closed_is_noticed_at_once() -> None:
    with pytest.raises(ConnectFailed, match="closed the connection"):
        asyncio.run(ask(lambda _: CLOSE, timeout_s=60))


def test_a_late_reply_is_not_taken_for_the_next() -> None:
    async def scenario() -> None:
        late: list[bytes] = []

        def answer(asked: Asked) -> Answer:
            if asked.address == 1:
                late.append(asked.reply(125 * [1111]))
                return SILENCE
            return late.pop() + asked.reply(125 * [2222])

        async with ScriptedServer(answer) as server:
            connection = connection_to(server.port, SHORT_S)
            with pytest.raises(ReplyTimeout):
                await connection.read(1, 3, 1, 125)
            assert await connection.read(2, 3, 2, 125) == 125 * struct.pack(">H", 2222)
            connection.close()

    asyncio.run(scenario())


def test_many_timeouts_do_not_close_the_connection() -> None:
    async def scenario() -> None:
        async with ScriptedServer(
            lambda asked: own_addresses(asked) if asked.unit_id == 9 else SILENCE
        ) as server:
            connection = connection_to(server.port, 0.05)
            for unit_id in range(1, 9):
                with pytest.raises(ReplyTimeout):
                    await connection.read(unit_id, 3, 0, 1)
            assert await connection.read(9, 3, 7, 1) == b"\0\7"
            assert server.connections == 1
            connection.close()

    asyncio.run(scenario())


def test_after_a_bad_reply_the_connection_is_closed() -> None:
    async def scenario() -> None:
        async with ScriptedServer(lambda asked: asked.reply([1])) as server:
            connection = connection_to(server.port, TIMEOUT_S)
            for times in (1, 2):
                with pytest.raises(ReplyRefused):
                    await connection.read(1, 3, 0, 2)
                assert not connection.is_open
                assert (connection.connects, server.connections) == (times, times)

    asyncio.run(scenario())


def test_nobody_listens() -> None:
    with pytest.raises(ConnectFailed, match="Connect call failed"):
        asyncio.run(connection_to(free_port(), TIMEOUT_S).open())


@pytest.mark.parametrize("host", ["no such host.invalid", "a..b", "x" * 300])
def test_hosts_that_are_none(host: str) -> None:
    with pytest.raises(ConnectFailed):
        asyncio.run(connection_to(502, TIMEOUT_S, host).open())


def test_nothing_but_reads_can_be_asked() -> None:
    """Nothing else can be encoded, by any framing; and nothing else leaves."""

    async def scenario() -> None:
        async with ScriptedServer(own_addresses) as server:
            connection = connection_to(server.port, TIMEOUT_S)
            for function in set(range(256)) - {3, 4}:
                with pytest.raises(CollectError, match="not sent"):
                    await connection.read(1, function, 100, 1)
            assert server.wire == b""
            connection.close()

    asyncio.run(scenario())
    public = {name for name in vars(ReadOnlyConnection) if not name.startswith("_")}
    assert public == {"open", "close", "read", "is_open", "late_replies", "take_slow"}


@pytest.mark.parametrize(("address", "count"), [(-1, 1), (0, 0), (0, 126), (65535, 2), (65536, 1)])
def test_registers_that_cannot_be(address: int, count: int) -> None:
    with pytest.raises(CollectError, match="not sent"):
        read_pdu(3, address, count)


class RtuServer(TcpServer):
    """RTU frames over TCP; each reply is what ``answer`` makes of the request's number."""

    def __init__(self, answer: Callable[[int], bytes]) -> None:
        super().__init__(self._converse)
        self._answer = answer
        self.asked = 0

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readexactly(8):
            self.asked += 1
            writer.write(self._answer(self.asked))
            await writer.drain()


def rtu_connection(port: int, timeout_s: float) -> ReadOnlyConnection:
    settings = ModbusRtu(type="modbus_rtu", host="127.0.0.1", port=port, timeout_s=timeout_s)
    return ReadOnlyConnection(settings, Path())


def test_rtu_over_tcp() -> None:
    async def scenario() -> None:
        async with RtuServer(lambda _: RTU_FITS) as server:
            connection = rtu_connection(server.port, TIMEOUT_S)
            for _ in range(3):
                assert await connection.read(1, 3, 100, 2) == struct.pack(">HH", 100, 101)
            assert server.connections == 1
            connection.close()

    asyncio.run(scenario())


def test_an_rtu_line_is_made_anew_after_silence_and_after_too_much() -> None:
    """A second reply in the same breath could answer the next question."""
    answers = {1: RTU_FITS, 2: b"", 3: RTU_FITS, 4: 2 * RTU_FITS, 5: RTU_FITS, 6: RTU_FITS[:-1]}

    async def scenario() -> None:
        outcomes: list[object] = []
        async with RtuServer(lambda number: answers.get(number, RTU_FITS)) as server:
            connection = rtu_connection(server.port, SHORT_S)
            for _ in range(7):
                try:
                    outcomes.append(await connection.read(1, 3, 100, 2))
                except CollectError as error:
                    outcomes.append(error.status)
            connection.close()
            good = struct.pack(">HH", 100, 101)
            wanted = [good, "timeout", good, "bad_reply", good, "bad_reply", good]
            assert outcomes == wanted
            assert server.connections == 4

    asyncio.run(scenario())


def test_what_comes_while_an_rtu_line_is_quiet_is_dropped() -> None:
    """Late by more than the time-out: a gateway hands it to whoever is connected then."""

    async def scenario() -> None:
        late: asyncio.Event = asyncio.Event()

        async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if not late.is_set():
                await reader.readexactly(8)  # the question that is answered late
                late.set()
                await reader.read()
                return
            writer.write(bytes.fromhex("01 03 04 0001 0002 2A32"))
            while await reader.readexactly(8):
                writer.write(RTU_FITS)

        async with TcpServer(converse) as server:
            connection = rtu_connection(server.port, SHORT_S)
            with pytest.raises(ReplyTimeout):
                await connection.read(1, 3, 100, 2)
            assert await connection.read(1, 3, 100, 2) == struct.pack(">HH", 100, 101)
            assert connection.late_replies == 1
            connection.close()

    asyncio.run(scenario())
