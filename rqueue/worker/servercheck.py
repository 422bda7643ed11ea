"""Looks at the server before the first job is taken from it."""

from __future__ import annotations

import logging
from typing import Protocol

from rqueue.durability import Durability
from rqueue.registry import TaskRegistry
from rqueue.store.serverfacts import ask_server, facts_of, problems_of, refuse
from rqueue.store.transport import AsyncTransport

logger = logging.getLogger("rqueue")

_LEVELS = {"refuse": logging.WARNING, "warn": logging.WARNING, "note": logging.INFO}


class Promising(Protocol):
    """An app, as far as it says what its producers are promised."""

    durability: Durability
    tasks: TaskRegistry


def wants_fsync(app: Promising) -> bool:
    """Whether the app, or one of its tasks, is to be as durable as the server's disk."""
    own = (task.declared.durability for task in app.tasks)
    return any(one is not None and one.mode == "fsync" for one in (app.durability, *own))


async def check_server(
    transport: AsyncTransport,
    *,
    force: bool,
    wants_fsync: bool = False,
    said: set[str] | None = None,
) -> None:
    """Log what is wrong with the server; with ``force`` also what would be refused.

    Args:
        transport: to it.
        force: refuse nothing.
        wants_fsync: whether jobs must be on its disk.
        said: what was logged before and is not again; grows.

    Raises:
        ConfigError: a promise would be broken.
        StoreUnavailable: it gave no answer.
    """
    facts = facts_of(await transport.send_many(ask_server()))
    problems = problems_of(facts, wants_fsync=wants_fsync)
    refuse(problems, force=force)
    for one in problems:
        text = f"FORCED TO RUN: {one.text}" if one.level == "refuse" else one.text
        if said is None or text not in said:
            logger.log(_LEVELS[one.level], "%s", text)
        if said is not None:
            said.add(text)
