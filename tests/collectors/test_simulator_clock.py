"""The clock that jumps."""

from __future__ import annotations

import asyncio

from collectors.simulator import FastClock


def test_time_jumps_only_when_all_sleep() -> None:
    async def scene() -> list[tuple[str, int]]:
        clock, seen = FastClock(1000, 2), []

        async def sleeper(name: str, step_us: int, times: int) -> None:
            async with clock.participant():
                for turn in range(1, times + 1):
                    await clock.sleep_until(1000 + turn * step_us)
                    seen.append((name, clock.now_us()))
                    await asyncio.sleep(0)  # awake: the other must not see time go on
                    assert clock.now_us() == 1000 + turn * step_us

        await asyncio.gather(sleeper("a", 20, 3), sleeper("b", 30, 2))
        return seen

    assert asyncio.run(scene()) == [
        ("a", 1020), ("b", 1030), ("a", 1040), ("a", 1060), ("b", 1060),
    ]  # fmt: skip


def test_it_waits_for_the_slow_one() -> None:
    async def scene() -> int:
        clock = FastClock(0, 2)
        early = asyncio.create_task(clock.sleep_until(10))
        for _ in range(50):
            await asyncio.sleep(0)
        assert not early.done()
        before = clock.now_us()
        await clock.sleep_until(10)
        await early
        return before

    assert asyncio.run(scene()) == 0


def test_a_participant_that_leaves_holds_nobody_up() -> None:
    async def scene() -> int:
        clock = FastClock(0, 2)

        async def short() -> None:
            async with clock.participant():
                await clock.sleep_until(5)

        async def long() -> None:
            async with clock.participant():
                await clock.sleep_until(5)
                await clock.sleep_until(100)

        await asyncio.gather(short(), long())
        await clock.ended()
        return clock.now_us()

    assert asyncio.run(scene()) == 100


def test_a_latecomer_gets_a_place_of_its_own() -> None:
    async def scene() -> list[int]:
        clock, seen = FastClock(0, 1), []

        async def late() -> None:
            async with clock.participant():
                await clock.sleep_until(7)
                seen.append(clock.now_us())

        async with clock.participant():
            task = asyncio.create_task(late())
            await asyncio.sleep(0)
            await clock.sleep_until(50)
            seen.append(clock.now_us())
        await task
        return seen

    assert asyncio.run(scene()) == [7, 50]


def test_a_cancelled_sleep_is_forgotten() -> None:
    async def scene() -> int:
        clock = FastClock(0, 2)
        cancelled = asyncio.create_task(clock.sleep_until(3))
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)
        assert clock.now_us() == 0
        await asyncio.gather(clock.sleep_until(20), clock.sleep_until(20))
        return clock.now_us()

    assert asyncio.run(scene()) == 20


def test_time_stops_at_the_end() -> None:
    async def scene() -> tuple[int, bool]:
        clock = FastClock(0, 1, end_us=100)
        task = asyncio.create_task(clock.sleep_until(101))
        await clock.ended()
        for _ in range(5):
            await asyncio.sleep(0)
        asleep = not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return clock.now_us(), asleep

    assert asyncio.run(scene()) == (100, True)


def test_a_time_that_has_passed_lets_others_run() -> None:
    async def scene() -> list[str]:
        clock, seen = FastClock(50, 1), []

        async def other() -> None:
            seen.append("other")

        task = asyncio.create_task(other())
        await clock.sleep_until(50)
        seen.append("sleeper")
        await task
        return seen

    assert asyncio.run(scene()) == ["other", "sleeper"]
