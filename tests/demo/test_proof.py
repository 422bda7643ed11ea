from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from rqueue.clock import from_ms
from rqueue.demo.desk import Kill, Sent
from rqueue.demo.measures import measure, percentile
from rqueue.demo.proof import Evidence, Sum, sums
from rqueue.job import AttemptError, JobInfo, JobState
from rqueue.store.calls.queues import QueueInfo

BEGIN = from_ms(1_800_000_000_000)
KILL_AT = BEGIN.timestamp() + 3.0
CRASH = AttemptError(attempt=0, type="WorkerDied", worker="demo-1-abc")


def at(seconds: float):
    return BEGIN + timedelta(seconds=seconds)


def record(job_id: str, task: str, start: float = 1.0, **changed) -> JobInfo:
    told = {
        "state": JobState.SUCCEEDED,
        "attempts": 1,
        "created_at": BEGIN,
        "started_at": at(start),
        "finished_at": at(start + 1),
        "result": b"\x80",
    }
    return JobInfo(id=job_id, queue="default", task=task, **{**told, **changed})


def good() -> Evidence:
    """Two files, one of them delayed, one recovered; a flaky and a doomed job."""
    sent = (
        Sent(id="a", task="index_file", priority="high"),
        Sent(id="b", task="index_file", priority="low", delay_s=5.0),
        Sent(id="f", task="flaky", priority="normal"),
        Sent(id="d", task="doomed", priority="normal"),
        Sent(id="p", task="ping", priority="normal"),
    )
    records = [
        record("a", "index_file", start=5.5, errors=(CRASH,)),
        record("b", "index_file", start=5.0),
        record("f", "flaky", attempts=3),
        record("d", "doomed", state=JobState.DEAD, attempts=2, result=None),
        record("p", "ping", start=0.002),
    ]
    queue = QueueInfo(
        name="default", ready={}, running=0, scheduled=0, dead=1, workers=2, is_paused=False,
        counters={"enqueue": 5, "complete": 4, "bury": 1},
    )  # fmt: skip
    kill = Kill(member="demo-1", pid=1, worker="demo-1-abc", at=KILL_AT, held=frozenset({"a"}))
    by_id = {info.id: info for info in records}
    return Evidence(sent=sent, records=by_id, queue=queue, kill=kill, files=2)


def changed(job_id: str, **fields) -> Evidence:
    evidence = good()
    record = msgspec.structs.replace(evidence.records[job_id], **fields)
    return msgspec.structs.replace(evidence, records={**evidence.records, job_id: record})


def queue_with(**fields) -> Evidence:
    evidence = good()
    queue = msgspec.structs.replace(evidence.queue, **fields)
    return msgspec.structs.replace(evidence, queue=queue)


def counting(**counters: int) -> Evidence:
    return queue_with(counters={**good().queue.counters, **counters})


def holding(*ids: str) -> Evidence:
    evidence = good()
    kill = msgspec.structs.replace(evidence.kill, held=frozenset(ids))
    return msgspec.structs.replace(evidence, kill=kill)


def without_record(job_id: str) -> Evidence:
    evidence = good()
    left = {key: info for key, info in evidence.records.items() if key != job_id}
    return msgspec.structs.replace(evidence, records=left)


def broken(evidence: Evidence) -> dict[str, str]:
    return {one.claim: one.numbers for one in sums(evidence) if not one.holds}


ENDED = "enqueued = succeeded + dead"
LOST = "no job was lost"
TWICE = "no job was recorded twice"
FILES = "every file has its index"
RECOVERED = "the killed worker's jobs were recovered"
EARLY = "no delayed job started early"
FLAKY = "flaky failed twice, then succeeded"
DEAD = "only the doomed job is dead"
EMPTY = "the queue is empty"


def test_a_clean_run_adds_up() -> None:
    assert broken(good()) == {}
    assert [one.claim for one in sums(good())] == [
        ENDED, LOST, TWICE, FILES, RECOVERED, EARLY, FLAKY, DEAD, EMPTY,
    ]  # fmt: skip


def test_a_job_without_a_record_is_lost() -> None:
    found = broken(without_record("a"))

    assert found[LOST] == "1 gone"
    assert found[ENDED] == "5 = 3 + 1"
    assert found[FILES] == "1 results for 2 files"
    assert found[RECOVERED] == "1 held, 0 recovered"


