"""One process of the demo: ``python -m rqueue.demo.member worker|scheduler NAME URL LEASE``.

It says ``ready`` on its standard output, and ends with its standard input: that is closed when the
demo ends, also by SIGKILL.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
import warnings

from rqueue.config import LeaseConfig, QueueShare, WorkerConfig
from rqueue.demo.tasks import QUEUE, app
from rqueue.worker.scheduler import Scheduler
from rqueue.worker.worker import Worker

CONCURRENCY = 16
_GRACE_S = 1.0


def main() -> None:
    """Serve until SIGTERM."""
    role, name, url, lease = sys.argv[1:]
    logging.basicConfig(level=logging.WARNING)
    warnings.simplefilter("ignore")  # of the files that are parsed; they are not ours
    threading.Thread(target=_end_with_parent, daemon=True).start()
    app.use(url=url)
    asyncio.run(_serve(role, name, LeaseConfig(lease_s=float(lease))))


async def _serve(role: str, name: str, lease: LeaseConfig) -> None:
    if role == "scheduler":
        part = Scheduler(app, [QUEUE], lease)
    else:
        config = WorkerConfig(
            queues=(QueueShare(QUEUE),), concurrency=CONCURRENCY, lease=lease, grace_s=_GRACE_S
        )
        part = Worker(app, config, name)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, part.stop)
    running = asyncio.create_task(part.run())
    ready = asyncio.create_task(part.ready.wait())
    await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
    if ready.done():
        print("ready", flush=True)
    ready.cancel()
    await running


def _end_with_parent() -> None:
    os.read(0, 1)  # sys.stdin has a lock that would hinder an ordinary end
    os._exit(1)


if __name__ == "__main__":
    main()
