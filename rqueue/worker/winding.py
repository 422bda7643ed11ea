"""The end of a worker's work: what runs may end, for a while, and the rest goes back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Set as AbstractSet

from rqueue.clock import monotonic
from rqueue.worker.finisher import Finisher
from rqueue.worker.running import Running
from rqueue.worker.stopping import Stops

logger = logging.getLogger("rqueue")

_GIVE_BACK_S = 2.0
"""How long a worker tries to give back what did not end in time; without Redis it is in vain."""


async def wind_up(
    fetching: asyncio.Task[None], running: Running, finisher: Finisher, stops: Stops
) -> bool:
    """Let jobs end for ``grace`` once it was told to stop, then give the rest back at once.

    Returns:
        Whether every job that was begun also ended, and its end was written.
    """
    ended = asyncio.create_task(_all_ended(fetching, running))
    over = asyncio.create_task(stops.grace())
    try:
        await asyncio.wait({ended, over}, return_when=asyncio.FIRST_COMPLETED)
        is_clean = ended.done()
    finally:  # also when cancelled here: nobody else would end them
        ended.cancel()
        over.cancel()
    if not is_clean:
        logger.warning("gives back jobs=%d", running.stop_all())
    deadline = monotonic() + _GIVE_BACK_S
    await running.wait(_GIVE_BACK_S)
    return await finisher.drain(max(0.0, deadline - monotonic())) and is_clean


async def _all_ended(fetching: asyncio.Task[None], running: Running) -> None:
    """Wait until nothing is fetched and nothing runs any more."""
    await asyncio.wait({fetching})
    await running.wait(None)


def is_stuck(running: Running, threads: AbstractSet[object]) -> bool:
    """Whether nothing is in hand but what holds one of these threads."""
    prepared = [one.prepared for one in running.attempts()]
    return all(one is not None and one.thread in threads for one in prepared)
