"""What others tell a worker while it works: stop this job, leave this queue alone, end."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from rqueue.store.keys import QueueKeys
from rqueue.store.subscription import Subscription
from rqueue.store.transport import AsyncTransport
from rqueue.worker.membership import Membership
from rqueue.worker.running import Running


class Orders(msgspec.Struct, frozen=True):
    """What a worker does when it is told to.

    Attributes:
        kick: look for jobs now.
        stop: take no more jobs, and end.
        quiet: take no more jobs.
        ask: answer a question (worker, what, token) under these keys.
    """

    kick: Callable[[], None]
    stop: Callable[[], None]
    quiet: Callable[[], None]
    ask: Callable[[QueueKeys, str], None]


def control(
    transport: AsyncTransport, membership: Membership, running: Running, orders: Orders
) -> Subscription:
    """The subscription of a worker's queues.

    Its messages only make things quick: a lost ``cancel`` comes again with the next renewal, a
    lost ``pause`` is seen by the next fetch, which is made when this connects anew, and behind the
    next job. A lost ``stop``, ``quiet`` or ``ask`` has to be said again: who says it hears how many
    have heard it, or gets no answer.
    """
    leases = {lease.keys.control: lease.queue for lease in membership}

    def on_message(channel: str, text: str) -> None:
        queue = leases[channel]
        verb, _, about = text.partition(" ")
        if verb == "cancel":
            running.stop_job(queue, about)
        elif verb in ("pause", "resume"):
            membership.of(queue).is_paused = verb == "pause"
            orders.kick()
        elif about.partition(" ")[0] == membership.of(queue).worker:
            if verb == "stop":
                orders.stop()
            elif verb == "quiet":
                orders.quiet()
            elif verb == "ask":
                orders.ask(membership.of(queue).keys, about)

    return Subscription(transport, list(leases), on_message, orders.kick)
