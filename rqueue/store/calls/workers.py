"""The registry of workers, and what is said to one of them, and asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from rqueue.store.call import Call, Flow
from rqueue.store.calls.leases import leases
from rqueue.store.keys import QueueKeys, workers_registry
from rqueue.store.replies import mapping, number, word
from rqueue.store.scripts import DISMISS

_ASKED_MS = 10_000
_TOLD_MS = 30_000


def introduce(namespace: str, worker: str, card: bytes) -> Call[int]:
    """Put a worker into the registry."""
    return Call(("HSET",), (workers_registry(namespace),), (worker, card), number)


def dismiss(namespace: str, worker: str) -> Call[int]:
    """Take a worker out of the registry."""
    return Call(("HDEL",), (workers_registry(namespace),), (worker,), number)


def workers(namespace: str) -> Call[dict[str, bytes]]:
    """Every worker that introduced itself and was not dismissed, and its card."""
    return Call(("HGETALL",), (workers_registry(namespace),), (), mapping)


def tell(keys: QueueKeys, worker: str, order: str) -> Call[int]:
    """Tell a worker to ``stop``, or to be ``quiet``; how many processes listen to that queue."""
    return Call(("PUBLISH",), (keys.control,), (f"{order} {worker}",), number)


def ask(keys: QueueKeys, worker: str, what: str, token: str) -> list[Call[Any]]:
    """Ask a worker something; one whose event loop is blocked finds the question in a key.

    Args:
        keys: of a queue that it serves.
        worker: its name.
        what: ``stacks`` or ``show``.
        token: names the answer.
    """
    question = f"{worker} {what} {token}"
    return [
        Call(("SET",), (keys.asked(worker),), (question, "PX", _ASKED_MS), word),
        Call(("PUBLISH",), (keys.control,), (f"ask {question}",), number),
    ]


def asked(keys: QueueKeys, worker: str) -> Call[str]:
    """What a worker was asked last: its name, what, and the token of the answer; "" if nothing."""
    return Call(("GET",), (keys.asked(worker),), (), _text)


def answer(keys: QueueKeys, token: str, data: bytes) -> Call[str]:
    """What a worker says to that."""
    return Call(("SET",), (keys.told(token),), (data, "PX", _TOLD_MS), word)


def answered(keys: QueueKeys, token: str) -> Call[bytes | None]:
    """What a worker has said; None while it has not."""
    return Call(("GET",), (keys.told(token),), (), _as_is)


def dismiss_fenced(keys: QueueKeys) -> Flow[list[str]]:
    """Take out of the registry who introduced itself for this queue and has no lease on it.

    A worker has its lease before it introduces itself, so the registry is read first. The answer to
    a fence may be lost, and who never held a job has no consumer to be found by.
    """
    known: dict[str, bytes] = yield workers(keys.namespace)
    standing: dict[str, float] = yield leases(keys)
    names = sorted(known.keys() - standing.keys())
    gone = [name for name in names if keys.queue in _served(known[name])]
    if not gone:
        return []
    registry = workers_registry(keys.namespace)
    said = yield [Call(DISMISS, (registry,), (name, known[name]), word) for name in gone]
    return [name for name, answer in zip(gone, said, strict=True) if answer == "dismissed"]


def _text(reply: Any) -> str:
    return "" if reply is None else word(reply)


def _as_is(reply: Any) -> bytes | None:
    return reply


def _served(card: bytes) -> Sequence[str]:
    """The queues that a worker says it serves; none on a card that is not ours."""
    try:
        return msgspec.msgpack.decode(card, type=_Card).queues
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return ()


class _Card(msgspec.Struct):
    queues: tuple[str, ...] = ()
