"""What is left lying is told: jobs without workers, late ones, dead ones, lost workers."""

from __future__ import annotations

import pytest

from rqueue.clock import now_ms
from rqueue.config import QueueShare
from rqueue.doctor.verdict import Status
from rqueue.errors import QueueFull
from rqueue.ids import shorten
from rqueue.store.calls import leases, workers
from rqueue.store.calls.queues import announce
from rqueue.store.keys import Field, queue_keys
from rqueue.worker.lease import first_counter
from tests.doctor.patient import Hands, Patient, ailments, finding
from tests.support.servers import only_valkey
from tests.support.working import burst

HOUR_MS = 3_600_000
KEYS = queue_keys("rqueue", "mail")


def join(patient: Patient, worker: str, lease_s: float = 15.0, release: str = "1.0") -> None:
    """A worker that holds a lease on the queue ``mail``, and does nothing else."""
    card = b"\x82\xa6queues\x91\xa4mail\xa6rqueue" + bytes([0xA0 + len(release)]) + release.encode()
    patient.transport.send(announce("rqueue", "mail"))
    patient.transport.send(leases.register(KEYS, worker, first_counter(lease_s)))
    patient.transport.send(workers.introduce("rqueue", worker, card))


def told(patient: Patient, check: str) -> tuple[Status, str]:
    found = finding(patient.report(), check)
    assert found.status is Status.OK or found.fix
    return found.status, found.found


def test_jobs_that_nobody_takes_are_a_failure(patient: Patient) -> None:
    patient.app.remote("send", "mail").enqueue_sync()
    patient.app.remote("send", "late").options(delay=60).enqueue_sync()

    found = finding(patient.report(), "queues.workers")
    assert (found.status, found.found) == (Status.FAILURE, "mail: 1 ready, and no worker")
    assert (list(found.about), found.fix) == (
        ["mail"],
        "rqueue worker -q mail; rqueue workers list",
    )
    join(patient, "w1")
    assert told(patient, "queues.workers")[0] is Status.OK


def test_a_paused_queue_is_told_and_is_not_missed_by_its_workers(patient: Patient) -> None:
    patient.app.remote("send", "mail").enqueue_sync()
    patient.app.inspector_sync.pause("mail")

    assert told(patient, "queues.paused") == (Status.NOTICE, "mail: paused, 1 ready")
    assert told(patient, "queues.workers")[0] is Status.OK


def test_jobs_that_wait_for_longer_than_their_target_are_told(patient: Patient) -> None:
    patient.app.remote("send", "mail").enqueue_sync()
    assert told(patient, "queues.age")[0] is Status.OK
    patient.app.inspector_sync.aim("mail", 0.001)

    found = finding(patient.report(), "queues.age")
    assert found.status is Status.WARNING
    assert "target 0.0 s" in found.found


@pytest.mark.parametrize(("late_s", "status"), [(5, "ok"), (30, "warning"), (90, "failure")])
def test_due_jobs_that_nobody_promotes_are_told(patient: Patient, late_s: int, status: str) -> None:
    job = patient.app.remote("send", "mail").options(delay=60).enqueue_sync()
    patient.redis.zadd(KEYS.schedule, {shorten(job.id): now_ms() - late_s * 1000})

    found = finding(patient.report(), "queues.scheduler")
    assert found.status == status
    assert ("and not promoted" in found.found) == (status != "ok")


def test_a_schedule_that_nobody_fires_is_a_failure(patient: Patient) -> None:
    call = patient.app.remote("send", "mail").call()
    patient.app.schedules_sync.upsert("hourly", call, every=3600)
    assert told(patient, "queues.schedules")[0] is Status.OK
    patient.redis.zadd(KEYS.cron, {"hourly": now_ms() - HOUR_MS})

    status, found = told(patient, "queues.schedules")
    assert (status, found) == (Status.FAILURE, "mail: a schedule is due for 60.0 min")


def test_a_paused_schedule_is_no_late_one(patient: Patient) -> None:
    call = patient.app.remote("send", "mail").call()
    patient.app.schedules_sync.upsert("hourly", call, every=3600)
    patient.app.schedules_sync.pause("hourly")

    assert told(patient, "queues.schedules")[0] is Status.OK


async def test_jobs_that_no_worker_knows_are_told(patient: Patient) -> None:
    job = await patient.app.remote("nobody_knows", "mail").enqueue()
    await burst(patient.app, queues=(QueueShare("mail"),))
    await patient.app.close()

    status, found = told(patient, "queues.parked")
    assert (status, found) == (
        Status.WARNING,
        f"mail: 1 of the 100 that are due first, as {job.id}",
    )
    assert f"rqueue job show {job.id} -q mail" in finding(patient.report(), "queues.parked").fix


