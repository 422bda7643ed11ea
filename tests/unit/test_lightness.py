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


def test_declaring_tasks_and_making_calls_loads_no_redis() -> None:
    done = subprocess.run(
        [sys.executable, "-c", DECLARING], capture_output=True, text=True, check=True
    )

    loaded = set(done.stdout.split())
    assert "rqueue.task" in loaded
    assert loaded.isdisjoint({"redis", "hiredis", "rqueue.client", "rqueue.worker", "asyncio"})
