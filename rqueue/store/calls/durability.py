"""What is sent behind an enqueue, on the same connection, to hear how durable it is.

``WAIT`` and ``WAITAOF`` speak of what their own connection wrote: sent over another one they
answer for nothing, and say yes.
"""

from __future__ import annotations

from typing import Any, NoReturn

import msgspec

from rqueue.durability import Durability
from rqueue.errors import ConfigError
from rqueue.store.call import Call, Flow
from rqueue.store.replies import number, texts

_ELSE = "or choose another durability (docs/durability.md)"


class Confirmation(msgspec.Struct, frozen=True):
    """How a trip learns that its jobs are as durable as was wished.

    Attributes:
        wish: what is met then.
        call: answers how many copies there are; None = the enqueue's own answer says it all.
        wanted: copies that there must be, on disks or in replicas.
    """

    wish: Durability
    call: Call[int] | None = None
    wanted: int = 0


def confirmation(wish: Durability) -> Flow[Confirmation]:
    """How to confirm an enqueue on this server; asked before the first job is sent.

    Raises:
        ConfigError: this server cannot promise it, or does not let this user ask.
    """
    if wish.mode == "local":
        return Confirmation(wish)
    wait_ms = round(wish.timeout_s * 1000)
    if wish.mode == "replicated":
        yield Call(("WAIT",), (), (0, 1), number).on_refusal(_no_wait)
        asked = Call(("WAIT",), (), (wish.replicas, wait_ms), number).waiting(wish.timeout_s)
        return Confirmation(wish, asked.on_refusal(_no_wait), wish.replicas)
    if (yield Call(("WAITAOF",), (), (1, 0, 1), lambda _: True).on_refusal(_has_no_waitaof)):
        asked = Call(("WAITAOF",), (), (1, 0, wait_ms), _on_disk).waiting(wish.timeout_s)
        return Confirmation(wish, asked.on_refusal(_has_no_waitaof), 1)
    yield Call(("INFO",), (), ("persistence",), _check_aof).on_refusal(_no_look)
    yield Call(("CONFIG", "GET"), (), ("*appendfsync*",), _check_always).on_refusal(_no_look)
    return Confirmation(wish)


def _on_disk(reply: Any) -> int:
    return number(reply[0])


def _no_wait(refusal: str) -> NoReturn:
    raise ConfigError(
        f"durability 'replicated' asks Redis by WAIT, and it was not allowed. {refusal}. Grant "
        f"+wait to this user, {_ELSE}"
    )


def _has_no_waitaof(refusal: str) -> bool:
    if "unknown command" in refusal:
        return False
    if "appendonly" in refusal:
        raise ConfigError(_NO_AOF)
    raise ConfigError(
        f"durability 'fsync' asks Redis by WAITAOF, and it was not allowed. {refusal}. Grant "
        f"+waitaof to this user, {_ELSE}"
    )


_NO_AOF = (
    "durability 'fsync' needs an append-only file, and this Redis keeps none: set appendonly yes, "
    f"{_ELSE}"
)


def _check_aof(reply: Any) -> None:
    if b"aof_enabled:1" not in bytes(reply):
        raise ConfigError(_NO_AOF)


def _check_always(reply: Any) -> None:
    told = texts(reply)
    settings = dict(zip(told[::2], told[1::2], strict=True))
    # The second one suspends the first while Redis writes a snapshot or a shorter file.
    for name, needed in (("appendfsync", "always"), ("no-appendfsync-on-rewrite", "no")):
        if settings.get(name) != needed:
            raise ConfigError(
                f"durability 'fsync' needs {name} {needed} on a Redis without WAITAOF, and this "
                f"one has {name} {settings.get(name)}: set it, upgrade to Redis 7.2 or Valkey 8, "
                f"{_ELSE}"
            )


def _no_look(refusal: str) -> NoReturn:
    raise ConfigError(
        "durability 'fsync' needs appendfsync always on a Redis without WAITAOF, and this user "
        f"may not look. {refusal}. Grant +info and +config|get to it, {_ELSE}"
    )