def test_dead_jobs_are_told_with_what_they_died_of(patient: Patient) -> None:
    patient.transport.send(announce("rqueue", "mail"))
    for n, reason in enumerate(["error", "error", "timeout"]):
        patient.redis.zadd(KEYS.dead, {f"j{n}": n})
        patient.redis.hset(KEYS.job(f"j{n}"), mapping={Field.STATE: "dead", Field.REASON: reason})
    assert told(patient, "queues.dead") == (Status.NOTICE, "mail: 3 (2 error, 1 timeout)")

    patient.redis.zadd(KEYS.dead, {f"old{n}": -n for n in range(1000)})
    status, found = told(patient, "queues.dead")
    assert (status, found.partition(" (")[0]) == (Status.WARNING, "mail: 1,003")


def test_a_queue_near_its_cap_is_told_and_a_full_one_is_a_failure(patient: Patient) -> None:
    send = patient.app.remote("send", "mail")
    patient.app.inspector_sync.limit("mail", waiting=5)
    for _ in range(3):
        send.enqueue_sync()
    assert told(patient, "queues.caps")[0] is Status.OK
    send.enqueue_sync()
    assert told(patient, "queues.caps") == (Status.WARNING, "mail: 4 of 5 waiting, 80 %")
    send.enqueue_sync()
    with pytest.raises(QueueFull):
        send.enqueue_sync()
    assert told(patient, "queues.caps") == (Status.FAILURE, "mail: 5 of 5 waiting, 100 %")


def test_a_key_of_a_wrong_type_is_told_and_hides_no_other_queue(patient: Patient) -> None:
    patient.app.remote("send", "mail").enqueue_sync()
    patient.app.remote("send", "other").enqueue_sync()
    patient.redis.delete(KEYS.meta)
    patient.redis.set(KEYS.meta, "no hash")

    said = ailments(patient.report())
    assert (said["queues.readable"], said["queues.workers"]) == ("failure", "failure")
    assert list(finding(patient.report(), "queues.workers").about) == ["other"]


def test_a_worker_that_is_not_heard_is_told_by_name(patient: Patient) -> None:
    join(patient, "heard")
    join(patient, "silent")

    def renew() -> None:
        patient.transport.send(leases.renew(KEYS, "heard", first_counter(15.0) + 1_000_000))

    found = finding(patient.report(Hands(renew), pause_s=10.0), "workers.silent")
    assert (found.status, list(found.about)) == (Status.WARNING, ["silent"])
    assert found.found == "1 of 2 were not heard for 10.0 s"


def test_too_short_a_look_condemns_no_worker(patient: Patient) -> None:
    join(patient, "silent")

    found = finding(patient.report(Hands(), pause_s=5.0), "workers.silent")
    assert found.status is Status.OK
    assert found.found.endswith("too short a time to hear of all (--trend 15s)")


def test_a_worker_without_a_lease_is_told_by_name(patient: Patient) -> None:
    join(patient, "w1")
    join(patient, "w2")
    assert told(patient, "workers.lost")[0] is Status.OK
    patient.redis.zrem(KEYS.leases, "w2")

    found = finding(patient.report(), "workers.lost")
    assert (found.status, list(found.about)) == (Status.WARNING, ["w2"])


def test_a_worker_that_leaves_between_two_looks_is_not_lost(patient: Patient) -> None:
    join(patient, "w1")

    def leave() -> None:
        patient.redis.zrem(KEYS.leases, "w1")

    report = patient.report(Hands(leave), pause_s=10.0)
    assert finding(report, "workers.lost").status is Status.OK


def test_workers_of_several_releases_are_told(patient: Patient) -> None:
    join(patient, "w1", release="1.0")
    join(patient, "w2", release="1.0")
    assert told(patient, "workers.releases") == (Status.OK, "all workers run rqueue 1.0")
    join(patient, "w3", release="1.1")
    assert told(patient, "workers.releases") == (Status.NOTICE, "mixed: 2 of 1.0, 1 of 1.1")


@only_valkey
def test_beyond_a_hundred_queues_it_is_told_that_some_were_not_looked_at(patient: Patient) -> None:
    for n in range(103):
        patient.transport.send(announce("rqueue", f"q{n:03}"))

    assert told(patient, "queues.readable")[1] == "100 looked at, and 3 not: there are so many"


@only_valkey
@pytest.mark.parametrize("written", [b"\xc1", b"", b"\x01", b"\x81\xa6queues\x01"])
def test_a_card_that_a_stranger_wrote_is_no_lost_worker(patient: Patient, written: bytes) -> None:
    patient.transport.send(announce("rqueue", "mail"))
    patient.redis.hset("rqueue:workers", "stranger", written)

    assert told(patient, "workers.lost")[0] is Status.OK
