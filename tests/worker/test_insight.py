"""What can be asked of a worker from elsewhere, and what it is told."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import msgspec
import pytest

from rqueue import App, Worker
from rqueue.clock import now_ms
from rqueue.errors import WorkerNotFound, WorkerSilent
from rqueue.store.call import Call
from rqueue.store.calls import workers
from rqueue.store.keys import queue_keys
from rqueue.store.replies import number
from rqueue.worker import stacks
from tests.support.waiting import PATIENCE_S, eventually
from tests.support.working import working


def only(worker: Worker) -> str:
    (name,) = worker.worker_ids
    return name


async def test_a_worker_tells_how_it_fares_and_what_it_runs(app: App) -> None:
    go = asyncio.Event()

    @app.task
    async def held() -> None:
        await go.wait()

    async with working(app) as worker:
        job = await held.enqueue()
        await eventually(lambda: worker.readings().running)
        told = await app.workers.show(only(worker))
        go.set()
        await job.result(PATIENCE_S)
        after = await app.workers.show(only(worker))

    (ran,) = told.pop("jobs")
    assert 0 <= ran.pop("seconds") < PATIENCE_S
    assert ran == {
        "id": job.id, "task": "held", "queue": "default", "attempt": 1, "stopped_by": "",
    }  # fmt: skip
    assert told.pop("memory") > 1 << 20
    assert 0 < told.pop("fetched_at") <= now_ms() / 1000
    assert told.pop("lag_s") >= 0
    assert told == {
        "state": "working", "slots": 10, "busy": 1, "stuck_threads": 0, "finished_at": 0.0,
        "attempts": 0,
    }  # fmt: skip
    assert (after["attempts"], after["busy"], after["jobs"]) == (1, 0, [])


async def test_a_worker_tells_where_its_code_is_to_the_innermost_call(app: App) -> None:
    go, in_thread = asyncio.Event(), threading.Event()

    async def innermost() -> None:
        await go.wait()  # here

    @app.task
    async def held() -> None:
        await innermost()

    @app.task
    def blocking() -> None:
        in_thread.wait(PATIENCE_S)  # here

    async with working(app) as worker:
        job, other = await held.enqueue(), await blocking.enqueue()
        await eventually(lambda: len(worker.readings().running) == 2)
        told = await app.workers.stacks(only(worker))
        go.set()
        in_thread.set()
        await asyncio.gather(job.wait(PATIENCE_S), other.wait(PATIENCE_S))

    assert f"Asyncio task rqueue-job task=held job={job.id}:\n" in told
    assert "await go.wait()  # here" in told
    assert "in_thread.wait(PATIENCE_S)  # here" in told
    assert "Thread rqueue-heartbeat:\n" in told


async def test_a_quiet_worker_takes_nothing_and_lets_what_runs_end(app: App) -> None:
    go = asyncio.Event()

    @app.task
    async def held() -> None:
        await go.wait()

    async with working(app) as worker:
        first = await held.enqueue()
        await eventually(lambda: worker.readings().running)

        assert await app.workers.quiet(only(worker))
        await eventually(lambda: worker.state == "quiet")
        second = await held.enqueue()
        go.set()
        assert await first.wait(PATIENCE_S) == "succeeded"

        assert (await second.info()).state == "queued"
        assert worker.health.ready() == "it was told to be quiet, and takes no more jobs"
        assert worker.readings().is_draining
        await eventually(lambda: declared(app, only(worker), "quiet"))
        async with working(app):
            assert await second.wait(PATIENCE_S) == "succeeded"


async def test_a_signal_to_a_worker_that_was_told_from_elsewhere_to_stop_is_no_second_one(
    app: App,
) -> None:
    go = asyncio.Event()

    @app.task
    async def wait() -> None:
        await go.wait()

    job = await wait.enqueue()
    async with working(app, grace_s=PATIENCE_S) as worker:
        await eventually(lambda: worker.in_hand)
        await app.workers.stop(only(worker))
        await eventually(lambda: worker.state == "stopping")
        worker.stop()
        for _ in range(100):  # a second signal would stop the job within some turns of the loop
            await asyncio.sleep(0)
        assert worker.in_hand == 1
        go.set()
        assert await job.wait(PATIENCE_S) == "succeeded"


async def test_a_quiet_worker_that_was_fenced_stays_quiet(app: App) -> None:
    @app.task
    async def work() -> None: ...

    async with working(app) as worker:
        before = only(worker)
        worker.quiet()
        app.connections.blocking().send(forget_lease(app, before))
        await eventually(lambda: worker.worker_ids not in ([before], []))
        job = await work.enqueue()
        await eventually(lambda: declared(app, only(worker), "quiet"))

        assert (await job.info()).state == "queued"


async def test_a_thread_whose_time_is_over_is_counted_until_it_returns(app: App) -> None:
    go = threading.Event()

    @app.task(timeout=0.05)
    def deaf() -> None:
        go.wait(PATIENCE_S)

    async with working(app) as worker:
        await deaf.enqueue()
        await eventually(lambda: worker.readings().stuck_threads == 1)
        assert (await app.workers.show(only(worker)))["stuck_threads"] == 1
        go.set()
        await eventually(lambda: worker.readings().stuck_threads == 0)


async def test_who_is_not_there_cannot_be_asked(app: App) -> None:
    async with working(app) as worker:
        with pytest.raises(WorkerNotFound, match=f"no worker 'nobody'.*{only(worker)}"):
            await app.workers.show("nobody")


async def test_who_does_not_answer_is_said_to_be_silent(app: App) -> None:
    app.connections.blocking().send(workers.introduce(app.store.namespace, "dead", CARD))

    with pytest.raises(WorkerSilent, match=r"dead did not answer within 0\.05 s"):
        await app.workers.show("dead", timeout=0.05)


async def test_each_question_is_answered_once(app: App, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "rqueue")
    keys = queue_keys(app.store.namespace, "default")
    redis = app.connections.blocking()
    async with working(app) as worker:
        name = only(worker)
        await app.workers.show(name)  # it listens
        caplog.clear()
        for what, token in (("show", "t1"), ("show", "t1"), ("nonsense", "t2"), ("stacks", "t3")):
            redis.send_many(workers.ask(keys, name, what, token))
        await app.workers.show(name)
        answers = redis.send_many([workers.answered(keys, token) for token in ("t1", "t2", "t3")])

    assert [answer is not None for answer in answers] == [True, False, True]
    asked = [line for line in caplog.messages if line.startswith("asked from elsewhere: ")]
    assert [line.rpartition(" ")[2] for line in asked] == ["show", "stacks", "show"]


async def test_of_very_many_tasks_some_stacks_are_shown_and_the_others_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stacks, "_MOST_TASKS", 2)
    waiting = [asyncio.create_task(asyncio.Event().wait()) for _ in range(5)]
    await asyncio.sleep(0)

    told = stacks.stacks(asyncio.get_running_loop(), lambda _: ("", ""))

    assert told.count("Asyncio task ") == 2
    assert told.endswith("4 asyncio tasks more")  # ours is one as well
    for one in waiting:
        one.cancel()


CARD = msgspec.msgpack.encode({"queues": ["default"]})


def forget_lease(app: App, worker: str) -> Any:
    keys = queue_keys(app.store.namespace, "default")
    return Call(("ZREM",), (keys.leases,), (worker,), number)


async def declared(app: App, worker: str, state: str) -> bool:
    return (await app.workers.list()).get(worker, {}).get("state") == state
