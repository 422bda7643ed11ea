"""How a worker comes to its queues: as soon as Redis answers, however long that takes.

An outage must not end workers that start in it: they would be started over and over.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from rqueue.config import WorkerConfig
from rqueue.errors import StoreUnavailable
from rqueue.worker.stopping import Stops, unless

logger = logging.getLogger("rqueue")

_PAUSE_S = 1.0

Step = Callable[[], Coroutine[Any, Any, None]]


class Joining:
    """Tries to join until Redis answers, or until nobody wants that any more.

    Args:
        config: of the worker; in a burst it is an error that Redis does not answer.
        check: looks at the server, each time: it may be another one by then.
        join: joins every queue, or those that are left.
        stops: tell when the worker shall not begin any more.

    Attributes:
        has_begun: it tries: the worker's own resources are open.
        trouble: why Redis has not let it in yet, or "".
        said: what was logged of the server, and need not be again.
    """

    def __init__(self, config: WorkerConfig, check: Step, join: Step, stops: Stops) -> None:
        self._check = check
        self._join = join
        self._told = stops.takes_no_more
        self._is_patient = not config.burst
        self.has_begun = False
        self.trouble = ""
        self.said: set[str] = set()

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
            await self._check()
            await self._join()
        except StoreUnavailable as error:
            if not self._is_patient:
                raise
            self.trouble = str(error)
            logger.warning("waits for Redis before it takes jobs: %s", error)
            return False
        return True
