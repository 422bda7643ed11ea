"""Entries that somebody else wrote with a plain XADD, and entries of ours without a record."""

from __future__ import annotations

import pytest

from rqueue.store.calls import entries
from rqueue.store.calls.info import job_info
from tests.support.bench import CRASH, Bench, ending
from tests.support.queue_state import ENDED, NOW, QueueState, entry, record


def ours(state: str = "queued", **fields: object) -> dict[str, str]:
    """A record that was made at the job's first transition."""
    return record(state, digest=None, **fields)


def test_a_foreign_job_is_run_and_gets_its_record_at_the_end(queue: Bench) -> None:
    queue.foreign("normal", i="f1", m="call")
    job = queue.taken()

    assert (job.job_id, job.envelope, job.is_foreign) == ("f1", b"call", True)
    assert queue.state().records == {}
    assert queue.finish(ending(job, "complete")) == ["recorded"]

    assert queue.state() == QueueState(
        records={"f1": ours(state="succeeded", entry="gone", finished=NOW, ttl=60)},
        leases={"w1": 1},
        meta={"complete": "1"},
    )


def test_a_completion_of_a_foreign_job_repeated_is_already_there(queue: Bench) -> None:
    queue.foreign("normal", i="f1", m="call")
    job = queue.taken()
    queue.finish(ending(job, "complete"))
    before = queue.exact()

    assert queue.finish(ending(job, "complete")) == ["already"]

    assert queue.exact() == before


def test_a_foreign_job_without_an_id_is_named_after_its_place(queue: Bench) -> None:
    place = queue.foreign("low", m="call")
    job = queue.taken()

    assert job.job_id == f"low-{place}"
    assert queue.finish(ending(job, "retry", ms=0)) == ["recorded"]
    assert queue.promote(job.job_id) == ["promoted"]

    assert queue.state().lanes == {"low": [entry(job.job_id)]}


def test_a_foreign_job_that_waits_is_ours_from_then_on(queue: Bench) -> None:
    queue.foreign("high", i="f1", m="call")
    job = queue.taken()

    assert queue.finish(ending(job, "snooze", ms=5000)) == ["recorded"]

    waits = ours(
        state="scheduled",
        entry="gone",
        envelope="call",
        priority="high",
        token=0,
    )
    assert queue.state() == QueueState(
        records={"f1": waits},
        schedule={"f1": NOW + 5000},
        leases={"w1": 1},
        meta={"snooze": "1"},
    )


def test_a_foreign_job_that_is_released_is_ours_from_then_on(queue: Bench) -> None:
    queue.foreign("high", i="f1", m="call")
    job = queue.taken()

    assert queue.finish(ending(job, "release")) == ["recorded"]

    assert queue.state() == QueueState(
        records={"f1": ours(entry="here", lane="released")},
        lanes={"released": [entry("f1", priority="high")]},
        leases={"w1": 1},
        meta={"release": "1"},
    )


def test_a_foreign_job_that_is_buried_keeps_its_raw_bytes(queue: Bench) -> None:
    queue.client.xadd(queue.keys.stream("normal"), {"i": "f1", "m": b"\xff\x00"})
    job = queue.taken()

    assert queue.finish(ending(job, "bury", detail="decode")) == ["recorded"]

    assert queue.client.hget(queue.keys.job("f1"), "m") == b"\xff\x00"
    assert queue.state().dead == {"f1": NOW}


def test_a_foreign_job_whose_worker_died_is_a_suspect_like_any_other(queue: Bench) -> None:
    queue.foreign("high", i="f1", m="call")
    queue.taken()
    queue.fence("w1")

    assert queue.reap(lane="high") == ["suspect"]

    assert queue.state() == QueueState(
        records={"f1": ours(entry="here", lane="suspect", crashes=1, error_c1=CRASH.decode())},
        lanes={"suspect": [entry("f1", priority="high", crashes=1, crashed_at=NOW)]},
        meta={"reap": "1"},
    )


@pytest.mark.parametrize("verb", ["complete", "retry", "release", "park", "snooze", "expire"])
def test_an_entry_of_ours_without_a_record_is_an_orphan_whatever_came_of_it(
    queue: Bench, verb: str
) -> None:
    queue.foreign("normal", i="j1", m="call", t="3")
    job = queue.taken()

    assert queue.finish(ending(job, verb, detail="9")) == ["bury"]

    orphan = ours(
        state="dead",
        entry="gone",
        reason="orphan",
        envelope="call",
        priority="normal",
        token=3,
        finished=NOW,
    )
    assert queue.state() == QueueState(
        records={"j1": orphan},
        dead={"j1": NOW},
        leases={"w1": 1},
        meta={"bury": "1"},
    )


def test_an_entry_of_ours_without_a_record_is_dead_at_its_first_crash(queue: Bench) -> None:
    queue.foreign("normal", i="j1", m="call", t="3")
    queue.taken()
    queue.fence("w1")

    assert queue.reap() == ["dead"]

    state = queue.state()
    assert state.dead == {"j1": NOW}
    assert state.lanes == {}
    assert state.records["j1"]["reason"] == "orphan"
    assert state.records["j1"]["envelope"] == "call"


