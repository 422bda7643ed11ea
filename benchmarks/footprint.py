"""What a job takes in Redis in each state: ``python -m benchmarks.footprint --server redis``.

Jobs of 100 characters, with an integer for a result; all that is allocated, divided by the jobs.
docs/operations.md has the numbers.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import timedelta

from benchmarks.stand import Stand
from rqueue import App, Retry, WorkerConfig
from rqueue.store.calls import entries, leases
from rqueue.store.keys import LANES, queue_keys
from rqueue.worker.lease import first_counter
from rqueue.worker.worker import Worker

JOBS = 20_000
SCHEDULES = 500
TEXT = "x" * 100
_AT_ONCE = 100
_LEASE_S = 3600.0


def _app(url: str) -> App:
    app = App(url)

    @app.task
    async def measure(text: str) -> int:
        return len(text)

    @app.task(result_ttl=0)
    async def forget(text: str) -> int:
        return len(text)

    @app.task(retry=Retry(max_attempts=1))
    async def fail(text: str) -> int:
        raise ValueError(text[:20])

    return app


def _fill(app: App, task: str = "measure") -> None:
    call = app.tasks.get(task).call
    app.enqueue_many_sync(call(TEXT) for _ in range(JOBS))


def _delay(app: App) -> None:
    task = app.tasks.get("measure").options(delay=timedelta(hours=1))
    app.enqueue_many_sync(task.call(TEXT) for _ in range(JOBS))


def _lock(app: App) -> None:
    task = app.tasks.get("measure")
    app.enqueue_many_sync(task.options(unique=f"user:{n}").call(TEXT) for n in range(JOBS))


def _hold(app: App) -> None:
    """In the hands of a worker that does nothing with them."""
    _fill(app)
    keys, transport = queue_keys(app.store.namespace, "default"), app.connections.blocking()
    transport.send(leases.register(keys, "holder", first_counter(_LEASE_S)))
    for _ in range(JOBS // _AT_ONCE):
        transport.send(
            entries.fetch(keys, "holder", _AT_ONCE, [(lane, _AT_ONCE) for lane in LANES])
        )


def _run(task: str) -> Callable[[App], None]:
    def go(app: App) -> None:
        _fill(app, task)

        async def drain() -> None:
            await Worker(app, WorkerConfig(burst=True)).run()
            await app.close()

        asyncio.run(drain())

    return go


def _schedule(app: App) -> None:
    call = app.tasks.get("measure").call(TEXT)
    for n in range(SCHEDULES):
        app.schedules_sync.upsert(f"nightly-{n}", call, cron="30 2 * * *")


STATES: Sequence[tuple[str, Callable[[App], None], int]] = (
    ("queued", _fill, JOBS),
    ("queued, with a unique key", _lock, JOBS),
    ("delayed", _delay, JOBS),
    ("running", _hold, JOBS),
    ("ended with a result", _run("measure"), JOBS),
    ("ended, result_ttl=0", _run("forget"), JOBS),
    ("dead", _run("fail"), JOBS),
    ("a schedule", _schedule, SCHEDULES),
)


def weigh(flavour: str, fill: Callable[[App], None], count: int) -> tuple[str, float]:
    """Which server it was, and bytes of each: of a fresh one, which has nothing left to free."""
    with Stand(flavour) as stand:
        app = _app(stand.url)
        app.remote("first", "first").enqueue_sync()
        app.close_sync()
        before = stand.bytes()
        fill(app)
        app.close_sync()
        return stand.version, (stand.bytes() - before) / count


def main() -> None:
    """Print a table."""
    logging.disable()
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--server", choices=("redis", "valkey"), default="valkey")
    flavour = words.parse_args().server
    for name, fill, count in STATES:
        version, each = weigh(flavour, fill, count)
        print(f"{version}  {name:28}{each:8.0f} bytes", flush=True)


if __name__ == "__main__":
    main()
