"""Reads the meters of one Modbus TCP connection.

Each tick of each interval yields exactly one reading of every meter: a good one, or the reason why
there is none. Statuses besides ``good``:

    timeout         connected, no reply in time
    not_connected   no connection, or closed by the other side instead of a reply
    exception_N     the device, or for 10 and 11 its gateway, answered with Modbus exception N
    bad_reply       the answer does not fit the question
    not_a_number    the register held NaN or an infinity
    not_asked       the unit was silent for some ticks, and rests so that the others are served
    skipped         the tick passed while the ones before it were still under way
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from dataclasses import dataclass, field

from collectors.base import GOOD, Clock, Health, Sink, WallClock, offer_until_taken
from collectors.changes import Changes
from collectors.modbus.connection import ReadOnlyConnection
from collectors.modbus.registers import RegisterValue, Request, modbus_connection, poll_plan, split
from collectors.schedule import Schedule
from collectors.silence import SilentUnits
from config.errors import CollectError, ConnectFailed, DeviceException, ReplyTimeout
from config.site import Site
from config.tables import Reading

log = logging.getLogger("kgce.collectors.modbus")

NOT_A_NUMBER = "not_a_number"
SKIPPED = "skipped"
ILLEGAL_ADDRESS = 2
GATEWAY_SILENT = (10, 11)
MOST_SKIPPED_TICKS = 10_000  # more at once is a step of the clock, not a slow device


class NotAsked(CollectError):
    """The unit rests; nothing was sent."""

    status = "not_asked"


@dataclass(frozen=True)
class _Outcome:
    """What came of one request, and when: the registers' bytes, or else the error."""

    request: Request
    time_us: int
    wire: bytes = b""
    error: CollectError | None = None

    @property
    def status(self) -> str:
        return self.error.status if self.error is not None else GOOD

    @property
    def wrong_address(self) -> bool:
        return isinstance(self.error, DeviceException) and self.error.code == ILLEGAL_ADDRESS

    @property
    def silent(self) -> bool:
        """The unit did not answer, by itself or in the words of its gateway."""
        if isinstance(self.error, DeviceException):
            return self.error.code in GATEWAY_SILENT
        return isinstance(self.error, ReplyTimeout | ConnectFailed)


@dataclass
class _Tick:
    """One tick under way, and whom it has given up on."""

    number: int
    time_us: int
    no_connection: CollectError | None = None
    silent: dict[int, CollectError] = field(default_factory=dict)
    asked: bool = False