@pytest.mark.parametrize("verb", ["release", "retry", "snooze", "park"])
def test_an_entry_without_an_envelope_does_not_vanish(queue: Bench, verb: str) -> None:
    queue.foreign("normal", i="f1", x="nonsense")
    queue.foreign("normal", i="f2", m="call")
    job = queue.taken()
    (_, beside) = queue.held("w1")

    answers = queue.finish(ending(job, verb, detail="9"), ending(beside, "complete"))

    assert answers == ["recorded", "recorded"]
    queue.promote("f1", now=NOW + 60_000)
    state = queue.state()
    assert [found.fields["envelope"] for lane in state.lanes.values() for found in lane] == [""]
    assert state.records["f1"]["state"] == "queued"


def test_an_entry_without_an_envelope_does_not_vanish_when_its_worker_dies(queue: Bench) -> None:
    queue.foreign("normal", i="f1", nonsense="1")
    queue.foreign("normal", i="f2", m="call")
    queue.taken()
    queue.fence("w1")

    assert queue.reap() == ["suspect", "suspect"]

    assert [found.fields["id"] for found in queue.state().lanes["suspect"]] == ["f1", "f2"]


def test_a_foreign_copy_of_a_job_of_ours_is_removed_at_its_end(queue: Bench) -> None:
    queue.foreign("normal", i="f1", m="call")
    queue.foreign("normal", i="f1", m="call")
    first = queue.taken()
    (_, second) = queue.held("w1")

    answers = queue.finish(ending(first, "complete"), ending(second, "complete"))

    assert answers == ["recorded", "stale"]
    assert queue.state() == QueueState(
        records={"f1": ours(state="succeeded", entry="gone", finished=NOW, ttl=60)},
        leases={"w1": 1},
        meta={"complete": "1"},
    )


def test_a_foreign_job_can_be_cancelled_once_it_has_a_record(queue: Bench) -> None:
    queue.foreign("normal", i="f1", m="call")

    assert queue.cancel("f1") == "missing"
    queue.finish(ending(queue.taken(), "snooze", ms=5000))
    assert queue.cancel("f1", "enough") == "cancelled"

    assert queue.state() == QueueState(
        records={
            "f1": ours(state="cancelled", entry="gone", reason="enough", finished=NOW, ttl=ENDED)
        },
        leases={"w1": 1},
        meta={"snooze": "1", "cancel": "1"},
    )


NO_COUNTS = [
    "",
    "one",
    "nan",
    "-nan",
    "inf",
    "-5",
    "0x10",
    "1e300",
    "1.5",
    " 1",
    "9" * 16,
    "9" * 4000,
]


@pytest.mark.parametrize("wrong", NO_COUNTS, ids=lambda text: repr(text[:20]))
def test_a_number_that_is_none_does_not_save_a_job_from_being_dead(
    queue: Bench, wrong: str
) -> None:
    queue.foreign("normal", i="f1", m="call", n=wrong, N=wrong, x=wrong, a=wrong)
    for crashes, lane, worker in ((1, "normal", "w1"), (2, "suspect", "w2"), (3, "last", "w3")):
        job = queue.taken(worker=worker)
        assert (job.attempts, job.crashes) == (0, crashes - 1)
        assert queue.send(entries.mark(queue.keys, worker, job)) in ("marked", "stale")
        queue.fence(worker)
        queue.reap(worker, lane)

    state = queue.state()
    assert state.dead == {"f1": NOW}
    assert (state.records["f1"]["reason"], state.records["f1"]["crashes"]) == ("crashed", "3")


@pytest.mark.parametrize("wrong", NO_COUNTS, ids=lambda text: repr(text[:20]))
def test_a_number_that_is_none_is_not_kept_while_a_job_waits(queue: Bench, wrong: str) -> None:
    queue.foreign("normal", i="f1", m="call", n=wrong, N=wrong, x=wrong)
    job = queue.taken()

    assert queue.finish(ending(job, "snooze", ms=5)) == ["recorded"]

    info = queue.run(job_info(queue.keys, "f1"))
    assert info is not None
    assert (info.state, info.attempts, info.crashes) == ("scheduled", 0, 0)
    assert queue.promote("f1", now=NOW + 5) == ["promoted"]
    assert "crashes" not in queue.state().lanes["normal"][0].fields


def test_ids_that_are_no_text_do_not_pass_for_each_other(queue: Bench) -> None:
    for name in (b"\xff", b"\xfe", b"", b"a b", b"x" * 129):
        queue.foreign("normal", i=name, m="call")
    queue.taken()
    found = queue.held("w1")

    assert [job.job_id for job in found] == [f"normal-{job.entry_id}" for job in found]
    assert queue.finish(*(ending(job, "retry", ms=0) for job in found)) == ["recorded"] * 5

    assert queue.promote(*(job.job_id for job in found)) == ["promoted"] * 5
    assert queue.state().lanes == {"normal": [entry(job.job_id) for job in found]}
