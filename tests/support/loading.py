"""A server that takes its time to load its data, and answers LOADING meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from redis import Redis
from redis.exceptions import BusyLoadingError, RedisError

from rqueue.embedded import EmbeddedServer
from tests.support.clients import client
from tests.support.waiting import PATIENCE_S, within

KEYS = 600
_KEY_BYTES = 100_000
SLOW = {"key-load-delay": "4000", "rdbcompression": "no"}
"""Loads ``KEYS`` for two seconds, and answers after every 2 MB: to greet it takes some answers."""


def fill(redis: Redis) -> None:
    """Keys that are loaded one by one."""
    for number in range(KEYS):
        redis.set(f"k{number}", "x" * _KEY_BYTES)
    redis.bgrewriteaof()

    def is_rewritten() -> bool:
        told: Any = redis.info("persistence")
        return not told["aof_rewrite_in_progress"]

    within(PATIENCE_S, is_rewritten)


@contextmanager
def loading(server: EmbeddedServer) -> Generator[None]:
    """Start it again; within, it loads."""
    restarting = threading.Thread(target=server.restart)

    def is_loading() -> bool:
        try:
            with client(server.url) as redis:
                redis.dbsize()
        except BusyLoadingError:
            return True
        except RedisError:
            return False
        return False

    server.kill()
    restarting.start()
    within(PATIENCE_S, is_loading)
    yield
    restarting.join()
