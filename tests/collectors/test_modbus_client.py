"""The read-only connection: what it asks, what it believes, and how it names trouble."""

from __future__ import annotations

import asyncio
import inspect
import struct
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus import exceptions as pymodbus_errors

from collectors.modbus.connection import (
    EXCEPTION_NAMES,
    ReadOnlyConnection,
    check_reply,
    collect_error,
)
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


async def ask(
    answer: Callable[[Asked], Answer], timeout_s: float = TIMEOUT_S, **wanted: int
) -> bytes:
    request = {"unit_id": 1, "function": 3, "address": 100, "count": 2, **wanted}
    async with ScriptedServer(answer) as server:
        connection = await ReadOnlyConnection.open("127.0.0.1", server.port, timeout_s)
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


ASKED = struct.pack(">HHHBBHH", 9, 0, 6, 1, 3, 100, 2)
FITS = struct.pack(">HHHBBB", 9, 0, 7, 1, 3, 4) + bytes(4)


@pytest.mark.parametrize("place", range(9))
def test_one_wrong_byte_before_the_data_is_one_too_many(place: int) -> None:
    for byte in set(range(256)) - {FITS[place]}:
        wrong = FITS[:place] + bytes([byte]) + FITS[place + 1 :]
        try:
            unfinished = check_reply(ASKED, wrong)
        except ReplyRefused:
            continue
        late = 0 < int.from_bytes(wrong[:2], "big") < 9
        assert late or unfinished == len(wrong)


@given(st.binary(max_size=300))
def test_any_bytes_are_judged(received: bytes) -> None:
    with suppress(ReplyRefused):
        assert 0 <= check_reply(ASKED, received) <= len(received)


def test_frames_that_pass() -> None:
    exception = struct.pack(">HHHBBB", 9, 0, 3, 1, 0x83, 2)
    late = struct.pack(">HHHBBB", 8, 0, 7, 5, 3, 4) + bytes(4)
    assert check_reply(ASKED, FITS) == 0
    assert check_reply(ASKED, exception) == 0
    assert check_reply(ASKED, late + FITS) == 0
    assert check_reply(ASKED, late) == 0
    assert check_reply(ASKED, late + FITS[:9]) == 9
    for end in range(1, len(FITS)):
        assert check_reply(ASKED, FITS[:end]) == end


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
            connection = await ReadOnlyConnection.open("127.0.0.1", server.port, TIMEOUT_S)
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
            connection = await ReadOnlyConnection.open("127.0.0.1", server.port, SHORT_S)
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
            connection = await ReadOnlyConnection.open("127.0.0.1", server.port, 0.05)
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
            connection = await ReadOnlyConnection.open("127.0.0.1", server.port, TIMEOUT_S)
            with pytest.raises(ReplyRefused):
                await connection.read(1, 3, 0, 2)
            assert not connection.is_open
            with pytest.raises(ConnectFailed):
                await connection.read(1, 3, 0, 2)

    asyncio.run(scenario())


def test_nobody_listens() -> None:
    async def scenario() -> None:
        await ReadOnlyConnection.open("127.0.0.1", free_port(), TIMEOUT_S)

    with pytest.raises(ConnectFailed, match="Connect call failed"):
        asyncio.run(scenario())


@pytest.mark.parametrize("host", ["no such host.invalid", "a..b", "x" * 300])
def test_hosts_that_are_none(host: str) -> None:
    async def scenario() -> None:
        await ReadOnlyConnection.open(host, 502, TIMEOUT_S)

    with pytest.raises(ConnectFailed):
        asyncio.run(scenario())


def test_nothing_but_reads_can_be_asked() -> None:
    """No method writes; and a frame with any other function never leaves."""

    async def scenario() -> None:
        async with ScriptedServer(own_addresses) as server:
            connection = await ReadOnlyConnection.open("127.0.0.1", server.port, TIMEOUT_S)
            for function in set(range(256)) - {3, 4}:
                frame = struct.pack(">HHHBBHH", 1, 0, 6, 1, function, 100, 1)
                with pytest.raises(CollectError, match="not sent"):
                    connection._look_at(True, frame)
                with pytest.raises(KeyError):
                    await connection.read(1, function, 100, 1)
            # Even through the bound methods, back to the client that they belong to:
            hidden = connection._readers[3].__self__  # type: ignore[attr-defined]
            with pytest.raises(CollectError, match="function 6 is no read"):
                await hidden.write_register(100, 1, device_id=1)
            connection.close()
            assert server.wire == b""

    asyncio.run(scenario())
    public = {name for name in vars(ReadOnlyConnection) if not name.startswith("_")}
    assert public == {"open", "close", "read"}


PYMODBUS_ERRORS = {
    "ConnectionException": ConnectFailed,
    "MessageRegisterException": ReplyRefused,
    "ModbusIOException": ReplyRefused,
    "NoSuchIdException": ReplyRefused,
    "NotImplementedException": ReplyRefused,
    "ParameterException": ReplyRefused,
    "ModbusException": ReplyRefused,
}


def test_every_exception_of_pymodbus_is_mapped() -> None:
    theirs = {
        name: error
        for name, error in vars(pymodbus_errors).items()
        if inspect.isclass(error) and issubclass(error, Exception)
    }
    assert set(theirs) == set(PYMODBUS_ERRORS) >= set(pymodbus_errors.__all__)
    for name, error in theirs.items():
        ours = collect_error(error("why"))
        assert type(ours) is PYMODBUS_ERRORS[name]
        assert "why" in str(ours)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (TimeoutError("x"), ReplyTimeout),
        (ConnectionResetError("x"), ConnectFailed),
        (BrokenPipeError("x"), ConnectFailed),
        (OSError("x"), ConnectFailed),
        (struct.error("x"), ReplyRefused),
        (ValueError("x"), ReplyRefused),
        (RuntimeError("x"), ReplyRefused),
    ],
)
def test_other_exceptions_are_mapped_too(theirs: Exception, ours: type[CollectError]) -> None:
    assert type(collect_error(theirs)) is ours


def test_our_own_errors_stay_as_they_are() -> None:
    error = DeviceException("x", 2)
    assert collect_error(error) is error
