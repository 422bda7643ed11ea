"""A server, a queue and the clocks of a test: what the doctor is shown, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from redis import Redis

from rqueue.app import App
from rqueue.doctor.exam import Clocks, Contact, Exam, Look, examine
from rqueue.doctor.memory import Budget
from rqueue.doctor.report import Report, report_of
from rqueue.doctor.verdict import Finding, Status
from rqueue.store.calls.server import ServerState
from rqueue.store.serverfacts import ServerFacts
from rqueue.store.transport import Transport

SOUND = {"maxmemory": "512mb", "maxmemory-policy": "noeviction", "slowlog-log-slower-than": "-1"}
"""What a server is to be told, beside to keep a file. A busy machine fills the slow log."""
START_S = 1000.0


class Hands:
    """Clocks that stand; a pause moves them, and something may happen in it.

    Args:
        during: is called in each pause.
        skew_s: by how much this machine's wall clock is ahead.
    """

    def __init__(self, during: Callable[[], object] = lambda: None, skew_s: float = 0.0) -> None:
        self.now = START_S
        self._during = during
        self._skew_s = skew_s

    def clocks(self) -> Clocks:
        real = Clocks()
        return Clocks(lambda: self.now, lambda: real.wall_s() + self._skew_s, self._pause)

    def _pause(self, seconds: float) -> None:
        self._during()
        self.now += seconds


class Patient:
    """One server, seen through an app and through a plain client."""

    def __init__(self, app: App, redis: Redis) -> None:
        self.app = app
        self.redis = redis

    def exam(self, hands: Hands | None = None, **settings: Any) -> Exam:
        hands = hands or Hands()
        return examine(self.transport, clocks=hands.clocks(), **settings)

    def report(self, hands: Hands | None = None, **settings: Any) -> Report:
        return report_of(self.exam(hands, **settings))

    def set(self, settings: Mapping[str, str]) -> None:
        for name, value in settings.items():
            self.redis.execute_command("CONFIG", "SET", name, value)

    @property
    def transport(self) -> Transport:
        return self.app.connections.blocking()


def ailments(report: Report) -> dict[str, str]:
    """What is not ok."""
    return {one.id: str(one.status) for one in report.findings if one.status is not Status.OK}


def finding(report: Report, check: str) -> Finding:
    (found,) = (one for one in report.findings if one.id == check)
    return found


def saying(exam: Exam, **info: object) -> Report:
    """The report on a server that had said this in ``INFO`` instead."""
    told = {name: str(value) for name, value in info.items()}
    server = exam.last.server
    facts = msgspec.structs.replace(
        server.facts, version=told.get("valkey_version", server.facts.version)
    )
    server = msgspec.structs.replace(server, facts=facts, info={**server.info, **told})
    look = msgspec.structs.replace(exam.last, server=server)
    name = "second" if exam.second else "first"
    return report_of(msgspec.structs.replace(exam, **{name: look}))


def reached(url: str) -> Exam:
    """A server of which nothing is known but where it is."""
    contact = Contact(
        url=url, user=None, lacking=None, trips_ms=[0.1], scripts_ms=None, ahead_s=0, blur_s=0
    )
    state = ServerState(facts=ServerFacts(product="Redis"))
    look = Look(
        arrived=0, before=state, at=0, server=state, budget=Budget(families=()), queues=None,
        unreadable={}, unseen=0, cards=None,
    )  # fmt: skip
    return Exam(namespace="rqueue", contact=contact, first=look, second=None, roles=())
