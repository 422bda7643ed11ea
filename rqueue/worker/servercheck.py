"""Looks at the server before the first job is taken from it."""

from __future__ import annotations

import logging

from rqueue.store.serverfacts import ask_server, facts_of, problems_of, refuse
from rqueue.store.transport import AsyncTransport

logger = logging.getLogger("rqueue")

_LEVELS = {"refuse": logging.WARNING, "warn": logging.WARNING, "note": logging.INFO}


async def check_server(
    transport: AsyncTransport, *, force: bool, wants_fsync: bool = False
) -> None:
    """Log what is wrong with the server; with ``force`` also what would be refused.

    Raises:
        ConfigError: a promise would be broken.
        StoreUnavailable: it gave no answer.
    """
    facts = facts_of(await transport.send_many(ask_server()))
    problems = problems_of(facts, wants_fsync=wants_fsync)
    refuse(problems, force=force)
    for one in problems:
        said = f"FORCED TO RUN: {one.text}" if one.level == "refuse" else one.text
        logger.log(_LEVELS[one.level], "%s", said)