@pytest.mark.parametrize("state", ["queued", "running", "scheduled", "cancelled", "expired"])
def test_a_job_that_neither_succeeded_nor_died_is_lost(state: str) -> None:
    assert broken(changed("p", state=JobState(state)))[LOST] == f"1 {state}"


def test_a_job_that_redis_took_in_and_nobody_sent_is_noticed() -> None:
    assert broken(counting(enqueue=6)) == {ENDED: "5 = 4 + 1, but Redis took in 6"}


@pytest.mark.parametrize("counters", [{"complete": 5}, {"bury": 2}, {"complete": 5, "bury": 0}])
def test_an_ending_recorded_twice_is_noticed(counters: dict[str, int]) -> None:
    assert set(broken(counting(**counters))) == {TWICE}


def test_a_file_without_a_result_is_noticed() -> None:
    assert broken(changed("b", result=None)) == {FILES: "1 results for 2 files"}


def test_a_job_of_the_killed_worker_that_has_no_crash_in_its_history_was_not_recovered() -> None:
    assert set(broken(changed("a", errors=()))) == {RECOVERED}


def test_a_crash_of_another_worker_is_no_recovery() -> None:
    crash = msgspec.structs.replace(CRASH, worker="demo-2-abc")

    assert set(broken(changed("a", errors=(crash,)))) == {RECOVERED}


def test_a_kill_that_hit_an_idle_worker_proves_nothing() -> None:
    evidence = msgspec.structs.replace(holding(), records=changed("a", errors=()).records)

    assert broken(evidence) == {RECOVERED: "0 held, 0 recovered"}


def test_a_job_held_by_the_killed_worker_and_not_recovered_is_noticed() -> None:
    assert broken(holding("a", "p")) == {RECOVERED: "2 held, 1 recovered"}


@pytest.mark.parametrize("start", [at(4.999), None])
def test_a_delayed_job_that_started_early_or_never_is_noticed(start) -> None:
    assert broken(changed("b", started_at=start)) == {EARLY: "1 delayed, 0 waited"}


@pytest.mark.parametrize("attempts", [1, 2, 4])
def test_another_number_of_flaky_attempts_is_noticed(attempts: int) -> None:
    assert broken(changed("f", attempts=attempts)) == {FLAKY: f"{attempts} attempts"}


def test_another_dead_job_is_noticed() -> None:
    assert DEAD in broken(changed("p", state=JobState.DEAD))


def test_a_dead_set_that_holds_more_than_was_sent_is_noticed() -> None:
    assert broken(queue_with(dead=2)) == {DEAD: "2 dead, 1 of them doomed"}


def test_a_doomed_job_that_lives_is_noticed() -> None:
    assert DEAD in broken(changed("d", state=JobState.SUCCEEDED))


@pytest.mark.parametrize("fields", [{"ready": {"low": 1}}, {"running": 1}, {"scheduled": 1}])
def test_a_queue_that_is_not_empty_is_noticed(fields) -> None:
    assert set(broken(queue_with(**fields))) == {EMPTY}


def test_a_sum_says_what_does_not_add_up() -> None:
    assert str(Sum("two and two", "5", holds=False)) == "does not add up: two and two: 5"


def test_speeds_come_from_the_records_alone() -> None:
    speeds = measure(good())

    assert (speeds.seconds, round(speeds.throughput, 2)) == (6.5, 0.15)
    assert {name: one.p50 for name, one in speeds.backlog.items()} == {"high": 5.5, "all": 5.5}
    assert (speeds.idle.jobs, speeds.idle.p99) == (1, 0.002)
    assert [round(one, 3) for one in speeds.recovery] == [2.5]
    assert speeds.fenced == 0


def test_jobs_of_a_worker_that_nobody_killed_are_counted_apart() -> None:
    crash = msgspec.structs.replace(CRASH, worker="demo-2-abc")

    assert measure(changed("p", errors=(crash,))).fenced == 1


def test_percentiles_are_values_that_occurred() -> None:
    values = [float(one) for one in range(200, 0, -1)]

    assert [percentile(values, one) for one in (50, 99, 100)] == [100.0, 198.0, 200.0]
    assert percentile([7.0], 99) == 7.0
    assert percentile([], 50) == 0.0
