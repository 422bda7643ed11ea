"""What a server says of its state; what this user may not ask for is unknown, never an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from rqueue.store.call import Call, Flow
from rqueue.store.replies import number, texts
from rqueue.store.scripts import ALL
from rqueue.store.serverfacts import ServerFacts, ask_server, facts_of, info_fields

T = TypeVar("T")
SETTINGS = (
    "timeout", "client-output-buffer-limit", "stream-node-max-bytes", "stream-node-max-entries",
)  # fmt: skip
"""The settings that are asked for, beside those of ``ServerFacts``."""
SLOW_CALLS = 128
"""How many of the latest slow calls are looked at."""
_US_PER_S = 1_000_000


class SlowCall(msgspec.Struct, frozen=True):
    """A call of one of our scripts that the server found slow.

    Attributes:
        script: its verb.
        at_s: when, seconds since the epoch by Redis' clock.
        took_us: microseconds it took.
    """

    script: str
    at_s: int
    took_us: int


class ServerState(msgspec.Struct, frozen=True, kw_only=True):
    """What a server says of its state; what is unknown is absent, or None.

    Attributes:
        facts: what workers look at before they start.
        info: the fields of ``INFO``.
        commands: command -> how it fared, from ``INFO commandstats``.
        settings: those of ``SETTINGS``, and their values.
        slow: the latest slow calls of our scripts.
        shards: how many primaries the cluster has; 0 = it is none.
    """

    facts: ServerFacts
    info: Mapping[str, str] = {}
    commands: Mapping[str, Mapping[str, float]] = {}
    settings: Mapping[str, str] = {}
    slow: Sequence[SlowCall] | None = None
    shards: int | None = None

    def number(self, field: str) -> float | None:
        """A number in ``INFO``; None = it is not told."""
        return _float(self.info.get(field, ""))


def server_state() -> Flow[ServerState]:
    """Everything, in one trip."""
    told = ask_server()
    more: list[Call[Any]] = [
        _unless_refused(Call(("INFO", "commandstats"), (), (), _commands), {}),
        _unless_refused(Call(("SLOWLOG", "GET"), (), (SLOW_CALLS,), _slow), None),
        _unless_refused(Call(("CLUSTER", "INFO"), (), (), _shards), None),
        *(_unless_refused(Call(("CONFIG", "GET"), (), (name,), _setting), "") for name in SETTINGS),
    ]
    answers = yield [*told, *more]
    info = answers[0]
    commands, slow, shards, *settings = answers[len(told) :]
    return ServerState(
        facts=facts_of(answers[: len(told)]),
        info=info,
        commands=commands,
        settings={name: one for name, one in zip(SETTINGS, settings, strict=True) if one},
        slow=slow,
        shards=0 if info.get("cluster_enabled") == "0" else shards,
    )


def key_count() -> Call[int]:
    """How many keys the database holds; 0 = this user may not ask."""
    return _unless_refused(Call(("DBSIZE",), (), (), number), 0)


def who_am_i() -> Call[str | None]:
    """The name of this user."""
    return _unless_refused(Call(("ACL", "WHOAMI"), (), (), lambda reply: texts([reply])[0]), None)


def may_run(user: str, words: Sequence[str]) -> Call[bool | None]:
    """Whether a user may run a command; None = the server does not say (before Redis 7)."""
    call: Call[bool | None] = Call(
        ("ACL", "DRYRUN"), (), (user, *words), lambda reply: reply == b"OK"
    )
    return call.on_refusal(_without_command)


def ping() -> Call[Any]:
    """A trip that does nothing."""
    return Call(("PING",), (), (), bytes)


def empty_script() -> Call[bool | None]:
    """A trip through the interpreter of scripts; None = this user may not."""
    return _unless_refused(Call(("EVAL",), (), ("return 1", 0), lambda _: True), None)


def time_s() -> Call[float]:
    """Redis' clock, seconds since the epoch."""
    return Call(("TIME",), (), (), lambda reply: int(reply[0]) + int(reply[1]) / _US_PER_S)


def _unless_refused(call: Call[T], instead: Any) -> Call[T]:
    return call.on_refusal(lambda _: instead)


def _without_command(refusal: str) -> bool | None:
    """A server that knows ``DRYRUN`` and not the command says so, and nobody may run that."""
    return False if "not found" in refusal else None


def _setting(reply: Any) -> str:
    return texts(reply)[1] if reply else ""


def _commands(reply: Any) -> dict[str, dict[str, float]]:
    """``cmdstat_ping:calls=1,usec=2,...`` as numbers by name."""
    found: dict[str, dict[str, float]] = {}
    for name, line in info_fields(reply).items():
        pairs = (pair.partition("=") for pair in line.split(","))
        found[name.removeprefix("cmdstat_")] = {
            field: value for field, _, text in pairs if (value := _float(text)) is not None
        }
    return found


def _slow(reply: Any) -> list[SlowCall]:
    verbs = {script.sha: script.name for script in ALL}
    found: list[SlowCall] = []
    for entry in reply:
        words = texts(entry[3])
        if len(words) > 1 and words[0].upper() == "EVALSHA" and words[1] in verbs:
            found.append(SlowCall(verbs[words[1]], int(entry[1]), int(entry[2])))
    return found


def _shards(reply: Any) -> int | None:
    told = _float(info_fields(reply).get("cluster_size", "").strip())
    return None if told is None else int(told)


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
