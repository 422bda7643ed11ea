"""Any order of the calls keeps the promises: hypothesis plays producers, workers and reapers.

Redis and ``queue_model`` do the same steps and must agree after each. The promises are checked
on what Redis holds alone as well, so that an error in the model cannot hide one in a script.
``RQUEUE_MACHINE_EXAMPLES=2000`` (and ``-o faulthandler_timeout=0``) plays for ten minutes.
"""

from __future__ import annotations

import os
from collections import Counter
from uuid import uuid4

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from rqueue.job import Delivery
from rqueue.names import PRIORITIES
from rqueue.store.calls import entries, leases, queues, schedule
from rqueue.store.keys import LANES, Field
from tests.properties.queue_model import (
    ENDS,
    FINAL,
    PARK_LIMIT,
    WAITS,
    Model,
    seen_entries,
    seen_states,
)
from tests.support.bench import CRASH, Bench, ending, new_job
from tests.support.queue_state import DAY, NOW, QueueState

VERBS = [*ENDS, *WAITS, "release"]
LONG_MS = 600_000
any_of = st.integers(min_value=0, max_value=9)


class Queue(RuleBasedStateMachine):
    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(self.url, f"t{uuid4().hex[:10]}")
        self.keys = self.bench.keys
        self.model = Model(NOW)
        self.deliveries: list[Delivery] = []
        self.workers: list[str] = []
        self.tokens: dict[str, int] = {}
        self.seen = QueueState()
        self.revived: set[str] = set()
        self.register()
        self.register()

    @initialize(caps=st.lists(st.sampled_from([0, 1, 2]), min_size=2, max_size=6))
    def begin(self, caps: list[int]) -> None:
        """Most of what can go wrong needs a few jobs in hand."""
        for n, cap in enumerate(caps):
            self.enqueue("normal", 0, "a" if n == 0 else "", cap)
        self.fetch(0, 2, list(LANES))

    def teardown(self) -> None:
        self.bench.client.delete(*self.bench.client.keys(self.keys.namespace + ":*"))
        self.bench.close()

    @property
    def now(self) -> str:
        return str(self.model.now)

    def some_job(self, n: int) -> str:
        known = list(self.model.jobs)
        return known[-1 - n % len(known)] if known else "nobody"

    def some_letter(self, n: int) -> str:
        """Mostly a dead job."""
        dead = list(self.model.dead)
        return dead[n % len(dead)] if dead and n else self.some_job(n)

    def some_worker(self, n: int) -> str:
        """Mostly one with a lease."""
        among = list(self.model.leases) if n < 8 else self.workers
        return among[n % len(among)] if among else self.workers[0]

    def some_delivery(self, n: int) -> Delivery:
        """Mostly one that its worker still holds."""
        held = [one for one in self.deliveries if self.model.is_held(one)]
        among = held if held and n < 8 else self.deliveries
        return among[-1 - n % len(among)]

    # producers

    @rule(
        priority=st.sampled_from(PRIORITIES),
        delay=st.sampled_from([0, 0, 1, 5000]),
        unique=st.sampled_from(["", "", "a", "b"]),
        cap=st.sampled_from([0, 1, 2]),
    )
    def enqueue(self, priority: str, delay: int, unique: str, cap: int) -> None:
        new = new_job(
            f"j{len(self.model.jobs)}-{uuid4().hex[:4]}",
            priority=priority,
            due=f"+{delay}" if delay else "",
            unique=unique,
            max_crashes=cap,
        )
        expected = self.model.enqueue(new)

        assert self.bench.enqueue(new, now=self.model.now) == [expected]

    @rule(n=any_of, digest=st.sampled_from([b"12345678", b"other"]))
    def enqueue_again(self, n: int, digest: bytes) -> None:
        job = self.model.jobs.get(self.some_job(n))
        if job is None or not job.known:
            return
        again = new_job(job.id, digest=digest)

        assert self.bench.enqueue(again) == [self.model.enqueue(again)]

    @rule(lane=st.sampled_from(PRIORITIES))
    def add_foreign(self, lane: str) -> None:
        job_id = f"f{uuid4().hex[:6]}"
        self.model.foreign(job_id, lane)
        self.bench.foreign(lane, i=job_id, m="call")

    @rule(n=any_of)
    def cancel(self, n: int) -> None:
        job_id = self.some_delivery(n).job_id if n % 2 and self.deliveries else self.some_job(n)
        expected = self.model.cancel(job_id)

        assert self.bench.cancel(job_id, now=self.model.now) == expected

    @rule(n=any_of, delay=st.sampled_from([0, 1, 5000, DAY]))
    def reschedule(self, n: int, delay: int) -> None:
        """Half of them a job that waits for its time, if there is one."""
        waiting = [job.id for job in self.model.waiting()]
        job_id = waiting[n % len(waiting)] if waiting and n % 2 else self.some_job(n)
        expected = self.model.reschedule(job_id, self.model.now + delay)

        assert self.bench.reschedule(job_id, f"+{delay}", now=self.model.now) == expected

    # workers

    @rule()
    def register(self) -> None:
        worker = f"w{len(self.workers)}"
        self.bench.register(worker)
        self.workers.append(worker)
        self.model.leases[worker] = 1

    @rule(n=any_of)
    def renew(self, n: int) -> None:
        worker = self.some_worker(n)
        counter = self.model.leases.get(worker, 0) + 1
        told = self.bench.send(leases.renew(self.keys, worker, counter))

        assert told.is_live == (worker in self.model.leases)
        if told.is_live:
            self.model.leases[worker] = counter
            mine = {job for job, holder in self.model.asked_of().items() if holder == worker}
            assert set(told.cancels) == mine

    @rule(n=any_of, count=st.integers(1, 4), lanes=st.permutations(LANES))
    def fetch(self, n: int, count: int, lanes: list[str]) -> None:
        worker = self.some_worker(n)
        call = entries.fetch(self.keys, worker, count, [(lane, count) for lane in lanes])
        got = self.bench.send(call)

        if worker not in self.model.leases or self.model.paused:
            assert got.status == ("paused" if worker in self.model.leases else "fenced")
            assert got.deliveries == []
            return
        expected = self.model.fetch(worker, count, lanes)
        assert [one.job_id for one in got.deliveries] == [job.id for job in expected]
        for job, one in zip(expected, got.deliveries, strict=True):
            job.entry = one.entry_id
            assert one.token > self.tokens.get(job.id, -1), "a token must grow"
            self.tokens[job.id] = one.token
        self.deliveries += got.deliveries

    @precondition(lambda self: self.deliveries)
    @rule(n=any_of, verb=st.sampled_from(VERBS), ms=st.sampled_from([0, 5000]), times=any_of)
    def finish(self, n: int, verb: str, ms: int, times: int) -> None:
        """Also by workers that were fenced, with entries that moved on, and now and then twice."""
        one = self.some_delivery(n)
        attempts = one.attempts + 1 if verb == "retry" else one.attempts
        settlement = ending(
            one,
            verb,
            ms=ms if verb in WAITS else LONG_MS,
            detail=str(PARK_LIMIT),
            unique=getattr(self.model.jobs.get(one.job_id), "unique", ""),
            fields=(Field.ATTEMPTS, attempts),
        )
        for _ in range(2 if times > 6 else 1):
            expected = self.model.finish(one, verb, ms, self.bench.recorded_entry(one.job_id))
            got = self.bench.finish(settlement, worker=one.worker, now=self.model.now)
            assert got == (expected if expected == "fenced" else [expected])

    finish_another = finish

    @rule(n=any_of)
    def mark(self, n: int) -> None:
        marked = [one for one in self.deliveries if one.lane == "last"]
        one = marked[-1 - n % len(marked)] if marked else None
        if one is None or one.job_id not in self.model.jobs:
            return
        is_current = self.bench.recorded_entry(one.job_id) == one.entry_id
        has_ended = self.model.jobs[one.job_id].state in FINAL
        expected = "marked" if is_current and not has_ended else "stale"
        if one.worker not in self.model.leases:
            expected = "fenced"
        if expected == "marked":
            self.model.jobs[one.job_id].mark = one.entry_id

        assert self.bench.send(entries.mark(self.keys, one.worker, one)) == expected

    # schedulers and reapers

    @rule(ms=st.sampled_from([1, 5000, 60_000, DAY]))
    def advance(self, ms: int) -> None:
        self.model.now += ms

    @rule(limit=st.sampled_from([1, 100]))
    def promote(self, limit: int) -> None:
        moved = self.bench.run(schedule.promote_due(self.keys, limit, self.now))

        assert moved.count == self.model.promote(limit)

    @rule(n=any_of, late=st.booleans())
    def fence(self, n: int, late: bool) -> None:
        worker = self.some_worker(n)
        seen = self.model.leases.get(worker)
        answer = self.bench.send(leases.fence(self.keys, worker, (seen or 1) - late))

        assert answer == ("missing" if seen is None else "alive" if late else "fenced")
        if answer == "fenced":
            del self.model.leases[worker]

    @rule(n=any_of, lane=st.sampled_from(LANES))
    def reap(self, n: int, lane: str) -> None:
        worker = self.workers[n % len(self.workers)]
        moved = self.bench.run(leases.reap(self.keys, worker, lane, CRASH, self.now))

        assert moved == self.model.reap(worker, lane)

    @rule()
    def sweep(self) -> None:
        """Reap everybody who has no lease, then forget them."""
        for one in self.bench.send(leases.look(self.keys, sweep=True)).abandoned or []:
            moved = self.bench.run(leases.reap(self.keys, one.worker, one.lane, CRASH, self.now))
            assert moved == self.model.reap(one.worker, one.lane)
            answers = self.bench.transport.send_many(leases.retire(self.keys, one.worker))
            assert answers[LANES.index(one.lane)] == "retired"

    @rule(ms=st.sampled_from([0, 5000, DAY + 1]))
    def wait(self, ms: int) -> None:
        self.advance(ms)
        self.promote(100)

    @rule(verb=st.sampled_from(VERBS), ms=st.sampled_from([0, 5000]))
    def attempt(self, verb: str, ms: int) -> None:
        """One more attempt of what is next."""
        self.wait(5000)
        self.fetch(0, 1, list(LANES))
        if self.deliveries:
            self.finish(0, verb, ms, times=0)

    @rule(n=any_of, mark=st.booleans(), again=st.booleans())
    def kill(self, n: int, mark: bool, again: bool) -> None:
        """A worker dies with what it holds, and another one comes."""
        self.fetch(n, 2, list(LANES) if again else [])
        if mark:
            self.mark(0)
        self.fence(n, late=False)
        self.sweep()
        self.register()

    # operators

    @rule()
    def pause(self) -> None:
        expected = "already" if self.model.paused else "paused"
        assert self.bench.send(queues.pause(self.keys, self.now)) == expected
        self.model.paused = True

    @rule()
    def resume(self) -> None:
        expected = "resumed" if self.model.paused else "already"
        assert self.bench.send(queues.resume(self.keys)) == expected
        self.model.paused = False

    @rule(n=any_of)
    def requeue(self, n: int) -> None:
        job_id = self.some_letter(n)
        answer = self.bench.run(queues.requeue(self.keys, [job_id]))

        assert answer == [self.model.requeue(job_id)]
        self.revived.add(job_id)

    @rule(n=any_of)
    def discard(self, n: int) -> None:
        job_id = self.some_letter(n)
        answer = self.bench.send(queues.discard(self.keys, [job_id]))

        assert answer == [self.model.discard(job_id)]

    # promises

    @invariant()
    def redis_and_the_model_agree(self) -> None:
        state = self.bench.exact()
        model = self.model
        assert seen_entries(state.lanes) == model.entries()
        assert seen_states(state.records) == model.states()
        assert state.schedule == {job.id: job.due for job in model.waiting()}
        assert state.dead == model.dead
        assert state.leases == model.leases
        assert state.cancels == model.asked_of()
        assert state.unique == model.locks()
        assert ("paused" in state.meta) == model.paused
        counts = {name: int(n) for name, n in state.meta.items() if name != "paused"}
        assert counts == +model.counts
        assert state.strange == {}
        self.check_promises(state)
        self.seen, self.revived = state, set()

    def check_promises(self, state: QueueState) -> None:
        placed = Counter([*state.schedule, *state.dead])
        for found in state.lanes.values():
            placed.update(one.fields["id"] for one in found)
        live = {job for job, told in state.records.items() if told["state"] not in FINAL}

        assert set(placed.values()) <= {1}, "a job in two places"
        assert live <= set(placed), "a job that waits nowhere"
        assert {job for job in placed if job[0] == "j"} <= set(state.records), "an orphan"
        assert set(state.unique.values()) <= live, "a lock without a holder"
        for job, before in self.seen.records.items():
            after = state.records.get(job)
            if job in self.revived or after is None:
                continue
            assert int(after.get("attempts", 0)) >= int(before.get("attempts", 0))
            assert before["state"] not in FINAL or after["state"] == before["state"]


def test_any_order_of_calls_keeps_the_promises(
    valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Hypothesis would search five minutes for the shortest example: longer than a test may hang.
    monkeypatch.setattr("hypothesis.internal.conjecture.engine.MAX_SHRINKING_SECONDS", 60)

    class OnThisServer(Queue):
        url = valkey_url

    run_state_machine_as_test(
        OnThisServer,
        settings=settings(
            max_examples=int(os.environ.get("RQUEUE_MACHINE_EXAMPLES", "70")),
            stateful_step_count=60,
            derandomize=False,
            print_blob=True,
        ),
    )
