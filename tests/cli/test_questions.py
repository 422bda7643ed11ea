"""Commands that ask and change, without any code: their words, their JSON, their exit codes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from redis import Redis

from rqueue.app import App
from rqueue.config import WorkerConfig
from rqueue.ids import new_id
from rqueue.retry import Retry
from rqueue.worker.worker import Worker
from tests.cli.commands import PATIENCE_S, Ran

Cli = Callable[..., Ran]


async def add(a: int, b: int) -> int:
    return a + b


async def bad(text: str) -> None:
    raise ValueError(text)


@pytest.fixture
def work(valkey_url: str, namespace: str) -> Callable[[], None]:
    """Run what is queued, in this process."""

    async def burst() -> None:
        app = App(valkey_url, namespace=namespace)
        app.task(add)
        app.task(retry=Retry(max_attempts=1))(bad)
        async with asyncio.timeout(PATIENCE_S):
            await Worker(app, WorkerConfig(burst=True)).run()
        await app.close()

    return lambda: asyncio.run(burst())


def die(app: App, work: Callable[[], None], count: int = 1, text: str = "no") -> list[str]:
    jobs = app.enqueue_many_sync(app.remote("bad").call(f"{text}{n}") for n in range(count))
    work()
    return [job.id for job in jobs]


def test_a_call_that_is_too_large_is_not_opened_to_show_it(
    cli: Cli, app: App, work: Callable[[], None]
) -> None:
    generous = App(app.store.url, namespace=app.store.namespace, max_payload=400_000)
    call = generous.remote("bad").options(job_id="big").call("x" * 300_000)
    generous.enqueue_sync(call)
    generous.close_sync()
    work()

    shown = cli("dead", "show", "big")
    assert "(not opened: 300,0" in shown.out
    assert "bytes, max_payload here is 262,144)" in shown.out
    assert "then: rqueue dead retry big --queue default" in shown.out
    told = cli("job", "show", "big", "--json").data
    assert (told["reason"], told["args"], told["kwargs"]) == ("too_large", [], {})
    assert cli("dead", "list", "--json").data[0]["args"] == []


def test_ping_says_who_answered(cli: Cli, namespace: str) -> None:
    ran = cli("ping", "--json")

    assert ran.code == 0
    assert ran.data["server"] == "Valkey"
    assert ran.data["namespace"] == namespace
    assert ran.data["latency_ms"] > 0
    assert "version" in cli("ping").out


def test_a_redis_that_is_not_there_is_exit_code_4(cli: Cli) -> None:
    ran = cli("ping", "-u", "redis://me:secret@127.0.0.1:1/0")

    assert (ran.code, ran.out) == (4, "")
    assert ran.err.startswith("Error: ")
    assert "Traceback" not in ran.err
    assert "secret" not in ran.err
    assert "RQUEUE_URL" in ran.err


@pytest.mark.parametrize(
    "words",
    [
        ("ping", "-u", "nonsense"),
        ("ping", "--namespace", "a{b}"),
        ("enqueue", "add", "--queue", "a:b"),
        ("enqueue", "add", "--in", "soon"),
        ("enqueue", "add", "--at", "2030-01-01T00:00"),
        ("enqueue", "add", "-k", "novalue"),
        ("enqueue", "--wait", "30s", "add"),
        ("enqueue", "add", "--in", "1s", "--at", "2030-01-01T00:00Z"),
        ("job", "reschedule", "x"),
        ("job", "reschedule", "x", "--now", "--in", "5m"),
        ("job", "reschedule", "x", "--in", "soon"),
        ("dead", "retry"),
        ("dead", "retry", "--all", "x"),
        ("worker", "-A", "there:is.none"),
        ("worker", "-p", "0"),
        ("worker", "--lease", "1ms"),
        ("worker", "-q", "a,a"),
        ("queues", "limit", "mail"),
        ("queues", "limit", "mail", "--waiting", "-1"),
        ("queues", "limit", "mail", "--scheduled", "many"),
    ],
)
def test_wrong_usage_is_exit_code_2_without_a_traceback(cli: Cli, words: tuple[str, ...]) -> None:
    ran = cli(*words)

    assert (ran.code, ran.out) == (2, "")
    assert "Error: " in ran.err
    assert "Traceback" not in ran.err


def test_queues_are_listed_paused_and_resumed(cli: Cli, app: App) -> None:
    assert cli("queues", "list", "--json").data == []
    assert "No queues yet" in cli("queues", "list").err
    app.remote("add", "mail").enqueue_sync(1, 2)

    assert cli("queues", "pause", "mail").err == "mail: paused\n"
    assert cli("queues", "pause", "mail", "--json").data == {"mail": "already"}
    (queue,) = cli("queues", "list", "--json").data
    assert (queue["name"], queue["ready"], queue["is_paused"]) == ("mail", {"normal": 1}, True)
    assert cli("queues", "list").out.split()[-7:] == ["mail", "1", "0", "0", "0", "0", "paused"]
    assert cli("queues", "resume", "mail", "--json").data == {"mail": "resumed"}


def test_a_queue_is_capped_and_its_caps_are_listed(cli: Cli, app: App) -> None:
    app.remote("add", "mail").enqueue_sync(1, 2)

    capped = cli("queues", "limit", "mail", "--waiting", "1")
    assert (capped.code, capped.err) == (0, "mail: waiting 1\n")
    assert cli("enqueue", "add", "1", "-q", "mail").code == 1
    both = cli("queues", "limit", "mail", "--scheduled", "20", "--json").data
    assert (both["name"], both["cap_waiting"], both["cap_scheduled"]) == ("mail", 1, 20)
    assert cli("queues", "list").out.endswith("open           waiting 1, scheduled 20\n")
    assert cli("queues", "limit", "mail", "--waiting", "none").err == "mail: scheduled 20\n"
    sized = cli("queues", "limit", "mail", "--payload", "9")
    assert sized.err == "mail: scheduled 20, payload 9\n"
    refused = cli("enqueue", "add", "1", "-q", "mail")
    assert (refused.code, "cap of queue 'mail' is 9" in refused.err) == (1, True)
    words = ("queues", "limit", "mail", "--scheduled", "0", "--payload", "none")
    assert cli(*words).err == "mail: no cap\n"
    assert "is that its name?" in cli("queues", "limit", "mial", "--waiting", "1").err


def test_a_queue_is_told_how_fast_it_should_be(cli: Cli, app: App) -> None:
    app.remote("add", "mail").enqueue_sync(1, 2)

    assert cli("queues", "target", "mail", "1m30s").err == "mail: 90s\n"
    assert "open   90s" in cli("queues", "list").out
    assert cli("queues", "target", "mail", "none", "--json").data["target_s"] is None
    assert cli("queues", "target", "mail", "none").err == "mail: no target\n"
    assert cli("queues", "target", "mail", "soon").code == 2
    assert cli("queues", "target", "mail", "1000h").code == 2
    assert cli("queues", "target", "mial", "5s").code == 3


def test_replicas_are_told_for_each_queue_or_for_several_together(cli: Cli, app: App) -> None:
    assert cli("scale").out.split() == [
        "queue", "desired", "ready", "due", "running", "oldest", "target", "workers", "slots",
    ]  # fmt: skip
    for queue in ("mail", "default"):
        app.enqueue_many_sync(app.remote("add", queue).call(n) for n in range(9))

    each = cli("scale", "--slots", "10", "--json").data
    assert {one["queue"]: one["desired"] for one in each} == {"default": 2, "mail": 2}
    (both,) = cli("scale", "mail,default", "--slots", "10", "--json").data
    assert (both["queue"], both["desired"], both["ready"]) == ("mail,default", 3, 18)
    assert cli("scale", "mail").out.splitlines()[1].split()[:3] == ["mail", "1", "9"]
    assert cli("scale", "no such").code == 2


def test_a_mistyped_queue_is_not_found(cli: Cli, app: App) -> None:
    app.remote("add", "mail").enqueue_sync(1, 2)

    ran = cli("queues", "pause", "mial")

    assert (ran.code, "there are mail" in ran.err) == (3, True)


def test_a_job_is_sent_shown_and_its_result_printed(cli: Cli, work: Callable[[], None]) -> None:
    sent = cli("enqueue", "add", "1", "-k", "b=2")
    job_id = sent.out.strip()
    assert sent.code == 0
    assert cli("job", "result", job_id).code == 5
    waiting = cli("job", "show", job_id, "--json").data
    assert (waiting["state"], waiting["args"], waiting["kwargs"]) == ("queued", [1], {"b": 2})

    work()

    assert cli("job", "result", job_id).out == "3\n"
    assert cli("job", "result", job_id, "-q", "default", "--json").data["result"] == 3
    assert cli("job", "wait", job_id).out == "succeeded\n"
    assert cli("job", "wait", job_id, "--json").data["state"] == "succeeded"
    shown = cli("job", "show", job_id).out
    assert "result    3\n" in shown
    assert "attempts  1\n" in shown


def test_options_of_a_job_reach_it(cli: Cli) -> None:
    words = ("enqueue", "add", "1", "--in", "5m", "-q", "mail", "--priority", "high")
    chosen = ("--id", "order-1", "--unique", "one", "--timeout", "5s", "--json")

    job = {"id": "order-1", "queue": "mail", "durability": "local"}
    assert cli(*words, *chosen).data == {**job, "status": "accepted"}

    again = cli(*words, *chosen)
    assert (again.code, again.data["status"]) == (0, "duplicate")
    other = cli("enqueue", "add", "2", "-q", "mail", "--unique", "one", "--json").data
    assert other == {**job, "status": "locked"}
    shown = cli("job", "show", "order-1", "--json").data
    assert (shown["state"], shown["priority"], shown["unique"]) == ("scheduled", "high", "one")
    assert cli("enqueue", "add", "9", "--id", "order-1", "-q", "mail").code == 1


def test_the_limits_of_a_job_are_shown(cli: Cli, app: App) -> None:
    free = cli("enqueue", "add", "1", "--deadline", "2h").out.strip()
    moment = datetime(2040, 1, 31, tzinfo=UTC)
    held = app.remote("add").options(deadline=moment, expires=moment).enqueue_sync(1).id

    told = cli("job", "show", held, "--json").data
    assert (told["expires_at"], told["deadline_at"]) == ("2040-01-31T00:00:00Z",) * 2
    shown = cli("job", "show", free).out
    assert "deadline   20" in shown
    assert "(in 120 m)" in shown or "(in 2 h)" in shown
    assert "expires" not in shown
    assert cli("job", "show", free, "--json").data["expires_at"] is None


def test_a_job_is_cancelled(cli: Cli) -> None:
    job_id = cli("enqueue", "add", "1", "--in", "1h").out.strip()

    assert cli("job", "cancel", job_id, "--reason", "no need", "--json").data["state"] == (
        "cancelled"
    )
    again = cli("job", "cancel", job_id)
    assert (again.code, again.out) == (0, "cancelled\n")
    result = cli("job", "result", job_id, "--json")
    assert (result.code, result.data["state"]) == (1, "cancelled")


def test_a_job_is_given_another_time(cli: Cli, work: Callable[[], None]) -> None:
    job_id = cli("enqueue", "add", "1", "-k", "b=2", "--in", "1h").out.strip()

    at = cli("job", "reschedule", job_id, "--at", "2040-01-31T08:00:00+01:00")
    assert (at.code, at.out) == (0, "rescheduled\n")
    shown = cli("job", "show", job_id, "--json").data
    assert (shown["state"], shown["due_at"]) == ("scheduled", "2040-01-31T07:00:00Z")
    later = cli("job", "reschedule", job_id, "--in", "5m", "--json").data
    assert later == {"id": job_id, "queue": "default", "state": "rescheduled"}
    assert cli("job", "reschedule", job_id, "--now").out == "queued\n"
    work()
    late = cli("job", "reschedule", job_id, "--now", "-q", "default")
    assert (late.code, late.out) == (1, "succeeded\n")


@pytest.mark.parametrize(
    "words",
    [("job", "show"), ("job", "result"), ("job", "wait"), ("job", "cancel"), ("dead", "show"),
     ("dead", "retry"), ("dead", "discard"), ("job", "reschedule", "--now")],
)  # fmt: skip
def test_a_job_that_is_not_there_is_exit_code_3(cli: Cli, words: tuple[str, ...]) -> None:
    assert cli(*words, new_id()).code == 3


def test_a_dead_job_is_told_with_the_error_of_its_attempt(
    cli: Cli, app: App, work: Callable[[], None]
) -> None:
    (job_id,) = die(app, work, text="\x1b[31mred")

    (listed,) = cli("dead", "list", "--json").data
    assert (listed["id"], listed["reason"]) == (job_id, "failed")
    assert listed["errors"][0]["type"] == "ValueError"
    assert "ValueError: [31mred0" in cli("dead", "list").out
    shown = cli("dead", "show", job_id).out
    assert "Traceback" in shown
    assert "\x1b" not in shown
    assert cli("dead", "show", job_id, "--json").data["args"] == ["\x1b[31mred0"]
    result = cli("job", "result", job_id)
    assert (result.code, "is dead (failed): ValueError" in result.err) == (1, True)
    assert cli("job", "result", job_id, "--json").data["error"]["type"] == "ValueError"
    assert cli("job", "wait", job_id).code == 1


def test_dead_jobs_are_retried_and_discarded(cli: Cli, app: App, work: Callable[[], None]) -> None:
    one, two, three = die(app, work, 3)

    assert cli("dead", "retry", one, "--json").data == {
        "retried": 1,
        "missing": [],
        "locked": [],
        "corrupt": [],
    }
    assert cli("dead", "show", one).code == 3
    partly = cli("dead", "discard", one, two, "--json")
    assert (partly.code, partly.data) == (3, {"discarded": 1, "missing": [one]})
    assert cli("dead", "discard", "--all", "-q", "default").out == "discarded 1\n"
    assert cli("job", "result", three).code == 3
    assert cli("dead", "list", "--json").data == []


def test_a_dead_job_whose_unique_key_is_held_stays_dead_and_is_named(
    cli: Cli, app: App, work: Callable[[], None]
) -> None:
    mine = app.remote("bad").options(unique="user:7")
    locked = mine.enqueue_sync("no").id
    work()
    (free,) = die(app, work)
    mine.enqueue_sync("other")

    one = cli("dead", "retry", locked, free, new_id())
    assert (one.code, one.out) == (3, "retried 1\n")
    assert f"{locked} stays dead: another job holds its unique key" in one.err
    told = cli("dead", "retry", locked, "--json")
    assert told.code == 6
    assert told.data == {"retried": 0, "missing": [], "locked": [locked], "corrupt": []}
    every = cli("dead", "retry", "--all", "--json")
    assert (every.code, every.data) == (told.code, told.data)
    assert [one["id"] for one in cli("dead", "list", "--json").data] == [locked]


def test_a_dead_job_that_cannot_be_read_is_named(
    cli: Cli, app: App, work: Callable[[], None], valkey_url: str, namespace: str
) -> None:
    (job_id,) = die(app, work)
    stream = f"{namespace}:{{default}}:stream:normal"
    with Redis.from_url(valkey_url) as redis:
        redis.delete(stream)
        redis.set(stream, "not a stream")

    ran = cli("dead", "retry", job_id)

    assert (ran.code, ran.out) == (6, "retried 0\n")
    assert f"{job_id} stays dead: its record or its stream is corrupt" in ran.err


def test_more_than_a_hundred_are_not_changed_without_yes(
    cli: Cli, app: App, work: Callable[[], None]
) -> None:
    die(app, work, 101)

    refused = cli("dead", "discard", "--all")
    assert (refused.code, refused.out) == (6, "")
    assert "add --yes" in refused.err
    listed = cli("dead", "list", "--json")
    assert len(listed.data) == 50
    assert "51 more (use --limit 0)" in listed.err
    assert len(json.loads(cli("dead", "list", "--json", "--limit", "0").out)) == 101
    assert cli("dead", "retry", "--all", "--yes", "--json").data["retried"] == 101
