"""A background duty: a name, a pace, one round. All duties of the event loop have this shape."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Protocol

from rqueue.errors import StoreError

logger = logging.getLogger("rqueue")

_JITTER = 0.1


class Service(Protocol):
    """What a duty is.

    Attributes:
        name: for logs.
    """

    name: str

    async def run_once(self) -> float:
        """Do one round; returns seconds until the next."""
        ...


class ServiceLoop:
    """Runs one duty until it is cancelled. No leader: every round is safe beside others."""

    def __init__(self, service: Service, *, pause_on_error_s: float = 1.0) -> None:
        self._service = service
        self._pause_on_error_s = pause_on_error_s
        self._kicked = asyncio.Event()

    def kick(self) -> None:
        """Run the next round now."""
        self._kicked.set()

    async def run(self) -> None:
        """Round after round; a round that fails is logged, and tried again after a pause."""
        while True:
            self._kicked.clear()
            try:
                pause = await self._service.run_once()
            except StoreError as error:
                logger.warning("%s: %s", self._service.name, error)
                pause = self._pause_on_error_s
            except Exception:
                logger.exception("%s failed; it goes on", self._service.name)
                pause = self._pause_on_error_s
            # Jitter only shortens: what waits for an exact time must not be late.
            spread = random.uniform(1 - _JITTER, 1)
            try:
                async with asyncio.timeout(pause * spread if pause > 1 else pause):
                    await self._kicked.wait()
            except TimeoutError:
                continue
