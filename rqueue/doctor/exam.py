"""What the checks judge: how the server was reached, and one or two looks at what it holds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from rqueue import inspection
from rqueue.clock import monotonic
from rqueue.config import StoreConfig
from rqueue.doctor.memory import LONGEST_S, Budget, budget
from rqueue.doctor.roles import NEEDED, example
from rqueue.errors import StoreError, StoreUnavailable
from rqueue.store.call import Call, Flow
from rqueue.store.calls import server as calls
from rqueue.store.calls.health import QueueHealth, queue_health
from rqueue.store.calls.queues import queues
from rqueue.store.calls.server import ServerState
from rqueue.store.keys import queue_keys
from rqueue.store.transport import Transport

T = TypeVar("T")
MOST_QUEUES = 100
"""Queues that are looked at, the first by name."""
TRIPS = 20
"""Trips whose times are taken."""


def _wall_s() -> float:
    return time.time()


class Clocks(NamedTuple):
    """The clocks of this machine, and how to wait."""

    monotonic: Callable[[], float] = monotonic
    wall_s: Callable[[], float] = _wall_s
    pause: Callable[[float], None] = time.sleep


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """How the server is reached, and as whom.

    Attributes:
        url: as it was given.
        user: the name there; None = not told.
        lacking: role -> commands that this user may not run; None = not told.
        trips_ms: what empty trips took, each.
        scripts_ms: what trips through the interpreter took; None = this user may not.
        ahead_s: by how much this machine's clock is ahead of the server's.
        blur_s: by how much that may be wrong, either way.
    """

    url: str
    user: str | None
    lacking: Mapping[str, Sequence[str]] | None
    trips_ms: Sequence[float]
    scripts_ms: Sequence[float] | None
    ahead_s: float
    blur_s: float


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What there is at one moment.

    Attributes:
        arrived: when it began, by this machine's monotonic clock.
        before: how the server fared then, without our own looking.
        at: when it ended.
        server: how the server fared then.
        budget: what its keys take.
        queues: how each queue fares; None = this user may not list them.
        unreadable: queue -> why it could not be looked at.
        unseen: queues that were not looked at because there are so many.
        cards: what workers said of themselves; None = not told.
    """

    arrived: float
    before: ServerState
    at: float
    server: ServerState
    budget: Budget
    queues: Mapping[str, QueueHealth] | None
    unreadable: Mapping[str, StoreError]
    unseen: int
    cards: Mapping[str, Mapping[str, Any]] | None


class Exam(msgspec.Struct, frozen=True, kw_only=True):
    """All that was seen.

    Attributes:
        namespace: that was looked at.
        contact: how.
        first: the first look.
        second: the one after a pause; None = there was none.
        roles: what this user must be able to be; none = whatever it can.
        wants_fsync: whether a producer's jobs are to be on disk when it is answered.
    """

    namespace: str
    contact: Contact
    first: Look
    second: Look | None
    roles: Sequence[str]
    wants_fsync: bool = False

    @property
    def last(self) -> Look:
        """The latest look."""
        return self.second or self.first

    @property
    def span_s(self) -> float:
        """Seconds between the two looks; 0 = there is one."""
        return self.second.at - self.first.at if self.second else 0.0


