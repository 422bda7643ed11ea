"""Where a worker's metrics and probes are served, and how finely it measures."""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from rqueue.cli.options import bundled, option

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from rqueue.config import Buckets, WorkerConfig
    from rqueue.metrics.endpoints import Health
    from rqueue.worker.readings import Readings


def bounds(value: str) -> tuple[float, ...]:
    """Seconds, ascending, with commas in between: ``0.1,1,10``."""
    try:
        return tuple(float(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r}: write seconds like 0.1,1,10") from None


@dataclass(frozen=True)
class Exposure:
    """What of a worker can be seen from outside, and where."""

    metrics_port: int | None
    metrics_host: str
    metrics_errors: bool
    run_buckets: tuple[float, ...] | None
    wait_buckets: tuple[float, ...] | None

    @property
    def buckets(self) -> Buckets:
        """Those that are told, and the usual ones for the others.

        Raises:
            ConfigError: they do not ascend.
        """
        from rqueue.config import RUN_S, WAIT_S, Buckets

        return Buckets(self.run_buckets or RUN_S, self.wait_buckets or WAIT_S)

    def with_buckets(self, config: WorkerConfig) -> WorkerConfig:
        """The settings of a worker that counts so."""
        import msgspec

        return msgspec.structs.replace(config, buckets=self.buckets)

    def serving(self, read: Callable[[], Readings], health: Health) -> AbstractContextManager[Any]:
        """Serve this while the block runs, if a port was told."""
        return nullcontext() if self.metrics_port is None else self._serving(read, health)

    @contextmanager
    def _serving(self, read: Callable[[], Readings], health: Health) -> Generator[None]:
        import logging

        from rqueue.metrics import WorkerMetrics, of_work

        told = WorkerMetrics(read, self.buckets, with_errors=self.metrics_errors)
        with of_work([told], health, self.metrics_host, self.metrics_port or 0) as endpoint:
            logging.getLogger("rqueue").info("metrics at %s/metrics", endpoint.url)
            yield

    def arguments(self) -> list[str]:
        """What a child is called with; it serves nothing itself."""
        words: list[str] = []
        for name, told in (("run", self.run_buckets), ("wait", self.wait_buckets)):
            if told is not None:
                words += [f"--{name}-buckets", ",".join(f"{bound!r}" for bound in told)]
        return words


def probed(health: Health, host: str, port: int | None) -> AbstractContextManager[Any]:
    """Serve probes, and metrics of the process, while the block runs, if a port was told."""
    return nullcontext() if port is None else _probed(health, host, port)


@contextmanager
def _probed(health: Health, host: str, port: int) -> Generator[None]:
    import logging

    from rqueue.metrics import of_work

    with of_work((), health, host, port) as endpoint:
        logging.getLogger("rqueue").info("metrics at %s/metrics", endpoint.url)
        yield


with_port = option(
    "--metrics-port", type=click.IntRange(0, 65535),
    help="Serve /metrics, /livez, /readyz and /startupz here; 0 = any port that is free."
    "  [default: nowhere]",
)  # fmt: skip
with_host = option("--metrics-host", default="0.0.0.0", help="Address to serve them on.")  # noqa: S104 - to be scraped is its purpose
with_exposure = bundled(
    "exposure",
    Exposure,
    with_port,
    with_host,
    option("--metrics-errors", is_flag=True, help="Count failures by the type of exception too."),
    option("--run-buckets", type=bounds, help="Buckets of what attempts take: 0.1,1,10."),
    option("--wait-buckets", type=bounds, help="Buckets of how long jobs wait."),
)  # fmt: skip
