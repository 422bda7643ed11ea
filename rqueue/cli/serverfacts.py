"""What a Redis says of itself, and what of that would lose jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rqueue.store.call import Call


@dataclass(frozen=True)
class ServerFacts:
    """Which server answered, and how it treats what it stores."""

    product: str
    version: str
    policy: str
    maxmemory: int

    def warnings(self) -> list[str]:
        """What should be set otherwise before jobs are trusted to it."""
        if self.policy in ("", "noeviction"):
            return []
        warning = (
            f"maxmemory-policy is {self.policy}: when memory is short, Redis throws jobs away "
            "without a word. Set it to noeviction"
        )
        return [warning]


def ask_server() -> list[Call[dict[str, str]]]:
    """The trips that ``facts_of`` reads."""
    return [Call(("INFO",), (), (section,), _fields) for section in ("server", "memory")]


def facts_of(answers: list[dict[str, str]]) -> ServerFacts:
    """The facts in what a server answered."""
    server, memory = answers
    is_valkey = "valkey_version" in server
    return ServerFacts(
        product="Valkey" if is_valkey else "Redis",
        version=server.get("valkey_version") or server.get("redis_version", "unknown"),
        policy=memory.get("maxmemory_policy", ""),
        maxmemory=int(memory.get("maxmemory", 0)),
    )


def _fields(reply: Any) -> dict[str, str]:
    text = bytes(reply).decode("utf-8", "replace")
    pairs = (line.partition(":") for line in text.splitlines() if not line.startswith("#"))
    return {name: value for name, colon, value in pairs if colon}
