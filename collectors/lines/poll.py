"""Polls one line, whatever protocol is spoken on it.

Each tick of each interval yields exactly one reading of every value: a good one, or the reason why
there is none. Statuses besides ``good``:

    timeout         connected, no reply in time
    not_connected   no connection, or closed by the other side instead of a reply
    exception_N     the device, or its gateway, answered with error N of its protocol
    bad_reply       the answer does not fit the question
    not_a_number    the register held NaN, an infinity, or digits that are none
    not_available   the register held the number by which the device says that it has no value
    out_of_range    the value lies outside what its register map believes; it is kept
    not_asked       the unit was silent for some ticks, and rests so that the others are served
    skipped         the tick passed while the ones before it were still under way
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from collectors.base import GOOD, Clock, Health, Sink, WallClock, offer_until_taken
from collectors.changes import Changes
from collectors.lines.schedule import Schedule
from collectors.lines.units import OPEN, Unit
from collectors.stats import Stats
from config.errors import CollectError, ConnectFailed, NotAsked, ReplyTimeout
from config.tables import Reading

log = logging.getLogger("kgce.collectors.lines")

NOT_A_NUMBER = "not_a_number"
NOT_AVAILABLE = "not_available"
OUT_OF_RANGE = "out_of_range"
SKIPPED = "skipped"
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 10.0  # before a new attempt to connect
MOST_SKIPPED_TICKS = 10_000  # more at once is a step of the clock, not a slow device

Found = tuple[float | None, str]
"""A value in the ledger's unit, or None; and its status."""


class Wanted(Protocol):
    """What one meter wants."""

    @property
    def meter_id(self) -> str: ...

    @property
    def quantity(self) -> str: ...


class Question(Protocol):
    """One request; its text names it in the log."""

    @property
    def unit(self) -> str:
        """The unit that is asked: trouble and rest are its own."""

    @property
    def values(self) -> Sequence[Wanted]:
        """What the reply holds."""


Q = TypeVar("Q", bound=Question)


class Line(Protocol[Q]):
    """What a protocol adds: the connection, and the meaning of requests and replies."""

    @property
    def timeout_s(self) -> float:
        """Longest wait for a reply."""

    @property
    def connects(self) -> int:
        """Connections that were made."""

    @property
    def is_open(self) -> bool: ...

    @property
    def late_replies(self) -> int:
        """Replies that came after their time-out, and were passed over."""

    def take_slow(self) -> Mapping[str, float]:
        """Units whose late reply came since the last call, and seconds since their request."""

    async def open(self) -> None:
        """Connect, unless connected. Raises ConnectFailed."""

    def close(self) -> None: ...

    async def ask(self, question: Q, wait_s: float) -> bytes:
        """The reply's content. Raises CollectError. Where the protocol cannot tell late replies,
        it waits for ``timeout_s`` whatever ``wait_s`` is."""

    def found(self, question: Q, content: bytes) -> Sequence[Found]:
        """What the reply holds, in the order of ``question.values``."""

    def failed(self, question: Q, status: str) -> None:
        """There is no reply to ``question`` this time."""

    def is_unit_silent(self, error: CollectError) -> bool:
        """Whether the unit did not answer, by itself or in the words of its gateway."""

    def is_refused_whole(self, error: CollectError) -> bool:
        """Whether parts of the request may succeed where the whole does not."""

    def split(self, question: Q) -> tuple[Q, Q] | None:
        """Two requests for the values of one; None where that cannot be."""


@dataclass(frozen=True)
class _Outcome(Generic[Q]):
    """What came of one request, and when: the reply's content, or else the error."""

    question: Q
    time_us: int
    content: bytes = b""
    error: CollectError | None = None

    @property
    def status(self) -> str:
        return self.error.status if self.error is not None else GOOD


@dataclass
class _Tick:
    """One tick under way, and whom it has given up on."""

    number: int
    time_us: int
    no_connection: CollectError | None = None
    silent: dict[str, CollectError] = field(default_factory=dict)
    asked: bool = False


