"""``rqueue demo``: a real job on real processes, one of which is killed, and the sums afterwards.

Everything it claims is read back from Redis; it keeps no books of its own beside the ids it got.
"""

from __future__ import annotations

from pathlib import Path

from rqueue.config import LeaseConfig, check_range
from rqueue.demo.failure import DemoFailed
from rqueue.demo.run import Plan, play
from rqueue.demo.stage import Stage
from rqueue.embedded import EmbeddedServerError
from rqueue.errors import RqueueError

__all__ = ["run_demo"]


def run_demo(directory: Path | None, *, lease: float = 2.0, workers: int = 2) -> int:
    """Index a source tree, kill a worker half-way, prove that nothing was lost.

    Args:
        directory: a tree with Python files; None = the running interpreter's standard library.
        lease: seconds after which a silent worker is dead.
        workers: worker processes.

    Returns:
        The exit code: 0; 1 when a sum does not add up or a process died by itself; 2 when there
        is nothing to index or no server to run; 130 after Ctrl-C.

    Raises:
        ConfigError: ``lease`` or ``workers`` is out of bounds.
    """
    LeaseConfig(lease_s=lease)
    check_range(workers, "workers", 1, 64, whole=True)
    stage = Stage()
    try:
        return play(Plan(directory=directory, lease_s=lease, workers=workers), stage)
    except KeyboardInterrupt:
        stage.complain("stopped; every process and file of the demo is gone")
        return 130
    except DemoFailed as error:
        stage.complain(str(error))
        return error.exit_code
    except EmbeddedServerError as error:
        stage.complain(f"the demo runs a Valkey of its own, and could not: {error}")
        return 2
    except RqueueError as error:
        stage.complain(f"{type(error).__name__}: {error}")
        return 1
