"""A shop's tasks, for the picture of the dashboard: quick, slow, and some that misbehave."""

from __future__ import annotations

import asyncio
import os
import random
import time

from rqueue import App, Retry

app = App()


class Refused(Exception):
    """By whoever was asked."""


@app.task(queue="mail", retry=Retry(max_attempts=4, base=2.0))
async def send_mail() -> None:
    """Most of what a shop does."""
    await asyncio.sleep(random.lognormvariate(-2.0, 0.6))
    if random.random() < 0.02:
        raise ConnectionResetError


@app.task(queue="default", timeout=1.0, retry=Retry(max_attempts=3, base=1.0))
async def charge(until: float) -> None:
    """Asks a service that is out of order until then."""
    if time.time() < until and random.random() < 0.7:
        raise Refused if random.random() < 0.7 else ConnectionResetError
    await asyncio.sleep(5.0 if random.random() < 0.03 else random.lognormvariate(-1.5, 0.4))


@app.task(queue="default", isolation="process")
def thumbnail() -> None:
    """Some work for a processor."""
    until = time.process_time() + 0.02
    while time.process_time() < until:
        os.urandom(1000)


@app.task(queue="reports")
async def report() -> None:
    """Takes its time."""
    await asyncio.sleep(random.uniform(2.0, 9.0))


@app.task(queue="reports")
async def block() -> None:
    """What no task should do: keep the event loop from turning."""
    time.sleep(1.5)  # noqa: ASYNC251 - that is what is shown


@app.every("30s", name="sweep", overlap="allow")
@app.task(queue="default")
async def sweep() -> None:
    """By the clock."""
    await asyncio.sleep(0.2)


@app.every("75s", name="digest", overlap="allow")
@app.task(queue="mail")
async def digest() -> None:
    """By the clock, more seldom."""
    await asyncio.sleep(0.2)
