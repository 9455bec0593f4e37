"""Polls one line, whatever protocol is spoken on it.

Each tick of each interval yields exactly one reading of every value: a good one, or the reason why
there is none (`collectors.lines.line` lists them).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, NamedTuple

from collectors.base import GOOD, Clock, Health, Sink, WallClock, offer_until_taken
from collectors.changes import Changes
from collectors.lines.line import SKIPPED, Line, Q
from collectors.lines.readings import Readings
from collectors.lines.schedule import Schedule
from collectors.lines.units import OPEN, Unit
from collectors.stats import Stats
from config.errors import CollectError, ConnectFailed, NotAsked, ReplyTimeout
from config.tables import Reading

log = logging.getLogger("kgce.collectors.lines")

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 10.0  # before a new attempt to connect
_MARGIN_S = 0.02  # before the next tick, for a wait that nobody shall notice
MOST_SKIPPED_TICKS = 10_000  # more at once is a step of the clock, not a slow device


class _Outcome(NamedTuple, Generic[Q]):
    """What came of one request, and when: the reply's content, or else the error."""

    question: Q
    time_us: int
    content: bytes = b""
    error: CollectError | None = None


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
        self._no_connection: CollectError = ConnectFailed("not connected yet")
        self._indivisible: set[Q] = set()
        self._readings_of: dict[Q, Readings] = {}
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
            if due.missed:
                await self._record_skipped(plan, schedule, due.missed)
            due_us = schedule.time_us(due.tick)
            self.stats.ticks += 1
            self.stats.lag.add((self._clock.now_us() - due_us) / 1e6)
            await self._poll(plan, _Tick(due.tick, due_us))

    async def _record_skipped(self, plan: list[Q], schedule: Schedule, missed: range) -> None:
        if len(missed) > MOST_SKIPPED_TICKS:
            log.warning(
                "%s: the clock went ahead by %d ticks; they are not recorded one by one",
                self._id,
                len(missed),
            )
            return
        self.stats.skipped_ticks += len(missed)
        for tick in missed:
            due_us = schedule.time_us(tick)
            for question in plan:
                readings = self._readings(question).without_value(SKIPPED, due_us, tick)
                await self._hand_over(readings, good=0)

    async def _poll(self, plan: list[Q], tick: _Tick) -> None:
        replies_before = self._replies
        # Units that answer come first: a silent one delays only those that are silent like it.
        for question in sorted(plan, key=self._is_suspect):
            outcome = await self._ask(question, tick)
            if outcome.error is None or not self._line.is_refused_whole(outcome.error):
                await self._conclude(outcome, tick)
                continue
            outcomes = await self._in_parts(outcome, tick)
            if len(outcomes) > 1 and all(self._is_answer(part) for part in outcomes):
                self._remember_finer(plan, question, outcomes)
            for part in outcomes:
                await self._conclude(part, tick)
        answered = self._replies > replies_before
        if tick.asked and not answered:
            # The connection itself may be dead; one that is not is quickly made again.
            async with self._turn:
                self._line.close()
        self._tell_state(tick, answered)

    def _is_suspect(self, question: Q) -> bool:
        return self._units[question.unit].is_suspect

    def _is_answer(self, outcome: _Outcome[Q]) -> bool:
        return outcome.error is None or self._line.is_refused_whole(outcome.error)

    async def _in_parts(self, whole: _Outcome[Q], tick: _Tick) -> list[_Outcome[Q]]:
        """The outcomes of the parts of a request that was refused, where some of them exist."""
        question = whole.question
        halves = None if question in self._indivisible else self._line.split(question)
        if halves is None:
            return [whole]
        parts: list[_Outcome[Q]] = []
        for half in halves:
            outcome = await self._ask(half, tick)
            refused = outcome.error is not None and self._line.is_refused_whole(outcome.error)
            parts += await self._in_parts(outcome, tick) if refused else [outcome]
        if all(part.error and self._line.is_refused_whole(part.error) for part in parts):
            self._indivisible.add(question)  # nothing is gained by the parts
            return [whole]
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
        unit = self._units[question.unit]
        error = self._reason_not_to_ask(question.unit, unit, tick)
        if error is not None:
            self.stats.requests[error.status] += 1
            return _Outcome(question, tick.time_us, error=error)
        content, latency_s = b"", 0.0
        async with self._turn:
            try:
                if not self._line.is_open:
                    await self._open(tick)
                tick.asked = True
                asked_s = time.monotonic()
                alone = all(one.is_suspect for one in self._units.values() if one is not unit)
                wait_s = unit.wait_s(self._free_s, is_alone=alone)
                content = await self._line.ask(question, wait_s)
                latency_s = time.monotonic() - asked_s
            except CollectError as caught:
                error = caught
        outcome = _Outcome(question, self._clock.now_us(), content, error)
        self._note(outcome, unit, latency_s, tick)
        return outcome

    def _reason_not_to_ask(self, name: str, unit: Unit, tick: _Tick) -> CollectError | None:
        if tick.no_connection is not None:
            return tick.no_connection
        if name in tick.silent:
            return tick.silent[name]
        if unit.rests(self._clock.now_us()):
            return NotAsked(f"unit {name} rests")
        return None

    async def _open(self, tick: _Tick) -> None:
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

    def _free_s(self) -> float:
        """Time until the next tick of any interval is due."""
        next_us = min(schedule.next_us for schedule in self._schedules)
        return (next_us - self._clock.now_us()) / 1e6 - _MARGIN_S

    def _note(self, outcome: _Outcome[Q], unit: Unit, latency_s: float, tick: _Tick) -> None:
        """Count an outcome, learn from it, and log what changed."""
        error, stats = outcome.error, self.stats
        stats.requests[GOOD if error is None else error.status] += 1
        stats.connects = self._line.connects
        if stats.late_replies != self._line.late_replies:
            stats.late_replies = self._line.late_replies
            for slow, late_s in self._line.take_slow().items():
                self._units[slow].learn(late_s)
        if error is None:
            stats.latency.add(latency_s)
            self._replies += 1
            unit.answered(latency_s)
        elif error is not tick.no_connection:
            self._note_trouble(outcome.question.unit, error, unit, outcome.time_us, tick)
        if unit.state == OPEN or stats.breakers:
            stats.breakers = {name: one.state for name, one in self._units.items()}
        if error is not None or self._changes.has_trouble:
            self._note_change(outcome, tick)

    def _note_trouble(
        self, name: str, error: CollectError, unit: Unit, now_us: int, tick: _Tick
    ) -> None:
        """A unit that was silent once is left alone for the rest of the tick."""
        if not isinstance(error, ReplyTimeout | ConnectFailed):
            self._replies += 1  # a gateway's word is a reply too: the connection lives
        if self._line.is_unit_silent(error):
            tick.silent[name] = error
            unit.was_silent(now_us)
        else:
            unit.refused()

    def _note_change(self, outcome: _Outcome[Q], tick: _Tick) -> None:
        """Log what changed: the connection, else the unit, else the request."""
        question, error = outcome.question, outcome.error
        status, detail = (GOOD, "") if error is None else (error.status, str(error))
        if tick.no_connection is not None:
            self._changes.note(self._id, status, detail)
            return
        self._changes.note(self._id, GOOD)
        unit = f"{self._id}: unit {question.unit}"
        if error is not None and self._line.is_unit_silent(error):
            self._changes.note(unit, status, detail)
            return
        self._changes.note(unit, GOOD)
        meters = ", ".join(value.meter_id for value in question.values)
        whose = f" of {meters}" if meters else ""
        self._changes.note(f"{self._id}: {question}{whose}", status, detail)

    def _readings(self, question: Q) -> Readings:
        made = self._readings_of.get(question)
        if made is None:
            made = self._readings_of[question] = Readings(question.values, self._id)
        return made

    async def _conclude(self, outcome: _Outcome[Q], tick: _Tick) -> None:
        """Hand over what a request gave."""
        question, time_us, content, error = outcome
        readings = self._readings(question)
        if error is not None:
            self._line.failed(question, error.status)
            made = readings.without_value(error.status, tick.time_us, tick.number)
            await self._hand_over(made, good=0)
            return
        found = self._line.found(question, content)
        if found.statuses is None and not self._changes.has_trouble:
            made = readings.good(found.values, time_us, tick.number)
            self.stats.last_good_us.update(dict.fromkeys(readings.meter_ids, time_us))
            await self._hand_over(made, good=len(made))
            return
        made = readings.mixed(found, time_us, tick.time_us, tick.number)
        for reading in made:
            self._changes.note(f"meter {reading.meter_id}", reading.status)
        good = [reading.meter_id for reading in made if reading.status == GOOD]
        self.stats.last_good_us.update(dict.fromkeys(good, time_us))
        await self._hand_over(made, good=len(good))

    async def _hand_over(self, readings: list[Reading], good: int) -> None:
        health = self.health
        if not self._sink.offer(readings):
            state, detail = health.state, health.detail
            await offer_until_taken(self._sink, readings, health)
            health.state, health.detail = state, detail
        health.good += good
        health.missing += len(readings) - good
        if good:
            health.last_good_us = (
                readings[0].time_us
                if good == len(readings)
                else max(reading.time_us for reading in readings if reading.status == GOOD)
            )

    def _tell_state(self, tick: _Tick, answered: bool) -> None:
        health = self.health
        silent = [name for name, unit in self._units.items() if unit.is_silent]
        detail = f"no reply from unit {', '.join(silent)}" if silent else ""
        if tick.no_connection is not None:
            health.state, health.detail = "down", str(tick.no_connection)
        elif answered:
            health.state, health.detail = "up", detail
        elif tick.asked:
            health.state, health.detail = "down", detail
