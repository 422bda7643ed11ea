"""Durability: how sure it is that an enqueued job outlives its server when `enqueue` returns."""

from __future__ import annotations

from typing import Any, Literal, get_args

import msgspec

from rqueue.config import check_range
from rqueue.errors import ConfigError

Mode = Literal["local", "fsync", "replicated"]
"""In memory of the primary; on its disk; in memory of its replicas too (``docs/durability.md``)."""


class Durability(msgspec.Struct, frozen=True, kw_only=True):
    """What an enqueue waits for before it returns.

    Attributes:
        mode: ``local`` waits for nothing more, ``fsync`` for the disk, ``replicated`` for replicas.
        replicas: how many must have the job; for ``replicated``.
        timeout_s: how long to wait for them, or for the disk, before ``NotDurable`` is raised.
    """

    mode: Mode = "local"
    replicas: int = 1
    timeout_s: float = 2.0

    def __post_init__(self) -> None:
        """Check every value; a wait of no milliseconds would have no end."""
        if self.mode not in get_args(Mode):
            message = f"durability {self.mode!r:.80} is not one of {', '.join(get_args(Mode))}"
            raise ConfigError(message)
        check_range(self.replicas, "replicas", 1, 100, whole=True)
        check_range(self.timeout_s, "timeout_s", 0.001, 3600)


def durability_of(chosen: Any) -> Durability:
    """A mode by its name, or a ``Durability`` as it is.

    Raises:
        ConfigError: it is neither.
    """
    return chosen if isinstance(chosen, Durability) else Durability(mode=chosen)
