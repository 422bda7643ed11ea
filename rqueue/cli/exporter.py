"""``rqueue exporter``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from rqueue.cli.options import Logging, Target, bundled, duration, option, with_logging, with_target

if TYPE_CHECKING:
    from rqueue.app import App


@dataclass(frozen=True)
class Listening:
    """Where it is scraped."""

    host: str
    port: int
    slots: int | None
    hold: float


with_listening = bundled(
    "listening",
    Listening,
    option("--host", default="0.0.0.0", help="Address to listen on."),  # noqa: S104 - to be scraped is its purpose
    option("--port", type=click.IntRange(0, 65535), default=9464, help="0 = any that is free."),
    option(
        "--slots", type=click.IntRange(1, 1_000_000),
        help="Jobs that a worker replica runs at a time.  [default: as the workers say]",
    ),
    option(
        "--hold", type=duration, default="5m",
        help="For how long fewer replicas must be enough until /scale says so.",
    ),
)  # fmt: skip


@click.command()
@with_target
@with_listening
@with_logging
def exporter(target: Target, listening: Listening, logs: Logging) -> None:
    """Serve what Redis knows of the queues to Prometheus. One for a namespace is enough.

    It needs no code: without an app, --url and --namespace say what it looks at. /metrics is for
    Prometheus, /scale/QUEUE says how many worker replicas there should be; /livez and /readyz are
    for whoever keeps it running: /readyz says no while Redis does not answer.
    """
    from rqueue.cli.connecting import app_for_questions
    from rqueue.cli.logs import log_to_stderr
    from rqueue.cli.serving import serve

    log_to_stderr(logs)
    serve(run_exporter(app_for_questions(target), listening))


async def run_exporter(app: App, listening: Listening) -> int:
    """Serve until a signal; the exit code."""
    import asyncio

    from rqueue import metrics
    from rqueue.cli.output import note
    from rqueue.cli.serving import on_signals, on_stacks_signal
    from rqueue.metrics.scale import Scale

    stopped = asyncio.Event()
    on_signals(stopped.set, "stops")
    on_stacks_signal()
    scale = Scale(app, listening.hold, listening.slots)
    with metrics.exporter(app, listening.host, listening.port, scale) as endpoint:
        note(f"metrics of namespace {app.store.namespace} at {endpoint.url}/metrics")
        await stopped.wait()
    await app.close()
    return 0
