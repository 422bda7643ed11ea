"""Options of a task and of a call: what makes no sense is refused where it is written."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from rqueue.app import App
from rqueue.client.building import build, shares
from rqueue.clock import now_ms
from rqueue.envelope import open_envelope
from rqueue.errors import ConfigError
from rqueue.retry import Retry

app = App()


@app.task
async def send(to: str) -> None:
    """Never run."""


@pytest.mark.parametrize(
    "wrong",
    [
        {"queue": "a}{b"},
        {"queue": None},
        {"priority": "urgent"},
        {"retry": 3},
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": True},
        {"timeout": math.nan},
        {"timeout": math.inf},
        {"timeout": "soon"},
        {"result_ttl": -1},
        {"result_ttl": math.inf},
        {"result_ttl": 1e18},
        {"expires": -1},
        {"expires": math.nan},
        {"deadline": -1},
        {"deadline": "never"},
        {"deadline": True},
        {"max_crashes": 0},
        {"max_crashes": 1.5},
        {"max_crashes": True},
        {"isolation": "fibre"},
        {"isolation": "thread"},
        {"name": "no spaces"},
        {"unique": "user"},
        {"durability": "eventual"},
        {"durability": None},
        {"prioritty": "low"},
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused(wrong: Any) -> None:
    async def task() -> None:
        """Never run."""

    with pytest.raises(ConfigError, match=next(iter(wrong))):
        App().task(**wrong)(task)


def test_a_misspelt_option_of_a_declaration_is_recognized() -> None:
    wrong: Any = {"prioritty": "low"}

    with pytest.raises(ConfigError, match="no option 'prioritty'; did you mean 'priority'"):
        app.task(**wrong)(print)


def test_a_sync_task_runs_in_a_thread_or_in_a_process_and_nowhere_else() -> None:
    def task() -> None:
        """Never run."""

    wrong: Any = "fibre"
    with pytest.raises(ConfigError, match="isolation 'fibre' is not one of loop, thread, process"):
        App().task(isolation=wrong)(task)


def test_an_async_task_cannot_run_in_a_process() -> None:
    async def task() -> None:
        """Never run."""

    with pytest.raises(ConfigError, match="is async; isolation='process' does not fit it"):
        App().task(isolation="process")(task)


@pytest.mark.parametrize(
    "wrong",
    [
        {"queue": "a b"},
        {"priority": "suspect"},
        {"retry": 3},
        {"timeout": 0},
        {"timeout": timedelta(seconds=-1)},
        {"timeout": math.nan},
        {"result_ttl": -1},
        {"result_ttl": True},
        {"delay": -1},
        {"delay": math.nan},
        {"delay": math.inf},
        {"delay": "soon"},
        {"delay": "-60s"},
        {"delay": ""},
        {"delay": True},
        {"delay": timedelta(days=4000)},
        {"delay": timedelta(seconds=-1)},
        {"run_at": datetime(2030, 1, 1)},  # noqa: DTZ001 - naive on purpose
        {"run_at": "2030-01-01"},
        {"run_at": 60},
        {"expires": -1},
        {"expires": math.nan},
        {"expires": "never"},
        {"timeout": "31d"},
        {"result_ttl": "1y"},
        {"expires": True},
        {"deadline": -1},
        {"deadline": "never"},
        {"deadline": True},
        {"deadline": datetime(2030, 1, 1)},  # noqa: DTZ001 - naive on purpose
        {"expires": datetime(2030, 1, 1)},  # noqa: DTZ001 - naive on purpose
        {"job_id": ""},
        {"job_id": "~x"},
        {"unique": ""},
        {"headers": {"a": 1}},
        {"headers": ["a"]},
        {"delay": 1, "run_at": datetime(2030, 1, 1, tzinfo=UTC)},
        {"dellay": 1},
    ],
)
def test_an_option_that_makes_no_sense_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong)).replace("_id", ".id")):
        send.options(**wrong)


def test_a_misspelt_option_of_a_call_is_recognized() -> None:
    wrong: Any = {"dellay": 60}

    with pytest.raises(ConfigError, match="options has no 'dellay'; did you mean 'delay'"):
        send.options(**wrong)


def test_delay_and_run_at_exclude_each_other_also_one_after_the_other() -> None:
    later = send.options(delay=5)

    with pytest.raises(ConfigError, match="exclude each other"):
        later.options(run_at=datetime(2030, 1, 1, tzinfo=UTC))


def test_options_add_up_and_leave_the_task_alone() -> None:
    urgent = send.options(priority="high")
    both = urgent.options(unique="u", priority="low")

    assert [dict(one.call("x").options) for one in (send, urgent, both)] == [
        {},
        {"priority": "high"},
        {"priority": "low", "unique": "u"},
    ]


@pytest.mark.parametrize(
    ("options", "due"),
    [
        ({}, ""),
        ({"delay": 0}, ""),
        ({"delay": 1.5}, "+1500"),
        ({"delay": timedelta(minutes=1)}, "+60000"),
        ({"delay": "1h30m"}, "+5400000"),
        ({"delay": "0s"}, "+0"),
        ({"run_at": datetime(2030, 1, 1, tzinfo=UTC)}, "1893456000000"),
        ({"run_at": datetime(1969, 12, 31, tzinfo=UTC)}, "-86400000"),
    ],
)
def test_a_time_goes_to_redis_as_it_was_meant(options: Any, due: str) -> None:
    assert build(send.options(**options).call("x")).job.due == due


def test_a_duration_may_be_a_text_wherever_there_is_one() -> None:
    durations: Any = {"timeout": "90s", "result_ttl": "2h", "expires": "1d"}

    @App().task(**durations)
    async def told() -> None:
        """Never run."""

    chosen = open_envelope(build(send.options(**durations).call("x")).job.envelope).envelope
    declared = told.declared
    assert (declared.timeout, declared.result_ttl, declared.expires) == (90, 7200, 86400)
    assert (chosen.timeout, chosen.result_ttl) == (90, 7200)


@pytest.mark.parametrize(
    ("count", "span", "expected"),
    [
        (0, "10m", []),
        (1, "10m", [0]),
        (2, "10m", [0, 600_000]),
        (4, 1, [0, 333, 667, 1000]),
        (3, timedelta(seconds=5), [0, 2500, 5000]),
        (3, 0, [0, 0, 0]),
    ],
)
def test_a_span_is_shared_out_evenly_from_now_to_its_end(
    count: int, span: Any, expected: list[int]
) -> None:
    assert shares(count, span) == expected


@pytest.mark.parametrize(
    ("options", "due"),
    [
        ({}, "+1500"),
        ({"delay": 2}, "+3500"),
        ({"run_at": datetime(2030, 1, 1, tzinfo=UTC)}, "1893456001500"),
        ({"run_at": datetime(1969, 12, 31, tzinfo=UTC)}, "-86398500"),
    ],
)
def test_a_share_counts_from_the_time_that_the_call_says(options: Any, due: str) -> None:
    assert build(send.options(**options).call("x"), later_ms=1500).job.due == due


LIMITS = pytest.mark.parametrize("limit", ["expires", "deadline"])


def sent(task: Any, *args: Any) -> dict[str, Any]:
    """What travels of a call."""
    return msgspec.msgpack.decode(build(task.call(*args)).job.envelope)


@LIMITS
def test_a_call_may_do_without_the_limit_of_its_task(limit: str) -> None:
    declared: Any = {limit: "1s"}

    @App().task(**declared)
    async def brief() -> None:
        """Never run."""

    assert limit in sent(brief)
    assert limit not in sent(brief.options(**{limit: None}))  # type: ignore[arg-type]


@LIMITS
def test_a_limit_becomes_a_moment(limit: str) -> None:
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    wishes: list[Any] = [moment, 10, timedelta(seconds=10), "10s"]
    before = now_ms()

    told = [sent(send.options(**{limit: one}), "x")[limit] for one in wishes]

    assert told[0] == 1_893_456_000_000
    assert all(before + 10_000 <= one <= now_ms() + 10_000 for one in told[1:])


@LIMITS
def test_a_moment_before_1970_is_past_and_not_never(limit: str) -> None:
    long_ago: Any = {limit: datetime(1969, 1, 1, tzinfo=UTC)}

    assert sent(send.options(**long_ago), "x")[limit] == 1


def test_what_has_no_limit_says_nothing_of_one() -> None:
    assert sent(send, "x").keys() == {"task", "v", "args"}


def test_what_a_call_says_travels_in_its_envelope() -> None:
    options: Any = {
        "timeout": timedelta(seconds=2),
        "result_ttl": 0,
        "retry": Retry(max_attempts=2),
        "unique": "u",
        "headers": {"tenant": "7"},
    }

    sent = open_envelope(build(send.options(**options).call("x")).job.envelope).envelope

    assert (sent.timeout, sent.result_ttl, sent.unique) == (2, 0, "u")
    assert (sent.retry, sent.headers) == ({"max_attempts": 2}, {"tenant": "7"})


def test_a_unique_key_is_computed_from_the_arguments() -> None:
    @App().task(unique=lambda user, **_: f"user:{user}")
    async def greet(user: int, loud: bool = False) -> None:
        """Never run."""

    assert greet.call(7, loud=True).options == {"unique": "user:7"}
    assert greet.options(unique="mine").call(7).options == {"unique": "mine"}


def test_a_unique_key_that_is_none_is_refused_with_the_call() -> None:
    @App().task(unique=lambda: "")
    async def greet() -> None:
        """Never run."""

    with pytest.raises(ConfigError, match="unique key"):
        greet.call()
