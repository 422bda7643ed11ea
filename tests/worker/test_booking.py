"""What workers count goes into the history of their queues: once, whatever happens on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis import Redis

from rqueue import App, Discard, Encrypted, Fail, Retry, Snooze
from rqueue.config import Buckets, QueueShare
from rqueue.errors import ConfigError, ResultError
from rqueue.history import HOUR_MS, MINUTE_MS
from rqueue.stats import Stats, TaskStats
from rqueue.store.keys import queue_keys
from rqueue.store.scripts import BOOK
from tests.support.proxy import Proxy
from tests.support.queue_state import read_state
from tests.support.waiting import PATIENCE_S, eventually
from tests.support.working import burst, scheduling, working

TWO = (QueueShare("default"), QueueShare("mail"))


@pytest.fixture
def declared(app: App) -> App:
    """Tasks that end in every way."""

    @app.task
    async def well() -> None: ...

    @app.task(retry=Retry(max_attempts=2, base=0.01))
    async def badly() -> None:
        raise ValueError("no such order\nand more")

    @app.task(retry=Retry(max_attempts=1), timeout=0.05)
    async def slowly() -> None:
        await asyncio.Event().wait()

    @app.task(queue="mail")
    async def never() -> None:
        raise Discard

    @app.task(queue="mail")
    async def later() -> None:
        app.__dict__.setdefault("snoozed", [])
        if not app.__dict__["snoozed"]:
            app.__dict__["snoozed"].append(True)
            raise Snooze(0.01)

    @app.task(queue="mail")
    async def hopeless() -> None:
        raise Fail("gone")

    return app


@pytest.fixture
async def stranger(url: str, namespace: str) -> AsyncIterator[App]:
    """An app without code, which can call what is there in any way."""
    app = App(url, namespace=namespace)
    yield app
    await app.close()


async def outcomes(*jobs: Any) -> None:
    for job in jobs:
        try:
            await job.result(timeout=PATIENCE_S)
        except ResultError:
            continue


def counted(found: Stats) -> dict[tuple[str, str], dict[str, Any]]:
    """What is not 0, without what takes time."""
    names = [name for name, hint in TaskStats.__annotations__.items() if hint == "int"]
    return {
        (one.queue, one.task): {name: getattr(one, name) for name in names if getattr(one, name)}
        for one in found.tasks
    }


async def test_what_several_workers_did_adds_up_to_what_the_jobs_did(
    declared: App, stranger: App
) -> None:
    app = declared
    remote = app.remote
    async with (
        working(app, queues=TWO),
        working(app, queues=TWO, buckets=Buckets(run=(0.5,), wait=(7.0, 9.0))),
        scheduling(app),
    ):
        await outcomes(
            *await app.enqueue_many(remote("well").call() for _ in range(50)),
            *await app.enqueue_many(remote("badly").call() for _ in range(5)),
            await remote("slowly").enqueue(),
            *[await remote(name).options(queue="mail").enqueue() for name in ("never", "hopeless")],
            await remote("later").options(queue="mail").enqueue(),
            await remote("well").options(expires=0.0001).enqueue(),
            await stranger.send("well", "an argument too many"),
        )

    found = await app.inspector.stats()

    assert counted(found) == {
        ("default", "well"): {"ended": 52, "succeeded": 50, "expired": 1, "dead": 1},
        ("default", "badly"): {"ended": 5, "failed": 10, "retries": 5, "dead": 5},
        ("default", "slowly"): {"ended": 1, "failed": 1, "timeouts": 1, "dead": 1},
        ("mail", "never"): {"ended": 1, "cancelled": 1},
        ("mail", "later"): {"ended": 1, "succeeded": 1, "snoozes": 1},
        ("mail", "hopeless"): {"ended": 1, "failed": 1, "dead": 1},
    }
    measured = {(one.task, one.run.count, one.wait.count) for one in found.tasks}
    assert measured == {
        ("well", 50, 50), ("badly", 10, 10), ("slowly", 1, 1), ("never", 1, 1), ("later", 2, 2),
        ("hopeless", 1, 1),
    }  # fmt: skip
    (slow,) = (one for one in found.tasks if one.task == "slowly")
    assert 0.05 <= (slow.run.mean_s or 0) < 10
    assert sum(slot.ended for one in found.tasks for slot in one.slots) == 61


async def test_what_failed_lately_is_told_with_its_error(declared: App, stranger: App) -> None:
    job = await declared.remote("badly").enqueue()
    wrong = await stranger.send("well", "an argument too many")
    async with working(declared) as worker, scheduling(declared):
        await outcomes(job, wrong)
        (name,) = worker.worker_ids

    found = (await declared.inspector.stats("default")).failures

    told = sorted((one.job_id, one.attempt, one.outcome, one.reason) for one in found)
    assert told == sorted(
        [
            (job.id, 1, "retry", ""),
            (job.id, 2, "dead", "failed"),
            (wrong.id, 0, "dead", "arguments"),
        ]
    )
    mine = next(one for one in found if one.attempt == 1)
    assert (mine.type, mine.message) == ("ValueError", "no such order")
    assert (mine.worker, mine.queue, mine.task) == (name, "default", "badly")
    assert [one.at for one in found] == sorted((one.at for one in found), reverse=True)


async def test_one_task_is_told_alone(declared: App) -> None:
    await declared.remote("badly").enqueue()
    await declared.remote("well").enqueue()
    await declared.remote("slowly").enqueue()
    await burst(declared)

    found = await declared.inspector.stats(task="slowly")

    assert list(counted(found)) == [("default", "slowly")]
    assert [one.task for one in found.failures] == ["slowly"]
    assert (await declared.inspector.stats(task="slowly", failures=0)).failures == ()


async def test_an_idle_worker_books_nothing(declared: App, redis: Redis, namespace: str) -> None:
    async with working(declared) as worker:
        await worker._bookkeeper.run_once()

    assert read_state(redis, queue_keys(namespace, "default")).history == {}
    assert not (await declared.inspector.stats()).is_written


async def test_it_is_booked_while_the_worker_goes_on(declared: App) -> None:
    async with working(declared) as worker:
        for count in (1, 2):
            await outcomes(await declared.remote("well").enqueue())
            await eventually(lambda: worker.in_hand == 0)
            await worker._bookkeeper.run_once()
            found = await declared.inspector.stats()
            assert counted(found) == {("default", "well"): {"ended": count, "succeeded": count}}


async def test_without_a_history_nothing_is_written(
    declared: App, redis: Redis, namespace: str
) -> None:
    await declared.remote("well").enqueue()
    await burst(declared, history=False)

    assert read_state(redis, queue_keys(namespace, "default")).history == {}
    found = await declared.inspector.stats()
    assert (found.is_written, found.tasks, found.failures) == (False, (), ())


async def test_a_lost_answer_counts_once(
    url: str, namespace: str, declared: App, redis: Redis
) -> None:
    redis.script_load(BOOK.source)
    with Proxy(url) as proxy:
        far = App(proxy.url, namespace=namespace)
        far.task(retry=Retry(max_attempts=1))(declared.tasks.get("badly").fn)
        await far.remote("badly").enqueue()
        proxy.lose_answer_to(BOOK.sha.encode())

        await burst(far)

        assert proxy.lost == 1
        await far.close()
    found = await declared.inspector.stats()
    assert counted(found) == {("default", "badly"): {"ended": 1, "failed": 1, "dead": 1}}
    assert len(found.failures) == 1


async def test_what_redis_does_not_take_is_kept_and_booked_later(
    declared: App, redis: Redis, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    keys = queue_keys(namespace, "default")
    redis.set(keys.failures, "of a wrong type")
    async with working(declared) as worker, scheduling(declared):
        for _ in range(3):
            await outcomes(await declared.remote("badly").enqueue())
            await eventually(lambda: worker.in_hand == 0)
            await worker._bookkeeper.run_once()
        assert counted(await declared.inspector.stats()) == {}
        redis.delete(keys.failures)
        await worker._bookkeeper.run_once()

    found = await declared.inspector.stats()
    assert counted(found) == {
        ("default", "badly"): {"ended": 3, "failed": 6, "retries": 3, "dead": 3}
    }
    assert len(found.failures) == 6
    said = [one.getMessage() for one in caplog.records if "has to wait" in one.getMessage()]
    assert len(said) == 1
    assert "queue=default" in said[0]
    assert "another type" in said[0]


async def test_errors_are_as_secret_as_in_the_records(
    url: str, namespace: str, redis: Redis, stranger: App
) -> None:
    keys = Encrypted({"k": b"1" * 32}, current="k")
    secret = App(url, namespace=namespace, protection=keys)

    @secret.task(retry=Retry(max_attempts=1))
    async def tell() -> None:
        raise ValueError("the password is swordfish")

    await tell.enqueue()
    await burst(secret)

    written = redis.lrange(queue_keys(namespace, "default").failures, 0, -1)
    (known,) = (await secret.inspector.stats()).failures
    (unknown,) = (await stranger.inspector.stats()).failures
    await secret.close()
    assert (known.type, known.message) == ("ValueError", "the password is swordfish")
    assert (unknown.type, unknown.task, unknown.worker) == ("(protected)", "tell", "")
    assert len(written) == 1  # type: ignore[arg-type]
    assert b"swordfish" not in written[0]  # type: ignore[index]
    assert b"ValueError" not in written[0]  # type: ignore[index]


async def test_what_strangers_wrote_is_passed_over(
    declared: App, redis: Redis, namespace: str
) -> None:
    await declared.remote("badly").enqueue()
    await burst(declared)
    keys = queue_keys(namespace, "default")
    now_ms = int(redis.time()[0]) * 1000  # type: ignore[index]
    redis.lpush(keys.failures, b"nonsense", b"\x96\xcf" + b"\xff" * 8)
    redis.set(keys.minute(now_ms // MINUTE_MS - 5), "of a wrong type")
    redis.set(keys.hour(now_ms // HOUR_MS - 5), "of a wrong type")

    for since in ("1h", "24h", "7d"):
        found = await declared.inspector.stats(since=since)
        assert [one.task for one in found.failures] == ["badly"]
        assert counted(found) == {("default", "badly"): {"failed": 1, "retries": 1}}


@pytest.mark.parametrize("since", ["59s", "8d", 0, -1, True, "soon"])
async def test_a_time_that_is_not_kept_is_refused(valkey_app: App, since: Any) -> None:
    with pytest.raises(ConfigError):
        await valkey_app.inspector.stats(since=since)
    with pytest.raises(ConfigError):
        valkey_app.inspector_sync.stats(since=since)
