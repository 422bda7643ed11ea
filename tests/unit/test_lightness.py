"""Whoever only declares tasks does not wait for what sends and runs them."""

from __future__ import annotations

import subprocess
import sys

DECLARING = """
import sys
from rqueue import App, Retry
app = App()
@app.task(retry=Retry(max_attempts=3))
async def task(text: str) -> int:
    return len(text)
task.call("x")
print(*sys.modules)
"""


RUNNING = """
import sys
from rqueue import App, Scheduler, Worker
app = App()
@app.task
async def task(text: str) -> int:
    return len(text)
Worker(app), Scheduler(app)
print(*sys.modules)
"""


CONNECTING = """
import sys
from rqueue.config import StoreConfig
from rqueue.errors import StoreUnavailable
from rqueue.store.call import Call
from rqueue.store.transport import Transport
transport = Transport(StoreConfig(url="redis://localhost:1", retry_s=0))
try:
    transport.send(Call(("PING",), (), (), bytes))
except StoreUnavailable as error:
    assert " connecting to localhost:1. " in str(error), error
    print(*sys.modules)
"""


def loaded_by(program: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_declaring_tasks_and_making_calls_loads_no_redis() -> None:
    loaded = loaded_by(DECLARING)

    assert "rqueue.task" in loaded
    assert loaded.isdisjoint({"redis", "hiredis", "rqueue.client", "rqueue.worker", "asyncio"})


def test_a_worker_and_a_scheduler_load_nothing_that_only_producers_or_mistakes_need() -> None:
    loaded = loaded_by(RUNNING)

    assert {"rqueue.worker.worker", "rqueue.worker.scheduler"} <= loaded
    assert loaded.isdisjoint(
        {"rqueue.client.client", "rqueue.schedules.faces", "difflib", "zoneinfo"}
    )


def test_blocking_code_looks_a_host_up_without_the_codec_of_international_names() -> None:
    loaded = loaded_by(CONNECTING)

    assert "rqueue.store.blocking" in loaded
    assert loaded.isdisjoint({"encodings.idna", "stringprep", "unicodedata"})
