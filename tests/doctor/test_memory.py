"""What each family of keys takes, as far as it grows, and how little is asked for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace
from redis import Redis

from rqueue.app import App
from rqueue.config import QueueShare
from rqueue.doctor import exam, memory
from rqueue.doctor.exam import examine
from rqueue.doctor.report import Report, report_of
from rqueue.retry import Retry
from rqueue.store.calls.queues import announce
from rqueue.store.keys import LANES, Field, queue_keys
from tests.doctor.patient import Hands, Patient, finding
from tests.support.clients import client
from tests.support.servers import FLAVOURS, Server, only_valkey
from tests.support.working import burst

KEYS = queue_keys("rqueue", "mail")


def weights(redis: Redis, pattern: str) -> list[int]:
    """What each key takes, as the server weighs it."""
    keys: Iterator[Any] = redis.scan_iter(pattern)
    return [int(str(redis.memory_usage(key, 20))) for key in keys]


def counts(report: Report) -> dict[str, int]:
    return {one.name: one.keys for one in report.memory.families}


async def test_every_key_is_in_one_family_and_weighed_as_the_server_weighs_it(
    patient: Patient,
) -> None:
    app = patient.app

    @app.task(queue="mail")
    async def send() -> None: ...

    @app.task(queue="mail", retry=Retry(max_attempts=1))
    async def fail() -> None:
        raise ValueError

    for task in (send, send, fail):
        await task.enqueue()
    await burst(app, queues=(QueueShare("mail"),))
    await send.enqueue()
    await send.options(delay=60, unique="one").enqueue()
    await app.schedules.upsert("hourly", send.call(), every=3600)
    await app.close()
    patient.redis.set("elsewhere", "x")
    patient.redis.set("rqueue:{mail}:odd", "x")
    patient.redis.hset(KEYS.waiters, "x", "y")

    report = patient.report()
    assert counts(report) == {
        "jobs:ended": 2,
        "jobs:dead": 1,
        "jobs:unfinished": 2,
        **{f"stream:{lane}": 1 for lane in LANES},
        "scheduled": 1,
        "dead": 1,
        "unique": 1,
        "schedules": 2,
        "history": 4,
        "queue": 2,
        "registries": 2,
        "others": 1,
        "strange": 1,
    }
    assert sum(counts(report).values()) == patient.redis.dbsize() == report.memory.keys
    weighed = weights(patient.redis, "*")
    assert sum(one.bytes for one in report.memory.families) == sum(weighed)
    assert all(one.is_exact for one in report.memory.families)
    used = report.memory.used_bytes
    assert used is not None
    assert all(one.share == round(one.bytes / used, 4) for one in report.memory.families)


def test_of_a_large_database_a_sample_is_weighed_and_the_rest_worked_out(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "MOST_KEYS", 1000)
    monkeypatch.setattr(memory, "MOST_WEIGHED", 200)
    send = patient.app.remote("send", "mail")
    patient.app.enqueue_many_sync(send.call(n) for n in range(5000))
    before = patient.redis.info("commandstats")

    report = patient.report()
    after = patient.redis.info("commandstats")
    jobs = report.memory.families[0]
    assert (jobs.name, jobs.is_exact) == ("jobs:unfinished", False)
    assert 4900 < jobs.keys < 5100
    assert jobs.bytes == pytest.approx(sum(weights(patient.redis, "*:job:*")), rel=0.1)
    assert 1000 <= report.memory.listed < 1500
    assert _calls(after, "scan") - _calls(before, "scan") <= 5
    assert _calls(after, "memory|usage", "memory") - _calls(before, "memory|usage", "memory") <= 220


def test_a_kind_of_keys_that_is_seen_late_is_weighed_all_the_same(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "MOST_KEYS", 1000)
    monkeypatch.setattr(memory, "MOST_WEIGHED", 25)
    send = patient.app.remote("send", "mail")
    patient.app.enqueue_many_sync(send.call(n) for n in range(3000))
    patient.redis.mset({f"foreign:{n}": "x" for n in range(2000)})

    report = patient.report()

    kinds = {one.name: one.keys for one in report.memory.families}
    assert kinds["jobs:unfinished"] == pytest.approx(3000, rel=0.2)
    assert kinds["others"] == pytest.approx(2000, rel=0.2)


def test_keys_of_queues_beyond_those_that_are_looked_at_are_ours_as_well(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exam, "MOST_QUEUES", 1)
    for queue in ("a", "b"):
        patient.app.remote("send", queue).enqueue_sync()

    names = {one.name: one.keys for one in patient.report().memory.families}
    assert "strange" not in names
    assert names["stream:normal"] == 2


def test_listing_ends_when_it_has_taken_long_enough(patient: Patient) -> None:
    send = patient.app.remote("send", "mail")
    patient.app.enqueue_many_sync(send.call(n) for n in range(1000))
    hands, ticks = Hands(), iter(range(1_000_000))
    clocks = hands.clocks()._replace(monotonic=lambda: float(next(ticks)))

    report = report_of(examine(patient.transport, clocks=clocks))
    assert report.memory.listed < 600
    assert 900 < counts(report)["jobs:unfinished"] < 1100


def test_what_grows_between_two_looks_is_told_with_the_time_that_is_left(patient: Patient) -> None:
    patient.redis.set("elsewhere", "x")
    send = patient.app.remote("send", "mail")
    send.enqueue_sync()

    def flood() -> None:
        patient.app.enqueue_many_sync(send.call("x" * 1000) for _ in range(4000))

    report = patient.report(Hands(flood), pause_s=10.0)
    found = {one.name: one.bytes_per_minute or 0 for one in report.memory.families}
    (stream,) = weights(patient.redis, KEYS.stream("normal"))
    assert found["stream:normal"] == pytest.approx(stream * 6, rel=0.01)
    assert found["others"] == 0
    trend = finding(report, "memory.trend")
    assert (report.memory.bytes_per_minute or 0) > stream * 6
    assert trend.status == "warning"
    assert "full in" in trend.found


def test_a_server_that_is_full_within_ten_minutes_is_a_failure(patient: Patient) -> None:
    send = patient.app.remote("send", "mail")
    used = int(patient.redis.info("memory")["used_memory"])  # pyright: ignore[reportIndexIssue, reportArgumentType]
    patient.set({"maxmemory": str(used + 50_000_000)})

    def flood() -> None:
        patient.app.enqueue_many_sync(send.call("x" * 1000) for _ in range(4000))

    assert finding(patient.report(Hands(flood), pause_s=10.0), "memory.trend").status == "failure"


def test_memory_that_shrinks_or_stands_is_well(patient: Patient) -> None:
    patient.redis.set("big", "x" * 5_000_000)
    report = patient.report(Hands(lambda: patient.redis.delete("big")), pause_s=10.0)

    assert finding(report, "memory.trend").status == "ok"
    assert {one.name: one.bytes_per_minute for one in report.memory.families} == {}


def test_an_ended_job_that_never_expires_is_told(patient: Patient) -> None:
    patient.transport.send(announce("rqueue", "mail"))
    patient.redis.hset(KEYS.job("gone"), Field.STATE, "succeeded")
    patient.redis.hset(KEYS.job("dead"), Field.STATE, "dead")
    found = finding(patient.report(), "memory.expiry")
    assert (found.status, found.found.split()[0]) == ("warning", "1")

    patient.redis.expire(KEYS.job("gone"), 60)
    assert finding(patient.report(), "memory.expiry").status == "ok"


def test_a_server_that_is_shared_with_something_large_is_told(patient: Patient) -> None:
    patient.app.remote("send", "mail").enqueue_sync()
    patient.redis.set("cache", "x" * 100_000)

    assert finding(patient.report(), "memory.others").status == "notice"


@only_valkey
def test_a_core_that_is_full_is_a_failure(patient: Patient) -> None:
    exam = patient.exam(Hands(), pause_s=10.0)
    assert finding(report_of(exam), "server.load").status == "ok"
    assert exam.second is not None
    begun = exam.first.server.number("used_cpu_user_main_thread") or 0.0
    said: list[str] = []
    for spent_s in (8, 9.5):
        info = {**exam.second.before.info, "used_cpu_user_main_thread": str(begun + spent_s)}
        second = replace(exam.second, before=replace(exam.second.before, info=info))
        said.append(finding(report_of(replace(exam, second=second)), "server.load").status)

    assert said == ["warning", "failure"]


@pytest.fixture(params=FLAVOURS)
def untouched(request: pytest.FixtureRequest) -> Iterator[Server]:
    with Server(request.param) as server:
        yield server


def test_the_doctor_writes_nothing(untouched: Server) -> None:
    app = App(untouched.url)
    app.enqueue_many_sync(app.remote("send", "mail").call(n) for n in range(300))
    with client(untouched.url) as redis:
        patient = Patient(app, redis)
        before = redis.info("persistence")["rdb_changes_since_last_save"]  # pyright: ignore[reportIndexIssue]
        patient.report(pause_s=10.0)
        after = redis.info("persistence")["rdb_changes_since_last_save"]  # pyright: ignore[reportIndexIssue]
    app.close_sync()

    assert before == after


def _calls(stats: object, *names: str) -> int:
    """How often a command was called, under whichever name this server counts it."""
    assert isinstance(stats, dict)
    found = [stats[f"cmdstat_{name}"] for name in names if f"cmdstat_{name}" in stats]
    return sum(int(one["calls"]) for one in found)