class ModbusCollector:
    """Polls one connection. Each interval has its own ticks; one request is in flight."""

    def __init__(
        self,
        site: Site,
        connection_id: str,
        sink: Sink,
        clock: Clock | None = None,
        interval_s: float | None = None,
    ) -> None:
        """``interval_s`` goes before the configuration's intervals. Raises ConfigError."""
        self._settings = modbus_connection(site, connection_id)
        self._plans = {
            interval: list(requests)
            for interval, requests in poll_plan(site, connection_id, interval_s).items()
        }
        self._id = connection_id
        self._sink = sink
        self._clock: Clock = clock or WallClock()
        self._line = asyncio.Lock()
        self._connection: ReadOnlyConnection | None = None
        self._replies = 0
        self._silent_units = SilentUnits(self._settings.timeout_s)
        self._indivisible: set[Request] = set()
        self._changes = Changes(log)
        self.health = Health(connection_id)

    @property
    def intervals_s(self) -> tuple[float, ...]:
        """The intervals, in seconds. Each sleeps by the clock on its own."""
        return tuple(self._plans)

    async def run(self) -> None:
        """Poll until cancelled."""
        self._line = asyncio.Lock()
        try:
            async with asyncio.TaskGroup() as tasks:
                for interval_s in self._plans:
                    tasks.create_task(self._run_interval(interval_s))
                await asyncio.Event().wait()
        finally:
            self._hang_up()
            self.health.state = "stopped"

    async def _run_interval(self, interval_s: float) -> None:
        schedule = Schedule(interval_s, self._clock)
        plan = self._plans[interval_s]
        while True:
            due = await schedule.next_due()
            await self._record_skipped(plan, schedule, due.missed)
            await self._poll(plan, _Tick(due.tick, schedule.time_us(due.tick)))

    async def _record_skipped(self, plan: list[Request], schedule: Schedule, missed: range) -> None:
        if len(missed) > MOST_SKIPPED_TICKS:
            log.warning(
                "%s: the clock went ahead by %d ticks; they are not recorded one by one",
                self._id,
                len(missed),
            )
            return
        values = [value for request in plan for value in request.values]
        for tick in missed:
            at_us = schedule.time_us(tick)
            await self._hand_over([self._reading(v, at_us, tick, SKIPPED) for v in values])

    async def _poll(self, plan: list[Request], tick: _Tick) -> None:
        replies_before = self._replies
        # Units that answer come first: a silent one delays only those that are silent like it.
        for request in sorted(plan, key=lambda request: request.unit_id in self._silent_units):
            outcomes = await self._read(request, tick)
            if len(outcomes) > 1 and all(o.wrong_address or o.error is None for o in outcomes):
                self._remember_finer(plan, request, outcomes)
            for outcome in outcomes:
                await self._hand_over(self._readings(outcome, tick))
        answered = self._replies > replies_before
        if tick.asked and not answered:
            # The connection itself may be dead; one that is not is quickly made again.
            async with self._line:
                self._hang_up()
        self._tell_health(tick, answered)

    async def _read(self, request: Request, tick: _Tick) -> list[_Outcome]:
        """The outcome of ``request``; of its parts where only some of its registers exist."""
        outcome = await self._ask(request, tick)
        if not outcome.wrong_address or request in self._indivisible:
            return [outcome]
        halves = split(request)
        if halves is None:
            return [outcome]
        parts = [part for half in halves for part in await self._read(half, tick)]
        if all(part.wrong_address for part in parts):
            self._indivisible.add(request)  # nothing is gained by the parts
            return [outcome]
        return parts

    def _remember_finer(
        self, plan: list[Request], request: Request, outcomes: list[_Outcome]
    ) -> None:
        index = plan.index(request)
        plan[index : index + 1] = [outcome.request for outcome in outcomes]
        log.warning(
            "%s: %s: refused as a whole (exception 2); from now on read as %s",
            self._id,
            request,
            "; ".join(str(outcome.request) for outcome in outcomes),
        )

    async def _ask(self, request: Request, tick: _Tick) -> _Outcome:
        error = self._reason_not_to_ask(request.unit_id, tick)
        if error is not None:
            return _Outcome(request, tick.time_us, error=error)
        try:
            async with self._line:
                wire = await self._exchange(request, tick)
            outcome = _Outcome(request, self._clock.now_us(), wire)
        except CollectError as caught:
            outcome = _Outcome(request, self._clock.now_us(), error=caught)
        if outcome.error is None or outcome.error is not tick.no_connection:
            self._note_answer(outcome, tick)
        self._note_change(outcome, tick)
        return outcome

    def _reason_not_to_ask(self, unit_id: int, tick: _Tick) -> CollectError | None:
        if tick.no_connection is not None:
            return tick.no_connection
        if unit_id in tick.silent:
            return tick.silent[unit_id]
        if self._silent_units.rests(unit_id, self._clock.now_us()):
            return NotAsked(f"unit {unit_id} rests")
        return None

    async def _exchange(self, request: Request, tick: _Tick) -> bytes:
        was_open = self._connection is not None and self._connection.is_open
        connection = await self._connect(tick)
        tick.asked = True
        wanted = (request.unit_id, request.function, request.address, request.count)
        try:
            return await connection.read(*wanted)
        except ConnectFailed:
            if not was_open:
                raise
        # The other side had closed an idle connection, and says so only when it is asked.
        connection = await self._connect(tick)
        return await connection.read(*wanted)

    async def _connect(self, tick: _Tick) -> ReadOnlyConnection:
        if self._connection is None or not self._connection.is_open:
            self._hang_up()
            settings = self._settings
            try:
                self._connection = await ReadOnlyConnection.open(
                    settings.host, settings.port, settings.timeout_s
                )
            except ConnectFailed as error:
                tick.no_connection = error
                raise
        return self._connection

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _note_answer(self, outcome: _Outcome, tick: _Tick) -> None:
        """A unit that was silent once is left alone for the rest of the tick."""
        unit_id = outcome.request.unit_id
        if not isinstance(outcome.error, ReplyTimeout | ConnectFailed):
            self._replies += 1  # a gateway's word is a reply too: the connection lives
        if outcome.error is not None and outcome.silent:
            tick.silent[unit_id] = outcome.error
            self._silent_units.was_silent(unit_id, outcome.time_us)
        else:
            self._silent_units.answered(unit_id)

    def _note_change(self, outcome: _Outcome, tick: _Tick) -> None:
        """Log what changed: the connection, else the unit, else the request."""
        request, detail = outcome.request, str(outcome.error or "")
        if tick.no_connection is not None:
            self._changes.note(self._id, outcome.status, detail)
            return
        self._changes.note(self._id, GOOD)
        unit = f"{self._id}: unit {request.unit_id}"
        if outcome.silent:
            self._changes.note(unit, outcome.status, detail)
            return
        self._changes.note(unit, GOOD)
        meters = ", ".join(value.meter_id for value in request.values)
        self._changes.note(f"{self._id}: {request} of {meters}", outcome.status, detail)

    def _readings(self, outcome: _Outcome, tick: _Tick) -> list[Reading]:
        request = outcome.request
        if outcome.error is not None:
            return [
                self._reading(value, tick.time_us, tick.number, outcome.status)
                for value in request.values
            ]
        readings = []
        for value in request.values:
            number = value.read_from(outcome.wire, request.address)
            finite = math.isfinite(number)
            self._changes.note(f"meter {value.meter_id}", GOOD if finite else NOT_A_NUMBER)
            readings.append(
                self._reading(value, outcome.time_us, tick.number, GOOD, number)
                if finite
                else self._reading(value, tick.time_us, tick.number, NOT_A_NUMBER)
            )
        return readings

    def _reading(
        self,
        value: RegisterValue,
        time_us: int,
        tick: int,
        status: str,
        number: float | None = None,
    ) -> Reading:
        received_us = time.time_ns() // 1000
        return Reading(
            value.meter_id, value.quantity, time_us, number, status, self._id, received_us, tick
        )

    async def _hand_over(self, readings: list[Reading]) -> None:
        state, detail = self.health.state, self.health.detail
        await offer_until_taken(self._sink, readings, self.health)
        self.health.state, self.health.detail = state, detail
        for reading in readings:
            if reading.status == GOOD:
                self.health.good += 1
                self.health.last_good_us = reading.time_us
            else:
                self.health.missing += 1

    def _tell_health(self, tick: _Tick, answered: bool) -> None:
        silent = f"no reply from unit {self._silent_units}" if self._silent_units else ""
        if tick.no_connection is not None:
            self.health.state, self.health.detail = "down", str(tick.no_connection)
        elif answered:
            self.health.state, self.health.detail = "up", silent
        elif tick.asked:
            self.health.state, self.health.detail = "down", silent
