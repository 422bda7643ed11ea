"""What strangers write into rqueue's fields never breaks a script, and never loses a job."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from rqueue.config import StoreConfig
from rqueue.errors import CorruptKey
from rqueue.job import Delivery
from rqueue.store.calls import entries, jobs, queues, schedule
from rqueue.store.calls.entries import with_uniques
from rqueue.store.calls.info import job_info
from rqueue.store.calls.schedule import Due
from rqueue.store.keys import Field
from rqueue.store.transport import Transport
from tests.support.bench import VERBS, Bench, ending, new_job
from tests.support.queue_state import NOW

FINAL = {"succeeded", "dead", "cancelled", "expired"}
FIELDS = [letter for name, letter in vars(Field).items() if name.isupper() and name != "ERROR"]
JUNK = [b"", b"abc", b"-1", b"1e300", b"nan", b"0x10", b"9" * 15, b"9223372036854775807", b"\xff"]
CASES = {f"j{n}": case for n, case in enumerate((f, junk) for f in FIELDS for junk in JUNK)}
ENDLESS = b"9" * 5000
"""Digits, but more than Python makes a number of."""
NO_COUNTS = [b"", b"abc", b"1.5", b"9223372036854775807"]


def held(queue: Bench) -> dict[str, Delivery]:
    """A job for each case, in the hands of a worker, and its record spoilt."""
    queue.register("w1")
    queue.enqueue(*(new_job(one, unique=one) for one in CASES))
    found = {job.job_id: job for _ in range(3) for job in queue.fetch()}
    spoil(queue)
    return found


def scheduled(queue: Bench) -> None:
    queue.enqueue(*(new_job(one, unique=one, due="+1") for one in CASES))
    spoil(queue)


def dead(queue: Bench) -> None:
    queue.register("w1")
    queue.enqueue(*(new_job(one) for one in CASES))
    found = [job for _ in range(3) for job in queue.fetch()]
    queue.finish(*(ending(job, "bury", detail="failed") for job in found))
    spoil(queue)


def spoil(queue: Bench) -> None:
    with queue.client.pipeline() as pipe:
        for job, (letter, junk) in CASES.items():
            pipe.hset(queue.keys.job(job), letter, junk)
        pipe.execute()


def lost(queue: Bench) -> list[tuple[str, bytes]]:
    """The cases whose job stands nowhere and has not ended."""
    state = queue.exact()
    there = {*state.schedule, *state.dead}
    there |= {one.fields["id"] for found in state.lanes.values() for one in found}
    there |= {job for job, told in state.records.items() if told.get("state") in FINAL}
    return [case for job, case in CASES.items() if job not in there]


def unusual(answers: Iterable[str], *usual: str) -> dict[tuple[str, bytes], str]:
    told = zip(CASES.values(), answers, strict=True)
    return {case: answer for case, answer in told if answer not in usual}


def turned(verb: str) -> dict[tuple[str, bytes], str]:
    """What ends in another way than was sent: a cancel is one, whatever its reason."""
    parked = {(Field.PARKED, b"9" * 15): "bury"} if verb == "park" else {}
    return {(Field.CANCEL, junk): "cancel" for junk in JUNK} | parked


@pytest.mark.parametrize("verb", VERBS)
def test_every_attempt_is_settled(queue: Bench, verb: str) -> None:
    found = held(queue)
    endings = [ending(found[one], verb, detail="9", unique=one) for one in CASES]

    answers = queue.finish(*endings)
    named = queue.run(with_uniques(queue.keys, endings))
    again = queue.finish(*named)

    assert isinstance(again, list)
    settled = [b if a == "undeclared" else a for a, b in zip(answers, again, strict=True)]
    # A name that is no text cannot be declared: that job waits for a repair.
    expected = {(Field.UNIQUE, b"\xff"): "undeclared"} if verb in VERBS[:4] else turned(verb)
    assert unusual(settled, "recorded") == expected
    assert lost(queue) == []


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("written", ["", "abc"])
def test_a_copy_of_a_job_that_ended_is_removed_whatever_its_record_names(
    queue: Bench, verb: str, written: str
) -> None:
    """Otherwise it would stay with its worker, and run again every lease."""
    queue.register("w1")
    queue.enqueue(new_job("j1", due="+5"))
    assert queue.cancel("j1") == "cancelled"  # it never had an entry
    queue.note("j1", Field.ENTRY, written)
    before = queue.state()
    queue.foreign("normal", i="j1", m="call", t="1")
    (copy,) = queue.fetch()

    assert queue.finish(ending(copy, verb, detail="9")) == ["stale"]

    assert queue.state() == before


def test_every_entry_of_a_dead_worker_is_moved(queue: Bench) -> None:
    held(queue)
    queue.fence("w1")

    # Any text there says that somebody cancelled it.
    cancelled = dict.fromkeys(((Field.CANCEL, junk) for junk in JUNK), "cancelled")
    assert unusual(queue.reap(), "suspect") == cancelled
    assert lost(queue) == []


def test_every_due_job_is_promoted(queue: Bench) -> None:
    scheduled(queue)

    assert unusual(queue.promote(*CASES, now=NOW + 5), "promoted") == {}
    assert lost(queue) == []


def asked(act: Callable[[str], str], job: str) -> str:
    try:
        return act(job)
    except CorruptKey:
        return "corrupt"


@pytest.mark.parametrize(
    ("make", "usual"), [(held, "requested"), (scheduled, "cancelled"), (dead, "dead")]
)
def test_a_cancel_is_answered(queue: Bench, make: Callable[[Bench], object], usual: str) -> None:
    make(queue)

    odd = unusual((asked(queue.cancel, one) for one in CASES), usual)

    # Where it stands is not known; or which lock it holds.
    assert {letter for letter, _ in odd} <= {Field.STATE, Field.ENTRY, Field.LANE, Field.UNIQUE}
    assert set(odd.values()) <= {"corrupt", "cancelled"}
    assert lost(queue) == []


def ready(queue: Bench) -> None:
    queue.enqueue(*(new_job(one, unique=one) for one in CASES))
    spoil(queue)


@pytest.mark.parametrize("due", ["+0", "+5000"])
@pytest.mark.parametrize(
    ("make", "usual"),
    [(ready, ""), (held, "running"), (scheduled, ""), (dead, "dead")],
    ids=["ready", "held", "scheduled", "dead"],
)
def test_a_job_is_given_another_time(
    queue: Bench, make: Callable[[Bench], object], usual: str, due: str
) -> None:
    make(queue)
    usual = usual or ("queued" if due == "+0" else "rescheduled")

    def act(job: str) -> str:
        return queue.reschedule(job, due)

    odd = unusual((asked(act, one) for one in CASES), usual)

    # Where it stands is not known.
    assert {letter for letter, _ in odd} <= {Field.STATE, Field.ENTRY, Field.LANE}
    assert set(odd.values()) <= {"corrupt"}
    assert lost(queue) == []


def test_a_dead_job_is_requeued_or_stays_dead(queue: Bench) -> None:
    dead(queue)

    odd = unusual(queue.run(queues.requeue(queue.keys, list(CASES))), "requeued")

    assert {letter for (letter, _), answer in odd.items() if answer == "missing"} == {Field.STATE}
    # A lock whose name is no text can be neither declared nor taken.
    assert {case for case, answer in odd.items() if answer != "missing"} == {
        (Field.UNIQUE, b"\xff")
    }
    assert odd[Field.UNIQUE, b"\xff"] == "corrupt"
    assert lost(queue) == []


@pytest.mark.parametrize("make", [None, dead], ids=["new", "dead"])
def test_a_lane_that_a_stranger_wrote_misleads_no_cancel(queue: Bench, make: Any) -> None:
    if make is None:
        queue.note("j0", Field.LANE, "high")
        assert queue.enqueue(new_job("j0")) == ["accepted"]
    else:
        make(queue)
        queue.client.hset(queue.keys.job("j0"), mapping={"s": "dead", "l": "high"})
        assert queue.run(queues.requeue(queue.keys, ["j0"])) == ["requeued"]

    assert queue.cancel("j0") == "cancelled"

    assert queue.state().lanes == {}


@pytest.mark.parametrize("make", [held, scheduled, dead])
def test_a_client_that_waits_is_answered(queue: Bench, make: Callable[[Bench], object]) -> None:
    make(queue)
    queue.client.hset(queue.keys.job("j0"), Field.STATE, "succeeded")

    for job in CASES:
        assert queue.send(jobs.awaiting(queue.keys, job, "me")).state != "missing"

    assert lost(queue) == []


@pytest.mark.parametrize("make", [held, scheduled, dead])
def test_every_job_is_dropped_when_it_is_dead(
    queue: Bench, make: Callable[[Bench], object]
) -> None:
    make(queue)

    answers = queue.send(queues.discard(queue.keys, list(CASES)))

    assert set(answers) == {"discarded" if make is dead else "missing"}


def test_a_job_of_the_last_lane_starts(queue: Bench) -> None:
    found = held(queue)

    marks = [queue.send(entries.mark(queue.keys, "w1", found[one])) for one in CASES]

    assert unusual(marks, "marked") == {}


@pytest.mark.parametrize("make", [held, scheduled, dead])
def test_every_job_can_be_looked_at(queue: Bench, make: Callable[[Bench], object]) -> None:
    make(queue)
    queue.client.zadd(queue.keys.schedule, {list(CASES)[-1]: "inf"}, xx=True)
    for job in CASES:
        queue.client.hset(queue.keys.job(job), "", "a field without a name")

    told = {job: queue.run(job_info(queue.keys, job)) for job in CASES}

    # Without a state that is known there is no record.
    assert {CASES[job][0] for job, info in told.items() if info is None} == {Field.STATE}


def settle(verb: str) -> Callable[[Bench], None]:
    def act(queue: Bench) -> None:
        assert queue.finish(ending(queue.taken(), verb, detail="9")) == ["recorded"]

    return act


def end_and(act: Callable[[Bench], list[str]]) -> Callable[[Bench], None]:
    def then(queue: Bench) -> None:
        queue.finish(ending(queue.taken(), "bury", detail="failed"))
        assert act(queue) in (["requeued"], ["discarded"])

    return then


def crash(queue: Bench) -> None:
    queue.taken()
    queue.fence("w1")
    assert queue.reap() == ["suspect"]


def come_due(queue: Bench) -> None:
    queue.enqueue(new_job("j2", due="+1"))
    assert queue.promote("j2", now=NOW + 1) == ["promoted"]


def haunt(queue: Bench) -> None:
    queue.client.zadd(queue.keys.schedule, {"nobody": NOW})
    assert queue.promote("nobody") == ["orphan"]


COUNTED: dict[str, Callable[[Bench], object]] = {
    **{verb: settle(verb) for verb in VERBS},
    "enqueue": lambda queue: queue.enqueue(new_job("j2"), new_job("j3")),
    "cancel ": lambda queue: queue.cancel("j1"),
    "reschedule": lambda queue: queue.reschedule("j1", "+5000"),
    "record": lambda q: q.send(
        jobs.record(q.keys, new_job("j2"), "succeeded", 60_000, ("r", b"1"), "1")
    ),
    "requeue": end_and(lambda queue: queue.run(queues.requeue(queue.keys, ["j1"]))),
    "discard": end_and(lambda queue: queue.send(queues.discard(queue.keys, ["j1"]))),
    "reap": crash,
    "promote": come_due,
    "orphan": haunt,
}


@pytest.mark.parametrize("verb", COUNTED)
def test_a_counter_that_cannot_count_is_counted_anew(queue: Bench, verb: str) -> None:
    """All else is as if nobody had written there."""
    counter = verb.strip()
    told = []
    for junk in (b"0", *NO_COUNTS):
        queue.client.delete(*queue.client.keys(f"{queue.keys.namespace}:*") or ["none"])
        queue.enqueue(new_job("j1"))
        queue.client.hset(queue.keys.meta, counter, junk)
        COUNTED[verb](queue)
        told.append(queue.state())

    assert told[0].meta[counter] in ("1", "2")
    assert [one for one in told if one != told[0]] == []


def test_a_duplicate_that_is_waited_for_is_a_write_whatever_the_counter_says(queue: Bench) -> None:
    queue.enqueue(new_job("j1"))
    queue.client.hset(queue.keys.meta, "enqueue", "abc")

    (said,) = queue.send(jobs.enqueue(queue.keys, [new_job("j1")], waits=True))

    assert said.status == "duplicate"
    assert queue.state().meta == {"enqueue": "0"}


def test_the_numbers_of_a_queue_leave_out_what_is_no_number(queue: Bench) -> None:
    queue.enqueue(new_job("j1"))
    for n, junk in enumerate([*JUNK, ENDLESS]):
        queue.client.hset(queue.keys.meta, f"junk{n}", junk)
    queue.client.hset(queue.keys.meta, "cap_waiting", ENDLESS)

    told = queue.run(queues.look(queue.keys))

    assert told.counters == {"enqueue": 1, "junk6": 10**15 - 1, "junk7": 2**63 - 1}
    assert told.cap_waiting is None


@pytest.mark.parametrize("junk", [*JUNK, b"inf", b"-inf"])
def test_a_cap_that_is_no_number_is_none(queue: Bench, junk: bytes) -> None:
    queue.client.hset(queue.keys.meta, mapping={"cap_waiting": junk, "cap_scheduled": junk})

    assert queue.enqueue(new_job("j1"), new_job("j2", due="+1")) == ["accepted"] * 2


def test_a_due_time_that_never_comes_is_far_away(queue: Bench) -> None:
    queue.enqueue(new_job("j1", due="+1"))
    queue.client.zadd(queue.keys.schedule, {"never": "inf", "ever": "-inf"})

    assert queue.send(schedule.due(queue.keys, now=str(NOW + 1))) == Due(["ever", "j1"], 10**15)


def test_who_waits_at_a_channel_that_is_not_allowed_costs_no_ending(
    queue: Bench, url: str, namespace: str
) -> None:
    job = queue.taken(new_job("j1"), new_job("j2"))
    other = queue.held("w1")[1]
    queue.client.hset(queue.keys.waiters, "j1", "not-ours")
    user = f"quiet-{namespace}"
    queue.client.acl_setuser(
        user, enabled=True, nopass=True, commands=["+@all"], keys=["*"], reset_channels=True
    )
    quiet = Transport(StoreConfig(url=url.replace("unix://", f"unix://{user}:any@")))
    try:
        endings = [ending(job, "complete"), ending(other, "retry")]
        answers = quiet.send(entries.finish(queue.keys, "w1", endings))
    finally:
        quiet.close()
        queue.client.acl_deluser(user)

    assert answers == ["recorded", "recorded"]
    assert queue.state().waiters == {}