def examine(
    transport: Transport,
    *,
    pause_s: float = 0.0,
    roles: Sequence[str] = (),
    wants_fsync: bool = False,
    clocks: Clocks | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Exam:
    """Look, and look again after a pause. It writes nothing.

    Args:
        transport: to the server.
        pause_s: seconds between the two looks; 0 = one look, and no trend.
        roles: what this user must be able to be; none = whatever it can.
        wants_fsync: whether durability ``fsync`` is asked for.
        clocks: of this machine.
        say: hears what it is busy with.

    Raises:
        StoreUnavailable: the server gives no answer.
    """
    clocks = clocks or Clocks()
    contact = reach(transport, clocks)
    first, second = look(transport, clocks), None
    if pause_s:
        say(f"looking again in {pause_s:g} s, for the trend")
        clocks.pause(pause_s)
        second = look(transport, clocks)
    return Exam(
        namespace=transport.config.namespace,
        contact=contact,
        first=first,
        second=second,
        roles=roles,
        wants_fsync=wants_fsync,
    )


def reach(transport: Transport, clocks: Clocks) -> Contact:
    """Say hello: who one is, what one may, how long it takes, what the time is."""
    config = transport.config
    user = transport.send(calls.who_am_i())
    scripts = None
    if transport.send(calls.empty_script()):
        scripts = _times(transport, calls.empty_script(), clocks)
    ahead, blur = _clock(transport, clocks)
    return Contact(
        url=config.url,
        user=user,
        lacking=None if user is None else transport.run(_lacking(config.namespace, user)),
        trips_ms=_times(transport, calls.ping(), clocks),
        scripts_ms=scripts,
        ahead_s=ahead,
        blur_s=blur,
    )


def look(transport: Transport, clocks: Clocks) -> Look:
    """Look at the server, at each queue, and at samples of the keys."""
    config, arrived = transport.config, clocks.monotonic()
    before: ServerState = transport.run(calls.server_state())
    # Before the leases: a worker has its lease before it introduces itself.
    cards = _or_none(lambda: transport.run(inspection.workers(config.namespace)))
    names = _or_none(lambda: transport.send(queues(config.namespace)))
    found, unreadable = _queues(transport, config, (names or ())[:MOST_QUEUES])
    keys = [queue_keys(config.namespace, name) for name in (names or ())[:MOST_QUEUES]]
    listing = clocks.monotonic()
    weighed: Budget = transport.run(
        budget(
            config.namespace, keys, transport.send(calls.key_count()),
            lambda: clocks.monotonic() - listing > LONGEST_S,
        )
    )  # fmt: skip
    # Last, so that what our own looking takes of its memory is in both looks alike.
    state: ServerState = transport.run(calls.server_state())
    return Look(
        arrived=arrived,
        before=before,
        at=clocks.monotonic(),
        server=state,
        budget=weighed,
        queues=None if names is None else found,
        unreadable=unreadable,
        unseen=len((names or ())[MOST_QUEUES:]),
        cards=cards,
    )


def _queues(
    transport: Transport, config: StoreConfig, names: Sequence[str]
) -> tuple[dict[str, QueueHealth], dict[str, StoreError]]:
    found: dict[str, QueueHealth] = {}
    unreadable: dict[str, StoreError] = {}
    for name in names:
        try:
            found[name] = transport.run(queue_health(queue_keys(config.namespace, name)))
        except StoreUnavailable:
            raise
        except StoreError as error:
            unreadable[name] = error
    return found, unreadable


def _or_none(ask: Callable[[], T]) -> T | None:
    """The answer; None where Redis refuses to give it."""
    try:
        return ask()
    except StoreUnavailable:
        raise
    except StoreError:
        return None


def _lacking(namespace: str, user: str) -> Flow[dict[str, Sequence[str]] | None]:
    commands = sorted({one for needed in NEEDED.values() for one in needed})
    asked = [calls.may_run(user, example(one, namespace)) for one in commands]
    allowed: dict[str, bool | None] = dict(zip(commands, (yield asked), strict=True))
    if None in allowed.values():
        return None
    return {
        role: [one for one in sorted(needed) if not allowed[one]] for role, needed in NEEDED.items()
    }


def _times(transport: Transport, call: Call[Any], clocks: Clocks) -> list[float]:
    found: list[float] = []
    for _ in range(TRIPS):
        began = clocks.monotonic()
        transport.send(call)
        found.append((clocks.monotonic() - began) * 1000)
    return found


def _clock(transport: Transport, clocks: Clocks) -> tuple[float, float]:
    """Seconds that we are ahead, and by how much that may be wrong: of the shortest trip."""
    found: list[tuple[float, float]] = []
    for _ in range(TRIPS):
        began, wall = clocks.monotonic(), clocks.wall_s()
        there = transport.send(calls.time_s())
        half = (clocks.monotonic() - began) / 2
        found.append((half, wall + half - there))
    blur, ahead = min(found)
    return ahead, blur
