"""What a server says of itself, and what is made of it."""

from __future__ import annotations

from typing import Any

import pytest

from rqueue.errors import ConfigError
from rqueue.store.serverfacts import (
    Problem,
    ServerFacts,
    ask_server,
    facts_of,
    fsync_problem,
    problems_of,
    refuse,
)

INFO = {
    "redis_version": "7.0.15",
    "role": "master",
    "maxmemory_policy": "noeviction",
    "aof_enabled": "1",
}


def facts(fsync: str = "everysec", save: str = "", /, **changes: str) -> ServerFacts:
    return facts_of([INFO | changes, {"appendfsync": fsync}, {"save": save}])


def levels(found: ServerFacts) -> list[str]:
    return [one.level for one in problems_of(found)]


def test_the_answers_of_a_server_are_its_facts() -> None:
    info = b"# Server\r\nredis_version:7.0.15\r\nrole:slave\r\nmaster_host:h\r\nmaster_port:1\r\n"
    replies = [info, [b"appendfsync", b"always"], [b"save", b"3600 1"]]

    answers = [call.parse(reply) for call, reply in zip(ask_server(), replies, strict=True)]

    assert facts_of(answers) == ServerFacts(
        product="Redis",
        version="7.0.15",
        primary="h:1",
        has_snapshots=True,
        appendfsync="always",
    )


def test_a_good_server_has_no_problems() -> None:
    assert problems_of(facts()) == []


@pytest.mark.parametrize(
    ("told", "is_too_old"),
    [
        ({"redis_version": "5.0.7"}, True),
        ({"redis_version": "6.0.16"}, True),
        ({"redis_version": "6.2.0"}, False),
        ({"redis_version": "10.0.0"}, False),
        ({"redis_version": "255.255.255"}, False),
        ({"redis_version": "7.2.4", "valkey_version": "7.2.5"}, True),
        ({"redis_version": "7.2.4", "valkey_version": "8.0.0"}, False),
        ({"redis_version": "7.2.4", "valkey_version": "10.0.0"}, False),
        ({"redis_version": "of today"}, False),
    ],
)
def test_a_server_that_is_too_old_is_refused(told: dict[str, str], is_too_old: bool) -> None:
    found = problems_of(facts(**told))

    assert [one.level for one in found] == ["refuse"] * is_too_old
    if is_too_old:
        product = "Valkey 7.2.5" if "valkey_version" in told else f"Redis {told['redis_version']}"
        assert found[0].text.startswith(f"{product} is too old: ")
        assert "Redis 6.2, Valkey 8" in found[0].text


def test_a_replica_is_refused_and_its_primary_named() -> None:
    (found,) = problems_of(facts(role="slave", master_host="10.0.0.7", master_port="6379"))

    assert found.level == "refuse"
    assert "Connect to 10.0.0.7:6379" in found.text


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
def test_a_policy_that_throws_jobs_away_is_refused(policy: str) -> None:
    (found,) = problems_of(facts(maxmemory_policy=policy))

    assert found.level == "refuse"
    assert found.text.startswith(f"maxmemory-policy is {policy}: ")
    assert "CONFIG SET maxmemory-policy noeviction" in found.text


@pytest.mark.parametrize("policy", ["volatile-lru", "volatile-lfu", "volatile-ttl"])
def test_a_policy_that_throws_only_results_away_is_warned_of(policy: str) -> None:
    (found,) = problems_of(facts(maxmemory_policy=policy))

    assert found.level == "warn"
    assert "CONFIG SET maxmemory-policy noeviction" in found.text


@pytest.mark.parametrize(
    ("aof", "save", "expected"),
    [("0", "", ["note"]), ("0", "3600 1", []), ("1", "", []), ("1", "3600 1", [])],
)
def test_a_server_that_keeps_nothing_is_noted(aof: str, save: str, expected: list[str]) -> None:
    found = problems_of(facts("everysec", save, aof_enabled=aof))

    assert [one.level for one in found] == expected
    assert all(one.text.startswith("Jobs do not outlive this server") for one in found)


def test_what_a_user_may_not_ask_is_unknown_and_never_refused() -> None:
    nothing = facts_of([{}, {}, {}])
    half = facts_of([INFO | {"aof_enabled": "0"}, {}, {}])

    assert nothing == ServerFacts(product="Redis", hidden=("INFO", "CONFIG GET"))
    assert (levels(nothing), levels(half)) == (["note"], ["note"])
    assert "does not answer INFO and CONFIG GET," in problems_of(nothing)[0].text
    assert "does not answer CONFIG GET," in problems_of(half)[0].text


@pytest.mark.parametrize(
    ("aof", "fsync", "always", "level"),
    [
        ("1", "always", True, None),
        ("1", "everysec", False, "refuse"),
        ("1", "no", False, "refuse"),
        ("0", "always", False, "refuse"),
        ("1", "", None, "note"),
        ("", "always", None, "note"),
    ],
)
def test_fsync_durability_asks_for_a_server_that_forces_every_write_to_disk(
    aof: str, fsync: str, always: bool | None, level: str | None
) -> None:
    info = {name: value for name, value in (INFO | {"aof_enabled": aof}).items() if value}
    found = facts_of([info, {"appendfsync": fsync} if fsync else {}, {}])

    problem = fsync_problem(found)

    assert found.fsyncs_always is always
    assert (None if problem is None else problem.level) == level
    if level == "refuse":
        assert problem is not None
        assert "appendfsync always" in problem.text


BAD = [Problem("refuse", "A is bad"), Problem("warn", "B"), Problem("refuse", "C is bad")]


def test_what_is_refused_is_one_line_that_says_how_to_go_on() -> None:
    with pytest.raises(ConfigError) as refused:
        refuse(BAD, force=False)

    assert str(refused.value) == "A is bad. C is bad. To run all the same: --force, or force=True"


@pytest.mark.parametrize(("problems", "force"), [(BAD, True), (BAD[1:2], False), ([], False)])
def test_what_is_forced_or_no_reason_to_refuse_is_let_through(
    problems: list[Problem], force: bool
) -> None:
    refuse(problems, force=force)


def test_every_problem_is_one_line() -> None:
    bad: dict[str, Any] = {"redis_version": "5.0.0", "role": "slave", "aof_enabled": "0"}
    found = facts_of([INFO | bad | {"maxmemory_policy": "allkeys-lru"}, {}, {"save": ""}])

    assert levels(found) == ["refuse", "refuse", "refuse", "note", "note"]
    assert not any("\n" in one.text or one.text.endswith(".") for one in problems_of(found))


@pytest.mark.parametrize(
    ("product", "version", "can_wait"),
    [("Redis", "7.0.15", False), ("Redis", "7.2.0", True), ("Valkey", "8.0.1", True)],
)
def test_a_server_on_which_one_can_wait_for_the_disk_need_not_force_every_write(
    product: str, version: str, can_wait: bool
) -> None:
    facts = ServerFacts(product=product, version=version, has_aof=True, appendfsync="everysec")

    found = [one.level for one in problems_of(facts, wants_fsync=True)]

    assert ("refuse" in found) != can_wait
    assert "refuse" not in [one.level for one in problems_of(facts)]
