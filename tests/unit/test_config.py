"""Config: what a setting may be, said in the error."""

from __future__ import annotations

import math
from typing import Any

import pytest

from rqueue.app import App
from rqueue.config import LeaseConfig, QueueShare, WorkerConfig, check_range, parse_queues
from rqueue.errors import ConfigError


def test_the_times_of_a_lease_follow_from_its_length() -> None:
    lease = LeaseConfig()

    assert (lease.lease_s, lease.renew_s, lease.gap_s) == (15, 3.75, 6.25)


def test_a_worker_that_is_well_is_heard_of_within_a_lease_whatever_is_no_gap() -> None:
    """Unheard for a renewal's time, an outage that is no gap, and the wait for an answer."""
    lease = LeaseConfig()

    assert lease.renew_s + lease.gap_s + lease.renew_s < lease.lease_s


@pytest.mark.parametrize("seconds", [0, -1, 0.29, 3601, math.nan, math.inf, True, "15", None])
def test_a_lease_that_cannot_be_kept_is_refused(seconds: Any) -> None:
    with pytest.raises(ConfigError, match=r"lease .* must be a number from 0.3 to 3600"):
        LeaseConfig(lease_s=seconds)


@pytest.mark.parametrize("weight", [0, -1, 1001, True, 1.5, "2", None])
def test_a_weight_is_a_whole_number_from_1_to_1000(weight: Any) -> None:
    with pytest.raises(ConfigError, match="weight"):
        QueueShare("mail", weight)


def test_the_defaults_are_those_of_the_documents() -> None:
    config = WorkerConfig()

    assert config.queues == (QueueShare("default", 1),)
    assert (config.concurrency, config.grace_s, config.fairness) == (100, 25, 10)
    assert (config.burst, config.stall_warn_s, config.stall_limit_s) == (False, 1, 60)


@pytest.mark.parametrize(
    "wrong",
    [
        {"concurrency": 0},
        {"concurrency": 10_001},
        {"concurrency": True},
        {"concurrency": 2.0},
        {"processes": 0},
        {"processes": 1.5},
        {"grace_s": -1},
        {"grace_s": math.nan},
        {"fairness": -1},
        {"fairness": 0.5},
        {"process_slots": -1},
        {"process_slots": 1025},
        {"stall_warn_s": 0},
        {"stall_warn_s": math.nan},
        {"stall_limit_s": -1},
        {"stall_limit_s": "60"},
    ],
)
def test_a_worker_setting_out_of_range_is_refused_by_name(wrong: Any) -> None:
    name = next(iter(wrong)).removesuffix("_s")

    with pytest.raises(ConfigError, match=name):
        WorkerConfig(**wrong)


@pytest.mark.parametrize("queues", [(), (QueueShare("a"), QueueShare("a", 2))])
def test_a_worker_needs_queues_each_once(queues: Any) -> None:
    with pytest.raises(ConfigError, match="queue"):
        WorkerConfig(queues=queues)


def test_queues_are_drawn_by_weight_only_if_one_has_a_weight() -> None:
    assert not WorkerConfig(queues=parse_queues("a,b")).is_weighted
    assert WorkerConfig(queues=parse_queues("a:2,b")).is_weighted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mail", (QueueShare("mail"),)),
        ("mail,default", (QueueShare("mail"), QueueShare("default"))),
        (" mail : 3 , default:1 ", None),
        ("mail:3, default:1,", (QueueShare("mail", 3), QueueShare("default"))),
        ("", ()),
        ("mail:", (QueueShare("mail"),)),
        ("mail:x", None),
        ("mail:-1", None),
        ("mail:0", None),
        ("mail:1.5", None),
        ("a}{b", None),
        ("mail:3:4", None),
    ],
)
def test_queues_are_written_with_commas_and_weights(text: str, expected: Any) -> None:
    if expected is None:
        with pytest.raises(ConfigError):
            parse_queues(text)
    else:
        assert parse_queues(text) == expected


@pytest.mark.parametrize("value", [0, 3, math.nan, True, "2", None, 1.5])
def test_a_range_names_its_bounds(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"size .* must be a whole number from 1 to 2"):
        check_range(value, "size", 1, 2, whole=True)


@pytest.mark.parametrize("limit", [0, -1, True, 16 * 1024 * 1024 + 1, 1.5, "1"])
def test_a_payload_limit_is_a_whole_number_up_to_16_mib(limit: Any) -> None:
    with pytest.raises(ConfigError, match="max_payload"):
        App(max_payload=limit)


@pytest.mark.parametrize("url", ["", "localhost", "localhost:6379", "http://x", 5])
def test_what_is_no_url_is_refused_at_once_with_an_example(url: Any) -> None:
    with pytest.raises(ConfigError, match="redis://localhost:6379/0"):
        App(url)
    if url:
        with pytest.raises(ConfigError, match="redis://localhost:6379/0"):
            App().use(url=url)


async def test_a_url_that_cannot_be_read_is_refused_with_an_example() -> None:
    app = App("redis://h:port")

    with pytest.raises(ConfigError, match=r"is no Redis URL.*redis://host:6379/0"):
        await app.job("x").info()


async def test_a_url_that_is_none_is_shown_without_its_password() -> None:
    app = App("redis://me:s3cret@host:port")

    with pytest.raises(ConfigError) as refused:
        await app.job("x").info()

    assert "s3cret" not in str(refused.value)
