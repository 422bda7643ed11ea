"""Whether the kernel killed somebody for want of memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def oom_kills() -> int | None:
    """How many processes of our control group the kernel has killed for want of memory.

    None where it does not say (another system, or the root group).
    """
    for file in _oom_counters():
        with contextlib.suppress(OSError):
            words = file.read_text().split()
            if "oom_kill" in words:
                return int(words[words.index("oom_kill") + 1])
    return None


def _oom_counters() -> Iterator[Path]:
    """Where it may say so: in our own group, or in what a container takes for the root of all."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, group = line.split(":", 2)
            if not controllers:
                yield _CGROUPS / group.lstrip("/") / "memory.events"
            elif "memory" in controllers.split(","):
                yield _CGROUPS / "memory" / group.lstrip("/") / "memory.oom_control"
    yield _CGROUPS / "memory.events"
    yield _CGROUPS / "memory" / "memory.oom_control"
