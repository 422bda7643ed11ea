"""Versions of a task's arguments: declared, sent, lifted; without any Redis."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from rqueue import App, Arguments, ConfigError, Context, JobFailed, TaskCall, Worker
from rqueue.client.building import build
from rqueue.envelope import Envelope, open_envelope


@pytest.fixture
def app() -> App:
    app = App()

    @app.task(version=3, queue="bills", unique=lambda account, **_: f"account:{account}")
    async def charge(account: int, *, price: Decimal, currency: str = "EUR") -> str:
        return f"{account} {price} {currency}"

    @charge.upgrade(1)
    def from_cents(user: str, cents: int = 100) -> tuple[str, Decimal]:
        return user, Decimal(cents) / 100

    @charge.upgrade(2)
    def from_user(user: str, amount: Decimal) -> Arguments:
        return Arguments(len(user), price=amount, currency="CHF")

    return app


def sent(call: TaskCall[Any]) -> Envelope:
    return open_envelope(build(call).job.envelope).envelope


async def lifted(app: App, fn: Callable[..., Any], *args: Any, takes: Callable[..., Any]) -> Any:
    """What a task of version 2 makes of a call of version 1."""
    app.task(version=2, name="lifted")(takes).upgrade(1)(fn)
    return await app.remote("lifted", version=1).now(*args)


@pytest.mark.parametrize("version", [0, -1, 1_000_001, 1.5, True, "2", None])
def test_a_version_is_a_whole_number_from_one(version: Any) -> None:
    with pytest.raises(ConfigError, match=r"version .* must be a whole number from 1 to 1e\+06"):

        @App().task(version=version)
        async def charge() -> None: ...


def test_the_first_version_takes_no_bytes() -> None:
    app = App()

    @app.task
    async def one(n: int) -> None: ...

    @app.task(version=2)
    async def two(n: int) -> None: ...

    plain, newer = (msgspec.msgpack.decode(build(task.call(1)).job.envelope) for task in (one, two))
    assert (plain.get("version"), newer["version"]) == (None, 2)


def test_equal_arguments_of_two_versions_are_two_contents(app: App) -> None:
    versions = [None, 1, 2, 3]
    tasks = [App().remote("charge", version=one).options(job_id="x") for one in versions]

    first, plain, second, third = (build(task.call(7)).job.digest for task in tasks)

    assert first == plain
    assert len({first, second, third}) == 3


@pytest.mark.parametrize(
    ("version", "args", "kwargs", "result"),
    [
        (1, ("ada", 250), {}, "3 2.5 CHF"),
        (1, (), {"user": "ada"}, "3 1 CHF"),
        (2, ("ada", "0.10"), {}, "3 0.10 CHF"),
        (3, (7,), {"price": Decimal(1)}, "7 1 EUR"),
    ],
)
async def test_a_call_of_any_version_runs_here(
    app: App, version: int, args: Any, kwargs: Any, result: str
) -> None:
    assert await app.remote("charge", version=version).now(*args, **kwargs) == result


async def test_a_call_of_a_newer_version_fails_here(app: App) -> None:
    with pytest.raises(JobFailed) as failed:
        await app.remote("charge", version=4).now()

    assert (failed.value.reason, failed.value.error_type) == ("newer_version", "NewerVersion")


def test_a_call_of_another_version_keeps_its_task_s_settings(app: App) -> None:
    call = app.remote("charge", version=1).call("ada", cents=250)

    envelope, built = sent(call), build(call)
    assert (built.queue, envelope.version, envelope.unique) == ("bills", 1, "")


def test_a_task_that_is_here_is_the_declared_one(app: App) -> None:
    declared = app.tasks.get("charge")

    assert app.remote("charge") is declared
    assert app.remote("charge", version=3) is declared
    with pytest.raises(ConfigError, match="version 0 must be a whole number"):
        app.remote("elsewhere", version=0)


async def test_what_is_not_annotated_comes_as_it_was_sent(app: App) -> None:
    seen: list[Any] = []

    def raw(*args, **kwargs):  # pyright: ignore - as somebody in a hurry writes it
        seen.append((args, kwargs))
        return {"n": 1}

    async def takes(n: int) -> int:
        return n

    assert await lifted(app, raw, {"a": [1, "2"]}, Decimal("1.5"), takes=takes) == 1
    assert seen == [(({"a": [1, "2"]}, "1.5"), {})]


async def test_what_is_annotated_is_of_that_type(app: App) -> None:
    def typed(at: datetime, wait: timedelta) -> tuple[datetime]:
        return (at + wait,)

    async def takes(at: datetime) -> str:
        return at.isoformat()

    at, wait = datetime(2026, 1, 1), timedelta(hours=1)  # noqa: DTZ001 - as it travels
    assert await lifted(app, typed, at, wait, takes=takes) == "2026-01-01T01:00:00"


def test_an_upgrade_stays_a_function(app: App) -> None:
    @app.task(version=2)
    async def pay(n: int) -> None: ...

    @pay.upgrade(1)
    def from_text(n: str) -> dict[str, int]:
        return {"n": int(n)}

    assert from_text("7") == {"n": 7}
    assert pay.options(delay=1).upgrades is pay.upgrades


@pytest.mark.parametrize("version", [0, 3, 4, True, 1.0, "1"])
def test_only_older_versions_are_lifted(app: App, version: Any) -> None:
    with pytest.raises(
        ConfigError, match=r"of task 'charge': the task is declared with version=3, and only older"
    ):
        app.tasks.get("charge").upgrade(version)(dict)


def test_a_version_is_lifted_by_one_function(app: App) -> None:
    with pytest.raises(ConfigError, match=r"@upgrade\(2\) of task 'charge': .* lifted already"):
        app.tasks.get("charge").upgrade(2)(dict)


async def late(n: int) -> dict[str, int]:
    return {"n": n}


def bit_by_bit(n: int) -> Any:
    yield n


def with_context(ctx: Context, n: int) -> dict[str, int]:
    return {"n": n}


def unsendable(n: Worker) -> dict[str, int]:
    return {}


@pytest.mark.parametrize(
    ("fn", "said"),
    [
        (late, "takes a plain function written with def"),
        (bit_by_bit, "takes a plain function written with def"),
        (functools.partial(dict, n=1), "takes a plain function written with def"),
        (with_context, "an upgrade gets no Context"),
        (unsendable, "the annotation of 'n' contains Worker, which cannot travel"),
    ],
)
def test_an_upgrade_is_a_plain_function(fn: Any, said: str) -> None:
    @App().task(version=2)
    async def pay(n: int) -> None: ...

    with pytest.raises(ConfigError, match=said):
        pay.upgrade(1)(fn)


@pytest.mark.parametrize(
    ("version", "lifted", "named"),
    [(2, [], "1,"), (4, [2], "1, 3,"), (3, [1], "2,"), (1_000_000, [], r"1, 2, 3, 4, 5, \.\.\.,")],
)
async def test_a_worker_does_not_start_while_a_version_is_missing(
    version: int, lifted: list[int], named: str
) -> None:
    app = App("redis://127.0.0.1:1/0")

    @app.task(version=version)
    async def pay(n: int) -> None: ...

    for one in lifted:
        pay.upgrade(one)(lambda n: (n,))

    with pytest.raises(
        ConfigError,
        match=rf"task 'pay' has version {version}, and nothing lifts calls of version {named}",
    ):
        await Worker(app).run()


async def test_a_version_that_is_missing_all_the_same_is_told() -> None:
    app = App()

    @app.task(version=3)
    async def pay(n: int) -> None: ...

    pay.upgrade(1)(lambda n: (n,))

    with pytest.raises(JobFailed) as failed:
        await app.remote("pay", version=1).now(1)

    assert failed.value.reason == "upgrade"
    assert "nothing lifts calls of version 2" in failed.value.message


def test_a_hook_that_changes_an_old_call_leaves_it_old(app: App) -> None:
    @app.before_enqueue
    def louder(call: TaskCall[Any]) -> TaskCall[Any]:
        return msgspec.structs.replace(call, args=(call.args[0].upper(), *call.args[1:]))

    envelope = sent(app._hooked(app.remote("charge", version=1).call("ada", 250)))

    assert envelope.version == 1
    assert msgspec.msgpack.decode(envelope.args) == ["ADA", 250]


@pytest.mark.parametrize("changed", [{}, {"kwargs": {"price": Decimal(2)}}], ids=str)
def test_a_hook_that_renames_a_call_makes_it_one_of_that_task(
    app: App, changed: dict[str, Any]
) -> None:
    @app.task(version=2)
    async def pay(account: int, *, price: Decimal = Decimal(1)) -> None: ...

    @app.before_enqueue
    def renamed(call: TaskCall[Any]) -> TaskCall[Any]:
        return msgspec.structs.replace(call, task="charge", **changed)

    envelope = sent(app._hooked(pay.call(7, price=Decimal(1))))

    assert (envelope.task, envelope.version) == ("charge", 3)
