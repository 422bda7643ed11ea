"""One process of a scenario: ``python -m tests.faults.actor '{"role": "worker", ...}'``.

It ends with its standard input. Every event of its app is a line of the history.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

import msgspec

import rqueue
from rqueue import (
    LeaseConfig,
    QueueShare,
    StoreUnavailable,
    TaskCall,
    Worker,
    WorkerConfig,
)
from rqueue.errors import RqueueError
from rqueue.events import Event
from rqueue.metrics import WorkerMetrics
from rqueue.worker.readings import Readings
from rqueue.worker.watch import Watch
from tests.faults import tasks
from tests.faults.canaries import CANARY, SECRET
from tests.faults.mutants import apply_from_environment
from tests.faults.tasks import app, history

_RESENDS = 200
MIXES = {
    "timeless": ("quick", "work", "thread", "stumble", "unique", "doomed", "confide"),
    "undated": ("quick", "work", "thread", "stumble", "unique", "doomed", "confide", "delayed"),
    "poisoned": ("quick", "work", "thread", "stumble"),
}
"""Kinds of jobs: to which the hour makes no difference; of which no producer's clock tells when;
beside one poison in twenty-five."""


def _observe(event: Event) -> None:
    told = msgspec.to_builtins(event)
    if "job_id" in told:
        told["job"] = told.pop("job_id")
    history().write(type(event).__name__, by=os.getpid(), **told)


def _tell_of_gaps(name: str) -> None:
    """Note when the looks of a reaper here are so far apart that its watch begins anew."""
    look = Watch.look

    def telling(
        self: Watch, leases: Any, sent: float, received: float, patience: int = 1
    ) -> list[tuple[str, float]]:
        last = self._last
        if last is not None and received - last > self._gap_s:
            told = {"seconds": received - last, "answered_in": received - sent}
            history().write("watch anew", name=name, **told)
        return look(self, leases, sent, received, patience)

    Watch.look = telling


async def work(name: str, settings: dict[str, Any]) -> Readings:
    queues = tuple(QueueShare(one) for one in settings.pop("queues", ["default"]))
    lease = LeaseConfig(lease_s=settings.pop("lease_s"))
    with_scheduler = settings.pop("with_scheduler", False)
    worker = Worker(app, WorkerConfig(queues=queues, lease=lease, **settings), name)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    running = asyncio.create_task(worker.run())
    await _ready(worker.ready, running)
    history().write("ready", name=name, pid=os.getpid(), workers=worker.worker_ids)
    if with_scheduler:
        scheduler = rqueue.Scheduler(app, (), lease)
        scheduling = asyncio.create_task(scheduler.run())
        is_clean = await running
        scheduler.stop()
        await scheduling
    else:
        is_clean = await running
    history().write("ended", name=name, pid=os.getpid(), clean=is_clean)
    return worker.readings()


async def schedule(name: str, settings: dict[str, Any]) -> Readings:
    scheduler = rqueue.Scheduler(
        app, settings.get("queues", ()), LeaseConfig(lease_s=settings["lease_s"])
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, scheduler.stop)
    running = asyncio.create_task(scheduler.run())
    await _ready(scheduler.ready, running)
    history().write("ready", name=name, pid=os.getpid())
    await running
    history().write("ended", name=name, pid=os.getpid(), clean=True)
    return Readings()


async def _ready(ready: asyncio.Event, running: asyncio.Task[Any]) -> None:
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({waiting, running}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if running.done():
        running.result()


async def produce(name: str, settings: dict[str, Any]) -> Readings:
    """Send the jobs that a seed names, several at a time, at about a rate."""
    chance = random.Random(settings["seed"])
    pace = 1 / settings["rate"]
    history().write("ready", name=name, pid=os.getpid())
    async with asyncio.TaskGroup() as group:
        for number in range(settings["count"]):
            call = chosen(chance, f"{name}-{number:05d}", settings)
            group.create_task(_send(call, settings.get("gives_up", False)))
            await asyncio.sleep(pace)
    await app.close()
    history().write("ended", name=name, pid=os.getpid(), clean=True)
    return Readings()


async def _send(call: TaskCall[Any], gives_up: bool) -> None:
    """Send until there is an answer: the same call again is safe."""
    told = {name: str(value) for name, value in call.options.items()}
    history().write("asked", job=call.job_id, task=call.task, options=told)
    for _ in range(_RESENDS):
        try:
            job = await app.enqueue(call)
        except StoreUnavailable as error:
            history().write("unknown", job=call.job_id, error=str(error)[:200])
            if gives_up:
                return
        except RqueueError as error:
            history().write("refused", job=call.job_id, error=type(error).__name__)
            if type(error).__name__ != "StoreFull" or gives_up:
                return
            await asyncio.sleep(0.25)
        else:
            history().write(
                "answered", job=call.job_id, status=job.status, holder=job.id,
                durability=job.durability,
            )  # fmt: skip
            return
    history().write("gave up", job=call.job_id)


def chosen(chance: random.Random, job_id: str, settings: dict[str, Any]) -> TaskCall[Any]:
    """One job of a mix; a share of them shall be on the server's disk before they are accepted."""
    mix = settings.get("mix", "all")
    durable = {"durability": "fsync"} if chance.random() < settings.get("durable", 0) else {}
    kinds = _kinds(chance, {"job_id": job_id, **durable})
    weights = {name: kinds[name][1] for name in MIXES.get(mix, kinds)}
    if mix == "poisoned":
        weights["poison"] = sum(weights.values()) / 24
    name = chance.choices(list(weights), list(weights.values()))[0]
    return kinds[name][0]()


