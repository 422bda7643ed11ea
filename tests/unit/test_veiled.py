"""What values show of themselves, to ``repr`` and to the printers that ask for the fields."""

from __future__ import annotations

from typing import Any

import pytest

from rqueue import App, Context, Encrypted, Sensitive
from rqueue.client.building import build
from rqueue.config import StoreConfig
from rqueue.context import Context as Running
from rqueue.envelope import OpenedEnvelope, open_envelope
from rqueue.job import Delivery, JobInfo, JobState
from rqueue.worker.runners import child_call

CANARY = "canary-4711"


@App().task(isolation="process")
def log_in(ctx: Context, user: str, password: Sensitive[str], *, pin: Sensitive[str]) -> None: ...


def made() -> dict[str, Any]:
    """One of each value that has a call, or a password, in it."""
    call = log_in.options(job_id="x").call("ada", CANARY, pin=CANARY)
    built = build(call)
    data = built.job.envelope
    opened = open_envelope(data)
    ctx: Context[Any] = Running(job_id="x", queue="q", task="log_in", state=CANARY)
    return {
        "call": call,
        "built": built,
        "job": built.job,
        "delivery": Delivery(
            queue="q", lane="high", entry_id="1-0", job_id="x", envelope=data, worker="w"
        ),
        "envelope": opened.envelope,
        "opened": OpenedEnvelope(opened.envelope, is_json=False),
        "context": ctx,
        "child": child_call(log_in, ctx, opened),
        "info": JobInfo(
            id="x", queue="q", state=JobState.DEAD, envelope=data, result=CANARY.encode()
        ),
        "store": StoreConfig(
            url=f"redis://user:{CANARY}@host/0",
            protection=Encrypted({"k": CANARY.ljust(32).encode()}, current="k"),
        ),
    }


def fields(value: Any) -> str:
    """What printers such as rich are told."""
    return repr([*value.__rich_repr__()])


@pytest.mark.parametrize("name", made())
def test_a_value_shows_neither_arguments_nor_passwords(name: str) -> None:
    value = made()[name]

    told = repr(value) + fields(value) + f"{value}"

    assert CANARY not in told
    assert str(CANARY.encode()) not in told


def test_it_shows_all_the_rest() -> None:
    assert repr(made()["delivery"]) == (
        "Delivery(queue='q', lane='high', entry_id='1-0', job_id='x', envelope=<92 bytes>, "
        "worker='w', priority='normal', attempts=0, crashes=0, token=0, "
        "first_ready_ms=0, is_foreign=False)"
    )
    assert repr(made()["store"]).startswith("StoreConfig(url='redis://user:***@host/0', namesp")
    assert ("state", "dead") in [*made()["info"].__rich_repr__()]
