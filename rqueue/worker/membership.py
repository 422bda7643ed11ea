"""A worker's leases on its queues: joining, rejoining under a new name, leaving."""

from __future__ import annotations

import logging
import os
import platform
import socket
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version

import msgspec

from rqueue.clock import monotonic, now_ms
from rqueue.config import StoreConfig, WorkerConfig
from rqueue.errors import StoreError, StoreFull, StoreUnavailable
from rqueue.store.call import Call
from rqueue.store.calls import leases, queues, workers
from rqueue.store.keys import queue_keys
from rqueue.store.transport import AsyncTransport
from rqueue.worker.lease import QueueLease, new_worker_id

logger = logging.getLogger("rqueue")


def _release() -> str:
    try:
        return version("rqueue")
    except PackageNotFoundError:  # a bundle that left the metadata out
        return ""


_RELEASE = _release()


class Membership:
    """One lease for each queue; all under one name until one of them is fenced.

    Args:
        transport: of the worker's loop.
        store: for the namespace.
        config: which queues, and the lease's length.
        prefix: how the worker's names begin; a supervisor knows its children by it.
    """

    def __init__(
        self,
        transport: AsyncTransport,
        store: StoreConfig,
        config: WorkerConfig,
        prefix: str,
    ) -> None:
        self._transport = transport
        self._store = store
        self._config = config
        self._prefix = prefix
        self._by_queue: dict[str, QueueLease] = {}
        self._state = "working"
        self._since_ms = now_ms()
        self.on_joined: Callable[[QueueLease], None] = lambda _lease: None
        self.on_restored: Callable[[QueueLease], None] = lambda _lease: None

    def peers(self) -> int:
        """How many workers serve a queue of its, itself among them: of the most served one."""
        return max((lease.peers for lease in self._by_queue.values()), default=1)

    def __iter__(self) -> Iterator[QueueLease]:
        """The present lease of every queue."""
        return iter(self._by_queue.values())

    def of(self, queue: str) -> QueueLease:
        """The present lease on a queue."""
        return self._by_queue[queue]

    async def join_all(self) -> None:
        """Join every queue. Where Redis fails half-way, it is called again, and goes on there."""
        name = new_worker_id(self._prefix)
        for share in self._config.queues:
            if share.name in self._by_queue:
                continue
            await self._tell(queues.announce(self._store.namespace, share.name))
            await self._join(share.name, name)
        for lease in self:
            await self._introduce(lease)

    async def rejoin(self, lease: QueueLease) -> None:
        """Come back to a queue under a new name, after its lease was taken away.

        Where Redis fails half-way, it is called again.
        """
        if self._by_queue.get(lease.queue) is lease:
            await self._join(lease.queue, new_worker_id(self._prefix))
        # The card of the old name must not speak for this queue any more.
        for one in [one for one in self if not one.is_fenced]:
            await self._introduce(one)

    async def restore_groups(self, lease: QueueLease) -> bool:
        """Make the groups again that somebody destroyed; False when the lease is gone as well."""
        answer = await self._transport.send(leases.restore(lease.keys, lease.worker))
        if answer == "restored":
            logger.warning(
                "restored groups queue=%s: somebody had destroyed them. Jobs whose entries went "
                "along are lost",
                lease.queue,
            )
            self.on_restored(lease)
        return answer in ("restored", "standing")

    async def declare(self, state: str) -> None:
        """Tell everybody how this worker stands: ``working``, ``quiet`` or ``stopping``."""
        self._state = state
        for lease in [one for one in self if not one.is_fenced]:
            try:
                await self._introduce(lease)
            except StoreError as error:  # it is only for those who look
                logger.debug("not declared: %s", error)

    async def leave_all(self) -> None:
        """Give up every lease and forget the consumers; what is left pending is reaped."""
        for lease in self:
            lease.is_fenced = True
            try:
                await self._transport.send(leases.fence(lease.keys, lease.worker))
                await self._transport.send_many(leases.retire(lease.keys, lease.worker))
                await self._transport.send(workers.dismiss(self._store.namespace, lease.worker))
            except StoreError as error:
                logger.warning("left queue=%s without a word: %s", lease.queue, error)

    async def _join(self, queue: str, name: str) -> None:
        keys = queue_keys(self._store.namespace, queue)
        while True:
            lease = QueueLease(keys, name, self._config.lease.lease_s)
            sent = monotonic()
            try:
                answer = await self._transport.send(leases.register(keys, name, lease.counter))
            except StoreUnavailable:
                # Whether it registered is unknown; that name is never used again.
                name = new_worker_id(self._prefix)
                await self._transport.send(leases.leases(keys))
                continue
            if answer == "registered":
                break
            name = new_worker_id(self._prefix)
        lease.renewed(sent)
        self._by_queue[queue] = lease
        self.on_joined(lease)

    async def _introduce(self, lease: QueueLease) -> None:
        card = {
            "queues": [one.queue for one in self if one.worker == lease.worker],
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "python": platform.python_version(),
            "rqueue": _RELEASE,
            "concurrency": self._config.concurrency,
            "processes": self._config.processes,
            "since": self._since_ms,
            "state": self._state,
        }
        packed = msgspec.msgpack.encode(card)
        await self._tell(workers.introduce(self._store.namespace, lease.worker, packed))

    async def _tell(self, call: Call[int]) -> None:
        """Write to a registry; when Redis is full the backlog must drain all the same."""
        try:
            await self._transport.send(call)
        except StoreFull as error:
            logger.warning("not in the registry: %s", error)
