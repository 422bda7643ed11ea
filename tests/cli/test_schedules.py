"""``rqueue schedules``: what it prints, what it does, how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from rqueue.app import App
from rqueue.cli.scheduleevidence import run_times
from rqueue.config import QueueShare, WorkerConfig
from rqueue.ids import new_id
from rqueue.schedules import putting
from rqueue.schedules.making import scheduled
from rqueue.timing import settings_of
from rqueue.worker.worker import Worker
from tests.cli.commands import PATIENCE_S, Ran

Cli = Callable[..., Ran]


async def pay(cents: int, to: str) -> int:
    return cents + len(to)


@pytest.fixture
def nightly(app: App) -> str:
    call = app.remote("pay", "bank").call(7, to="x")
    app.schedules_sync.upsert("nightly", call, cron="30 2 * * *", tz="Europe/Rome")
    return "nightly"


def test_the_ticks_of_an_expression_are_told_with_what_the_clocks_do(cli: Cli) -> None:
    words = ("schedules", "next", "--cron", "30 2 * * *", "--tz", "Europe/Rome", "-n", "3")

    autumn = cli(*words, "--from", "2026-10-24", "-u", "redis://127.0.0.1:1")
    spring = cli(*words, "--from", "2027-03-27")

    assert [line.rstrip() for line in autumn.out.splitlines()] == [
        "local                          UTC                  clock",
        "Sat 2026-10-24 02:30:00+02:00  2026-10-24 00:30:00",
        "Sun 2026-10-25 02:30:00+02:00  2026-10-25 00:30:00  repeated",
        "Mon 2026-10-26 02:30:00+01:00  2026-10-26 01:30:00",
    ]
    assert autumn.err == "repeated: its local time comes twice\n"
    assert [line.rstrip() for line in spring.out.splitlines()] == [
        "local                          UTC                  clock",
        "Sat 2027-03-27 02:30:00+01:00  2027-03-27 01:30:00",
        "Sun 2027-03-28 03:00:00+02:00  2027-03-28 01:00:00  moved",
        "Mon 2027-03-29 02:30:00+02:00  2027-03-29 00:30:00",
    ]
    assert spring.err == "moved: its local time does not exist, it fires when the clock jumps\n"
    assert cli(*words, "--from", "2027-03-28", "-n", "1", "--json").data == [
        {"tick": "2027-03-28T01:00:00Z", "local": "2027-03-28T03:00:00+02:00", "oddity": "moved"}
    ]


def test_the_next_ticks_of_a_schedule_are_those_of_its_expression(cli: Cli, nightly: str) -> None:
    words = ("schedules", "next", "--cron", "30 2 * * *", "--tz", "Europe/Rome")
    before = cli(*words).out

    told = cli("schedules", "next", nightly).out

    assert told in (before, cli(*words).out)  # a tick may pass meanwhile


def test_schedules_are_listed_and_shown(cli: Cli, app: App, namespace: str) -> None:
    assert cli("schedules", "list", "--json").data == []
    assert cli("schedules", "list").err == f"No schedules yet in namespace {namespace!r}.\n"
    call = app.remote("pay", "bank").call(7, to="x")
    app.schedules_sync.upsert("yearly", call, cron="0 5 1 1 *", tz="Europe/Rome")
    app.schedules_sync.upsert("often", call, every=90)
    assert cli("schedules", "pause", "often").err == "often: paused\n"

    often, yearly = cli("schedules", "list").out.splitlines()[1:]
    assert often.split() == ["often", "bank", "pay", "every", "90s", "paused"]
    assert yearly.split()[:8] == ["yearly", "bank", "pay", "0", "5", "1", "1", "*"]
    assert "-01-01 05:00 (in " in yearly
    shown = cli("schedules", "show", "yearly").out
    assert "arguments  " in shown
    assert '7, to="x"\n' in shown
    assert "0 5 1 1 * Europe/Rome\n" in shown
    told = cli("schedules", "show", "often", "--json").data
    assert (told["every_s"], told["is_paused"], told["next_run"]) == (90, True, None)


def test_a_schedule_is_paused_resumed_and_deleted(cli: Cli, nightly: str) -> None:
    missing = cli("schedules", "pause", nightly, "nihgtly")
    assert (missing.code, "rqueue schedules list" in missing.err) == (3, True)
    assert cli("schedules", "pause", nightly, "--json").data == {"nightly": "paused"}
    assert cli("schedules", "pause", nightly).err == "nightly: was paused already\n"
    assert cli("schedules", "resume", nightly).err == "nightly: resumed\n"
    assert cli("schedules", "delete", nightly).err == "nightly: deleted\n"
    assert cli("schedules", "list", "--json").data == []


def test_a_run_beside_all_ticks_is_a_job_and_stands_in_the_history(cli: Cli, nightly: str) -> None:
    assert cli("schedules", "history", nightly).err == "nightly: no tick yet\n"

    job_id = cli("schedules", "run", nightly).out.strip()

    shown = cli("job", "show", job_id, "--json").data
    assert (shown["queue"], shown["args"], shown["kwargs"]) == ("bank", [7], {"to": "x"})
    (tick,) = cli("schedules", "history", nightly, "--json").data
    assert tick["job_id"] == job_id
    assert cli("schedules", "history", nightly).out.rstrip().endswith(job_id)


def test_a_range_is_counted_before_it_is_run(cli: Cli, nightly: str) -> None:
    bounds = ("--from", "2026-10-24T00:00Z", "--to", "2026-10-26T00:00Z")
    ids = ["nightly@2026-10-24T00:30:00Z", "nightly@2026-10-25T00:30:00Z"]

    counted = cli("schedules", "backfill", nightly, *bounds)
    assert (counted.code, counted.out) == (0, "")
    assert counted.err == "nightly: 2 ticks; nothing was done. To run them now, add --yes\n"
    assert cli("job", "show", ids[0]).code == 3

    assert cli("schedules", "backfill", nightly, *bounds, "--yes").out.splitlines() == ids
    again = cli("schedules", "backfill", nightly, *bounds, "--yes", "--json")
    assert again.data == {"ticks": 2, "ids": ids}
    assert cli("job", "show", ids[0], "--json").data["state"] == "queued"


def test_a_range_of_too_many_ticks_is_not_counted_to_its_end(cli: Cli, app: App) -> None:
    app.schedules_sync.upsert("often", app.remote("pay", "bank").call(7), every=1)
    bounds = ("--from", "2000-01-01T00:00Z", "--to", "2026-01-01T00:00Z")

    counted = cli("schedules", "backfill", "often", *bounds)

    assert (counted.code, "more than 10,000 ticks" in counted.err) == (2, True)
    assert cli("schedules", "backfill", "often", *bounds, "--yes").code == 2


def test_what_stands_against_it_is_exit_code_6(cli: Cli, app: App) -> None:
    call = app.remote("pay", "bank").options(unique="k").call(7)
    declared = scheduled("declared", call, settings_of("0 5 * * *", None, {}))
    app.connections.blocking().run(putting.upsert(app.store, declared, "code"))

    assert cli("schedules", "run", "declared").code == 0
    locked = cli("schedules", "run", "declared")
    assert (locked.code, "holds the unique key" in locked.err) == (6, True)
    kept = cli("schedules", "delete", "declared")
    assert (kept.code, "add --force" in kept.err) == (6, True)
    assert cli("schedules", "delete", "declared", "--force", "--json").data == {
        "declared": "deleted"
    }


def test_the_run_times_are_those_of_the_jobs_that_ended(
    cli: Cli, app: App, nightly: str, valkey_url: str, namespace: str
) -> None:
    async def work() -> None:
        worker = App(valkey_url, namespace=namespace)
        worker.task(pay)
        async with asyncio.timeout(PATIENCE_S):
            config = WorkerConfig(burst=True, queues=(QueueShare("bank"),))
            await Worker(worker, config).run()
        await worker.close()

    assert cli("schedules", "run", nightly).code == 0
    asyncio.run(work())
    assert cli("schedules", "run", nightly).code == 0

    (took,) = run_times(app, app.schedules_sync.list())[nightly]

    assert 0 <= took < PATIENCE_S


@pytest.mark.parametrize("verb", ["show", "next", "run", "pause", "resume", "delete", "history"])
def test_a_schedule_that_is_not_there_is_exit_code_3(cli: Cli, verb: str) -> None:
    assert cli("schedules", verb, f"s{new_id()}").code == 3


@pytest.mark.parametrize(
    "words",
    [
        ("next",),
        ("next", "x", "--cron", "* * * * *"),
        ("next", "x", "--tz", "Europe/Rome"),
        ("next", "--cron", "nonsense"),
        ("next", "--cron", "* * * * *", "--tz", "Europe/Rom"),
        ("next", "--cron", "* * * * *", "--from", "soon"),
        ("show", "a b"),
        ("pause",),
        ("backfill", "x", "--from", "2026-10-24", "--to", "2026-10-26T00:00Z"),
        ("backfill", "x", "--from", "2026-10-26T00:00Z", "--to", "2026-10-24T00:00Z"),
    ],
)
def test_wrong_usage_is_exit_code_2_without_a_traceback(cli: Cli, words: tuple[str, ...]) -> None:
    ran = cli("schedules", *words)

    assert (ran.code, ran.out) == (2, "")
    assert "Error: " in ran.err
    assert "Traceback" not in ran.err


def test_what_is_dubious_is_printed_and_is_exit_code_1(cli: Cli, app: App, nightly: str) -> None:
    assert cli("schedules", "pause", nightly).code == 0
    clean = cli("schedules", "lint")
    assert (clean.code, clean.out, clean.err) == (0, "", "Nothing dubious (schedules: 1).\n")
    for name in ("one", "two"):
        app.schedules_sync.upsert(name, app.remote("pay", "bank").call(7), cron="0 5 * * *")

    ran = cli("schedules", "lint")

    text = "they make the same call at the same times: delete all but one"
    assert (ran.code, ran.err) == (1, "")
    assert ran.out == f"duplicate: one, two\n  {text}\n"
    told = cli("schedules", "lint", "--json")
    assert (told.code, told.data) == (
        1,
        [{"check": "duplicate", "schedules": ["one", "two"], "text": text}],
    )
