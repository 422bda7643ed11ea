"""What a worker tells Prometheus."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from redis import Redis

from rqueue import App, Context, Discard, QueueShare, Retry, Worker
from rqueue.clock import now_ms
from rqueue.config import Buckets
from rqueue.errors import CorruptKey, ResultError
from rqueue.events import JobFinished
from rqueue.ids import shorten
from rqueue.metrics import WorkerMetrics
from rqueue.store.call import Call
from rqueue.store.keys import Field, queue_keys
from rqueue.store.replies import number
from rqueue.store.transport import Transport
from rqueue.worker.readings import Readings
from rqueue.worker.tally import Histogram, QueueTally, Tally, TaskTally
from rqueue.worker.trips import of_loop
from tests.support.servers import Server
from tests.support.tools import said, tool
from tests.support.waiting import Ears, eventually
from tests.support.working import scheduling, working

BUCKETS = Buckets(run=(0.5, 2), wait=(1,))


def scraped(worker: Worker, *names: str) -> dict[tuple[str, ...], float]:
    """The samples of these metrics that are not 0, without the prefix that all have."""
    samples = (
        sample
        for metric in WorkerMetrics(worker.readings).collect()
        for sample in metric.samples
        if sample.value
    )
    told = ((sample.name.removeprefix("rqueue_"), sample) for sample in samples)
    return {(name, *one.labels.values()): one.value for name, one in told if name in names}


async def outcomes(*jobs: Any) -> None:
    for job in jobs:
        try:
            await job.result(timeout=10)
        except ResultError:
            continue


async def test_every_attempt_and_every_end_is_counted(app: App) -> None:
    @app.task
    async def well() -> None: ...

    @app.task(retry=Retry(max_attempts=2, base=0.01))
    async def badly() -> None:
        raise ValueError

    @app.task(retry=Retry(max_attempts=1), timeout=0.05)
    async def slowly() -> None:
        await asyncio.Event().wait()

    @app.task(queue="mail")
    async def never() -> None:
        raise Discard

    async with working(app, queues=app_queues("default", "mail")) as worker, scheduling(app):
        await outcomes(
            await well.enqueue(), await well.enqueue(), await badly.enqueue(),
            await slowly.enqueue(), await never.enqueue(),
        )  # fmt: skip
        await eventually(lambda: worker.in_hand == 0)
        told = scraped(
            worker, "attempts_total", "jobs_finished_total", "retries_total",
            "job_run_seconds_count", "job_wait_seconds_count", "job_total_seconds_count",
        )  # fmt: skip

    assert told == {
        ("attempts_total", "default", "well", "succeeded"): 2,
        ("attempts_total", "default", "badly", "failed"): 2,
        ("attempts_total", "default", "slowly", "timeout"): 1,
        ("attempts_total", "mail", "never", "cancelled"): 1,
        ("jobs_finished_total", "default", "well", "succeeded"): 2,
        ("jobs_finished_total", "default", "badly", "dead"): 1,
        ("jobs_finished_total", "default", "slowly", "dead"): 1,
        ("jobs_finished_total", "mail", "never", "cancelled"): 1,
        ("retries_total", "default", "badly", "error"): 1,
        ("job_run_seconds_count", "default", "well"): 2,
        ("job_run_seconds_count", "default", "badly"): 2,
        ("job_run_seconds_count", "default", "slowly"): 1,
        ("job_run_seconds_count", "mail", "never"): 1,
        ("job_wait_seconds_count", "default"): 5,
        ("job_wait_seconds_count", "mail"): 1,
        ("job_total_seconds_count", "default"): 4,
        ("job_total_seconds_count", "mail"): 1,
    }


async def test_what_redis_made_another_end_of_counts_as_that(app: App) -> None:
    """A cancel that no worker has heard of, and a record that somebody deleted."""
    keys, redis = queue_keys(app.store.namespace, "default"), app.connections.blocking()

    def touch(command: str, job_id: str, *words: str) -> None:
        record = keys.job(shorten(job_id))
        redis.send(Call((command,), (record,), words, number))

    @app.task(retry=Retry(max_attempts=2, base=60))
    async def cancelled(ctx: Context) -> None:
        touch("HSET", ctx.job_id, Field.CANCEL, "")
        raise ValueError

    @app.task
    async def orphaned(ctx: Context) -> None:
        touch("DEL", ctx.job_id)

    ears = Ears(app)
    async with working(app) as worker:
        await cancelled.enqueue()
        await orphaned.enqueue()
        ends = await ears.hears(JobFinished, 2)
        told = scraped(worker, "jobs_finished_total", "retries_total", "attempts_total")

    assert {(one.task, one.ending, one.status) for one in ends} == {
        ("cancelled", "cancel", "recorded"),
        ("orphaned", "bury", "recorded"),
    }
    assert told == {
        ("attempts_total", "default", "cancelled", "cancelled"): 1,
        ("attempts_total", "default", "orphaned", "failed"): 1,
        ("jobs_finished_total", "default", "cancelled", "cancelled"): 1,
        ("jobs_finished_total", "default", "orphaned", "dead"): 1,
    }


async def test_what_runs_is_told_while_it_runs(app: App) -> None:
    go = asyncio.Event()

    @app.task
    async def held() -> None:
        await go.wait()

    names = (
        "jobs_running", "worker_slots", "worker_slots_busy", "worker_draining",
        "job_longest_running_seconds",
    )  # fmt: skip
    async with working(app, concurrency=5) as worker:
        jobs = [await held.enqueue() for _ in range(2)]
        both = {("jobs_running", "default", "held"): 2}
        await eventually(lambda: scraped(worker, "jobs_running") == both)
        longest = scraped(worker, names[-1])
        running = scraped(worker, *names[:-1])
        go.set()
        await outcomes(*jobs)
        await eventually(lambda: worker.in_hand == 0)
        idle = scraped(worker, *names)

    assert running == both | {
        ("worker_slots",): 5,
        ("worker_slots_busy",): 2,
    }
    assert 0 < longest["job_longest_running_seconds", "default"] < 60
    assert idle == {("worker_slots",): 5}
    assert scraped(worker, "worker_draining") == {("worker_draining",): 1}


async def test_the_lag_is_told_while_the_loop_is_blocked(app: App) -> None:
    seen: list[float] = []

    async with working(app) as worker:

        @app.task
        async def hog() -> None:
            time.sleep(1)  # noqa: ASYNC251 - that is what is measured
            seen.append(worker.readings().lag_s)

        await outcomes(await hog.enqueue())

    assert 0.5 < seen[0] < 30


async def test_a_delay_is_no_wait_and_waiting_is(app: App) -> None:
    @app.task
    async def work() -> None: ...

    def waited(worker: Worker) -> float:
        return worker.readings().tally.queues["default"].wait.sum

    early = await work.enqueue()
    # Its id is older than its entry, by which waiting counts, and clocks are compared to some ms.
    await eventually(lambda: _age_ms(early.id) > 400)
    async with working(app) as worker, scheduling(app):
        await outcomes(early)
        await eventually(lambda: worker.in_hand == 0)
        before = waited(worker)
        await outcomes(await work.options(delay=3).enqueue())
        await eventually(lambda: worker.in_hand == 0)
        after = waited(worker)

    assert before > 0.3
    assert after - before < 3, "the delayed one waited for no worker"


def _age_ms(job_id: str) -> float:
    return now_ms() - int(job_id.replace("-", "")[:12], 16)


async def test_workers_hear_of_a_target_and_of_redis_clock(app: App) -> None:
    @app.task
    async def work() -> None: ...

    await app.inspector.aim("default", 60)
    async with working(app) as worker:
        await eventually(lambda: worker.recorder.targets == {"default": 60.0})
        await outcomes(await work.enqueue())
        await eventually(lambda: worker.in_hand == 0)
        told = scraped(worker, "job_slo_total", "job_slo_met_total")
        skew_ms = worker.recorder.skew_ms

    assert told == {("job_slo_total", "default"): 1, ("job_slo_met_total", "default"): 1}
    assert abs(skew_ms) < 1000, "one machine, one clock"


def test_buckets_are_those_that_were_asked_for(worker_tally: Readings) -> None:
    metrics = WorkerMetrics(lambda: worker_tally, BUCKETS).collect()
    ends = {
        metric.name: [sample.labels["le"] for sample in metric.samples if "le" in sample.labels]
        for metric in metrics
        if metric.type == "histogram" and metric.name.startswith("rqueue_job_")
    }

    assert ends == {
        "rqueue_job_run_seconds": ["0.5", "2.0", "+Inf"],
        "rqueue_job_wait_seconds": ["1.0", "+Inf"],
        "rqueue_job_total_seconds": ["1.0", "+Inf"],
    }


@pytest.fixture
def worker_tally() -> Readings:
    found = Readings()
    found.tally.tasks["q", "t"] = TaskTally(
        Histogram([1, 0, 0], 0.25), succeeded=1, errors={"ValueError": 2}
    )
    found.tally.queues["q"] = QueueTally(Histogram([1, 0], 0.5), Histogram([1, 0], 0.75))
    found.tally.stalls["t"] = 1
    return found


def test_errors_have_series_only_when_they_are_asked_for(worker_tally: Readings) -> None:
    def names(*, with_errors: bool) -> set[str]:
        found = WorkerMetrics(lambda: worker_tally, BUCKETS, with_errors=with_errors).collect()
        return {metric.name for metric in found}

    assert names(with_errors=True) - names(with_errors=False) == {"rqueue_errors"}


def test_prometheus_finds_no_fault_in_them(worker_tally: Readings) -> None:
    registry = CollectorRegistry()
    registry.register(WorkerMetrics(lambda: worker_tally, BUCKETS, with_errors=True))

    page = generate_latest(registry).decode()
    assert said([tool("promtool"), "check", "metrics"], text=page) == ""


def app_queues(*names: str) -> Any:
    return tuple(map(QueueShare, names))


async def test_trips_to_redis_are_counted_by_what_was_asked(app: App) -> None:
    @app.task
    async def work() -> None: ...

    async with working(app) as worker:
        await outcomes(await work.enqueue())
        await eventually(lambda: worker.in_hand == 0)
        await eventually(lambda: worker.readings().tally.trips["heartbeat"].sum)
        told = scraped(worker, "redis_command_seconds_count", "redis_errors_total")

    assert {place[1] for place in told} == {"fetch", "finish", "heartbeat", "other"}
    assert told["redis_command_seconds_count", "finish"] == 1


async def test_what_redis_refuses_is_counted_by_its_kind(app: App, redis: Redis) -> None:
    tally, keys = Tally(), queue_keys(app.store.namespace, "default")
    redis.set(keys.meta, "of a wrong type")
    blocking, transport = Transport(app.store), app.connections.here().transport
    blocking.counter = transport.counter = of_loop(tally)
    look = Call(("HGETALL",), (keys.meta,), (), list)
    with pytest.raises(CorruptKey):
        blocking.send(look)
    with pytest.raises(CorruptKey):
        blocking.send_many([look])
    with pytest.raises(CorruptKey):
        await transport.send(look)
    with pytest.raises(CorruptKey):
        await transport.send_many([look])
    blocking.close()
    transport.counter = None

    assert tally.troubles == {"corrupt": 4}


async def test_an_outage_of_redis_is_counted_with_its_end(namespace: str) -> None:
    with Server("valkey9") as server:
        app = App(server.url, namespace=namespace)
        async with working(app) as worker:
            tally = worker.readings().tally
            await asyncio.to_thread(server.kill)
            await eventually(lambda: tally.troubles.get("unavailable"))
            assert tally.reconnects == 0
            await asyncio.to_thread(server.restart)
            await eventually(lambda: tally.reconnects)
            told = scraped(worker, "redis_errors_total", "redis_reconnects_total")
        await app.close()

    assert told["redis_errors_total", "unavailable"] >= 1
    assert told["redis_reconnects_total",] >= 1
