"""What a handler forks must not go on as a second worker."""

from __future__ import annotations

import logging
import os
from types import TracebackType

logger = logging.getLogger("rqueue")

_FELL_OUT = 70
"""Exit status of a forked child that left its handler; that of an internal error."""

_forks: list[None] = []
"""Grows in a child with every fork that led to it; asking for the process id is a system call."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _forks.append(None))


class OneProcess:
    """Ends a forked child that leaves its handler by another way than ``os._exit``.

    It would go on as a second worker, with the sockets, the lease and the jobs of its parent.
    """

    __slots__ = ("_forks",)

    def __enter__(self) -> None:
        self._forks = len(_forks)

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if len(_forks) != self._forks:
            logger.critical("a forked child left its handler; it ends here, with os._exit")
            status = (error.code or 0) if isinstance(error, SystemExit) else _FELL_OUT
            os._exit(status if isinstance(status, int) else 1)
