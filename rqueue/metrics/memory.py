"""What the keys of each queue take: samples, weighed now and then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rqueue.app import App
from rqueue.clock import monotonic
from rqueue.doctor.memory import Budget, budget
from rqueue.store.calls.server import key_count
from rqueue.store.keys import QueueKeys

EVERY_S = 60.0
"""How often keys are weighed: a sample takes Redis some ten milliseconds, in small pieces."""
LONGEST_S = 0.25
"""After so long a look lists no more; a scrape waits for it."""


class Memory:
    """Weighs keys when it is asked, unless it did so of late.

    Args:
        app: whose Redis and namespace.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._known: Mapping[str, int] = {}
        self._weigh_at = 0.0

    def of(self, queues: Sequence[QueueKeys]) -> Mapping[str, int]:
        """Bytes by queue; nothing where this user may not weigh keys, or not list them.

        Raises:
            StoreError: Redis did not answer.
        """
        began = monotonic()
        if began >= self._weigh_at:
            blocking, namespace = self._app.connections.blocking(), self._app.store.namespace
            total: int = blocking.send(key_count())
            found: Budget = blocking.run(
                budget(
                    namespace,
                    queues,
                    total,
                    lambda: monotonic() - began > LONGEST_S,
                    is_plain=True,
                )
            )
            self._known = {} if found.refused else found.queues
            self._weigh_at = monotonic() + EVERY_S
        return self._known
