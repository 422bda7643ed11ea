"""Redis as any client sees it."""

from __future__ import annotations

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry


def client(url: str) -> Redis:
    """A plain client that answers bytes and never tries twice."""
    return Redis.from_url(url, protocol=2, retry=Retry(NoBackoff(), 0))