class Poller(Generic[Q]):
    """Polls one line. Each interval has its own ticks; one request is in flight."""

    def __init__(
        self,
        connection_id: str,
        line: Line[Q],
        plans: Mapping[float, Iterable[Q]],
        sink: Sink,
        clock: Clock | None = None,
        stagger_ratio: float = 0.0,
    ) -> None:
        """``plans``: the requests by their interval in seconds."""
        self._id = connection_id
        self._line = line
        self._plans = {interval: list(plans[interval]) for interval in sorted(plans)}
        self._sink = sink
        self._clock: Clock = clock or WallClock()
        self._stagger_ratio = stagger_ratio
        self._turn = asyncio.Lock()
        self._schedules: list[Schedule] = []
        self._replies = 0
        questions = [question for plan in self._plans.values() for question in plan]
        self._units = {question.unit: Unit(line.timeout_s) for question in questions}
        self._connection = Unit(
            line.timeout_s, first_rest_s=FIRST_PAUSE_S, longest_rest_s=LONGEST_PAUSE_S
        )
        self._no_connection = ConnectFailed("not connected yet")
        self._indivisible: set[Q] = set()
        self._changes = Changes(log)
        self.health = Health(connection_id)
        self.stats = Stats()

    @property
    def intervals_s(self) -> tuple[float, ...]:
        """The intervals, in seconds. Each sleeps by the clock on its own."""
        return tuple(self._plans)

    async def run(self) -> None:
        """Poll until cancelled."""
        self._turn = asyncio.Lock()
        self._schedules = []
        try:
            async with asyncio.TaskGroup() as tasks:
                for interval_s in self._plans:
                    tasks.create_task(self._run_interval(interval_s))
                await asyncio.Event().wait()
        finally:
            self._line.close()
            self.health.state = "stopped"

    async def _run_interval(self, interval_s: float) -> None:
        schedule = Schedule(interval_s, self._clock, self._stagger_ratio)
        self._schedules.append(schedule)
        plan = self._plans[interval_s]
        while True:
            due = await schedule.next_due()
            await self._record_skipped(plan, schedule, due.missed)
            at_us = schedule.time_us(due.tick)
            self.stats.ticks += 1
            self.stats.lag.add((self._clock.now_us() - at_us) / 1e6)
            await self._poll(plan, _Tick(due.tick, at_us))

    async def _record_skipped(self, plan: list[Q], schedule: Schedule, missed: range) -> None:
        if len(missed) > MOST_SKIPPED_TICKS:
            log.warning(
                "%s: the clock went ahead by %d ticks; they are not recorded one by one",
                self._id,
                len(missed),
            )
            return
        self.stats.skipped_ticks += len(missed)
        values = [value for question in plan for value in question.values]
        for tick in missed:
            at_us = schedule.time_us(tick)
            await self._hand_over(self._without_value(values, at_us, tick, SKIPPED))

    async def _poll(self, plan: list[Q], tick: _Tick) -> None:
        replies_before = self._replies
        # Units that answer come first: a silent one delays only those that are silent like it.
        for question in sorted(plan, key=lambda question: self._units[question.unit].is_suspect):
            outcomes = await self._read(question, tick)
            if len(outcomes) > 1 and all(
                o.error is None or self._line.is_refused_whole(o.error) for o in outcomes
            ):
                self._remember_finer(plan, question, outcomes)
            for outcome in outcomes:
                await self._hand_over(self._readings(outcome, tick))
        answered = self._replies > replies_before
        if tick.asked and not answered:
            # The connection itself may be dead; one that is not is quickly made again.
            async with self._turn:
                self._line.close()
        self._tell_state(tick, answered)

    async def _read(self, question: Q, tick: _Tick) -> list[_Outcome[Q]]:
        """The outcome of ``question``; of its parts where only some of them exist."""
        outcome = await self._ask(question, tick)
        if outcome.error is None or not self._line.is_refused_whole(outcome.error):
            return [outcome]
        halves = None if question in self._indivisible else self._line.split(question)
        if halves is None:
            return [outcome]
        parts = [part for half in halves for part in await self._read(half, tick)]
        if all(part.error and self._line.is_refused_whole(part.error) for part in parts):
            self._indivisible.add(question)  # nothing is gained by the parts
            return [outcome]
        return parts

    def _remember_finer(self, plan: list[Q], question: Q, outcomes: list[_Outcome[Q]]) -> None:
        index = plan.index(question)
        plan[index : index + 1] = [outcome.question for outcome in outcomes]
        log.warning(
            "%s: %s: refused as a whole; from now on read as %s",
            self._id,
            question,
            "; ".join(str(outcome.question) for outcome in outcomes),
        )

    async def _ask(self, question: Q, tick: _Tick) -> _Outcome[Q]:
        error = self._reason_not_to_ask(question.unit, tick)
        if error is not None:
            self.stats.requests[error.status] += 1
            return _Outcome(question, tick.time_us, error=error)
        unit = self._units[question.unit]
        error, content, latency_s = None, b"", 0.0
        async with self._turn:
            try:
                await self._open(tick)
                tick.asked = True
                asked_s = time.monotonic()
                content = await self._line.ask(question, unit.wait_s(self._free_s(question.unit)))
                latency_s = time.monotonic() - asked_s
            except CollectError as caught:
                error = caught
        outcome = _Outcome(question, self._clock.now_us(), content, error)
        self._count(outcome, latency_s)
        if error is None or error is not tick.no_connection:
            self._note_answer(outcome, unit, latency_s, tick)
        self._note_change(outcome, tick)
        return outcome

    def _reason_not_to_ask(self, unit: str, tick: _Tick) -> CollectError | None:
        if tick.no_connection is not None:
            return tick.no_connection
        if unit in tick.silent:
            return tick.silent[unit]
        if self._units[unit].rests(self._clock.now_us()):
            return NotAsked(f"unit {unit} rests")
        return None

    async def _open(self, tick: _Tick) -> None:
        if self._line.is_open:
            return
        if self._connection.rests(self._clock.now_us()):
            tick.no_connection = self._no_connection
            raise self._no_connection
        try:
            await self._line.open()
        except ConnectFailed as error:
            self._connection.was_silent(self._clock.now_us())
            tick.no_connection = self._no_connection = error
            raise
        self._connection.refused()

    def _free_s(self, unit: str) -> float:
        """Time for which no other unit of the line waits, and at most the time-out."""
        if all(other.is_suspect for name, other in self._units.items() if name != unit):
            return self._line.timeout_s
        next_us = min(schedule.next_us for schedule in self._schedules)
        return (next_us - self._clock.now_us()) / 1e6

    def _count(self, outcome: _Outcome[Q], latency_s: float) -> None:
        self.stats.requests[outcome.status] += 1
        self.stats.connects = self._line.connects
        self.stats.late_replies = self._line.late_replies
        if outcome.error is None:
            self.stats.latency.add(latency_s)

    def _note_answer(self, outcome: _Outcome[Q], unit: Unit, latency_s: float, tick: _Tick) -> None:
        """A unit that was silent once is left alone for the rest of the tick."""
        name, error = outcome.question.unit, outcome.error
        if not isinstance(error, ReplyTimeout | ConnectFailed):
            self._replies += 1  # a gateway's word is a reply too: the connection lives
        if error is not None and self._line.is_unit_silent(error):
            tick.silent[name] = error
            unit.was_silent(outcome.time_us)
        elif error is None:
            unit.answered(latency_s)
        else:
            unit.refused()
        for slow, late_s in self._line.take_slow().items():
            self._units[slow].learn(late_s)
        if unit.state == OPEN or self.stats.breakers:
            self.stats.breakers = {name: one.state for name, one in self._units.items()}

    def _note_change(self, outcome: _Outcome[Q], tick: _Tick) -> None:
        """Log what changed: the connection, else the unit, else the request."""
        question, detail = outcome.question, str(outcome.error or "")
        if tick.no_connection is not None:
            self._changes.note(self._id, outcome.status, detail)
            return
        self._changes.note(self._id, GOOD)
        unit = f"{self._id}: unit {question.unit}"
        if outcome.error is not None and self._line.is_unit_silent(outcome.error):
            self._changes.note(unit, outcome.status, detail)
            return
        self._changes.note(unit, GOOD)
        if outcome.error is None and not self._changes.has_trouble:
            return
        meters = ", ".join(value.meter_id for value in question.values)
        self._changes.note(f"{self._id}: {question} of {meters}", outcome.status, detail)

    def _readings(self, outcome: _Outcome[Q], tick: _Tick) -> list[Reading]:
        question = outcome.question
        if outcome.error is not None:
            self._line.failed(question, outcome.status)
            return self._without_value(question.values, tick.time_us, tick.number, outcome.status)
        last_good_us = self.stats.last_good_us
        found = self._line.found(question, outcome.content)
        received_us = time.time_ns() // 1000
        at_us, number, source = outcome.time_us, tick.number, self._id
        readings = []
        for value, (amount, status) in zip(question.values, found, strict=True):
            if status == GOOD:
                last_good_us[value.meter_id] = at_us
            if status != GOOD or self._changes.has_trouble:
                self._changes.note(f"meter {value.meter_id}", status)
            here_us = at_us if amount is not None else tick.time_us
            readings.append(
                Reading(
                    value.meter_id, value.quantity, here_us, amount, status, source,
                    received_us, number,
                )
            )  # fmt: skip
        return readings

    def _without_value(
        self, values: Iterable[Wanted], time_us: int, tick: int, status: str
    ) -> list[Reading]:
        received_us, source = time.time_ns() // 1000, self._id
        return [
            Reading(v.meter_id, v.quantity, time_us, None, status, source, received_us, tick)
            for v in values
        ]

    async def _hand_over(self, readings: list[Reading]) -> None:
        health = self.health
        if not self._sink.offer(readings):
            state, detail = health.state, health.detail
            await offer_until_taken(self._sink, readings, health)
            health.state, health.detail = state, detail
        good = sum(reading.status == GOOD for reading in readings)
        health.good += good
        health.missing += len(readings) - good
        if good:
            health.last_good_us = max(r.time_us for r in readings if r.status == GOOD)

    def _tell_state(self, tick: _Tick, answered: bool) -> None:
        health = self.health
        silent = ", ".join(name for name, unit in self._units.items() if unit.is_silent)
        detail = f"no reply from unit {silent}" if silent else ""
        if tick.no_connection is not None:
            health.state, health.detail = "down", str(tick.no_connection)
        elif answered:
            health.state, health.detail = "up", detail
        elif tick.asked:
            health.state, health.detail = "down", detail
