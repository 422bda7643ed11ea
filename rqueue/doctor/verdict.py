"""What a check finds: a status, what was seen, and what mends it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from rqueue.doctor.exam import Exam


class Status(StrEnum):
    """How a check came out, the best first."""

    OK = "ok"
    UNKNOWN = "unknown"
    """This user may not ask, or the server does not tell."""
    NOTICE = "notice"
    """It should be known; nothing has to be done."""
    WARNING = "warning"
    """It weakens a promise, or will be a failure if it goes on."""
    FAILURE = "failure"
    """Jobs are lost, refused or left lying, now or at the next fault."""


class Verdict(msgspec.Struct, frozen=True):
    """What one check says.

    Attributes:
        status: how it came out.
        found: what was seen, in a sentence or two.
        fix: the command or setting that mends it, or that tells more; "" when all is well.
        about: the queues or workers it speaks of.
    """

    status: Status
    found: str
    fix: str = ""
    about: Sequence[str] = ()


class Check(msgspec.Struct, frozen=True):
    """One thing that is looked at.

    Attributes:
        id: ``theme.thing``; never changed, never used for another thing.
        why: why it matters.
        judge: what was seen -> what is said.
    """

    id: str
    why: str
    judge: Callable[[Exam], Verdict]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A check and its verdict, as it is reported; see ``Check`` and ``Verdict``."""

    id: str
    status: Status
    found: str
    why: str
    fix: str = ""
    about: Sequence[str] = ()


def ok(found: str) -> Verdict:
    """All is well."""
    return Verdict(Status.OK, found)


def notice(found: str, fix: str = "", about: Sequence[str] = ()) -> Verdict:
    """It should be known."""
    return Verdict(Status.NOTICE, found, fix, about)


def warning(found: str, fix: str, about: Sequence[str] = ()) -> Verdict:
    """It will hurt."""
    return Verdict(Status.WARNING, found, fix, about)


def failure(found: str, fix: str, about: Sequence[str] = ()) -> Verdict:
    """It hurts."""
    return Verdict(Status.FAILURE, found, fix, about)


def unknown(what: str, rule: str) -> Verdict:
    """It cannot be told, because this server does not answer a command of this user.

    Args:
        what: the command, or the field that is not in its answer.
        rule: what an ACL must say to allow it.
    """
    return Verdict(
        Status.UNKNOWN,
        f"This server does not tell this user ({what})",
        f"If it is an ACL that forbids it: ACL SETUSER ... {rule}",
    )


INFO = ("INFO", "+info")
"""For ``unknown``: what most checks read."""


def by_level(value: float, notable: float, bad: float) -> Status:
    """``ok`` below the first bound, ``warning`` below the second, else ``failure``."""
    if value < notable:
        return Status.OK
    return Status.WARNING if value < bad else Status.FAILURE
