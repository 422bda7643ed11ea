"""How many questions a worker answers, whoever asks."""

from __future__ import annotations

from typing import Any

import pytest

from rqueue.store.keys import queue_keys
from rqueue.worker import questions
from rqueue.worker.questions import Questions

KEYS = queue_keys("n", "q")


class Redis:
    """Takes answers."""

    def __init__(self) -> None:
        self.answered: list[str] = []

    async def send(self, call: Any) -> None:
        (key, *_) = call.keys
        self.answered.append(key.rpartition(":")[2])


async def test_of_a_flood_a_few_are_answered_and_the_others_when_they_ask_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(questions, "monotonic", lambda: now)
    asked, redis = Questions({"show": dict}), Redis()
    tokens = [f"t{n}" for n in range(25)]
    for token in tokens:
        await asked.hear(redis, KEYS, f"ask show {token}")  # type: ignore[arg-type]
    assert redis.answered == tokens[:10]

    now += 1.0
    for token in tokens:
        await asked.hear(redis, KEYS, f"ask show {token}")  # type: ignore[arg-type]
    assert redis.answered == tokens[:20]


@pytest.mark.parametrize("token", ["", "x" * 65])
async def test_what_has_no_name_for_its_answer_is_not_answered(token: str) -> None:
    redis = Redis()
    await Questions({"show": dict}).hear(redis, KEYS, f"ask show {token}")  # type: ignore[arg-type]
    assert redis.answered == []
