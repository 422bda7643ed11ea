"""Jobs of one release in the hands of another: older calls are lifted, newer ones wait."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from redis import Redis

from rqueue import App, Conflict, Context, Encrypted, Retry, Signed
from rqueue.events import JobFinished
from rqueue.store.calls.schedule import promote
from rqueue.store.keys import queue_keys
from tests.support.releases import Release, charge, first, only_dead, release, second, third
from tests.support.waiting import PATIENCE_S, Ears
from tests.support.working import burst, scheduling, working

__all__ = ["release"]


@pytest.mark.parametrize(
    ("args", "kwargs", "result"),
    [
        (("ada", 250), {}, "2: ada 2.5 EUR"),
        (("ada",), {}, "2: ada 1 EUR"),
        ((), {"user": "ada", "cents": 250}, "2: ada 2.5 EUR"),
    ],
)
async def test_a_call_of_the_last_release_runs(
    release: Release, args: Any, kwargs: Any, result: str
) -> None:
    job = await charge(release(first)).enqueue(*args, **kwargs)

    await burst(release(second))

    assert await job.result(PATIENCE_S) == result


async def test_upgrades_follow_each_other(release: Release) -> None:
    one = await charge(release(first)).enqueue("ada", 250)
    two = await charge(release(second)).enqueue("ada", Decimal("2.5"), "CHF")
    three = await charge(release(third)).enqueue(7, price="free")

    await burst(release(third))

    results = [await job.result(PATIENCE_S) for job in (one, two, three)]
    assert results == ["3: 3 2.50 EUR", "3: 3 2.50 CHF", "3: 7 free"]


async def test_a_job_that_waited_for_years_runs_in_a_much_later_release(release: Release) -> None:
    due = datetime.now(UTC) + timedelta(days=9 * 365)
    job = await charge(release(first), run_at=due, job_id="later").enqueue("ada", 250)
    app = release(third)
    keys = queue_keys(app.store.namespace, "default")
    due_ms = round(due.timestamp() * 1000)
    send = app.connections.here().transport.send
    early = await send(promote(keys, ["later"], now=str(due_ms - 1)))
    moved = await send(promote(keys, ["later"], now=str(due_ms)))

    await burst(app)

    assert (early.answers, moved.answers) == (["early"], ["promoted"])
    assert await job.result(PATIENCE_S) == "3: 3 2.50 EUR"


async def test_a_newer_call_waits_for_a_worker_of_its_release(
    release: Release, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("rqueue.worker.protecting.PARK_MS", 20)
    old, new = release(first), release(second)
    ears = Ears(old)
    job = await charge(new).enqueue("ada", Decimal("2.5"), "CHF")
    async with working(old):
        await ears.hears(JobFinished, ending="park")
        assert await (await charge(old).enqueue("bob")).result(PATIENCE_S) == "1: bob 100"
    parked = await job.info()

    async with working(new), scheduling(new):
        assert await job.result(PATIENCE_S) == "2: ada 2.5 CHF"

    assert (parked.state, parked.attempts) == ("scheduled", 0)
    (error,) = parked.errors
    assert error.type == "NewerVersion"
    assert error.message == (
        "the call is of version 2 of 'charge', and this worker knew 1 as the latest: a newer "
        "release sent it. Upgrade the workers; if it is dead by then: rqueue dead retry "
        f"{job.id} --queue default"
    )
    assert f"newer version=2 of task=charge job={job.id}, here it is 1: parked" in caplog.text


async def test_two_releases_side_by_side_run_all_that_both_send(
    release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rqueue.worker.protecting.PARK_MS", 20)
    old, new = release(first), release(second)
    async with working(old), working(new), scheduling(new):
        older = [await charge(old).enqueue(f"u{n}", 200) for n in range(20)]
        newer = [await charge(new).enqueue(f"u{n}", Decimal(2), "EUR") for n in range(20)]
        from_old = [await job.result(PATIENCE_S) for job in older]
        from_new = [await job.result(PATIENCE_S) for job in newer]

    assert all(text in (f"1: u{n} 200", f"2: u{n} 2 EUR") for n, text in enumerate(from_old))
    assert from_new == [f"2: u{n} 2 EUR" for n in range(20)]


async def test_a_newer_call_that_nobody_ever_knows_is_dead_until_somebody_does(
    release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rqueue.worker.protecting.PARK_MS", 1)
    monkeypatch.setattr("rqueue.worker.protecting.PARK_LIMIT", 3)
    old, new = release(first), release(second)
    ears = Ears(old)
    job = await charge(new).enqueue("ada", Decimal("2.5"), "CHF")
    async with working(old), scheduling(old):
        assert await job.wait(PATIENCE_S) == "dead"
    dead = await only_dead(old)

    assert (dead.id, dead.reason, dead.attempts) == (job.id, "newer_version", 0)
    ends = [one.ending for one in await ears.hears(JobFinished, 4)]
    assert ends == ["park", "park", "park", "bury"]
    assert (await new.inspector.requeue("default")).count == 1
    await burst(new)
    assert await job.result(PATIENCE_S) == "2: ada 2.5 CHF"


async def test_plain_calls_of_other_languages_have_versions_too(
    release: Release, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rqueue.worker.protecting.PARK_MS", 20)
    app = release(second)
    ears = Ears(app)
    calls: dict[str, dict[str, Any]] = {
        "one": {"args": ["ada", 250]},
        "said": {"args": ["ada"], "version": 1, "kwargs": {"cents": 300}},
        "two": {"args": ["ada", "2.5", "CHF"], "version": 2},
        "three": {"args": [7], "version": 3},
        "none": {"args": ["ada"], "version": 0},
    }
    for name, call in calls.items():
        envelope = json.dumps({"task": "charge", **call})
        redis.xadd(queue_keys(app.store.namespace, "default").stream("normal"),
                   {"i": name, "m": envelope})  # fmt: skip
    async with working(app):
        await ears.hears(JobFinished, count=len(calls))

    ended = [await app.job(name).info() for name in calls]
    assert [(info.state, info.reason) for info in ended] == [
        ("succeeded", ""), ("succeeded", ""), ("succeeded", ""), ("scheduled", ""),
        ("dead", "decode"),
    ]  # fmt: skip
    results = [await app.job(name).result(0) for name in ("one", "said", "two")]
    assert results == ["2: ada 2.5 EUR", "2: ada 3 EUR", "2: ada 2.5 CHF"]


@pytest.mark.parametrize("kind", [Signed, Encrypted])
async def test_a_protected_call_is_lifted(release: Release, kind: Any) -> None:
    keys = kind({"2026-11": b"k" * 32}, current="2026-11")
    job = await charge(release(first, keys)).enqueue("ada", 250)
    app = release(second, keys)
    await burst(app)

    assert await job.result(PATIENCE_S) == "2: ada 2.5 EUR"


async def test_the_same_id_of_another_version_is_another_call(release: Release) -> None:
    sender = release(lambda _: None)
    one = await sender.remote("charge", version=1).options(job_id="x").enqueue("ada")
    again = await sender.remote("charge").options(job_id="x").enqueue("ada")

    with pytest.raises(Conflict):
        await sender.remote("charge", version=2).options(job_id="x").enqueue("ada")
    assert (one.status, again.status) == ("accepted", "duplicate")


async def test_a_schedule_of_the_last_release_goes_on_in_this_one(release: Release) -> None:
    old, new = release(first), release(second)
    await old.schedules.upsert("bill", charge(old).call("ada", 250), every=3600)

    job = await new.schedules.trigger("bill")
    await burst(new)

    assert await job.result(PATIENCE_S) == "2: ada 2.5 EUR"


async def test_a_retry_is_lifted_again(release: Release) -> None:
    seen: list[tuple[str, int]] = []

    def flaky(app: App) -> None:
        @app.task(version=2, retry=Retry(base=0))
        async def charge(ctx: Context, user: str) -> None:
            seen.append((user, ctx.attempt))
            if ctx.attempt == 1:
                raise LookupError

        @charge.upgrade(1)
        def only_the_user(user: str, cents: int = 0) -> dict[str, Any]:
            return {"user": f"{user}:{cents}"}

    app = release(flaky)
    job = await charge(release(first)).enqueue("ada", 250)
    async with working(app), scheduling(app):
        assert await job.wait(PATIENCE_S) == "succeeded"

    assert seen == [("ada:250", 1), ("ada:250", 2)]
