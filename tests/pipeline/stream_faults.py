"""What meters show of a flow: true curves of counters, gauges and amounts, and the faults in them.

Each kind gives what is shown, (time_us, value), and the knots of the truth, (time_us, energy).
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
GAP_FACTOR = 3
OVERLOAD = 1.2

# What can happen at one place of a stream: fault -> the most readings concerned.
PLACED: dict[str, dict[str, int]] = {
    "counter": {
        "dip": 8, "zeros": 8, "low and climbing": 8, "spike": 8, "outage": 40, "frozen": 20,
        "reset": 1, "reset without climb": 12, "reset in outage": 12, "replaced by lower": 1,
        "replaced by higher": 1, "lost": 1,
    },
    "gauge": {"outage": 40, "spike": 8, "lost": 1},
    "amount": {"outage": 40, "spike": 8, "lost": 1, "sent again": 1},
}  # fmt: skip
FIRST = ("first zero", "first huge")
LOW = ("dip", "zeros", "low and climbing")
LOST = ("outage", "lost", "reset in outage")
# Readings of these say nothing true.
FALSE = (*LOW, "spike", "outage", "lost")
RENEWED = ("reset", "reset without climb", "reset in outage", "replaced by lower")
OTHER_REGISTER = (*RENEWED, "replaced by higher")

Rows = list[tuple[int, float]]


@dataclass
class Plan:
    """What was drawn of a stream, before there are values."""

    kind: str
    interval_us: int
    times: list[int]
    rated_per_h: float
    rate_known: bool
    modulus: float | None
    quantum: float
    places: list[tuple[str, int, int]]  # fault, first reading, end
    chance: random.Random
    decidable: bool = True

    @property
    def most(self) -> float:
        """The most that can pass from one reading to the next."""
        return self.rated_per_h * self.interval_us / HOUR_US

    def watched(self, a: int, b: int) -> bool:
        return self.times[b] - self.times[a] <= GAP_FACTOR * self.interval_us


def _shares(plan: Plan) -> list[float]:
    """Load at each reading, as a share of the rated power."""
    chance, n = plan.chance, len(plan.times)
    manner = chance.choice(("steady", "noisy", "on and off"))
    if manner == "steady":
        shares = [chance.uniform(0.5, 0.6) for _ in range(n)]
    elif manner == "noisy":
        shares = [chance.uniform(0, 0.95) for _ in range(n)]
    else:
        shares = [chance.choice((0.0, 0.0, 0.8)) for _ in range(n)]
    for fault, a, b in plan.places:
        if fault == "reset without climb":
            shares[a + 1 : b + 1] = [0.0] * (b - a)
        if fault == "frozen":  # the rated power must tell that it stood still
            shares[a : b + 1] = [0.9] * (b + 1 - a)
    return shares


def _hidden(plan: Plan) -> set[int]:
    """Readings that are false or lost between two that are near enough to run straight."""
    return {
        i
        for fault, a, b in plan.places
        if fault in FALSE and plan.watched(a - 1, b)
        for i in range(a, b)
    }


def amounts(plan: Plan) -> tuple[Rows, Rows]:
    """What flowed in the interval before each stamp."""
    shares, total = _shares(plan), 0.0
    knots, shown = [(plan.times[0] - plan.interval_us, 0.0)], []
    for t, share in zip(plan.times, shares, strict=True):
        total += share * plan.most
        knots.append((t, total))
        shown.append((t, share * plan.most))
    for fault, a, b in plan.places:
        if fault == "spike":
            shown[a:b] = [(t, 50 * plan.most) for t, _ in shown[a:b]]
        if fault == "sent again":  # or a clock was set: who knows
            shown.append((shown[a][0] + plan.interval_us * 2 // 5, shown[a][1]))
            plan.decidable = False
    return shown, knots


def gauge(plan: Plan) -> tuple[Rows, Rows]:
    """Samples, and the trapezoids' sum at each of them and at each midnight."""
    sign = plan.chance.choice((1, 1, 1, -1))  # -1: it flows both ways
    powers = [
        plan.rated_per_h * share * (sign if i % 2 else 1) for i, share in enumerate(_shares(plan))
    ]
    shown = list(zip(plan.times, powers, strict=True))
    hidden = _hidden(plan)
    line = [row for i, row in enumerate(shown) if i not in hidden]
    days = range(line[0][0] // DAY_US + 1, line[-1][0] // DAY_US + 1)
    times = sorted({t for t, _ in line} | {day * DAY_US for day in days})
    at = np.interp(times, *zip(*line, strict=True))
    steps = (at[1:] + at[:-1]) / 2 * np.diff(times) / HOUR_US
    knots = list(zip(times, [0.0, *np.cumsum(steps).tolist()], strict=True))
    for fault, a, b in plan.places:
        if fault == "spike":
            shown[a:b] = [(t, 50 * plan.rated_per_h) for t, _ in shown[a:b]]
    return shown, knots


def counter(plan: Plan) -> tuple[Rows, Rows]:
    """A register, which other registers follow; coarse, or of few digits, where the plan says."""
    chance, n, times = plan.chance, len(plan.times), plan.times
    shares, totals = _shares(plan), [0.0]
    for i in range(1, n):
        totals.append(
            totals[-1] + shares[i] * plan.rated_per_h * (times[i] - times[i - 1]) / HOUR_US
        )
    hidden = _hidden(plan)
    seen = [i for i in range(n) if i not in hidden]
    totals = np.interp(times, [times[i] for i in seen], [totals[i] for i in seen]).tolist()
    start = chance.choice((0.0, 0.5, 20.0, 1000.0)) * plan.most * chance.random()
    if plan.quantum and any(fault in (*RENEWED, *LOW) for fault, _, _ in plan.places):
        start += 100 * plan.quantum  # else nothing would be seen
    if any(fault == "first zero" for fault, _, _ in plan.places):
        start += 1000 * plan.most
    if plan.modulus is not None:
        start = plan.modulus * chance.random() - (totals[-1] / 2 if chance.random() < 0.5 else 0.0)
        start %= plan.modulus
    register = [start + total for total in totals]
    for fault, a, b in plan.places:
        _renew(plan, register, fault, a, b)
    if plan.quantum:
        register = [v // plan.quantum * plan.quantum for v in register]
    if plan.modulus is not None:
        register = [v % plan.modulus for v in register]
    shown = list(register)
    for fault, a, b in plan.places:
        _falsify(plan, shown, fault, a, b)
        _decide(plan, shown, fault, a, b)
    return list(zip(times, shown, strict=True)), list(zip(times, totals, strict=True))


def _renew(plan: Plan, register: list[float], fault: str, a: int, b: int) -> None:
    """Let another register, or the same from zero, show what passes from reading ``a`` on.

    Not one that shows no less at once than the old one did, and no more than a load could: without
    a record nobody can see it, and nothing can be said of it.
    """
    before, at = register[a - 1], register[a - 1]
    if fault == "reset in outage":
        at = plan.chance.uniform(register[a - 1], register[b])
    elif fault in RENEWED:
        at = plan.chance.uniform(register[a - 1], register[a])
    if fault == "replaced by lower":
        change = plan.chance.uniform(0, 0.9) * before - at
    elif fault == "replaced by higher":
        change = plan.most * plan.chance.uniform(1000, 100_000)
    elif fault in RENEWED:
        change = -at
    else:
        return
    unseen = fault in RENEWED and fault not in LOST and register[a] + change >= before
    if not unseen:
        register[a:] = [v + change for v in register[a:]]


def _falsify(plan: Plan, shown: list[float], fault: str, a: int, b: int) -> None:
    level = shown[a - 1]
    if fault == "dip":
        shown[a:b] = [level * plan.chance.choice((0.0, 0.25, 0.9))] * (b - a)
    elif fault in ("zeros", "first zero"):
        shown[a:b] = [0.0] * (b - a)
    elif fault == "low and climbing":
        shown[a:b] = [v * 0.25 for v in shown[a:b]]
    elif fault == "frozen":
        shown[a:b] = [level] * (b - a)
    elif fault == "spike":
        high = plan.most * plan.chance.uniform(1000, 100_000)
        shown[a:b] = [v + high for v in shown[a:b]]
    elif fault == "first huge":
        shown[0] += plan.most * 1e6


def _decide(plan: Plan, shown: list[float], fault: str, a: int, b: int) -> None:
    """Whether this fault is told from all others that the readings may stand for."""
    if fault in FIRST:
        plan.decidable &= abs(shown[1] - shown[0]) > _most(plan, 0, 1)
        # Low at the first reading and again: which of the levels is the register's?
        plan.decidable &= not any(other in LOW for other, _, _ in plan.places)
        # Lower again by a rollover or a reset: it was never up, or the first reading was false.
        plan.decidable &= min(shown[1:]) == shown[1]
        return
    after = b if fault == "reset in outage" else a
    level, step = shown[a - 1], shown[after] - shown[a - 1]
    if fault == "replaced by higher" and not plan.rate_known:
        plan.decidable = False  # a load that nobody has bounded
    if fault == "reset in outage" and step >= 0:
        plan.decidable = False  # it has climbed past the old level, unseen
    if fault in LOW and level - min(shown[a:b]) <= _most(plan, a - 1, b):
        plan.decidable = False  # a new register can have climbed as high
    if plan.modulus is None:
        return
    if sum(other in OTHER_REGISTER for other, _, _ in plan.places) > 1:
        plan.decidable = False  # the second one can bring back the level of the first
    if fault in LOW and shown[b] < level:
        plan.decidable = False  # it rolled over meanwhile
    if fault == "frozen" and _most(plan, a - 1, b) >= plan.modulus:
        plan.decidable = False  # it rolled over, who knows how often
    if fault in (*LOW, *OTHER_REGISTER) and step % plan.modulus <= max(
        _most(plan, a - 1, after), 0.1 * plan.modulus
    ):
        plan.decidable = False  # as near to the modulus as a rollover


def _most(plan: Plan, a: int, b: int) -> float:
    """What rated power allows between two readings, and one step of the register."""
    hours = (plan.times[b] - plan.times[a]) / HOUR_US
    return OVERLOAD * plan.rated_per_h * hours + plan.quantum
