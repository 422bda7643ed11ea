"""Checks of workers: who is there, who is not heard, and which releases they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from rqueue.doctor.exam import Exam, Look
from rqueue.doctor.units import span
from rqueue.doctor.verdict import Check, Verdict, notice, ok, unknown, warning
from rqueue.worker.watch import lease_of

_UNHEARD = 0.5
"""Of a lease: a worker that is well renews after a quarter."""
_REGISTRY = ("HGETALL of its registry", "+hgetall +zrange")


def _silent(exam: Exam) -> Verdict:
    if exam.last.queues is None:
        return unknown(*_REGISTRY)
    count = len({worker for one in exam.last.queues.values() for worker in one.standing})
    if exam.second is None:
        return ok(f"{count} with a lease; whether they are heard takes two looks (--trend)")
    silent, longest = set[str](), 0.0
    for queue, before in (exam.first.queues or {}).items():
        after = exam.last.queues.get(queue)
        for worker, counter in before.standing.items():
            lease_s = lease_of(counter, 15.0)
            longest = max(longest, lease_s)
            is_same = after is not None and after.standing.get(worker) == counter
            if is_same and exam.span_s > lease_s * _UNHEARD:
                silent.add(worker)
    if silent:
        return warning(
            f"{len(silent)} of {count} were not heard for {span(exam.span_s)}",
            "Are they running, and do they reach the server? Their jobs run elsewhere after a "
            "lease and a quarter, if a worker or scheduler is there to see to it",
            sorted(silent),
        )
    if exam.span_s <= longest * _UNHEARD:
        return ok(f"{count} with a lease; too short a time to hear of all (--trend {longest:g}s)")
    return ok(f"{count} with a lease, all heard within {span(exam.span_s)}")


def _lost(exam: Exam) -> Verdict:
    cards, queues = exam.last.cards, exam.last.queues
    if cards is None or queues is None:
        return unknown(*_REGISTRY)
    # One that leaves at this moment has no lease for a moment, and then no card.
    before = _without_lease(exam.first)
    gone = [name for name in _without_lease(exam.last) if name in before]
    if not gone:
        return ok(f"{len(cards)} introduced themselves, and all have a lease")
    return warning(
        f"{len(gone)} introduced themselves and have no lease: they died, and nobody cleaned up",
        "rqueue scheduler: it sweeps within a minute",
        gone,
    )


def _without_lease(look: Look) -> list[str]:
    standing = {worker for one in (look.queues or {}).values() for worker in one.standing}
    cards = (look.cards or {}).items()
    return [name for name, card in cards if name not in standing and _is_seen(card, look)]


def _is_seen(card: Mapping[str, Any], look: Look) -> bool:
    """Whether a queue that it serves was looked at."""
    return not set(_queues_of(card)).isdisjoint(look.queues or {})


def _queues_of(card: Mapping[str, Any]) -> list[str]:
    named = card.get("queues")
    return [str(one) for one in cast("list[Any]", named)] if isinstance(named, list) else []


def _releases(exam: Exam) -> Verdict:
    cards = exam.last.cards
    if cards is None:
        return unknown(*_REGISTRY)
    told = {name: str(card.get("rqueue", "not told")) for name, card in cards.items()}
    releases = sorted(set(told.values()))
    if not releases:
        return ok("no workers")
    if len(releases) == 1:
        return ok(f"all workers run rqueue {releases[0]}")
    counted = ", ".join(f"{list(told.values()).count(one)} of {one}" for one in releases)
    return notice(
        f"mixed: {counted}",
        "Good during a roll-out; afterwards rqueue workers list shows who is left behind",
    )


CHECKS = (
    Check(
        "workers.silent",
        "A worker that is not heard for a lease is taken for dead, and its jobs run again.",
        _silent,
    ),
    Check("workers.lost", "What a dead worker held is moved by whoever reaps.", _lost),
    Check(
        "workers.releases",
        "Each release has scripts of its own; two at a time is meant.",
        _releases,
    ),
)
