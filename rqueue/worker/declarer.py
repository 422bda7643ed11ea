"""The declarer: the schedules in an app's code are those in Redis."""

from __future__ import annotations

import logging
from collections.abc import Container, Mapping
from hashlib import blake2b

from rqueue.config import StoreConfig
from rqueue.declaring import DeclaredSchedule
from rqueue.schedule import Schedule
from rqueue.schedules import putting
from rqueue.schedules.making import plan_of, scheduled
from rqueue.store.call import Flow
from rqueue.store.calls import cron, releases
from rqueue.store.calls.cron import Plan
from rqueue.store.keys import queue_keys
from rqueue.store.transport import AsyncTransport

logger = logging.getLogger("rqueue")

PACE_S = 30.0
"""Between two looks at who declares."""
LIFE_MS = 90_000
"""A release of which nobody was heard for so long does not run any more."""


class Declarer:
    """Puts what is declared on one queue, changes what was changed, takes away what is gone.

    While two releases run side by side the one that came last declares; the other looks again now
    and then, and takes over when that one is gone. So a deploy and a roll-back need nothing else.
    """

    def __init__(
        self,
        transport: AsyncTransport,
        store: StoreConfig,
        queue: str,
        declared: Mapping[str, DeclaredSchedule],
        elsewhere: Container[str] = (),
    ) -> None:
        self.name = f"declarer of queue {queue}"
        self._transport = transport
        self._store = store
        self._elsewhere = elsewhere
        self._keys = queue_keys(store.namespace, queue)
        self._schedules = {
            name: scheduled(name, one.call(), dict(one.settings)) for name, one in declared.items()
        }
        revisions = {name: self._plan(one).revision for name, one in self._schedules.items()}
        told = "".join(f"{name}={revisions[name]};" for name in sorted(revisions))
        self._release = blake2b(told.encode(), digest_size=8).hexdigest()

    async def run_once(self) -> float:
        """Declare, unless a later release does; seconds until the next look."""
        stand = releases.stand(self._keys, self._release, LIFE_MS)
        if await self._transport.send(stand) == "stands":
            for name, said in (await self._transport.run(self._declare())).items():
                logger.info("schedule %s of queue %s: %s", name, self._keys.queue, said)
        return PACE_S

    def _declare(self) -> Flow[dict[str, str]]:
        """What became of each schedule that was not as it is declared."""
        known: dict[str, str] = yield cron.listed(self._store.namespace)
        theirs = yield from self._theirs(known)
        here = sorted(name for name, queue in known.items() if queue == self._keys.queue)
        plans: list[Plan | None] = (yield cron.planned(self._keys, here)) if here else []
        there = {plan.name: plan for plan in plans if plan is not None}
        said: dict[str, str] = {}
        for name, schedule in self._schedules.items():
            plan = there.get(name)
            is_right = (
                plan is not None
                and plan.revision == self._plan(schedule).revision
                and plan.origin == "code"
            )
            if not (is_right or known.get(name) in theirs):
                said[name] = yield from putting.upsert(self._store, schedule, "code")
        for name, plan in there.items():
            if plan.origin == "code" and not (name in self._schedules or name in self._elsewhere):
                yield cron.forget(self._keys, name, seen=plan.revision)
                yield cron.strike(self._store.namespace, name)
                said[name] = "removed: it is not declared any more"
        return said

    def _theirs(self, known: Mapping[str, str]) -> Flow[set[str]]:
        """Queues where schedules of these names stand, and where a later release declares."""
        mine = self._keys.queue
        queues = {known.get(name, mine) for name in self._schedules} - {mine}
        if not queues:
            return queues
        here, now_ms, *there = yield [
            releases.releases(self._keys),
            cron.time_ms(),
            *(releases.releases(queue_keys(self._store.namespace, one)) for one in sorted(queues)),
        ]
        since = here.get(self._release, (now_ms, 0))[0]
        return {
            queue
            for queue, rivals in zip(sorted(queues), there, strict=True)
            if any(came > since and ends >= now_ms for came, ends in rivals.values())
        }

    def _plan(self, schedule: Schedule) -> Plan:
        return plan_of(schedule, "code", self._store.protection)


def declarers(
    transport: AsyncTransport,
    store: StoreConfig,
    queues: Mapping[str, Mapping[str, DeclaredSchedule]],
) -> list[Declarer]:
    """One for each queue of which tasks are declared."""
    names = {name for declared in queues.values() for name in declared}
    return [
        Declarer(transport, store, queue, declared, names - declared.keys())
        for queue, declared in queues.items()
    ]
