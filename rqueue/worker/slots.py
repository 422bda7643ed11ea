"""How many jobs a worker may run, and how many it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import ceil, sqrt


class Slots:
    """Slots are taken when an entry is received and given back when its handler has ended.

    Attributes:
        size: how many there are.
        taken: how many jobs run.
        suspects: how many of them are suspects.
        is_closed: whether none is free any more, though some may be empty.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.taken = 0
        self.suspects = 0
        self.is_closed = False
        self.on_suspect_ended: Callable[[], None] = lambda: None
        self._changed = asyncio.Event()
        self._is_watched = False

    @property
    def free(self) -> int:
        """How many entries may be received."""
        return 0 if self.is_closed else self.size - self.taken

    @property
    def suspects_allowed(self) -> int:
        """How many more suspects may run: at most the root of the slots at a time.

        One at a time kept 50 innocents of a crashed worker waiting for 15 s; all at a time lets
        one poison kill them together again.
        """
        return ceil(sqrt(self.size)) - self.suspects

    def take(self, lane: str) -> None:
        """One job more runs."""
        self.taken += 1
        self.suspects += lane == "suspect"

    def give_back(self, lane: str) -> None:
        """One job fewer runs."""
        self.taken -= 1
        if lane == "suspect":
            self.suspects -= 1
            self.on_suspect_ended()
        self.stir()

    def close(self) -> None:
        """Let nothing begin any more."""
        self.is_closed = True

    def stir(self) -> None:
        """Let who waits look again."""
        if self._is_watched:
            self._changed.set()

    def wake(self) -> None:
        """Let who waits look again, and who is about to wait."""
        self._changed.set()

    async def changed(self, seconds: float) -> None:
        """Return when a slot is given back, or who waits is woken; or after ``seconds``."""
        self._is_watched = True
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return
        finally:
            self._is_watched = False
            self._changed.clear()