def _kinds(
    chance: random.Random, options: dict[str, Any]
) -> dict[str, tuple[Callable[[], TaskCall[Any]], float]]:
    options["priority"] = chance.choice(["critical", "high", "normal", "low"])
    ms = chance.choice([0, 5, 20, 100, 500])
    key = f"key-{chance.randrange(8)}"
    return {
        "quick": (lambda: tasks.work.options(**options).call(0), 30),
        "work": (lambda: tasks.work.options(**options).call(ms, CANARY), 30),
        "thread": (lambda: tasks.work_in_thread.options(**options).call(ms), 8),
        "stumble": (lambda: tasks.stumble.options(**options).call(chance.randrange(1, 4)), 8),
        "delayed": (
            lambda: tasks.work.options(delay=chance.uniform(0.05, 2), **options).call(ms),
            12,
        ),
        "unique": (lambda: tasks.work.options(unique=key, **options).call(20), 6),
        "doomed": (lambda: tasks.doomed.options(**options).call(), 2),
        "confide": (
            lambda: tasks.confide.options(**options).call(SECRET, chance.choice([1, 9])),
            2,
        ),
        "doze": (lambda: tasks.doze.options(**options).call(), 2),
        "give_up": (lambda: tasks.give_up.options(**options).call(), 1),
        "poison": (lambda: tasks.poison.options(**options).call("kill"), 0),
        "expiring": (lambda: tasks.work.options(expires=0.3, **options).call(5), 1),
    }


_ROLES = {"worker": work, "scheduler": schedule, "producer": produce}


def main() -> None:
    settings = json.loads(sys.argv[1])
    apply_from_environment()
    logging.basicConfig(level=logging.INFO)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    app.use(url=os.environ["RQUEUE_FAULTS_URL"], namespace=settings.pop("namespace"))
    app.observe(_observe)
    role, name = _ROLES[settings.pop("role")], settings.pop("name")
    _tell_of_gaps(name)
    readings = asyncio.run(role(name, settings))
    told = (app, app.store, app.store.protection, *app.tasks)
    history().write("shown", pid=os.getpid(), values=repr(told), metrics=_measured(readings))


def _measured(readings: Readings) -> dict[str, float]:
    """Each sample, by its name and labels."""
    metrics = WorkerMetrics(lambda: readings).collect()
    samples = (sample for metric in metrics for sample in metric.samples)
    return {" ".join((one.name, *one.labels.values())): one.value for one in samples}


def _end_with_parent() -> None:
    os.read(0, 1)  # sys.stdin has a lock that would hinder an ordinary end
    os._exit(9)


if __name__ == "__main__":
    main()
