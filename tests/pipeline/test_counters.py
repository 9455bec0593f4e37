"""The state machine by hand-worked cases: a reading a minute unless said, rated at 2 a minute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from pipeline.counters import Walk, walk

MINUTE_US = 60_000_000
RATED = 2 / MINUTE_US
UNKNOWN: dict[str, Any] = {"rate_per_us": None}


@dataclass(frozen=True)
class Case:
    """``gone``: readings not believed; ``add``; ``codes`` by reading: all but frozen are cuts."""

    name: str
    values: Sequence[float]
    gone: Sequence[int] = ()
    add: dict[int, float] = field(default_factory=dict)
    codes: dict[int, str] = field(default_factory=dict)
    events: Sequence[str] = ()
    limits: dict[str, Any] = field(default_factory=dict)
    minutes: Sequence[float] | None = None


def rising(first: float, count: int, step: float = 1.0) -> list[float]:
    return [first + step * i for i in range(count)]


def walked(values: Sequence[float], minutes: Sequence[float] | None = None, **limits: Any) -> Walk:
    times = range(len(values)) if minutes is None else minutes
    settings = {"window_us": 60 * MINUTE_US, "max_gap_us": 3 * MINUTE_US, "rate_per_us": RATED}
    return walk(
        np.array(times, np.float64).astype(np.int64) * MINUTE_US,
        np.array(values, np.float64),
        **{**settings, **limits},
    )


MODULUS = {"modulus": 1000.0}
OVERFLOWING = {"modulus": 65_536.0, "rate_per_us": 5000 / MINUTE_US}
# Steps that are booked over the time before them.
LAID = ("counter.frozen", "counter.sparse", "counter.gap")
CASES = [
    Case("nothing odd", rising(100, 20)),
    Case("one reading", [100.0]),
    Case("standing still", [7.0] * 20),
    Case("a step at rated power", [0, 2, 4, 6]),
    Case(
        "a dip of one reading",
        [*rising(100, 9), 0, *rising(110, 9)], [9], events=["counter.dip"],
    ),
    Case(
        "a dip of two hours",
        [*rising(1000, 30), *[3.0] * 120, *rising(1150, 30)], range(30, 150),
        events=["counter.dip"], limits={"window_us": 180 * MINUTE_US},
    ),
    Case(
        "a dip that climbs, back by more than rated power",
        [*rising(1000, 30), *rising(0, 10), *rising(1040, 30)], range(30, 40),
        events=["counter.dip"],
    ),
    Case(
        "a dip without a rated power",
        [*rising(1000, 30), 0, 0, *rising(1032, 30)], [30, 31],
        events=["counter.dip"], limits=UNKNOWN,
    ),
    Case(
        "low for longer than a dip may last",
        [*rising(1000, 30), *[3.0] * 70, *rising(1100, 30)], range(30, 100),
        codes={100: "counter.fall_ambiguous"}, events=["counter.fall_ambiguous"],
    ),
    Case(
        "low, and back by ordinary steps",
        [5, 0, 3, 6, 9], [1, 2], codes={3: "counter.fall_ambiguous"},
        events=["counter.fall_ambiguous"], limits={"rate_per_us": 6 / MINUTE_US},
    ),
    Case("a spike of one reading", [*rising(100, 9), 5108, *rising(110, 9)], [9],
         events=["counter.spike"]),
    Case(
        "a spike of one reading without a rated power",
        [*rising(100, 9), 5108, *rising(110, 9)], [9], events=["counter.spike"], limits=UNKNOWN,
    ),
    Case(
        "a spike of several readings",
        [*rising(100, 9), *[5108.0] * 5, *rising(114, 9)], range(9, 14), events=["counter.spike"],
    ),
    Case("a spike before the last reading", [*rising(100, 9), 5108, 110], [9],
         events=["counter.spike"]),
    Case(
        "a rollover",
        [*rising(995, 5), *rising(0, 9)], add={5: 1000.0}, events=["counter.rollover"],
        limits=MODULUS,
    ),
    Case(
        "a rollover inside a gap",
        [*rising(900, 9), *rising(40, 9)], add={9: 1000.0}, events=["counter.rollover"],
        limits=MODULUS, minutes=[*range(9), *range(100, 109)],
    ),
    Case(
        "a rollover after standing still near the modulus",
        [*rising(990, 5), *[995.0] * 9, *rising(5, 9)], [*range(6, 14)], add={14: 1000.0},
        codes={14: "counter.frozen"}, events=["counter.rollover", "counter.frozen"],
        limits=MODULUS,
    ),
    Case(
        "an outage that could hide many overflows, and comes out higher",
        [*rising(100, 9), *rising(500, 9)], codes={9: "counter.rollover_ambiguous"},
        events=["counter.rollover_ambiguous"], limits=OVERFLOWING,
        minutes=[*range(9), *range(100, 109)],
    ),
    Case(
        "an outage that could hide many overflows, and comes out lower",
        [*rising(60_000, 9), *rising(500, 9)], codes={9: "counter.rollover_ambiguous"},
        events=["counter.rollover_ambiguous"], limits=OVERFLOWING,
        minutes=[*range(9), *range(100, 109)],
    ),
    Case(
        "a fall that no overflow explains",
        [*rising(500, 9), *rising(0, 9)], codes={9: "counter.reset"}, events=["counter.reset"],
        limits=MODULUS,
    ),
    Case("a modulus without a rated power is of no use",
         [*rising(995, 5), *rising(0, 9)], codes={5: "counter.reset"},
         events=["counter.reset"], limits={**UNKNOWN, **MODULUS}),
    Case("reset to zero", [*rising(500, 9), *rising(0, 9)], codes={9: "counter.reset"},
         events=["counter.reset"]),
    Case("the shortest reset", [100, 0, 1, 2], codes={1: "counter.reset"},
         events=["counter.reset"]),
    Case(
        "replaced by a used meter with a lower value",
        [*rising(9000, 9), *rising(4321, 9)], codes={9: "counter.reset"},
        events=["counter.reset"],
    ),
    Case(
        "replaced by a used meter with a higher value",
        [*rising(500, 9), *rising(8000, 80)], codes={9: "counter.jump"}, events=["counter.jump"],
    ),
    Case("a jump without a rated power", [*rising(500, 9), *rising(8000, 80)],
         codes={9: "counter.jump"}, events=["counter.jump"], limits=UNKNOWN),
    Case("fallen and low ever since", [100, 0, 0, 0], [1, 2, 3],
         events=["counter.fall_unsettled"]),
    Case("risen too fast just now", [*rising(100, 9), 5000, 5001], [9, 10],
         events=["counter.rise_unsettled"]),
    Case(
        "stood still for an hour, then caught up",
        [*rising(100, 20), *[119.0] * 60, *rising(180, 20)], range(20, 80),
        codes={80: "counter.frozen"}, events=["counter.frozen"],
    ),
    Case(
        "stood still, then more than rated power can have caught up",
        [*rising(100, 20), *[119.0] * 60, *rising(400, 80)], range(20, 80),
        codes={80: "counter.jump"}, events=["counter.jump"],
    ),
    Case(
        "stood still with a dip in between, then caught up",
        [*rising(100, 20), *[119.0] * 30, 0, *[119.0] * 29, *rising(180, 20)], range(20, 80),
        codes={80: "counter.frozen"}, events=["counter.dip", "counter.frozen"],
    ),
    Case(
        "stood still, and one spike that standing would explain",
        [*rising(100, 20), *[119.0] * 30, 170, *[119.0] * 9, *rising(120, 20)], [50],
        events=["counter.spike"],
    ),
    Case("an idle counter starts again", [*rising(100, 20), *[119.0] * 60, *rising(120, 20)]),
    Case(
        "a coarse register", np.repeat(rising(0, 9, 10.0), 7).tolist(),
    ),
    Case("a coarse register's first step comes soon", [50, 60, *[60.0] * 8, *[70.0] * 9],
         limits={"rate_per_us": 1.5 / MINUTE_US}),
    Case(
        "jitter of the last digit",
        [*rising(1e9, 9), *[1e9 + 8] * 4, 1e9 + 8 - 1e-4, *rising(1e9 + 9, 9)],
        [13],
        events=["counter.dip"],
    ),
    Case(
        "one reading high or the next one low",
        [*rising(1e9, 9), 1e9 + 8 - 1e-4, *rising(1e9 + 9, 9)],
        [8, 9],
        events=["counter.spike"],
    ),
    Case("first reading 0 before the lifetime register",
         [0, *rising(50_000, 90)], codes={1: "counter.jump"}, events=["counter.jump"]),
    Case("stood still, caught up, then fell to between",
         [*rising(100, 40), *[139.0] * 20, *rising(170, 9), *rising(150, 20)], range(60, 69),
         codes={69: "counter.fall_ambiguous"}, events=["counter.fall_ambiguous"]),
    Case("stood still, caught up, then a dip to between",
         [*rising(100, 40), *[139.0] * 20, *rising(170, 9), 165, *rising(180, 20)],
         [*range(40, 60), 69],
         codes={60: "counter.frozen"}, events=["counter.dip", "counter.frozen"]),
    Case("stood still, rose, and fell to where it stood",
         [*rising(100, 40), *[139.0] * 20, *[170.0] * 9, *rising(139, 20)], range(60, 69),
         events=["counter.spike"]),
    Case("the only rise there is, by more than all the time allows", [*[30.0] * 9, *[60.0] * 9],
         range(1, 9), codes={9: "counter.jump"}, events=["counter.jump"]),
    Case("two rises in a row by more than rated power",
         [*rising(100, 9), 5000, *rising(9000, 20)], [9], codes={10: "counter.jump"},
         events=["counter.spike", "counter.jump"]),
    Case("first reading 0, and no rated power", [0, *rising(50_000, 90)],
         codes={1: "counter.jump"}, events=["counter.jump"], limits=UNKNOWN),
    Case("first reading 0, a register that stands, and a spike",
         [0, *[5e4] * 5, 9e6, 9e6, *[5e4] * 8], [6, 7], codes={1: "counter.jump"},
         events=["counter.jump", "counter.spike"], limits=UNKNOWN),
    Case("a new counter begins with 0", rising(0, 20), limits=UNKNOWN),
    Case(
        "high readings that climb by more than the register in all",
        [*rising(100, 9), *rising(5000, 20), *rising(110, 9)],
        codes={9: "counter.jump", 29: "counter.reset"}, events=["counter.jump", "counter.reset"],
    ),
    Case(
        "the same without a rated power",
        [*rising(100, 9), *rising(5000, 20), *rising(110, 9)],
        codes={9: "counter.jump", 29: "counter.reset"}, events=["counter.jump", "counter.reset"],
        limits=UNKNOWN,
    ),
    Case(
        "a first 0, and a rollover soon after",
        [0, *rising(960, 40), *rising(0, 20)], add={41: 1000.0}, codes={1: "counter.jump"},
        events=["counter.jump", "counter.rollover"], limits=MODULUS,
    ),
    Case(
        "a first 0, and a dip longer after than it lasts",
        [0, *rising(5000, 12), *[0.0] * 5, *rising(5012, 9)], range(13, 18),
        codes={1: "counter.jump"}, events=["counter.jump", "counter.dip"],
    ),
    Case(
        "low readings that climb by more than the register in all",
        [*rising(1000, 30), *rising(0, 20), *rising(1032, 30)], range(30, 50),
        codes={50: "counter.fall_ambiguous"}, events=["counter.fall_ambiguous"],
    ),
    Case(
        "a new register that climbs, dips itself, and comes back above the old level",
        [*rising(1000, 30), *rising(800, 229), 10, *rising(1030, 30)], range(30, 260),
        codes={260: "counter.fall_ambiguous"}, events=["counter.fall_ambiguous"],
        limits={"window_us": 600 * MINUTE_US},
    ),
    Case(
        "low readings that climb as no register does",
        [*rising(1000, 30), 0, 500, *rising(1032, 30)], [30, 31], events=["counter.dip"],
    ),
    Case(
        "stood still for one reading, then more than rated power",
        [*rising(100, 20, 1.5), 128.5, *rising(131.5, 20, 1.5)], [20],
        codes={21: "counter.sparse"}, events=["counter.stepped"],
    ),
    Case(
        "stood still, also unwatched, for twice as long as it often does",
        [*np.repeat(rising(0, 11, 9.0), 7), 90, *np.repeat(rising(108, 4, 9.0), 7)], range(71, 78),
        codes={78: "counter.gap"}, events=["counter.stepped"],
        minutes=[*range(77), *range(84, 113)], limits={"rate_per_us": 1.3 / MINUTE_US},
    ),
    Case(
        "the step of a coarse register, soon after one that came late",
        [*[0.0] * 8, *[10.0] * 3, *[20.0] * 6, *[30.0] * 6],
    ),
    Case(
        "a coarse register that passes two of its steps at once",
        [*np.cumsum([1.5, 0, 1.5, 1.5, 0, 1.5, 0, 1.5, 1.5, 0, 3, 0, 1.5, 0])],
    ),
    Case(
        "a start after standing by, without a rated power",
        [*rising(100, 40, 0.01), *rising(120, 9, 20.0)], limits=UNKNOWN,
    ),
    Case(
        "one short run among standing by, without a rated power",
        [*rising(100, 250, 0.01), *rising(104, 250, 0.01)], limits=UNKNOWN,
    ),
    Case(
        "an outage that a lot passed in, without a rated power",
        [*rising(100, 20), *rising(9000, 20)], limits=UNKNOWN,
        minutes=[*range(20), *range(300, 320)],
    ),
    Case(
        "stood still, then caught up, without a rated power",
        [*rising(100, 20), *[119.0] * 60, *rising(3119, 20)], limits=UNKNOWN,
    ),
    Case(
        "two jumps soon after one another, without a rated power",
        [*rising(100, 9), *rising(50_000, 5), *rising(60_000, 20)],
        codes={9: "counter.jump", 14: "counter.jump"}, events=["counter.jump"] * 2, limits=UNKNOWN,
    ),
    Case(
        "a jump before a higher one, without a rated power",
        [*rising(100, 9), *rising(9000, 9), *rising(60_000, 20)],
        codes={9: "counter.jump", 18: "counter.jump"}, events=["counter.jump"] * 2, limits=UNKNOWN,
    ),
    Case(
        "three short runs among standing by, without a rated power",
        [*rising(100, 50, 0.01), *rising(110, 50, 0.01), *rising(120, 50, 0.01),
         *rising(130, 50, 0.01)], limits=UNKNOWN,
    ),
    Case(
        "a spike of several readings without a rated power",
        [*rising(100, 9), *[5108.0] * 5, *rising(114, 9)], range(9, 14),
        events=["counter.spike"], limits=UNKNOWN,
    ),
    Case(
        "risen much just now, without a rated power",
        [*rising(100, 9), 5000, 5001], [9, 10], events=["counter.rise_unsettled"], limits=UNKNOWN,
    ),
    Case("first reading huge", [9e9, *rising(500, 20)], codes={1: "counter.reset"},
         events=["counter.reset"]),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_what_is_believed_and_what_is_booked(case: Case) -> None:
    made = walked(case.values, case.minutes, **case.limits)
    assert np.flatnonzero(~made.keep).tolist() == list(case.gone)
    assert {int(i): made.add[i] for i in np.flatnonzero(made.add)} == case.add
    assert made.codes == case.codes
    cuts = [i for i, code in case.codes.items() if code not in LAID]
    assert np.flatnonzero(made.cut).tolist() == cuts
    assert [event.code for event in made.events] == list(case.events)


@pytest.mark.parametrize(
    ("values", "limits", "settled"),
    [
        (rising(100, 20), {}, range(1, 21)),
        # What the fall was cannot be told before a dip would have ended.
        ([*rising(100, 9), *rising(0, 30)], {}, range(1, 10)),
        ([*rising(100, 9), *rising(0, 70)], {}, [*range(1, 10), *range(71, 80)]),
        # One step up may be a blip.
        ([*rising(100, 9), *[0.0] * 70, 1], {}, range(1, 10)),
        ([*rising(100, 9), *[0.0] * 70, 1, 2], {}, [*range(1, 10), 81]),
        # A spike has gone by as soon as the line goes on; a jump once no spike lasts so long.
        ([*rising(100, 9), 5108, *rising(110, 9)], {}, [*range(1, 10), *range(14, 20)]),
        ([*rising(500, 9), *rising(8000, 30)], {}, range(1, 10)),
        ([*rising(500, 9), *rising(8000, 70)], {}, [*range(1, 10), *range(71, 80)]),
        # Held back.
        ([*rising(100, 9), 0, 0, 0], {}, range(1, 10)),
        ([*rising(100, 9), 5000, 5001], {}, range(1, 10)),
        # Nothing between the first reading that stood still and the catch-up.
        (
            [*rising(100, 20), *[119.0] * 60, *rising(180, 20)],
            {},
            [*range(1, 21), *range(81, 101)],
        ),
        # The first step of a counter without a rated power is judged by 256 that follow.
        ([0, *rising(50_000, 90)], UNKNOWN, [1]),
        ([0, *rising(50_000, 300)], UNKNOWN, [1, *range(258, 302)]),
    ],
)
def test_where_nothing_is_open(
    values: Sequence[float], limits: dict[str, Any], settled: Sequence[int]
) -> None:
    made = walked(values, **limits)
    every = np.arange(1, len(values) + 1)
    assert every[made.settled(every)].tolist() == list(settled)
