"""What a server says of itself, and what of that would break a promise."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from rqueue.errors import ConfigError
from rqueue.store.call import Call
from rqueue.store.replies import mapping

_OLDEST = {"Redis": (6, 2), "Valkey": (8, 0)}
_VERSION = re.compile(r"(\d+)\.(\d+)")


class ServerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Which server answered, and how it treats what it stores.

    Attributes:
        product: "Redis" or "Valkey".
        version: as it says, or "unknown".
        policy: ``maxmemory-policy``; "" = unknown.
        primary: where the primary of a replica is; "" for a primary.
        has_aof: whether there is an append-only file; None = unknown.
        has_snapshots: whether there is a schedule of snapshots; None = unknown.
        appendfsync: how often that file is forced to disk; "" = unknown.
        hidden: commands that the user may not use, or that the server does not have.
    """

    product: str
    version: str = "unknown"
    policy: str = ""
    primary: str = ""
    has_aof: bool | None = None
    has_snapshots: bool | None = None
    appendfsync: str = ""
    hidden: tuple[str, ...] = ()

    @property
    def fsyncs_always(self) -> bool | None:
        """Whether a write that was answered is on disk; None = unknown."""
        if self.has_aof is False:
            return False
        if self.has_aof is None or not self.appendfsync:
            return None
        return self.appendfsync == "always"

    @property
    def has_waitaof(self) -> bool:
        """Whether a producer can wait for its own write to be on disk (Redis 7.2, every Valkey)."""
        found = _VERSION.match(self.version)
        is_new = found is not None and (int(found[1]), int(found[2])) >= (7, 2)
        return self.product == "Valkey" or is_new


class Problem(msgspec.Struct, frozen=True):
    """One sentence or two on what is wrong, why that matters and what to do.

    ``refuse`` breaks a promise, ``warn`` weakens one, ``note`` should be known.
    """

    level: Literal["refuse", "warn", "note"]
    what: str
    remedy: str = ""

    @property
    def text(self) -> str:
        """All of it, without a full stop."""
        return f"{self.what}. {self.remedy}" if self.remedy else self.what


def ask_server() -> list[Call[dict[str, str]]]:
    """The calls that ``facts_of`` reads: what one may not ask for is left out, never an error."""
    configs = (
        Call(("CONFIG",), (), ("GET", name), _texts).or_refused([])
        for name in ("appendfsync", "save")
    )
    return [Call(("INFO",), (), (), info_fields).or_refused(b""), *configs]


def facts_of(answers: Sequence[dict[str, str]]) -> ServerFacts:
    """The facts in what a server answered."""
    info, fsync, save = answers
    is_valkey = "valkey_version" in info
    is_replica = info.get("role") == "slave"
    return ServerFacts(
        product="Valkey" if is_valkey else "Redis",
        # Valkey says redis_version 7.2.4 for ever, so that old clients take it for one.
        version=info.get("valkey_version") or info.get("redis_version", "unknown"),
        policy=info.get("maxmemory_policy", ""),
        primary=f"{info.get('master_host')}:{info.get('master_port')}" if is_replica else "",
        has_aof=info["aof_enabled"] != "0" if "aof_enabled" in info else None,
        has_snapshots=save["save"] != "" if "save" in save else None,
        appendfsync=fsync.get("appendfsync", ""),
        hidden=tuple(
            name for name, answer in (("INFO", info), ("CONFIG GET", fsync)) if not answer
        ),
    )


def problems_of(facts: ServerFacts, *, wants_fsync: bool = False) -> list[Problem]:
    """What is wrong with a server, the worst first; ``wants_fsync`` of durability ``fsync``."""
    durable = fsync_problem(facts) if wants_fsync else None
    found = (
        age_problem(facts), role_problem(facts), eviction_problem(facts), durable,
        _persistence(facts), _hidden(facts),
    )  # fmt: skip
    return [one for one in found if one is not None]


