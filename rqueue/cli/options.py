"""Options that several commands share, the types of their values, and how they arrive."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import click

Callback = Callable[..., Any]
Decorator = Callable[[Callback], Callback]


def duration(value: str) -> float:
    """Seconds from ``10s``, ``5m``, ``1h30m`` or ``500ms``; a number alone counts seconds."""
    from rqueue.duration import parse_duration
    from rqueue.errors import ConfigError

    try:
        return parse_duration(value)
    except ConfigError as error:
        raise click.BadParameter(str(error)) from None


_SIZES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}


def size(value: str) -> int:
    """Bytes from ``500MB``, ``2GB`` or ``512Mi``; a number alone counts bytes."""
    found = re.fullmatch(r"(\d{1,15})\s*([kmg]?i?)b?", value.strip().lower())
    if found is None or found[2] not in _SIZES:
        raise click.BadParameter(f"{value!r} is no size; write 500MB, 2GB or 512Mi")
    return int(found[1]) * _SIZES[found[2]]


def moment(value: str) -> datetime:
    """An aware time from ISO 8601 with an offset from UTC."""
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        example = "2030-01-31T08:00:00+01:00"
        raise click.BadParameter(f"{value!r} is no time; write it like {example}") from None
    if found.tzinfo is None:
        raise click.BadParameter(
            f"{value!r} names no moment: it has no time zone. If you mean the time of this "
            f"machine, write {found.astimezone().isoformat()}; if you mean UTC, write "
            f"{found.isoformat()}Z"
        )
    return found


def option(*names: str, **settings: Any) -> Decorator:
    """A click option whose help names its environment variable."""
    settings.setdefault("show_envvar", True)
    return click.option(*names, **settings)


def bundled(into: str, kind: type[Any], *options: Decorator) -> Decorator:
    """Options that reach the command as one value: a dataclass with a field for each."""
    names = [field.name for field in fields(kind)]

    def decorate(callback: Callback) -> Callback:
        @functools.wraps(callback)
        def call(**params: Any) -> Any:
            chosen = {name: params.pop(name) for name in names}
            return callback(**params, **{into: kind(**chosen)})

        decorated: Callback = call
        for add in reversed(options):
            decorated = add(decorated)
        return decorated

    return decorate


@dataclass(frozen=True)
class Target:
    """Which app, Redis and namespace a command is about; None = not said."""

    app: str | None
    url: str | None
    namespace: str | None


@dataclass(frozen=True)
class Logging:
    """What is logged, and how."""

    log_level: str
    log_format: str
    log_jobs: bool


with_target = bundled(
    "target",
    Target,
    option("-A", "--app", envvar="RQUEUE_APP", help="The app, as module:attr or module:make()."),
    option("-u", "--url", envvar=["RQUEUE_URL", "REDIS_URL"], help="Redis to use."),
    option("--namespace", envvar="RQUEUE_NAMESPACE", help="First part of every key."),
)

with_logging = bundled(
    "logs",
    Logging,
    option(
        "--log-level",
        type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
        default="info",
        envvar="RQUEUE_LOG_LEVEL",
    ),
    option(
        "--log-format",
        type=click.Choice(["console", "json"]),
        default="console",
        envvar="RQUEUE_LOG_FORMAT",
    ),
    option(
        "--log-jobs/--no-log-jobs",
        default=True,
        envvar="RQUEUE_LOG_JOBS",
        show_default="on",
        help="A line for each job that ends well; failures have one in any case.",
    ),
)

with_json = option(
    "--json", "is_json", is_flag=True, envvar="RQUEUE_JSON", help="Print JSON to stdout."
)

with_force = option(
    "--force", is_flag=True, help="Run on a server that would break a promise, with a warning."
)

with_queue = option("-q", "--queue", help="Look in this queue only.")
