"""The declarer: schedules in code are those in Redis, whatever runs side by side."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rqueue.app import App
from rqueue.store.call import Call
from rqueue.store.keys import queue_keys
from rqueue.store.transport import AsyncTransport
from rqueue.worker.declarer import LIFE_MS, PACE_S, Declarer, declarers
from tests.support.servers import only_valkey
from tests.support.waiting import eventually
from tests.support.working import scheduling

pytestmark = only_valkey


def release(url: str, namespace: str, *, periods: dict[str, str], queue: str = "default") -> App:
    """An app with schedules of these names and periods, and one task."""
    app = App(url, namespace=namespace)

    @app.task(queue=queue)
    async def tick() -> None: ...

    for name, period in periods.items():
        app.every(period, name=name)(tick)
    return app


class Side:
    """One release that runs, and its declarer, driven round by round."""

    def __init__(self, app: App, queue: str = "default") -> None:
        self.app = app
        self.transport = AsyncTransport(app.store)
        declared = app.schedules_by_queue().get(queue, {})
        self.declarer = Declarer(self.transport, app.store, queue, declared)
        self.keys = queue_keys(app.store.namespace, queue)

    async def round(self) -> None:
        assert await self.declarer.run_once() == PACE_S

    async def dies(self) -> None:
        """What is told of it in Redis is as old as when nobody had spoken for its life."""
        found = await self.transport.send(Call(("HGETALL",), (self.keys.releases,), (), list))
        names, lines = found[::2], found[1::2]
        for name, line in zip(names, lines, strict=True):
            if name.decode() == self.declarer._release:
                came, ends = map(int, line.split())
                old = f"{came - 2 * LIFE_MS} {ends - 2 * LIFE_MS}"
                words: Any = (name.decode(), old)
                await self.transport.send(Call(("HSET",), (self.keys.releases,), words, int))

    async def schedules(self) -> dict[str, float]:
        return {one.name: one.every_s for one in await self.app.schedules.list()}


@pytest.fixture
async def sides(url: str, namespace: str) -> AsyncIterator[Any]:
    made: list[Side] = []

    def side(queue: str = "default", **periods: str) -> Side:
        made.append(Side(release(url, namespace, periods=periods, queue=queue), queue))
        return made[-1]

    yield side
    for one in made:
        await one.transport.close()
        await one.app.close()


async def test_what_is_declared_is_put_changed_and_taken_away(
    sides: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    old, new = sides(a="1h", b="1h"), sides(b="2h", c="1h")

    await old.round()
    assert await old.schedules() == {"a": 3600, "b": 3600}
    await new.round()

    assert await new.schedules() == {"b": 7200, "c": 3600}
    told = [
        record.message.partition(": ") for record in caplog.records if "schedule" in record.message
    ]
    assert [(where.split()[1], what) for where, _, what in told] == [
        ("a", "created"), ("b", "created"), ("b", "updated"), ("c", "created"),
        ("a", "removed: it is not declared any more"),
    ]  # fmt: skip


async def test_the_earlier_release_does_not_fight_and_takes_over_after_a_roll_back(
    sides: Any,
) -> None:
    old, new = sides(a="1h"), sides(a="2h")
    await old.round()
    await new.round()

    for _ in range(2):
        await old.round()
        await new.round()
        assert await old.schedules() == {"a": 7200}
    again = sides(a="1h")  # another process of the old release starts
    await again.round()
    assert await old.schedules() == {"a": 7200}

    await new.dies()
    await old.round()
    assert await old.schedules() == {"a": 3600}


@pytest.mark.parametrize("is_left_empty", [True, False])
async def test_a_schedule_whose_task_moves_to_another_queue_moves_once_and_goes_on_as_it_was(
    url: str, namespace: str, *, is_left_empty: bool
) -> None:
    old = release(url, namespace, periods={"a": "1h"})
    new = release(url, namespace, periods={"a": "1h"}, queue="mail")
    if not is_left_empty:
        new.task(_stay)
    transport = AsyncTransport(old.store)
    before, after = (
        declarers(transport, app.store, app.schedules_by_queue()) for app in (old, new)
    )

    async def round_of(release: list[Declarer]) -> tuple[str, bool]:
        for one in release:
            await one.run_once()
        (found,) = await old.schedules.list()
        return found.queue, found.is_paused

    assert await round_of(before) == ("default", False)
    await old.schedules.pause("a")
    await old.schedules.trigger("a")

    for _ in range(2):
        assert await round_of(after) == ("mail", True)
        assert await round_of(before) == ("mail", True)

    await transport.close()
    await old.close()
    await new.close()


async def _stay() -> None: ...


async def test_what_the_api_has_put_stays_and_other_queues_are_others(sides: Any) -> None:
    mine, other = sides(a="1h"), sides("mail", m="1h")
    await other.round()
    call = mine.app.remote("tick").call()
    await mine.app.schedules.upsert("by-hand", call, every=60)

    await mine.round()
    empty = sides()
    await empty.round()

    assert await mine.schedules() == {"by-hand": 60, "m": 3600}


async def test_what_was_lost_is_put_again_and_who_is_paused_stays_so(sides: Any) -> None:
    side = sides(a="1h", b="1h")
    await side.round()
    await side.app.schedules.pause("a")
    await side.app.schedules.delete("b", force=True)

    await side.round()

    assert [(one.name, one.is_paused) for one in await side.app.schedules.list()] == [
        ("a", True),
        ("b", False),
    ]


async def test_code_takes_a_schedule_over_from_the_api(sides: Any) -> None:
    side = sides(a="1h")
    await side.app.schedules.upsert("a", side.app.remote("tick").call(), every=3600)

    await side.round()

    (info,) = await side.app.schedules.list()
    assert info.origin == "code"
    with pytest.raises(ValueError, match="is declared in code"):
        await side.app.schedules.upsert("a", side.app.remote("tick").call(), every=60)
    with pytest.raises(ValueError, match="the next deploy would bring it back"):
        await side.app.schedules.delete("a")


async def test_a_scheduler_declares_what_its_app_does(url: str, namespace: str) -> None:
    app = release(url, namespace, periods={"a": "1h"})
    async with scheduling(app):
        await eventually(lambda: _has(app, {"a"}))
    without = App(url, namespace=namespace)
    async with scheduling(without):
        pass

    assert [one.name for one in await app.schedules.list()] == ["a"]
    await app.close()


async def _has(app: App, names: set[str]) -> bool:
    return {one.name for one in await app.schedules.list()} == names


def test_a_release_is_told_from_another_by_all_that_it_declares(url: str) -> None:
    def name(**periods: str) -> str:
        app = release(url, "n", periods=periods)
        return Declarer(
            AsyncTransport(app.store), app.store, "default", app.declared_schedules
        )._release

    names = [name(), name(a="1h"), name(a="2h"), name(a="1h", b="1h")]
    assert len(set(names)) == len(names)
    assert name(a="1h") == names[1]
