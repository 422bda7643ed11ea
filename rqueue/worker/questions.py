"""What others ask a worker: how it fares, and where its code is."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from rqueue.clock import monotonic
from rqueue.errors import StoreError
from rqueue.store.calls import workers
from rqueue.store.keys import QueueKeys
from rqueue.store.transport import AsyncTransport, Transport

logger = logging.getLogger("rqueue")

_LOOK_S = 1.0
"""How often a worker whose event loop is blocked looks for questions."""
_REMEMBERED = 100
"""Whoever gets no answer asks again; that is no other question."""
_MOST = 10
"""Answers within a second, whoever asks: the jobs come first. Who got none asks again."""
_LONGEST_TOKEN = 64
Answers = dict[str, Callable[[], object]]
"""What may be asked, and what makes the answer; any thread may call it."""


class Questions:
    """Answers in the event loop, or in the heartbeat's thread while the loop does not turn.

    Args:
        answers: by what is asked.
    """

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._heard: deque[str] = deque(maxlen=_REMEMBERED)
        self._answered: deque[float] = deque(maxlen=_MOST)
        self._look_at = 0.0

    async def hear(self, transport: AsyncTransport, keys: QueueKeys, asked: str) -> None:
        """Somebody has asked this worker something."""
        try:
            if (answer := self._answer(keys, asked)) is not None:
                await transport.send(answer)
        except StoreError as error:
            self._heard.clear()  # whoever asks again is to be answered then
            logger.warning("a question was not answered: %s", error)
        except Exception:
            logger.exception("a question was not answered")

    def look(self, transport: Transport, served: Sequence[tuple[QueueKeys, str]]) -> None:
        """Look whether somebody has, as nothing is heard while the loop is blocked.

        Args:
            transport: the thread's own.
            served: the queues, and the worker's name in each.
        """
        if monotonic() < self._look_at:
            return
        self._look_at = monotonic() + _LOOK_S
        try:
            for keys, worker in served:
                asked = transport.send(workers.asked(keys, worker))
                if (answer := self._answer(keys, asked)) is not None:
                    transport.send(answer)
        except StoreError as error:
            logger.debug("no questions: %s", error)

    def _answer(self, keys: QueueKeys, asked: str) -> Any:
        _, what, token, *_ = *asked.split(" ", 2), "", "", ""
        if not 0 < len(token) <= _LONGEST_TOKEN or what not in self._answers:
            return None
        if token in self._heard or self._is_busy():
            return None
        self._heard.append(token)
        logger.info("asked from elsewhere: %s", what)
        return workers.answer(keys, token, msgspec.msgpack.encode(self._answers[what]()))

    def _is_busy(self) -> bool:
        """Whether enough was answered of late; if not, one more is."""
        now, times = monotonic(), self._answered
        if len(times) == _MOST and now - times[0] < 1.0:
            return True
        times.append(now)
        return False
