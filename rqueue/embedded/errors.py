"""The one exception of the embedded server."""

from __future__ import annotations

from rqueue.errors import RqueueError


class EmbeddedServerError(RqueueError):
    """The embedded server could not be found, started or reached; the text says why."""
