"""How a worker comes to its queues: as soon as Redis answers, however long that takes.

An outage must not end workers that start in it: they would be started over and over.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from rqueue.errors import StoreUnavailable
from rqueue.worker.stopping import unless

logger = logging.getLogger("rqueue")

_PAUSE_S = 1.0

Enter = Callable[[], Coroutine[Any, Any, None]]


class Joining:
    """Tries to join until Redis answers, or until nobody wants that any more.

    Args:
        enter: looks at the server and joins every queue.
        told: set when the worker shall not begin any more.
        is_patient: wait for Redis; else it is an error that it does not answer.

    Attributes:
        has_begun: it tries: the worker's own resources are open.
        trouble: why Redis has not let it in yet, or "".
    """

    def __init__(self, enter: Enter, told: asyncio.Event, *, is_patient: bool) -> None:
        self._enter = enter
        self._told = told
        self._is_patient = is_patient
        self.has_begun = False
        self.trouble = ""

    async def run(self) -> bool:
        """Whether it has joined: not if it was told to stop before.

        Raises:
            ConfigError: the server would break a promise.
            StoreError: it refuses us; or it does not answer, and nobody waits for it.
        """
        self.has_begun = True
        while not await unless(self._told, self._try()):
            if self._told.is_set():
                return False
            await unless(self._told, asyncio.sleep(_PAUSE_S))
        self.trouble = ""
        return True

    async def _try(self) -> bool:
        try:
            await self._enter()
        except StoreUnavailable as error:
            if not self._is_patient:
                raise
            self.trouble = str(error)
            logger.warning("waits for Redis before it takes jobs: %s", error)
            return False
        return True
