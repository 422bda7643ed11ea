"""Names of attributes: the messaging conventions of OpenTelemetry (1.44), and our own.

Written out, for they are in development there: their modules move from release to release.
"""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import unquote, urlsplit

SCHEMA = "https://opentelemetry.io/schemas/1.44.0"

SYSTEM = "messaging.system"
OPERATION = "messaging.operation.name"
OPERATION_TYPE = "messaging.operation.type"
DESTINATION = "messaging.destination.name"
MESSAGE_ID = "messaging.message.id"
BATCH_COUNT = "messaging.batch.message_count"
CLIENT_ID = "messaging.client.id"
ADDRESS = "server.address"
PORT = "server.port"
ERROR_TYPE = "error.type"

TASK = "rqueue.task"
PRIORITY = "rqueue.priority"
ATTEMPT = "rqueue.attempt"
WAIT_MS = "rqueue.wait_ms"
OUTCOME = "rqueue.outcome"
REASON = "rqueue.reason"
STATUS = "rqueue.status"
SCHEDULE = "rqueue.schedule"
TICK_MS = "rqueue.tick_ms"
LEFT_OUT = "rqueue.context_left_out"

Attributes = dict[str, str | int]

_PORT = 6379


@lru_cache(maxsize=64)
def server_of(url: str) -> tuple[tuple[str, str | int], ...]:
    """Where a Redis is, without its credentials."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return ((ADDRESS, unquote(parts.path)),)
    try:
        port = parts.port or _PORT
    except ValueError:  # the client says what is wrong with it
        port = _PORT
    return ((ADDRESS, parts.hostname or "localhost"), (PORT, port))


def operation(name: str, queue: str, url: str) -> Attributes:
    """What every span says; an empty queue = several."""
    told: Attributes = {SYSTEM: "rqueue", OPERATION: name, OPERATION_TYPE: name}
    if queue:
        told[DESTINATION] = queue
    told.update(server_of(url))
    return told
