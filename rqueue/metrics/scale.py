"""``/scale/QUEUE``: how many replicas there should be, steadily."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from http import HTTPStatus

import msgspec

from rqueue.app import App
from rqueue.clock import monotonic
from rqueue.errors import ConfigError, StoreError
from rqueue.scaling import Demand, Hold

HOLD_S = 300.0
_MOST_DIGITS = 7


class Scale:
    """Asks Redis what queues demand, and lets that fall slowly.

    Args:
        app: whose Redis and namespace.
        hold_s: for how long a lower demand has to last until it counts.
        slots: jobs that a replica runs at a time; None = as the workers say that are there.
    """

    def __init__(self, app: App, hold_s: float = HOLD_S, slots: int | None = None) -> None:
        self._app = app
        self.slots = slots
        self._hold = Hold(hold_s)
        self._lock = threading.Lock()

    def of(self, queues: Sequence[str], slots: int | None = None) -> Demand:
        """What these queues demand, if the same workers serve them.

        Args:
            queues: their names.
            slots: of one replica, where the one who asks knows better.

        Raises:
            ConfigError: a name or a number is not allowed.
            StoreError: Redis does not answer.
        """
        asked = self.slots if slots is None else slots
        return self.held(self._app.inspector_sync.demand(*queues, slots=asked), asked)

    def held(self, demand: Demand, slots: int | None = None) -> Demand:
        """What was demanded of late, at the most, by whoever asked for as many slots."""
        asked = f"{demand.queue}?{slots or ''}"
        with self._lock:
            held = self._hold.held(asked, demand.desired, monotonic())
        return msgspec.structs.replace(demand, desired=held)

    def answer(self, name: str, query: str) -> tuple[HTTPStatus, bytes]:
        """A queue, or several with commas in between, as JSON.

        ``slots=N`` in the query tells how many a replica has.

        Without Redis there is no number, and it is not 0: whoever scales has to keep what is there.
        """
        try:
            return HTTPStatus.OK, msgspec.json.encode(self.of(name.split(","), _slots(query)))
        except ConfigError as error:
            return HTTPStatus.BAD_REQUEST, _told(error)
        except StoreError as error:
            return HTTPStatus.SERVICE_UNAVAILABLE, _told(error)


def _slots(query: str) -> int | None:
    """What a query says of them; a misspelt one must not pass for none."""
    if not query:
        return None
    name, _, number = query.partition("=")
    if name == "slots" and number.isdecimal() and len(number) <= _MOST_DIGITS:
        return int(number)
    message = f"{query:.100} is not understood: slots=N tells how many slots a replica has"
    raise ConfigError(message)


def _told(error: Exception) -> bytes:
    return msgspec.json.encode({"error": str(error)})