def fsync_problem(facts: ServerFacts) -> Problem | None:
    """What is wrong with a server from which ``fsync`` durability is asked."""
    if facts.has_waitaof and facts.has_aof:
        return None  # each enqueue waits for its own
    if facts.fsyncs_always is None:
        return Problem(
            "note",
            "Whether this server forces every write to disk is unknown: it does not let this user "
            "ask (CONFIG GET appendfsync). Durability 'fsync' rests on your word that it does",
        )
    if facts.fsyncs_always:
        return None
    return Problem(
        "refuse",
        f"This server does not force every write to disk ({_how(facts)}), so an accepted job could "
        "be lost in a crash, against durability 'fsync'",
        "Say CONFIG SET appendonly yes and CONFIG SET appendfsync always, and the same in its "
        "configuration file",
    )


def refuse(problems: Sequence[Problem], *, force: bool) -> None:
    """Stop here if a promise would be broken, unless that is wanted.

    Raises:
        ConfigError: says what is wrong, in one line.
    """
    texts = [one.text for one in problems if one.level == "refuse"]
    if texts and not force:
        raise ConfigError(f"{'. '.join(texts)}. To run all the same: --force, or force=True")


def age_problem(facts: ServerFacts) -> Problem | None:
    """Whether it is older than what rqueue is tested on."""
    found = _VERSION.match(facts.version)
    major, minor = _OLDEST[facts.product]
    if found is None or (int(found[1]), int(found[2])) >= (major, minor):
        return None
    return Problem(
        "refuse",
        f"{facts.product} {facts.version} is too old: rqueue is tested on Redis 6.2, Valkey 8 and "
        "newer, and its scripts rely on what these do, so that jobs could be lost",
        "Upgrade it",
    )


def role_problem(facts: ServerFacts) -> Problem | None:
    """Whether it is a replica."""
    if not facts.primary:
        return None
    return Problem(
        "refuse",
        f"This server is a replica of {facts.primary}: what is written here is refused, or is lost "
        "at its next synchronisation",
        f"Connect to {facts.primary}, the primary",
    )


def eviction_problem(facts: ServerFacts) -> Problem | None:
    """Whether it throws keys away when memory is short."""
    remedy = "Say CONFIG SET maxmemory-policy noeviction, and the same in its configuration file"
    if facts.policy.startswith("allkeys-"):
        return Problem(
            "refuse",
            f"maxmemory-policy is {facts.policy}: when memory is short, the server throws jobs "
            "away without a word",
            remedy,
        )
    if facts.policy.startswith("volatile-"):
        return Problem(
            "warn",
            f"maxmemory-policy is {facts.policy}: when memory is short, the server forgets results "
            "and ids of finished jobs before their time",
            remedy,
        )
    return None


def _persistence(facts: ServerFacts) -> Problem | None:
    if facts.has_aof is False and facts.has_snapshots is False:
        return Problem(
            "note",
            "Jobs do not outlive this server: it has no append-only file and takes no snapshots. "
            "CONFIG SET appendonly yes turns the file on",
        )
    return None


def _hidden(facts: ServerFacts) -> Problem | None:
    if not facts.hidden:
        return None
    return Problem(
        "note",
        f"This server does not answer {' and '.join(facts.hidden)}, so not all that could harm "
        "jobs was looked at. Give this user +info and +config|get to have it checked",
    )


def _how(facts: ServerFacts) -> str:
    return f"appendfsync is {facts.appendfsync}" if facts.has_aof else "it has no append-only file"


def info_fields(reply: Any) -> dict[str, str]:
    """The fields of ``INFO``; of all its sections, which are told apart by no two names alike."""
    text = bytes(reply).decode("utf-8", "replace")
    pairs = (line.partition(":") for line in text.splitlines() if not line.startswith("#"))
    return {name: value for name, colon, value in pairs if colon}


def _texts(reply: Any) -> dict[str, str]:
    return {name: value.decode("utf-8", "replace") for name, value in mapping(reply).items()}
