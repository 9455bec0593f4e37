"""Random counters with every fault, for tests of the state machine alone; all in whole numbers of
microseconds, drawn from one seed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from pipeline.counters import Floats, Ints

FAULTS = (
    "dip", "low and climbing", "spike", "reset", "reset in outage", "replaced by higher", "jitter",
    "outage", "frozen", "frozen and spike", "first zero", "noise", "zero",
)  # fmt: skip


class Drawn(NamedTuple):
    """``limits``: keyword arguments of `walk`."""

    t: Ints
    v: Floats
    limits: dict[str, Any]
    faults: tuple[str, ...]


def draw(seed: int, longest: int = 900) -> Drawn:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(8, rng.choice([30, 120, longest])))
    interval = int(rng.choice([1, 60, 900, 3600])) * 1_000_000
    t = 1_789_948_800_000_000 + np.arange(n, dtype=np.int64) * interval
    t += rng.integers(0, rng.choice([1, interval // 10, interval // 2]) + 1, n)
    rate = float(rng.choice([0.5, 40.0, 3000.0])) / interval
    v = _register(rng, t, rate)
    faults = []
    for _ in range(int(rng.integers(0, 5))):
        faults.append(str(rng.choice(FAULTS)))
        t, v = _faulted(rng, faults[-1], t, v, rate * interval)
    modulus = None
    if rng.random() < 0.4:
        modulus = float(rng.choice([1000.0, 10_000.0, 65_536.0]))
        v = np.mod(v, modulus)
    known = rng.random() < 0.65
    limits = {
        "window_us": int(rng.integers(1, rng.choice([3, 12, 60]))) * interval,
        "max_gap_us": 3 * interval,
        "lookback_us": int(rng.choice([0, 0, 4, 40, 256])) * interval,
        "modulus": modulus,
        "rate_per_us": rate * 1.2 if known else None,
    }
    return Drawn(t, v, limits, tuple(faults))


def _register(rng: np.random.Generator, t: Ints, rate: float) -> Floats:
    """A register that climbs by up to ``rate``, evenly or not, with idle times, fine or coarse."""
    shares = np.full(len(t), rng.random()) if rng.random() < 0.3 else rng.random(len(t))
    if rng.random() < 0.5:
        shares *= np.repeat(rng.random(len(t) // 7 + 1) < rng.random(), 7)[: len(t)]
    steps = np.diff(t, prepend=t[0]) * rate * shares
    v: Floats = np.cumsum(steps) + float(rng.choice([0.0, 1.0, 700.0, 1e5]))
    if rng.random() < 0.3:
        quantum = rate * (t[1] - t[0]) * float(rng.choice([0.5, 1.0, 3.0, 20.0]))
        v = np.floor(v / quantum) * quantum
    return v


def _faulted(
    rng: np.random.Generator, fault: str, t: Ints, v: Floats, step: float
) -> tuple[Ints, Floats]:
    n = len(v)
    if n < 8:
        return t, v
    at = int(rng.integers(1, n))
    end = min(n, at + int(rng.integers(1, rng.choice([2, 5, 40, 300]))))
    v = v.copy()
    high = float(rng.choice([2.0, 30.0, 5000.0])) * step
    match fault:
        case "dip":
            v[at:end] *= float(rng.choice([0.0, 0.0, 0.3, 0.999]))
        case "low and climbing":
            v[at:end] = np.arange(end - at) * step * 0.1
        case "spike":
            v[at:end] += high
        case "reset":
            v[at:] -= v[at] - float(rng.choice([0.0, 3.0])) * step
        case "reset in outage":
            v[at:] -= v[at]
            t, v = np.delete(t, slice(at, end)), np.delete(v, slice(at, end))
        case "replaced by higher":
            v[at:] += high
        case "jitter" | "noise":
            amount = 1e-8 * abs(v[at]) if fault == "jitter" else 0.01 * step
            v[at:end] += rng.normal(0, amount, end - at)
        case "outage":
            t, v = np.delete(t, slice(at, end)), np.delete(v, slice(at, end))
        case "frozen" | "frozen and spike":
            v[at:end] = v[at]
            if fault == "frozen and spike" and end < n:
                v[end] = v[at] + (end - at) * step * rng.random()
                v[end + 1 : end + 3] = v[at]
        case "first zero":
            v[: int(rng.integers(1, 4))] = 0.0
        case "zero":
            v[at] = 0.0
    return t, v


SEGMENTS = ("on", "on", "still", "low", "low and climbing", "high", "new", "fast", "coarse")


def put_together(segments: list[tuple[str, int, int]]) -> tuple[Ints, Floats]:
    """A short counter of 0.1 a microsecond: (what it does, number of readings, their distance)."""
    t, v = [0], [60.0]
    line = 60.0
    for what, count, apart in segments:
        for i in range(count):
            t.append(t[-1] + (apart if i == 0 else 1))
            line += 0.1 * (t[-1] - t[-2])
            match what:
                case "still":
                    shown = v[-1]
                case "low":
                    shown = 1.0
                case "low and climbing":
                    shown = 0.1 * i
                case "high":
                    shown = line + 500
                case "new":
                    line = shown = 0.1 * i
                case "fast":
                    line = shown = line + 3.0
                case "coarse":
                    shown = float(np.floor(line))
                case _:
                    shown = line
            v.append(shown)
    return np.array(t, np.int64), np.array(v)
