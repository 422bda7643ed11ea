"""What others tell a worker while it works: stop this job, leave this queue alone, go on."""

from __future__ import annotations

from collections.abc import Callable

from rqueue.store.subscription import Subscription
from rqueue.store.transport import AsyncTransport
from rqueue.worker.membership import Membership
from rqueue.worker.running import Running


def control(
    transport: AsyncTransport,
    membership: Membership,
    running: Running,
    kick: Callable[[], None],
) -> Subscription:
    """The subscription of a worker's queues.

    Its messages only make things quick: a lost ``cancel`` comes again with the next renewal, a
    lost ``pause`` is seen by the next fetch, which is made when this connects anew, and behind the
    next job.
    """
    leases = {lease.keys.control: lease.queue for lease in membership}

    def on_message(channel: str, text: str) -> None:
        queue = leases[channel]
        verb, _, job_id = text.partition(" ")
        if verb == "cancel":
            running.stop_job(queue, job_id)
        elif verb in ("pause", "resume"):
            membership.of(queue).is_paused = verb == "pause"
            kick()

    return Subscription(transport, list(leases), on_message, kick)
