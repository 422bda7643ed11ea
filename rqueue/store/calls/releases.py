"""Which releases of an app declare the schedules of a queue."""

from __future__ import annotations

from typing import Any

from rqueue.store.call import Call
from rqueue.store.keys import QueueKeys
from rqueue.store.replies import mapping, word
from rqueue.store.scripts import STAND


def stand(keys: QueueKeys, release: str, life_ms: int, now: str = "") -> Call[str]:
    """Whether a set of declared schedules is the latest that runs: "stands" or "yields"."""
    return Call(STAND, (keys.releases,), (now, release, life_ms), word)


def releases(keys: QueueKeys) -> Call[dict[str, tuple[int, int]]]:
    """Every set of declared schedules: ms since when it runs, and until when that counts."""

    def parse(reply: Any) -> dict[str, tuple[int, int]]:
        told = {name: value.split(b" ") for name, value in mapping(reply).items()}
        return {
            name: (int(words[0]), int(words[1]))
            for name, words in told.items()
            if len(words) == 2 and all(one.isdigit() for one in words)
        }

    return Call(("HGETALL",), (keys.releases,), (), parse).or_absent([])
