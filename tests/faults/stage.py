"""The stage of a scenario: a server, processes, a network, and the log of what was done to them."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from rqueue import App
from rqueue.protection import PLAIN, Protection
from rqueue.store import scripts
from rqueue.store.keys import LANES, QueueKeys, workers_registry
from tests.faults import disk
from tests.faults.canaries import PASSWORD
from tests.faults.clock import Clock
from tests.faults.history import History
from tests.faults.network import Network
from tests.faults.process import Actor
from tests.faults.remains import is_past
from tests.faults.tasks import HISTORY, SIGNS
from tests.support.queue_state import QueueState, read_state
from tests.support.servers import Server

LEASE_S = 2.0
NAMESPACE = "faults"
_LOOK_S = 0.02
_DRAIN_S = 60.0
_TWINS_EVERY_S = 0.25
_TICK_S = 0.05
TWINS = """
local seen, twins = {}, {}
local function see(id)
  if seen[id] then twins[#twins + 1] = id end
  seen[id] = true
end
for n = 1, #KEYS - 1 do
  for _, entry in ipairs(redis.call('XRANGE', KEYS[n], '-', '+')) do
    for i = 1, #entry[2], 2 do
      if entry[2][i] == 'i' then see(entry[2][i + 1]) end
    end
  end
end
for _, id in ipairs(redis.call('ZRANGE', KEYS[#KEYS], 0, -1)) do see(id) end
return twins
"""


class Stage:
    """All that one scenario needs; ``with`` it.

    Args:
        folder: for logs and data.
        flavour: which server.
        seed: of all chance here and in the producers.
        size: how many times the small size.
    """

    def __init__(self, folder: Path, flavour: str, seed: int, size: float = 1.0) -> None:
        self.folder = folder
        self.flavour = flavour
        self.seed = seed
        self.size = size
        self.lease_s = LEASE_S
        self.chance = random.Random(seed)
        self.keys = QueueKeys(NAMESPACE, "default")
        self.actors: list[Actor] = []
        self.notes: dict[str, Any] = {}
        self._names = 0
        self._stack = ExitStack()
        self.password = PASSWORD
        self.protection: Protection = PLAIN
        self._twins_at = 0.0
        self.clocked = False
        self.clocks: dict[str, Clock] = {}
        self.network: Network | None = None
        self.appendfsync: Any = "always"
        self._has_server = False

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.history = History(self.folder / "history.jsonl")
        self._stack.callback(self.history.close)
        self._stack.callback(self._end_actors)
        over = threading.Event()
        threading.Thread(target=self._watch_the_machine, args=[over], daemon=True).start()
        self._stack.callback(over.set)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _watch_the_machine(self, over: threading.Event) -> None:
        """Note when nothing ran for a moment: no bound in time holds on a machine that stands."""
        at = time.monotonic()
        while not over.wait(_TICK_S):
            now = time.monotonic()
            if now - at > disk.STALL_S:
                self.history.write("machine stalled", seconds=now - at)
            at = now

    # The server

    def start_server(self, config: dict[str, str] | None = None, *, clock: bool = False) -> None:
        """A server of this flavour that keeps its data; ``clock``: one that can be stepped."""
        before = dict(os.environ)
        if clock:
            self.clock = Clock(self.folder, "server")
            os.environ.update(self.clock.env)
        try:
            self.server = self._stack.enter_context(
                Server(
                    self.flavour,
                    tcp=True,
                    data_dir=self.folder / "data",
                    appendfsync=self.appendfsync,
                    config={"requirepass": PASSWORD, **disk.CONFIG, **(config or {})},
                )
            )
        finally:
            os.environ.clear()
            os.environ.update(before)
        self.url = self.server.url.replace("redis://", f"redis://:{PASSWORD}@")
        self.admin = Redis.from_url(self.url, protocol=2, retry=Retry(NoBackoff(), 0))
        self._stack.callback(self.admin.close)
        self._has_server = True

    def between(self) -> Network:
        """Put a network in front of the server; processes started from now on go through it."""
        self.network = self._stack.enter_context(Network(self.url, self.seed))
        return self.network

    @contextmanager
    def server_down(self, seconds: float) -> Iterator[None]:
        """Kill it, leave it dead for so long, start it again with the data it has."""
        self.history.write("server killed")
        self.server.kill()
        yield
        time.sleep(seconds)
        self.server.restart()
        self.admin.connection_pool.disconnect()
        self.history.write("server back", down=seconds)

    # Processes

    @property
    def env(self) -> dict[str, str]:
        """For whoever shall protect as the processes here do."""
        return {} if self.protection is PLAIN else {SIGNS: "1"}

    def start(self, role: str, **settings: Any) -> Actor:
        """Start one; it is not ready yet."""
        self._names += 1
        name = settings.pop("name", f"{role[0]}{self._names}")
        env = {HISTORY: str(self.history.path), **self.env, **settings.pop("env", {})}
        if self.clocked:
            self.clocks[name] = Clock(self.folder, name)
            self.clocks[name].step(self.chance.uniform(-45, 45))
            env |= self.clocks[name].env
        env["RQUEUE_FAULTS_URL"] = self.network.url if self.network is not None else self.url
        told = {"role": role, "name": name, "namespace": NAMESPACE, **settings}
        if role != "producer":
            told.setdefault("lease_s", self.lease_s)
        if role == "worker":
            told.setdefault("concurrency", 8)
        actor = Actor(self, told, env)
        actor.settings = settings
        self.actors.append(actor)
        return actor

    def workers(self, count: int, **settings: Any) -> list[Actor]:
        return [one.ready() for one in [self.start("worker", **settings) for _ in range(count)]]

    def schedulers(self, count: int = 1, **settings: Any) -> list[Actor]:
        return [one.ready() for one in [self.start("scheduler", **settings) for _ in range(count)]]

    def produce(self, count: float, rate: float, **settings: Any) -> Actor:
        """Send so many jobs, about so many a second."""
        seed = self.chance.randrange(1 << 30)
        return self.start(
            "producer", count=round(count * self.size), rate=rate, seed=seed, **settings
        ).ready()

    def send(self, *jobs: tuple[str, str, list[Any]]) -> float:
        """Send jobs (id, task, arguments) from here; when, by the history's clock."""
        app = App(self.url, namespace=NAMESPACE, protection=self.protection)
        for job_id, task, args in jobs:
            self.history.write("asked", job=job_id, task=task, options={})
            job = app.remote(task).options(job_id=job_id).enqueue_sync(*args)
            self.history.write("answered", job=job_id, status=job.status, holder=job.id)
        app.close_sync()
        return time.monotonic()

    def send_later(self, *jobs: tuple[str, float]) -> None:
        """Send jobs (id, seconds from now) from here."""
        app = App(self.url, namespace=NAMESPACE, protection=self.protection)
        for job_id, delay in jobs:
            self.history.write("asked", job=job_id, task="work", options={"delay": str(delay)})
            job = app.remote("work").options(job_id=job_id, delay=delay).enqueue_sync(0)
            self.history.write("answered", job=job_id, status=job.status, holder=job.id)
        app.close_sync()

    def cast(
        self,
        *,
        jobs: int,
        rate: float,
        workers: int,
        schedulers: int = 1,
        mix: str = "all",
        durable: float = 0.0,
        **settings: Any,
    ) -> None:
        """Schedulers, workers with these settings, and a producer of so many jobs.

        Args:
            jobs: in the small size.
            rate: a second.
            workers: how many.
            schedulers: how many.
            mix: of the kinds of jobs.
            durable: which part of the jobs is enqueued with the durability ``fsync``.
            settings: of the workers.
        """
        self.schedulers(schedulers)
        self.workers(workers, **settings)
        self.produce(jobs, rate, mix=mix, durable=durable)

    def living(self, role: str) -> list[Actor]:
        """Those that run and were not told to end."""
        return [
            one
            for one in self.actors
            if one.role == role and not one.has_ended and not one.is_told_to_end
        ]

    def of_role(self, role: str) -> list[Actor]:
        return [one for one in self.actors if one.role == role]

    # Waiting

    def pause(self, seconds: float) -> None:
        """Let a fault last so long."""
        time.sleep(seconds)

    def until(self, look: Callable[[], Any], seconds: float = 60.0) -> Any:
        """What is seen, once it is true."""
        deadline = time.monotonic() + seconds
        while not (seen := look()):
            self.look_for_twins()
            assert time.monotonic() < deadline, (
                f"still {seen!r} after {seconds} s (seed {self.seed})"
            )
            time.sleep(_LOOK_S)
        return seen

    def has_produced(self) -> bool:
        return all(one.has_ended for one in self.of_role("producer"))

    def is_empty(self) -> bool:
        """Whether no job waits or runs; seen at one moment, as jobs move from place to place."""
        with self.admin.pipeline(transaction=True) as pipe:
            for lane in LANES:
                pipe.xlen(self.keys.stream(lane))
            pipe.zcard(self.keys.schedule)
            return not any(pipe.execute())

    def look_for_twins(self) -> None:
        """Note every job that stands in two places at this moment (I5), and a disk that stalled."""
        if not self._has_server or time.monotonic() < self._twins_at:
            return
        self._twins_at = time.monotonic() + _TWINS_EVERY_S
        places = [*map(self.keys.stream, LANES), self.keys.schedule]
        with suppress(RedisError, OSError):  # the server may be away; that is for others to find
            asked = time.monotonic()
            found: Any = self.admin.eval(TWINS, len(places), *places)
            waited = time.monotonic() - asked
            for job in found:
                self.history.write("twin", job=job.decode())
            if waited > disk.STALL_S and disk.was_waited_for(self.admin, waited):
                self.history.write("machine stalled", seconds=waited)

    def log_slow_scripts(self) -> None:
        """From now on the server notes what each script takes, if it is a millisecond or more."""
        self.admin.config_set("slowlog-log-slower-than", 1000)
        self.admin.config_set("slowlog-max-len", 10_000)
        self.admin.slowlog_reset()

    def slow_scripts(self) -> dict[str, float]:
        """What the slowest call of each script took, ms."""
        names = {one.sha.encode(): one.name for one in scripts.ALL}
        slowest: dict[str, float] = {}
        found: Any = self.admin.slowlog_get(10_000)
        for one in found:
            words = one["command"].split(b" ")
            if words[0] == b"EVALSHA":
                name = names[words[1]]
                slowest[name] = max(slowest.get(name, 0), one["duration"] / 1000)
        return slowest

    def drain(self, seconds: float = _DRAIN_S) -> None:
        """Wait until everything has ended."""
        self.until(self.has_produced, seconds)
        self.until(self.is_empty, seconds)

    def settle(self) -> QueueState:
        """End the workers, let a scheduler clean up, end it as well; what is left in Redis."""
        for actor in self.living("worker"):
            actor.ask_to_end()
        for actor in self.of_role("worker"):
            actor.wait()
        if not self.living("scheduler"):
            self.schedulers(1)
        self.until(self._is_clean, 30)
        # The registry is cleared last, and what a sweep could not clear, by the next one: once a
        # lease. Who is in it after that is told by I14.
        with suppress(AssertionError):
            self.until(lambda: not self._registered(), 3 * self.lease_s)
        for actor in self.living("scheduler"):
            actor.ask_to_end()
            actor.wait()
        self.history.write("registry", workers=self._registered())
        self.history.write("keys", **self._all_keys())
        return read_state(self.admin, self.keys)

    def _all_keys(self) -> dict[str, Any]:
        """How many records the database has, and what else, without the namespace.

        Of the keys of the history also when they expire.
        """
        found: Any = self.admin.keys("*")
        names = [name.decode() for name in found]
        others = [name for name in names if not name.startswith(self.keys.jobs)]
        jobs = len(names) - len(others)
        told = sorted(name.removeprefix(f"{NAMESPACE}:") for name in others)
        left_ms = {name: self.admin.pttl(f"{NAMESPACE}:{name}") for name in told if is_past(name)}
        others = [name for name in told if name not in left_ms]
        return {"jobs": jobs, "others": others, "past": left_ms}

    def _is_clean(self) -> bool:
        state = read_state(self.admin, self.keys)
        return not state.leases and not any(state.groups.values())

    def _registered(self) -> list[str]:
        known: Any = self.admin.hkeys(workers_registry(NAMESPACE))
        return [name.decode() for name in known]

    def _end_actors(self) -> None:
        for actor in self.actors:
            if not actor.has_ended:
                actor.process.send_signal(signal.SIGCONT)
                actor.process.kill()
            actor.process.wait()
            if actor.process.stdin is not None:
                actor.process.stdin.close()
